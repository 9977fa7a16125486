//! The logs beside the pool log: IRQL transitions, injected faults, critical regions, IRPs, IRPs that
//! were forced to pend, suppressed bug checks, bug checks that were worked around.

use super::check::{Contradictions, ImpossibleRecord, Range};
use super::kind::{EventField, EventKind, Globals, Layout, MAX_FIELDS};
use super::ring::{Ring, RingRecords};
use super::stacks::{Stack, Stacks};
use crate::addr::Va;
use crate::error::{Error, Problem};
use crate::kernel::Kernel;
use crate::verifier::Drivers;

/// The numbers of a record, in the order of [`EventKind::fields`], then zeros. A number that the build's record
/// does not have is zero.
type Values = [u64; MAX_FIELDS];

/// A record of one of these logs; [`EventLog::values`] returns its numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventRecord {
    /// Its slot in the ring.
    pub slot: u32,
    /// Which of its values no kernel writes: then the record was damaged, and none of it can be relied on.
    pub impossible: Option<ImpossibleRecord>,
    values: Values,
    stack: Stack,
}

/// One of these logs.
///
/// | log | globals (array, index, length) | record |
/// |---|---|---|
/// | irql | `ViTrackIrqlQueue`, `ViTrackIrqlIndex`, `ViTrackIrqlQueueLength` | `_VI_TRACK_IRQL` |
/// | fault | `ViFaultTraces`, `ViFaultTracesIndex`, `ViFaultTracesLength` | `_VI_FAULT_TRACE` |
/// | region | `VfKeCriticalRegionTraces`, `…Index`, `…Length` | `_VF_KE_CRITICAL_REGION_TRACE` |
/// | irp | `IovIrpTraces`, `IovIrpTracesIndex`, `IovIrpTracesLength` | `_IOV_IRP_TRACE` (8 on; of 7 presumed) |
/// | pending | `VfForcedPendingLog`, `VfForcedPendingIrps` (the index), `…LogLength` | `_IOV_FORCED_PENDING_TRACE` |
/// | suppressed | `ViBugcheckLog` (the array itself), `ViBugcheckLogIndex`, 16 | code, four parameters; in no public type |
/// | workaround | `ViBugcheckWorkaroundLog` (likewise), `ViBugcheckWorkaroundLogIndex`, 16 | type, caller, pointer; likewise |
///
/// Each record has numbers by name. The records of all but the last two logs have a stack that ends at the first
/// null. All arrays are cleared when they are made, so a slot whose numbers are all zero was never used. An IRP
/// record does not say which call it is of: its stack does.
///
/// Writers reserve a slot before they fill it, so the newest slot may be torn: empty, or with the thread
/// or IRP missing. It is returned as it is, and a problem says so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventLog {
    /// Which.
    pub kind: EventKind,
    /// Its array, index and length.
    pub ring: Ring,
    /// Records, newest first.
    pub records: Vec<EventRecord>,
    /// Which of the kind's fields this build's records have.
    pub(super) has: [bool; MAX_FIELDS],
    depth: usize,
    stacks: Stacks,
    /// Slots that hold no record.
    pub unused: u32,
    /// Slots whose pages could not be read.
    pub missing: u64,
    /// The address that the caller asked for: an IRP, a thread, a parameter.
    pub about: Option<Va>,
    /// Whether records have been overwritten; `None` if no readable slot shows it.
    pub wrapped: Option<bool>,
    /// Why there are no records: the log is off, nothing was written, its pages are absent.
    pub empty_because: Option<&'static str>,
    /// What could not be read or is contradictory.
    pub problems: Vec<Problem>,
}

impl EventLog {
    /// Reads the newest `last` records, or all. If `wanted` is given, only records of which it is one of the
    /// addresses (an IRP, a thread, a parameter).
    ///
    /// # Errors
    /// If the kernel's symbols are missing or do not have the log or its type, or if its globals cannot be read.
    pub fn read(
        kernel: &Kernel,
        kind: EventKind,
        last: Option<usize>,
        wanted: Option<Va>,
    ) -> Result<Self, Error> {
        let layout = Layout::resolve(kernel, kind)?;
        let what = kind.describe();
        let (ring, is_static) = match kind.globals() {
            Globals::Allocated(names) => (Ring::locate(kernel, what, names, layout.stride)?, false),
            Globals::Static(names, length) => {
                (Ring::locate_static(kernel, what, names, length, layout.stride)?, true)
            }
        };
        let last = last.unwrap_or(usize::MAX);
        let mut walk = Walk::new(kernel, kind, &layout, &ring, last, wanted);
        let result = ring.for_each(kernel, |slot, bytes| walk.take(slot, bytes));
        let mut problems = if is_static { Vec::new() } else { ring.contradictions(kernel) };
        problems.extend(walk.problems());
        problems.extend(result.problems);
        problems.extend(Drivers::module_problems(kernel));
        kernel.report_into(&mut problems);
        let Walk { wrapped, has, records, stacks, unused, .. } = walk;
        let RingRecords { missing, .. } = result;
        let empty_because = match ring.array.is_null() {
            true => Some(kind.off(kernel.build())),
            false => ring.why_empty(unused, missing),
        };
        Ok(Self {
            kind,
            wrapped,
            empty_because,
            ring,
            records,
            has,
            depth: layout.stack.map_or(0, |stack| stack.count),
            stacks,
            unused,
            missing,
            about: wanted,
            problems,
        })
    }

    /// A record's numbers with their fields; `None` for a number that this build's record does not have.
    /// Signed numbers are sign-extended.
    pub fn values<'a>(
        &'a self,
        record: &'a EventRecord,
    ) -> impl Iterator<Item = (&'static EventField, Option<u64>)> + 'a {
        let values = record.values.iter().zip(self.has).map(|(&value, has)| has.then_some(value));
        self.kind.fields().iter().zip(values)
    }

    /// True if the log has an array and none of its pages can be read.
    #[must_use]
    pub fn is_unreadable(&self) -> bool {
        self.ring.is_unreadable(self.missing)
    }

    /// Frames that a record has room for.
    #[must_use]
    pub fn depth(&self) -> usize {
        self.depth
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

/// The walk over the slots: which hold a record, which are wanted, which are impossible.
struct Walk<'a> {
    kind: EventKind,
    layout: &'a Layout,
    ring: &'a Ring,
    last: usize,
    wanted: Option<Va>,
    range: Range,
    has: [bool; MAX_FIELDS],
    wrapped: Option<bool>,
    contradictions: Contradictions<'a>,
    torn: Option<&'static str>,
    records: Vec<EventRecord>,
    stacks: Stacks,
    unused: u32,
}

impl<'a> Walk<'a> {
    fn new(
        kernel: &Kernel,
        kind: EventKind,
        layout: &'a Layout,
        ring: &'a Ring,
        last: usize,
        wanted: Option<Va>,
    ) -> Self {
        let mut has = [false; MAX_FIELDS];
        for (has, field) in has.iter_mut().zip(&layout.fields) {
            *has = field.is_some();
        }
        let wrapped = ring.has_wrapped(kernel, |bytes| numbers(layout, bytes) != [0; MAX_FIELDS]);
        Self {
            kind,
            layout,
            ring,
            last,
            wanted,
            range: Range::of(kernel.space().machine()),
            has,
            wrapped,
            contradictions: Contradictions::new(ring, wrapped),
            torn: None,
            records: Vec::new(),
            stacks: Stacks::default(),
            unused: 0,
        }
    }

    /// Takes a slot; false once there are enough records.
    fn take(&mut self, slot: u32, bytes: &[u8]) -> bool {
        if self.records.len() >= self.last {
            return false;
        }
        let values = numbers(self.layout, bytes);
        if self.ring.newest() == Some(slot) {
            self.torn = self.why_torn(&values);
        }
        if values == [0; MAX_FIELDS] {
            self.unused += 1;
            self.contradictions.empty(slot);
            return true;
        }
        let impossible = self.why_impossible(slot, &values, bytes);
        self.contradictions.record(slot, impossible);
        if self.wants(&values) {
            let stack = match &self.layout.stack {
                Some(field) => self.stacks.push(field, bytes),
                None => self.stacks.copy(&[]),
            };
            self.records.push(EventRecord { slot, impossible, values, stack });
        }
        true
    }

    fn wants(&self, values: &Values) -> bool {
        let mut fields = self.kind.fields().iter().zip(values);
        self.wanted.is_none_or(|wanted| {
            fields.any(|(field, &value)| field.is_address() && Va(value) == wanted)
        })
    }

    /// The fields that this build has, with their values in a record.
    fn known<'v>(
        &self,
        values: &'v Values,
    ) -> impl Iterator<Item = (&'static EventField, u64)> + use<'v> {
        let fields = self.kind.fields().iter().zip(self.has).zip(values);
        fields.filter(|((_, has), _)| *has).map(|((field, _), &value)| (field, value))
    }

    /// What the newest record lacks, if it lacks anything.
    fn why_torn(&self, values: &Values) -> Option<&'static str> {
        if *values == [0; MAX_FIELDS] {
            return Some("reserved, and nothing was written to it yet");
        }
        let null = |name: &str| {
            self.known(values).any(|(field, value)| field.c_name == name && value == 0)
        };
        if null("Thread") {
            Some("written in part: its thread is null")
        } else if null("Irp") {
            Some("written in part: its IRP is null")
        } else {
            None
        }
    }

    /// Which value of a record no kernel writes, if there is one. A record whose writer may not be done may
    /// lack its thread or its IRP.
    fn why_impossible(&self, slot: u32, values: &Values, bytes: &[u8]) -> Option<ImpossibleRecord> {
        let range = self.range;
        let is_unfinished = self.contradictions.is_in_flight(slot);
        let is_object = |value| range.is_object(Va(value)) || (is_unfinished && value == 0);
        let number = self.known(values).find_map(|(field, value)| {
            let (is_possible, impossible) = match field.c_name {
                "Thread" => (is_object(value), ImpossibleRecord::Thread),
                "Irp" => (is_object(value), ImpossibleRecord::Irp),
                "OldIrql" | "NewIrql" | "Irql" => (range.is_irql(value), ImpossibleRecord::Irql),
                "Processor" => (range.is_processor(value), ImpossibleRecord::Processor),
                _ => return None,
            };
            (!is_possible).then_some(impossible)
        });
        number.or_else(|| {
            let stack = self.layout.stack.as_ref()?;
            (!range.is_stack(stack.frames(bytes))).then_some(ImpossibleRecord::Frame)
        })
    }

    fn problems(&self) -> Vec<Problem> {
        let torn = self.torn.map(|why| self.ring.torn(why));
        torn.into_iter().chain(self.contradictions.problems()).collect()
    }
}

/// The numbers of a slot.
fn numbers(layout: &Layout, bytes: &[u8]) -> Values {
    let mut values = [0u64; MAX_FIELDS];
    for (value, field) in values.iter_mut().zip(&layout.fields) {
        *value = field.as_ref().and_then(|field| field.get(bytes)).unwrap_or(0);
    }
    values
}
