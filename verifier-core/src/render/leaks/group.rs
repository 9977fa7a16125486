//! One group of outstanding allocations as a view shows it.

use std::collections::BTreeSet;
use std::ops::Deref;
use std::slice;

use super::baseline::known_and_new;
use super::{CONTIGUOUS, LeaksView};
use crate::addr::Va;
use crate::analysis::{
    Block, Group, GroupKey, NO_FRAME, NO_TAG, StackSource, no_frame, own_frames,
};

/// The number of callers' frames that a line shows after the first frame.
const CALLERS: usize = 2;
/// The number of different tags that a line shows.
const TAGS: usize = 3;

/// A [`Group`], with its names.
#[derive(Clone, Copy)]
pub struct LeakGroup<'v> {
    pub(super) view: &'v LeaksView<'v>,
    group: &'v Group,
}

impl Deref for LeakGroup<'_> {
    type Target = Group;

    fn deref(&self) -> &Group {
        self.group
    }
}

impl<'v> LeakGroup<'v> {
    /// One line that says what the group is: its line of code, tag, driver or size.
    #[must_use]
    pub fn label(&self) -> String {
        match self.key {
            GroupKey::Stack { .. } | GroupKey::Path { .. } => {
                let first = self.path().first().copied();
                self.site.or(first).map_or_else(|| self.first_caller(), |va| self.name(va))
            }
            GroupKey::Line(Some(va)) => match self.view.names.source(va) {
                Some(site) => site.to_string(),
                None => self.name(va),
            },
            GroupKey::Frame(Some(va)) | GroupKey::Function(Some(va)) | GroupKey::Caller(va) => {
                self.name(va)
            }
            GroupKey::Frame(None) | GroupKey::Function(None) | GroupKey::Line(None) => {
                NO_FRAME.into()
            }
            GroupKey::NoFrame(va) => no_frame(self.view.names.kernel(), va, &self.name(va)),
            GroupKey::Tag(Some(tag)) => tag.to_string(),
            GroupKey::Tag(None) => NO_TAG.into(),
            GroupKey::Driver(driver) => self.driver_at(driver).to_string(),
            GroupKey::Size(size) => format!("{size} bytes"),
        }
    }

    /// The label; if it is a frame of a stack, also the next frames outside the kernel and Verifier, with their
    /// modules if those change: `leaky!LeakAllocate+0x28 ← LeakIoctl+0x25`. The callers say what a wrapper's
    /// own name does not.
    #[must_use]
    pub fn trail(&self) -> String {
        let mut text = self.label();
        let (GroupKey::Stack { .. } | GroupKey::Path { .. }, Some(site)) = (self.key, self.site)
        else {
            return text;
        };
        let path = self.path();
        let outside = path.iter().copied().skip_while(|&va| va != site);
        let module = |name: &str| name.split_once('!').map(|(module, _)| module.to_string());
        let mut before = module(&text);
        for va in outside.skip(1).take(CALLERS) {
            let name = self.view.name(va);
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

    /// The blocks of the group.
    pub fn members(&self) -> impl Iterator<Item = &'v Block> + Clone + use<'v> {
        let leaks = self.view.leaks;
        self.group.blocks.iter().filter_map(|&index| leaks.blocks.get(index))
    }

    /// The frames that the blocks share, without those that are dropped.
    #[must_use]
    pub fn frames(&self) -> Option<&'v [Va]> {
        self.group.frames(self.view.leaks)
    }

    /// The frames outside the kernel and Verifier of the first block's stack, without those that are dropped;
    /// all frames if none is outside. Blocks of a group by stack or path share them.
    #[must_use]
    pub fn path(&self) -> Vec<Va> {
        let kernel = self.view.names.kernel();
        let frames = match self.key {
            GroupKey::Path { path: Ok((id, start)), .. } => {
                self.view.leaks.stack(id).get(start as usize..)
            }
            _ => self.frames(),
        };
        frames.map(|frames| own_frames(kernel, frames).collect()).unwrap_or_default()
    }

    /// The line of code that the blocks share, as a stack of one frame.
    pub(super) fn line_site(&self) -> Option<&[Va]> {
        let is_shared = match self.key {
            GroupKey::Stack { .. }
            | GroupKey::Path { .. }
            | GroupKey::Frame(_)
            | GroupKey::Line(_)
            | GroupKey::NoFrame(_)
            | GroupKey::Caller(_) => true,
            GroupKey::Function(_) | GroupKey::Tag(_) | GroupKey::Driver(_) | GroupKey::Size(_) => {
                self.blocks.len() == 1
            }
        };
        self.group.site.as_ref().filter(|_| is_shared).map(slice::from_ref)
    }

    /// Up to three tags of the blocks, the number of the others, and how many there are; none for contiguous
    /// memory.
    pub(super) fn tags(&self) -> (String, usize) {
        let tags: BTreeSet<String> = self
            .members()
            .filter_map(|block| block.allocation.pool_tag())
            .map(|tag| tag.to_string().trim_end().to_string())
            .collect();
        let mut text = tags.iter().take(TAGS).cloned().collect::<Vec<_>>().join(", ");
        if tags.len() > TAGS {
            text.push_str(&format!(" and {} more", tags.len() - TAGS));
        }
        (text, tags.len())
    }

    /// "tag Leak", "tags Irp, Lk01, Lk02 and 2 more"; `None` for contiguous memory.
    #[must_use]
    pub fn tags_text(&self) -> Option<String> {
        match self.tags() {
            (_, 0) => None,
            (tag, 1) => Some(format!("tag {tag}")),
            (tags, _) => Some(format!("tags {tags}")),
        }
    }

    /// Why the group has no stack.
    #[must_use]
    pub fn why_no_stack(&self) -> Option<String> {
        match self.stack {
            Some(Err(why)) => Some(self.view.leaks.why(why)),
            Some(Ok(_)) => None,
            None => Some("the blocks have different stacks, or some have none".into()),
        }
    }

    /// The source of the stacks, if all blocks have the same.
    #[must_use]
    pub fn stack_source(&self) -> Option<StackSource> {
        let mut sources = self.members().map(|block| block.stack_source);
        let first = sources.next().flatten()?;
        sources.all(|source| source == Some(first)).then_some(first)
    }

    /// The source of the blocks, if all have the same.
    #[must_use]
    pub fn source(&self) -> Option<&'static str> {
        let mut sources = self.members().map(|block| block.allocation.source.name());
        let first = sources.next()?;
        sources.all(|source| source == first).then_some(first)
    }

    /// How many of the blocks cannot be as their entries say.
    #[must_use]
    pub fn impossible(&self) -> usize {
        self.members().filter(|block| block.allocation.impossible.is_some()).count()
    }

    /// True for blocks of the driver that was unloaded before it freed them, if the bug check is about that.
    pub(super) fn is_of_unloaded(&self) -> bool {
        let unloaded = self.view.leaks.unload_leak.as_ref();
        self.driver_name()
            .zip(unloaded)
            .is_some_and(|(driver, leak)| driver.eq_ignore_ascii_case(&leak.driver))
    }

    /// How many of the blocks a baseline knows; `None` without a baseline.
    #[must_use]
    pub fn known(&self) -> Option<usize> {
        self.view.leaks.baseline.as_ref()?;
        Some(self.members().filter(|block| block.is_known).count())
    }

    /// "known", "new" or "12 known, 3 new"; `None` without a baseline.
    #[must_use]
    pub fn known_text(&self) -> Option<String> {
        self.known().map(|known| known_and_new(known as u64, self.blocks.len() as u64))
    }

    /// The tag that the blocks share, or "contiguous memory".
    #[must_use]
    pub fn tag_text(&self) -> Option<String> {
        match self.is_contiguous {
            true => Some(CONTIGUOUS.into()),
            false => self.tag.map(|tag| tag.to_string()),
        }
    }

    /// The driver that the blocks share.
    #[must_use]
    pub fn driver_name(&self) -> Option<&'v str> {
        self.driver.map(|driver| self.driver_at(driver))
    }

    pub(in crate::render) fn first_caller(&self) -> String {
        let first = self.members().next();
        first.map(|block| self.name(block.allocation.caller)).unwrap_or_default()
    }

    fn driver_at(&self, index: usize) -> &'v str {
        self.view.leaks.drivers.get(index).map_or("", |driver| &driver.name)
    }

    fn name(&self, va: Va) -> String {
        self.view.name(va).to_string()
    }
}

/// The groups that a [`LeaksView`] shows.
#[derive(Clone)]
pub struct LeakGroups<'v> {
    pub(super) view: &'v LeaksView<'v>,
    pub(super) groups: slice::Iter<'v, Group>,
}

impl<'v> Iterator for LeakGroups<'v> {
    type Item = LeakGroup<'v>;

    fn next(&mut self) -> Option<LeakGroup<'v>> {
        self.groups.next().map(|group| LeakGroup { view: self.view, group })
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.groups.size_hint()
    }
}

impl ExactSizeIterator for LeakGroups<'_> {}
