//! The identities that symbol files are looked for by.

use std::fmt;

/// The identity of a PDB, as the CodeView record (`RSDS`) of its image gives it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct PdbId {
    /// The file name, "ntkrnlmp.pdb". Of a full path only the last component is used.
    pub name: String,
    /// The GUID as the record has it: the first three fields are little-endian.
    pub guid: [u8; 16],
    /// The age as the record has it.
    pub age: u32,
}

impl PdbId {
    /// The GUID as 32 upper-case hex digits, the form of symbol stores and ISF file names.
    pub fn guid_hex(&self) -> String {
        guid_hex(&self.guid)
    }

    /// The folder of a symbol store: GUID and age in upper-case hex, the age without padding.
    pub fn store_key(&self) -> String {
        format!("{}{:X}", self.guid_hex(), self.age)
    }

    /// The name of a Volatility 3 table without its extension: GUID in hex, age in decimal.
    pub fn isf_stem(&self) -> String {
        format!("{}-{}", self.guid_hex(), self.age)
    }
}

impl fmt::Display for PdbId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.name.escape_debug();
        write!(f, "{name} with GUID {} age {}", self.guid_hex(), self.age)
    }
}

/// The identity of an image, as the loader's list and its PE header give it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ImageId {
    /// The file name, "ntoskrnl.exe". Of a full path only the last component is used.
    pub name: String,
    /// `IMAGE_FILE_HEADER.TimeDateStamp`.
    pub time_date_stamp: u32,
    /// `IMAGE_OPTIONAL_HEADER.SizeOfImage`.
    pub size_of_image: u32,
}

impl ImageId {
    /// The folder of a symbol store: the time stamp as eight upper-case hex digits, the size as
    /// lower-case hex digits without padding.
    pub fn store_key(&self) -> String {
        format!("{:08X}{:x}", self.time_date_stamp, self.size_of_image)
    }
}

impl fmt::Display for ImageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.name.escape_debug();
        let Self {
            time_date_stamp,
            size_of_image,
            ..
        } = self;
        write!(
            f,
            "{name} with time stamp {time_date_stamp:#x} size {size_of_image:#x}"
        )
    }
}

/// A GUID as 32 upper-case hex digits: the first three fields are numbers, the rest bytes.
pub fn guid_hex(guid: &[u8; 16]) -> String {
    let [a0, a1, a2, a3, b0, b1, c0, c1, rest @ ..] = *guid;
    let mut text = format!(
        "{:08X}{:04X}{:04X}",
        u32::from_le_bytes([a0, a1, a2, a3]),
        u16::from_le_bytes([b0, b1]),
        u16::from_le_bytes([c0, c1]),
    );
    for byte in rest {
        text.push_str(&format!("{byte:02X}"));
    }
    text
}
