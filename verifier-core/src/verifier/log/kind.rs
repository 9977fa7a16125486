//! Every log by name, and of the logs beside the pool log their globals, fields and layouts.

use crate::describe::{Kind, names};
use crate::error::Error;
use crate::kernel::Kernel;
use crate::types::{Field, Shape, StackField};

/// A log that a kernel may have: the one list of logs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LogKind {
    /// Pool allocations and frees: [`PoolLog`](super::PoolLog).
    Pool,
    /// A ring of events: [`EventLog`](super::EventLog).
    Event(EventKind),
    /// Canceled IRPs that are watched: [`WatchedIrps`](super::WatchedIrps), which is a list.
    Watched,
}

impl LogKind {
    /// Every log, the pool log first and the list of watched IRPs last.
    pub fn all() -> impl Iterator<Item = LogKind> {
        let events = EventKind::ALL.into_iter().map(LogKind::Event);
        [LogKind::Pool].into_iter().chain(events).chain([LogKind::Watched])
    }

    /// The log of that [`name`](Self::name).
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::all().find(|kind| kind.name() == name)
    }

    /// The name on the command line, in JSON and in Python.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            LogKind::Pool => "pool",
            LogKind::Event(kind) => kind.name(),
            LogKind::Watched => "watched",
        }
    }

    /// What it is called in messages.
    #[must_use]
    pub fn describe(self) -> &'static str {
        match self {
            LogKind::Pool => "pool log",
            LogKind::Event(kind) => kind.describe(),
            LogKind::Watched => "list of watched IRPs",
        }
    }

    /// What it holds, in a few words.
    #[must_use]
    pub fn holds(self) -> &'static str {
        match self {
            LogKind::Pool => "Pool allocations and frees",
            LogKind::Event(kind) => kind.definition().holds,
            LogKind::Watched => "Canceled IRPs that are watched until they are completed",
        }
    }

    /// True if its records can be found by their content ([`CarvedLog`](super::CarvedLog)).
    #[must_use]
    pub fn can_be_carved(self) -> bool {
        self == LogKind::Pool
    }
}

/// A log beside the pool log.
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

names! {
    /// The name on the command line and in JSON.
    EventKind {
        Irql => "irql",
        Fault => "fault",
        Region => "region",
        Irp => "irp",
        Pending => "pending",
        Suppressed => "suppressed",
        Workaround => "workaround",
    }
}

/// A number of an event's record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct EventField {
    /// The C field; our own name if no public type has the record.
    pub c_name: &'static str,
    /// The name in JSON, CSV and Python.
    pub name: &'static str,
    /// [`Kind::Address`], or [`Kind::I64`] for a count.
    pub kind: Kind,
    /// Its label in text, as the debugger has it for the IRQL log.
    pub label: &'static str,
    /// One sentence that says what it is.
    pub doc: &'static str,
    /// True if the records of some builds do not have it.
    pub is_optional: bool,
}

impl EventField {
    /// True for an address, false for a count.
    #[must_use]
    pub fn is_address(&self) -> bool {
        self.kind == Kind::Address
    }
}

const fn field(
    kind: Kind,
    c_name: &'static str,
    name: &'static str,
    label: &'static str,
    doc: &'static str,
) -> EventField {
    EventField { c_name, name, kind, label, doc, is_optional: false }
}

const fn optional(field: EventField) -> EventField {
    EventField { is_optional: true, ..field }
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

/// All that sets one log apart from the others.
struct Definition {
    what: &'static str,
    holds: &'static str,
    record_name: &'static str,
    record_doc: &'static str,
    globals: Globals,
    /// The record's type, if a public one exists.
    type_name: Option<&'static str>,
    fields: &'static [EventField],
}

mod fields {
    use super::{EventField, field, optional};
    use crate::describe::Kind::{Address, I64};

    pub(super) const THREAD: EventField =
        field(Address, "Thread", "thread", "Thread:", "The thread's `_ETHREAD`.");
    pub(super) const IRP: EventField = field(Address, "Irp", "irp", "Irp:", "The `_IRP`.");
    pub(super) const OF_IRQL: &[EventField] = &[
        THREAD,
        field(I64, "OldIrql", "old_irql", "Old irql:", "The IRQL before the transition."),
        field(I64, "NewIrql", "new_irql", "New irql:", "The IRQL after the transition."),
        field(I64, "Processor", "processor", "Processor:", "The number of the processor."),
        field(I64, "TickCount", "tick", "Time stamp:", "The kernel's tick count."),
    ];
    pub(super) const OF_IRP: &[EventField] = &[
        IRP,
        THREAD,
        optional(field(
            I64,
            "KernelApcDisable",
            "kernel_apc_disable",
            "Kernel APCs:",
            "The thread's count of disabled kernel APCs; negative while they are disabled.",
        )),
        optional(field(
            I64,
            "SpecialApcDisable",
            "special_apc_disable",
            "Special APCs:",
            "The thread's count of disabled special kernel APCs; negative while they are disabled.",
        )),
        optional(field(I64, "Irql", "irql", "Irql:", "The IRQL of the call.")),
    ];
    pub(super) const OF_BUG_CHECK: &[EventField] = &[
        field(I64, "Code", "code", "Bug check:", "The code of the bug check."),
        field(Address, "Parameter1", "parameter1", "Parameter 1:", "Its first parameter."),
        field(Address, "Parameter2", "parameter2", "Parameter 2:", "Its second parameter."),
        field(Address, "Parameter3", "parameter3", "Parameter 3:", "Its third parameter."),
        field(Address, "Parameter4", "parameter4", "Parameter 4:", "Its fourth parameter."),
    ];
    pub(super) const OF_WORKAROUND: &[EventField] = &[
        field(
            I64,
            "Type",
            "type",
            "Type:",
            "What was worked around; 1: an allocation of no bytes.",
        ),
        field(Address, "Caller", "caller", "Caller:", "The return address of the call."),
        field(Address, "Pointer", "pointer", "Pointer:", "The pointer that the call was about."),
    ];
}

impl EventKind {
    fn definition(self) -> Definition {
        match self {
            EventKind::Irql => Definition {
                what: "IRQL transition log",
                holds: "IRQL transitions",
                record_name: "IrqlEvent",
                record_doc: "An IRQL transition.",
                globals: Globals::Allocated([
                    "ViTrackIrqlQueue",
                    "ViTrackIrqlIndex",
                    "ViTrackIrqlQueueLength",
                ]),
                type_name: Some("_VI_TRACK_IRQL"),
                fields: fields::OF_IRQL,
            },
            EventKind::Fault => Definition {
                what: "fault injection log",
                holds: "Faults that Verifier injected",
                record_name: "FaultEvent",
                record_doc: "A fault that Verifier injected.",
                globals: Globals::Allocated([
                    "ViFaultTraces",
                    "ViFaultTracesIndex",
                    "ViFaultTracesLength",
                ]),
                type_name: Some("_VI_FAULT_TRACE"),
                fields: &[fields::THREAD],
            },
            EventKind::Region => Definition {
                what: "critical region log",
                holds: "Critical regions entered and left",
                record_name: "RegionEvent",
                record_doc: "A critical region that was entered or left.",
                globals: Globals::Allocated([
                    "VfKeCriticalRegionTraces",
                    "VfKeCriticalRegionTracesIndex",
                    "VfKeCriticalRegionTracesLength",
                ]),
                type_name: Some("_VF_KE_CRITICAL_REGION_TRACE"),
                fields: &[fields::THREAD],
            },
            EventKind::Irp => Definition {
                what: "IRP log",
                holds: "IRPs allocated, completed, canceled",
                record_name: "IrpEvent",
                record_doc: "An IRP that was allocated, completed or canceled.",
                globals: Globals::Allocated([
                    "IovIrpTraces",
                    "IovIrpTracesIndex",
                    "IovIrpTracesLength",
                ]),
                type_name: Some("_IOV_IRP_TRACE"),
                fields: fields::OF_IRP,
            },
            EventKind::Pending => Definition {
                what: "force pending log",
                holds: "IRPs forced to pend",
                record_name: "PendingEvent",
                record_doc: "An IRP that was forced to pend.",
                globals: Globals::Allocated([
                    "VfForcedPendingLog",
                    "VfForcedPendingIrps",
                    "VfForcedPendingLogLength",
                ]),
                type_name: Some("_IOV_FORCED_PENDING_TRACE"),
                fields: &[fields::IRP, fields::THREAD],
            },
            EventKind::Suppressed => Definition {
                what: "suppressed bug check log",
                holds: "Bug checks that Verifier suppressed",
                record_name: "SuppressedEvent",
                record_doc: "A bug check that Verifier suppressed.",
                globals: Globals::Static(["ViBugcheckLog", "ViBugcheckLogIndex"], STATIC_SLOTS),
                type_name: None,
                fields: fields::OF_BUG_CHECK,
            },
            EventKind::Workaround => Definition {
                what: "bug check workaround log",
                holds: "Bug checks that Verifier worked around",
                record_name: "WorkaroundEvent",
                record_doc: "A bug check that Verifier worked around.",
                globals: Globals::Static(
                    ["ViBugcheckWorkaroundLog", "ViBugcheckWorkaroundLogIndex"],
                    STATIC_SLOTS,
                ),
                type_name: None,
                fields: fields::OF_WORKAROUND,
            },
        }
    }

    /// What it is called in messages.
    #[must_use]
    pub fn describe(self) -> &'static str {
        self.definition().what
    }

    /// What a record is called in Python: `IrqlEvent`.
    #[must_use]
    pub fn record_name(self) -> &'static str {
        self.definition().record_name
    }

    /// What a record is, in one sentence.
    #[must_use]
    pub fn record_doc(self) -> &'static str {
        self.definition().record_doc
    }

    /// The numbers of its records, in the order of [`EventLog::values`](super::EventLog::values).
    #[must_use]
    pub fn fields(self) -> &'static [EventField] {
        self.definition().fields
    }

    pub(super) fn globals(self) -> Globals {
        self.definition().globals
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
}

/// The offsets of the numbers and the stack of a record.
pub(super) struct Layout {
    pub(super) stride: u64,
    /// In the order of [`EventKind::fields`]; `None` for one that this build's record does not have.
    pub(super) fields: Vec<Option<Field>>,
    pub(super) stack: Option<StackField>,
}

impl Layout {
    pub(super) fn resolve(kernel: &Kernel, kind: EventKind) -> Result<Self, Error> {
        let Some(name) = kind.definition().type_name else { return Ok(Self::words(kernel, kind)) };
        let types = kernel.types()?;
        let stride = match types.size_of(name) {
            // Windows 7 has the log, but its public symbols do not have the type.
            Err(Error::MissingType { .. })
                if kind == EventKind::Irp && matches!(kernel.build(), 7600 | 7601) =>
            {
                return Ok(Self::irp_of_windows_7(kernel));
            }
            other => other?,
        };
        let stack = Some(StackField::resolve(types, name, "StackTrace")?);
        let fields = kind.fields().iter().map(|field| types.field(name, field.c_name).ok());
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

    /// Windows 7's record, which is in no public type: 13 frames from the fourth word on, as in the pool
    /// log. That IRP and thread are its first words is presumed from the type of Windows 8; the third word
    /// is not read.
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
