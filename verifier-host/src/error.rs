//! Errors of files and of what is in them.

use std::path::PathBuf;

/// Any error of this crate.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file cannot be opened, read or written.
    #[error("{path}: {why}", path = path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system says.
        #[source]
        why: std::io::Error,
    },
    /// What the file holds cannot be read.
    #[error(transparent)]
    Core(#[from] verifier_core::Error),
    /// What was asked for is there, and no part of it can be read.
    #[error("the {0} cannot be read: none of its pages is there")]
    Unreadable(&'static str),
    /// Output cannot be written.
    #[error("output: {0}")]
    Output(#[from] std::io::Error),
    /// The symbol path cannot be parsed.
    #[error("symbol path: {0}")]
    SymbolPath(#[from] crate::symbols::PathError),
    /// The command was asked for something that does not exist.
    #[error("{0}")]
    Usage(String),
    /// A limit that the caller set is reached: all was read, and there is too much of it.
    #[error("{0}")]
    LimitReached(String),
}
