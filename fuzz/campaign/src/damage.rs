//! What is done to a file.

/// What is done at an offset of the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Damage {
    /// The file ends there.
    Cut,
    /// These bytes are written there.
    Write {
        /// The bytes.
        bytes: [u8; 8],
        /// How many of them.
        len: u8,
    },
}

impl Damage {
    pub(crate) fn byte(byte: u8) -> Self {
        Damage::Write { bytes: [byte; 8], len: 1 }
    }

    pub(crate) fn number(value: u64, len: usize) -> Self {
        Damage::Write { bytes: value.to_le_bytes(), len: len as u8 }
    }
}
