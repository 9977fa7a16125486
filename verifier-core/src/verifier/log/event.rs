//! The logs beside the pool log: IRQL transitions, injected faults, critical regions, IRPs, IRPs that
//! were forced to pend, suppressed bug checks, bug checks that were worked around.
//!
//! | log | globals (array, index, length) | record |
//! |---|---|---|
//! | irql | `ViTrackIrqlQueue`, `ViTrackIrqlIndex`, `ViTrackIrqlQueueLength` | `_VI_TRACK_IRQL` |
//! | fault | `ViFaultTraces`, `ViFaultTracesIndex`, `ViFaultTracesLength` | `_VI_FAULT_TRACE` |
//! | region | `VfKeCriticalRegionTraces`, `…Index`, `…Length` | `_VF_KE_CRITICAL_REGION_TRACE` |
//! | irp | `IovIrpTraces`, `IovIrpTracesIndex`, `IovIrpTracesLength` | `_IOV_IRP_TRACE` (8 on; of 7 presumed) |
//! | pending | `VfForcedPendingLog`, `VfForcedPendingIrps` (the index), `VfForcedPendingLogLength` | `_IOV_FORCED_PENDING_TRACE` |
//! | suppressed | `ViBugcheckLog` (the array itself), `ViBugcheckLogIndex`, 16 | code, four parameters; in no public type |
//! | workaround | `ViBugcheckWorkaroundLog` (likewise), `ViBugcheckWorkaroundLogIndex`, 16 | type, caller, pointer; likewise |
//!
//! Each record has numbers by name, and all but the last two logs' a stack that ends at the first null.
//! All arrays are cleared when they are made, so a slot whose numbers are all zero was never used. An IRP
//! record does not say which call it is of: its stack does.
//!
//! Writers reserve a slot before they fill it, so the newest slot may be torn: empty, or with the thread
//! or IRP missing. It is returned as it is, and a problem says so.

use super::check::{Contradictions, ImpossibleRecord, Range};
use super::kind::{EventField, EventKind, Globals, Layout, MAX_FIELDS};
use super::ring::Ring;
use super::stacks::{Stack, Stacks};
use crate::addr::Va;
use crate::bytes::frames;
use crate::error::{Error, Problem};
use crate::kernel::Kernel;
use crate::verifier::Drivers;

/// A record of one of these logs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventRecord {
    /// The slot it lies in.
    pub slot: u32,
    /// Which of its values no kernel writes: then the record was damaged, and none of it can be relied on.
    pub impossible: Option<ImpossibleRecord>,
    values: [u64; MAX_FIELDS],
    stack: Stack,
}

impl EventRecord {
    /// Its numbers, in the order of [`EventKind::fields`], and zeros behind them. Signed ones are
    /// sign-extended; one that the build's record does not have is zero ([`EventLog::values`] tells).
    #[must_use]
    pub fn values(&self) -> &[u64] {
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
    /// Which of the kind's fields this build's records have.
    pub(super) has: [bool; MAX_FIELDS],
    depth: usize,
    stacks: Stacks,
    /// Slots that hold no record.
    pub unused: u32,
    /// Slots whose pages could not be read.
    pub missing: u64,
    /// The address that records had to be about, where one was asked for.
    pub about: Option<Va>,
    /// Whether records have been overwritten; `None` where nothing that can be read tells.
    pub wrapped: Option<bool>,
    /// Why there is nothing, where there is nothing: it is off, nothing was written, it is absent.
    pub empty_because: Option<&'static str>,
    /// What could not be read or does not fit.
    pub problems: Vec<Problem>,
}

impl EventLog {
    /// Reads the newest `last` records, or all, of which `address`, where given, is one of the
    /// addresses (an IRP, a thread, a parameter).
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
        let layout = Layout::resolve(kernel, kind)?;
        let what = kind.describe();
        let ring = match kind.globals() {
            Globals::Allocated(names) => Ring::locate(kernel, what, names, layout.stride)?,
            Globals::Static(names, length) => {
                Ring::locate_static(kernel, what, names, length, layout.stride)?
            }
        };
        let mut has = [false; MAX_FIELDS];
        for (has, field) in has.iter_mut().zip(&layout.fields) {
            *has = field.is_some();
        }
        let numbers = |bytes: &[u8]| {
            let mut values = [0u64; MAX_FIELDS];
            for (value, field) in values.iter_mut().zip(&layout.fields) {
                *value = field.as_ref().and_then(|field| field.get(bytes)).unwrap_or(0);
            }
            values
        };
        let last = last.unwrap_or(usize::MAX);
        let (mut records, mut stacks, mut unused) = (Vec::new(), Stacks::default(), 0);
        let mut torn = None;
        let range = Range::of(kernel.space().machine());
        let wrapped = ring.has_wrapped(kernel, |bytes| numbers(bytes) != [0; MAX_FIELDS]);
        let mut contradictions = Contradictions::new(&ring, wrapped);
        let result = ring.for_each(kernel, |slot, bytes| {
            if records.len() >= last {
                return false;
            }
            let values = numbers(bytes);
            if ring.newest() == Some(slot) {
                torn = why_torn(kind, &has, &values);
            }
            if values == [0; MAX_FIELDS] {
                unused += 1;
                contradictions.empty(slot);
                return true;
            }
            let (raw, count, size) = layout.stack.as_ref().map_or((&[][..], 0, 0), |at| {
                (bytes.get(at.start..).unwrap_or_default(), at.count, at.size)
            });
            let is_unfinished = contradictions.is_in_flight(slot);
            let impossible =
                why_impossible(kind, range, &has, &values, is_unfinished).or_else(|| {
                    (!range.is_stack(frames(raw, count, size))).then_some(ImpossibleRecord::Frame)
                });
            contradictions.record(slot, impossible);
            let mut addresses = kind.fields().iter().zip(values).filter(|(f, _)| f.is_address());
            if !wanted.is_none_or(|wanted| addresses.any(|(_, value)| Va(value) == wanted)) {
                return true;
            }
            let stack = stacks.push(raw, count, size);
            records.push(EventRecord { slot, impossible, values, stack });
            true
        });
        let mut problems = match kind.globals() {
            Globals::Allocated(_) => ring.contradictions(kernel),
            Globals::Static(..) => Vec::new(),
        };
        problems.extend(torn.map(|why| ring.torn(why)));
        problems.extend(contradictions.problems());
        problems.extend(result.problems);
        problems.extend(Drivers::module_problems(kernel));
        kernel.report_into(&mut problems);
        Ok(Self {
            kind,
            wrapped,
            empty_because: if ring.array.is_null() {
                Some(kind.off(kernel.build()))
            } else {
                ring.why_empty(unused, result.missing)
            },
            ring,
            records,
            has,
            depth: layout.stack.map_or(0, |stack| stack.count),
            stacks,
            unused,
            missing: result.missing,
            about: wanted,
            problems,
        })
    }

    /// A record's numbers with their names; `None` for one that this build's record does not have.
    pub fn values<'a>(
        &'a self,
        record: &'a EventRecord,
    ) -> impl Iterator<Item = (&'static EventField, Option<u64>)> + 'a {
        let values = record.values.iter().zip(self.has).map(|(&value, has)| has.then_some(value));
        self.kind.fields().iter().zip(values)
    }

    /// True where the log is there and none of its pages can be read.
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

/// What is missing of the newest record, if anything is.
fn why_torn(
    kind: EventKind,
    has: &[bool; MAX_FIELDS],
    values: &[u64; MAX_FIELDS],
) -> Option<&'static str> {
    if *values == [0; MAX_FIELDS] {
        return Some("reserved, and nothing was written to it yet");
    }
    let null = |name: &str| {
        let fields = kind.fields().iter().zip(has).zip(values);
        fields.into_iter().any(|((field, has), value)| field.c_name == name && *has && *value == 0)
    };
    if null("Thread") {
        Some("written in part: its thread is null")
    } else if null("Irp") {
        Some("written in part: its IRP is null")
    } else {
        None
    }
}

/// Which number of a record no kernel writes, if one is. A record that may be unfinished may lack its
/// thread or its IRP.
fn why_impossible(
    kind: EventKind,
    range: Range,
    has: &[bool; MAX_FIELDS],
    values: &[u64; MAX_FIELDS],
    is_unfinished: bool,
) -> Option<ImpossibleRecord> {
    let is_object = |value| range.is_object(Va(value)) || (is_unfinished && value == 0);
    let fields = kind.fields().iter().zip(has).zip(values);
    fields.filter(|((_, has), _)| **has).find_map(|((field, _), &value)| {
        let (is_possible, impossible) = match field.c_name {
            "Thread" => (is_object(value), ImpossibleRecord::Thread),
            "Irp" => (is_object(value), ImpossibleRecord::Irp),
            "OldIrql" | "NewIrql" | "Irql" => (range.is_irql(value), ImpossibleRecord::Irql),
            "Processor" => (range.is_processor(value), ImpossibleRecord::Processor),
            _ => return None,
        };
        (!is_possible).then_some(impossible)
    })
}
