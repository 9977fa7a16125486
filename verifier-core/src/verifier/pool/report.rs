//! The outstanding allocations of all drivers.

use super::attribution::attribute;
use super::checks::{Checks, mark};
use super::driver_pool::DriverPool;
use super::info_tree::PoolInfo;
use super::tracker::{ImagePool, for_each_image};
use super::{counted, doubts};
use crate::addr::Va;
use crate::error::{Error, Problem};
use crate::kernel::Kernel;
use crate::verifier::allocation::Allocation;
use crate::verifier::drivers::{Driver, Drivers, NO_DRIVER, Recovered, TargetDriver};
use crate::verifier::settings::Settings;

/// The outstanding allocations of all drivers.
///
/// A block of the tree ([`PoolInfo`]) does not name its driver: its stack leads to the driver, and the caller
/// is the frame that did ([`AttributedBy`](crate::verifier::AttributedBy)). Blocks whose stack does not lead to a
/// configured driver are in [`PoolReport::unowned`]. [`Source`](crate::verifier::Source) says where each allocation is
/// from.
///
/// A number of blocks, or a sum of their sizes, that differs from the driver's own counters is a problem. So
/// is an allocation that cannot be as its entry says: it is kept, and marked
/// ([`Impossible`](crate::verifier::Impossible)). If Verifier did not track pool, "no blocks" is not an answer: that is
/// a problem, too.
///
/// `NumberOfBytes` is the size of the block as the pool rounded it, with the back pointer, except in special
/// pool. Debuggers print it unchanged, and so does this view. (The tree has the size that was asked for.)
/// Checked on 7601, 9600, 19041, 22000.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct PoolReport {
    /// Every configured driver, also if it has no allocation.
    pub drivers: Vec<DriverPool>,
    /// Blocks of the pool info tree whose stack does not lead to a configured driver.
    pub unowned: Vec<Allocation>,
    /// The pool info trees. Their problems are in [`problems`](Self::problems).
    pub pool_info: PoolInfo,
    /// What could not be read or does not fit.
    pub problems: Vec<Problem>,
}

impl PoolReport {
    /// Reads the allocations of every driver that `wanted` accepts. It is called with [`Driver::none`] too,
    /// for blocks without a known driver.
    ///
    /// # Errors
    /// As [`Drivers::read`]; [`Error::MissingType`] if the types of the entries are not in the symbols.
    pub fn read(kernel: &Kernel, wanted: impl Fn(&Driver) -> bool) -> Result<Self, Error> {
        let recovered = Recovered::new(kernel, kernel.types()?);
        let Drivers { drivers, mut problems } = Drivers::read_with(kernel, &recovered)?;
        let mut no_tree = None;
        let mut pool_info = PoolInfo::read(kernel).unwrap_or_else(|error| {
            no_tree = Some(error);
            PoolInfo::default()
        });
        problems.append(&mut pool_info.problems);
        let (of_tree, unowned) = attribute(kernel, &drivers, &pool_info);
        let asked = drivers.into_iter().zip(of_tree).filter(|(driver, _)| wanted(driver));
        let (asked, mut of_tree): (Vec<Driver>, Vec<_>) = asked.unzip();
        let (with_none, ownerless) = (wanted(&Driver::none()), unowned.len() as u64);
        let mut report = Self {
            drivers: asked.into_iter().map(DriverPool::empty).collect(),
            unowned: if with_none { unowned } else { Vec::new() },
            pool_info,
            problems,
        };
        report.read_images(kernel, &recovered)?;
        for (pool, blocks) in report.drivers.iter_mut().zip(&mut of_tree) {
            pool.allocations.append(blocks);
        }
        report.problems.extend(no_tree.map(|error| report.without_tree(&error)));
        report.check(kernel, ownerless, !with_none);
        kernel.report_into(&mut report.problems);
        Ok(report)
    }

    /// True if the pool info tree has blocks: then a driver's pages need not hold all blocks that it counts.
    fn has_tree(&self) -> bool {
        !self.pool_info.blocks.is_empty()
    }

    /// The problem of a tree that was not found. A kernel keeps blocks in the tree or on tracking pages. If
    /// the pages hold as many as are counted, the tree is empty, and an empty tree cannot be found.
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
    fn read_images(&mut self, kernel: &Kernel, recovered: &Recovered<'_>) -> Result<(), Error> {
        let has_tree = self.has_tree();
        let problems = &mut self.problems;
        let mut images = Vec::new();
        let mut each = |index: usize, driver: &Driver, image: &TargetDriver, held: ImagePool| {
            let ImagePool { mut tracker, contiguous } = held;
            problems.append(&mut tracker.problems);
            let blocks: Vec<Allocation> = tracker.in_use().copied().collect();
            if !has_tree {
                problems.extend(counted::check_pages(driver, image, &blocks));
            }
            images.push((index, blocks, contiguous));
        };
        let drivers = self.drivers.iter().map(|pool| &pool.driver);
        for_each_image(kernel, drivers, recovered, &mut each)?;
        for (index, mut blocks, mut contiguous) in images {
            let Some(pool) = self.drivers.get_mut(index) else { continue };
            pool.tracked.push(blocks.len());
            pool.allocations.append(&mut blocks);
            pool.contiguous.append(&mut contiguous);
        }
        Ok(())
    }

    /// Checks all allocations against Verifier's counters and against each other. `ownerless` is the number
    /// of blocks of the tree without a known driver, shown or not.
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
        self.problems.extend(doubts::doubts(kernel, &settings, &self.drivers, held, is_named));
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

    /// Every allocation with the name of its driver, also those without a known driver.
    pub fn allocations(&self) -> impl Iterator<Item = (Option<&str>, &Allocation)> {
        let drivers = self.drivers.iter().flat_map(|pool| {
            pool.allocations.iter().map(|allocation| (Some(pool.driver.name.as_str()), allocation))
        });
        drivers.chain(self.unowned.iter().map(|allocation| (None, allocation)))
    }

    /// Every address that an output names.
    pub fn callers(&self) -> impl Iterator<Item = Va> {
        let contiguous = self.drivers.iter().flat_map(|pool| &pool.contiguous);
        let callers = self.allocations().map(|(_, allocation)| allocation.caller);
        callers.chain(contiguous.map(|memory| memory.caller))
    }
}
