//! Outstanding pool allocations: the pages of `_VI_POOL_ENTRY` that each verified driver owns, and the
//! blocks that newer kernels keep in the pool info tree in their place.
//!
//! A block of the tree ([`PoolInfo`]) has no driver: it is told by its stack, the caller being the frame
//! by which it was told ([`ToldBy`](super::ToldBy)). What no stack tells for a configured driver is in
//! [`PoolReport::unowned`]. Every allocation says by its [`Source`] where it is from.
//! A number of blocks, or a sum of their sizes, that differs from the driver's own counters is a problem,
//! and so is an allocation that cannot be as its entry says: it is kept, and marked ([`Impossible`]).
//! Where Verifier did not track pool, no block is not an answer: that is a problem, too.
//!
//! `NumberOfBytes` is the size of the block as the pool rounded it, back pointer included, except in
//! special pool; debuggers print it as it is and so does this view. (The tree has the size that was asked
//! for.) Checked on 7601, 9600, 19041, 22000.

mod allocation;
mod checks;
mod counted;
mod pages;
mod tracker;
mod tracking;

pub use allocation::{Allocation, Impossible, Source};
pub(crate) use checks::{Checks, mark};
pub(super) use pages::{Layout, PAGE_SIGNATURE};
pub use tracker::{EntryState, Tracker, TrackerEntry};
pub(crate) use tracker::{ImagePool, for_each_image};

use super::drivers::{Driver, Drivers, TargetDriver};
use super::lost::Lost;
use super::owner::{NO_DRIVER, Owner, Owners};
use super::pool_info::PoolInfo;
use super::settings::Settings;
use crate::addr::Va;
use crate::error::{Error, Problem};
use crate::kernel::Kernel;

/// The outstanding allocations of one driver.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DriverPool {
    /// The driver.
    pub driver: Driver,
    /// In the order of its pages and slots, which is the debugger's; then those of the pool info tree, by
    /// address.
    pub allocations: Vec<Allocation>,
    /// How many of them the pages of each image hold, in the order of the driver's images.
    pub tracked: Vec<usize>,
    /// Contiguous memory, in the order of the list.
    pub contiguous: Vec<Allocation>,
}

impl DriverPool {
    fn empty(driver: Driver) -> Self {
        let (allocations, tracked, contiguous) = (Vec::new(), Vec::new(), Vec::new());
        Self { driver, allocations, tracked, contiguous }
    }

    /// The allocations of one image, by its index. A block of the pool info tree is of the image that its
    /// caller lies in, of the first where it lies in none.
    pub fn allocations_of(&self, image: usize) -> impl Iterator<Item = &Allocation> {
        let before = self.tracked.iter().take(image).sum();
        let count = self.tracked.get(image).copied().unwrap_or(0);
        let of_tree = self.allocations.iter().skip(self.tracked.iter().sum());
        let images = &self.driver.images;
        let of_tree = of_tree.filter(move |block| {
            let holds = |image: &TargetDriver| {
                block.caller.0.checked_sub(image.base.0).is_some_and(|rva| rva < image.size)
            };
            images.iter().position(holds).unwrap_or(0) == image
        });
        self.allocations.iter().skip(before).take(count).chain(of_tree)
    }
}

/// The outstanding allocations of all drivers.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PoolReport {
    /// Every configured driver, with none where it has none.
    pub drivers: Vec<DriverPool>,
    /// Blocks of the pool info tree that no stack tells for a configured driver.
    pub unowned: Vec<Allocation>,
    /// The pool info trees. Their problems are in [`problems`](Self::problems).
    pub pool_info: PoolInfo,
    /// What could not be read or does not fit.
    pub problems: Vec<Problem>,
}

impl PoolReport {
    /// Reads the allocations of every driver that `wanted` accepts. It is asked with [`Driver::none`]
    /// too, for blocks of no known driver.
    ///
    /// # Errors
    /// As [`Drivers::read`]; [`Error::MissingType`] where the types of the entries are not in the
    /// symbols.
    pub fn read(kernel: &Kernel, wanted: impl Fn(&Driver) -> bool) -> Result<Self, Error> {
        let lost = Lost::new(kernel, kernel.types()?);
        let Drivers { drivers, mut problems } = Drivers::read_with(kernel, &lost)?;
        let mut no_tree = None;
        let mut pool_info = PoolInfo::read(kernel).unwrap_or_else(|error| {
            no_tree = Some(error);
            PoolInfo::default()
        });
        problems.append(&mut pool_info.problems);
        let (of_tree, unowned) = told(kernel, &drivers, &pool_info);
        let asked = drivers.into_iter().zip(of_tree).filter(|(driver, _)| wanted(driver));
        let (asked, mut of_tree): (Vec<Driver>, Vec<_>) = asked.unzip();
        let (with_none, ownerless) = (wanted(&Driver::none()), unowned.len() as u64);
        let mut report = Self {
            drivers: asked.into_iter().map(DriverPool::empty).collect(),
            unowned: if with_none { unowned } else { Vec::new() },
            pool_info,
            problems,
        };
        report.read_images(kernel, &lost)?;
        for (pool, blocks) in report.drivers.iter_mut().zip(&mut of_tree) {
            pool.allocations.append(blocks);
        }
        report.problems.extend(no_tree.map(|error| report.without_tree(&error)));
        report.check(kernel, ownerless, !with_none);
        kernel.report_into(&mut report.problems);
        Ok(report)
    }

    /// True if the pool info tree has blocks: a driver's pages need not hold all that it counts.
    fn has_tree(&self) -> bool {
        !self.pool_info.blocks.is_empty()
    }

    /// The problem of a tree that was not found. A kernel keeps blocks in the tree or on tracking pages: if
    /// these hold as many as are counted, the tree that was looked for in vain is empty.
    fn without_tree(&self, error: &Error) -> Problem {
        let on_pages: u64 = self.drivers.iter().map(|pool| pool.allocations.len() as u64).sum();
        let counted = self.drivers.iter().map(|pool| pool.driver.counters().pool_allocations());
        let counted = counted.fold(0, u64::saturating_add);
        let problem = Problem::from_error("pool info tree", error);
        let is_empty =
            on_pages > 0 && on_pages == counted && matches!(error, Error::UnknownGlobal { .. });
        if is_empty { problem.remark() } else { problem }
    }

    /// The tracking pages and contiguous memory of each driver's images.
    fn read_images(&mut self, kernel: &Kernel, lost: &Lost<'_>) -> Result<(), Error> {
        let has_tree = self.has_tree();
        let problems = &mut self.problems;
        let mut images = Vec::new();
        let mut each = |index: usize, driver: &Driver, image: &TargetDriver, held: ImagePool| {
            let ImagePool { mut tracker, contiguous } = held;
            problems.append(&mut tracker.problems);
            let entries = tracker.entries.iter();
            let in_use = entries.filter(|entry| entry.state == EntryState::InUse);
            let blocks: Vec<Allocation> = in_use.map(|entry| entry.allocation).collect();
            if !has_tree {
                problems.extend(counted::check_pages(driver, image, &blocks));
            }
            images.push((index, blocks, contiguous));
        };
        let drivers = self.drivers.iter().map(|pool| &pool.driver);
        for_each_image(kernel, drivers, lost, &mut each)?;
        for (index, mut blocks, mut contiguous) in images {
            let Some(pool) = self.drivers.get_mut(index) else { continue };
            pool.tracked.push(blocks.len());
            pool.allocations.append(&mut blocks);
            pool.contiguous.append(&mut contiguous);
        }
        Ok(())
    }

    /// Holds all that was read against what Verifier counts, and against itself. `ownerless` blocks of
    /// the tree are of no known driver, shown or not.
    fn check(&mut self, kernel: &Kernel, ownerless: u64, is_named: bool) {
        let settings = kernel.types().and_then(|types| Settings::read_by(kernel, types));
        let mut held = self.unowned.len() as u64;
        for pool in &self.drivers {
            let found = (pool.allocations.len() + pool.contiguous.len()) as u64;
            held = held.saturating_add(found.max(pool.driver.counters().pool_allocations()));
            if self.has_tree() {
                let on_pages = pool.tracked.iter().sum::<usize>() as u64;
                let in_tree = (pool.allocations.len() as u64).saturating_sub(on_pages);
                self.problems.extend(counted::check_tree(
                    &pool.driver,
                    on_pages,
                    in_tree,
                    ownerless,
                ));
            }
        }
        self.problems.extend(tracking::doubts(kernel, &settings, &self.drivers, held, is_named));
        self.mark_impossible(kernel);
    }

    fn mark_impossible(&mut self, kernel: &Kernel) {
        let drivers = self.drivers.iter().map(|pool| &pool.driver);
        let mut checks = Checks::new(kernel, drivers);
        for pool in &mut self.drivers {
            let all = pool.allocations.iter_mut().chain(&mut pool.contiguous);
            checks.look_at(&pool.driver.name, Some(&pool.driver.counters()), all);
        }
        checks.look_at(NO_DRIVER, None, self.unowned.iter_mut());
        let (marks, mut problems) = checks.finish();
        self.problems.append(&mut problems);
        for pool in &mut self.drivers {
            mark(&marks, pool.allocations.iter_mut().chain(&mut pool.contiguous));
        }
        mark(&marks, self.unowned.iter_mut());
    }

    /// Every allocation, those of no known driver too, with the name of its driver.
    pub fn allocations(&self) -> impl Iterator<Item = (Option<&str>, &Allocation)> {
        let drivers = self.drivers.iter().flat_map(|pool| {
            pool.allocations.iter().map(|allocation| (Some(pool.driver.name.as_str()), allocation))
        });
        drivers.chain(self.unowned.iter().map(|allocation| (None, allocation)))
    }

    /// Every address that a rendering will want to name.
    pub fn callers(&self) -> impl Iterator<Item = Va> {
        let contiguous = self.drivers.iter().flat_map(|pool| &pool.contiguous);
        let callers = self.allocations().map(|(_, allocation)| allocation.caller);
        callers.chain(contiguous.map(|memory| memory.caller))
    }
}

/// The blocks of the tree: for each driver its own, and those of none.
pub(crate) fn told(
    kernel: &Kernel,
    drivers: &[Driver],
    info: &PoolInfo,
) -> (Vec<Vec<Allocation>>, Vec<Allocation>) {
    let owners = Owners::new(kernel, drivers);
    let of_stacks: Vec<Owner> = info.stacks.iter().map(|stack| owners.of(&stack.frames)).collect();
    let mut told = vec![Vec::new(); drivers.len()];
    let mut unowned = Vec::new();
    for block in &info.blocks {
        let owner = block.stack.and_then(|index| of_stacks.get(index as usize));
        let owner = owner.copied().unwrap_or_default();
        let allocation = Allocation {
            address: block.address,
            size: block.size,
            tag: info.stack(block.stack).map(|stack| stack.tag).unwrap_or_default(),
            caller: owner.caller,
            entry: block.element,
            source: Source::PoolInfo {
                stack: block.stack,
                told_by: owner.driver.map(|(_, told_by)| told_by),
            },
            impossible: None,
        };
        match owner.driver.and_then(|(driver, _)| told.get_mut(driver)) {
            Some(told) => told.push(allocation),
            None => unowned.push(allocation),
        }
    }
    (told, unowned)
}
