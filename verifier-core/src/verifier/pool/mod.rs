//! Outstanding pool allocations: the pages of `_VI_POOL_ENTRY` that each verified driver owns, and the blocks
//! that newer kernels keep in the pool info tree instead.
//!
//! A block of the tree ([`PoolInfo`]) does not name its driver: its stack leads to the driver, and the caller
//! is the frame that did ([`AttributedBy`](super::AttributedBy)). Blocks whose stack does not lead to a
//! configured driver are in [`PoolReport::unowned`]. [`Source`](super::Source) says where each allocation is
//! from.
//!
//! A number of blocks, or a sum of their sizes, that differs from the driver's own counters is a problem. So
//! is an allocation that cannot be as its entry says: it is kept, and marked
//! ([`Impossible`](super::Impossible)). If Verifier did not track pool, "no blocks" is not an answer: that is
//! a problem, too.
//!
//! `NumberOfBytes` is the size of the block as the pool rounded it, with the back pointer, except in special
//! pool. Debuggers print it unchanged, and so does this view. (The tree has the size that was asked for.)
//! Checked on 7601, 9600, 19041, 22000.

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
