//! How large symbol files may be.

/// Limits of a search for symbols. A larger file is reported as [`Miss::TooLarge`](super::Miss::TooLarge),
/// before or while it is read, never after.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct SymbolLimits {
    /// Bytes of a PDB or an image: on disk, in an HTTP body, expanded from a cabinet.
    pub file_bytes: u64,
    /// Bytes of an ISF table: on disk, expanded from `.xz`.
    pub isf_bytes: u64,
}

impl Default for SymbolLimits {
    fn default() -> Self {
        Self { file_bytes: 1 << 30, isf_bytes: 512 << 20 }
    }
}
