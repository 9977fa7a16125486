//! The walk over the slots of the pool log: which slots hold a record, which are wanted, which are impossible.
//!
//! The walk reads the numbers and the first frame of every slot, and whole stacks only of wanted records. So a
//! caller that wants the records of a few blocks learns of damage anywhere in the log.

use super::check::{Contradictions, ImpossibleRecord, Range};
use super::lives::Lives;
use super::operation::{Classifier, Operation};
use super::record::PoolRecord;
use super::repeats::Repeats;
use super::ring::{Ring, RingRecords};
use super::stacks::Stacks;
use super::trace::{Header, Trace};
use crate::addr::Va;
use crate::error::Problem;
use crate::kernel::Kernel;

/// Records for which room is made at once in a log that is as long: the length that kernels choose.
/// With 50 frames each that is 29 MiB, of which the system provides the pages that are written.
const MOST_EXPECTED: usize = 0x1_0000;
/// If so many slots past the last one hold records, the length is too small.
const SLOTS_PAST: u32 = 4;

/// The walk.
pub(super) struct Walk<'a, W> {
    kernel: &'a Kernel,
    trace: &'a Trace,
    ring: &'a Ring,
    last: usize,
    wanted: W,
    range: Range,
    classifier: Classifier<'a>,
    contradictions: Contradictions<'a>,
    lives: Lives,
    repeats: Repeats,
    /// Slots that were read.
    age: u32,
    torn: Option<&'static str>,
    pub(super) wrapped: Option<bool>,
    pub(super) records: Vec<PoolRecord>,
    pub(super) stacks: Stacks,
    pub(super) unused: u32,
}

impl<'a, W: Fn(Va, u64) -> bool> Walk<'a, W> {
    pub(super) fn new(
        kernel: &'a Kernel,
        trace: &'a Trace,
        ring: &'a Ring,
        last: usize,
        wanted: W,
    ) -> Self {
        let range = Range::of(kernel.space().machine());
        let wrapped =
            ring.has_wrapped(kernel, |bytes| is_of_this_boot(kernel, range, &trace.header(bytes)));
        Self {
            kernel,
            trace,
            ring,
            last,
            wanted,
            range,
            classifier: Classifier::new(kernel),
            contradictions: Contradictions::new(ring, wrapped),
            lives: Lives::new(ring.length),
            repeats: Repeats::new(ring),
            age: 0,
            torn: None,
            wrapped,
            records: Vec::new(),
            stacks: Stacks::default(),
            unused: 0,
        }
    }

    pub(super) fn run(&mut self) -> RingRecords {
        self.ring.for_each(self.kernel, |slot, bytes| self.take(slot, bytes))
    }

    /// Takes a slot; false once there are enough.
    #[inline]
    fn take(&mut self, slot: u32, bytes: &[u8]) -> bool {
        if self.records.len() >= self.last {
            return false;
        }
        self.age = self.age.wrapping_add(1);
        let header = self.trace.header(bytes);
        let is_record = header.is_written() && self.counts(slot, &header);
        if self.age == 1 && self.ring.newest() == Some(slot) {
            self.torn = match is_record {
                false => Some("reserved, and nothing was written to it yet"),
                true if header.thread.is_null() => Some("written in part: its thread is null"),
                true => None,
            };
        }
        if !is_record {
            self.unused += 1;
            self.contradictions.empty(slot);
            return true;
        }
        self.repeats.take(slot, &header);
        let mut impossible = self.impossible(slot, &header, bytes);
        let is_sampled = impossible.is_none() && self.lives.wants(header.block);
        if (self.wanted)(header.block, header.size) {
            let operation = self.keep(slot, &header, bytes, &mut impossible);
            if is_sampled {
                self.lives.push(header.block, self.age - 1, operation);
            }
        } else if is_sampled {
            let operation = self.classifier.operation(&self.trace.top(bytes));
            self.lives.push(header.block, self.age - 1, operation);
        }
        self.contradictions.record(slot, impossible);
        true
    }

    /// True if the slot holds a record. Slots that a first lap has not come to may hold bytes from before the
    /// array was made, even a log of an earlier boot: only a record of this boot counts there. Without an index
    /// each slot that looks like a record counts.
    #[inline]
    fn counts(&self, slot: u32, header: &Header) -> bool {
        if self.wrapped == Some(true) {
            true
        } else if self.ring.index.is_some() {
            !self.ring.is_ahead(slot) || is_of_this_boot(self.kernel, self.range, header)
        } else {
            fits(self.range, header)
        }
    }

    /// Which value of a record no kernel writes, by its numbers and its first frame.
    #[inline]
    fn impossible(&mut self, slot: u32, header: &Header, bytes: &[u8]) -> Option<ImpossibleRecord> {
        if fits(self.range, header) { None } else { self.reason(slot, header, bytes) }
    }

    #[cold]
    fn reason(&mut self, slot: u32, header: &Header, bytes: &[u8]) -> Option<ImpossibleRecord> {
        let &Header { block, size, thread, first } = header;
        let is_unfinished = thread.is_null() && self.contradictions.is_in_flight(slot);
        if !self.range.is_object(thread) && !is_unfinished {
            Some(ImpossibleRecord::Thread)
        } else if !first.is_null() && !self.range.is_kernel(first) {
            Some(ImpossibleRecord::Frame)
        } else if !self.range.is_block(block, size) {
            Some(ImpossibleRecord::Size)
        } else if !block.is_null() && !self.range.is_kernel(block) {
            // Locked pages can be mapped for a process.
            let top = self.trace.top(bytes);
            let may_map = self.range.is_user(block) && self.classifier.may_map(&top);
            (!may_map).then_some(ImpossibleRecord::Address)
        } else {
            None
        }
    }

    /// Keeps a record that is wanted; its whole stack is checked.
    fn keep(
        &mut self,
        slot: u32,
        header: &Header,
        bytes: &[u8],
        impossible: &mut Option<ImpossibleRecord>,
    ) -> Operation {
        if self.records.is_empty() {
            let expected = self.last.min(self.ring.length as usize).min(MOST_EXPECTED);
            let frames = expected.saturating_mul(self.trace.stack.count);
            self.records.reserve(expected);
            self.stacks.reserve(frames.min(MOST_EXPECTED * 50));
        }
        let (block, stacks) = (header.block, &mut self.stacks);
        let decoded = self.trace.decode(bytes, block, &mut self.classifier, stacks);
        let frames = stacks.get(decoded.1).iter().copied();
        if impossible.is_none() && !self.range.is_stack(frames) {
            *impossible = Some(ImpossibleRecord::Frame);
        }
        self.records.push(PoolRecord::new(slot, header, decoded, *impossible));
        decoded.0
    }

    /// How many slots contradict the log.
    pub(super) fn contradictory(&self) -> u64 {
        self.contradictions.count()
    }

    /// What contradicts the log, after a walk that returned `result`.
    pub(super) fn problems(&mut self, result: &RingRecords) -> Vec<Problem> {
        let ring = self.ring;
        let mut problems = ring.contradictions(self.kernel);
        problems.extend(self.torn.map(|why| ring.torn(why)));
        problems.extend(self.contradictions.problems());
        problems.extend(self.repeats.problems(self.kernel, self.trace, ring));
        problems.extend(self.records_past_the_end());
        let is_full = self.age == ring.length && self.unused == 0 && result.missing == 0;
        let lives = std::mem::replace(&mut self.lives, Lives::new(0));
        if is_full && problems.is_empty() && ring.length.is_power_of_two() {
            problems.extend(self.wrong_index(lives));
        }
        problems
    }

    fn wrong_index(&self, lives: Lives) -> Option<Problem> {
        let ring = self.ring;
        let index = ring.index?;
        let wrong = lives.wrong_index()?;
        // The walk began at the slot of the index.
        let newest = index.wrapping_sub(wrong.age) & ring.length.wrapping_sub(1);
        let why = format!(
            "VfPoolTracesIndex {index:#x} does not fit the records: {} blocks are allocated twice, or \
             freed twice, without the other in between; with the newest record at slot {newest:#x} it \
             would be {}",
            wrong.pairs, wrong.best
        );
        Some(Problem::at("order of the pool log", ring.array, why))
    }

    /// Records that go on past the last slot: the length is too small.
    fn records_past_the_end(&self) -> Option<Problem> {
        let ring = self.ring;
        if ring.array.is_null() || ring.length == 0 {
            return None;
        }
        let mut bytes = vec![0u8; self.trace.stride];
        let all = (0..SLOTS_PAST).all(|further| {
            let at = ring.at(ring.length.saturating_add(further));
            self.kernel.space().read(at, &mut bytes).is_ok()
                && self.trace.is_record(self.kernel, &bytes)
        });
        all.then(|| {
            let why = format!(
                "records go on past the last slot: VfPoolTracesLength {:#x} is too small",
                ring.length
            );
            Problem::at("length of the pool log", ring.at(ring.length), why)
        })
    }
}

/// True of numbers and a first frame that every kernel may write.
#[inline]
fn fits(range: Range, header: &Header) -> bool {
    let &Header { block, size, thread, first } = header;
    range.is_object(thread)
        && (block.is_null() || range.is_kernel(block))
        && range.is_block(block, size)
        && (first.is_null() || range.is_kernel(first))
}

/// True of a record whose stack starts in a known image of this boot, or if the images are unknown.
fn is_of_this_boot(kernel: &Kernel, range: Range, header: &Header) -> bool {
    let (modules, first) = (kernel.modules(), header.first);
    fits(range, header)
        && !first.is_null()
        && (modules.find(first).is_some()
            || modules.find_unloaded(first).is_some()
            || modules.find(kernel.base()).is_none())
}
