//! Joins of several views: leaks, the history of an address, the difference between two dumps, the culprit of
//! a bug check.

mod baseline;
mod boot;
mod carve_check;
mod churn;
mod culprit;
mod diff;
mod diff_key;
mod diff_side;
mod filter;
mod group;
mod grouping;
mod history;
mod leak_key;
mod leaks;
mod lock_graph;
mod lock_order;
mod pool_kind;
mod summary;

pub use crate::verifier::is_kernel_or_verifier;
pub use baseline::{Baseline, BaselineError};
pub use boot::{Boot, boot_time};
pub use carve_check::Comparison;
pub use churn::{Churn, FunctionChurn, Lifespan};
pub use culprit::{
    BlockFact, BlockState, BugCheckReport, CodeSite, Culprit, LeadsBy, ParameterFact,
};
pub use diff::{Diff, DiffGroup};
pub use diff_key::DiffKey;
pub use diff_side::Side;
pub use filter::{Filter, Ignored};
pub use group::{Group, GroupBy, GroupKey};
#[cfg(feature = "render")]
pub(crate) use group::{NO_FRAME, NO_TAG, no_frame};
pub use grouping::Grouping;
#[cfg(feature = "render")]
pub(crate) use grouping::own_frames;
pub use history::{Event, History, Lifetime, Neighbor, TrackerMatch};
pub use leak_key::LeakKey;
pub use leaks::{
    Block, Coverage, Holder, KnownBlocks, KnownLeaks, Leaks, NoStack, Reach, RecordOf, StackId,
    StackSource, Total, TreeReach,
};
pub use lock_graph::{GraphLock, LockEdge, LockGraph};
pub use lock_order::{LockOrder, LockStep, OrderThread};
pub use pool_kind::PoolKind;
pub use summary::{Summary, Worst};
