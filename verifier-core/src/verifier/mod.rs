//! Driver Verifier: one file for each thing an engineer asks about.
//!
//! Each view is a function of a [`Kernel`](crate::kernel::Kernel) that returns plain records and
//! `problems`. An `Err` means that nothing of the view could be read; anything less is a problem
//! beside what could.

mod bug_check;
mod counters;
mod drivers;
mod drivers_2003;
mod flags;
pub mod log;
mod modes;
mod pool;
mod settings;
mod tag;
mod unload;

pub use bug_check::{Explanation, explain_bug_check};
pub use counters::{Counter, Counters};
pub use drivers::{Driver, DriverState, Drivers, TargetDriver};
pub use flags::{FLAGS, Flag, Level};
pub use modes::{FaultInjection, Modes, OptionFlags, RuleClasses};
pub use pool::{
    Allocation, DriverPool, EntryState, PoolReport, Tracker, TrackerEntry, read_tracker,
};
pub use settings::Settings;
pub use tag::PoolTag;
pub use unload::UnloadLeak;
