//! The bytes of a symbol file.

use std::sync::Arc;
use std::{fmt, io};

use verifier_core::dump::{FileError, ReadAt};
use verifier_core::types::{Bytes, Pdb};

/// The bytes of a symbol file.
#[derive(Clone)]
#[non_exhaustive]
pub enum FileBytes {
    /// In memory: a small file, or one that was expanded or downloaded.
    Memory(Arc<Vec<u8>>),
    /// On disk: of a large PDB, only what is used is read.
    Disk(Arc<dyn ReadAt>),
}

impl FileBytes {
    /// Their number.
    pub fn len(&self) -> u64 {
        match self {
            Self::Memory(bytes) => bytes.len() as u64,
            Self::Disk(file) => file.len(),
        }
    }

    /// True if there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Opens them as a PDB and reads only its identity; `name` is for messages.
    ///
    /// # Errors
    /// [`verifier_core::Error`] if they are not a PDB.
    pub fn pdb(&self, name: &str) -> Result<Pdb, verifier_core::Error> {
        match self {
            Self::Memory(bytes) => Pdb::parse(name, Arc::clone(bytes) as Bytes),
            Self::Disk(file) => Pdb::open(name, Arc::clone(file)),
        }
    }

    /// All of them.
    ///
    /// # Errors
    /// Why the file on disk could not be read.
    pub fn read(&self) -> io::Result<Arc<Vec<u8>>> {
        match self {
            Self::Memory(bytes) => Ok(Arc::clone(bytes)),
            Self::Disk(file) => {
                let len = usize::try_from(file.len()).map_err(io::Error::other)?;
                let mut bytes = vec![0; len];
                file.read_at(0, &mut bytes).map_err(|error| match error {
                    FileError::Io(why) => io::Error::other(&*why),
                    _ => io::Error::other("it became shorter while it was read"),
                })?;
                Ok(Arc::new(bytes))
            }
        }
    }
}

impl From<Vec<u8>> for FileBytes {
    fn from(bytes: Vec<u8>) -> Self {
        Self::Memory(Arc::new(bytes))
    }
}

impl fmt::Debug for FileBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes", self.len())
    }
}
