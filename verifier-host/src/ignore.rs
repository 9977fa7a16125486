//! Leaks that a user does not want to see: patterns over drivers, functions and tags.

use std::collections::HashMap;
use std::fmt;
use std::str::FromStr;

use verifier_core::Va;
use verifier_core::analysis::{Block, Grouping, Ignored, Leaks, Total};
use verifier_core::render::Names;

use crate::glob::glob_matches;
use crate::pattern::PatternError;

/// A pattern of leaks to ignore; `?` is any character, `*` any number of characters:
///
/// * `leaky!Open*` is a function: the first frame outside the kernel and Verifier, `module!function`;
/// * `tag:Leak` is a pool tag;
/// * `leaky` or `leaky.sys` is a driver.
///
/// Drivers and functions are compared without regard to case, tags with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IgnorePattern {
    text: String,
    /// As it is compared.
    glob: String,
    what: What,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum What {
    Driver,
    Function,
    Tag,
}

impl FromStr for IgnorePattern {
    type Err = PatternError;

    fn from_str(text: &str) -> Result<Self, PatternError> {
        let (what, glob) = match text.trim().strip_prefix("tag:") {
            Some(tag) => (What::Tag, tag.trim_end().to_owned()),
            None if text.contains('!') => (What::Function, text.trim().to_lowercase()),
            None => (What::Driver, text.trim().to_lowercase()),
        };
        if glob.is_empty() {
            return Err(PatternError::new(
                "it names nothing: leaky.sys is a driver, leaky!Open* a function, tag:Leak a tag",
            ));
        }
        Ok(Self { text: text.to_owned(), glob, what })
    }
}

impl fmt::Display for IgnorePattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl IgnorePattern {
    /// `function` is that of the block's site, in lower case.
    fn accepts(&self, leaks: &Leaks, block: &Block, function: Option<&str>) -> bool {
        match self.what {
            What::Tag => {
                let tag = block.allocation.pool_tag().map(|tag| tag.to_string());
                tag.is_some_and(|tag| glob_matches(&self.glob, tag.trim_end()))
            }
            What::Function => function.is_some_and(|name| glob_matches(&self.glob, name)),
            What::Driver => {
                let driver = leaks.driver(block).to_lowercase();
                let stem = driver.rsplit_once('.').map_or(&*driver, |(stem, _)| stem);
                glob_matches(&self.glob, &driver) || glob_matches(&self.glob, stem)
            }
        }
    }
}

/// The blocks that patterns name: for each block whether it is left out, and what each pattern takes. A block
/// counts for the first pattern that names it.
pub(crate) fn ignored(
    patterns: &[IgnorePattern],
    leaks: &Leaks,
    grouping: &Grouping<'_>,
    names: &Names<'_>,
) -> (Vec<bool>, Vec<Ignored>) {
    let mut totals = vec![Total::default(); patterns.len()];
    let mut functions: HashMap<Va, Option<String>> = HashMap::new();
    let of_block = |block: &Block| {
        let name = grouping.site(block).and_then(|va| {
            let function = || Some(lower_function(&names.function(va)?));
            functions.entry(va).or_insert_with(function).as_deref()
        });
        let first = patterns.iter().position(|one| one.accepts(leaks, block, name));
        if let Some(total) = first.and_then(|index| totals.get_mut(index)) {
            total.add(block.allocation.size);
        }
        first.is_some()
    };
    let is_ignored = leaks.blocks.iter().map(of_block).collect();
    let pattern = |(pattern, total): (&IgnorePattern, Total)| {
        let mut one = Ignored::default();
        (one.pattern, one.total) = (pattern.to_string(), total);
        one
    };
    (is_ignored, patterns.iter().zip(totals).map(pattern).collect())
}

/// A name as it is compared. A module without symbols has functions without names: `leaky!`.
fn lower_function(name: &str) -> String {
    let name = name.to_lowercase();
    if name.contains('!') { name } else { format!("{name}!") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_pattern_is_about_follows_from_its_form() {
        for (text, what, glob) in [
            ("Leaky.SYS", What::Driver, "leaky.sys"),
            (" leaky!Open* ", What::Function, "leaky!open*"),
            ("tag:Irp ", What::Tag, "Irp"),
            ("tag:a!b", What::Tag, "a!b"),
        ] {
            let pattern: IgnorePattern = text.parse().unwrap();
            assert_eq!((pattern.what, &*pattern.glob), (what, glob), "{text}");
        }
        for nothing in ["", " ", "tag:", "tag: "] {
            let error = nothing.parse::<IgnorePattern>().unwrap_err();
            assert!(error.to_string().contains("tag:Leak"), "{error}");
        }
    }
}
