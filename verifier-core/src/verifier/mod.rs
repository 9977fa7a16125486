//! Driver Verifier: one file or room for each thing an engineer asks about.
//!
//! Each view is a function of a [`Kernel`](crate::kernel::Kernel) that returns plain records and `problems`.
//! An `Err` means that nothing of the view could be read; anything less is a problem beside the parts that
//! could be read.
//!
//! The rooms, each of which uses only those above it:
//!
//! | room | what it knows |
//! |---|---|
//! | `tracking` | pages and entries in which allocations are remembered |
//! | `drivers` | configured drivers, their images, and how to recover both |
//! | `log`, `deadlock` | records of the logs; locks |
//! | `pool` | outstanding allocations of all drivers, by tracking pages and by the pool info trees |
//! | `globals` | how to find all of it without symbols |

mod allocation;
mod bug_check;
mod counters;
pub mod deadlock;
mod drivers;
mod flags;
mod globals;
pub mod log;
mod modes;
mod pool;
mod scan;
mod settings;
mod sums;
mod tag;
mod tally;
mod totals;
mod tracking;

pub use allocation::{Allocation, AttributedBy, Impossible, Source};
pub use bug_check::{
    Explanation, Parameter, ParameterKind, Rule, explain_bug_check, major_function, value_name,
    violated_condition,
};
pub use counters::{Counter, Counters};
pub(crate) use drivers::Recovered;
pub use drivers::{
    Driver, DriverState, Drivers, NO_DRIVER, TargetDriver, code_site, is_kernel_or_verifier,
    is_verifier_image,
};
pub use flags::{FLAGS, Flag, FlagGroup, Level};
pub use globals::{FoundGlobal, GlobalEvidence, Globals, MissingGlobal};
pub use modes::{FaultInjection, Modes, OptionFlags, RuleClasses};
pub use pool::{
    CarvedAllocation, CarvedOwner, CarvedPool, DriverPool, OwnedStack, PoolBlock, PoolInfo,
    PoolReport, PoolStack, PoolStacks, UnloadLeak,
};
pub(crate) use pool::{Checks, ImagePool, attribute, for_each_image, mark};
pub use scan::{CarvedPage, Scan};
pub use settings::Settings;
pub use tag::PoolTag;
pub use tracking::{EntryState, Tracker, TrackerEntry};
