//! Outstanding pool allocations: the pages of `_VI_POOL_ENTRY` that each verified driver owns, and the blocks
//! that newer kernels keep in the pool info tree instead.

mod attribution;
mod carve;
mod checks;
mod contiguous;
mod counted;
mod doubts;
mod driver_pool;
mod info_reader;
mod info_stack;
mod info_tree;
mod report;
mod stacks;
mod tracker;
mod unload_leak;

pub(crate) use attribution::attribute;
pub use carve::{CarvedAllocation, CarvedOwner, CarvedPool};
pub(crate) use checks::{Checks, mark};
pub use driver_pool::DriverPool;
pub use info_stack::PoolStack;
pub(super) use info_stack::{is_sound, read_stack};
pub(super) use info_tree::{BLOCK_SIZE, BLOCKS, STACKS, has_trees};
pub use info_tree::{PoolBlock, PoolInfo};
pub use report::PoolReport;
pub use stacks::{OwnedStack, PoolStacks};
pub(crate) use tracker::{ImagePool, for_each_image};
pub use unload_leak::UnloadLeak;
