//! placeholder

pub mod addr;
pub mod analysis;
mod bytes;
pub mod dump;
pub mod error;
pub mod kernel;
pub mod machine;
pub mod memory;
pub mod raw;
pub mod render;
pub mod symbols;
pub mod types;
pub mod verifier;

pub use addr::{Pa, Pfn, Rva, Va};
pub use error::{Error, Fault, Problem, Reason};
