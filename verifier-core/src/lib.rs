//! placeholder

pub mod addr;
mod bytes;
pub mod dump;
pub mod error;
pub mod kernel;
pub mod machine;
pub mod memory;
pub mod raw;
pub mod symbols;
pub mod types;

pub use addr::{Pa, Pfn, Rva, Va};
pub use error::{Error, Fault, Problem, Reason};
