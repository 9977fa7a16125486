//! The difference of two dumps: text, JSON, CSV, Markdown.

mod json;
mod tables;

pub use self::json::write_diff_json;
pub use self::tables::{write_diff_csv, write_diff_markdown, write_diff_text};

use crate::analysis::{Diff, DiffGroup, Leaks};

/// What is rendered: a difference, and the dumps it is of.
#[derive(Clone, Copy)]
pub struct DiffView<'a> {
    /// The difference.
    pub diff: &'a Diff,
    /// The allocations of the earlier dump, for reasons and problems.
    pub old: &'a Leaks,
    /// Those of the later dump.
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

    /// Why a group has no stack, by the dump whose blocks it has.
    #[must_use]
    pub fn why(&self, group: &DiffGroup) -> Option<String> {
        let side = if group.new.count > 0 { self.new } else { self.old };
        group.why_no_stack.map(|why| side.why(why))
    }
}
