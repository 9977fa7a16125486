//! What the documents of a file answer, so that those of a damaged file can be held against those of the
//! undamaged one: an answer that differs must say that something is wrong.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use serde_json::Value;

/// What every document ends with.
const VERDICT: &[u8] = b",\"complete\":";

/// One document.
#[derive(Debug, PartialEq, Eq)]
struct Answer {
    /// Of all but the verdict.
    digest: u64,
    is_complete: bool,
    /// Its problems, and why it is not complete.
    said: BTreeSet<String>,
}

impl Answer {
    /// `None` for a document without a verdict.
    fn of(document: &[u8]) -> Option<Self> {
        // A quotation mark in a string has a backslash before it, so this is the key.
        let at = document.windows(VERDICT.len()).rposition(|bytes| bytes == VERDICT)?;
        let mut hasher = DefaultHasher::new();
        document[..at].hash(&mut hasher);
        let verdict = [b"{", &document[at + 1..]].concat();
        let verdict: Value = serde_json::from_slice(&verdict).ok()?;
        let lists = ["problems", "incomplete_because"].into_iter();
        let said = lists.filter_map(|key| verdict[key].as_array()).flatten();
        Some(Self {
            digest: hasher.finish(),
            is_complete: verdict["complete"] == true,
            said: said.map(ToString::to_string).collect(),
        })
    }

    /// True if this differs from the answer of the undamaged file, and nothing in it says so.
    fn is_silent(&self, undamaged: &Answer) -> bool {
        self.digest != undamaged.digest
            && self.is_complete == undamaged.is_complete
            && self.said.is_subset(&undamaged.said)
    }
}

/// The documents of one file, by view.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Answers(BTreeMap<&'static str, Answer>);

impl Answers {
    pub(crate) fn take(&mut self, view: &'static str, document: &[u8]) {
        if let Some(answer) = Answer::of(document) {
            self.0.insert(view, answer);
        }
    }

    /// The views that answer something else than those of the undamaged file, and do not say that anything
    /// is wrong. A view that is not there ended in an error, which says it.
    #[must_use]
    pub fn silent(&self, undamaged: &Answers) -> Vec<&'static str> {
        let differs = |view: &&str| match (self.0.get(*view), undamaged.0.get(*view)) {
            (Some(answer), Some(undamaged)) => answer.is_silent(undamaged),
            _ => false,
        };
        self.0.keys().copied().filter(differs).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answers(document: &str) -> Answers {
        let mut answers = Answers::default();
        answers.take("pool", document.as_bytes());
        answers
    }

    #[test]
    fn another_answer_without_a_new_problem_is_silent() {
        let undamaged = answers(
            r#"{"tag":",\"complete\":","complete":true,"incomplete_because":[],"problems":["a"]}"#,
        );
        for (document, silent) in [
            (r#"{"tag":"x","complete":true,"incomplete_because":[],"problems":["a"]}"#, true),
            (r#"{"tag":"x","complete":true,"incomplete_because":[],"problems":[]}"#, true),
            (r#"{"tag":"x","complete":true,"incomplete_because":[],"problems":["b"]}"#, false),
            (r#"{"tag":"x","complete":false,"incomplete_because":["b"],"problems":[]}"#, false),
        ] {
            let expected: &[&str] = if silent { &["pool"] } else { &[] };
            assert_eq!(answers(document).silent(&undamaged), expected, "{document}");
        }
        assert_eq!(undamaged.silent(&undamaged), [""; 0]);
        assert_eq!(Answers::default().silent(&undamaged), [""; 0]);
    }
}
