//! The outstanding allocations of one driver.

use crate::verifier::allocation::Allocation;
use crate::verifier::drivers::{Driver, TargetDriver};

/// The outstanding allocations of one driver.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct DriverPool {
    /// The driver.
    pub driver: Driver,
    /// In the order of its pages and slots, which is the debugger's; then the blocks of the pool info tree,
    /// by address.
    pub allocations: Vec<Allocation>,
    /// How many of them the pages of each image hold, in the order of the driver's images.
    pub tracked: Vec<usize>,
    /// Contiguous memory, in the order of the list.
    pub contiguous: Vec<Allocation>,
}

impl DriverPool {
    pub(super) fn empty(driver: Driver) -> Self {
        let (allocations, tracked, contiguous) = (Vec::new(), Vec::new(), Vec::new());
        Self { driver, allocations, tracked, contiguous }
    }

    /// The allocations of one image, by its index. A block of the pool info tree belongs to the image that
    /// holds its caller, or to the first image if none does.
    pub fn allocations_of(&self, image: usize) -> impl Iterator<Item = &Allocation> {
        let before = self.tracked.iter().take(image).sum();
        let count = self.tracked.get(image).copied().unwrap_or(0);
        let of_tree = self.allocations.iter().skip(self.tracked.iter().sum());
        let images = &self.driver.images;
        let of_tree = of_tree.filter(move |block| {
            let holds = |image: &TargetDriver| block.caller.is_in(image.base, image.size);
            images.iter().position(holds).unwrap_or(0) == image
        });
        self.allocations.iter().skip(before).take(count).chain(of_tree)
    }
}
