//! Driver Verifier: one file for each thing an engineer asks about.
//!
//! Each view is a function of a [`Kernel`](crate::kernel::Kernel) that returns plain records and
//! `problems`. An `Err` means that nothing of the view could be read; anything less is a problem
//! beside what could.

mod carve;
mod counters;
mod drivers;
mod flags;
mod globals;
pub mod log;
mod old;
mod place;
mod pool;
mod settings;
mod tag;
mod trackers;

pub use carve::{CarvedAllocation, CarvedOwner, CarvedPool, Comparison};
pub use counters::{Counter, Counters};
pub use drivers::{Driver, DriverState, Drivers, TargetDriver};
pub use flags::{FLAGS, Flag, Level};
pub use globals::{Evidence, FoundGlobal, Globals, MissingGlobal};
pub use place::{CarvedPage, Place};
pub use pool::{
    Allocation, DriverPool, EntryState, PoolReport, Tracker, TrackerEntry, read_tracker,
};
pub use settings::Settings;
pub use tag::PoolTag;
