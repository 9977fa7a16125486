//! File names that a dump gives, made safe as parts of a path.
//!
//! A dump is not trusted: a name in it becomes part of a path to read, a path to write (the cache) and a URL.
//! So only the last component is used, and a component that could name anything but a plain file in the
//! current folder is refused. This holds on every system, because systems may share a cache.

/// The longest name, in bytes, that the common file systems accept.
const MAX_NAME: usize = 255;

/// Names that mean devices on Windows, whatever their extension.
const DEVICES: [&str; 22] = [
    "con", "prn", "aux", "nul", "com1", "com2", "com3", "com4", "com5", "com6", "com7", "com8",
    "com9", "lpt1", "lpt2", "lpt3", "lpt4", "lpt5", "lpt6", "lpt7", "lpt8", "lpt9",
];

/// Why a file name is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NameFault {
    /// No name is left.
    #[error("the file name is empty")]
    Empty,
    /// `.`, or a name that begins with two dots: the folder above, or a name whose first two letters are that
    /// folder in a two-tier store.
    #[error("the file name leads out of its folder, {0:?}")]
    Folder(String),
    /// Longer than file systems accept.
    #[error("the file name has {0} bytes, more than {MAX_NAME}")]
    Long(usize),
    /// A NUL, a control character, a colon (drive letter, alternate stream) or a wildcard.
    #[error("the file name holds {0:?}")]
    Character(char),
    /// `NUL`, `COM1` and similar names.
    #[error("the file name is that of a device, {0:?}")]
    Device(String),
    /// Windows drops trailing dots and blanks, so the name would mean another file.
    #[error("the file name ends in {0:?}")]
    Ending(char),
}

/// A name that is one plain component of a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct FileName(String);

impl FileName {
    /// Takes the last component of a name that a dump gives.
    ///
    /// Both separators count, wherever this runs: linkers write the PDB's full path into an image.
    pub(super) fn last_component(given: &str) -> Result<FileName, NameFault> {
        let name = given.rsplit(['/', '\\']).next().unwrap_or_default();
        if name.is_empty() {
            return Err(NameFault::Empty);
        }
        if name.len() > MAX_NAME {
            return Err(NameFault::Long(name.len()));
        }
        if name == "." || name.starts_with("..") {
            return Err(NameFault::Folder(name.to_owned()));
        }
        let wrong = |c: &char| c.is_control() || ":*?\"<>|".contains(*c);
        if let Some(c) = name.chars().find(wrong) {
            return Err(NameFault::Character(c));
        }
        if let Some(c) = name.chars().next_back().filter(|c| ". ".contains(*c)) {
            return Err(NameFault::Ending(c));
        }
        let stem = name.split('.').next().unwrap_or_default().trim_end();
        if DEVICES.iter().any(|device| stem.eq_ignore_ascii_case(device)) {
            return Err(NameFault::Device(name.to_owned()));
        }
        Ok(FileName(name.to_owned()))
    }

    pub(super) fn as_str(&self) -> &str {
        &self.0
    }

    /// The name of the file in a cabinet: the last letter is `_`.
    pub(super) fn compressed(&self) -> String {
        let mut name = self.0.clone();
        name.pop();
        name.push('_');
        name
    }

    /// The upper folder of a two-tier store: the first two letters.
    pub(super) fn tier(&self) -> String {
        self.0.chars().take(2).collect()
    }
}
