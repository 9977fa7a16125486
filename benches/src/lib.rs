//! Inputs and measuring for the benches: `src/bin/performance.rs` writes docs/performance.md,
//! `benches/reads.rs` is criterion's, for work on one thing at a time.

pub mod inputs;
pub mod measure;
