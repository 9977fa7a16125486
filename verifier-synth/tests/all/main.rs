//! The integration tests of the crate in one program. `cargo test -p verifier-synth --test all paging::` runs one
//! module.

mod common;
mod dumps;
mod paging;
mod verifier;
mod walkthrough;
