//! Where the I/O lives: files, symbol stores and servers, and the `verifier` command.
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

mod carve;
pub mod command;
mod error;
mod file;
mod flamegraph;
pub mod info;
mod leaks;
mod lookup;
mod missing;
mod open;
mod progress;
pub mod report;
mod session;
pub mod symbols;
mod views;

pub use error::Error;
pub use file::{FileMode, open_file, write_file};
pub use flamegraph::flame_graph;
pub use info::Info;
pub use leaks::{FilteredLeaks, LeakFilter, NamePattern, compare_boots};
pub use lookup::SymbolLoad;
pub use open::TablesInUse;
pub use progress::{Progress, Silent, on_stderr};
pub use session::{Session, SessionOptions};
