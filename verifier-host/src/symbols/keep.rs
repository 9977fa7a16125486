//! Keeping a found file in a cache, so that it is either wholly there or not at all.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process;
use std::sync::atomic::{AtomicU64, Ordering};

use super::locate::Want;
use super::place::{Miss, Place};

/// Tells apart the temporary files of one process.
static NEXT: AtomicU64 = AtomicU64::new(0);

/// Writes the file to each cache that does not have it; says which file is the first cache's.
pub(super) fn keep(
    caches: &[PathBuf],
    want: &Want<'_>,
    bytes: &[u8],
    looked: &mut Vec<Place>,
) -> Option<PathBuf> {
    let mut first = None;
    for cache in caches {
        let name = want.name.as_str();
        let file = cache.join(name).join(&want.key).join(name);
        match write(&file, bytes) {
            Ok(()) => first = first.or(Some(file)),
            Err(error) => {
                let why = Miss::NotKept(error.to_string());
                looked.push(Place::new(file.display(), why));
            }
        }
    }
    first
}

/// Writes beside the file and renames: another process sees the old state or the new one. A file
/// that is there already was found wanting by the search, so it is replaced.
fn write(file: &Path, bytes: &[u8]) -> io::Result<()> {
    let folder = file.parent().unwrap_or(Path::new(""));
    fs::create_dir_all(folder)?;
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let part = folder.join(format!("{}-{number}.part", process::id()));
    let written = OpenOptions::new()
        .write(true)
        .create_new(true)
        .open(&part)
        .and_then(|mut out| {
            out.write_all(bytes)?;
            // Else a crash of the system may leave the new name on empty blocks.
            out.sync_all()
        })
        .and_then(|()| fs::rename(&part, file));
    if written.is_err() {
        // The first error is the one to tell.
        let _ = fs::remove_file(&part);
    }
    written
}
