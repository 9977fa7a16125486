//! One root folder: the layouts of a symbol store, and the flat one.

use std::path::{Path, PathBuf};

use super::bounded_file::{child, expanded, in_parts, names, read};
use super::outcome::{Attempt, Miss};
use super::want::{Hit, Want};

/// Marks the root of a two-tier store.
const TWO_TIER: &str = "index2.txt";
/// Refers to a file in another place.
const POINTER: &str = "file.ptr";
/// A pointer holds one line; a larger file is not a pointer.
const MAX_POINTER: u64 = 64 << 10;
/// A GUID in a key.
const GUID_DIGITS: usize = 32;

/// Searches the layouts of one root; each file that does not serve goes to `attempts`.
pub(super) fn search(
    root: &Path,
    flat: bool,
    want: &Want<'_>,
    attempts: &mut Vec<Attempt>,
) -> Option<Hit> {
    if flat && root.is_file() {
        return accept(root.to_owned(), want, attempts);
    }
    if !root.is_dir() {
        attempts.push(Attempt::new(root.display(), Miss::NoFolder));
        return None;
    }
    // A store that was turned into a two-tier one may still hold files of before.
    if root.join(TWO_TIER).is_file() {
        let tier = want.name.tier();
        match child(root, &tier) {
            Ok(Some(upper)) => {
                if let Some(hit) = below_name(&upper, want, attempts) {
                    return Some(hit);
                }
            }
            Ok(None) => absent(&root.join(tier), want, attempts),
            Err(why) => attempts.push(Attempt::new(root.display(), why)),
        }
    }
    if let Some(hit) = below_name(root, want, attempts) {
        return Some(hit);
    }
    if flat {
        return named_file(root, want, attempts);
    }
    None
}

/// `BASE/N/KEY/…`
fn below_name(base: &Path, want: &Want<'_>, attempts: &mut Vec<Attempt>) -> Option<Hit> {
    let folders = child(base, want.name.as_str()).and_then(|folder| match folder {
        Some(folder) if folder.is_dir() => Ok(Some((names(&folder)?, folder))),
        _ => Ok(None),
    });
    let (keys, folder) = match folders {
        Ok(Some(found)) => found,
        Ok(None) => {
            absent(base, want, attempts);
            return None;
        }
        Err(why) => {
            attempts.push(Attempt::new(base.display(), why));
            return None;
        }
    };
    let keys = matching_keys(&keys, want);
    if keys.is_empty() {
        absent(base, want, attempts);
    }
    keys.into_iter().find_map(|key| below_key(&folder.join(key), want, attempts))
}

/// The key's own folder first, then the folders of the same GUID with another age.
fn matching_keys<'a>(keys: &'a [String], want: &Want<'_>) -> Vec<&'a str> {
    let same = |key: &&String| key.eq_ignore_ascii_case(&want.key);
    let other_age = |key: &&String| match (&want.guid, key.split_at_checked(GUID_DIGITS)) {
        (Some(guid), Some((start, age))) => {
            start.eq_ignore_ascii_case(guid)
                && u32::from_str_radix(age, 16).is_ok()
                && !key.eq_ignore_ascii_case(&want.key)
        }
        _ => false,
    };
    let exact = keys.iter().filter(same);
    let others = keys.iter().filter(other_age);
    exact.chain(others).map(String::as_str).collect()
}

/// The file, its cabinet, or the pointer to it.
fn below_key(folder: &Path, want: &Want<'_>, attempts: &mut Vec<Attempt>) -> Option<Hit> {
    let before = attempts.len();
    if let Some(hit) = plain_or_cabinet(folder, want, attempts) {
        return Some(hit);
    }
    match child(folder, POINTER) {
        Ok(Some(pointer)) => match target(&pointer) {
            Ok(path) => return accept(path, want, attempts),
            Err(why) => attempts.push(Attempt::new(pointer.display(), why)),
        },
        Ok(None) if attempts.len() == before => {
            let file = folder.join(want.name.as_str());
            attempts.push(Attempt::new(file.display(), Miss::Absent));
        }
        Ok(None) => {}
        Err(why) => attempts.push(Attempt::new(folder.display(), why)),
    }
    None
}

/// `ROOT/N`; its build is unknown until it is read.
fn named_file(root: &Path, want: &Want<'_>, attempts: &mut Vec<Attempt>) -> Option<Hit> {
    let before = attempts.len();
    let hit = plain_or_cabinet(root, want, attempts);
    if hit.is_none() && attempts.len() == before {
        let file = root.join(want.name.as_str());
        attempts.push(Attempt::new(file.display(), Miss::Absent));
    }
    hit
}

fn plain_or_cabinet(folder: &Path, want: &Want<'_>, attempts: &mut Vec<Attempt>) -> Option<Hit> {
    for name in [want.name.as_str(), &want.name.compressed()] {
        match child(folder, name) {
            // In the root of a store, the file's name is a folder.
            Ok(Some(path)) if path.is_dir() => {}
            Ok(Some(path)) => {
                if let Some(hit) = accept(path, want, attempts) {
                    return Some(hit);
                }
            }
            Ok(None) => {}
            Err(why) => attempts.push(Attempt::new(folder.display(), why)),
        }
    }
    None
}

/// Reads one file and checks its identity.
fn accept(path: PathBuf, want: &Want<'_>, attempts: &mut Vec<Attempt>) -> Option<Hit> {
    let bytes = match want.in_parts {
        true => in_parts(&path, want.file_bytes),
        false => read(&path, want.file_bytes)
            .and_then(|bytes| Ok(expanded(bytes, want.file_bytes)?.into())),
    };
    let checked = bytes.and_then(|bytes| Ok(((want.check)(&bytes)?, bytes)));
    match checked {
        Ok((other_age, bytes)) => Some(Hit { path, bytes, other_age }),
        Err(why) => {
            attempts.push(Attempt::new(path.display(), why));
            None
        }
    }
}

/// The target of a `file.ptr`. A relative path begins at the pointer's folder.
fn target(pointer: &Path) -> Result<PathBuf, Miss> {
    let bytes = read(pointer, MAX_POINTER)?;
    let text = String::from_utf8_lossy(&bytes);
    let text = text.trim_start_matches('\u{feff}').trim();
    match text.split_once(':') {
        Some((word, path)) if word.eq_ignore_ascii_case("path") && !path.trim().is_empty() => {
            let folder = pointer.parent().unwrap_or(Path::new(""));
            Ok(folder.join(path.trim()))
        }
        Some((word, why)) if word.eq_ignore_ascii_case("msg") => {
            let why = why.trim().escape_debug();
            Err(Miss::Pointer(format!("the store says: {why}")))
        }
        _ => Err(Miss::Pointer("begins with neither PATH: nor MSG:".to_owned())),
    }
}

fn absent(base: &Path, want: &Want<'_>, attempts: &mut Vec<Attempt>) {
    let name = want.name.as_str();
    let file = base.join(name).join(&want.key).join(name);
    attempts.push(Attempt::new(file.display(), Miss::Absent));
}
