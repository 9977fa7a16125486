//! An element of `ViPoolStackInfoAvl`: a stack that made blocks (see `info_tree.rs` for its layout).

use crate::addr::Va;
use crate::bytes::{le32, le64};
use crate::error::Fault;
use crate::kernel::Kernel;
use crate::verifier::tag::PoolTag;

const SIZE: usize = 0x1b8;
const FRAMES: usize = 0x28;
const MAX_FRAMES: usize = 50;
const VALID: u32 = 1;
const NONPAGED: u32 = 0x10;

/// A stack that made blocks.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct PoolStack {
    /// The tag of its blocks.
    pub tag: PoolTag,
    /// The hash of its frames.
    pub hash: u32,
    /// The flags.
    pub flags: u32,
    /// Allocations that it made, including failed ones.
    pub allocations: u32,
    /// How many of these allocations were freed.
    pub frees: u32,
    /// Bytes that it allocated.
    pub bytes_allocated: u64,
    /// How many of these bytes were freed.
    pub bytes_freed: u64,
    /// Innermost first.
    pub frames: Vec<Va>,
    /// The element itself.
    pub element: Va,
    /// False if only a block's pointer leads to it.
    pub is_in_tree: bool,
    /// Live blocks that point at it.
    pub blocks: u64,
    /// The sum of their sizes.
    pub block_bytes: u64,
}

impl PoolStack {
    /// Allocations less frees.
    #[must_use]
    pub fn live_count(&self) -> u32 {
        self.allocations.saturating_sub(self.frees)
    }

    /// Bytes allocated less bytes freed.
    #[must_use]
    pub fn live_bytes(&self) -> u64 {
        self.bytes_allocated.saturating_sub(self.bytes_freed)
    }

    /// Whether its blocks are nonpaged pool; `None` if the element is not valid.
    #[must_use]
    pub fn is_nonpaged(&self) -> Option<bool> {
        (self.flags & VALID != 0).then_some(self.flags & NONPAGED != 0)
    }
}

/// True if no more was freed than allocated.
pub(super) fn counts_fit(stack: &PoolStack) -> bool {
    stack.frees <= stack.allocations && stack.bytes_freed <= stack.bytes_allocated
}

/// True if nothing in a stack contradicts itself.
pub(in crate::verifier) fn is_sound(stack: &PoolStack) -> bool {
    looks_valid(stack) && counts_fit(stack)
}

/// True if the stack is marked as valid and has frames.
pub(super) fn looks_valid(stack: &PoolStack) -> bool {
    stack.flags & VALID != 0 && !stack.frames.is_empty()
}

/// Reads the stack of the element at `element`.
pub(in crate::verifier) fn read_stack(kernel: &Kernel, element: Va) -> Result<PoolStack, Fault> {
    let space = kernel.space();
    let mut raw = [0u8; SIZE];
    space.read(element, &mut raw)?;
    let short = |offset| le32(&raw, offset).unwrap_or(0);
    let long = |offset| le64(&raw, offset).unwrap_or(0);
    let frames = (0..MAX_FRAMES).map(|index| Va(long(FRAMES + 8 * index)));
    Ok(PoolStack {
        tag: PoolTag(short(0)),
        hash: short(4),
        flags: short(8),
        allocations: short(0xc),
        frees: short(0x10),
        bytes_allocated: long(0x18),
        bytes_freed: long(0x20),
        frames: frames.take_while(|&frame| space.is_kernel(frame)).collect(),
        element,
        ..PoolStack::default()
    })
}
