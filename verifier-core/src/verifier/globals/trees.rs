//! The pool info trees: `ViPoolInfoAvl` and `ViPoolStackInfoAvl`.
//!
//! A table that holds something has a root whose parent is the table itself. Few tables are in the kernel's
//! data, and their elements show which they are: stacks are valid, their counts do not contradict each other,
//! and their frames are in images; the third word of a block's element leads to such a stack. All empty
//! tables look alike, so an empty tree cannot be found.

use std::collections::HashMap;

use super::data::ImageData;
use super::found::{GlobalEvidence, Globals, only};
use crate::addr::Va;
use crate::bytes::le64;
use crate::kernel::{AvlLayout, Kernel, Limit, limit, walk_avl_to};
use crate::types::TypeSource;
use crate::verifier::drivers::Target;
use crate::verifier::pool::{
    BLOCK_SIZE, BLOCKS, PoolStack, STACKS, has_trees, is_sound, read_stack,
};

/// Elements of a candidate that are read.
const SAMPLE: usize = 256;
/// Tables whose elements are read: a kernel has a few dozen.
const MOST_TRIED: usize = 1024;

/// The tree of blocks.
pub(super) struct BlockTree<'a> {
    table: Va,
    search: Search<'a>,
}

impl BlockTree<'_> {
    /// The blocks, each with its innermost frame in one of `images`.
    pub(super) fn callers(&self, images: &[Target]) -> HashMap<Va, Va> {
        let kernel = self.search.kernel;
        let is_in_image =
            |frame: &Va| images.iter().any(|(_, image)| frame.is_in(image.base, image.size));
        // Many blocks have one stack.
        let mut of_stacks: HashMap<Va, Option<Va>> = HashMap::new();
        let mut callers = HashMap::new();
        for element in self.search.elements(self.table, kernel.limits().pool_info_nodes) {
            if kernel.is_stopped() {
                break;
            }
            let Some((block, stack)) = self.search.block(element) else { continue };
            let caller = of_stacks.entry(stack).or_insert_with(|| {
                let stack = read_stack(kernel, stack).ok()?;
                stack.frames.iter().copied().find(is_in_image)
            });
            callers.extend(caller.map(|caller| (block, caller)));
        }
        callers
    }
}

/// Finds both tables. Returns the tree of blocks.
pub(super) fn find<'a>(
    kernel: &'a Kernel,
    types: &dyn TypeSource,
    data: &ImageData,
    globals: &mut Globals,
) -> Option<BlockTree<'a>> {
    let layout = AvlLayout::from_types(types).ok()?;
    let parent = types.field("_RTL_BALANCED_LINKS", "Parent").ok()?.offset;
    if kernel.space().pointer_size() != 8 {
        return None;
    }
    let search = Search { kernel, layout, parent };
    let (mut stacks, mut blocks) = (Vec::new(), Vec::new());
    for table in search.tables(data) {
        if kernel.is_stopped() {
            break;
        }
        let sample = search.elements(table, SAMPLE);
        if most(&sample, |&element| search.is_stack(element)) {
            stacks.push(table);
        } else if most(&sample, |&element| search.is_block(element)) {
            blocks.push(table);
        }
    }
    let found = [
        (STACKS, stacks, "a tree of stacks with counts, whose frames are in images"),
        (BLOCKS, blocks, "a tree of blocks that point at stacks"),
    ];
    let [_, blocks] = found.map(|(name, tables, what)| {
        match only(tables, "such trees") {
            Ok(table) => {
                globals.found(name, table, GlobalEvidence::Strong, what.into());
                return Some(table);
            }
            Err(Some(why)) => globals.missing(name, format!("{what}: {why}")),
            // Earlier kernels do not have the trees.
            Err(None) if has_trees(types) => globals.missing(
                name,
                format!(
                    "{what} was searched for, and none is in the kernel's data: the option is off, the \
                     tree is empty, or its pages are absent"
                ),
            ),
            Err(None) => {}
        }
        None
    });
    Some(BlockTree { table: blocks?, search })
}

/// True if `is_one` accepts at least three of four, and the sample is not empty.
fn most(sample: &[Va], is_one: impl Fn(&Va) -> bool) -> bool {
    let count = sample.iter().filter(|&element| is_one(element)).count();
    count > 0 && count * 4 >= sample.len() * 3
}

struct Search<'a> {
    kernel: &'a Kernel,
    layout: AvlLayout,
    /// The offset of the parent in a node.
    parent: u64,
}

impl Search<'_> {
    /// The tables that hold something.
    fn tables(&self, data: &ImageData) -> Vec<Va> {
        let space = self.kernel.space();
        let most = self.kernel.limits().pool_info_nodes as u64;
        let is_table = |(at, root): (Va, u64)| {
            let (table, root) = (at.sub(self.layout.root_offset()), Va(root));
            let is_candidate = root.0.is_multiple_of(8)
                && space.is_kernel(root)
                && self.layout.is_plausible(space, table, most);
            (is_candidate && space.read_pointer(root.add(self.parent)) == Ok(table))
                .then_some(table)
        };
        data.words().filter_map(is_table).take(MOST_TRIED).collect()
    }

    /// The first elements of a table.
    fn elements(&self, table: Va, most: usize) -> Vec<Va> {
        let stop = || self.kernel.is_stopped();
        let limit = Limit { most: most as u64, ..limit!(self.kernel.limits(), pool_info_nodes) };
        walk_avl_to(self.kernel.space(), table, &self.layout, "tree", limit, &stop).entries
    }

    fn is_stack(&self, element: Va) -> bool {
        let is_in_image = |stack: &PoolStack| {
            stack.frames.first().is_some_and(|&frame| self.kernel.modules().find(frame).is_some())
        };
        read_stack(self.kernel, element).is_ok_and(|stack| is_sound(&stack) && is_in_image(&stack))
    }

    fn is_block(&self, element: Va) -> bool {
        let space = self.kernel.space();
        self.block(element).is_some_and(|(block, stack)| {
            let is_address = block.is_null() || space.is_kernel(block);
            is_address && space.is_kernel(stack) && self.is_stack(stack)
        })
    }

    /// The address of an element's block, and its stack.
    fn block(&self, element: Va) -> Option<(Va, Va)> {
        let mut raw = [0u8; BLOCK_SIZE];
        self.kernel.space().read(element, &mut raw).ok()?;
        Some((Va(le64(&raw, 0)?), Va(le64(&raw, 0x10)?)))
    }
}
