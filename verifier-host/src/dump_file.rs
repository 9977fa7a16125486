//! Dump files as bytes by offset: mapped, or read with `pread`.
//!
//! A mapping is faster and needs no memory of its own, but if another program cuts the file short while it is
//! mapped, the process ends with `SIGBUS`. [`FileMode::Read`] asks the system for each read instead: it is
//! slower, and a vanished page is an error like any other. Choose it for files on network shares, files that
//! are still being written, and inside services.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use verifier_core::dump::{FileError, ReadAt};

use crate::error::Error;

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
    // Some systems cannot map an empty file, and none can map a pipe, which has no length.
    if mode == FileMode::Map && meta.len() > 0 {
        // SAFETY: the map is read-only and private to this value. Rust requires that the file does not
        // change while it is mapped; no program can promise that for a file that others may write. So bytes
        // are copied out, or lent as bytes that are taken as numbers, and never referenced as a type with
        // invariants. A file that is cut short raises SIGBUS, as the module's text says.
        #[allow(unsafe_code)]
        let map = unsafe { memmap2::Mmap::map(&file) }.map_err(error)?;
        return Ok(Arc::new(Mapped { map, path: path.into() }));
    }
    Ok(Arc::new(Read { len: meta.len(), file, path: path.into() }))
}

struct Mapped {
    map: memmap2::Mmap,
    path: PathBuf,
}

impl ReadAt for Mapped {
    fn len(&self) -> u64 {
        self.map.len() as u64
    }

    fn name(&self) -> Option<String> {
        Some(self.path.display().to_string())
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<(), FileError> {
        buf.copy_from_slice(self.lend(offset, buf.len()).ok_or(FileError::PastEnd)?);
        Ok(())
    }

    fn lend(&self, offset: u64, len: usize) -> Option<&[u8]> {
        let start = usize::try_from(offset).ok()?;
        self.map.get(start..start.checked_add(len)?)
    }
}

struct Read {
    len: u64,
    file: File,
    path: PathBuf,
}

impl ReadAt for Read {
    fn len(&self) -> u64 {
        self.len
    }

    fn name(&self) -> Option<String> {
        Some(self.path.display().to_string())
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
