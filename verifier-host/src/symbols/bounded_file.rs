//! Files on disk, read up to a limit, and names in folders, compared without regard to case.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Read};
use std::path::{Path, PathBuf};

use verifier_core::internals::guard;

use super::outcome::Miss;

/// The most entries of one folder that are compared with a name in another case.
const MAX_ENTRIES: usize = 1 << 20;

/// The first bytes of a cabinet.
const CABINET: &[u8] = b"MSCF";

/// The bytes of a plain file, at most `limit` of them.
pub(super) fn read(path: &Path, limit: u64) -> Result<Vec<u8>, Miss> {
    let unreadable = |error: io::Error| match error.kind() {
        ErrorKind::NotFound => Miss::Absent,
        _ => Miss::Unreadable(error.to_string()),
    };
    let meta = fs::metadata(path).map_err(unreadable)?;
    // A pipe would wait, and a device would not end.
    if !meta.is_file() {
        return Err(Miss::Unreadable("it is not a plain file".to_owned()));
    }
    if meta.len() > limit {
        return Err(Miss::TooLarge { limit });
    }
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(unreadable)?;
    // The file may grow meanwhile, so its earlier length is not a limit.
    file.take(limit.saturating_add(1)).read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.len() as u64 > limit {
        return Err(Miss::TooLarge { limit });
    }
    Ok(bytes)
}

/// A symbol file, out of its cabinet if it is in one.
///
/// The bytes decide, not the last letter of the name: some servers expand the file themselves.
pub(super) fn expanded(bytes: Vec<u8>, limit: u64) -> Result<Vec<u8>, Miss> {
    if bytes.starts_with(CABINET) {
        return guarded("cabinet", || super::cabinet::expand(&bytes, limit));
    }
    Ok(bytes)
}

/// Runs a reader of a packed form, from a crate of others, that may panic.
pub(super) fn guarded<T>(
    kind: &'static str,
    work: impl FnOnce() -> Result<T, Miss>,
) -> Result<T, Miss> {
    guard(kind, work).unwrap_or_else(|error| Err(Miss::Damaged(error.to_string())))
}

/// The entry of a folder by that name, else by that name in another case.
pub(super) fn child(folder: &Path, name: &str) -> Result<Option<PathBuf>, Miss> {
    let exact = folder.join(name);
    if fs::metadata(&exact).is_ok() {
        return Ok(Some(exact));
    }
    let lower = name.to_lowercase();
    let entries = names(folder)?;
    let same = entries.iter().find(|entry| entry.to_lowercase() == lower);
    Ok(same.map(|entry| folder.join(entry)))
}

/// The names in a folder, sorted so that a search gives the same result each time; empty if the folder does
/// not exist. Names that are not Unicode are left out, because no search is for one.
pub(super) fn names(folder: &Path) -> Result<Vec<String>, Miss> {
    let unreadable = |error: io::Error| Miss::Unreadable(error.to_string());
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(e) if matches!(e.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            return Ok(Vec::new());
        }
        Err(error) => return Err(unreadable(error)),
    };
    let mut names = Vec::new();
    for entry in entries.take(MAX_ENTRIES) {
        let entry = entry.map_err(unreadable)?;
        names.extend(entry.file_name().into_string());
    }
    names.sort_unstable();
    Ok(names)
}
