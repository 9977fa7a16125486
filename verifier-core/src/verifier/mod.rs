//! Driver Verifier: one file for each thing an engineer asks about.
//!
//! Each view is a function of a [`Kernel`](crate::kernel::Kernel) that returns plain records and
//! `problems`. An `Err` means that nothing of the view could be read; anything less is a problem
//! beside what could.

mod counters;
mod drivers;
mod flags;
pub mod log;
mod pool;
mod settings;
mod tag;

pub use counters::{Counter, Counters};
pub use drivers::{Driver, DriverState, Drivers, TargetDriver};
pub use flags::{FLAGS, Flag, Level};
pub(crate) use pool::for_each_tracker;
pub use pool::{
    Allocation, DriverPool, EntryState, PoolReport, Tracker, TrackerEntry, read_tracker,
};
pub use settings::Settings;
pub use tag::PoolTag;
