//! The I/O of the project: files, symbol stores and servers. The `verifier` command is built on it.
//!
//! You give [`Session`] a dump file and a [`symbols::SymbolPath`], and it gives you the views of
//! [`verifier_core`] with the symbols of what they show. [`Session::leaks`] gives outstanding allocations in
//! groups, [`FilteredLeaks::since`] the difference of two dumps, [`flame_graph`] and
//! [`report::write_report`] pictures:
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
//! All are on by default. A program that embeds the library turns them off and names the ones that it needs.

#![cfg_attr(docsrs, feature(doc_cfg))]

mod dump_file;
mod error;
#[cfg(feature = "reports")]
mod flamegraph;
pub mod kd;
mod leaks;
mod module_symbols;
mod overwrite;
mod progress;
#[cfg(feature = "reports")]
pub mod report;
#[cfg(feature = "demo")]
mod sample;
mod session;
mod symbol_searches;
pub mod symbols;
mod write_file;

pub use dump_file::{FileMode, open_file};
pub use error::Error;
#[cfg(feature = "reports")]
pub use flamegraph::flame_graph;
pub use leaks::{FilteredLeaks, LeakFilter, NamePattern, PatternError, compare_boots};
pub use module_symbols::SymbolLoad;
pub use overwrite::{Inputs, OutputKind};
pub use progress::{Progress, Silent};
#[cfg(feature = "demo")]
pub use sample::write_sample;
pub use session::{Session, SessionOptions, TablesInUse, View};
pub use verifier_core::analysis::GroupBy;
pub use verifier_core::render::info::{self, Info};
pub use write_file::write_file;

/// The README's example compiles too.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
