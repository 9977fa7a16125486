//! How the pool info trees are read (see `info_tree.rs` for what they hold).

use std::collections::HashMap;

use super::info_stack::{PoolStack, looks_valid, read_stack};
use super::info_tree::{BLOCK_SIZE, BLOCKS, PoolBlock, PoolInfo, STACKS, has_trees};
use crate::addr::Va;
use crate::bytes::le64;
use crate::error::{Error, Problem};
use crate::kernel::{AvlLayout, Kernel, limit, walk_avl_to};
use crate::types::TypeSource;
use crate::verifier::tally::Tally;

/// Bit of `VfOptionFlags`: blocks are kept in the trees.
const OPTION: u32 = 0x1000;
/// Elements that are read between two checks whether to go on.
const ELEMENTS_BETWEEN_LOOKS: usize = 64;

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
