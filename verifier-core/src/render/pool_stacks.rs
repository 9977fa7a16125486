//! The stacks of the pool info tree, as JSON and CSV.

use std::io;

use serde::Serialize;

use super::csv::write_table;
use super::json::{Verdict, rows, write_json};
use super::names::Names;
use super::pool::PoolInfoDocument;
use crate::analysis::PoolKind;
use crate::describe::{Table, Value, columns};
use crate::error::Problem;
use crate::verifier::{AttributedBy, OwnedStack, PoolStacks};

/// The description of a stack of the pool info tree.
pub static POOL_STACK: Table<'static, OwnedStack> = Table::new(
    "PoolStack",
    "A call stack of the pool info tree with the allocations that it made.",
    columns!(|row: OwnedStack| {
        /// Blocks that are live: allocations less frees.
        live_count: U32 => row.stack.live_count(),
        /// Their size in bytes.
        live_bytes: U64 => row.stack.live_bytes(),
        /// The pool tag of its blocks.
        tag: Tag => row.stack.tag,
        /// The pool of its blocks; null if the element does not say it.
        pool: OneOf(&PoolKind::NAMES), optional => PoolKind::of_stack(&row.stack).name(),
        /// The file name of the driver; null if no frame belongs to a configured one.
        driver: Word, optional => row.driver.as_ref().map(|(name, _)| name.as_str()),
        /// How the driver was found.
        attributed_by: OneOf(&AttributedBy::NAMES), optional, not_in_csv
            => row.driver.as_ref().map(|(_, by)| by.name()),
        /// Allocations, failed ones included.
        allocations: U32 => row.stack.allocations,
        /// How many of the allocations were freed.
        frees: U32 => row.stack.frees,
        /// Bytes that were allocated.
        bytes_allocated: U64 => row.stack.bytes_allocated,
        /// How many of the bytes were freed.
        bytes_freed: U64 => row.stack.bytes_freed,
        /// Live blocks in the tree that point at the stack.
        blocks: U64 => row.stack.blocks,
        /// Their size in bytes.
        block_bytes: U64 => row.stack.block_bytes,
        /// The hash of the frames.
        hash: Bits, not_in_csv => row.stack.hash,
        /// The flags of the element.
        flags: Bits, not_in_csv => row.stack.flags,
        /// The element of the tree.
        element: Address => row.stack.element,
        /// False if only the pointer of a block leads to the element.
        in_tree: Bool, not_in_csv => row.stack.is_in_tree,
        /// The call stack, innermost frame first.
        stack: Frames => Value::Frames(&row.stack.frames),
        /// The source file of the first frame outside the kernel and Verifier; null if no PDB has the line.
        file: SourceFile, optional => Value::SourceFile(&row.stack.frames),
        /// The line in that file.
        line: SourceLine, optional => Value::SourceLine(&row.stack.frames),
    }),
);

/// Writes the document of `pool --by-stack`.
///
/// # Errors
/// Those of the writer.
pub fn write_pool_stacks_json(
    out: &mut dyn io::Write,
    stacks: &PoolStacks,
    names: &Names<'_>,
) -> io::Result<()> {
    #[derive(Serialize)]
    struct Doc<'a, T: Serialize> {
        source: &'static str,
        pool_info: PoolInfoDocument<'a>,
        stacks: T,
        #[serde(flatten)]
        verdict: Verdict<Vec<&'a Problem>>,
    }
    write_json(
        out,
        &Doc {
            source: "pool info tree",
            pool_info: PoolInfoDocument(&stacks.info),
            stacks: rows(&POOL_STACK, stacks.stacks.iter(), names),
            verdict: Verdict::of(&stacks.problems),
        },
    )
}

/// Writes one row for each stack, those with nothing live too.
///
/// # Errors
/// Those of the writer.
pub fn write_pool_stacks_csv(
    out: &mut dyn io::Write,
    stacks: &PoolStacks,
    names: &Names<'_>,
) -> io::Result<()> {
    write_table(out, &stacks.problems, &POOL_STACK, &stacks.stacks, Some(names))
}
