//! The difference of two dumps, as JSON, CSV and Markdown.

mod json;
mod rows;
mod tables;

pub use self::json::write_diff_json;
pub use self::rows::{DiffRow, Growth};
pub(super) use self::tables::{Signed, heading, how, more_blocks, unchanged};
pub use self::tables::{write_diff_csv, write_diff_markdown};

use super::leaks::{coverage_line, filter_line};
use super::text::sanitize;
use crate::analysis::{Diff, DiffGroup, Leaks};
use crate::completeness::{Completeness, Headline};

/// A difference and its two dumps, to be rendered.
#[derive(Clone, Copy)]
pub struct DiffView<'a> {
    /// The difference.
    pub diff: &'a Diff,
    /// The allocations of the earlier dump, with reasons and problems.
    pub old: &'a Leaks,
    /// The allocations of the later dump.
    pub new: &'a Leaks,
    /// How many groups are shown.
    pub top: Option<usize>,
}

impl<'a> DiffView<'a> {
    /// The groups that are shown, and how many others there are.
    #[must_use]
    pub fn shown(&self) -> (&'a [DiffGroup], usize) {
        let groups = self.diff.groups.as_slice();
        let top = self.top.unwrap_or(groups.len()).min(groups.len());
        (groups.get(..top).unwrap_or(groups), groups.len() - top)
    }

    /// Whether both dumps gave a complete answer; each reason names its dump.
    #[must_use]
    pub fn completeness(&self) -> Completeness {
        let mut both = Completeness::default();
        for (which, leaks) in [("earlier", self.old), ("later", self.new)] {
            let one = leaks.completeness();
            both.extent = both.extent.max(one.extent);
            both.headlines.extend(one.headlines.into_iter().map(|headline| Headline {
                reason: headline.reason.map(|index| both.because.len() + index),
                ..headline
            }));
            both.because.extend(one.because.iter().map(|why| format!("{which} dump: {why}")));
        }
        both
    }

    /// What both dumps hold, and how they are compared, in two sentences.
    #[must_use]
    pub fn summary(&self) -> String {
        format!("{}. {}", heading(self), how(self))
    }

    /// Why a group has no stack, by the dump whose blocks it has.
    #[must_use]
    pub fn why(&self, group: &DiffGroup) -> Option<String> {
        let side = if group.new.count > 0 { self.new } else { self.old };
        group.key.why_no_stack.map(|why| side.why(why))
    }

    /// Remarks that a reader needs to judge the numbers: how many blocks have known stacks, which modules are
    /// of other builds, what was filtered.
    #[must_use]
    pub fn remarks(&self) -> Vec<String> {
        let (old, new) = (self.old.coverage(), self.new.coverage());
        let mut lines = Vec::new();
        if old.all.count > 0 || new.all.count > 0 {
            lines.push(format!("Before, {}; after, {}.", coverage_line(&old), coverage_line(&new)));
        }
        let share = |of: u64, all: u64| u128::from(of) * u128::from(all);
        // Cross-multiplied: equal shares, whatever the numbers.
        if share(old.with_stack.count, new.all.count) != share(new.with_stack.count, old.all.count)
        {
            lines.push(
                "The logs reach back differently far, so a block may have a stack in one dump and none in \
                 the other: then all blocks of its driver and caller are compared as one group."
                    .into(),
            );
        }
        if !self.diff.rebuilt.is_empty() {
            let names: Vec<_> = self.diff.rebuilt.iter().map(|name| sanitize(name)).collect();
            lines.push(format!(
                "The dumps have different builds of these modules, which are compared by function: {}.",
                names.join(", ")
            ));
        }
        for (which, leaks) in [("before", self.old), ("after", self.new)] {
            if let Some(line) = filter_line(leaks) {
                lines.push(format!("{line} {which}."));
            }
        }
        lines
    }
}
