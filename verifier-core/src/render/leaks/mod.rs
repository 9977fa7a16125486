//! Outstanding allocations in groups: JSON, CSV, text, Markdown, folded stacks, and reports for build servers
//! (SARIF, JUnit, annotations).

mod baseline;
mod csv;
mod filter;
mod finding;
mod folded;
mod github;
mod group;
mod json;
mod junit;
mod markdown;
mod rows;
mod sarif;
mod source_path;
mod summary;

use std::rc::Rc;

pub use self::baseline::{baseline_lines, write_baseline};
pub use self::csv::write_leaks_csv;
pub use self::filter::filter_line;
pub(super) use self::filter::{FilterDoc, nothing_line};
pub use self::finding::Severity;
pub use self::folded::{Weight, folded_stacks, inverted_stacks, write_leaks_folded};
pub use self::github::write_leaks_github;
pub use self::group::{LeakGroup, LeakGroups};
pub use self::json::write_leaks_json;
pub use self::junit::write_leaks_junit;
pub use self::markdown::write_leaks_markdown;
pub(super) use self::markdown::{cell, extent, plain};
pub use self::rows::BlockRow;
pub use self::sarif::write_leaks_sarif;
pub(super) use crate::number::{Size, Thousands};

use super::Names;
use super::text::sanitize;
use crate::addr::Va;
use crate::analysis::{Coverage, Group, GroupBy, Grouping, Leaks, Summary, Total};
use crate::completeness::Completeness;
use crate::kernel::Kernel;

/// What texts show in place of a tag.
pub(super) const CONTIGUOUS: &str = "contiguous memory";
/// Outstanding allocations in groups, for a program to walk or for a writer. Its items are [`LeakGroup`]s:
///
/// ```
/// # use verifier_core::{analysis::{GroupBy, Leaks}, kernel::Kernel, render::LeaksView};
/// fn print(kernel: &Kernel) -> Result<(), verifier_core::Error> {
///     let leaks = Leaks::read(kernel, |_| true)?;
///     for group in &LeaksView::new(kernel, &leaks, GroupBy::Function) {
///         println!("{} blocks, {} bytes: {}", group.blocks.len(), group.bytes, group.label());
///     }
///     Ok(())
/// }
/// ```
#[non_exhaustive]
pub struct LeaksView<'a> {
    /// The allocations.
    pub leaks: &'a Leaks,
    /// What they are grouped by.
    pub by: GroupBy,
    /// All groups, the most bytes first.
    pub groups: Vec<Group>,
    /// How much is outstanding, who holds it, and which function made most of it.
    pub summary: Summary,
    /// How many groups are shown; the rest is counted. `None` shows all.
    pub top: Option<usize>,
    /// How grave new leaks are in reports for machines.
    pub severity: Severity,
    /// Reads lines of source code, which text then shows.
    pub snippets: Option<&'a dyn Snippets>,
    /// Names of addresses.
    pub names: Names<'a>,
}

/// Reads source files. Core reads no files, so a program that can does.
pub trait Snippets {
    /// Some lines of the file around `line`, each with its number; `None` if the file cannot be read.
    fn around(&self, file: &str, line: u32) -> Option<Vec<(u32, String)>>;
}

/// The groups that a view does not show.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Omitted {
    /// How many groups.
    pub groups: usize,
    /// Their blocks.
    pub total: Total,
}

impl<'a> LeaksView<'a> {
    /// All groups of `leaks`; no frame is a wrapper.
    #[must_use]
    pub fn new(kernel: &'a Kernel, leaks: &'a Leaks, by: GroupBy) -> Self {
        Self::grouped(leaks, by, &Grouping::new(kernel, leaks, None), Names::new(kernel))
    }

    /// The groups of `leaks` as `grouping`, which is of the same `leaks`, shortens their stacks.
    /// With a baseline, groups that are known whole come last.
    #[must_use]
    pub fn grouped(
        leaks: &'a Leaks,
        by: GroupBy,
        grouping: &Grouping<'_>,
        names: Names<'a>,
    ) -> Self {
        let mut groups = grouping.groups(by);
        let summary = Summary::new(names.kernel(), leaks, grouping);
        if leaks.baseline.is_some() {
            let is_new = |&index: &usize| !leaks.blocks.get(index).is_some_and(|one| one.is_known);
            // A stable sort: otherwise the order stays.
            groups.sort_by_key(|group| !group.blocks.iter().any(is_new));
        }
        let severity = Severity::default();
        Self { leaks, by, groups, summary, top: None, severity, snippets: None, names }
    }

    /// The same view with the first `top` groups shown.
    #[must_use]
    pub fn with_top(self, top: Option<usize>) -> Self {
        Self { top, ..self }
    }

    /// The same view; text shows the source code around the line of each group.
    #[must_use]
    pub fn with_snippets(self, snippets: &'a dyn Snippets) -> Self {
        Self { snippets: Some(snippets), ..self }
    }

    fn shown(&self) -> (&[Group], &[Group]) {
        let top = self.top.unwrap_or(self.groups.len()).min(self.groups.len());
        self.groups.split_at_checked(top).unwrap_or((&self.groups, &[]))
    }

    /// The groups that are shown.
    pub fn iter(&self) -> LeakGroups<'_> {
        LeakGroups { view: self, groups: self.shown().0.iter() }
    }

    /// All blocks, in their order, whatever groups are shown: rows of [`BlockRow::flat_table`].
    pub fn block_rows(&self) -> impl ExactSizeIterator<Item = BlockRow<'_>> + Clone {
        let blocks = self.leaks.blocks.iter();
        blocks.map(|block| BlockRow { allocation: &block.allocation, of: (self, block) })
    }

    /// The groups that are shown; first those of the driver that the bug check is about, if it was unloaded
    /// before it freed its blocks.
    pub(super) fn first_of_unloaded(&self) -> impl Iterator<Item = LeakGroup<'_>> {
        let others = self.iter().filter(|group| !group.is_of_unloaded());
        self.iter().filter(LeakGroup::is_of_unloaded).chain(others)
    }

    /// The groups that are not shown.
    #[must_use]
    pub fn omitted(&self) -> Omitted {
        let rest = self.shown().1;
        let total = rest.iter().map(Group::total).fold(Total::default(), Total::and);
        Omitted { groups: rest.len(), total }
    }

    /// The name of an address, or its digits.
    fn name(&self, va: Va) -> Rc<str> {
        self.names.get(va).unwrap_or_else(|| va.to_string().into())
    }
}

impl<'v> IntoIterator for &'v LeaksView<'_> {
    type Item = LeakGroup<'v>;
    type IntoIter = LeakGroups<'v>;

    fn into_iter(self) -> LeakGroups<'v> {
        self.iter()
    }
}

/// The text if no block was found and the answer is not complete.
pub(super) const UNKNOWN: &str =
    "what is outstanding is unknown: no block was found, and more may exist";

/// "at least 41 blocks" if more may exist, else "41 blocks".
pub(super) fn at_least(answer: &Completeness, what: &str) -> String {
    if answer.is_complete() { what.into() } else { format!("at least {what}") }
}

/// "1 block", "2 blocks".
pub(super) fn blocks(count: u64) -> String {
    format!("{} block{}", Thousands(count), if count == 1 { "" } else { "s" })
}

/// "2 blocks, 16,384 bytes".
pub(super) fn amount(total: Total) -> String {
    format!("{}, {} bytes", blocks(total.count), Thousands(total.bytes))
}

/// "1 more group is", "2 more groups are".
pub(super) fn more_groups(count: usize) -> String {
    let (s, are) = if count == 1 { ("", "is") } else { ("s", "are") };
    format!("{} more group{s} {are} not shown", Thousands(count as u64))
}

/// A sentence with its first letter in upper case.
pub(super) fn sentence(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map(|c| c.to_uppercase().chain(letters).collect()).unwrap_or_default()
}

/// "41 of 52 blocks, 98.6 % of bytes, have a stack".
pub(super) fn coverage_line(coverage: &Coverage) -> String {
    let Coverage { all, with_stack, .. } = coverage;
    if all.count == 0 {
        return "no outstanding allocation".into();
    }
    format!(
        "{} of {}, {} of bytes, {} a stack",
        Thousands(with_stack.count),
        blocks(all.count),
        percent(with_stack.bytes, all.bytes),
        if with_stack.count == 1 { "has" } else { "have" },
    )
}

/// "2 blocks, 768 bytes, with the stack of the pool info tree", if there are any.
pub(super) fn tree_line(coverage: &Coverage) -> Option<String> {
    let total = coverage.from_tree;
    (total.count > 0).then(|| format!("{}, with the stack of the pool info tree", amount(total)))
}

/// "400 blocks more in the pool info tree by its own count, not read", if there are any.
pub(super) fn unread_line(leaks: &Leaks) -> Option<String> {
    let unread = leaks.tree.map_or(0, |tree| tree.unread);
    (unread > 0).then(|| {
        format!("{} more in the pool info tree by its own count, not read", blocks(unread))
    })
}

/// "Bug check 0xc4/0x62: leaky.sys was unloaded before it freed 3 blocks, 288 bytes", if the dump was taken
/// for that.
#[must_use]
pub fn unload_line(leaks: &Leaks) -> Option<String> {
    let leak = leaks.unload_leak.as_ref()?;
    let bytes = leak.bytes();
    let read = leak.allocations.len() as u64;
    let which = match read == leak.counted {
        true => amount(Total { count: read, bytes }),
        false => format!(
            "{}, of which {} could be read, {} bytes",
            blocks(leak.counted),
            Thousands(read),
            Thousands(bytes)
        ),
    };
    let driver = sanitize(&leak.driver);
    Some(format!("Bug check 0xc4/0x62: {driver} was unloaded before it freed {which}"))
}

/// A share in percent: "100 %" and "0 %" only if it is exactly that.
#[must_use]
pub fn percent(part: u64, whole: u64) -> String {
    if part == whole {
        return "100 %".into();
    }
    if part == 0 || whole == 0 {
        return "0 %".into();
    }
    // Tenths of a percent, rounded, but never to the ends.
    let tenths = (u128::from(part) * 2000 / u128::from(whole)).div_ceil(2).clamp(1, 999);
    format!("{}.{} %", tenths / 10, tenths % 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_for_people() {
        assert_eq!(Thousands(0).to_string(), "0");
        assert_eq!(Thousands(999).to_string(), "999");
        assert_eq!(Thousands(1_234_567).to_string(), "1,234,567");
        assert_eq!(percent(986, 1000), "98.6 %");
        assert_eq!(percent(99_999, 100_000), "99.9 %");
        assert_eq!(percent(1, 100_000), "0.1 %");
        assert_eq!(percent(0, 0), "100 %");
        assert_eq!(percent(u64::MAX, u64::MAX), "100 %");
        assert_eq!(percent(0, 3), "0 %");
    }
}
