//! How much of an answer is there.

use std::fmt;

/// How much of the answer is there. The order is from the strongest to the weakest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum Extent {
    /// All that was asked for was read, and nothing contradicts it.
    #[default]
    Complete,
    /// What is shown was read; more may exist, and a part of what is shown may be wrong.
    AtLeast,
    /// Nothing supports the answer: it must not be taken for one.
    Unknown,
}

impl Extent {
    /// The words in text and JSON: `complete`, `at least`, `unknown`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Extent::Complete => "complete",
            Extent::AtLeast => "at least",
            Extent::Unknown => "unknown",
        }
    }
}

impl fmt::Display for Extent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
