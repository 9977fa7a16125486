//! Verifier's globals without the kernel's PDB: a search recognizes them by the data that they point at.

mod data;
mod drivers;
mod found;
mod layouts;
mod log_order;
mod plausible;
mod pool_log;
mod search;
mod trees;

pub use found::{FoundGlobal, GlobalEvidence, Globals, MissingGlobal};
