//! The identities by which symbol files are searched for.

use std::fmt;

pub use verifier_core::symbols::{PdbId, guid_hex};

/// The identity of an image, as in the loader's list and in its PE header.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ImageId {
    /// The file name, "ntoskrnl.exe". Only the last component of a full path is used.
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
        let Self { time_date_stamp, size_of_image, .. } = self;
        write!(f, "{name} with time stamp {time_date_stamp:#x} size {size_of_image:#x}")
    }
}
