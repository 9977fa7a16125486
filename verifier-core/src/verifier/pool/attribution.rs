//! To which driver each block of the pool info tree belongs. Its stack decides.

use super::info_tree::PoolInfo;
use crate::kernel::Kernel;
use crate::verifier::allocation::{Allocation, Source};
use crate::verifier::drivers::{Driver, Owner, Owners};

/// The blocks of the tree by driver, and those without a known driver.
pub(crate) fn attribute(
    kernel: &Kernel,
    drivers: &[Driver],
    info: &PoolInfo,
) -> (Vec<Vec<Allocation>>, Vec<Allocation>) {
    let owners = Owners::new(kernel, drivers);
    let of_stacks: Vec<Owner> = info.stacks.iter().map(|stack| owners.of(&stack.frames)).collect();
    let mut attributed = vec![Vec::new(); drivers.len()];
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
                attributed_by: owner.driver.map(|(_, by)| by),
            },
            impossible: None,
        };
        match owner.driver.and_then(|(driver, _)| attributed.get_mut(driver)) {
            Some(blocks) => blocks.push(allocation),
            None => unowned.push(allocation),
        }
    }
    (attributed, unowned)
}
