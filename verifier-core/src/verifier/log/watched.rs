//! Canceled IRPs that the watchdog waits for: the list `VfWdIrpListHead` of `_VF_WATCHDOG_IRP`.
//!
//! Verifier watches an IRP from its cancellation to its completion, and complains (0xC4/0x135) of one
//! that is not completed in time. The list holds those that are outstanding, in the order that
//! `ViWdInsertSortIrp` gives them. How long a tick is no public source says: ticks are numbers here.
//! Windows 7 to 11.

use crate::addr::Va;
use crate::error::{Error, Problem};
use crate::kernel::{Kernel, walk_list};

/// A canceled IRP that is watched: `_VF_WATCHDOG_IRP`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WatchedIrp {
    /// Where the structure lies.
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

/// The canceled IRPs that are watched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WatchedIrps {
    /// In the order of the list.
    pub irps: Vec<WatchedIrp>,
    /// `ViWdIrpListLength`: how many the kernel counts.
    pub length: Option<u32>,
    /// `ViWdIrpListLengthMaximum`: how many there were at most.
    pub maximum: Option<u32>,
    /// `ViWdTickCount`: the tick that it is.
    pub tick: Option<u32>,
    /// `ViWdCancelIrpCount`: IRPs canceled so far.
    pub canceled: Option<u32>,
    /// The IRP that was asked for, where one was.
    pub about: Option<Va>,
    /// Why there is none, where there is none.
    pub empty_because: Option<&'static str>,
    /// What could not be read or does not fit.
    pub problems: Vec<Problem>,
}

impl WatchedIrps {
    /// Reads the first `last` of the list, or all, of which the IRP is `wanted` where one is given.
    ///
    /// # Errors
    /// Where the kernel's symbols are missing or do not have the list or its type, or its head cannot be
    /// read.
    pub fn read(kernel: &Kernel, last: Option<usize>, wanted: Option<Va>) -> Result<Self, Error> {
        let what = "watched IRPs";
        let name = "_VF_WATCHDOG_IRP";
        let types = kernel.types()?;
        let links = types.field(name, "ListEntry")?.offset;
        let irp = types.field(name, "Irp")?;
        let due = types.field(name, "DueTickCount")?;
        let inserted = types.field(name, "Inserted")?;
        let location = types.field(name, "TrackedStackLocation")?;
        let timeout = types.field(name, "CancelTimeoutTicks")?;
        let size = types.size_of(name)?.min(0x1000) as usize;
        let head = kernel.global("VfWdIrpListHead")?;
        let space = kernel.space();
        let number = |name: &str| space.memory().read_u32(kernel.global(name).ok()?).ok();

        let first =
            space.read_pointer(head).map_err(|fault| Error::read("VfWdIrpListHead", fault))?;
        let mut problems = Vec::new();
        let mut irps = Vec::new();
        let walk = walk_list(space, head, what, kernel.limits());
        let found = walk.entries.len();
        let never = found == 0 && first.is_null();
        let is_whole = walk.broken.is_none();
        if let Some(error) = walk.broken.filter(|_| !never) {
            problems.push(Problem::from_error(what, &error));
        }
        let mut bytes = vec![0u8; size];
        for link in walk.entries {
            if irps.len() >= last.unwrap_or(usize::MAX) {
                break;
            }
            let address = link.sub(links);
            if let Err(fault) = space.read(address, &mut bytes) {
                problems.push(Problem::at("watched IRP", address, fault));
                continue;
            }
            let record = WatchedIrp {
                address,
                irp: Va(irp.get(&bytes).unwrap_or(0)),
                due_tick_count: due.get(&bytes).unwrap_or(0) as u32,
                inserted: inserted.get(&bytes).unwrap_or(0) as u8,
                tracked_stack_location: location.get(&bytes).unwrap_or(0) as i8,
                cancel_timeout_ticks: timeout.get(&bytes).unwrap_or(0) as u16,
            };
            if wanted.is_none_or(|wanted| wanted == record.irp) {
                irps.push(record);
            }
        }
        let length = number("ViWdIrpListLength");
        if let Some(length) = length.filter(|&length| is_whole && length as usize != found) {
            problems.push(Problem::at(
                what,
                head,
                format!("ViWdIrpListLength says {length}, the list holds {found}"),
            ));
        }
        kernel.report_into(&mut problems);
        Ok(Self {
            irps,
            length,
            maximum: number("ViWdIrpListLengthMaximum"),
            tick: number("ViWdTickCount"),
            canceled: number("ViWdCancelIrpCount"),
            about: wanted,
            empty_because: if never {
                Some("the list was never set up")
            } else if found == 0 && is_whole {
                Some("no canceled IRP is watched")
            } else if found == 0 {
                Some("the list cannot be read")
            } else {
                None
            },
            problems,
        })
    }
}
