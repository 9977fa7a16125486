//! Outstanding allocations joined with the pool log: the stack that allocated each block that is still held.

mod block;
mod coverage;
mod known;
mod no_stack;

use std::collections::{HashMap, HashSet};

pub use block::{Block, RecordOf, StackId, StackSource};
pub use coverage::{Coverage, Total};
pub use known::{KnownBlocks, KnownLeaks};
pub use no_stack::{NoStack, Reach};

use super::filter::Filter;
use super::pool_kind::{PoolBounds, PoolKind};
use crate::addr::Va;
use crate::completeness::Completeness;
use crate::error::{Error, Problem};
use crate::extent::Extent;
use crate::kernel::Kernel;
use crate::verifier::log::{Operation, Order, PoolLog};
use crate::verifier::{
    Allocation, Counters, Driver, DriverPool, NO_DRIVER, PoolInfo, PoolReport, Source, UnloadLeak,
};

/// Records between two calls of a progress function.
const PROGRESS_STEP: u64 = 4096;

/// A driver with its blocks counted.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Holder {
    /// The driver's file name; [`NO_DRIVER`] for blocks of no known driver.
    pub name: String,
    /// The number of blocks that it holds: those that were read, or the number in its own counters if that is
    /// larger.
    pub counted: u64,
}

/// What the pool info trees gave.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct TreeReach {
    /// Blocks that were read, of all drivers.
    pub blocks: u64,
    /// Blocks that the tree counts and that were not reached.
    pub unread: u64,
    /// Stacks that were read.
    pub stacks: u64,
}

/// Outstanding allocations with the stacks that made them.
///
/// Contiguous memory is included: the kernel logs it together with the pool.
///
/// Kernels that keep blocks in the pool info tree keep each block's stack there too. That stack is certain and
/// needs no join. The log may also have the block's record, and so its thread.
///
/// A tracking entry has the address from which the driver called. The pool log has whole stacks, but only of
/// the newest operations, and it does not say which are allocations. The join is by the block's exact
/// address, and the newest record of that address decides:
///
/// * an allocation: its frames are the block's stack;
/// * a free: no stack, because the allocation that followed was not logged;
/// * no record: no stack, and the log says why ([`NoStack`]).
///
/// The operation follows from the names of the kernel's frames, so the kernel's symbols must be supplied
/// before the join, and those of `VerifierExt` if it is loaded. If the frames do not say, the record is an
/// allocation if the block's own `CallingAddress` is one of them; else it may be a free, and gives no stack
/// ([`NoStack::Uncertain`]).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Leaks {
    /// The configured drivers that were wanted; then [`NO_DRIVER`], if blocks have no known driver.
    pub drivers: Vec<Holder>,
    /// Their blocks, in the order of drivers, tracking pages and slots; those of the tree by address;
    /// contiguous memory in the order of the list.
    pub blocks: Vec<Block>,
    /// How far back the log reaches.
    pub reach: Reach,
    /// What the pool info trees gave, if blocks are kept there.
    pub tree: Option<TreeReach>,
    /// The driver that bug check 0xC4/0x62 is about: it was unloaded with blocks that it had not freed. It
    /// is here even if other drivers were wanted.
    pub unload_leak: Option<Box<UnloadLeak>>,
    /// The filters that a caller applied after reading.
    pub filter: Option<Box<Filter>>,
    /// What a baseline says about the blocks, if a caller applied one.
    pub baseline: Option<Box<KnownLeaks>>,
    /// Their source, in one line for headings: a dump's name, set by the caller that opened it.
    pub dump: Option<String>,
    /// What could not be read or does not fit.
    pub problems: Vec<Problem>,
    stacks: Vec<Box<[Va]>>,
}

/// The number of blocks that a driver holds, including those that could not be read. Contiguous memory is
/// counted in bytes: if some of them are missing, so is a block.
fn counted(pool: &DriverPool) -> u64 {
    let counters = pool.driver.counters();
    let pool_blocks = counters.pool_allocations().max(pool.allocations.len() as u64);
    let bytes = pool.contiguous.iter().fold(0u64, |sum, one| sum.saturating_add(one.size));
    let missing = counters.get("ContiguousMemoryBytes").is_some_and(|counted| counted > bytes);
    let contiguous = pool.contiguous.len() as u64 + u64::from(missing);
    pool_blocks.saturating_add(contiguous)
}

/// Drivers with more blocks in the range of one pool than they count in that pool.
fn kinds_against_counters(drivers: &[DriverPool], bounds: &PoolBounds) -> Vec<Problem> {
    let mut problems = Vec::new();
    for pool in drivers {
        let counters = pool.driver.counters();
        let on_pages = pool.allocations.iter().take(pool.tracked.iter().sum());
        let kinds: Vec<PoolKind> = on_pages.map(|one| bounds.of_address(one.address)).collect();
        for (kind, name) in [
            (PoolKind::Paged, "CurrentPagedPoolAllocations"),
            (PoolKind::NonPaged, "CurrentNonPagedPoolAllocations"),
        ] {
            let found = kinds.iter().filter(|&&one| one == kind).count() as u64;
            let (Some(word), Some(counted)) = (kind.name(), counters.get(name)) else { continue };
            let Some(image) = pool.driver.images.first().filter(|_| found > counted) else {
                continue;
            };
            let what = format!("allocations of {}", pool.driver.name);
            let why =
                format!("{found} are in the range of {word} pool, but its counter says {counted}");
            problems.push(Problem::at(what, image.verified_data, why));
        }
    }
    problems
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

    /// The same, and calls `progress` now and then with the number of records of the log that were read.
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
                (Source::Contiguous, _) => PoolKind::Unknown,
                (Source::PoolInfo { stack, .. }, _) => {
                    info.stack(stack).map_or(PoolKind::Unknown, PoolKind::of_stack)
                }
                (_, Some(driver)) => bounds.kind(driver, allocation.address),
                (_, None) => PoolKind::Unknown,
            },
            record: None,
            stack: Err(NoStack::LogUnreadable),
            stack_source: None,
            is_known: false,
        };
        for pool in &report.drivers {
            let driver = leaks.drivers.len();
            let blocks = pool.allocations.iter().chain(&pool.contiguous);
            let counters = pool.driver.counters();
            leaks.blocks.extend(blocks.map(|&one| block(driver, Some(&counters), one)));
            leaks.drivers.push(Holder { name: pool.driver.name.clone(), counted: counted(pool) });
        }
        if !report.unowned.is_empty() {
            let driver = leaks.drivers.len();
            leaks.blocks.extend(report.unowned.iter().map(|&one| block(driver, None, one)));
            let counted = report.unowned.len() as u64;
            leaks.drivers.push(Holder { name: NO_DRIVER.into(), counted });
        }
        leaks.problems.extend(kinds_against_counters(&report.drivers, &bounds));
        leaks.read_unload(kernel);
        leaks.join(kernel, info, progress);
        Ok(leaks)
    }

    fn read_unload(&mut self, kernel: &Kernel) {
        match UnloadLeak::read(kernel) {
            Ok(leak) => {
                let problems = leak.iter().flat_map(|leak| leak.problems.clone()).collect();
                Problem::extend(&mut self.problems, problems);
                self.unload_leak = leak.map(Box::new);
            }
            Err(error) => {
                self.problems.push(Problem::from_error("driver that was unloaded", &error))
            }
        }
    }

    /// Whether all outstanding allocations are here. If none was found and the answer is not complete, what
    /// is outstanding is unknown: "at least none" says nothing.
    #[must_use]
    pub fn completeness(&self) -> Completeness {
        let mut answer = Completeness::of(&self.problems);
        let undetermined = self.filter.as_ref().map_or(0, |filter| filter.undetermined);
        if undetermined > 0 {
            answer.extent = answer.extent.max(Extent::AtLeast);
            answer
                .because
                .push(format!("{undetermined} blocks of unknown pool type were left out"));
        }
        if self.blocks.is_empty() && !answer.is_complete() {
            answer.extent = Extent::Unknown;
        }
        answer
    }

    /// Gives each block of the tree its stack. The tree's stack is certain; the log's newest record of the
    /// address may belong to another lifetime.
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
        // Two drivers' pages have the same address only if the dump is damaged; both get the stack.
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
        // The log only adds stacks to blocks: without blocks, its problems do not matter.
        let has_blocks = !self.blocks.is_empty();
        let of_stacks = |problem: Problem| if has_blocks { problem } else { problem.remark() };
        let mut log = match log {
            Ok(log) => log,
            Err(error) => {
                self.problems.push(of_stacks(Problem::from_error("pool log", &error)));
                return;
            }
        };
        // The problems that it shares with the blocks are here already.
        log.problems.retain(|problem| !self.problems.contains(problem));
        self.problems.extend(std::mem::take(&mut log.problems).into_iter().map(of_stacks));
        self.reach = Reach::of_log(&log, seen.get());
        // If the order is unknown, a record is the newest of its address only if there is no other.
        let is_unordered = log.ring.order() == Order::Unknown;
        let mut undetermined: HashSet<Va> = HashSet::new();
        for (index, record) in log.records.iter().enumerate() {
            let Some(slot) = newest.get_mut(&record.address) else { continue };
            if is_unordered && (slot.is_some() || log.is_cut) {
                undetermined.insert(record.address);
            }
            slot.get_or_insert(index);
        }
        let unread = NoStack::of_log(&log);
        for block in &mut self.blocks {
            if undetermined.contains(&block.allocation.address) {
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
            if record.impossible.is_some() {
                if !is_known {
                    block.stack = Err(NoStack::Impossible);
                }
                continue;
            }
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

    /// The number of different stacks; each [`StackId`] of the blocks is among
    /// [`stacks`](Self::stacks).
    pub fn stacks(&self) -> impl Iterator<Item = (StackId, &[Va])> {
        self.stacks
            .iter()
            .enumerate()
            .map(|(id, frames)| (StackId(u32::try_from(id).unwrap_or(u32::MAX)), &**frames))
    }

    /// Every address that is shown by name: frames and callers.
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
        Coverage::of(&self.blocks)
    }

    /// A reason in words.
    #[must_use]
    pub fn why(&self, why: NoStack) -> String {
        why.words(self.reach)
    }
}
