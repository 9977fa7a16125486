//! The logs beside the pool log by name: their globals, what their records hold, where it lies.

use crate::error::Error;
use crate::kernel::Kernel;
use crate::types::{Field, Shape};

/// Which log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
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
    /// Bug checks that were suppressed.
    Suppressed,
    /// Bug checks that Verifier worked around.
    Workaround,
}

/// A number of an event's record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EventField {
    /// The C field; a name of ours where no public type has the record.
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
pub(super) const MAX_FIELDS: usize = 5;

/// Slots of the logs that are arrays in the kernel's data.
const STATIC_SLOTS: u32 = 16;

/// Where a log's array, index and length are.
pub(super) enum Globals {
    /// Three variables: a pointer, a `LONG`, a `ULONG`.
    Allocated([&'static str; 3]),
    /// The array itself and its index; the length is fixed.
    Static([&'static str; 2], u32),
}

impl EventKind {
    /// Every kind.
    pub const ALL: [EventKind; 7] = [
        EventKind::Irql,
        EventKind::Fault,
        EventKind::Region,
        EventKind::Irp,
        EventKind::Pending,
        EventKind::Suppressed,
        EventKind::Workaround,
    ];

    /// The name on the command line and in JSON.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            EventKind::Irql => "irql",
            EventKind::Fault => "fault",
            EventKind::Region => "region",
            EventKind::Irp => "irp",
            EventKind::Pending => "pending",
            EventKind::Suppressed => "suppressed",
            EventKind::Workaround => "workaround",
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
            EventKind::Suppressed => "suppressed bug check log",
            EventKind::Workaround => "bug check workaround log",
        }
    }

    /// The numbers of its records, in the order of
    /// [`EventRecord::values`](super::EventRecord::values).
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
        const SUPPRESSED: [EventField; 5] = [
            number("Code", "code"),
            address("Parameter1", "parameter1"),
            address("Parameter2", "parameter2"),
            address("Parameter3", "parameter3"),
            address("Parameter4", "parameter4"),
        ];
        const WORKAROUND: [EventField; 3] =
            [number("Type", "type"), address("Caller", "caller"), address("Pointer", "pointer")];
        match self {
            EventKind::Irql => &IRQL,
            EventKind::Fault | EventKind::Region => &THREAD,
            EventKind::Irp => &IRP,
            EventKind::Pending => &PENDING,
            EventKind::Suppressed => &SUPPRESSED,
            EventKind::Workaround => &WORKAROUND,
        }
    }

    /// Why there is no array: which flags make the kernel of that build allocate it.
    pub(super) fn off(self, build: u32) -> &'static str {
        match self {
            EventKind::Irql if build >= 22000 => {
                "the log is off: its array was never allocated (it belongs to flag 0x2, force IRQL \
                 checking, and to a VfVerifyMode of 3 or more)"
            }
            EventKind::Irql => {
                "the log is off: its array was never allocated (it belongs to flag 0x2, force IRQL \
                 checking)"
            }
            EventKind::Region if build <= 17763 => {
                "the log is off: its array was never allocated (it belongs to flags 0x2, force IRQL \
                 checking, and 0x800, miscellaneous checks)"
            }
            EventKind::Region => {
                "the log is off: its array was never allocated (it belongs to flag 0x2, force IRQL \
                 checking)"
            }
            EventKind::Fault => {
                "the log is off: its array was never allocated (it belongs to flag 0x4, low \
                 resources simulation)"
            }
            EventKind::Pending => {
                "the log is off: its array was never allocated (it belongs to flag 0x200, force \
                 pending I/O requests)"
            }
            _ => "the log is off: its array was never allocated",
        }
    }

    pub(super) fn globals(self) -> Globals {
        Globals::Allocated(match self {
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
            EventKind::Suppressed => {
                return Globals::Static(["ViBugcheckLog", "ViBugcheckLogIndex"], STATIC_SLOTS);
            }
            EventKind::Workaround => {
                let names = ["ViBugcheckWorkaroundLog", "ViBugcheckWorkaroundLogIndex"];
                return Globals::Static(names, STATIC_SLOTS);
            }
        })
    }

    /// The record's type, where a public one exists.
    fn type_name(self) -> Option<&'static str> {
        match self {
            EventKind::Irql => Some("_VI_TRACK_IRQL"),
            EventKind::Fault => Some("_VI_FAULT_TRACE"),
            EventKind::Region => Some("_VF_KE_CRITICAL_REGION_TRACE"),
            EventKind::Irp => Some("_IOV_IRP_TRACE"),
            EventKind::Pending => Some("_IOV_FORCED_PENDING_TRACE"),
            EventKind::Suppressed | EventKind::Workaround => None,
        }
    }
}

/// Where the numbers and the stack of a record lie.
pub(super) struct Layout {
    pub(super) stride: u64,
    /// In the order of [`EventKind::fields`]; `None` for one that this build's record does not have.
    pub(super) fields: Vec<Option<Field>>,
    pub(super) stack: Option<StackField>,
}

/// The stack of a record.
pub(super) struct StackField {
    pub(super) start: usize,
    pub(super) count: usize,
    pub(super) size: usize,
}

impl Layout {
    pub(super) fn resolve(kernel: &Kernel, kind: EventKind) -> Result<Self, Error> {
        let Some(name) = kind.type_name() else { return Ok(Self::words(kernel, kind)) };
        let types = kernel.types()?;
        let stride = match types.size_of(name) {
            // Windows 7 has the log, and its public symbols not the type.
            Err(Error::MissingType { .. })
                if kind == EventKind::Irp && matches!(kernel.build(), 7600 | 7601) =>
            {
                return Ok(Self::irp_of_windows_7(kernel));
            }
            other => other?,
        };
        let stack = types.field(name, "StackTrace")?;
        let (count, size) = stack.elements().ok_or_else(|| Error::MissingField {
            type_name: name.into(),
            path: "StackTrace[]".into(),
        })?;
        let start = usize::try_from(stack.offset).unwrap_or(usize::MAX);
        let fields = kind.fields().iter().map(|field| types.field(name, field.c_name).ok());
        let stack = Some(StackField { start, count, size });
        Ok(Self { stride, fields: fields.collect(), stack })
    }

    /// A record of words of a pointer's size, of which the first holds 32 bits. No public type has it:
    /// x64 kernels of 7601 to 22000 write it so, and their arrays are 16 times as long; x86 is
    /// presumed to do the same.
    fn words(kernel: &Kernel, kind: EventKind) -> Self {
        let pointer = kernel.space().pointer_size();
        let count = kind.fields().len();
        let fields = (0..count).map(|i| Some(word(pointer, i, if i == 0 { 4 } else { pointer })));
        Self { stride: (count * pointer) as u64, fields: fields.collect(), stack: None }
    }

    /// Windows 7's record, in no public type: 13 frames from the fourth word on, as the pool log's. That
    /// IRP and thread are its first words is presumed from the type of 8; the third word is not read.
    fn irp_of_windows_7(kernel: &Kernel) -> Self {
        let size = kernel.space().pointer_size();
        let (header, frames) = (3, 13);
        let pointer = |index| Some(word(size, index, size));
        Self {
            stride: ((header + frames) * size) as u64,
            fields: vec![pointer(0), pointer(1), None, None, None],
            stack: Some(StackField { start: header * size, count: frames, size }),
        }
    }
}

/// The low `bytes` of a word.
fn word(pointer: usize, index: usize, bytes: usize) -> Field {
    let bytes = if bytes == 8 { 8 } else { 4 };
    Field { offset: (index * pointer) as u64, shape: Shape::Unsigned(bytes) }
}
