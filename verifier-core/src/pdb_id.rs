//! The identity of a PDB, as stored in the image's CodeView record.

use std::fmt;

/// Identifies the PDB that belongs to an image.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct PdbId {
    /// The file's name without its path, `ntkrnlmp.pdb`.
    pub name: String,
    /// The GUID as stored in the record: the first three fields are little-endian.
    pub guid: [u8; 16],
    /// The age.
    pub age: u32,
}

impl PdbId {
    /// Builds the identity from the GUID's 32 hexadecimal digits, in the order that symbol stores and ISF
    /// tables use.
    #[must_use]
    pub fn from_hex(name: &str, guid: &str, age: u32) -> Option<Self> {
        if guid.len() != 32 || !guid.is_ascii() {
            return None;
        }
        let value = u128::from_str_radix(guid, 16).ok()?;
        let mut bytes = value.to_be_bytes();
        let (head, _) = bytes.split_at_mut(8);
        let (first, rest) = head.split_at_mut(4);
        let (second, third) = rest.split_at_mut(2);
        first.reverse();
        second.reverse();
        third.reverse();
        Some(Self { name: name.into(), guid: bytes, age })
    }

    /// The GUID as 32 upper-case hexadecimal digits, in the usual text order.
    #[must_use]
    pub fn guid_hex(&self) -> String {
        guid_hex(&self.guid)
    }

    /// The directory name in a symbol store: GUID and age.
    #[must_use]
    pub fn store_key(&self) -> String {
        format!("{}{:X}", self.guid_hex(), self.age)
    }

    /// The name of a Volatility 3 table without its extension: GUID in hex, age in decimal.
    #[must_use]
    pub fn isf_stem(&self) -> String {
        format!("{}-{}", self.guid_hex(), self.age)
    }
}

/// A GUID as 32 upper-case hexadecimal digits; the first three fields of `guid` are little-endian.
#[must_use]
pub fn guid_hex(guid: &[u8; 16]) -> String {
    let [a0, a1, a2, a3, b0, b1, c0, c1, rest @ ..] = *guid;
    let a = u32::from_le_bytes([a0, a1, a2, a3]);
    let b = u16::from_le_bytes([b0, b1]);
    let c = u16::from_le_bytes([c0, c1]);
    let d = u64::from_be_bytes(rest);
    format!("{a:08X}{b:04X}{c:04X}{d:016X}")
}

impl fmt::Display for PdbId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The name comes from the dump, so control characters are escaped.
        let name = self.name.escape_debug();
        write!(f, "{name} with GUID {} age {}", self.guid_hex(), self.age)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hex_and_back() {
        let id = PdbId::from_hex("a.pdb", "339E74133576439CBCDF7E0229DA3773", 1).unwrap();
        assert_eq!(id.guid[..4], [0x13, 0x74, 0x9e, 0x33]);
        assert_eq!(id.guid_hex(), "339E74133576439CBCDF7E0229DA3773");
        assert_eq!(id.store_key(), "339E74133576439CBCDF7E0229DA37731");
        assert!(PdbId::from_hex("a.pdb", "339E", 1).is_none());
        assert!(PdbId::from_hex("a.pdb", &"é".repeat(16), 1).is_none());
    }
}
