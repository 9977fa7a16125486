//! Files on disk, read up to a limit, and names in folders, compared without regard to case.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Read};
use std::path::{Path, PathBuf};

use verifier_core::internals::guard;

use super::file_bytes::FileBytes;
use super::outcome::Miss;
use crate::dump_file::{FileMode, open_file};
use crate::error::Error;

/// The most entries of one folder that are compared with a name in another case.
const MAX_ENTRIES: usize = 1 << 20;

/// The first bytes of a cabinet.
const CABINET: [u8; 4] = *b"MSCF";

/// A file up to this size is read at once; a larger one stays open.
const SMALL: u64 = 4 << 20;

fn unreadable(error: io::Error) -> Miss {
    match error.kind() {
        ErrorKind::NotFound => Miss::Absent,
        _ => Miss::Unreadable(error.to_string()),
    }
}

/// The length of a plain file, at most `limit`.
fn length(path: &Path, limit: u64) -> Result<u64, Miss> {
    let meta = fs::metadata(path).map_err(unreadable)?;
    // A pipe would wait, and a device would not end.
    if !meta.is_file() {
        return Err(Miss::Unreadable("it is not a plain file".to_owned()));
    }
    match meta.len() {
        length if length > limit => Err(Miss::TooLarge { limit }),
        length => Ok(length),
    }
}

/// A symbol file: in memory if it is small or in a cabinet, otherwise open.
///
/// It is read, not mapped: a linker that writes a mapped PDB anew would end this program.
pub(super) fn in_parts(path: &Path, limit: u64) -> Result<FileBytes, Miss> {
    if length(path, limit)? > SMALL {
        let file = open_file(path, FileMode::Read).map_err(|error| match error {
            Error::File { why, .. } => unreadable(why),
            error => Miss::Unreadable(error.to_string()),
        })?;
        let mut start = [0; CABINET.len()];
        if file.read_at(0, &mut start).is_ok() && start != CABINET {
            return Ok(FileBytes::Disk(file));
        }
    }
    Ok(expanded(read(path, limit)?, limit)?.into())
}

/// The bytes of a plain file, at most `limit` of them.
pub(super) fn read(path: &Path, limit: u64) -> Result<Vec<u8>, Miss> {
    length(path, limit)?;
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
    if bytes.starts_with(&CABINET) {
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
