//! The logs beside the pool log: IRQL transitions, injected faults, critical regions, IRPs, IRPs that
//! were forced to pend.
//!
//! | log | globals (array, index, length) | record |
//! |---|---|---|
//! | irql | `ViTrackIrqlQueue`, `ViTrackIrqlIndex`, `ViTrackIrqlQueueLength` | `_VI_TRACK_IRQL` |
//! | fault | `ViFaultTraces`, `ViFaultTracesIndex`, `ViFaultTracesLength` | `_VI_FAULT_TRACE` |
//! | region | `VfKeCriticalRegionTraces`, `…Index`, `…Length` | `_VF_KE_CRITICAL_REGION_TRACE` |
//! | irp | `IovIrpTraces`, `IovIrpTracesIndex`, `IovIrpTracesLength` | `_IOV_IRP_TRACE` |
//! | pending | `VfForcedPendingLog`, `VfForcedPendingIrps` (the index), `VfForcedPendingLogLength` | `_IOV_FORCED_PENDING_TRACE` |
//!
//! Each record has numbers by name and a stack that ends at the first null. All arrays are cleared when
//! they are made, so a slot whose numbers are all zero was never used. An IRP record does not say which
//! call it is of: its stack does. Windows 7's public symbols have the IRP log's globals and not its
//! type; the type is in those of 8 and later.

use super::ring::Ring;
use super::stacks::{Stack, Stacks};
use crate::addr::Va;
use crate::error::{Error, Problem};
use crate::kernel::Kernel;
use crate::types::Field;

/// Which log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum EventKind {
    /// IRQL transitions.
    Irql,
    /// Faults that Verifier injected.
    Fault,
    /// Critical regions entered and left.
    Region,
    /// IRPs allocated, completed, canceled.
    Irp,
    /// IRPs forced to pend.
    Pending,
}

/// A number of an event's record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EventField {
    /// The C field.
    pub c_name: &'static str,
    /// The name in JSON and CSV.
    pub name: &'static str,
    /// True for an address, false for a count.
    pub is_address: bool,
}

const fn address(c_name: &'static str, name: &'static str) -> EventField {
    EventField { c_name, name, is_address: true }
}

const fn number(c_name: &'static str, name: &'static str) -> EventField {
    EventField { c_name, name, is_address: false }
}

/// Numbers of the record with the most.
const MAX_FIELDS: usize = 5;

impl EventKind {
    /// Every kind.
    pub const ALL: [EventKind; 5] =
        [EventKind::Irql, EventKind::Fault, EventKind::Region, EventKind::Irp, EventKind::Pending];

    /// The name on the command line and in JSON.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            EventKind::Irql => "irql",
            EventKind::Fault => "fault",
            EventKind::Region => "region",
            EventKind::Irp => "irp",
            EventKind::Pending => "pending",
        }
    }

    /// What it is called in messages.
    #[must_use]
    pub fn describe(self) -> &'static str {
        match self {
            EventKind::Irql => "IRQL transition log",
            EventKind::Fault => "fault injection log",
            EventKind::Region => "critical region log",
            EventKind::Irp => "IRP log",
            EventKind::Pending => "force pending log",
        }
    }

    /// The numbers of its records, in the order of [`EventRecord::values`].
    #[must_use]
    pub fn fields(self) -> &'static [EventField] {
        const IRQL: [EventField; 5] = [
            address("Thread", "thread"),
            number("OldIrql", "old_irql"),
            number("NewIrql", "new_irql"),
            number("Processor", "processor"),
            number("TickCount", "tick"),
        ];
        const THREAD: [EventField; 1] = [address("Thread", "thread")];
        const IRP: [EventField; 5] = [
            address("Irp", "irp"),
            address("Thread", "thread"),
            number("KernelApcDisable", "kernel_apc_disable"),
            number("SpecialApcDisable", "special_apc_disable"),
            number("Irql", "irql"),
        ];
        const PENDING: [EventField; 2] = [address("Irp", "irp"), address("Thread", "thread")];
        match self {
            EventKind::Irql => &IRQL,
            EventKind::Fault | EventKind::Region => &THREAD,
            EventKind::Irp => &IRP,
            EventKind::Pending => &PENDING,
        }
    }

    fn type_name(self) -> &'static str {
        match self {
            EventKind::Irql => "_VI_TRACK_IRQL",
            EventKind::Fault => "_VI_FAULT_TRACE",
            EventKind::Region => "_VF_KE_CRITICAL_REGION_TRACE",
            EventKind::Irp => "_IOV_IRP_TRACE",
            EventKind::Pending => "_IOV_FORCED_PENDING_TRACE",
        }
    }

    fn globals(self) -> [&'static str; 3] {
        match self {
            EventKind::Irql => ["ViTrackIrqlQueue", "ViTrackIrqlIndex", "ViTrackIrqlQueueLength"],
            EventKind::Fault => ["ViFaultTraces", "ViFaultTracesIndex", "ViFaultTracesLength"],
            EventKind::Region => [
                "VfKeCriticalRegionTraces",
                "VfKeCriticalRegionTracesIndex",
                "VfKeCriticalRegionTracesLength",
            ],
            EventKind::Irp => ["IovIrpTraces", "IovIrpTracesIndex", "IovIrpTracesLength"],
            EventKind::Pending => {
                ["VfForcedPendingLog", "VfForcedPendingIrps", "VfForcedPendingLogLength"]
            }
        }
    }
}

/// A record of one of these logs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventRecord {
    /// The slot it lies in.
    pub slot: u32,
    values: [u64; MAX_FIELDS],
    stack: Stack,
}

impl EventRecord {
    /// Its numbers, in the order of [`EventKind::fields`]. Signed ones are sign-extended; one that the
    /// build's type does not have is zero.
    #[must_use]
    pub fn values(&self) -> &[u64; 5] {
        &self.values
    }
}

/// One of these logs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventLog {
    /// Which.
    pub kind: EventKind,
    /// Where it lies.
    pub ring: Ring,
    /// Records, newest first.
    pub records: Vec<EventRecord>,
    stacks: Stacks,
    /// Slots that hold no record.
    pub unused: u32,
    /// Why there is nothing, where there is nothing by design.
    pub empty_because: Option<&'static str>,
    /// What could not be read or does not fit.
    pub problems: Vec<Problem>,
}

impl EventLog {
    /// Reads the newest `last` records, or all, of which `address`, where given, is one of the
    /// addresses (an IRP, a thread).
    ///
    /// # Errors
    /// Where the kernel's symbols are missing or do not have the log or its type, or its globals
    /// cannot be read.
    pub fn read(
        kernel: &Kernel,
        kind: EventKind,
        last: Option<usize>,
        wanted: Option<Va>,
    ) -> Result<Self, Error> {
        let types = kernel.types()?;
        let name = kind.type_name();
        let stack = types.field(name, "StackTrace")?;
        let (frame_count, frame_size) = stack.elements().ok_or_else(|| Error::MissingField {
            type_name: name.into(),
            path: "StackTrace[]".into(),
        })?;
        let stack_start = usize::try_from(stack.offset).unwrap_or(usize::MAX);
        let fields: Vec<(Option<Field>, bool)> = kind
            .fields()
            .iter()
            .map(|field| (types.field(name, field.c_name).ok(), field.is_address))
            .collect();
        let ring = Ring::locate(kernel, kind.describe(), kind.globals(), types.size_of(name)?)?;
        let empty_because =
            ring.array.is_null().then_some("the log is off: its array was never allocated");
        let last = last.unwrap_or(usize::MAX);
        let (mut records, mut stacks, mut unused) = (Vec::new(), Stacks::default(), 0);
        let result = ring.for_each(kernel, |slot, bytes| {
            if records.len() >= last {
                return false;
            }
            let mut values = [0u64; MAX_FIELDS];
            let mut is_wanted = wanted.is_none();
            for (value, (field, is_address)) in values.iter_mut().zip(&fields) {
                *value = field.as_ref().and_then(|field| field.get(bytes)).unwrap_or(0);
                is_wanted |= *is_address && wanted == Some(Va(*value));
            }
            if values == [0; MAX_FIELDS] {
                unused += 1;
                return true;
            }
            if !is_wanted {
                return true;
            }
            let raw = bytes.get(stack_start..).unwrap_or_default();
            let stack = stacks.push(raw, frame_count, frame_size);
            records.push(EventRecord { slot, values, stack });
            true
        });
        Ok(Self { kind, ring, records, stacks, unused, empty_because, problems: result.problems })
    }

    /// The frames of a record, innermost first.
    #[must_use]
    pub fn frames(&self, record: &EventRecord) -> &[Va] {
        self.stacks.get(record.stack)
    }

    /// Every frame of every record.
    #[must_use]
    pub fn all_frames(&self) -> &[Va] {
        self.stacks.all()
    }
}
