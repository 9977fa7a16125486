//! Outstanding pool allocations: the pages of `_VI_POOL_ENTRY` that each verified driver owns, and the
//! blocks that newer kernels keep in the pool info tree in their place.
//!
//! A block of the tree ([`PoolInfo`]) has no driver: it is told by its stack, the caller being the frame
//! by which it was told ([`ToldBy`](super::ToldBy)). What no stack tells for a configured driver is in
//! [`PoolReport::unowned`]. Every allocation says by its [`Source`] where it is from.
//! A number of blocks that differs from the driver's own counters is a problem.
//!
//! `NumberOfBytes` is the size of the block as the pool rounded it, back pointer included, except in
//! special pool; debuggers print it as it is and so does this view. (The tree has the size that was asked
//! for.) Checked on 7601, 9600, 19041, 22000.

mod allocation;
mod pages;
mod tracker;

pub use allocation::{Allocation, Source};
pub(super) use pages::{Layout, PAGE_SIGNATURE};
pub(crate) use tracker::for_each_tracker;
pub use tracker::{EntryState, Tracker, TrackerEntry};

use super::contiguous::{Contiguous, read_contiguous};
use super::drivers::{Driver, Drivers, TargetDriver};
use super::lost::Lost;
use super::owner::{Owner, Owners};
use super::pool_info::PoolInfo;
use super::trackers::{PageBudget, Trackers};
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
    pub contiguous: Vec<Contiguous>,
}

impl DriverPool {
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
        let trackers = Trackers::resolve(kernel)?;
        let mut no_tree = None;
        let mut pool_info = PoolInfo::read(kernel).unwrap_or_else(|error| {
            no_tree = Some(error);
            PoolInfo::default()
        });
        problems.append(&mut pool_info.problems);
        let (of_tree, unowned) = told(kernel, &drivers, &pool_info);
        let mut budget = PageBudget::of(kernel);
        let mut lists = kernel.limits().clone();
        let mut report = Vec::new();
        let (mut on_pages, mut counted_on_pages) = (0u64, 0u64);
        for (driver, mut of_tree) in drivers.into_iter().zip(of_tree) {
            if !wanted(&driver) {
                continue;
            }
            let mut allocations = Vec::new();
            let mut tracked = Vec::new();
            let mut contiguous = Vec::new();
            for image in &driver.images {
                let name = &driver.name;
                let mut tracker = trackers.read_image(kernel, name, image, &lost, &mut budget);
                problems.append(&mut tracker.problems);
                let before = allocations.len();
                let entries = tracker.entries.iter();
                let in_use = entries.filter(|entry| entry.state == EntryState::InUse);
                allocations.extend(in_use.map(|entry| entry.allocation));
                tracked.push(allocations.len() - before);
                let found = (allocations.len() - before) as u64;
                let counted = image.counters.pool_allocations();
                on_pages = on_pages.saturating_add(found);
                counted_on_pages = counted_on_pages.saturating_add(counted);
                if found != counted {
                    problems.push(Problem::at(
                        format!("allocations of {}", driver.name),
                        image.verified_data,
                        format!("its counters say {counted}, its pages hold {found}"),
                    ));
                }
                if let Some(head) = trackers.contiguous() {
                    contiguous.extend(read_contiguous(
                        kernel,
                        &driver.name,
                        image.verified_data.add(head),
                        image.counters.get("ContiguousMemoryBytes"),
                        &mut lists,
                        &mut problems,
                    ));
                }
            }
            allocations.append(&mut of_tree);
            report.push(DriverPool { driver, allocations, tracked, contiguous });
        }
        if let Some(error) = no_tree {
            let problem = Problem::from_error("pool info tree", &error);
            // A kernel keeps blocks in the tree or on tracking pages. If these hold as many as are counted,
            // the tree that was looked for in vain is empty.
            let is_unused = on_pages > 0 && on_pages == counted_on_pages;
            let is_empty = is_unused && matches!(error, Error::UnknownGlobal { .. });
            problems.push(if is_empty { problem.remark() } else { problem });
        }
        let unowned = if wanted(&Driver::none()) { unowned } else { Vec::new() };
        kernel.report_into(&mut problems);
        Ok(Self { drivers: report, unowned, pool_info, problems })
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
        };
        match owner.driver.and_then(|(driver, _)| told.get_mut(driver)) {
            Some(told) => told.push(allocation),
            None => unowned.push(allocation),
        }
    }
    (told, unowned)
}
