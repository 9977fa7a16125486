//! Where the I/O lives: files, symbol stores and servers. The `verifier` command is made of it.
//!
//! [`Session`] puts a dump file and a [`symbols::SymbolPath`] together into a
//! [`Kernel`](verifier_core::kernel::Kernel) whose symbols are found as they are needed. Its views are the
//! core's with the symbols of what they show; [`Session::leaks`] gives outstanding allocations in groups,
//! [`FilteredLeaks::since`] their difference, [`flame_graph`] and [`report::write_report`] pictures:
//!
//! ```no_run
//! use verifier_host::{Session, symbols::SymbolPath};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let session = Session::open("memory.dmp".as_ref(), SymbolPath::parse("symbols")?)?;
//! let report = session.pool(None)?;
//! for pool in &report.drivers {
//!     println!("{} holds {} blocks", pool.driver.name, pool.allocations.len());
//! }
//! # Ok(())
//! # }
//! ```
//!
//! # Features
//! | feature | adds |
//! |---|---|
//! | `download` | symbols from HTTP(S) servers |
//! | `reports` | [`report`], [`flame_graph`] |
//! | `demo` | [`write_sample`] |
//! | `cli` | the `verifier` command, with `reports` and `demo`; nothing to the library |
//!
//! All are on by default; a program that embeds the library turns them off and names those that it needs.

#![cfg_attr(docsrs, feature(doc_cfg))]

mod carve;
mod error;
mod file;
#[cfg(feature = "reports")]
mod flamegraph;
pub mod info;
pub mod kd;
mod leaks;
mod loads;
mod lookup;
mod missing;
mod open;
mod outputs;
mod progress;
#[cfg(feature = "reports")]
pub mod report;
#[cfg(feature = "demo")]
mod sample;
mod session;
pub mod symbols;
mod views;

pub use error::Error;
pub use file::{FileMode, open_file, write_file};
#[cfg(feature = "reports")]
pub use flamegraph::flame_graph;
pub use info::Info;
pub use leaks::{FilteredLeaks, LeakFilter, NamePattern, PatternError, compare_boots};
pub use lookup::SymbolLoad;
pub use open::TablesInUse;
pub use outputs::{Inputs, OutputKind, may_replace};
pub use progress::{Progress, Silent};
#[cfg(feature = "demo")]
pub use sample::write_sample;
pub use session::{Session, SessionOptions};

/// The README's example compiles too.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
