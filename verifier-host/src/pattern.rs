//! Regular expressions over names of addresses.

use std::str::FromStr;

use regex::Regex;
use verifier_core::Va;
use verifier_core::render::Names;

/// A regular expression over names of addresses, such as `driver!Function+0x1f`.
#[derive(Debug, Clone)]
pub struct NamePattern(Regex);

/// Why a text is not a [`NamePattern`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct PatternError(String);

impl PatternError {
    pub(crate) fn new(why: &str) -> Self {
        Self(why.into())
    }
}

impl FromStr for NamePattern {
    type Err = PatternError;

    fn from_str(text: &str) -> Result<Self, PatternError> {
        Regex::new(text).map(Self).map_err(|error| PatternError(error.to_string()))
    }
}

impl NamePattern {
    /// The regular expression.
    pub(crate) fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// True if the name of an address matches, or its digits if it has none.
    pub(crate) fn matches(&self, names: &Names<'_>, va: Va) -> bool {
        match names.get(va) {
            Some(name) => self.0.is_match(&name),
            None => self.0.is_match(&va.to_string()),
        }
    }
}
