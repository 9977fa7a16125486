//! Outstanding allocations in groups. Contiguous memory is not pool, so it is always in separate groups.

use std::cmp::Reverse;
use std::collections::{HashMap, HashSet};

use super::leaks::{Block, Leaks, NoStack, StackId};
use crate::addr::Va;
use crate::kernel::Kernel;
use crate::verifier::{PoolTag, is_kernel_or_verifier};

/// How blocks are grouped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum GroupBy {
    /// Driver, tag and whole stack; for blocks without a stack, driver, tag, reason and caller.
    #[default]
    Stack,
    /// The first frame outside the kernel and Verifier; for blocks without a stack, the caller.
    Frame,
    /// The function of that frame, if symbols name it.
    Function,
    /// `CallingAddress` of the tracking entry.
    Caller,
    /// The tag.
    Tag,
    /// The driver.
    Driver,
    /// The size.
    Size,
}

impl GroupBy {
    /// Every kind.
    pub const ALL: [GroupBy; 7] = [
        GroupBy::Stack,
        GroupBy::Frame,
        GroupBy::Function,
        GroupBy::Caller,
        GroupBy::Tag,
        GroupBy::Driver,
        GroupBy::Size,
    ];

    /// The word in JSON and on the command line.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            GroupBy::Stack => "stack",
            GroupBy::Frame => "frame",
            GroupBy::Function => "function",
            GroupBy::Caller => "caller",
            GroupBy::Tag => "tag",
            GroupBy::Driver => "driver",
            GroupBy::Size => "size",
        }
    }
}

/// What a group's blocks have in common.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum GroupKey {
    /// Whole stacks.
    Stack {
        /// Index in [`Leaks::drivers`].
        driver: usize,
        /// The tag.
        tag: Option<PoolTag>,
        /// The stack and how many of its frames are dropped; or why there is none, and the caller.
        stack: Result<(StackId, u32), (NoStack, Va)>,
    },
    /// A frame; `None` if no frame is outside the kernel and Verifier.
    Frame(Option<Va>),
    /// The first address of a function; the frame itself if no symbol names it.
    Function(Option<Va>),
    /// For blocks without a stack that are grouped by frame or function: a caller that does not count,
    /// because it is skipped or in the kernel.
    NoFrame(Va),
    /// The caller's address.
    Caller(Va),
    /// A tag; `None` for contiguous memory, which has none.
    Tag(Option<PoolTag>),
    /// Index in [`Leaks::drivers`].
    Driver(usize),
    /// Bytes in each block.
    Size(u64),
}

/// Blocks with a common value. A value in which they differ is `None`.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Group {
    /// What they have in common.
    pub key: GroupKey,
    /// Indexes in [`Leaks::blocks`], in their order.
    pub blocks: Vec<usize>,
    /// The sum of their sizes.
    pub bytes: u64,
    /// The largest.
    pub largest: u64,
    /// Their tag; `None` for contiguous memory, too.
    pub tag: Option<PoolTag>,
    /// Whether they are contiguous memory.
    pub is_contiguous: bool,
    /// Index of their driver in [`Leaks::drivers`].
    pub driver: Option<usize>,
    /// Their stack and how many of its first frames are dropped, or why they have none.
    pub stack: Option<Result<(StackId, u32), NoStack>>,
    /// The first frame outside the kernel, Verifier and skipped functions; for blocks without a stack, the
    /// caller. If the blocks differ, that of the first block.
    pub site: Option<Va>,
}

impl Group {
    /// The frames that the blocks share, without those that are dropped.
    #[must_use]
    pub fn frames<'l>(&self, leaks: &'l Leaks) -> Option<&'l [Va]> {
        match self.stack {
            Some(Ok((id, start))) => leaks.stack(id).get(start as usize..),
            _ => None,
        }
    }
}

/// The start of the function that contains `va`, by the nearest symbol; `va` itself if no symbol is known.
pub(super) fn function(kernel: &Kernel, va: Va) -> Va {
    match kernel.symbolize(va) {
        Some(name) if name.name.is_some() => Va(va.0.saturating_sub(name.displacement)),
        _ => va,
    }
}

/// The text in place of a frame if there is no stack and the caller does not count; `name` is the caller's.
pub(crate) fn no_frame(kernel: &Kernel, caller: Va, name: &str) -> String {
    if is_kernel_or_verifier(kernel, caller) {
        format!("(no stack; caller is {name})")
    } else {
        format!("(no stack; caller is the skipped {name})")
    }
}

/// The text in place of a frame if no frame of a stack counts.
pub(crate) const NO_FRAME: &str = "(no frame outside the kernel and Verifier)";

/// The text that is shown in place of a tag for contiguous memory.
pub(crate) const NO_TAG: &str = "(contiguous memory, which has no tag)";

/// How stacks are shortened: which frames are wrappers.
pub struct Grouping<'a> {
    kernel: &'a Kernel,
    leaks: &'a Leaks,
    /// For each stack its canonical twin among the shortened ones and the number of dropped frames.
    short: Vec<(StackId, u32)>,
    skip: Option<&'a dyn Fn(Va) -> bool>,
}

impl<'a> Grouping<'a> {
    /// Shortens the stacks of `leaks`. If `skip` is given, frames are dropped from the front of each stack:
    /// first those of the kernel and Verifier, then those that `skip` accepts. A stack that would become empty
    /// stays whole.
    #[must_use]
    pub fn new(kernel: &'a Kernel, leaks: &'a Leaks, skip: Option<&'a dyn Fn(Va) -> bool>) -> Self {
        let mut twins: HashMap<&[Va], (StackId, u32)> = HashMap::new();
        let short = leaks
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
        Self { kernel, leaks, short, skip }
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
        let counts = |va: &Va| {
            !is_kernel_or_verifier(self.kernel, *va) && !self.skip.is_some_and(|skip| skip(*va))
        };
        match self.frames(block) {
            Some(frames) => frames.iter().copied().find(counts),
            None => Some(block.allocation.caller).filter(counts),
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

    fn key(&self, block: &Block, by: GroupBy) -> GroupKey {
        let allocation = &block.allocation;
        match by {
            GroupBy::Stack => GroupKey::Stack {
                driver: block.driver,
                tag: allocation.pool_tag(),
                stack: self.stack(block).map_err(|why| (why, allocation.caller)),
            },
            GroupBy::Frame | GroupBy::Function => match (self.site(block), block.stack) {
                (None, Err(_)) => GroupKey::NoFrame(allocation.caller),
                (site, _) if by == GroupBy::Frame => GroupKey::Frame(site),
                (site, _) => GroupKey::Function(site.map(|va| function(self.kernel, va))),
            },
            GroupBy::Caller => GroupKey::Caller(self.caller(block)),
            GroupBy::Tag => GroupKey::Tag(allocation.pool_tag()),
            GroupBy::Driver => GroupKey::Driver(block.driver),
            GroupBy::Size => GroupKey::Size(allocation.size),
        }
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
        let mut places: HashMap<(bool, GroupKey), usize> = HashMap::new();
        let mut groups: Vec<Group> = Vec::new();
        for (index, block) in self.leaks.blocks.iter().enumerate() {
            let key = self.key(block, by);
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
