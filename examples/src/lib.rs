//! Three short programs on the library, each a function that writes to any writer:
//!
//! * [`outstanding`]: a dump file and its symbols: who holds what.
//! * [`literals`]: no file at all: some pages, some types, some symbols, spelled out.
//! * [`embed`]: over memory that another tool reads, given as a closure.
//!
//! `cargo run -p verifier-examples --bin outstanding -- memory.dmp symbols` runs one; their outputs on
//! the sample machine of the walk-through are in `tests/golden/`.

pub mod embed;
pub mod literals;
pub mod outstanding;

/// What an example may end with.
pub type Result<T> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;
