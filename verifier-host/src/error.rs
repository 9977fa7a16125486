//! Errors of files and of what is in them.
//!
//! Each message is whole, so no error has a `source` that would repeat a part of it.

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
    /// The contents of the file cannot be read.
    #[error(transparent)]
    Core(#[from] verifier_core::Error),
    /// What was asked for exists, and no part of it can be read.
    #[error("the {0} cannot be read: none of its pages is there")]
    Unreadable(&'static str),
    /// Output cannot be written.
    #[error("output: {0}")]
    Output(std::io::Error),
    /// The symbol path cannot be parsed.
    #[error("symbol path: {0}")]
    SymbolPath(crate::symbols::PathError),
    /// The caller asked for something that does not exist.
    #[error("{0}")]
    Usage(String),
    /// A limit that the caller set is reached: there is too much of what was read.
    #[error("{0}")]
    LimitReached(String),
    /// What could be read does not reach a limit that the caller set, but the answer is not complete.
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

    /// A program that prints an error with all its sources repeats nothing.
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
