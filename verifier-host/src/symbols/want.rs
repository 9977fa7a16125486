//! What a search looks for, and what it finds on disk: the terms that all layouts share.

use std::path::PathBuf;

use super::file_bytes::FileBytes;
use super::name::FileName;
use super::outcome::Miss;

/// Checks whether bytes are the wanted file. Gives the file's age if it differs from the wanted age.
pub(super) type Check<'a> = dyn Fn(&FileBytes) -> Result<Option<u32>, Miss> + 'a;

/// A wanted file, in the terms of the layouts.
pub(super) struct Want<'a> {
    pub(super) name: FileName,
    /// The folder of a store.
    pub(super) key: String,
    /// The start of the keys that the same PDB has with another age; `None` for images.
    pub(super) guid: Option<String>,
    pub(super) check: &'a Check<'a>,
    /// True if a large file may stay on disk.
    pub(super) in_parts: bool,
    /// [`SymbolLimits::file_bytes`](super::SymbolLimits::file_bytes).
    pub(super) file_bytes: u64,
}

/// A file on disk that is the wanted one.
pub(super) struct Hit {
    pub(super) path: PathBuf,
    pub(super) bytes: FileBytes,
    pub(super) other_age: Option<u32>,
}
