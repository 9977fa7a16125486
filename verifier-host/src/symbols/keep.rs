//! Writes a found file to a cache, whole or not at all.

use std::path::PathBuf;

use super::outcome::{Attempt, Miss};
use super::want::Want;
use crate::write_file::replace;

/// Writes the file to each cache that does not have it; says which file is the first cache's.
pub(super) fn keep(
    caches: &[PathBuf],
    want: &Want<'_>,
    bytes: &[u8],
    attempts: &mut Vec<Attempt>,
) -> Option<PathBuf> {
    let mut first = None;
    for cache in caches {
        let name = want.name.as_str();
        let file = cache.join(name).join(&want.key).join(name);
        // The search has rejected a file that is there already.
        match replace(&file, bytes) {
            Ok(()) => first = first.or(Some(file)),
            Err(error) => {
                let why = Miss::NotKept(error.to_string());
                attempts.push(Attempt::new(file.display(), why));
            }
        }
    }
    first
}
