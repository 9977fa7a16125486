//! A file with some bytes changed, or cut short, without a copy of it.

use std::sync::Arc;

use verifier_core::dump::{FileError, ReadAt};

use crate::damage::Damage;

/// The bytes of a file under damage.
pub struct Overlay {
    base: Arc<[u8]>,
    damage: Option<(usize, Damage)>,
}

impl Overlay {
    /// The file as it is.
    #[must_use]
    pub fn whole(base: Arc<[u8]>) -> Self {
        Self { base, damage: None }
    }

    /// The file with `damage` at an offset.
    #[must_use]
    pub fn damaged(base: Arc<[u8]>, at: usize, damage: Damage) -> Self {
        Self { base, damage: Some((at, damage)) }
    }

    /// Not the file's own `len`, which is the trait's and of 64 bits.
    fn bytes(&self) -> &[u8] {
        &self.base
    }

    fn end(&self) -> usize {
        match self.damage {
            Some((at, Damage::Cut)) => at.min(self.bytes().len()),
            _ => self.bytes().len(),
        }
    }

    /// All bytes, for programs that want a file.
    #[must_use]
    pub fn to_vec(&self) -> Vec<u8> {
        let mut bytes = vec![0; self.end()];
        // Its own length is never past its end.
        let _ = self.read_at(0, &mut bytes);
        bytes
    }
}

impl ReadAt for Overlay {
    fn len(&self) -> u64 {
        self.end() as u64
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<(), FileError> {
        let start = usize::try_from(offset).map_err(|_| FileError::PastEnd)?;
        let end = start.checked_add(buf.len()).filter(|&end| end <= self.end());
        let end = end.ok_or(FileError::PastEnd)?;
        buf.copy_from_slice(self.bytes().get(start..end).ok_or(FileError::PastEnd)?);
        if let Some((at, Damage::Write { bytes, len })) = &self.damage {
            for (i, &byte) in bytes.iter().take(usize::from(*len)).enumerate() {
                if let Some(to) = (at + i).checked_sub(start).and_then(|to| buf.get_mut(to)) {
                    *to = byte;
                }
            }
        }
        Ok(())
    }
}
