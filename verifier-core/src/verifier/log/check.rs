//! What contradicts a log: records with values that no kernel writes, slots that are empty though they were
//! written, slots that are used though the index has not come to them.
//!
//! A record with such a value is marked ([`ImpossibleRecord`]) and kept. Slots are reported by address, adjoining
//! ones together, a few runs of each kind. The others are counted.

use std::fmt;

use super::ring::{IN_FLIGHT, Ring};
use crate::addr::Va;
use crate::describe::names;
use crate::error::Problem;
use crate::machine::{MAX_PROCESSORS, Machine};

/// Runs of slots of one kind that are reported one by one.
const MAX_RUNS: usize = 4;
/// The largest block of a 64-bit kernel: no region of its address space for pool or mappings is larger.
const LARGEST_BLOCK: u64 = 1 << 44;

/// Which value of a record no kernel writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum ImpossibleRecord {
    /// The block's address is not in the kernel's half of the address space.
    Address,
    /// The block is larger than any, or ends past the end of the address space.
    Size,
    /// The thread is not the address of an object in the kernel's half.
    Thread,
    /// The first frame of the stack is not in the kernel's half, or a later one is in neither half.
    Frame,
    /// The IRP is not the address of an object in the kernel's half.
    Irp,
    /// An IRQL is higher than the processor has.
    Irql,
    /// The processor's number is higher than Windows has.
    Processor,
}

names! {
    /// The name in JSON, CSV and tables.
    ImpossibleRecord {
        Address => "address",
        Size => "size",
        Thread => "thread",
        Frame => "frame",
        Irp => "irp",
        Irql => "irql",
        Processor => "processor",
    }
}

impl ImpossibleRecord {
    /// The reason in words.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            ImpossibleRecord::Address => {
                "its address is not in the kernel's half of the address space"
            }
            ImpossibleRecord::Size => "its size is larger than any block",
            ImpossibleRecord::Thread => "its thread is not an object in the kernel's half",
            ImpossibleRecord::Frame => "its stack is not one of the kernel",
            ImpossibleRecord::Irp => "its IRP is not an object in the kernel's half",
            ImpossibleRecord::Irql => "no processor has so high an IRQL",
            ImpossibleRecord::Processor => "Windows does not have so many processors",
        }
    }
}

impl fmt::Display for ImpossibleRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.words())
    }
}

/// What values a machine can have.
#[derive(Clone, Copy)]
pub(super) struct Range {
    /// The first and the last address of the kernel's half, which ends the address space.
    first: u64,
    last: u64,
    /// Where user space ends. With five-level paging it is larger, but no process uses more.
    user_end: u64,
    highest_irql: u64,
}

impl Range {
    pub(super) fn of(machine: Machine) -> Self {
        let (first, last) = machine.kernel_half();
        let (user_end, highest_irql) = match machine {
            Machine::X86 => (first, 31),
            Machine::X64 | Machine::Arm64 => (1 << 48, 15),
        };
        Self { first, last, user_end, highest_irql }
    }

    /// True of an address of an object: in the kernel's half, aligned.
    #[inline]
    pub(super) fn is_object(self, va: Va) -> bool {
        self.is_kernel(va) && va.0.is_multiple_of(8)
    }

    /// True of a block that fits into the address space. An allocation that failed may have any size.
    #[inline]
    pub(super) fn is_block(self, start: Va, size: u64) -> bool {
        start.is_null() || (size <= LARGEST_BLOCK && size <= self.last - start.0.min(self.last))
    }

    /// True of an address in the kernel's half.
    #[inline]
    pub(super) fn is_kernel(self, va: Va) -> bool {
        self.first <= va.0 && va.0 <= self.last
    }

    /// True of an address in a half that a process has.
    #[inline]
    pub(super) fn is_user(self, va: Va) -> bool {
        va.0 < self.user_end
    }

    /// True of the frames of a stack that was captured in the kernel. The last ones may be the process's.
    #[inline]
    pub(super) fn is_stack(self, mut frames: impl Iterator<Item = Va>) -> bool {
        frames.next().is_none_or(|first| self.is_kernel(first))
            && frames.all(|frame| self.is_kernel(frame) || self.is_user(frame))
    }

    pub(super) fn is_irql(self, irql: u64) -> bool {
        irql <= self.highest_irql
    }

    pub(super) fn is_processor(self, number: u64) -> bool {
        number < MAX_PROCESSORS.into()
    }
}

/// Slots that contradict the log, gathered while it is walked from the newest down.
pub(super) struct Contradictions<'r> {
    ring: &'r Ring,
    wrapped: Option<bool>,
    impossible: Runs,
    empty: Runs,
    ahead: Runs,
    /// Empty slots that a first lap has not come to.
    empty_ahead: u64,
}

impl<'r> Contradictions<'r> {
    pub(super) fn new(ring: &'r Ring, wrapped: Option<bool>) -> Self {
        let none = Runs::default;
        Self { ring, wrapped, impossible: none(), empty: none(), ahead: none(), empty_ahead: 0 }
    }

    /// Takes a slot that holds no record.
    pub(super) fn empty(&mut self, slot: u32) {
        if self.ring.index.is_none() || !self.ring.length.is_power_of_two() {
            return;
        }
        if self.ring.is_ahead(slot) && self.wrapped != Some(true) {
            self.empty_ahead += 1;
        } else if !self.is_in_flight(slot) {
            self.empty.push(slot, None);
        }
    }

    /// Takes a slot that holds a record.
    #[inline]
    pub(super) fn record(&mut self, slot: u32, impossible: Option<ImpossibleRecord>) {
        if impossible.is_some() {
            self.impossible.push(slot, impossible);
        }
        if self.wrapped != Some(true) && self.ring.is_ahead(slot) {
            self.ahead.push(slot, None);
        }
    }

    /// True of a slot whose writer may not be done.
    pub(super) fn is_in_flight(&self, slot: u32) -> bool {
        let below = |newest: u32| newest.wrapping_sub(slot) & self.ring.length.wrapping_sub(1);
        self.ring.newest().is_some_and(|newest| below(newest) < IN_FLIGHT)
    }

    /// How many slots contradict the log.
    pub(super) fn count(&self) -> u64 {
        self.impossible.count + self.empty.count + self.used_ahead()
    }

    /// A first lap leaves the slots ahead of the index empty, and a later one leaves none empty.
    fn used_ahead(&self) -> u64 {
        if self.empty_ahead > 0 { self.ahead.count } else { 0 }
    }

    pub(super) fn problems(&self) -> Vec<Problem> {
        let ring = self.ring;
        let mut problems = Vec::new();
        self.impossible.report(ring, "impossible records", &mut problems, |one| {
            let reason = one.map_or("", ImpossibleRecord::words);
            format!("impossible: {reason}")
        });
        let index = ring.index.unwrap_or(0);
        self.empty.report(ring, "empty slots", &mut problems, |_| {
            if self.wrapped == Some(true) || index >= ring.length {
                format!("empty, though each slot of the log was written (index {index:#x})")
            } else {
                format!("empty, though the index ({index:#x}) has passed")
            }
        });
        if self.used_ahead() > 0 {
            self.ahead.report(ring, "used slots", &mut problems, |_| {
                format!(
                    "used, though the index ({index:#x}) has not come so far and {} slots past it \
                     are empty",
                    self.empty_ahead
                )
            });
        }
        problems
    }
}

/// Runs of adjoining slots, from high to low.
#[derive(Default)]
struct Runs {
    /// The first of them, each with the reason of its lowest slot.
    first: Vec<(u32, u32, Option<ImpossibleRecord>)>,
    count: u64,
    /// Slots of the runs in `first`.
    in_first: u64,
}

impl Runs {
    fn push(&mut self, slot: u32, why: Option<ImpossibleRecord>) {
        self.count += 1;
        let has_room = self.first.len() < MAX_RUNS;
        match self.first.last_mut() {
            Some((first, _, of_first)) if *first == slot.wrapping_add(1) => {
                (*first, *of_first) = (slot, why);
            }
            _ if has_room => self.first.push((slot, slot, why)),
            _ => return,
        }
        self.in_first += 1;
    }

    fn report(
        &self,
        ring: &Ring,
        kind: &str,
        problems: &mut Vec<Problem>,
        words: impl Fn(Option<ImpossibleRecord>) -> String,
    ) {
        for &(first, last, why) in &self.first {
            problems.push(ring.of_slots(first, last, words(why)));
        }
        if self.count > self.in_first {
            let more = self.count - self.in_first;
            problems.push(Problem::new(ring.what(), format!("{more} more {kind}")));
        }
    }
}
