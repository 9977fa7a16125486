//! Errors of files and of what is in them.
//!
//! Each message says all, so none has a `source` that would say part of it again.

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
    Output(std::io::Error),
    /// The symbol path cannot be parsed.
    #[error("symbol path: {0}")]
    SymbolPath(crate::symbols::PathError),
    /// The command was asked for something that does not exist.
    #[error("{0}")]
    Usage(String),
    /// A limit that the caller set is reached: all was read, and there is too much of it.
    #[error("{0}")]
    LimitReached(String),
    /// A limit that the caller set was not reached in what could be read, but the answer is not complete.
    #[error("{0}")]
    CannotTell(String),
}

impl From<std::io::Error> for Error {
    fn from(why: std::io::Error) -> Self {
        Self::Output(why)
    }
}

impl From<crate::symbols::PathError> for Error {
    fn from(why: crate::symbols::PathError) -> Self {
        Self::SymbolPath(why)
    }
}

#[cfg(test)]
mod tests {
    use std::error::Error as _;
    use std::io;

    use verifier_core::Va;
    use verifier_core::addr::Space;
    use verifier_core::error::{Fault, Reason};

    use super::*;

    /// What prints an error with all its sources says nothing twice.
    #[test]
    fn a_chain_repeats_nothing() {
        let io = || io::Error::other("the disk is on fire");
        let address = Va(0xffff_8000_0000_0000).0;
        let fault = Fault { space: Space::Virtual, address, done: 0, reason: Reason::NotHeld };
        let path = "srv*".parse::<std::path::PathBuf>().unwrap();
        let pattern = "(".parse::<crate::NamePattern>().unwrap_err();
        assert!(pattern.to_string().contains("unclosed group"));
        for (error, words) in [
            (Error::File { path, why: io() }, "on fire"),
            (io().into(), "on fire"),
            (verifier_core::Error::read("a list", fault).into(), "holds no bytes"),
            (crate::symbols::SymbolPath::parse("srv*").unwrap_err().into(), "no folder"),
        ] {
            assert_eq!(error.to_string().matches(words).count(), 1, "{error}");
            let mut next = error.source();
            while let Some(source) = next {
                assert!(!source.to_string().contains(words), "{error}, and again: {source}");
                next = source.source();
            }
        }
    }
}
