//! Dump files as bytes by offset: mapped, or read with `pread`; and results, written whole or not at all.
//!
//! A mapping is faster and costs no memory of its own, but a file that another program cuts short
//! while it is mapped ends the process with `SIGBUS`. [`FileMode::Read`] asks the system for each read
//! instead: slower, and a vanished page is an error like any other. Choose it for files on network
//! shares, files that are still being written, and inside services.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use verifier_core::dump::{FileError, ReadAt};

use crate::error::Error;

/// Symbolic links that are followed from one to the next.
const MAX_LINKS: usize = 40;

/// Tells apart the temporary files of one process.
static NEXT: AtomicU64 = AtomicU64::new(0);

/// How a dump file is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum FileMode {
    /// Mapped into memory.
    #[default]
    Map,
    /// Read at each access.
    Read,
}

/// Opens a file for reading.
///
/// # Errors
/// [`Error::File`].
pub fn open_file(path: &Path, mode: FileMode) -> Result<Arc<dyn ReadAt>, Error> {
    let error = |why| Error::File { path: path.into(), why };
    let file = File::open(path).map_err(error)?;
    let meta = file.metadata().map_err(error)?;
    if meta.is_dir() {
        return Err(error(io::Error::new(
            io::ErrorKind::IsADirectory,
            "a folder, not a dump file",
        )));
    }
    // An empty file cannot be mapped everywhere, and what has no length (a pipe) not at all.
    if mode == FileMode::Map && meta.len() > 0 {
        // SAFETY: the map is read-only and private to this value. Rust asks that the file does not
        // change while it is mapped; no program can promise that of a file that others may write,
        // so what is read is copied out as bytes, or lent as bytes that are taken as numbers, never
        // referenced as a type with invariants. A file that is cut short raises SIGBUS, which the module's text says.
        #[allow(unsafe_code)]
        let map = unsafe { memmap2::Mmap::map(&file) }.map_err(error)?;
        return Ok(Arc::new(Mapped(map)));
    }
    Ok(Arc::new(Read { len: meta.len(), file }))
}

/// Writes a file under a temporary name and renames it, so that no half of it is ever there; its folder is
/// made. A symbolic link stays, and what it leads to is replaced; what is no regular file (a device, a pipe)
/// is written to as it is.
///
/// # Errors
/// [`Error::File`].
pub fn write_file(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    let error = |why| Error::File { path: path.into(), why };
    // Of a link that leads to a pipe, as /dev/stdout may, only the system knows where it leads.
    if fs::metadata(path).is_ok_and(|meta| !meta.is_file() && !meta.is_dir()) {
        let device = File::options().write(true).open(path);
        return device.and_then(|mut device| device.write_all(bytes)).map_err(error);
    }
    follow_links(path).and_then(|path| replace(&path, bytes)).map_err(error)
}

/// Writes beside the file and renames: another process, and whoever looks after a crash, sees the old state
/// or the new one.
pub(crate) fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    fs::create_dir_all(folder)?;
    let (part, mut out) = new_part(folder)?;
    let written = out
        .write_all(bytes)
        // Else a crash of the system may leave the new name on empty blocks.
        .and_then(|()| out.sync_all())
        .and_then(|()| fs::rename(&part, path));
    if written.is_err() {
        // The first error is the one to tell.
        let _ = fs::remove_file(&part);
    }
    written
}

/// A new file in a folder, under a name that is taken for nothing else.
fn new_part(folder: &Path) -> io::Result<(PathBuf, File)> {
    loop {
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let part = folder.join(format!(".{}-{number}.part", std::process::id()));
        match File::create_new(&part) {
            // Left by a process of that number that was ended, here or in another container.
            Err(why) if why.kind() == io::ErrorKind::AlreadyExists => {}
            created => return created.map(|file| (part, file)),
        }
    }
}

/// Where the links at the end of a path lead, also to a file that is not there yet.
fn follow_links(path: &Path) -> io::Result<PathBuf> {
    let mut path = path.to_path_buf();
    for _ in 0..MAX_LINKS {
        if !fs::symlink_metadata(&path).is_ok_and(|meta| meta.is_symlink()) {
            return Ok(path);
        }
        let target = fs::read_link(&path)?;
        // What is relative is so to the link's folder; what is absolute replaces all.
        path = path.parent().unwrap_or(Path::new("")).join(target);
    }
    Err(io::Error::other(format!("more than {MAX_LINKS} symbolic links in a row")))
}

struct Mapped(memmap2::Mmap);

impl ReadAt for Mapped {
    fn len(&self) -> u64 {
        self.0.len() as u64
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<(), FileError> {
        buf.copy_from_slice(self.lend(offset, buf.len()).ok_or(FileError::PastEnd)?);
        Ok(())
    }

    fn lend(&self, offset: u64, len: usize) -> Option<&[u8]> {
        let start = usize::try_from(offset).ok()?;
        self.0.get(start..start.checked_add(len)?)
    }
}

struct Read {
    len: u64,
    file: File,
}

impl ReadAt for Read {
    fn len(&self) -> u64 {
        self.len
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<(), FileError> {
        read_exact_at(&self.file, buf, offset).map_err(|why| match why.kind() {
            io::ErrorKind::UnexpectedEof => FileError::PastEnd,
            _ => FileError::Io(why.to_string().into()),
        })
    }
}

#[cfg(unix)]
fn read_exact_at(file: &File, buf: &mut [u8], offset: u64) -> io::Result<()> {
    std::os::unix::fs::FileExt::read_exact_at(file, buf, offset)
}

#[cfg(windows)]
fn read_exact_at(file: &File, mut buf: &mut [u8], mut offset: u64) -> io::Result<()> {
    while !buf.is_empty() {
        match std::os::windows::fs::FileExt::seek_read(file, buf, offset)? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            n => {
                buf = &mut buf[n..];
                offset += n as u64;
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Processes in containers share their numbers, and one that is ended leaves its file behind.
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
        // A folder is not replaced by a file, and nothing stays of the try.
        assert!(write_file(&folder.path().join("sub"), b"four").is_err());
        let names = fs::read_dir(folder.path()).unwrap().count();
        assert_eq!(names, left.len() + 2);
    }
}
