//! Pool tags.

use std::fmt;

use crate::describe::Value;

/// A pool tag: four characters in memory order.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct PoolTag(pub u32);

impl PoolTag {
    /// The four characters as the debugger prints them: a character that is not printable becomes a dot, and
    /// bit 31 (`PROTECTED_POOL`) is not part of the last one.
    #[must_use]
    pub fn chars(self) -> [char; 4] {
        (self.0 & !(1 << 31)).to_le_bytes().map(|byte| match byte {
            0x20..=0x7e => char::from(byte),
            _ => '.',
        })
    }
}

impl From<PoolTag> for Value<'_> {
    fn from(tag: PoolTag) -> Self {
        Value::Tag(tag.chars())
    }
}

impl fmt::Display for PoolTag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text: String = self.chars().iter().collect();
        f.pad(&text)
    }
}

impl fmt::Debug for PoolTag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PoolTag({self} {:#x})", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn characters() {
        assert_eq!(PoolTag(u32::from_le_bytes(*b"Leak")).to_string(), "Leak");
        assert_eq!(PoolTag(u32::from_le_bytes(*b"Irp ")).to_string(), "Irp ");
        assert_eq!(PoolTag(u32::from_le_bytes([b'L', 0, 0x1b, 0xe1])).to_string(), "L..a");
    }
}
