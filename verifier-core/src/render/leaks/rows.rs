//! The description of groups and of their blocks.

use super::{LeakGroup, LeaksView};
use crate::addr::Va;
use crate::analysis::{Block, StackSource};
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
        /// Whether the baseline knows the block; null without a baseline.
        known: Bool, optional => row.of.0.leaks.baseline.as_ref().map(|_| row.of.1.is_known),
    });

    const STACK: &'a [Column<Self>] = columns!(|row: Self| {
        /// The call stack that made the allocation, innermost frame first; null if it is unknown.
        stack: Frames, optional => row.frames().map(Value::Frames),
        /// Why the stack is unknown.
        why_no_stack: Word, optional => row.of.1.stack.err().map(|why| row.of.0.leaks.why(why)),
    });

    /// The description of a block in a group, which has the stack.
    #[must_use]
    pub fn block_table() -> Table<'a, Self> {
        let doc = "An outstanding allocation, joined with the pool log.";
        Table::joined("LeakedBlock", doc, &[Self::COLUMNS, Self::JOINED])
    }

    /// The description of a block in a list of all blocks.
    #[must_use]
    pub fn flat_table() -> Table<'a, Self> {
        let doc = "An outstanding allocation with the stack that made it.";
        Table::joined("HeldBlock", doc, &[Self::COLUMNS, Self::JOINED, Self::STACK])
    }

    fn frames(&self) -> Option<&[Va]> {
        let (view, block) = self.of;
        block.stack.ok().map(|id| view.leaks.stack(id))
    }
}

impl<'a> LeakGroup<'a> {
    /// The description; a document also has the blocks of each group.
    pub const TABLE: Table<'a, Self> = Table::new(
        "LeakGroup",
        "Outstanding allocations of one stack, function, caller, tag, driver or size.",
        columns!(|row: Self| {
            /// How many blocks.
            count: U64 => row.blocks.len(),
            /// Their size in bytes.
            bytes: U64 => row.bytes,
            /// The size in bytes of the largest one.
            largest: U64 => row.largest,
            /// The pool tag; null if the blocks do not share one.
            tag: Tag, optional => row.tag,
            /// The file name of the driver; null if the blocks do not share one.
            driver: Word, optional => row.driver_name(),
            /// A line of code, a function, a tag, a driver or a size.
            label: Text, not_in_csv => row.label(),
            /// The same, with two further frames of drivers.
            label: Text, only_in_csv => row.trail(),
            /// Why the group has no stack.
            why_no_stack: Word, optional, only_in_csv => row.why(),
            /// The call stack, innermost frame first; null if the blocks do not share one.
            stack: Frames, optional => row.frames().map(Value::Frames),
            /// The source file of the line of code that allocated; null if the blocks do not share one, or if
            /// no PDB has the line.
            file: SourceFile, optional => row.line_site().map(Value::SourceFile),
            /// The line in that file.
            line: SourceLine, optional => row.line_site().map(Value::SourceLine),
            /// Why the group has no stack; null if it has one.
            why_no_stack: Word, optional, not_in_csv => row.why_no_stack(),
            /// The addresses of the first blocks.
            examples: Text, only_in_csv => joined(row.addresses().take(EXAMPLES)),
            /// Where the stacks are from; null if the blocks differ.
            stack_source: OneOf(&StackSource::NAMES), optional
                => row.stack_source().map(StackSource::name),
            /// Where Verifier keeps the entries of the blocks; null if the blocks differ.
            source: OneOf(&Source::NAMES), optional => row.source(),
            /// How many of the blocks cannot be as their entries say.
            impossible: U64, only_in_csv => row.impossible(),
            /// How many of the blocks the baseline knows; null without a baseline.
            known: U64, optional => row.known(),
        }),
    );

    /// Why the blocks have no stack, if none of them has one.
    fn why(&self) -> Option<String> {
        match self.stack {
            Some(Err(why)) => Some(self.view.leaks.why(why)),
            _ => None,
        }
    }

    fn addresses(&self) -> impl Iterator<Item = Va> {
        self.members().map(|block| block.allocation.address)
    }

    /// The blocks of the group, as rows of [`BlockRow::block_table`].
    pub fn block_rows(&self) -> impl Iterator<Item = BlockRow<'a>> + Clone + use<'a> {
        let view = self.view;
        self.members()
            .map(move |block| AllocationRow { allocation: &block.allocation, of: (view, block) })
    }
}
