//! The pool info trees: every live block, and every stack that made blocks, with counts and bytes.

use super::info_stack::{PoolStack, counts_fit, looks_valid};
use crate::addr::Va;
use crate::error::{Error, Problem};
use crate::kernel::Kernel;
use crate::types::TypeSource;
use crate::verifier::tag::PoolTag;
use crate::verifier::tally::Tally;

/// Bytes of an element of `ViPoolInfoAvl`.
pub(in crate::verifier) const BLOCK_SIZE: usize = 0x18;
/// Tags that `DifpPoolTags` has room for.
const MAX_TAGS: u32 = 10;

pub(in crate::verifier) const BLOCKS: &str = "ViPoolInfoAvl";
pub(in crate::verifier) const STACKS: &str = "ViPoolStackInfoAvl";

/// A live block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct PoolBlock {
    /// Its address.
    pub address: Va,
    /// The size that was asked for.
    pub size: u64,
    /// Its stack: index in [`PoolInfo::stacks`]. `None` if its element cannot be read.
    pub stack: Option<u32>,
    /// The element itself.
    pub element: Va,
}

/// What the two trees hold.
///
/// Server 2022 (20348) and Windows 11 (22000) and later can keep blocks in two balanced trees instead of the
/// drivers' tracking pages, if bit 0x1000 of `VfOptionFlags` is set. Both globals are a `_VF_AVL_TABLE`; the
/// `_RTL_AVL_TABLE` at its start is read. The element of a node follows its `_RTL_BALANCED_LINKS`. No PDB has
/// the elements, so their layout is here:
///
/// | `ViPoolInfoAvl`, by address | | `ViPoolStackInfoAvl`, by tag and hash | |
/// |---|---|---|---|
/// | block | +0 | tag | +0, 4 bytes |
/// | size, as asked for | +8 | hash of the frames | +4, 4 bytes |
/// | its element of the other tree | +0x10 | flags: 1 valid, 0x10 nonpaged | +8, 4 bytes |
/// | | | allocations, frees | +0xc, +0x10, 4 bytes each |
/// | | | bytes allocated, freed | +0x18, +0x20 |
/// | | | frames, up to 50, the rest null | +0x28 |
///
/// It is the layout of x64 kernels from Windows 11 22H2 on (`VfPtAddStackInfoIfNotExist`,
/// `VfPtProcessAllocPoolInfo`). 22000 has the same routines and globals; 20348 and ARM64 are assumed to have
/// the same layout. Frames end at the first null or the first address outside the kernel, so shorter stacks
/// would be read right too. Checked on synthetic kernels, and with 22000's real symbols, which have the
/// globals. No dump with the option on was available.
///
/// What the numbers mean:
/// * The kernel enters a block when it is allocated and erases it when it is freed: every block in the tree
///   is live.
/// * A failed allocation enters a block of address null (the first one does; later ones count as failed
///   insertions). It is not an allocation and is counted separately, but its stack's counts include it.
/// * Two stacks with the same tag and hash are one element, which has the frames of the first.
/// * The kernel determines whether a stack's blocks are nonpaged only for its first block.
/// * Since 22000 `DifpPoolTags` may hold one to ten tags: then only blocks of these tags are kept.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct PoolInfo {
    /// Why the trees are empty, if that is by design.
    pub empty_because: Option<&'static str>,
    /// Live blocks, by address.
    pub blocks: Vec<PoolBlock>,
    /// Stacks by tag and hash, including those with nothing live.
    pub stacks: Vec<PoolStack>,
    /// `NumberGenericTableElements` of the tree of blocks, `None` if it cannot be read.
    pub blocks_counted: Option<u32>,
    /// The same for the tree of stacks.
    pub stacks_counted: Option<u32>,
    /// Elements of address null: allocations that failed.
    pub failed: u64,
    /// `ViPoolInfoAllocInsertionFailure`: blocks that were not entered.
    pub insertion_failures: Option<u32>,
    /// `ViPoolInfoAllocDeletionFailure`: frees of blocks that were not in the tree.
    pub deletion_failures: Option<u32>,
    /// `ViPoolStackInfoFailureCount`: stacks, and so blocks, that were not entered.
    pub stack_failures: Option<u32>,
    /// `DifpPoolTags`: only blocks of these tags are kept; empty for all.
    pub tags: Vec<PoolTag>,
    /// What could not be read or does not fit.
    pub problems: Vec<Problem>,
}

/// True if kernels of these types can have the trees: `AllocationFreed` came in the same version. The build's
/// number may be unknown, or a wrong hint.
pub(in crate::verifier) fn has_trees(types: &dyn TypeSource) -> bool {
    types.field("_MM_DRIVER_VERIFIER_DATA", "AllocationFreed").is_ok()
}

impl PoolInfo {
    pub(super) fn empty(why: &'static str) -> Self {
        Self { empty_because: Some(why), ..Self::default() }
    }

    /// Blocks and stacks that the kernel counts as not entered. Two elements cannot have the same key, so
    /// each failed allocation after the first is among these insertions, too.
    pub(super) fn read_failures(&mut self, kernel: &Kernel) {
        let number = |name: &str| {
            let at = kernel.global(name).ok()?;
            Some((at, kernel.space().memory().read_u32(at).ok()?))
        };
        let (insertions, stacks) =
            ("ViPoolInfoAllocInsertionFailure", "ViPoolStackInfoFailureCount");
        if let Some((at, count)) = number(insertions) {
            self.insertion_failures = Some(count);
            let problem = |why: String| Problem::at(insertions, at, why);
            match (count, self.failed) {
                (0, _) => {}
                (_, 0) => self
                    .problems
                    .push(problem(format!("{count} blocks were not entered in {BLOCKS}"))),
                _ => self.problems.push(
                    problem(format!("{count} blocks were not entered in {BLOCKS}, or failed"))
                        .remark(),
                ),
            }
        }
        if let Some((at, count)) = number(stacks) {
            self.stack_failures = Some(count);
            if count > 0 {
                let why = format!("{count} stacks, and so their blocks, were not entered");
                self.problems.push(Problem::at(stacks, at, why));
            }
        }
        self.deletion_failures = number("ViPoolInfoAllocDeletionFailure").map(|(_, count)| count);
    }

    /// Checks each stack's counts against each other and against the blocks that point at it.
    pub(super) fn check(&mut self) {
        // A failed allocation has a stack that counts it, and no block.
        let failures = self.failed + u64::from(self.insertion_failures.unwrap_or(0));
        let is_whole = self.blocks_counted.is_some_and(|all| all as usize == self.blocks.len())
            && self.blocks.iter().all(|block| block.stack.is_some())
            && failures == 0;
        let [mut invalid, mut freed, mut other] = <[Tally; 3]>::default();
        for stack in &self.stacks {
            let at = stack.element;
            if !looks_valid(stack) {
                let frames = stack.frames.len();
                invalid
                    .add(at, || format!("its flags are {:#x}, its frames {frames}", stack.flags));
            }
            if !counts_fit(stack) {
                freed.add(at, || {
                    format!(
                        "it freed {} of {} allocations, {:#x} of {:#x} bytes",
                        stack.frees, stack.allocations, stack.bytes_freed, stack.bytes_allocated
                    )
                });
            }
            let live = u64::from(stack.live_count());
            if stack.blocks > live || (is_whole && stack.blocks < live) {
                other.add(at, || format!("it counts {live} live, {} blocks are", stack.blocks));
            } else if stack.blocks == live && stack.block_bytes != stack.live_bytes() {
                other.add(at, || {
                    let (counted, found) = (stack.live_bytes(), stack.block_bytes);
                    format!("it counts {counted:#x} bytes live, its blocks have {found:#x}")
                });
            }
        }
        let tallies = [invalid, freed, other].into_iter();
        let problems = tallies.filter_map(|tally| tally.problem("stack of pool blocks"));
        self.problems.extend(problems);
    }

    pub(super) fn read_tags(&mut self, kernel: &Kernel) {
        let (Ok(array), Ok(length)) =
            (kernel.global("DifpPoolTags"), kernel.global("DifpPoolTagsSize"))
        else {
            return;
        };
        let memory = kernel.space().memory();
        let tags = memory.read_u32(length).and_then(|length| match length {
            1..=MAX_TAGS => (0..length)
                .map(|index| memory.read_u32(array.add(4 * u64::from(index))).map(PoolTag))
                .collect(),
            _ => Ok(Vec::new()),
        });
        match tags {
            Ok(tags) => self.tags = tags,
            // The counts of blocks say whether some are missing.
            Err(fault) => {
                let error = Error::read("which tags alone are kept", fault);
                self.problems.push(Problem::from_error("DifpPoolTags", &error).remark());
            }
        }
        if !self.tags.is_empty() {
            let tags: Vec<String> = self.tags.iter().map(ToString::to_string).collect();
            let why = format!("blocks of other tags than {} are not kept", tags.join(", "));
            self.problems.push(Problem::at("DifpPoolTags", array, why));
        }
    }

    /// True if the option is on, so that blocks are in the trees.
    #[must_use]
    pub fn is_on(&self) -> bool {
        self.empty_because.is_none()
    }

    /// Elements that the tree of blocks counts and that were not reached.
    #[must_use]
    pub fn unread(&self) -> u64 {
        let read = self.blocks.len() as u64 + self.failed;
        u64::from(self.blocks_counted.unwrap_or(0)).saturating_sub(read)
    }

    /// The stack of a block ([`PoolBlock::stack`]).
    #[must_use]
    pub fn stack(&self, stack: Option<u32>) -> Option<&PoolStack> {
        self.stacks.get(stack? as usize)
    }

    /// The frames of a block, innermost first; empty if its stack is unknown.
    #[must_use]
    pub fn frames(&self, stack: Option<u32>) -> &[Va] {
        self.stack(stack).map_or(&[], |stack| &stack.frames)
    }
}
