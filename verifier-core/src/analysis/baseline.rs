//! Known leaks: outstanding allocations that a user has accepted, so that only new ones count.
//!
//! A baseline must fit the next build and the next boot: it counts blocks by [`LeakKey`]. It is a JSON file
//! that people review, with one line for each key.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use serde::{Deserialize, Deserializer};

use super::grouping::Grouping;
use super::leak_key::LeakKey;
use super::leaks::{KnownBlocks, KnownLeaks, Leaks, Total};
use crate::addr::Va;
use crate::kernel::Kernel;

/// Leaks that are known, with how many blocks and bytes of each.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Baseline {
    known: BTreeMap<LeakKey, Total>,
}

/// Why a text is not a [`Baseline`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct BaselineError(String);

/// The file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    verifier_baseline: u64,
    known: Vec<Entry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    driver: String,
    #[serde(deserialize_with = "text_or_null")]
    function: Option<String>,
    #[serde(deserialize_with = "text_or_null")]
    tag: Option<String>,
    count: u64,
    bytes: u64,
}

/// An optional text whose key must be present.
fn text_or_null<'de, D: Deserializer<'de>>(from: D) -> Result<Option<String>, D::Error> {
    Option::deserialize(from)
}

impl Baseline {
    /// The version of the file's form.
    pub const VERSION: u64 = 1;

    /// The outstanding allocations of `leaks`, all of which are then known.
    #[must_use]
    pub fn of(kernel: &Kernel, leaks: &Leaks, grouping: &Grouping<'_>) -> Self {
        let keys = LeakKeys::new(kernel, leaks, grouping);
        let mut known: BTreeMap<LeakKey, Total> = BTreeMap::new();
        for (block, key) in leaks.blocks.iter().zip(keys.of_blocks()) {
            match known.get_mut(key) {
                Some(total) => total.add(block.allocation.size),
                None => known.entry(key.clone()).or_default().add(block.allocation.size),
            }
        }
        Self { known }
    }

    /// Reads the text of a file.
    ///
    /// # Errors
    /// The line and column, or the key, that is wrong.
    pub fn parse(text: &str) -> Result<Self, BaselineError> {
        // Some editors put a byte order mark at the beginning.
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let document: Document = serde_json::from_str(text)
            .map_err(|error| BaselineError(format!("it is not a baseline: {error}")))?;
        if document.verifier_baseline != Self::VERSION {
            return Err(BaselineError(format!(
                "\"verifier_baseline\" is {}, and this program reads version {}",
                document.verifier_baseline,
                Self::VERSION
            )));
        }
        let mut known = BTreeMap::new();
        for Entry { driver, function, tag, count, bytes } in document.known {
            let key = LeakKey::new(&driver, function.as_deref(), tag.as_deref());
            if known.insert(key.clone(), Total { count, bytes }).is_some() {
                return Err(BaselineError(format!("{key} is listed twice")));
            }
        }
        Ok(Self { known })
    }

    /// The leaks, sorted by driver, function and tag.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&LeakKey, Total)> {
        self.known.iter().map(|(key, &total)| (key, total))
    }

    /// Which blocks of `leaks` are known: of each key as many as the baseline counts. If more are
    /// outstanding, the stacks with the most blocks are taken for the known ones, because a new leak is
    /// rarely the larger one.
    #[must_use]
    pub fn known_blocks(
        &self,
        kernel: &Kernel,
        leaks: &Leaks,
        grouping: &Grouping<'_>,
    ) -> KnownBlocks {
        let keys = LeakKeys::new(kernel, leaks, grouping);
        let mut by_key: HashMap<&LeakKey, Vec<usize>> = HashMap::new();
        let mut of_stack: HashMap<(&LeakKey, _), u64> = HashMap::new();
        for (index, (block, key)) in leaks.blocks.iter().zip(keys.of_blocks()).enumerate() {
            by_key.entry(key).or_default().push(index);
            *of_stack.entry((key, block.stack)).or_default() += 1;
        }
        let mut is_known = vec![false; leaks.blocks.len()];
        let mut known = KnownLeaks::default();
        let mut gone = Vec::new();
        for (key, &total) in &self.known {
            let mut blocks = by_key.remove(key).unwrap_or_default();
            if blocks.is_empty() {
                gone.push((key.clone(), total));
            }
            known.unused =
                known.unused.saturating_add(total.count.saturating_sub(blocks.len() as u64));
            blocks.sort_by_key(|&index| {
                let stack = leaks.blocks.get(index).map(|block| block.stack);
                let count = stack.and_then(|stack| of_stack.get(&(key, stack)).copied());
                (Reverse(count), stack, index)
            });
            let count = usize::try_from(total.count).unwrap_or(usize::MAX);
            for index in blocks.into_iter().take(count) {
                if let Some(is_known) = is_known.get_mut(index) {
                    *is_known = true;
                }
            }
        }
        known.gone = Some(gone);
        KnownBlocks { is_known, known }
    }
}

/// The key of each block.
struct LeakKeys {
    keys: Vec<LeakKey>,
    /// For each block, the index of its key.
    of_blocks: Vec<usize>,
}

impl LeakKeys {
    fn new(kernel: &Kernel, leaks: &Leaks, grouping: &Grouping<'_>) -> Self {
        let mut functions: HashMap<Va, Option<Arc<str>>> = HashMap::new();
        let mut function = |va: Va| {
            let name = || kernel.symbolize(va).map(|name| name.function().into());
            functions.entry(va).or_insert_with(name).clone()
        };
        let mut indexes = HashMap::new();
        let (mut keys, mut of_blocks) = (Vec::new(), Vec::with_capacity(leaks.blocks.len()));
        for block in &leaks.blocks {
            let function = grouping.site(block).and_then(&mut function);
            let tag = block.allocation.pool_tag();
            let same = (block.driver, function.clone(), tag);
            of_blocks.push(*indexes.entry(same).or_insert_with(|| {
                let tag = tag.map(|tag| tag.to_string());
                let driver = leaks.driver(block);
                keys.push(LeakKey::new(driver, function.as_deref(), tag.as_deref()));
                keys.len() - 1
            }));
        }
        Self { keys, of_blocks }
    }

    /// The key of each block, in their order.
    fn of_blocks(&self) -> impl Iterator<Item = &LeakKey> {
        self.of_blocks.iter().filter_map(|&key| self.keys.get(key))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ENTRY: &str =
        r#"{"driver":"Leaky.sys","function":"Leaky!Read","tag":"Irp ","count":2,"bytes":64}"#;

    fn parse(entries: &str) -> Result<Baseline, String> {
        let text = format!("\u{feff}{{\"verifier_baseline\":1,\n\"known\":[\n{entries}\n]}}");
        Baseline::parse(&text).map_err(|error| error.to_string())
    }

    #[test]
    fn drivers_and_modules_are_compared_without_regard_to_case_and_functions_with_it() {
        let known = parse(ENTRY).unwrap();
        let (key, total) = known.iter().next().unwrap();
        assert_eq!(*key, LeakKey::new("LEAKY.SYS", Some("leaky!Read"), Some("Irp")));
        assert_ne!(*key, LeakKey::new("leaky.sys", Some("leaky!read"), Some("Irp")));
        assert_eq!((total.count, total.bytes), (2, 64));
        assert_eq!(key.to_string(), "leaky.sys, leaky!Read, tag Irp");
    }

    #[test]
    fn an_error_names_the_line_or_the_key() {
        for (entries, why) in [
            (ENTRY.replace("bytes", "bites"), "unknown field `bites`"),
            (ENTRY.replace("bytes", "bites"), "at line 3 column"),
            (ENTRY.replace(r#""tag":"Irp ","#, ""), "missing field `tag` at line 3"),
            (ENTRY.replace("64", "-64"), "at line 3 column"),
            (ENTRY[1..].to_string(), "at line 3 column"),
            (format!("{ENTRY},\n{ENTRY}"), "leaky.sys, leaky!Read, tag Irp is listed twice"),
        ] {
            let error = parse(&entries).unwrap_err();
            assert!(error.contains(why), "{error}");
        }
        let newer = Baseline::parse(r#"{"verifier_baseline":2,"known":[]}"#).unwrap_err();
        let words = "\"verifier_baseline\" is 2, and this program reads version 1";
        assert_eq!(newer.to_string(), words);
        assert!(Baseline::parse("").is_err() && Baseline::parse("[]").is_err());
    }
}
