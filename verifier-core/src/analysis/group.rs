//! Outstanding allocations in groups. Contiguous memory is not pool, so it is always in separate groups.

use super::leaks::{Leaks, NoStack, StackId, Total};
use crate::addr::Va;
use crate::describe::names;
use crate::kernel::Kernel;
use crate::verifier::{PoolTag, is_kernel_or_verifier};

/// How blocks are grouped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum GroupBy {
    /// Driver and whole stack; for blocks without a stack, driver, reason and caller.
    #[default]
    Stack,
    /// The same, and the tag.
    StackAndTag,
    /// Driver and the frames outside the kernel and Verifier; for blocks without a stack, driver and caller.
    Path,
    /// The first frame outside the kernel and Verifier; for blocks without a stack, the caller.
    Frame,
    /// The function of that frame, if symbols name it.
    Function,
    /// The line of source code of that frame, with the lines into which it was inlined; the frame itself if
    /// no PDB has its line.
    Line,
    /// `CallingAddress` of the tracking entry.
    Caller,
    /// The tag.
    Tag,
    /// The driver.
    Driver,
    /// The size.
    Size,
}

names!(
    /// The word in JSON and on the command line.
    GroupBy {
        Stack => "stack",
        StackAndTag => "stack-and-tag",
        Path => "path",
        Frame => "frame",
        Function => "function",
        Line => "line",
        Caller => "caller",
        Tag => "tag",
        Driver => "driver",
        Size => "size",
    }
);

/// What a group's blocks have in common.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum GroupKey {
    /// Whole stacks.
    Stack {
        /// Index in [`Leaks::drivers`].
        driver: usize,
        /// The tag, if the blocks are grouped by it, too.
        tag: Option<PoolTag>,
        /// The stack and how many of its frames are dropped; or why there is none, and the caller.
        stack: Result<(StackId, u32), (NoStack, Va)>,
    },
    /// Frames outside the kernel and Verifier.
    Path {
        /// Index in [`Leaks::drivers`].
        driver: usize,
        /// The first stack that has these frames and how many of its frames are dropped; the caller if there is
        /// no stack.
        path: Result<(StackId, u32), Va>,
    },
    /// A frame; `None` if no frame is outside the kernel and Verifier.
    Frame(Option<Va>),
    /// The first address of a function; the frame itself if no symbol names it.
    Function(Option<Va>),
    /// The first address that was met of a line; `None` if no frame is outside the kernel and Verifier.
    Line(Option<Va>),
    /// For blocks without a stack that are grouped by frame, function or line: a caller that does not count,
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
    /// Its blocks and their bytes.
    #[must_use]
    pub fn total(&self) -> Total {
        Total { count: self.blocks.len() as u64, bytes: self.bytes }
    }

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
