//! The pool info trees: each live block, and each stack that made blocks with counts and bytes.
//!
//! Server 2022 (20348) and Windows 11 (22000) on can keep blocks in two balanced trees in place of the
//! drivers' tracking pages, where bit 0x1000 of `VfOptionFlags` is set. Both globals are a
//! `_VF_AVL_TABLE`, of which the `_RTL_AVL_TABLE` at its start is read; what a node holds follows its
//! `_RTL_BALANCED_LINKS`. No PDB has the elements, so their layout stands here:
//!
//! | `ViPoolInfoAvl`, by address | | `ViPoolStackInfoAvl`, by tag and hash | |
//! |---|---|---|---|
//! | block | +0 | tag | +0, 4 bytes |
//! | size, as asked for | +8 | hash of the frames | +4, 4 bytes |
//! | its element of the other tree | +0x10 | flags: 1 valid, 0x10 nonpaged | +8, 4 bytes |
//! | | | allocations, frees | +0xc, +0x10, 4 bytes each |
//! | | | bytes allocated, freed | +0x18, +0x20 |
//! | | | frames, up to 50, the rest null | +0x28 |
//!
//! It is that of x64 kernels from Windows 11 22H2 on (`VfPtAddStackInfoIfNotExist`,
//! `VfPtProcessAllocPoolInfo`). 22000 has the same routines and globals; 20348 and ARM64 are taken to be
//! alike. Frames end at the first null or the first that is no kernel address, so shorter stacks would be
//! read right too. Checked on synthetic kernels, and where 22000's real symbols have the globals: no dump
//! with the option on was at hand.
//!
//! What the numbers mean:
//! * A block is entered when it is allocated and erased when it is freed: what is there is live.
//! * An allocation that failed enters a block of address null (the first does; later ones count as failed
//!   insertions). It is no allocation and is counted apart, but its stack's counts have it.
//! * Two stacks of one tag and one hash are one element, with the frames of the first.
//! * Whether a stack's blocks are nonpaged was looked up for its first block.
//! * Since 22000 `DifpPoolTags` may hold one to ten tags: then no other is looked at.

use std::collections::HashMap;

use super::tag::PoolTag;
use super::tally::Tally;
use crate::addr::Va;
use crate::bytes::{le32, le64};
use crate::error::{Error, Fault, Problem};
use crate::kernel::{AvlLayout, Kernel, walk_avl_to};
use crate::types::TypeSource;

/// Bit of `VfOptionFlags`: blocks are kept in the trees.
const OPTION: u32 = 0x1000;
/// An element of `ViPoolInfoAvl`.
pub(super) const BLOCK_SIZE: usize = 0x18;
/// An element of `ViPoolStackInfoAvl`.
const STACK_SIZE: usize = 0x1b8;
const FRAMES: usize = 0x28;
const MAX_FRAMES: usize = 50;
const VALID: u32 = 1;
const NONPAGED: u32 = 0x10;
/// Elements that are read between two looks at whether to go on.
const ELEMENTS_BETWEEN_LOOKS: usize = 64;
/// Tags that `DifpPoolTags` has room for.
const MAX_TAGS: u32 = 10;

pub(super) const BLOCKS: &str = "ViPoolInfoAvl";
pub(super) const STACKS: &str = "ViPoolStackInfoAvl";

/// A live block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PoolBlock {
    /// Where it begins.
    pub address: Va,
    /// Its bytes, as asked for.
    pub size: u64,
    /// Its stack: index in [`PoolInfo::stacks`]. `None` where its element cannot be read.
    pub stack: Option<u32>,
    /// The element itself.
    pub element: Va,
}

/// A stack that made blocks.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PoolStack {
    /// The tag of its blocks.
    pub tag: PoolTag,
    /// The hash of its frames.
    pub hash: u32,
    /// The flags.
    pub flags: u32,
    /// Allocations that it made, failed ones too.
    pub allocations: u32,
    /// Of those, how many were freed.
    pub frees: u32,
    /// Bytes that it allocated.
    pub bytes_allocated: u64,
    /// Of those, bytes freed.
    pub bytes_freed: u64,
    /// Innermost first.
    pub frames: Vec<Va>,
    /// The element itself.
    pub element: Va,
    /// False where only a block's pointer leads to it.
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

    /// Whether its blocks are nonpaged pool, where the element is valid.
    #[must_use]
    pub fn is_nonpaged(&self) -> Option<bool> {
        (self.flags & VALID != 0).then_some(self.flags & NONPAGED != 0)
    }
}

/// What the two trees hold.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct PoolInfo {
    /// Why there is nothing, where there is nothing by design.
    pub empty_because: Option<&'static str>,
    /// Live blocks, by address.
    pub blocks: Vec<PoolBlock>,
    /// Stacks by tag and hash, those with nothing live too.
    pub stacks: Vec<PoolStack>,
    /// `NumberGenericTableElements` of the tree of blocks, `None` where it cannot be read.
    pub blocks_counted: Option<u32>,
    /// The same of the tree of stacks.
    pub stacks_counted: Option<u32>,
    /// Elements of address null: allocations that failed.
    pub failed: u64,
    /// `ViPoolInfoAllocInsertionFailure`: blocks that were not entered.
    pub insertion_failures: Option<u32>,
    /// `ViPoolInfoAllocDeletionFailure`: frees of blocks that were not there.
    pub deletion_failures: Option<u32>,
    /// `ViPoolStackInfoFailureCount`: stacks, and so blocks, that were not entered.
    pub stack_failures: Option<u32>,
    /// `DifpPoolTags`: the only tags that are looked at; empty for all.
    pub tags: Vec<PoolTag>,
    /// What could not be read or does not fit.
    pub problems: Vec<Problem>,
}

/// True if kernels of these types can have the trees: `AllocationFreed` came in the same version. The
/// build's number may be unknown, or a hint that is wrong.
pub(super) fn has_trees(types: &dyn TypeSource) -> bool {
    types.field("_MM_DRIVER_VERIFIER_DATA", "AllocationFreed").is_ok()
}

/// True if the kernel has no trees: its symbols say so, or if there are none, the layouts that fit it.
fn is_without(types: &dyn TypeSource, error: &Error) -> bool {
    match error {
        Error::MissingSymbol { .. } => true,
        Error::UnknownGlobal { .. } => !has_trees(types),
        _ => false,
    }
}

impl PoolInfo {
    /// Reads both trees.
    ///
    /// # Errors
    /// Where the kernel's symbols are missing or have no balanced trees. A kernel without the trees, or
    /// with the option off, is no error: [`empty_because`](Self::empty_because) says which.
    pub fn read(kernel: &Kernel) -> Result<Self, Error> {
        let types = kernel.types()?;
        let table = match kernel.global(BLOCKS) {
            Err(error) if is_without(types, &error) => {
                return Ok(Self::empty(
                    "this kernel has no pool info tree (20348 and 22000 on have): blocks are in the \
                     drivers' tracking pages",
                ));
            }
            Err(error) => return Self::without_blocks(kernel, error),
            Ok(table) => table,
        };
        let layout = AvlLayout::from_types(types)?;
        let mut info = Self::default();
        let space = kernel.space();
        let options = kernel.global("VfOptionFlags").and_then(|at| {
            let flags = space.memory().read_u32(at);
            flags.map_err(|fault| Error::read("VfOptionFlags", fault))
        });
        info.blocks_counted = layout.count(space, table).ok();
        match (options, info.blocks_counted) {
            (Ok(options), _) if options & OPTION == 0 => {
                return Ok(Self::empty(
                    "blocks are kept in the drivers' tracking pages: bit 0x1000 of VfOptionFlags is \
                     clear",
                ));
            }
            // Without symbols the table is known by what it holds.
            (Ok(_), _) | (Err(Error::UnknownGlobal { .. }), Some(1..)) => {}
            (Err(_), Some(0)) => {
                return Ok(Self::empty(
                    "ViPoolInfoAvl holds nothing (VfOptionFlags cannot be read)",
                ));
            }
            (Err(error), _) => {
                info.problems
                    .push(Problem::from_error("whether blocks are in ViPoolInfoAvl", &error));
            }
        }
        if space.pointer_size() != 8 {
            info.problems.push(Problem::at(
                BLOCKS,
                table,
                "the elements of a 32-bit kernel are not known",
            ));
            return Ok(info);
        }
        let by_element = info.read_stacks(kernel, &layout);
        info.read_blocks(kernel, &layout, table, by_element);
        info.read_failures(kernel);
        info.read_tags(kernel);
        info.check();
        Ok(info)
    }

    /// What the stacks say if the tree of blocks was not found: without symbols an empty one cannot be.
    fn without_blocks(kernel: &Kernel, error: Error) -> Result<Self, Error> {
        if kernel.global(STACKS).is_err() {
            return Err(error);
        }
        let mut info = Self::default();
        info.read_stacks(kernel, &AvlLayout::from_types(kernel.types()?)?);
        let live = info.stacks.iter().any(|stack| stack.live_count() > 0);
        if info.problems.is_empty() && !live {
            return Ok(Self::empty("no stack of ViPoolStackInfoAvl has a live block"));
        }
        info.problems.push(Problem::from_error(BLOCKS, &error));
        Ok(info)
    }

    fn empty(why: &'static str) -> Self {
        Self { empty_because: Some(why), ..Self::default() }
    }

    /// The tree of stacks; returns where each element is in [`stacks`](Self::stacks).
    fn read_stacks(&mut self, kernel: &Kernel, layout: &AvlLayout) -> HashMap<Va, u32> {
        let mut by_element = HashMap::new();
        let table = match kernel.global(STACKS) {
            Ok(table) => table,
            Err(error) => {
                self.problems.push(Problem::from_error(STACKS, &error));
                return by_element;
            }
        };
        self.stacks_counted = layout.count(kernel.space(), table).ok();
        let mut unread = Tally::default();
        let elements = self.walk(kernel, layout, table, STACKS, self.stacks_counted);
        for (index, element) in elements.into_iter().enumerate() {
            if self.is_stopped(kernel, index, STACKS) {
                break;
            }
            match read_stack(kernel, element) {
                Ok(stack) => {
                    by_element.insert(element, self.push(PoolStack { is_in_tree: true, ..stack }));
                }
                Err(fault) => unread.add(element, || fault.to_string()),
            }
        }
        self.problems.extend(unread.problem("stack of pool blocks"));
        by_element
    }

    fn push(&mut self, stack: PoolStack) -> u32 {
        let index = u32::try_from(self.stacks.len()).unwrap_or(u32::MAX);
        self.stacks.push(stack);
        index
    }

    fn read_blocks(
        &mut self,
        kernel: &Kernel,
        layout: &AvlLayout,
        table: Va,
        mut by_element: HashMap<Va, u32>,
    ) {
        let space = kernel.space();
        let all_stacks = self.stacks_counted.is_some_and(|all| all as usize == self.stacks.len());
        let [mut unread, mut disorder, mut no_stack] = <[Tally; 3]>::default();
        let [mut stray, mut not_in_tree] = <[Tally; 2]>::default();
        let mut before = Va(0);
        let mut raw = [0u8; BLOCK_SIZE];
        let elements = self.walk(kernel, layout, table, BLOCKS, self.blocks_counted);
        for (index, element) in elements.into_iter().enumerate() {
            if self.is_stopped(kernel, index, BLOCKS) {
                break;
            }
            if let Err(fault) = space.read(element, &mut raw) {
                unread.add(element, || fault.to_string());
                continue;
            }
            let word = |offset| le64(&raw, offset).unwrap_or(0);
            let (address, size, pointer) = (Va(word(0)), word(8), Va(word(0x10)));
            if address.is_null() {
                self.failed += 1;
                continue;
            }
            // One outside the kernel is impossible, and nothing is to be held against it.
            if space.is_kernel(address) {
                if address <= before {
                    disorder
                        .add(element, || format!("its block {address} does not follow {before}"));
                }
                before = address;
            }
            let stack = match by_element.get(&pointer) {
                Some(&stack) => Some(stack),
                None if pointer.is_null() => {
                    no_stack.add(element, || format!("block {address} has no stack: null"));
                    None
                }
                // On a page of the tree that cannot be reached, or the pointer is damaged: what it
                // leads to tells.
                None => match read_stack(kernel, pointer) {
                    Ok(stack) if looks_valid(&stack) => {
                        if all_stacks {
                            not_in_tree.add(pointer, || {
                                format!("the stack of block {address} is not in {STACKS}")
                            });
                        }
                        let index = self.push(stack);
                        by_element.insert(pointer, index);
                        Some(index)
                    }
                    Ok(_) => {
                        stray.add(pointer, || {
                            format!("block {address} points here, where no stack lies")
                        });
                        None
                    }
                    Err(fault) => {
                        stray.add(pointer, || format!("the stack of block {address}: {fault}"));
                        None
                    }
                },
            };
            if let Some(stack) = stack.and_then(|index| self.stacks.get_mut(index as usize)) {
                stack.blocks += 1;
                stack.block_bytes = stack.block_bytes.saturating_add(size);
            }
            self.blocks.push(PoolBlock { address, size, stack, element });
        }
        let blocks = [unread, disorder, no_stack].into_iter();
        self.problems.extend(blocks.filter_map(|tally| tally.problem("pool block")));
        let stacks = [stray, not_in_tree].into_iter();
        self.problems.extend(stacks.filter_map(|tally| tally.problem("stack of a pool block")));
    }

    /// True if the caller stopped the reading, which is then a problem. Asked before every few elements.
    fn is_stopped(&mut self, kernel: &Kernel, index: usize, what: &str) -> bool {
        let stopped = index.is_multiple_of(ELEMENTS_BETWEEN_LOOKS) && kernel.is_stopped();
        if stopped && !self.problems.iter().any(|p| p.what == what && p.is_stop) {
            self.problems.push(Problem::stopped(what));
        }
        stopped
    }

    /// The elements of a tree; what is missing of those that it counts is told.
    fn walk(
        &mut self,
        kernel: &Kernel,
        layout: &AvlLayout,
        table: Va,
        what: &'static str,
        counted: Option<u32>,
    ) -> Vec<Va> {
        let most = kernel.limits().pool_info_nodes;
        let limit = (most, "Limits::pool_info_nodes");
        let stop = || kernel.is_stopped();
        let walk = walk_avl_to(kernel.space(), table, layout, what, limit, &stop);
        if let Some(error) = walk.broken {
            let mut problem = Problem::from_error(what, &error);
            let reached = walk.entries.len();
            // A count that differs is told by the walk itself.
            if let Some(counted) = counted
                && !matches!(&error, Error::Malformed { address, .. } if *address == table)
            {
                problem.why += &format!("; {reached} of {counted} elements were reached");
            }
            self.problems.push(problem);
        }
        walk.entries
    }

    /// What the kernel counts as not entered is not in the trees. Since two elements cannot have one key,
    /// each allocation that fails after the first is among these insertions, too.
    fn read_failures(&mut self, kernel: &Kernel) {
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

    /// Holds each stack's counts against each other and against the blocks that point at it.
    fn check(&mut self) {
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

    fn read_tags(&mut self, kernel: &Kernel) {
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

    /// True where the option is on and blocks are here.
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

    /// The frames of a block, innermost first; empty where its stack is not known.
    #[must_use]
    pub fn frames(&self, stack: Option<u32>) -> &[Va] {
        self.stack(stack).map_or(&[], |stack| &stack.frames)
    }
}

/// True if no more was freed than allocated.
fn counts_fit(stack: &PoolStack) -> bool {
    stack.frees <= stack.allocations && stack.bytes_freed <= stack.bytes_allocated
}

/// True if nothing speaks against a stack.
pub(super) fn is_sound(stack: &PoolStack) -> bool {
    looks_valid(stack) && counts_fit(stack)
}

fn looks_valid(stack: &PoolStack) -> bool {
    stack.flags & VALID != 0 && !stack.frames.is_empty()
}

pub(super) fn read_stack(kernel: &Kernel, element: Va) -> Result<PoolStack, Fault> {
    let space = kernel.space();
    let mut raw = [0u8; STACK_SIZE];
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
