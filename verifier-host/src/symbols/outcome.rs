//! What a search gives: the file, or every place that was tried and why it was not there.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use super::identity::guid_hex;
use super::name::NameFault;

/// What was looked for, found or not.
#[derive(Debug)]
pub enum Located {
    /// The file, with its bytes.
    Found(Found),
    /// Where it was not.
    NotFound(NotFound),
}

impl Located {
    /// The file, or what to tell the user.
    pub fn into_result(self) -> Result<Found, NotFound> {
        match self {
            Located::Found(found) => Ok(found),
            Located::NotFound(missing) => Err(missing),
        }
    }

    /// Every place tried before the search ended, in order.
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
pub struct Found {
    /// What it is.
    pub kind: FileKind,
    /// The file on disk that holds these bytes, perhaps compressed; `None` when they came from a
    /// server and no cache could be written.
    pub path: Option<PathBuf>,
    /// Where the bytes were read: a path or a URL, without a user's name and password.
    pub origin: String,
    /// The file, expanded.
    pub bytes: Arc<Vec<u8>>,
    /// The file's age where it is not the age asked for. The GUID was equal; tools that rewrite a
    /// PDB count its age up, so this is no fault, but worth telling.
    pub other_age: Option<u32>,
    /// Places tried before, and remarks (a name cut to its last component, a cache that could not
    /// be written).
    pub attempts: Vec<Attempt>,
}

impl fmt::Debug for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Found")
            .field("kind", &self.kind)
            .field("path", &self.path)
            .field("origin", &self.origin)
            .field("bytes", &self.bytes.len())
            .field("other_age", &self.other_age)
            .field("attempts", &self.attempts)
            .finish()
    }
}

/// What was not found, and every place that was tried.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotFound {
    /// The file and its identity, as a message says it.
    pub wanted: String,
    /// The places, in the order they were tried.
    pub attempts: Vec<Attempt>,
}

impl fmt::Display for NotFound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.attempts.is_empty() {
            let wanted = &self.wanted;
            return write!(f, "{wanted}: not looked for, the symbol path is empty");
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
pub struct Attempt {
    /// A path or a URL, without a user's name and password; the given name where the name itself was
    /// at fault.
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
    /// The name that the dump gives is not one to look for.
    #[error("refused, {0}")]
    Name(NameFault),
    /// A remark: the dump gives a path, of which only the last component was looked for.
    #[error("only the last component of this name, {0:?}, was looked for")]
    LastComponent(String),
    /// The element of the symbol path does not exist.
    #[error("no such folder")]
    NoFolder,
    /// The folder has no such file, nor its compressed form.
    #[error("no such file")]
    Absent,
    /// No ISF table of that identity in any of the layouts.
    #[error("no {0}.json or .json.xz, here or in its subfolders for this PDB")]
    NoTable(String),
    /// A PDB of that name, but of another build.
    #[error("GUID {} age {age} instead", guid_hex(.guid))]
    OtherPdb {
        /// The GUID that the file has.
        guid: [u8; 16],
        /// The age that the file has.
        age: u32,
    },
    /// An image of that name, but of another build.
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
    /// The file is there, but what is in it is not a PDB, image or table.
    #[error("not {0}: no identity can be read in it")]
    NotThat(&'static str),
    /// The file is there and the system does not let it be read.
    #[error("unreadable, {0}")]
    Unreadable(String),
    /// The cabinet or the .xz file is malformed.
    #[error("damaged, {0}")]
    Damaged(String),
    /// More bytes than are read.
    #[error("larger than the limit of {limit} bytes (SymbolLimits)")]
    TooLarge {
        /// The limit.
        limit: u64,
    },
    /// A `file.ptr` says why the file is not there, or does not say where it is.
    #[error("{0}")]
    Pointer(String),
    /// The server answered, not with the file.
    #[error("HTTP status {0}")]
    Http(u16),
    /// The server answered so some minutes ago, in this process; it was not asked again.
    #[error("HTTP status {0} a while ago, not asked again")]
    HttpBefore(u16),
    /// The server could not be asked, or its answer broke off.
    #[error("{why} (tried {tries} times)")]
    Network {
        /// The error of the last try.
        why: String,
        /// How often it was tried.
        tries: u32,
    },
    /// The server failed shortly before (no connection, no answer in time, an answer without end); it was not
    /// asked again.
    #[error("the server failed a while ago ({0}), not asked again")]
    Unreachable(String),
    /// The caller wanted no more of it.
    #[error("canceled")]
    Canceled,
    /// Built without the feature `download`.
    #[error("this build has no downloader (feature \"download\")")]
    NoDownloader,
    /// A remark: the file was found, but could not be kept in this cache.
    #[error("could not be kept here, {0}")]
    NotKept(String),
    /// A server without a cache before it, and the system names no folder for caches.
    #[error("no folder for the default cache is known; write srv*CACHE*URL")]
    NoDefaultCache,
}
