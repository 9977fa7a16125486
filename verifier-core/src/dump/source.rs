//! The bytes of a file, in any form that the caller has them.

use std::sync::Arc;

/// Why bytes of the file could not be read.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum FileError {
    /// The file ends before the bytes.
    PastEnd,
    /// The system's error message.
    Io(Arc<str>),
}

/// Bytes by file offset: a byte vector, a mapped file, a file read with `pread`.
///
/// The trait has methods, not a slice, so that a program can also read a file that shrinks meanwhile
/// (a mapping would end the program with `SIGBUS`).
pub trait ReadAt: Send + Sync {
    /// Length in bytes.
    fn len(&self) -> u64;

    /// True for an empty file.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Fills all of `buf` from `offset` on, or fails.
    ///
    /// # Errors
    /// [`FileError::PastEnd`] if the file ends before the last byte.
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<(), FileError>;

    /// What messages call the file, such as its path; `None` if it has no name.
    fn name(&self) -> Option<String> {
        None
    }

    /// The same bytes without a copy, if the source has them in memory; `None` if it would have to read
    /// them or does not have all of them.
    fn lend(&self, _offset: u64, _len: usize) -> Option<&[u8]> {
        None
    }
}

fn part(bytes: &[u8], offset: u64, len: usize) -> Option<&[u8]> {
    let start = usize::try_from(offset).ok()?;
    bytes.get(start..start.checked_add(len)?)
}

fn copy(bytes: &[u8], offset: u64, buf: &mut [u8]) -> Result<(), FileError> {
    buf.copy_from_slice(part(bytes, offset, buf.len()).ok_or(FileError::PastEnd)?);
    Ok(())
}

impl ReadAt for Vec<u8> {
    fn len(&self) -> u64 {
        self.as_slice().len() as u64
    }
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<(), FileError> {
        copy(self, offset, buf)
    }
    fn lend(&self, offset: u64, len: usize) -> Option<&[u8]> {
        part(self, offset, len)
    }
}

impl ReadAt for Arc<[u8]> {
    fn len(&self) -> u64 {
        <[u8]>::len(self) as u64
    }
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<(), FileError> {
        copy(self, offset, buf)
    }
    fn lend(&self, offset: u64, len: usize) -> Option<&[u8]> {
        part(self, offset, len)
    }
}

impl ReadAt for &'static [u8] {
    fn len(&self) -> u64 {
        <[u8]>::len(self) as u64
    }
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<(), FileError> {
        copy(self, offset, buf)
    }
    fn lend(&self, offset: u64, len: usize) -> Option<&[u8]> {
        part(self, offset, len)
    }
}
