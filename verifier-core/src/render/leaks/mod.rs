//! Outstanding allocations in groups: JSON, CSV, text, Markdown, folded stacks.

mod csv;
mod filter;
mod folded;
mod json;
mod markdown;
mod rows;

use std::rc::Rc;

pub use self::csv::write_leaks_csv;
pub use self::filter::filter_line;
pub(super) use self::filter::{FilterDoc, nothing_line};
pub use self::folded::{Weight, folded_stacks, write_leaks_folded};
pub use self::json::write_leaks_json;
pub use self::markdown::write_leaks_markdown;
pub(super) use self::markdown::{cell, extent, plain};
pub use self::rows::{BlockRow, GroupRow};
pub(super) use crate::number::Thousands;

use super::Names;
use super::text::sanitize;
use crate::addr::Va;
use crate::analysis::{
    Coverage, Group, GroupBy, GroupKey, Leaks, NO_FRAME, NO_TAG, StackSource, Total,
    is_kernel_or_verifier, no_frame,
};
use crate::completeness::Completeness;

/// What texts show in place of a tag.
pub(super) const CONTIGUOUS: &str = "contiguous memory";
/// The number of callers' frames that a line shows after the first frame.
const CALLERS: usize = 2;

/// Groups of outstanding allocations, ready to be written.
#[derive(Clone, Copy)]
pub struct LeaksView<'a> {
    /// The allocations.
    pub leaks: &'a Leaks,
    /// What they are grouped by.
    pub by: GroupBy,
    /// The groups, as [`Grouping::groups`](crate::analysis::Grouping::groups) made them.
    pub groups: &'a [Group],
    /// How many groups are shown; the rest is counted.
    pub top: Option<usize>,
    /// Names of addresses.
    pub names: &'a Names<'a>,
}

impl<'a> LeaksView<'a> {
    /// The groups that are shown, how many others there are, and the total of those.
    #[must_use]
    pub fn split(&self) -> (&'a [Group], usize, Total) {
        let top = self.top.unwrap_or(self.groups.len()).min(self.groups.len());
        let (shown, rest) = self.groups.split_at_checked(top).unwrap_or((self.groups, &[]));
        let total = rest.iter().fold(Total::default(), |sum, group| Total {
            count: sum.count + group.blocks.len() as u64,
            bytes: sum.bytes.saturating_add(group.bytes),
        });
        (shown, rest.len(), total)
    }

    pub(super) fn driver(&self, index: usize) -> &'a str {
        self.leaks.drivers.get(index).map_or("", |driver| &driver.name)
    }

    /// The name of an address, or its digits.
    fn name(&self, va: Va) -> Rc<str> {
        self.names.get(va).unwrap_or_else(|| va.to_string().into())
    }

    /// One line that says what a group is: its line of code, tag, driver or size.
    #[must_use]
    pub fn label(&self, group: &Group) -> String {
        match group.key {
            GroupKey::Stack { .. } => match group.site {
                Some(site) => self.name(site).to_string(),
                None => match group.frames(self.leaks).and_then(<[Va]>::first) {
                    Some(&first) => self.name(first).to_string(),
                    None => self.first_caller(group),
                },
            },
            GroupKey::Frame(Some(va)) | GroupKey::Function(Some(va)) | GroupKey::Caller(va) => {
                self.name(va).to_string()
            }
            GroupKey::Frame(None) | GroupKey::Function(None) => NO_FRAME.into(),
            GroupKey::NoFrame(va) => no_frame(self.names.kernel(), va, &self.name(va)),
            GroupKey::Tag(Some(tag)) => tag.to_string(),
            GroupKey::Tag(None) => NO_TAG.into(),
            GroupKey::Driver(driver) => self.driver(driver).to_string(),
            GroupKey::Size(size) => format!("{size} bytes"),
        }
    }

    /// The same; if that is a frame of a stack, also the next frames outside the kernel and Verifier, with
    /// their modules if those change: `leaky!LeakAllocate+0x28 ← LeakIoctl+0x25`. The callers say what a
    /// wrapper's own name does not.
    #[must_use]
    pub fn trail(&self, group: &Group) -> String {
        let mut text = self.label(group);
        let (GroupKey::Stack { .. }, Some(site), Some(frames)) =
            (group.key, group.site, group.frames(self.leaks))
        else {
            return text;
        };
        let is_own = |va: &Va| is_kernel_or_verifier(self.names.kernel(), *va);
        let outside = frames.iter().copied().skip_while(|&va| va != site).filter(|va| !is_own(va));
        let module = |name: &str| name.split_once('!').map(|(module, _)| module.to_string());
        let mut before = module(&text);
        for va in outside.skip(1).take(CALLERS) {
            let name = self.name(va);
            let own = module(&name);
            text.push_str(" ← ");
            text.push_str(match name.split_once('!') {
                Some((_, function)) if own == before => function,
                _ => &name,
            });
            before = own;
        }
        text
    }

    /// Why a group has no stack.
    #[must_use]
    pub fn why_no_stack(&self, group: &Group) -> Option<String> {
        match group.stack {
            Some(Err(why)) => Some(self.leaks.why(why)),
            Some(Ok(_)) => None,
            None => Some("the blocks have different stacks, or some have none".into()),
        }
    }

    /// The source of the stacks of a group's blocks, if all have the same.
    #[must_use]
    pub fn stack_source(&self, group: &Group) -> Option<StackSource> {
        let blocks = group.blocks.iter().filter_map(|&index| self.leaks.blocks.get(index));
        let mut sources = blocks.map(|block| block.stack_source);
        let first = sources.next().flatten()?;
        sources.all(|source| source == Some(first)).then_some(first)
    }

    /// The source of a group's blocks, if all have the same.
    #[must_use]
    pub fn source(&self, group: &Group) -> Option<&'static str> {
        let blocks = group.blocks.iter().filter_map(|&index| self.leaks.blocks.get(index));
        let mut sources = blocks.map(|block| block.allocation.source.name());
        let first = sources.next()?;
        sources.all(|source| source == first).then_some(first)
    }

    /// How many of a group's blocks cannot be as their entries say.
    #[must_use]
    pub fn impossible(&self, group: &Group) -> usize {
        let blocks = group.blocks.iter().filter_map(|&index| self.leaks.blocks.get(index));
        blocks.filter(|block| block.allocation.impossible.is_some()).count()
    }

    /// The tag that a group's blocks share, or that they are contiguous memory.
    #[must_use]
    pub fn tag(&self, group: &Group) -> Option<String> {
        match group.is_contiguous {
            true => Some(CONTIGUOUS.into()),
            false => group.tag.map(|tag| tag.to_string()),
        }
    }

    pub(super) fn first_caller(&self, group: &Group) -> String {
        let first = group.blocks.first().and_then(|&index| self.leaks.blocks.get(index));
        first.map(|block| self.name(block.allocation.caller).to_string()).unwrap_or_default()
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
    let Total { count, bytes } = coverage.from_tree;
    (count > 0).then(|| {
        format!(
            "{}, {} bytes, with the stack of the pool info tree",
            blocks(count),
            Thousands(bytes)
        )
    })
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
        true => format!("{}, {} bytes", blocks(read), Thousands(bytes)),
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
fn percent(part: u64, whole: u64) -> String {
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
