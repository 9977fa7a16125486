//! The integration tests of the crate in one program. `cargo test -p verifier-core --test all deadlock::`
//! runs one module.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout
)]

mod before_win7;
#[cfg(feature = "render")]
mod bug_check;
mod carve_log;
#[cfg(feature = "render")]
mod churn;
#[cfg(all(feature = "render", feature = "pdb"))]
mod ci_formats;
mod common;
mod contradictions;
#[cfg(feature = "render")]
mod csv;
mod culprit;
#[cfg(feature = "render")]
mod damaged_logs;
mod deadlock;
#[cfg(feature = "render")]
mod described;
#[cfg(feature = "render")]
mod diff;
#[cfg(feature = "render")]
mod documented;
mod dump;
mod edges;
mod hostile_symbols;
mod impossible;
mod kernel;
#[cfg(feature = "render")]
mod leaks;
#[cfg(feature = "render")]
mod leaks_pool_info;
mod limits;
#[cfg(feature = "pdb")]
mod lines;
mod logs;
mod memory_files;
mod modes;
mod paging;
mod plausible;
mod pool;
mod pool_info;
mod profile;
mod recovered;
mod ring;
mod stopped;
mod torn;
mod triage;
#[cfg(feature = "pdb")]
mod types;
