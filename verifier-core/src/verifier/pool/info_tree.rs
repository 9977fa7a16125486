//! The pool info trees: every live block, and every stack that made blocks, with counts and bytes.
//!
//! Server 2022 (20348) and Windows 11 (22000) and later can keep blocks in two balanced trees instead of the
//! drivers' tracking pages, if bit 0x1000 of `VfOptionFlags` is set. Both globals are a `_VF_AVL_TABLE`; the
//! `_RTL_AVL_TABLE` at its start is read. The element of a node follows its `_RTL_BALANCED_LINKS`. No PDB has
//! the elements, so their layout is here:
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
//! It is the layout of x64 kernels from Windows 11 22H2 on (`VfPtAddStackInfoIfNotExist`,
//! `VfPtProcessAllocPoolInfo`). 22000 has the same routines and globals; 20348 and ARM64 are assumed to have
//! the same layout. Frames end at the first null or the first address outside the kernel, so shorter stacks
//! would be read right too. Checked on synthetic kernels, and with 22000's real symbols, which have the
//! globals. No dump with the option on was available.
//!
//! What the numbers mean:
//! * The kernel enters a block when it is allocated and erases it when it is freed: every block in the tree
//!   is live.
//! * A failed allocation enters a block of address null (the first one does; later ones count as failed
//!   insertions). It is not an allocation and is counted separately, but its stack's counts include it.
//! * Two stacks with the same tag and hash are one element, which has the frames of the first.
//! * The kernel determines whether a stack's blocks are nonpaged only for its first block.
//! * Since 22000 `DifpPoolTags` may hold one to ten tags: then only blocks of these tags are kept.

use std::collections::HashMap;

use super::info_stack::{PoolStack, counts_fit, looks_valid, read_stack};
use crate::addr::Va;
use crate::bytes::le64;
use crate::error::{Error, Problem};
use crate::kernel::{AvlLayout, Kernel, limit, walk_avl_to};
use crate::types::TypeSource;
use crate::verifier::tag::PoolTag;
use crate::verifier::tally::Tally;

/// Bit of `VfOptionFlags`: blocks are kept in the trees.
const OPTION: u32 = 0x1000;
/// Bytes of an element of `ViPoolInfoAvl`.
pub(in crate::verifier) const BLOCK_SIZE: usize = 0x18;
/// Elements that are read between two checks whether to go on.
const ELEMENTS_BETWEEN_LOOKS: usize = 64;
/// Tags that `DifpPoolTags` has room for.
const MAX_TAGS: u32 = 10;

pub(in crate::verifier) const BLOCKS: &str = "ViPoolInfoAvl";
pub(in crate::verifier) const STACKS: &str = "ViPoolStackInfoAvl";

/// A live block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
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

/// True if the kernel does not have the trees, by its symbols or, without symbols, by the layouts that fit
/// it.
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
    /// If the kernel's symbols are missing or do not have balanced trees. A kernel without the trees, or with
    /// the option off, is not an error: [`empty_because`](Self::empty_because) says which.
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
        let mut reader = TreeReader::new(kernel)?;
        reader.info.blocks_counted = reader.layout.count(kernel.space(), table).ok();
        if let Some(why) = reader.off() {
            return Ok(Self::empty(why));
        }
        if kernel.space().pointer_size() != 8 {
            let why = "the elements of a 32-bit kernel are not known";
            reader.info.problems.push(Problem::at(BLOCKS, table, why));
            return Ok(reader.info);
        }
        reader.read_stacks();
        reader.read_blocks(table);
        let mut info = reader.info;
        info.read_failures(kernel);
        info.read_tags(kernel);
        info.check();
        Ok(info)
    }

    /// What the stacks say if the tree of blocks was not found: without symbols an empty tree cannot be
    /// found.
    fn without_blocks(kernel: &Kernel, error: Error) -> Result<Self, Error> {
        if kernel.global(STACKS).is_err() {
            return Err(error);
        }
        let mut reader = TreeReader::new(kernel)?;
        reader.read_stacks();
        let mut info = reader.info;
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

    /// Blocks and stacks that the kernel counts as not entered. Two elements cannot have the same key, so
    /// each failed allocation after the first is among these insertions, too.
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

    /// Checks each stack's counts against each other and against the blocks that point at it.
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

/// Reads the trees.
struct TreeReader<'a> {
    kernel: &'a Kernel,
    layout: AvlLayout,
    info: PoolInfo,
    /// Where each element of the tree of stacks is in [`PoolInfo::stacks`].
    by_element: HashMap<Va, u32>,
}

/// Kinds of damage in the tree of blocks.
#[derive(Default)]
struct BlockFaults {
    unread: Tally,
    disorder: Tally,
    no_stack: Tally,
    stray: Tally,
    not_in_tree: Tally,
}

impl<'a> TreeReader<'a> {
    fn new(kernel: &'a Kernel) -> Result<Self, Error> {
        let layout = AvlLayout::from_types(kernel.types()?)?;
        let (info, by_element) = Default::default();
        Ok(Self { kernel, layout, info, by_element })
    }

    /// Why blocks are not in the trees, if they are not.
    fn off(&mut self) -> Option<&'static str> {
        let options = self.kernel.global("VfOptionFlags").and_then(|at| {
            let flags = self.kernel.space().memory().read_u32(at);
            flags.map_err(|fault| Error::read("VfOptionFlags", fault))
        });
        match (options, self.info.blocks_counted) {
            (Ok(options), _) if options & OPTION == 0 => Some(
                "blocks are kept in the drivers' tracking pages: bit 0x1000 of VfOptionFlags is clear",
            ),
            // Without symbols a search recognized the table by its elements.
            (Ok(_), _) | (Err(Error::UnknownGlobal { .. }), Some(1..)) => None,
            (Err(_), Some(0)) => Some("ViPoolInfoAvl holds nothing (VfOptionFlags cannot be read)"),
            (Err(error), _) => {
                let what = "whether blocks are in ViPoolInfoAvl";
                self.info.problems.push(Problem::from_error(what, &error));
                None
            }
        }
    }

    /// Reads the tree of stacks.
    fn read_stacks(&mut self) {
        let table = match self.kernel.global(STACKS) {
            Ok(table) => table,
            Err(error) => return self.info.problems.push(Problem::from_error(STACKS, &error)),
        };
        self.info.stacks_counted = self.layout.count(self.kernel.space(), table).ok();
        let mut unread = Tally::default();
        let elements = self.walk(table, STACKS, self.info.stacks_counted);
        for (index, element) in elements.into_iter().enumerate() {
            if self.is_stopped(index, STACKS) {
                break;
            }
            match read_stack(self.kernel, element) {
                Ok(stack) => {
                    self.push(element, PoolStack { is_in_tree: true, ..stack });
                }
                Err(fault) => unread.add(element, || fault.to_string()),
            }
        }
        self.info.problems.extend(unread.problem("stack of pool blocks"));
    }

    /// Adds the stack of an element.
    fn push(&mut self, element: Va, stack: PoolStack) -> u32 {
        let index = u32::try_from(self.info.stacks.len()).unwrap_or(u32::MAX);
        self.info.stacks.push(stack);
        self.by_element.insert(element, index);
        index
    }

    /// Reads the tree of blocks, after the tree of stacks.
    fn read_blocks(&mut self, table: Va) {
        let space = self.kernel.space();
        let stacks = self.info.stacks.len();
        let all_stacks = self.info.stacks_counted.is_some_and(|all| all as usize == stacks);
        let mut faults = BlockFaults::default();
        let mut before = Va(0);
        let mut raw = [0u8; BLOCK_SIZE];
        let elements = self.walk(table, BLOCKS, self.info.blocks_counted);
        for (index, element) in elements.into_iter().enumerate() {
            if self.is_stopped(index, BLOCKS) {
                break;
            }
            if let Err(fault) = space.read(element, &mut raw) {
                faults.unread.add(element, || fault.to_string());
                continue;
            }
            let word = |offset| le64(&raw, offset).unwrap_or(0);
            let (address, size, pointer) = (Va(word(0)), word(8), Va(word(0x10)));
            if address.is_null() {
                self.info.failed += 1;
                continue;
            }
            // An address outside the kernel is impossible and says nothing about the order.
            if space.is_kernel(address) {
                if address <= before {
                    let why = || format!("its block {address} does not follow {before}");
                    faults.disorder.add(element, why);
                }
                before = address;
            }
            let stack = match self.by_element.get(&pointer) {
                Some(&stack) => Some(stack),
                None if pointer.is_null() => {
                    let why = || format!("block {address} has no stack: null");
                    faults.no_stack.add(element, why);
                    None
                }
                None => self.stack_off_tree(address, pointer, all_stacks, &mut faults),
            };
            if let Some(stack) = stack.and_then(|index| self.info.stacks.get_mut(index as usize)) {
                stack.blocks += 1;
                stack.block_bytes = stack.block_bytes.saturating_add(size);
            }
            self.info.blocks.push(PoolBlock { address, size, stack, element });
        }
        let BlockFaults { unread, disorder, no_stack, stray, not_in_tree } = faults;
        let blocks = [unread, disorder, no_stack].into_iter();
        self.info.problems.extend(blocks.filter_map(|tally| tally.problem("pool block")));
        let stacks = [stray, not_in_tree].into_iter();
        self.info
            .problems
            .extend(stacks.filter_map(|tally| tally.problem("stack of a pool block")));
    }

    /// The stack that a block points at and that was not reached in the tree: the page of its node is absent,
    /// or the pointer is damaged. The bytes at the pointer decide.
    fn stack_off_tree(
        &mut self,
        block: Va,
        pointer: Va,
        all_stacks: bool,
        faults: &mut BlockFaults,
    ) -> Option<u32> {
        match read_stack(self.kernel, pointer) {
            Ok(stack) if looks_valid(&stack) => {
                if all_stacks {
                    let why = || format!("the stack of block {block} is not in {STACKS}");
                    faults.not_in_tree.add(pointer, why);
                }
                return Some(self.push(pointer, stack));
            }
            Ok(_) => {
                let why = || format!("block {block} points here, but this is not a stack");
                faults.stray.add(pointer, why);
            }
            Err(fault) => {
                faults.stray.add(pointer, || format!("the stack of block {block}: {fault}"));
            }
        }
        None
    }

    /// True if the caller stopped the reading, which is then a problem. Asked before every few elements.
    fn is_stopped(&mut self, index: usize, what: &str) -> bool {
        let stopped = index.is_multiple_of(ELEMENTS_BETWEEN_LOOKS) && self.kernel.is_stopped();
        let problems = &mut self.info.problems;
        if stopped && !problems.iter().any(|problem| problem.what == what && problem.is_stop) {
            problems.push(Problem::stopped(what));
        }
        stopped
    }

    /// The elements of a tree. If it counts more than were reached, that is a problem.
    fn walk(&mut self, table: Va, what: &'static str, counted: Option<u32>) -> Vec<Va> {
        let limit = limit!(self.kernel.limits(), pool_info_nodes);
        let stop = || self.kernel.is_stopped();
        let walk = walk_avl_to(self.kernel.space(), table, &self.layout, what, limit, &stop);
        if let Some(error) = walk.broken {
            let mut problem = Problem::from_error(what, &error);
            let reached = walk.entries.len();
            // The walk itself reports a count that differs.
            if let Some(counted) = counted
                && !matches!(&error, Error::Malformed { address, .. } if *address == table)
            {
                problem.why += &format!("; {reached} of {counted} elements were reached");
            }
            self.info.problems.push(problem);
        }
        walk.entries
    }
}
