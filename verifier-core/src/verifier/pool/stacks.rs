//! The stacks of the pool info tree, the most live bytes first. They show what leaks without a join.

use std::cmp::Reverse;

use super::info_stack::PoolStack;
use super::info_tree::PoolInfo;
use crate::addr::Va;
use crate::error::{Error, Problem};
use crate::kernel::Kernel;
use crate::verifier::allocation::AttributedBy;
use crate::verifier::drivers::{Driver, Drivers, Owners};

/// A stack and its driver.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct OwnedStack {
    /// The stack.
    pub stack: PoolStack,
    /// The configured driver and how it was found; `None` if no frame belongs to one.
    pub driver: Option<(String, AttributedBy)>,
    /// The frame by which it was found; else the first frame outside the kernel and Verifier, else the first.
    pub caller: Va,
}

/// The stacks of the tree.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct PoolStacks {
    /// The most live bytes first; stacks with nothing live are at the end.
    pub stacks: Vec<OwnedStack>,
    /// The trees, without their stacks and problems.
    pub info: PoolInfo,
    /// What could not be read or does not fit.
    pub problems: Vec<Problem>,
}

impl PoolStacks {
    /// Reads the stacks of the drivers that `wanted` accepts. It is called with [`Driver::none`] too, for
    /// stacks without a known driver.
    ///
    /// # Errors
    /// As [`Drivers::read`] and [`PoolInfo::read`].
    pub fn read(kernel: &Kernel, wanted: impl Fn(&Driver) -> bool) -> Result<Self, Error> {
        let Drivers { drivers, mut problems } = Drivers::read(kernel)?;
        let mut info = PoolInfo::read(kernel)?;
        problems.append(&mut info.problems);
        let owners = Owners::new(kernel, &drivers);
        let with_none = wanted(&Driver::none());
        let mut stacks = Vec::new();
        for stack in std::mem::take(&mut info.stacks) {
            let owner = owners.of(&stack.frames);
            let driver = owner
                .driver
                .and_then(|(index, attributed_by)| Some((drivers.get(index)?, attributed_by)));
            if driver.map_or(with_none, |(driver, _)| wanted(driver)) {
                stacks.push(OwnedStack {
                    stack,
                    driver: driver
                        .map(|(driver, attributed_by)| (driver.name.clone(), attributed_by)),
                    caller: owner.caller,
                });
            }
        }
        stacks.sort_by_key(|OwnedStack { stack, .. }| {
            let (bytes, count) = (stack.live_bytes(), stack.live_count());
            (Reverse(bytes), Reverse(count), stack.tag, stack.hash)
        });
        kernel.report_into(&mut problems);
        Ok(Self { stacks, info, problems })
    }

    /// Every address that an output names.
    pub fn addresses(&self) -> impl Iterator<Item = Va> {
        self.stacks.iter().flat_map(|owned| owned.stack.frames.iter().copied())
    }
}
