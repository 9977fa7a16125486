//! Three short programs on the library, each a function that writes to any writer:
//!
//! * [`outstanding`] lists which driver holds which blocks, from a dump file and its symbols.
//! * [`literals`] needs no file: its pages, types and symbols are literals.
//! * [`embed`] reads memory through a closure that another tool provides.
//!
//! `cargo run -p verifier-examples --bin outstanding -- memory.dmp symbols` runs one of them. Their outputs
//! on the sample machine of the walk-through are in `tests/golden/`.

pub mod embed;
pub mod literals;
pub mod outstanding;

/// The result of an example.
pub type Result<T> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;
