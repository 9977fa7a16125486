//! The pool log: recent allocations and frees, `_VF_POOL_TRACE` records at `VfPoolTraces`.

use super::pool_walk::Walk;
use super::record::{PoolRecord, PoolRow};
use super::ring::{Ring, RingRecords};
use super::stacks::Stacks;
use super::trace::Trace;
use crate::addr::Va;
use crate::error::{Error, Problem};
use crate::kernel::Kernel;
use crate::verifier::{Drivers, Level, Settings};

/// Bit of `VfOptionFlags`: 22000 and later make no pool log, earlier kernels log no stacks.
const NO_STACKS: u32 = 0x2;

/// The pool log.
///
/// A record is {Address, Size, Thread, StackTrace[]}, with 13 frames up to Windows 10 and Server
/// 2022 and 50 from 22000 on: the stride and the number of frames come from the types. The stack ends
/// at the first null; frames after it are left over from an earlier lap. Slots that were never used
/// are zero on most builds. Up to 19041 the array is not cleared when it is made, so of the slots that a
/// first lap has not come to only those with a record of this boot count.
///
/// `Address` null with a size is an allocation that failed. Nothing in a record distinguishes an allocation
/// from a free: see [`classify`](super::classify). Sizes differ in kind too: an allocation logs the size that
/// was asked for, a free the size of the block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PoolLog {
    /// Its array, index and length.
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
    /// The address that the caller asked for: every block holds it.
    pub about: Option<Va>,
    /// True if the read ended before the log did: at a limit, or because it was stopped.
    pub is_cut: bool,
    /// Whether records have been overwritten; `None` if no readable slot shows it.
    pub wrapped: Option<bool>,
    /// Why there are no records: the log is off, nothing was written, its pages are absent.
    pub empty_because: Option<&'static str>,
    /// What could not be read or is contradictory.
    pub problems: Vec<Problem>,
}

impl PoolLog {
    /// Reads the newest `last` records, or all. If the log's index is unknown, the newest records are unknown
    /// too ([`Ring::order`]): the records are then returned by slot, and a problem says so.
    ///
    /// # Errors
    /// If the kernel's symbols are missing or do not have the log, or if one of its globals other than the
    /// index cannot be read.
    pub fn read(kernel: &Kernel, last: Option<usize>) -> Result<Self, Error> {
        Self::read_where(kernel, last, |_, _| true)
    }

    /// Reads the newest `last` records, or all; if `address` is given, only records whose block holds it.
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
        let RingRecords { missing, is_cut, problems: of_slots } = result;
        problems.extend(of_slots);
        problems.extend(Drivers::module_problems(kernel));
        kernel.report_into(&mut problems);
        let empty_because = match ring.array.is_null() {
            true => {
                Some("the pool log is off: VfPoolTraces is null (pool tracking was never enabled)")
            }
            false => ring.why_empty(walk.unused, missing),
        };
        Ok(Self {
            empty_because,
            contradictory: walk.contradictory(),
            wrapped: walk.wrapped,
            unused: walk.unused,
            records: std::mem::take(&mut walk.records),
            stacks: std::mem::take(&mut walk.stacks),
            missing,
            about: None,
            is_cut,
            problems,
            ring: ring.clone(),
        })
    }

    /// True if the log has an array and none of its pages can be read.
    #[must_use]
    pub fn is_unreadable(&self) -> bool {
        self.ring.is_unreadable(self.missing)
    }

    /// The records with their stacks, in the ring's order.
    pub fn rows(&self) -> impl ExactSizeIterator<Item = PoolRow<'_>> + Clone {
        self.records.iter().map(|record| PoolRow { record, frames: self.frames(record) })
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
}

/// The problem of a log whose index is unknown for this `error`.
fn unknown_order(ring: &Ring, error: &Error, last: Option<usize>) -> Option<Problem> {
    if ring.array.is_null() {
        return None;
    }
    let newest = last.map_or(String::new(), |last| {
        format!(", and which records are the newest {last} is unknown")
    });
    let why = format!("unknown: {error}; records are given by slot, the last first{newest}");
    Some(Problem::at("order of the pool log", ring.array, why))
}

/// The problem of a log that must exist and does not: its index counts records, or pool is tracked.
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
