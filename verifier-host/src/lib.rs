//! Finds what drivers leak in Windows crash dumps: dump files, symbol stores and servers, and the `verifier` command.
//!
//! You give a [`Session`] a dump file and a [`symbols::SymbolPath`]. Its methods return the views of
//! [`verifier_core`]: settings, drivers, allocations, logs, deadlocks, leaks. Each view finds the symbols of what it
//! shows.
//!
//! # Which crate
//!
//! | you have | take |
//! |---|---|
//! | dump files, a symbol store or server | this crate |
//! | your own memory reader, or a tool that must not do I/O | [`verifier_core`] |
//! | your own memory reader and a symbol path | both: [`Session::of_kernel`] |
//! | a test that needs a dump | `verifier-synth` |
//!
//! # Open a dump and print its leaks
//!
//! ```no_run
//! use verifier_host::{GroupBy, LeakFilter, Session, symbols::SymbolPath};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let symbols = SymbolPath::parse("srv*symbols*https://msdl.microsoft.com/download/symbols")?;
//! let session = Session::open("memory.dmp".as_ref(), symbols)?;
//! for group in &session.leaks(LeakFilter::default())?.by(GroupBy::Function) {
//!     println!("{} blocks, {} bytes: {}", group.blocks.len(), group.bytes, group.label());
//! }
//! # Ok(())
//! # }
//! ```
//!
//! [`FilteredLeaks::since`] returns the difference of two dumps, [`flame_graph`] and [`report::write_report`] make
//! pictures.
//!
//! # Bring your own memory
//!
//! Open a [`Kernel`](verifier_core::kernel::Kernel) over your memory (the front page of [`verifier_core`] shows it)
//! and let a session find its symbols:
//!
//! ```no_run
//! use std::sync::Arc;
//! use verifier_core::kernel::Kernel;
//! use verifier_host::{Session, symbols::SymbolPath};
//!
//! fn print(kernel: Kernel) -> Result<(), Box<dyn std::error::Error>> {
//!     let session = Session::of_kernel(Arc::new(kernel), SymbolPath::parse("symbols")?);
//!     for pool in &session.pool(None)?.drivers {
//!         println!("{} holds {} blocks", pool.driver.name, pool.allocations.len());
//!     }
//!     Ok(())
//! }
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

mod baseline;
mod dump_file;
mod error;
#[cfg(feature = "reports")]
mod flamegraph;
mod glob;
mod ignore;
pub mod kd;
mod leaks;
mod module_symbols;
mod overwrite;
mod pattern;
mod progress;
#[cfg(feature = "reports")]
pub mod report;
#[cfg(feature = "demo")]
mod sample;
mod session;
mod source_snippet;
mod symbol_searches;
pub mod symbols;
mod write_file;

pub use baseline::read_baseline;
pub use dump_file::{FileMode, open_file};
pub use error::Error;
#[cfg(feature = "reports")]
pub use flamegraph::flame_graph;
pub use ignore::IgnorePattern;
pub use leaks::{FilteredLeaks, LeakFilter, compare_boots};
pub use module_symbols::SymbolLoad;
pub use overwrite::{Inputs, OutputKind};
pub use pattern::{NamePattern, PatternError};
pub use progress::{Progress, Silent};
#[cfg(feature = "demo")]
pub use sample::write_sample;
pub use session::{Session, SessionOptions, TablesInUse, View};
pub use source_snippet::SourceFiles;
pub use verifier_core::analysis::GroupBy;
pub use verifier_core::render::info::{self, Info};
pub use write_file::write_file;

/// The README's example compiles too.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
