//! What the texts share.

pub use crate::render::escape::sanitize;

/// The row between records, as the walk-through has it for `!verifier 80`; other publications lost it.
pub(super) const SEPARATOR: &str =
    "======================================================================";
