//! Results in files, written whole or not at all.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use crate::error::Error;

/// The most symbolic links that are followed from one to the next.
const MAX_LINKS: usize = 40;

/// Makes the names of one process's temporary files differ.
static NEXT: AtomicU64 = AtomicU64::new(0);

/// Writes a file under a temporary name and renames it, so that half of it never appears; makes its folder.
/// A symbolic link stays, and its target is replaced. A device or a pipe is written to directly.
///
/// # Errors
/// [`Error::File`].
pub fn write_file(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    let error = |why| Error::File { path: path.into(), why };
    // A link may lead to a pipe, as /dev/stdout does; only the system can follow it.
    if fs::metadata(path).is_ok_and(|meta| !meta.is_file() && !meta.is_dir()) {
        let device = File::options().write(true).open(path);
        return device.and_then(|mut device| device.write_all(bytes)).map_err(error);
    }
    follow_links(path).and_then(|path| replace(&path, bytes)).map_err(error)
}

/// Writes a new file in the same folder and renames it: another process, also after a crash, finds the old
/// file or the new one.
pub(crate) fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    fs::create_dir_all(folder)?;
    let (part, mut out) = new_part(folder)?;
    let written = out
        .write_all(bytes)
        // Without this a crash of the system may leave the new name on empty blocks.
        .and_then(|()| out.sync_all())
        .and_then(|()| fs::rename(&part, path));
    if written.is_err() {
        // The first error is the one to report.
        let _ = fs::remove_file(&part);
    }
    written
}

/// A new file in a folder, under a name that nothing else uses.
fn new_part(folder: &Path) -> io::Result<(PathBuf, File)> {
    loop {
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let part = folder.join(format!(".{}-{number}.part", std::process::id()));
        match File::create_new(&part) {
            // An ended process of that number left it, here or in another container.
            Err(why) if why.kind() == io::ErrorKind::AlreadyExists => {}
            created => return created.map(|file| (part, file)),
        }
    }
}

/// The target of the links at the end of a path, which need not exist yet.
fn follow_links(path: &Path) -> io::Result<PathBuf> {
    let mut path = path.to_path_buf();
    for _ in 0..MAX_LINKS {
        if !fs::symlink_metadata(&path).is_ok_and(|meta| meta.is_symlink()) {
            return Ok(path);
        }
        let target = fs::read_link(&path)?;
        // A relative target starts at the link's folder; an absolute one replaces the path.
        path = path.parent().unwrap_or(Path::new("")).join(target);
    }
    Err(io::Error::other(format!("more than {MAX_LINKS} symbolic links in a row")))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Processes in containers share their numbers, and a process that is ended leaves its file.
    #[test]
    fn what_another_process_left_is_not_in_the_way() {
        let folder = tempfile::tempdir().unwrap();
        let first = NEXT.load(Ordering::Relaxed);
        let left: Vec<PathBuf> = (first..first + 100)
            .map(|number| folder.path().join(format!(".{}-{number}.part", std::process::id())))
            .collect();
        left.iter().for_each(|path| fs::write(path, b"left").unwrap());
        let path = folder.path().join("sub/result");
        write_file(&path, b"one").unwrap();
        let beside = folder.path().join("result");
        write_file(&beside, b"two").unwrap();
        write_file(&beside, b"three").unwrap();
        assert_eq!(
            (fs::read(&path).unwrap(), fs::read(&beside).unwrap()),
            (b"one".into(), b"three".into())
        );
        assert!(left.iter().all(|path| fs::read(path).unwrap() == b"left"));
        // A file does not replace a folder, and the attempt leaves nothing.
        assert!(write_file(&folder.path().join("sub"), b"four").is_err());
        let names = fs::read_dir(folder.path()).unwrap().count();
        assert_eq!(names, left.len() + 2);
    }
}
