//! The description of groups and of their blocks.

use super::LeaksView;
use crate::addr::Va;
use crate::analysis::{Block, Group, StackSource};
use crate::describe::{Column, Table, Value, columns};
use crate::render::csv::joined;
use crate::render::pool::AllocationRow;
use crate::verifier::Source;

/// Example addresses in a row of CSV.
const EXAMPLES: usize = 8;

/// A block of a group: the view, and what the view knows of the block.
pub type BlockRow<'a> = AllocationRow<'a, (&'a LeaksView<'a>, &'a Block)>;

impl<'a> AllocationRow<'a, (&'a LeaksView<'a>, &'a Block)> {
    const JOINED: &'a [Column<Self>] = columns!(|row: Self| {
        /// The file name of its driver.
        driver: Word => row.of.0.leaks.driver(row.of.1),
        /// The pool of the block; null if it is unknown.
        pool: OneOf(&crate::analysis::PoolKind::NAMES), optional => row.of.1.kind.name(),
        /// The size in bytes that the driver asked for; null if it is unknown.
        requested: U64, optional => row.of.1.requested(),
        /// The `_ETHREAD` that made the allocation; null if the log does not have its record.
        thread: Address, optional => row.of.1.made().map(|record| record.thread),
        /// The slot in the pool log of the record of the allocation.
        slot: U32, optional => row.of.1.made().map(|record| record.slot),
        /// Where the stack is from; null if the block has none.
        stack_source: OneOf(&StackSource::NAMES), optional
            => row.of.1.stack_source.map(StackSource::name),
    });

    /// The description.
    #[must_use]
    pub fn block_table() -> Table<'a, Self> {
        let doc = "An outstanding allocation, joined with the pool log.";
        Table::joined("LeakedBlock", doc, &[Self::COLUMNS, Self::JOINED])
    }
}

/// A group of outstanding allocations.
#[derive(Clone, Copy)]
pub struct GroupRow<'a> {
    /// The view.
    pub view: &'a LeaksView<'a>,
    /// The group.
    pub group: &'a Group,
}

impl<'a> GroupRow<'a> {
    /// The description; a document also has the blocks of each group.
    pub const TABLE: Table<'a, Self> = Table::new(
        "LeakGroup",
        "Outstanding allocations of one stack, function, caller, tag, driver or size.",
        columns!(|row: Self| {
            /// How many blocks.
            count: U64 => row.group.blocks.len(),
            /// Their size in bytes.
            bytes: U64 => row.group.bytes,
            /// The size in bytes of the largest one.
            largest: U64 => row.group.largest,
            /// The pool tag; null if the blocks do not share one.
            tag: Tag, optional => row.group.tag,
            /// The file name of the driver; null if the blocks do not share one.
            driver: Word, optional => row.group.driver.map(|driver| row.view.driver(driver)),
            /// A line of code, a function, a tag, a driver or a size.
            label: Text, not_in_csv => row.view.label(row.group),
            /// The same, with two further frames of drivers.
            label: Text, only_in_csv => row.view.trail(row.group),
            /// Why the group has no stack.
            why_no_stack: Word, optional, only_in_csv => row.why(),
            /// The call stack, innermost frame first; null if the blocks do not share one.
            stack: Frames, optional => row.group.frames(row.view.leaks).map(Value::Frames),
            /// Why the group has no stack; null if it has one.
            why_no_stack: Word, optional, not_in_csv => row.view.why_no_stack(row.group),
            /// The addresses of the first blocks.
            examples: Text, only_in_csv => joined(row.addresses().take(EXAMPLES)),
            /// Where the stacks are from; null if the blocks differ.
            stack_source: OneOf(&StackSource::NAMES), optional
                => row.view.stack_source(row.group).map(StackSource::name),
            /// Where Verifier keeps the entries of the blocks; null if the blocks differ.
            source: OneOf(&Source::NAMES), optional => row.view.source(row.group),
            /// How many of the blocks cannot be as their entries say.
            impossible: U64, only_in_csv => row.view.impossible(row.group),
        }),
    );

    /// Why the blocks have no stack, if none of them has one.
    fn why(&self) -> Option<String> {
        match self.group.stack {
            Some(Err(why)) => Some(self.view.leaks.why(why)),
            _ => None,
        }
    }

    fn addresses(&self) -> impl Iterator<Item = Va> {
        self.blocks().map(|row| row.allocation.address)
    }

    /// The blocks of the group.
    pub fn blocks(&self) -> impl Iterator<Item = BlockRow<'a>> + Clone + use<'a> {
        let Self { view, group } = *self;
        let blocks = group.blocks.iter().filter_map(|&index| view.leaks.blocks.get(index));
        blocks.map(move |block| AllocationRow { allocation: &block.allocation, of: (view, block) })
    }
}

impl<'a> LeaksView<'a> {
    /// The groups that are shown.
    pub fn rows(&'a self) -> impl Iterator<Item = GroupRow<'a>> + Clone {
        self.split().0.iter().map(move |group| GroupRow { view: self, group })
    }
}
