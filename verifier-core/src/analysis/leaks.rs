//! Outstanding allocations joined with the pool log: who allocated each block that is still held.
//!
//! Kernels that keep blocks in the pool info tree keep each block's stack there too: that is the block's,
//! whatever the log says, and needs no join. The log may still have its record, and so its thread.
//!
//! A tracking entry has the address from which the driver called; the pool log has whole stacks, but
//! of the newest operations only and without saying which are allocations. The join is by the block's
//! exact address, and the newest record of that address decides:
//!
//! * an allocation: its frames are the block's stack;
//! * a free: no stack, the allocation that followed was not logged;
//! * no record: no stack, and the log says why ([`NoStack`]).
//!
//! What the operation is comes from the names of the kernel's frames, so the kernel's symbols must be
//! there before the join is made, and those of `VerifierExt` if it is loaded. A record whose frames do
//! not say is the allocation where the block's own `CallingAddress` is among them; else it may be a
//! free's, and gives no stack ([`NoStack::Uncertain`]).

use std::collections::{HashMap, HashSet};

use super::filter::Filter;
use super::pool_kind::{PoolBounds, PoolKind};
use crate::addr::Va;
use crate::error::{Error, Problem};
use crate::kernel::Kernel;
use crate::verifier::log::{Operation, Order, PoolLog};
use crate::verifier::{Allocation, Counters, Driver, NO_DRIVER, PoolInfo, PoolReport, Source};

/// Records between two calls of a progress function.
const PROGRESS_STEP: u64 = 4096;

/// A stack of [`Leaks`]: blocks with equal frames have the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StackId(pub(super) u32);

/// Why a block has no stack.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum NoStack {
    /// The log is off.
    LogOff,
    /// The log could not be read.
    LogUnreadable,
    /// The newest record of its address is a free.
    Freed,
    /// No record; the ring has wrapped.
    Overwritten,
    /// No record among those that are there; others are on pages that are not in the dump.
    PageAbsent,
    /// No record among those that were read: reading ended at a limit, or was stopped.
    NotRead,
    /// No record, and the ring has not wrapped.
    NotLogged,
    /// It has several records, and the log's order is not known.
    OrderUnknown,
    /// Its record holds no frames.
    NoFrames,
    /// The frames of its newest record do not tell an allocation from a free, nor hold the address that
    /// allocated the block.
    Uncertain,
}

impl NoStack {
    /// Every reason.
    pub const ALL: [NoStack; 10] = [
        NoStack::LogOff,
        NoStack::LogUnreadable,
        NoStack::Freed,
        NoStack::Overwritten,
        NoStack::PageAbsent,
        NoStack::NotRead,
        NoStack::NotLogged,
        NoStack::OrderUnknown,
        NoStack::NoFrames,
        NoStack::Uncertain,
    ];

    /// The reason in words, of a log that reaches so far.
    #[must_use]
    pub fn words(self, reach: Reach) -> String {
        let Reach { records, missing, .. } = reach;
        match self {
            NoStack::LogOff => "the pool log is off".into(),
            NoStack::LogUnreadable => "the pool log cannot be read".into(),
            NoStack::Freed => "its newest record is a free".into(),
            NoStack::Overwritten => {
                format!("overwritten: the log has wrapped and reaches back {records} records")
            }
            NoStack::PageAbsent => format!(
                "page absent: {missing} slots of the log are not in the dump, and none of the \
                 {records} records that are is of this block"
            ),
            NoStack::NotRead => format!(
                "not read: none of the {records} records that were read is of this block, and \
                 reading ended before the log did"
            ),
            NoStack::NotLogged => format!(
                "not logged: none of the {records} records is of this block, and the log has not \
                 wrapped"
            ),
            NoStack::OrderUnknown => {
                "order unknown: the log's index is not known, so nothing tells which of its records \
                 is the newest"
                    .into()
            }
            NoStack::NoFrames => "its newest record holds no frames".into(),
            NoStack::Uncertain => {
                "its newest record may be a free: its frames do not tell, nor hold \
                                   the address that allocated the block"
                    .into()
            }
        }
    }

    /// Why a block of which the log has no record has none.
    pub(super) fn of_log(log: &PoolLog) -> Self {
        if log.ring.array.is_null() {
            NoStack::LogOff
        } else if log.is_cut {
            NoStack::NotRead
        } else if log.missing > 0 {
            NoStack::PageAbsent
        } else if log.wrapped == Some(false) {
            NoStack::NotLogged
        } else {
            NoStack::Overwritten
        }
    }
}

/// Where a block's stack is from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum StackSource {
    /// The newest record of its address in the pool log.
    Log,
    /// The pool info tree.
    PoolInfo,
}

impl StackSource {
    /// The words in JSON and text.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            StackSource::Log => "pool log",
            StackSource::PoolInfo => "pool info tree",
        }
    }
}

/// What the log says of a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RecordOf {
    /// The record's slot.
    pub slot: u32,
    /// [`Operation::Allocate`], or [`Operation::Unknown`] where its frames do not say; of a block
    /// whose newest record is a free, [`Operation::Free`].
    pub operation: Operation,
    /// `Size`: for an allocation what the driver asked for.
    pub size: u64,
    /// `Thread`.
    pub thread: Va,
}

/// An outstanding allocation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Block {
    /// Whose it is: index in [`Leaks::drivers`].
    pub driver: usize,
    /// The tracking entry.
    pub allocation: Allocation,
    /// Paged or nonpaged, where it can be told.
    pub kind: PoolKind,
    /// The newest record of its address.
    pub record: Option<RecordOf>,
    /// Its stack, or why it has none.
    pub stack: Result<StackId, NoStack>,
    /// Where the stack is from.
    pub stack_source: Option<StackSource>,
}

impl Block {
    /// What was asked for, where it is known: the tree keeps it, the log if it has the allocation.
    #[must_use]
    pub fn requested(&self) -> Option<u64> {
        match self.allocation.source {
            Source::PoolInfo { .. } => Some(self.allocation.size),
            Source::Tracker | Source::Carved => self.made().map(|record| record.size),
        }
    }

    /// The record of its allocation.
    #[must_use]
    pub fn made(&self) -> Option<RecordOf> {
        self.record.filter(|record| self.stack.is_ok() && record.operation != Operation::Free)
    }
}

/// A driver with its blocks counted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder {
    /// The driver's file name; [`NO_DRIVER`] for blocks of no known driver.
    pub name: String,
    /// How many blocks its own counters say that it holds, and those that the pool info tree has of it.
    pub counted: u64,
}

/// What the pool info trees gave.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TreeReach {
    /// Blocks that were read, of all drivers.
    pub blocks: u64,
    /// Blocks that the tree counts and that were not reached.
    pub unread: u64,
    /// Stacks that were read.
    pub stacks: u64,
}

/// How far back the log reaches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Reach {
    /// Records that it has room for.
    pub capacity: u32,
    /// Records ever written, modulo 2^32; `None` where that is not known, nor their order.
    pub written: Option<u32>,
    /// Records that were read.
    pub records: u64,
    /// Slots on pages that are not in the dump.
    pub missing: u64,
}

impl Reach {
    /// That of a log of which so many records were looked at.
    pub(super) fn of_log(log: &PoolLog, records: u64) -> Self {
        let (capacity, written) = (log.ring.length, log.ring.index);
        Self { capacity, written, records, missing: log.missing }
    }
}

/// A count of blocks and their bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Total {
    /// Blocks.
    pub count: u64,
    /// The sum of their sizes.
    pub bytes: u64,
}

impl Total {
    /// One block more.
    pub(super) fn add(&mut self, bytes: u64) {
        self.count += 1;
        self.bytes = self.bytes.saturating_add(bytes);
    }

    /// The sum of both.
    pub(super) fn and(self, other: Total) -> Total {
        Total { count: self.count + other.count, bytes: self.bytes.saturating_add(other.bytes) }
    }
}

/// How many blocks have a stack.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Coverage {
    /// All blocks.
    pub all: Total,
    /// Blocks with a stack.
    pub with_stack: Total,
    /// Of those, blocks with the stack of the pool info tree.
    pub from_tree: Total,
    /// Blocks without one whose record may be something else than their allocation.
    pub uncertain: u64,
    /// Blocks without a stack by reason, the most bytes first.
    pub without: Vec<(NoStack, Total)>,
}

impl Coverage {
    /// How many blocks have the stack of the pool log.
    #[must_use]
    pub fn from_log(&self) -> u64 {
        self.with_stack.count.saturating_sub(self.from_tree.count)
    }
}

/// Outstanding allocations with the stacks that made them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Leaks {
    /// The configured drivers that were wanted; then, where there are blocks of no known driver, what
    /// stands for it.
    pub drivers: Vec<Holder>,
    /// Their blocks, in the order of drivers, tracking pages and slots; those of the tree by address.
    pub blocks: Vec<Block>,
    /// How far back the log reaches.
    pub reach: Reach,
    /// What the pool info trees gave, where blocks are kept there.
    pub tree: Option<TreeReach>,
    /// What they were filtered by since they were read, as whoever did it says.
    pub filter: Option<Box<Filter>>,
    /// What they are of, in one line for headings: a dump's name, as whoever opened it says.
    pub dump: Option<String>,
    /// What could not be read or does not fit.
    pub problems: Vec<Problem>,
    stacks: Vec<Box<[Va]>>,
}

/// Different stacks, each once.
#[derive(Default)]
struct Stacks {
    all: Vec<Box<[Va]>>,
    ids: HashMap<Box<[Va]>, StackId>,
}

impl Stacks {
    fn id(&mut self, frames: &[Va]) -> StackId {
        if let Some(&id) = self.ids.get(frames) {
            return id;
        }
        let id = StackId(u32::try_from(self.all.len()).unwrap_or(u32::MAX));
        self.all.push(frames.into());
        self.ids.insert(frames.into(), id);
        id
    }
}

impl Leaks {
    /// Reads the blocks of every driver that `wanted` accepts and finds their stacks.
    ///
    /// # Errors
    /// As [`PoolReport::read`]. A log that cannot be read is a problem, and the reason of every block.
    pub fn read(kernel: &Kernel, wanted: impl Fn(&Driver) -> bool) -> Result<Self, Error> {
        Self::read_with(kernel, wanted, &|_| {})
    }

    /// The same, telling `progress` now and then how many records of the log have been looked at.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub fn read_with(
        kernel: &Kernel,
        wanted: impl Fn(&Driver) -> bool,
        progress: &dyn Fn(u64),
    ) -> Result<Self, Error> {
        let report = PoolReport::read(kernel, wanted)?;
        let info = &report.pool_info;
        let bounds = PoolBounds::read(kernel);
        let mut leaks = Self {
            problems: report.problems,
            tree: info.is_on().then(|| TreeReach {
                blocks: info.blocks.len() as u64,
                unread: info.unread(),
                stacks: info.stacks.len() as u64,
            }),
            ..Self::default()
        };
        let block = |holder: usize, driver: Option<&Counters>, allocation: Allocation| Block {
            driver: holder,
            allocation,
            kind: match (allocation.source, driver) {
                (Source::PoolInfo { stack, .. }, _) => {
                    info.stack(stack).map_or(PoolKind::Unknown, PoolKind::of_stack)
                }
                (_, Some(driver)) => bounds.kind(driver, allocation.address),
                (_, None) => PoolKind::Unknown,
            },
            record: None,
            stack: Err(NoStack::LogUnreadable),
            stack_source: None,
        };
        for pool in &report.drivers {
            let driver = leaks.drivers.len();
            let blocks = pool.allocations.iter();
            let counters = pool.driver.counters();
            leaks.blocks.extend(blocks.map(|&one| block(driver, Some(&counters), one)));
            let in_tree = |one: &&Allocation| matches!(one.source, Source::PoolInfo { .. });
            let of_tree = pool.allocations.iter().filter(in_tree);
            leaks.drivers.push(Holder {
                name: pool.driver.name.clone(),
                counted: counters.pool_allocations().saturating_add(of_tree.count() as u64),
            });
        }
        if !report.unowned.is_empty() {
            let driver = leaks.drivers.len();
            leaks.blocks.extend(report.unowned.iter().map(|&one| block(driver, None, one)));
            let counted = report.unowned.len() as u64;
            leaks.drivers.push(Holder { name: NO_DRIVER.into(), counted });
        }
        leaks.join(kernel, info, progress);
        Ok(leaks)
    }

    /// Gives each block of the tree its stack: kept with the block, it is the block's beyond doubt, where
    /// the log's newest record of the address may be of another life of it.
    fn take_stacks(&mut self, info: &PoolInfo, stacks: &mut Stacks) {
        for block in &mut self.blocks {
            let Source::PoolInfo { stack, .. } = block.allocation.source else { continue };
            let frames = info.frames(stack);
            if !frames.is_empty() {
                block.stack = Ok(stacks.id(frames));
                block.stack_source = Some(StackSource::PoolInfo);
            }
        }
    }

    fn join(&mut self, kernel: &Kernel, info: &PoolInfo, progress: &dyn Fn(u64)) {
        let mut stacks = Stacks::default();
        self.take_stacks(info, &mut stacks);
        self.join_log(kernel, &mut stacks, progress);
        self.stacks = stacks.all;
    }

    fn join_log(&mut self, kernel: &Kernel, stacks: &mut Stacks, progress: &dyn Fn(u64)) {
        // One address can be in two drivers' pages only where the dump is damaged; both get the stack.
        let mut newest: HashMap<Va, Option<usize>> =
            self.blocks.iter().map(|block| (block.allocation.address, None)).collect();
        let seen = std::cell::Cell::new(0u64);
        let log = PoolLog::read_where(kernel, None, |address, _| {
            seen.set(seen.get() + 1);
            if seen.get().is_multiple_of(PROGRESS_STEP) {
                progress(seen.get());
            }
            newest.contains_key(&address)
        });
        let mut log = match log {
            Ok(log) => log,
            Err(error) => {
                self.problems.push(Problem::from_error("pool log", &error));
                return;
            }
        };
        self.problems.append(&mut log.problems);
        self.reach = Reach::of_log(&log, seen.get());
        // Without an order only a record that is alone is the newest of its address.
        let is_unordered = log.ring.order() == Order::Unknown;
        let mut untold: HashSet<Va> = HashSet::new();
        for (index, record) in log.records.iter().enumerate() {
            let Some(slot) = newest.get_mut(&record.address) else { continue };
            if is_unordered && (slot.is_some() || log.is_cut) {
                untold.insert(record.address);
            }
            slot.get_or_insert(index);
        }
        let unread = NoStack::of_log(&log);
        for block in &mut self.blocks {
            if untold.contains(&block.allocation.address) {
                if block.stack_source.is_none() {
                    block.stack = Err(NoStack::OrderUnknown);
                }
                continue;
            }
            let found = newest.get(&block.allocation.address).copied().flatten();
            let is_known = block.stack_source.is_some();
            let Some(record) = found.and_then(|index| log.records.get(index)) else {
                if !is_known {
                    block.stack = Err(unread);
                }
                continue;
            };
            let frames = log.frames(record);
            block.record = Some(RecordOf {
                slot: record.slot,
                operation: record.operation,
                size: record.size,
                thread: record.thread,
            });
            if is_known {
                continue;
            }
            block.stack = if record.operation == Operation::Free {
                Err(NoStack::Freed)
            } else if frames.is_empty() {
                Err(NoStack::NoFrames)
            } else if record.operation == Operation::Unknown
                && !frames.contains(&block.allocation.caller)
            {
                Err(NoStack::Uncertain)
            } else {
                block.stack_source = Some(StackSource::Log);
                Ok(stacks.id(frames))
            };
        }
    }

    /// The frames of a stack, innermost first.
    #[must_use]
    pub fn stack(&self, id: StackId) -> &[Va] {
        self.stacks.get(id.0 as usize).map_or(&[], |frames| frames)
    }

    /// How many different stacks there are; each [`StackId`] of the blocks is among
    /// [`stacks`](Self::stacks).
    pub fn stacks(&self) -> impl Iterator<Item = (StackId, &[Va])> {
        self.stacks
            .iter()
            .enumerate()
            .map(|(id, frames)| (StackId(u32::try_from(id).unwrap_or(u32::MAX)), &**frames))
    }

    /// Every address that a rendering will want to name: frames and callers.
    pub fn addresses(&self) -> impl Iterator<Item = Va> {
        let callers = self.blocks.iter().map(|block| block.allocation.caller);
        callers.chain(self.stacks.iter().flatten().copied())
    }

    /// The name of a block's driver.
    #[must_use]
    pub fn driver(&self, block: &Block) -> &str {
        self.drivers.get(block.driver).map_or("", |driver| &driver.name)
    }

    /// Drops the blocks that `keep` refuses.
    pub fn retain(&mut self, keep: impl FnMut(&Block) -> bool) {
        self.blocks.retain(keep);
    }

    /// How many blocks have a stack.
    #[must_use]
    pub fn coverage(&self) -> Coverage {
        let mut coverage = Coverage::default();
        let mut without: HashMap<NoStack, Total> = HashMap::new();
        for block in &self.blocks {
            let bytes = block.allocation.size;
            coverage.all.add(bytes);
            match block.stack {
                Ok(_) => {
                    coverage.with_stack.add(bytes);
                    if block.stack_source == Some(StackSource::PoolInfo) {
                        coverage.from_tree.add(bytes);
                    }
                }
                Err(why) => without.entry(why).or_default().add(bytes),
            }
            coverage.uncertain += u64::from(block.stack == Err(NoStack::Uncertain));
        }
        coverage.without = without.into_iter().collect();
        coverage.without.sort_by_key(|&(why, total)| (std::cmp::Reverse(total.bytes), why));
        coverage
    }

    /// A reason in words.
    #[must_use]
    pub fn why(&self, why: NoStack) -> String {
        why.words(self.reach)
    }
}
