//! The stacks of the pool info tree, the most live bytes first: what leaks, without a join.

use std::cmp::Reverse;

use super::drivers::{Driver, Drivers};
use super::owner::{Owners, ToldBy};
use super::pool_info::{PoolInfo, PoolStack};
use crate::addr::Va;
use crate::error::{Error, Problem};
use crate::kernel::Kernel;

/// A stack and whose it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnedStack {
    /// The stack.
    pub stack: PoolStack,
    /// The configured driver and how it was told; `None` where no frame tells one.
    pub driver: Option<(String, ToldBy)>,
    /// The frame by which it was told; else the first outside the kernel and Verifier, else the first.
    pub caller: Va,
}

/// The stacks of the tree.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PoolStacks {
    /// The most live bytes first; those with nothing live at the end.
    pub stacks: Vec<OwnedStack>,
    /// The trees, without their stacks and problems.
    pub info: PoolInfo,
    /// What could not be read or does not fit.
    pub problems: Vec<Problem>,
}

impl PoolStacks {
    /// Reads the stacks of the drivers that `wanted` accepts; it is asked with [`Driver::none`] too, for
    /// stacks of no known driver.
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
            let driver =
                owner.driver.and_then(|(index, told_by)| Some((drivers.get(index)?, told_by)));
            if driver.map_or(with_none, |(driver, _)| wanted(driver)) {
                stacks.push(OwnedStack {
                    stack,
                    driver: driver.map(|(driver, told_by)| (driver.name.clone(), told_by)),
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

    /// Every address that a rendering will want to name.
    pub fn addresses(&self) -> impl Iterator<Item = Va> {
        self.stacks.iter().flat_map(|owned| owned.stack.frames.iter().copied())
    }
}
