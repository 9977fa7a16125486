//! The logs beside the pool log by name: their globals, what their records hold, where it lies.

use crate::describe::Kind;
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
    EventField { c_name, name, kind, label, doc }
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

    /// What a record is called in Python: `IrqlEvent`.
    #[must_use]
    pub fn record_name(self) -> &'static str {
        match self {
            EventKind::Irql => "IrqlEvent",
            EventKind::Fault => "FaultEvent",
            EventKind::Region => "RegionEvent",
            EventKind::Irp => "IrpEvent",
            EventKind::Pending => "PendingEvent",
            EventKind::Suppressed => "SuppressedEvent",
            EventKind::Workaround => "WorkaroundEvent",
        }
    }

    /// What a record is, in one sentence.
    #[must_use]
    pub fn record_doc(self) -> &'static str {
        match self {
            EventKind::Irql => "An IRQL transition.",
            EventKind::Fault => "A fault that Verifier injected.",
            EventKind::Region => "A critical region that was entered or left.",
            EventKind::Irp => "An IRP that was allocated, completed or canceled.",
            EventKind::Pending => "An IRP that was forced to pend.",
            EventKind::Suppressed => "A bug check that was suppressed.",
            EventKind::Workaround => "A bug check that Verifier worked around.",
        }
    }

    /// The numbers of its records, in the order of [`EventLog::values`](super::EventLog::values).
    #[must_use]
    pub fn fields(self) -> &'static [EventField] {
        use Kind::{Address, I64};
        const THREAD: EventField =
            field(Address, "Thread", "thread", "Thread:", "The thread's `_ETHREAD`.");
        const IRP: EventField = field(Address, "Irp", "irp", "Irp:", "The `_IRP`.");
        const IRQL: &[EventField] = &[
            THREAD,
            field(I64, "OldIrql", "old_irql", "Old irql:", "The IRQL before the transition."),
            field(I64, "NewIrql", "new_irql", "New irql:", "The IRQL after the transition."),
            field(I64, "Processor", "processor", "Processor:", "The number of the processor."),
            field(I64, "TickCount", "tick", "Time stamp:", "The kernel's tick count."),
        ];
        const IRPS: &[EventField] = &[
            IRP,
            THREAD,
            field(
                I64,
                "KernelApcDisable",
                "kernel_apc_disable",
                "Kernel APCs:",
                "The thread's count of disabled kernel APCs, negative while they are disabled.",
            ),
            field(
                I64,
                "SpecialApcDisable",
                "special_apc_disable",
                "Special APCs:",
                "The thread's count of disabled special APCs, negative while they are disabled.",
            ),
            field(I64, "Irql", "irql", "Irql:", "The IRQL of the call."),
        ];
        const SUPPRESSED: &[EventField] = &[
            field(I64, "Code", "code", "Bug check:", "The bug check's code."),
            field(Address, "Parameter1", "parameter1", "Parameter 1:", "Its first parameter."),
            field(Address, "Parameter2", "parameter2", "Parameter 2:", "Its second parameter."),
            field(Address, "Parameter3", "parameter3", "Parameter 3:", "Its third parameter."),
            field(Address, "Parameter4", "parameter4", "Parameter 4:", "Its fourth parameter."),
        ];
        const WORKAROUND: &[EventField] = &[
            field(
                I64,
                "Type",
                "type",
                "Type:",
                "What was worked around; 1 is an allocation of no bytes.",
            ),
            field(Address, "Caller", "caller", "Caller:", "The return address of the call."),
            field(
                Address,
                "Pointer",
                "pointer",
                "Pointer:",
                "The pointer that the call was about.",
            ),
        ];
        match self {
            EventKind::Irql => IRQL,
            EventKind::Fault | EventKind::Region => &[THREAD],
            EventKind::Irp => IRPS,
            EventKind::Pending => &[IRP, THREAD],
            EventKind::Suppressed => SUPPRESSED,
            EventKind::Workaround => WORKAROUND,
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
