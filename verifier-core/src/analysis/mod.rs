//! Joins: what one view alone does not say.

mod diff;
mod group;
mod history;
mod leaks;
mod lock_graph;
mod lock_order;
mod pool_kind;

pub use crate::verifier::is_kernel_or_verifier;
pub use diff::{Boot, Diff, DiffGroup, DiffKey, Side, boot_time};
pub use group::{Group, GroupBy, GroupKey, Grouping};
pub use history::{Event, History, Lifetime, Neighbor, TrackerMatch};
pub use leaks::{
    Block, Coverage, Holder, Leaks, NoStack, Reach, RecordOf, StackId, StackSource, Total,
    TreeReach,
};
pub use lock_graph::{GraphLock, LockEdge, LockGraph};
pub use lock_order::{LockOrder, LockStep, OrderThread};
pub use pool_kind::PoolKind;
