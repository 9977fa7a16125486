//! The pool log: recent allocations and frees, `_VF_POOL_TRACE` records behind `VfPoolTraces`.
//!
//! A record is {Address, Size, Thread, StackTrace[]}, with 13 frames up to Windows 10 and Server
//! 2022 and 50 from 22000 on: the stride and the number of frames come from the types. The stack ends
//! at the first null; frames behind it are left over from an earlier lap. Slots that were never used
//! are zero on most builds; up to 19041 the array is not cleared when it is made, so of the slots that a
//! first lap has not come to only those with a record of this boot count.
//!
//! `Address` null with a size is an allocation that failed. Nothing in a record tells an allocation
//! from a free: see [`classify`](super::classify). Sizes differ in kind too: an allocation logs what was
//! asked for, a free the size of the block.

use super::pool_walk::Walk;
use super::record::PoolRecord;
use super::ring::Ring;
use super::stacks::Stacks;
use super::trace::Trace;
use crate::addr::Va;
use crate::error::{Error, Problem};
use crate::kernel::Kernel;
use crate::verifier::{Drivers, Level, Settings};

/// Bit of `VfOptionFlags`: 22000 and later make no pool log, earlier kernels log no stacks.
const NO_STACKS: u32 = 0x2;

/// The pool log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PoolLog {
    /// Where it lies.
    pub ring: Ring,
    /// Records, in the ring's order: newest first, if its index is known.
    pub records: Vec<PoolRecord>,
    stacks: Stacks,
    /// Slots that hold no record.
    pub unused: u32,
    /// Slots whose pages could not be read.
    pub missing: u64,
    /// Slots that contradict the log: impossible records, slots that are empty though they were written.
    pub contradictory: u64,
    /// The address that blocks had to hold, where one was asked for.
    pub about: Option<Va>,
    /// Whether reading ended before the log did: at a limit, or because it was stopped.
    pub is_cut: bool,
    /// Whether records have been overwritten; `None` where nothing that can be read tells.
    pub wrapped: Option<bool>,
    /// Why there is nothing, where there is nothing: it is off, nothing was written, it is absent.
    pub empty_because: Option<&'static str>,
    /// What could not be read or does not fit.
    pub problems: Vec<Problem>,
}

impl PoolLog {
    /// Reads the newest `last` records, or all. Where the log's index is not known, neither is which are
    /// the newest ([`Ring::order`]): then the records are given all the same, as they lie, and a problem
    /// says so.
    ///
    /// # Errors
    /// Where the kernel's symbols are missing or do not have the log, or its globals but the index cannot
    /// be read.
    pub fn read(kernel: &Kernel, last: Option<usize>) -> Result<Self, Error> {
        Self::read_where(kernel, last, |_, _| true)
    }

    /// Reads the newest `last` records, or all, of which the block holds `address` where one is given.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub fn read_about(
        kernel: &Kernel,
        last: Option<usize>,
        address: Option<Va>,
    ) -> Result<Self, Error> {
        let log = Self::read_where(kernel, last, |start, size| {
            address.is_none_or(|address| address.is_in(start, size))
        })?;
        Ok(Self { about: address, ..log })
    }

    /// Reads the newest `last` records whose address and size `wanted` accepts.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub fn read_where(
        kernel: &Kernel,
        last: Option<usize>,
        wanted: impl Fn(Va, u64) -> bool,
    ) -> Result<Self, Error> {
        let trace = Trace::resolve(kernel.types()?)?;
        let (ring, no_index) = Ring::locate_in_any_order(
            kernel,
            "pool log",
            ["VfPoolTraces", "VfPoolTracesIndex", "VfPoolTracesLength"],
            trace.stride as u64,
        )?;
        let mut walk = Walk::new(kernel, &trace, &ring, last.unwrap_or(usize::MAX), wanted);
        let result = walk.run();
        let mut problems: Vec<Problem> =
            no_index.and_then(|error| unknown_order(&ring, &error, last)).into_iter().collect();
        problems.extend(why_absent(kernel, &ring));
        problems.extend(walk.problems(&result));
        problems.extend(result.problems);
        problems.extend(Drivers::module_problems(kernel));
        kernel.report_into(&mut problems);
        Ok(Self {
            empty_because: if ring.array.is_null() {
                Some("the pool log is off: VfPoolTraces is null (pool tracking was never enabled)")
            } else {
                ring.why_empty(walk.unused, result.missing)
            },
            contradictory: walk.contradictory(),
            wrapped: walk.wrapped,
            unused: walk.unused,
            records: std::mem::take(&mut walk.records),
            stacks: std::mem::take(&mut walk.stacks),
            missing: result.missing,
            about: None,
            is_cut: result.is_cut,
            problems,
            ring: ring.clone(),
        })
    }

    /// True where the log is there and none of its pages can be read.
    #[must_use]
    pub fn is_unreadable(&self) -> bool {
        self.ring.is_unreadable(self.missing)
    }

    /// The frames of a record, innermost first.
    #[must_use]
    pub fn frames(&self, record: &PoolRecord) -> &[Va] {
        self.stacks.get(record.stack)
    }

    /// Every frame of every record.
    #[must_use]
    pub fn all_frames(&self) -> &[Va] {
        self.stacks.all()
    }

    /// The same without a copy: those of the first record, then those of the next.
    #[must_use]
    pub fn into_frames(self) -> Vec<Va> {
        self.stacks.into_all()
    }
}

/// The problem of a log without an index, for this `error`.
fn unknown_order(ring: &Ring, error: &Error, last: Option<usize>) -> Option<Problem> {
    if ring.array.is_null() {
        return None;
    }
    let newest = last
        .map_or(String::new(), |last| format!(", and which are the newest {last} is not known"));
    let why = format!("unknown: {error}; records are given by slot, the last first{newest}");
    Some(Problem::at("order of the pool log", ring.array, why))
}

/// The problem of a log that is not there although it must be: its index counts records, or pool is
/// tracked.
fn why_absent(kernel: &Kernel, ring: &Ring) -> Option<Problem> {
    if !ring.array.is_null() {
        return None;
    }
    let at = kernel.global("VfPoolTraces").ok()?;
    if let Some(index) = ring.index.filter(|&index| index != 0) {
        let why = format!("null, though VfPoolTracesIndex {index:#x} counts records");
        return Some(Problem::at("VfPoolTraces", at, why));
    }
    let tracks = Settings::read(kernel).is_ok_and(|all| all.level.has(Level::POOL_TRACKING));
    let options = kernel.global("VfOptionFlags").ok();
    let options = options.and_then(|at| kernel.space().memory().read_u32(at).ok()).unwrap_or(0);
    (tracks && options & NO_STACKS == 0)
        .then(|| Problem::at("VfPoolTraces", at, "null, though pool tracking is on"))
}
