//! Canceled IRPs that the watchdog waits for: the list `VfWdIrpListHead` of `_VF_WATCHDOG_IRP`.

use crate::addr::Va;
use crate::describe::{Table, columns};
use crate::error::{Error, Problem};
use crate::kernel::{Kernel, walk_list};
use crate::types::{Field, TypeSource};

const WHAT: &str = "watched IRPs";

/// A canceled IRP that is watched: `_VF_WATCHDOG_IRP`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct WatchedIrp {
    /// The address of the structure.
    pub address: Va,
    /// `Irp`.
    pub irp: Va,
    /// `DueTickCount`: the tick by which the IRP must be completed.
    pub due_tick_count: u32,
    /// `Inserted`: not 0 while it is in the list.
    pub inserted: u8,
    /// `TrackedStackLocation`.
    pub tracked_stack_location: i8,
    /// `CancelTimeoutTicks`.
    pub cancel_timeout_ticks: u16,
}

impl WatchedIrp {
    /// The description.
    pub const TABLE: Table<'static, Self> = Table::new(
        "WatchedIrp",
        "A canceled IRP that Verifier watches until it is completed.",
        columns!(|irp: Self| {
            /// The `_VF_WATCHDOG_IRP`.
            address: Address => irp.address,
            /// The `_IRP`.
            irp as "Irp": Address => irp.irp,
            /// The tick by which the IRP must be completed.
            due_tick_count as "DueTickCount": U32 => irp.due_tick_count,
            /// Not 0 while the IRP is in the list.
            inserted as "Inserted": U32 => irp.inserted,
            /// The number of the IRP's stack location that is tracked.
            tracked_stack_location as "TrackedStackLocation": I64 => irp.tracked_stack_location,
            /// Ticks that the IRP may take to be completed.
            cancel_timeout_ticks as "CancelTimeoutTicks": U32 => irp.cancel_timeout_ticks,
        }),
    );
}

/// The fields of `_VF_WATCHDOG_IRP`, resolved once.
struct Layout {
    size: usize,
    links: u64,
    irp: Field,
    due: Field,
    inserted: Field,
    location: Field,
    timeout: Field,
}

impl Layout {
    fn resolve(types: &dyn TypeSource) -> Result<Self, Error> {
        let name = "_VF_WATCHDOG_IRP";
        Ok(Self {
            size: types.size_of(name)?.min(0x1000) as usize,
            links: types.field(name, "ListEntry")?.offset,
            irp: types.field(name, "Irp")?,
            due: types.field(name, "DueTickCount")?,
            inserted: types.field(name, "Inserted")?,
            location: types.field(name, "TrackedStackLocation")?,
            timeout: types.field(name, "CancelTimeoutTicks")?,
        })
    }

    fn decode(&self, address: Va, bytes: &[u8]) -> WatchedIrp {
        let number = |field: &Field| field.get(bytes).unwrap_or(0);
        WatchedIrp {
            address,
            irp: Va(number(&self.irp)),
            due_tick_count: number(&self.due) as u32,
            inserted: number(&self.inserted) as u8,
            tracked_stack_location: number(&self.location) as i8,
            cancel_timeout_ticks: number(&self.timeout) as u16,
        }
    }
}

/// The canceled IRPs that are watched.
///
/// Verifier watches an IRP from its cancellation to its completion, and stops the machine (0xC4/0x135) if the IRP
/// is not completed in time. The list holds those that are outstanding, in the order that `ViWdInsertSortIrp`
/// gives them. No public source says how long a tick is, so ticks are numbers here. Windows 7 to 11.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct WatchedIrps {
    /// In the order of the list.
    pub irps: Vec<WatchedIrp>,
    /// `ViWdIrpListLength`: how many the kernel counts.
    pub length: Option<u32>,
    /// `ViWdIrpListLengthMaximum`: how many there were at most.
    pub maximum: Option<u32>,
    /// `ViWdTickCount`: the current tick.
    pub tick: Option<u32>,
    /// `ViWdCancelIrpCount`: IRPs canceled so far.
    pub canceled: Option<u32>,
    /// The IRP that the caller asked for.
    pub about: Option<Va>,
    /// Why the list has no IRP.
    pub empty_because: Option<&'static str>,
    /// What could not be read or is contradictory.
    pub problems: Vec<Problem>,
}

impl WatchedIrps {
    /// Reads the first `last` IRPs of the list, or all; if `wanted` is given, only that IRP.
    ///
    /// # Errors
    /// If the kernel's symbols are missing or do not have the list or its type, or if its head cannot be read.
    pub fn read(kernel: &Kernel, last: Option<usize>, wanted: Option<Va>) -> Result<Self, Error> {
        let layout = Layout::resolve(kernel.types()?)?;
        let head = kernel.global("VfWdIrpListHead")?;
        let space = kernel.space();
        let number = |name: &str| space.memory().read_u32(kernel.global(name).ok()?).ok();

        let first =
            space.read_pointer(head).map_err(|fault| Error::read("VfWdIrpListHead", fault))?;
        let mut problems = Vec::new();
        let mut irps = Vec::new();
        let walk = walk_list(space, head, WHAT, kernel.limits());
        let found = walk.entries.len();
        let never = found == 0 && first.is_null();
        let is_whole = walk.broken.is_none();
        if let Some(error) = walk.broken.filter(|_| !never) {
            problems.push(Problem::from_error(WHAT, &error));
        }
        let mut bytes = vec![0u8; layout.size];
        for link in walk.entries {
            if irps.len() >= last.unwrap_or(usize::MAX) {
                break;
            }
            let address = link.sub(layout.links);
            if let Err(fault) = space.read(address, &mut bytes) {
                problems.push(Problem::at("watched IRP", address, fault));
                continue;
            }
            let record = layout.decode(address, &bytes);
            if wanted.is_none_or(|wanted| wanted == record.irp) {
                irps.push(record);
            }
        }
        let length = number("ViWdIrpListLength");
        if let Some(length) = length.filter(|&length| is_whole && length as usize != found) {
            let why = format!("ViWdIrpListLength says {length}, the list holds {found}");
            problems.push(Problem::at(WHAT, head, why));
        }
        kernel.report_into(&mut problems);
        let empty_because = match found {
            _ if never => Some("the list was never set up"),
            0 if is_whole => Some("no canceled IRP is watched"),
            0 => Some("the list cannot be read"),
            _ => None,
        };
        Ok(Self {
            irps,
            length,
            maximum: number("ViWdIrpListLengthMaximum"),
            tick: number("ViWdTickCount"),
            canceled: number("ViWdCancelIrpCount"),
            about: wanted,
            empty_because,
            problems,
        })
    }
}
