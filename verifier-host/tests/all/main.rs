//! The integration tests of the crate in one program. `cargo test -p verifier-host --test all report::` runs
//! one module. The slow ones damage large dumps in many ways: `answer_sheets`, `directed_damage`,
//! `hostile_files`, `no_false_none`; `-- --skip directed_damage::` leaves one out.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

mod answer_sheets;
#[cfg(feature = "cli")]
mod browser;
#[cfg(feature = "cli")]
mod bug_check;
mod carve;
#[cfg(feature = "cli")]
mod ci;
#[cfg(feature = "cli")]
mod command;
mod common;
#[cfg(feature = "download")]
mod concurrent_symbols;
#[cfg(feature = "cli")]
mod deadlock;
#[cfg(feature = "cli")]
mod directed_damage;
#[cfg(feature = "cli")]
mod hostile_files;
mod kd;
#[cfg(feature = "cli")]
mod known_leaks;
#[cfg(feature = "cli")]
mod leak_outputs;
#[cfg(feature = "cli")]
mod leaks;
mod lines;
#[cfg(feature = "cli")]
mod logs;
#[cfg(feature = "cli")]
mod memory_files;
#[cfg(feature = "cli")]
mod no_false_none;
mod no_symbols;
#[cfg(feature = "cli")]
mod output;
#[cfg(feature = "cli")]
mod pool_info;
mod pool_info_real_types;
mod real_files;
#[cfg(feature = "cli")]
mod report;
#[cfg(feature = "cli")]
mod report_diff;
#[cfg(feature = "cli")]
mod report_large;
#[cfg(feature = "cli")]
mod report_lines;
#[cfg(feature = "cli")]
mod reports;
mod symbol_store;
