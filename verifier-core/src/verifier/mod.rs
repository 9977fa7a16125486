//! Driver Verifier: one file for each thing an engineer asks about.
//!
//! Each view is a function of a [`Kernel`](crate::kernel::Kernel) that returns plain records and
//! `problems`. An `Err` means that nothing of the view could be read; anything less is a problem
//! beside what could.

mod bug_check;
mod carve;
mod contiguous;
mod counters;
pub mod deadlock;
mod drivers;
mod flags;
mod globals;
pub mod log;
mod lost;
mod modes;
mod old;
mod owner;
mod place;
mod pool;
mod pool_info;
mod pool_stacks;
mod settings;
mod sums;
mod tag;
mod tally;
mod totals;
mod trackers;
mod unload;

pub use bug_check::{Explanation, explain_bug_check, violated_condition};
pub use carve::{CarvedAllocation, CarvedOwner, CarvedPool, Comparison};
pub use counters::{Counter, Counters};
pub use drivers::{Driver, DriverState, Drivers, TargetDriver};
pub use flags::{FLAGS, Flag, FlagGroup, Level};
pub use globals::{Evidence, FoundGlobal, Globals, MissingGlobal};
pub(crate) use lost::Lost;
pub use modes::{FaultInjection, Modes, OptionFlags, RuleClasses};
pub use owner::{NO_DRIVER, ToldBy, is_kernel_or_verifier, is_verifier_image};
pub use place::{CarvedPage, Place};
pub use pool::{
    Allocation, DriverPool, EntryState, Impossible, PoolReport, Source, Tracker, TrackerEntry,
};
pub(crate) use pool::{Checks, ImagePool, for_each_image, mark, told};
pub use pool_info::{PoolBlock, PoolInfo, PoolStack};
pub use pool_stacks::{OwnedStack, PoolStacks};
pub use settings::Settings;
pub use tag::PoolTag;
pub use unload::UnloadLeak;
