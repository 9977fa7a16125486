//! Live blocks and the stacks that allocated them. Kernels since 20348 keep them instead of trackers if bit
//! 0x1000 of `VfOptionFlags` is set.
//!
//! `ViPoolInfoAvl` is a tree of blocks {address, size, its stack}, sorted by address. `ViPoolStackInfoAvl` is
//! a tree of stacks {tag, hash, flags, counts, bytes, 50 frames}, sorted by tag and hash. Both variables are
//! a `_VF_AVL_TABLE`. Source: public descriptions; public PDBs do not have these structures.

use super::avl;
use crate::assembly::Assembly;

/// Bit of `VfOptionFlags`.
const OPTION: u32 = 0x1000;
/// Flags of a stack: it is valid; its blocks are nonpaged.
const VALID: u64 = 1;
const NONPAGED: u64 = 0x10;

/// A stack that allocated blocks.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PoolStack {
    /// The tag of its blocks, as four characters.
    pub tag: [u8; 4],
    /// The hash of its frames.
    pub hash: u32,
    /// True if its blocks are nonpaged pool.
    pub nonpaged: bool,
    /// Return addresses, innermost first.
    pub frames: Vec<u64>,
    /// Sizes of blocks that were freed.
    pub freed: Vec<u64>,
    /// Sizes of blocks that it counts but no tree contains: failed allocations.
    pub lost: Vec<u64>,
}

/// A live block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PoolBlock {
    /// Its address.
    pub address: u64,
    /// The requested size.
    pub size: u64,
    /// The number of its stack, in the order the stacks were added; `None` makes the pointer null.
    pub stack: Option<usize>,
}

/// The two trees.
#[derive(Debug, Clone, Default)]
pub struct PoolInfo {
    stacks: Vec<PoolStack>,
    blocks: Vec<PoolBlock>,
    /// `ViPoolInfoAllocInsertionFailure`.
    pub insertion_failures: u32,
    /// `ViPoolInfoAllocDeletionFailure`.
    pub deletion_failures: u32,
    /// `ViPoolStackInfoFailureCount`.
    pub stack_failures: u32,
    /// `DifpPoolTags`: the only tags that are tracked; at most ten, and only since 22000.
    pub tags: Vec<[u8; 4]>,
}

impl PoolInfo {
    /// Adds a stack and returns its number.
    pub fn stack(&mut self, stack: PoolStack) -> usize {
        self.stacks.push(stack);
        self.stacks.len() - 1
    }

    /// Adds a live block.
    pub fn block(&mut self, address: u64, size: u64, stack: impl Into<Option<usize>>) -> &mut Self {
        self.blocks.push(PoolBlock { address, size, stack: stack.into() });
        self
    }

    pub(super) fn lay_out(&self, m: &mut Assembly) {
        let links = m.layouts.size("_RTL_BALANCED_LINKS");
        let (info, stack_info) = ("_VI_POOL_INFO", "_VI_POOL_STACK_INFO");

        let mut elements = Vec::new();
        let mut stacks = Vec::new();
        for (number, stack) in self.stacks.iter().enumerate() {
            let node = m.allocate(links + m.layouts.size(stack_info), 16);
            let live = self.blocks.iter().filter(|block| block.stack == Some(number));
            let sizes: Vec<u64> = live
                .map(|block| block.size)
                .chain(stack.freed.iter().chain(&stack.lost).copied())
                .collect();
            let flags = VALID | if stack.nonpaged { NONPAGED } else { 0 };
            let tag = u32::from_le_bytes(stack.tag);
            let record = m.layouts.record(stack_info).set("Tag", tag.into());
            let record = record.set("Hash", stack.hash.into()).set("Flags", flags);
            let record = record
                .set("Allocations", sizes.len() as u64)
                .set("Frees", stack.freed.len() as u64)
                .set("BytesAllocated", sizes.iter().sum())
                .set("BytesFreed", stack.freed.iter().sum());
            let bytes = record.set_all("StackTrace", &stack.frames).bytes();
            m.patch(node + links as u64, &bytes);
            m.label(format!("pool stack:{number}"), node);
            elements.push(node + links as u64);
            stacks.push(((tag, stack.hash), node));
        }

        let mut blocks = Vec::new();
        for (number, block) in self.blocks.iter().enumerate() {
            let node = m.allocate(links + m.layouts.size(info), 16);
            let record = m.layouts.record(info).set("Address", block.address);
            let stack = block.stack.map_or(0, |stack| elements[stack]);
            let bytes = record.set("Size", block.size).set("Stack", stack).bytes();
            m.patch(node + links as u64, &bytes);
            m.label(format!("pool block:{number}"), node);
            blocks.push((block.address, node));
        }

        stacks.sort_unstable();
        blocks.sort_unstable();
        let nodes: Vec<u64> = stacks.iter().map(|&(_, node)| node).collect();
        avl::table(m, m.global("ViPoolStackInfoAvl"), &nodes);
        let nodes: Vec<u64> = blocks.iter().map(|&(_, node)| node).collect();
        avl::table(m, m.global("ViPoolInfoAvl"), &nodes);
        for (name, value) in [
            ("VfOptionFlags", OPTION),
            ("ViPoolInfoAvlInitialized", 1),
            ("ViPoolStackInfoAvlInitialized", 1),
            ("ViPoolStackInfoAllocCount", self.stacks.len() as u32),
            ("ViPoolStackInfoFailureCount", self.stack_failures),
            ("ViPoolInfoAllocInsertionFailure", self.insertion_failures),
            ("ViPoolInfoAllocDeletionFailure", self.deletion_failures),
        ] {
            m.set_u32(name, value);
        }
        if !self.tags.is_empty() {
            assert!(self.tags.len() <= 10, "{} tags in an array of ten", self.tags.len());
            m.patch(m.global("DifpPoolTags"), self.tags.as_flattened());
            m.set_u32("DifpPoolTagsSize", self.tags.len() as u32);
        }
    }
}
