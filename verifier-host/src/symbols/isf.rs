//! Volatility 3 tables (ISF) for the identity of a PDB, in a folder.

use std::path::{Path, PathBuf};

use super::bounded_file::{child, names, read};
use super::identity::PdbId;
use super::name::FileName;
use super::outcome::{Attempt, Miss};
use super::want::Hit;
use super::xz;

const PLAIN: &str = ".json";
const PACKED: &str = ".json.xz";

/// Looks for a table in one root; a root that is a file is taken if it holds the GUID.
pub(super) fn search(
    root: &Path,
    name: &FileName,
    id: &PdbId,
    limit: u64,
    attempts: &mut Vec<Attempt>,
) -> Option<Hit> {
    if root.is_file() {
        return named(root, id, limit, attempts);
    }
    if !root.is_dir() {
        attempts.push(Attempt::new(root.display(), Miss::NoFolder));
        return None;
    }
    let before = attempts.len();
    let name = name.as_str();
    let below: [&[&str]; 4] = [&[], &[name], &["windows", name], &["symbols", "windows", name]];
    for steps in below {
        match descend(root, steps).and_then(|folder| match folder {
            Some(folder) => tables(&folder, id),
            None => Ok(Vec::new()),
        }) {
            Ok(tables) => {
                for (path, other_age) in tables {
                    match table(&path, limit) {
                        Ok(bytes) => {
                            let bytes = bytes.into();
                            return Some(Hit { path, bytes, other_age });
                        }
                        Err(why) => attempts.push(Attempt::new(path.display(), why)),
                    }
                }
            }
            Err(why) => attempts.push(Attempt::new(root.display(), why)),
        }
    }
    if attempts.len() == before {
        attempts.push(Attempt::new(root.display(), Miss::NoTable(id.isf_stem())));
    }
    None
}

/// A table that the user named: its file name may be anything, so its text has to contain the GUID.
fn named(path: &Path, id: &PdbId, limit: u64, attempts: &mut Vec<Attempt>) -> Option<Hit> {
    let name = path.to_string_lossy().to_lowercase();
    // The user may have named a PDB, which another function reads.
    if !name.ends_with(PLAIN) && !name.ends_with(PACKED) {
        attempts.push(Attempt::new(path.display(), Miss::NotThat("an ISF table")));
        return None;
    }
    let guid = id.guid_hex();
    let held = table(path, limit).and_then(|bytes| {
        let mut windows = bytes.windows(guid.len());
        if windows.any(|text| text.eq_ignore_ascii_case(guid.as_bytes())) {
            return Ok(bytes);
        }
        Err(Miss::OtherTable(guid.clone()))
    });
    match held {
        Ok(bytes) => Some(Hit { path: path.to_owned(), bytes: bytes.into(), other_age: None }),
        Err(why) => {
            attempts.push(Attempt::new(path.display(), why));
            None
        }
    }
}

fn descend(root: &Path, steps: &[&str]) -> Result<Option<PathBuf>, Miss> {
    let mut folder = root.to_owned();
    for step in steps {
        match child(&folder, step)? {
            Some(found) if found.is_dir() => folder = found,
            _ => return Ok(None),
        }
    }
    Ok(Some(folder))
}

/// The tables of a folder with this GUID, and the age of each that has another age: the right age
/// first, and of each age the plain file first.
fn tables(folder: &Path, id: &PdbId) -> Result<Vec<(PathBuf, Option<u32>)>, Miss> {
    let guid = id.guid_hex();
    let mut found = Vec::new();
    for name in names(folder)? {
        let lower = name.to_ascii_lowercase();
        let (stem, packed) = match (lower.strip_suffix(PACKED), lower.strip_suffix(PLAIN)) {
            (Some(stem), _) => (stem, true),
            (None, Some(stem)) => (stem, false),
            (None, None) => continue,
        };
        let Some((of, age)) = stem.split_once('-') else {
            continue;
        };
        let Ok(age) = age.parse::<u32>() else {
            continue;
        };
        if of.eq_ignore_ascii_case(&guid) {
            let other_age = (age != id.age).then_some(age);
            found.push((other_age, packed, folder.join(name)));
        }
    }
    // `None`, the age that is wanted, sorts first.
    found.sort();
    Ok(found.into_iter().map(|(age, _, path)| (path, age)).collect())
}

fn table(path: &Path, limit: u64) -> Result<Vec<u8>, Miss> {
    let bytes = read(path, limit)?;
    let bytes = if path.to_string_lossy().to_lowercase().ends_with(PACKED) {
        xz::expand(&bytes, limit)?
    } else {
        bytes
    };
    // An object, after a byte order mark or blanks: enough to distinguish JSON from an error page.
    let text = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&bytes);
    if text.trim_ascii_start().first() != Some(&b'{') {
        return Err(Miss::NotThat("an ISF table"));
    }
    Ok(bytes)
}
