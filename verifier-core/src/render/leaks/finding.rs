//! What reports for machines say about a group: SARIF, JUnit, annotations.

use std::borrow::Cow;
use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::sync::Arc;

use super::{LeakGroup, LeaksView, amount, blocks};
use crate::addr::Va;
use crate::analysis::{GroupKey, LeakKey, StackId, Total};
use crate::render::text::{code_lines, sanitize};
use crate::verifier::UnloadLeak;

/// Stacks that are shown of a group whose blocks have different ones.
const STACKS: usize = 3;

/// How grave new leaks are in reports for machines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Severity {
    /// They fail a run.
    #[default]
    Error,
    /// They are below the limit that a user set.
    Warning,
}

impl Severity {
    /// "error" or "warning" for new blocks; `known` for those that a baseline knows.
    pub(super) fn word(self, novelty: Novelty, known: &'static str) -> &'static str {
        match (self, novelty) {
            (_, Novelty::Known) => known,
            (Self::Error, _) => "error",
            (Self::Warning, _) => "warning",
        }
    }
}

/// The kind of a leak.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Rule {
    Pool,
    Contiguous,
    Unloaded,
}

impl Rule {
    pub(super) const ALL: [Self; 3] = [Self::Pool, Self::Contiguous, Self::Unloaded];

    pub(super) fn id(self) -> &'static str {
        match self {
            Self::Pool => "outstanding-pool",
            Self::Contiguous => "outstanding-contiguous-memory",
            Self::Unloaded => "unloaded-with-outstanding-pool",
        }
    }

    pub(super) fn title(self) -> &'static str {
        match self {
            Self::Pool => "Outstanding pool",
            Self::Contiguous => "Outstanding contiguous memory",
            Self::Unloaded => "Driver unloaded with outstanding pool",
        }
    }

    pub(super) fn meaning(self) -> &'static str {
        match self {
            Self::Pool => "A driver holds pool that it has not freed.",
            Self::Contiguous => "A driver holds contiguous memory that it has not freed.",
            Self::Unloaded => {
                "A driver was unloaded before it freed its pool: bug check 0xC4, parameter 0x62."
            }
        }
    }
}

/// Which blocks of a group a baseline knows.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Novelty {
    /// None of them, as always without a baseline.
    New,
    /// Some of them.
    Grown,
    /// All of them.
    Known,
}

/// A group, and the line of code that it is about.
pub(super) struct Finding<'v> {
    pub(super) group: LeakGroup<'v>,
    view: &'v LeaksView<'v>,
    /// The first frame outside the kernel and Verifier, if the blocks share it.
    pub(super) site: Option<Va>,
    /// Its function, without an offset.
    pub(super) function: Option<String>,
    /// The file and line of the innermost function there.
    pub(super) place: Option<(Arc<str>, u32)>,
}

impl<'v> Finding<'v> {
    pub(super) fn new(view: &'v LeaksView<'v>, group: LeakGroup<'v>) -> Self {
        let is_mixed =
            matches!(group.key, GroupKey::Tag(_) | GroupKey::Driver(_) | GroupKey::Size(_))
                && group.stack.is_none();
        let site = group.site.filter(|_| !is_mixed);
        let source = site.and_then(|va| view.names.source(va));
        let place = source.map(|source| {
            let (file, line) = source.innermost();
            (Arc::clone(file), line)
        });
        let function = site.and_then(|va| view.names.function(va));
        Self { group, view, site, function, place }
    }

    pub(super) fn rule(&self) -> Rule {
        match &self.group {
            group if group.is_contiguous => Rule::Contiguous,
            group if group.is_of_unloaded() => Rule::Unloaded,
            _ => Rule::Pool,
        }
    }

    pub(super) fn novelty(&self) -> Novelty {
        match self.group.known() {
            None | Some(0) => Novelty::New,
            Some(known) if known < self.group.blocks.len() => Novelty::Grown,
            Some(_) => Novelty::Known,
        }
    }

    /// The function without an offset, or the tag, driver or size that the group is by.
    pub(super) fn subject(&self) -> String {
        self.function.clone().unwrap_or_else(|| self.group.label())
    }

    /// "2 blocks, 16,384 bytes".
    pub(super) fn amount(&self) -> String {
        amount(self.group.total())
    }

    /// "2 blocks, 16,384 bytes, tag Leak, leaky.sys, 1 known, 1 new".
    pub(super) fn details(&self) -> String {
        let group = &self.group;
        let tag = group.tag.map(|tag| format!("tag {}", tag.to_string().trim_end()));
        let driver = group.driver_name().map(|name| sanitize(name).into_owned());
        let parts = [Some(self.amount()), tag, driver, group.known_text()];
        parts.into_iter().flatten().collect::<Vec<_>>().join(", ")
    }

    /// What stays the same over builds and boots: driver, function and tag, or what the group is by.
    pub(super) fn fingerprint(&self) -> String {
        let group = &self.group;
        if self.site.is_none()
            && !matches!(group.key, GroupKey::Stack { .. } | GroupKey::Path { .. })
        {
            return format!("{} {}", self.view.by.name(), group.label());
        }
        let tag = group.tag.map(|tag| tag.to_string());
        let driver = group.driver_name().unwrap_or_default();
        let key = LeakKey::new(driver, self.function.as_deref(), tag.as_deref());
        let tag = key.tag.as_deref().or(group.is_contiguous.then_some("contiguous memory"));
        [Some(&*key.driver), key.function.as_deref(), tag].map(Option::unwrap_or_default).join("|")
    }

    /// The stack that the blocks share, or its frames outside the kernel and Verifier if they share those, else
    /// the stacks that made the most bytes. Empty if no block has a stack.
    pub(super) fn stacks(&self) -> Vec<Made<'v>> {
        if let Some(frames) = self.group.frames() {
            return vec![Made { blocks: None, frames: Cow::Borrowed(frames) }];
        }
        let path = self.group.path();
        if !path.is_empty() {
            return vec![Made { blocks: None, frames: Cow::Owned(path) }];
        }
        let mut totals: BTreeMap<StackId, Total> = BTreeMap::new();
        for block in self.group.members() {
            if let Ok(stack) = block.stack {
                totals.entry(stack).or_default().add(block.allocation.size);
            }
        }
        let mut totals: Vec<(StackId, Total)> = totals.into_iter().collect();
        totals.sort_by_key(|&(stack, total)| (Reverse((total.bytes, total.count)), stack));
        let made = |(stack, total)| Made {
            blocks: Some(total),
            frames: Cow::Borrowed(self.view.leaks.stack(stack)),
        };
        totals.into_iter().take(STACKS).map(made).collect()
    }

    /// The stacks, one line for each function, or why there is none.
    pub(super) fn stack_lines(&self) -> Vec<String> {
        let stacks = self.stacks();
        if stacks.is_empty() {
            let why = self.group.why_no_stack().unwrap_or_default();
            let mut lines = vec![format!("no stack: {}", sanitize(&why))];
            if matches!(self.group.key, GroupKey::Stack { .. } | GroupKey::Path { .. }) {
                lines.push(format!("caller: {}", sanitize(&self.group.first_caller())));
            }
            return lines;
        }
        let names = &self.view.names;
        let mut lines = Vec::new();
        let mut rest = self.group.blocks.len() as u64;
        for Made { blocks: made, frames } in &stacks {
            rest = rest.saturating_sub(made.map_or(rest, |total| total.count));
            lines.extend(made.map(|total| format!("{}:", amount(total))));
            lines.extend(frames.iter().flat_map(|&va| code_lines(names, va)));
        }
        if rest > 0 {
            lines.push(format!("{} with other stacks, or without one", blocks(rest)));
        }
        lines
    }
}

/// A stack of a group.
pub(super) struct Made<'v> {
    /// The blocks that it made; `None` if it made all.
    pub(super) blocks: Option<Total>,
    pub(super) frames: Cow<'v, [Va]>,
}

/// The driver of bug check 0xC4/0x62 if none of its blocks is in a group: it may not be on Verifier's lists
/// anymore. A filter may have left them out.
pub(super) fn unload_without_groups<'v>(view: &'v LeaksView<'_>) -> Option<&'v UnloadLeak> {
    let leak = view.leaks.unload_leak.as_deref()?;
    let mut drivers = view.leaks.blocks.iter().map(|block| view.leaks.driver(block));
    let has_blocks = drivers.any(|driver| driver.eq_ignore_ascii_case(&leak.driver));
    (!has_blocks && view.leaks.filter.is_none()).then_some(leak)
}
