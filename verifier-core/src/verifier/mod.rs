//! Driver Verifier: one file for each thing an engineer asks about.
//!
//! Each view is a function of a [`Kernel`](crate::kernel::Kernel) that returns plain records and
//! `problems`. An `Err` means that nothing of the view could be read; anything less is a problem
//! beside what could.

mod contiguous;
mod counters;
pub mod deadlock;
mod drivers;
mod flags;
pub mod log;
mod owner;
mod pool;
mod pool_info;
mod pool_stacks;
mod settings;
mod tag;

pub use contiguous::Contiguous;
pub use counters::{Counter, Counters};
pub use drivers::{Driver, DriverState, Drivers, TargetDriver};
pub use flags::{FLAGS, Flag, Level};
pub use owner::{NO_DRIVER, ToldBy, is_kernel_or_verifier};
pub(crate) use pool::told;
pub use pool::{
    Allocation, DriverPool, EntryState, PoolReport, Source, Tracker, TrackerEntry, read_tracker,
};
pub use pool_info::{PoolBlock, PoolInfo, PoolStack};
pub use pool_stacks::{OwnedStack, PoolStacks};
pub use settings::Settings;
pub use tag::PoolTag;
