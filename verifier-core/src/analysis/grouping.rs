//! From blocks to groups.

use std::cmp::Reverse;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::group::{Group, GroupBy, GroupKey, function};
use super::leaks::{Block, Leaks, NoStack, StackId};
use crate::addr::Va;
use crate::kernel::Kernel;
use crate::symbols::SourceSite;
use crate::verifier::is_kernel_or_verifier;

/// How stacks are shortened: which frames are wrappers.
pub struct Grouping<'a> {
    kernel: &'a Kernel,
    leaks: &'a Leaks,
    /// For each stack its canonical twin among the shortened ones and the number of dropped frames.
    short: Vec<(StackId, u32)>,
    /// For each stack, shortened, the first frame that is neither in the kernel nor in Verifier nor skipped.
    sites: Vec<Option<Va>>,
    skip: Option<&'a dyn Fn(Va) -> bool>,
}

impl<'a> Grouping<'a> {
    /// Shortens the stacks of `leaks`. If `skip` is given, frames are dropped from the front of each stack:
    /// first those of the kernel and Verifier, then those that `skip` accepts. A stack that would become empty
    /// stays whole.
    #[must_use]
    pub fn new(kernel: &'a Kernel, leaks: &'a Leaks, skip: Option<&'a dyn Fn(Va) -> bool>) -> Self {
        let mut twins: HashMap<&[Va], (StackId, u32)> = HashMap::new();
        let short: Vec<(StackId, u32)> = leaks
            .stacks()
            .map(|(id, frames)| {
                let Some(skip) = skip else { return (id, 0) };
                let own = |va: &&Va| is_kernel_or_verifier(kernel, **va);
                let inside = frames.iter().take_while(own).count();
                let wrappers = frames.iter().skip(inside).take_while(|va| skip(**va)).count();
                let dropped = if wrappers == 0 { 0 } else { inside + wrappers };
                match frames.get(dropped..) {
                    Some(rest) if !rest.is_empty() => {
                        let start = u32::try_from(dropped).unwrap_or(0);
                        *twins.entry(rest).or_insert((id, start))
                    }
                    _ => (id, 0),
                }
            })
            .collect();
        let mut grouping = Self { kernel, leaks, short, sites: Vec::new(), skip };
        let short = grouping.short.iter();
        grouping.sites = short
            .map(|&(id, start)| {
                let frames = leaks.stack(id).get(start as usize..).unwrap_or_default();
                frames.iter().copied().find(|&va| grouping.counts(va))
            })
            .collect();
        grouping
    }

    /// True for a frame that is neither in the kernel nor in Verifier nor skipped.
    fn counts(&self, va: Va) -> bool {
        !is_kernel_or_verifier(self.kernel, va) && !self.skip.is_some_and(|skip| skip(va))
    }

    /// The stack of a block, shortened.
    fn stack(&self, block: &Block) -> Result<(StackId, u32), NoStack> {
        let id = block.stack?;
        Ok(self.short.get(id.0 as usize).copied().unwrap_or((id, 0)))
    }

    /// The frames of a block, shortened.
    #[must_use]
    pub fn frames(&self, block: &Block) -> Option<&'a [Va]> {
        let (id, start) = self.stack(block).ok()?;
        self.leaks.stack(id).get(start as usize..)
    }

    /// The line that allocated a block: the first frame that is neither in the kernel nor in
    /// Verifier nor skipped; without a stack, the caller if it is neither.
    #[must_use]
    pub fn site(&self, block: &Block) -> Option<Va> {
        match block.stack {
            Ok(id) => self.sites.get(id.0 as usize).copied().flatten(),
            Err(_) => Some(block.allocation.caller).filter(|&caller| self.counts(caller)),
        }
    }

    /// The caller of a block: `CallingAddress`, or, if that is skipped, the first frame that is not.
    #[must_use]
    pub fn caller(&self, block: &Block) -> Va {
        let caller = block.allocation.caller;
        if self.skip.is_some_and(|skip| skip(caller))
            && let Some(&first) = self.frames(block).and_then(|frames| frames.first())
        {
            return first;
        }
        caller
    }

    /// How many of the stacks that blocks have lose frames by `skip`, and how many stacks those are.
    #[must_use]
    pub fn skipped(&self) -> (usize, usize) {
        let used: HashSet<StackId> =
            self.leaks.blocks.iter().filter_map(|block| block.stack.ok()).collect();
        let is_short =
            |id: &&StackId| self.short.get(id.0 as usize).is_some_and(|&(_, dropped)| dropped > 0);
        (used.iter().filter(is_short).count(), used.len())
    }

    /// The groups, the most bytes first.
    #[must_use]
    pub fn groups(&self, by: GroupBy) -> Vec<Group> {
        let mut keys = Keys::new(self, by);
        let mut places: HashMap<(bool, GroupKey), usize> = HashMap::new();
        let mut groups: Vec<Group> = Vec::new();
        for (index, block) in self.leaks.blocks.iter().enumerate() {
            let key = keys.of(block);
            let stack = self.stack(block);
            let size = block.allocation.size;
            let is_contiguous = block.is_contiguous();
            let place = *places.entry((is_contiguous, key)).or_insert(groups.len());
            let Some(group) = groups.get_mut(place) else {
                groups.push(Group {
                    key,
                    blocks: vec![index],
                    bytes: size,
                    largest: size,
                    tag: block.allocation.pool_tag(),
                    is_contiguous,
                    driver: Some(block.driver),
                    stack: Some(stack),
                    site: self.site(block),
                });
                continue;
            };
            group.blocks.push(index);
            group.bytes = group.bytes.saturating_add(size);
            group.largest = group.largest.max(size);
            group.tag = group.tag.filter(|&tag| Some(tag) == block.allocation.pool_tag());
            group.driver = group.driver.filter(|&driver| driver == block.driver);
            group.stack = group.stack.filter(|&shared| shared == stack);
        }
        groups.sort_by_key(|group| {
            let (bytes, blocks) = (group.bytes, group.blocks.len());
            (Reverse(bytes), Reverse(blocks), group.key, group.is_contiguous)
        });
        groups
    }
}

/// Gives each block its key.
struct Keys<'g> {
    grouping: &'g Grouping<'g>,
    by: GroupBy,
    /// The first stack that has certain frames outside the kernel and Verifier.
    paths: HashMap<Vec<Va>, (StackId, u32)>,
    path_of: HashMap<StackId, (StackId, u32)>,
    /// The first address of a line.
    lines: HashMap<Line, Va>,
    line_of: HashMap<Va, Va>,
}

/// A line, and the lines into which it was inlined.
pub(super) type Line = Vec<(Arc<str>, u32)>;

pub(super) fn line_of(site: &SourceSite) -> Line {
    site.lines().map(|(file, line)| (file.clone(), line)).collect()
}

impl<'g> Keys<'g> {
    fn new(grouping: &'g Grouping<'g>, by: GroupBy) -> Self {
        let (paths, path_of, lines, line_of) = Default::default();
        Self { grouping, by, paths, path_of, lines, line_of }
    }

    fn of(&mut self, block: &Block) -> GroupKey {
        let (grouping, allocation) = (self.grouping, &block.allocation);
        let stack = || grouping.stack(block).map_err(|why| (why, allocation.caller));
        match self.by {
            GroupBy::Stack => GroupKey::Stack { driver: block.driver, tag: None, stack: stack() },
            GroupBy::StackAndTag => {
                GroupKey::Stack { driver: block.driver, tag: allocation.pool_tag(), stack: stack() }
            }
            GroupBy::Path => {
                let path = match grouping.stack(block) {
                    Ok((id, start)) => Ok(self.path(id, start)),
                    Err(_) => Err(allocation.caller),
                };
                GroupKey::Path { driver: block.driver, path }
            }
            GroupBy::Frame | GroupBy::Function | GroupBy::Line => {
                match (grouping.site(block), block.stack) {
                    (None, Err(_)) => GroupKey::NoFrame(allocation.caller),
                    (site, _) if self.by == GroupBy::Frame => GroupKey::Frame(site),
                    (site, _) if self.by == GroupBy::Line => {
                        GroupKey::Line(site.map(|va| self.line(va)))
                    }
                    (site, _) => GroupKey::Function(site.map(|va| function(grouping.kernel, va))),
                }
            }
            GroupBy::Caller => GroupKey::Caller(grouping.caller(block)),
            GroupBy::Tag => GroupKey::Tag(allocation.pool_tag()),
            GroupBy::Driver => GroupKey::Driver(block.driver),
            GroupBy::Size => GroupKey::Size(allocation.size),
        }
    }

    /// The first stack with the same frames outside the kernel and Verifier.
    fn path(&mut self, id: StackId, start: u32) -> (StackId, u32) {
        let (grouping, paths) = (self.grouping, &mut self.paths);
        *self.path_of.entry(id).or_insert_with(|| {
            let frames = grouping.leaks.stack(id).get(start as usize..).unwrap_or_default();
            let own = own_frames(grouping.kernel, frames).collect();
            *paths.entry(own).or_insert((id, start))
        })
    }

    /// The first address of the same line.
    fn line(&mut self, va: Va) -> Va {
        let (kernel, lines) = (self.grouping.kernel, &mut self.lines);
        *self.line_of.entry(va).or_insert_with(|| {
            let Some(site) = kernel.source_of_call(va) else { return va };
            *lines.entry(line_of(&site)).or_insert(va)
        })
    }
}

/// The frames outside the kernel and Verifier; all frames if there are none.
pub(crate) fn own_frames<'f>(
    kernel: &'f Kernel,
    frames: &'f [Va],
) -> impl Iterator<Item = Va> + Clone + 'f {
    let is_own = |va: &Va| !is_kernel_or_verifier(kernel, *va);
    let has_own = frames.iter().any(is_own);
    frames.iter().copied().filter(move |va| !has_own || is_own(va))
}
