//! Each text of the page once.

use std::collections::HashMap;

use serde::Serialize;
use verifier_core::render::text::sanitize;

/// An index in a column of the page; -1 is none.
pub(super) type Index = i32;

/// None.
pub(super) const NONE: Index = -1;

/// The index of the next item of a list.
pub(super) fn next_index(length: usize) -> Index {
    Index::try_from(length).unwrap_or(Index::MAX)
}

/// Texts, each once, in the order in which they are first used.
#[derive(Default, Serialize)]
#[serde(transparent)]
pub(super) struct Strings {
    texts: Vec<String>,
    #[serde(skip)]
    known: HashMap<String, Index>,
}

impl Strings {
    /// The index of a text, without characters that move the cursor or turn the direction of writing.
    pub(super) fn index(&mut self, text: &str) -> Index {
        if let Some(&known) = self.known.get(text) {
            return known;
        }
        let index = next_index(self.texts.len());
        self.texts.push(sanitize(text).into_owned());
        self.known.insert(text.to_owned(), index);
        index
    }

    /// The same, or none.
    pub(super) fn index_of(&mut self, text: Option<&str>) -> Index {
        text.map_or(NONE, |text| self.index(text))
    }

    /// The text of an index.
    pub(super) fn get(&self, index: Index) -> Option<&str> {
        self.texts.get(usize::try_from(index).ok()?).map(String::as_str)
    }
}
