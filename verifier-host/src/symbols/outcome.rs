//! The result of a search: the file, or every place that was tried and why it did not serve.

use std::path::PathBuf;
use std::{fmt, io};

use super::file_bytes::FileBytes;
use super::identity::guid_hex;
use super::name::NameFault;

/// The result of a search.
#[derive(Debug)]
pub enum Located {
    /// The file, with its bytes.
    Found(Found),
    /// The places that were tried.
    NotFound(NotFound),
}

impl Located {
    /// The file, or an error for the user.
    pub fn into_result(self) -> Result<Found, NotFound> {
        match self {
            Located::Found(found) => Ok(found),
            Located::NotFound(missing) => Err(missing),
        }
    }

    /// Every place that was tried before the search ended, in order.
    pub fn attempts(&self) -> &[Attempt] {
        match self {
            Located::Found(found) => &found.attempts,
            Located::NotFound(missing) => &missing.attempts,
        }
    }
}

/// What kind of file was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum FileKind {
    /// A program database.
    Pdb,
    /// A Volatility 3 intermediate symbol table, as JSON text (expanded, if it was `.xz`).
    Isf,
    /// An executable image.
    Image,
}

/// A symbol file.
#[derive(Clone)]
#[non_exhaustive]
pub struct Found {
    /// What it is.
    pub kind: FileKind,
    /// The file on disk that holds these bytes, perhaps compressed; `None` if they came from a server and no
    /// cache could be written.
    pub path: Option<PathBuf>,
    /// Where the bytes were read: a path, or a URL without a user's name and password.
    pub origin: String,
    /// The file, expanded.
    pub bytes: FileBytes,
    /// The file's age if it is not the wanted age. The GUID was equal. Tools that rewrite a PDB increase its
    /// age, so this is worth a remark, but not a fault.
    pub other_age: Option<u32>,
    /// Places that were tried before, and remarks (a name that was cut to its last component, a cache that
    /// could not be written).
    pub attempts: Vec<Attempt>,
}

impl fmt::Debug for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Found")
            .field("kind", &self.kind)
            .field("path", &self.path)
            .field("origin", &self.origin)
            .field("bytes", &self.bytes)
            .field("other_age", &self.other_age)
            .field("attempts", &self.attempts)
            .finish()
    }
}

/// What was not found, and every place that was tried.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct NotFound {
    /// The file and its identity, in words.
    pub wanted: String,
    /// The places, in the order in which they were tried.
    pub attempts: Vec<Attempt>,
}

impl fmt::Display for NotFound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.attempts.is_empty() {
            let wanted = &self.wanted;
            return write!(f, "{wanted}: not searched for, because the symbol path is empty");
        }
        write!(f, "{} was not found; looked at:", self.wanted)?;
        for place in &self.attempts {
            write!(f, "\n  {place}")?;
        }
        Ok(())
    }
}

impl std::error::Error for NotFound {}

/// One place that was tried.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Attempt {
    /// A path, or a URL without a user's name and password; the given name if the name itself was wrong.
    pub at: String,
    /// Why it did not serve.
    pub why: Miss,
}

impl Attempt {
    pub(super) fn new(at: impl fmt::Display, why: Miss) -> Attempt {
        let at = at.to_string();
        Attempt { at, why }
    }
}

impl fmt::Display for Attempt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.at, self.why)
    }
}

/// Why a place did not serve.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Miss {
    /// The name that the dump gives is not a file name.
    #[error("refused, {0}")]
    Name(NameFault),
    /// A remark: the dump gives a path, and only its last component was looked for.
    #[error("only the last component of this name, {0:?}, was looked for")]
    LastComponent(String),
    /// The element of the symbol path does not exist.
    #[error("no such folder")]
    NoFolder,
    /// The folder has neither the file nor its compressed form.
    #[error("no such file")]
    Absent,
    /// No layout has an ISF table of that identity.
    #[error("no {0}.json or .json.xz, here or in its subfolders for this PDB")]
    NoTable(String),
    /// A PDB of that name is of another build.
    #[error("GUID {} age {age} instead", guid_hex(.guid))]
    OtherPdb {
        /// The GUID that the file has.
        guid: [u8; 16],
        /// The age that the file has.
        age: u32,
    },
    /// An image of that name is of another build.
    #[error("time stamp {time_date_stamp:#x} size {size_of_image:#x} instead")]
    OtherImage {
        /// `IMAGE_FILE_HEADER.TimeDateStamp` of the file.
        time_date_stamp: u32,
        /// `IMAGE_OPTIONAL_HEADER.SizeOfImage` of the file.
        size_of_image: u32,
    },
    /// An ISF table named by the user that does not mention the GUID.
    #[error("the table does not hold the GUID {0}")]
    OtherTable(String),
    /// The file is not a PDB, image or table.
    #[error("not {0}: no identity can be read in it")]
    NotThat(&'static str),
    /// The system does not allow the file to be read.
    #[error("unreadable, {0}")]
    Unreadable(String),
    /// The cabinet or the .xz file is malformed.
    #[error("damaged, {0}")]
    Damaged(String),
    /// The file has more bytes than the limit.
    #[error("larger than the limit of {limit} bytes (SymbolLimits)")]
    TooLarge {
        /// The limit.
        limit: u64,
    },
    /// A `file.ptr` says why the file is missing, or does not name another file.
    #[error("{0}")]
    Pointer(String),
    /// The server answered, but not with the file.
    #[error("HTTP status {0}")]
    Http(u16),
    /// The server gave this answer some minutes ago, in this process; it was not asked again.
    #[error("HTTP status {0} a while ago, not asked again")]
    HttpBefore(u16),
    /// The server could not be reached, or its answer broke off.
    #[error("{why} (tried {tries} times)")]
    Network {
        /// The error of the last try.
        why: String,
        /// The number of tries.
        tries: u32,
    },
    /// The server failed a short time before (no connection, no answer in time, an answer without end), and
    /// was not asked again.
    #[error("the server failed a while ago ({0}), not asked again")]
    Unreachable(String),
    /// The caller canceled.
    #[error("canceled")]
    Canceled,
    /// Built without the feature `download`.
    #[error("this build has no downloader (feature \"download\")")]
    NoDownloader,
    /// A remark: the file was found, but could not be kept in this cache.
    #[error("could not be kept here, {0}")]
    NotKept(String),
    /// A server without a cache before it, and the system does not name a folder for caches.
    #[error("no folder for the default cache is known; write srv*CACHE*URL")]
    NoDefaultCache,
}

impl From<io::Error> for Miss {
    fn from(why: io::Error) -> Self {
        Self::Unreadable(why.to_string())
    }
}
