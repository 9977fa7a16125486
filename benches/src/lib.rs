//! Inputs and measurements for the benches. `src/bin/performance.rs` writes docs/performance.md;
//! `benches/reads.rs` uses criterion, for work on one operation at a time.

pub mod inputs;
pub mod large_pdb;
pub mod measure;
