//! The stacks of the pool info tree: text, JSON, CSV.

use std::io;

use serde::Serialize;

use super::csv::write_table;
use super::json::{Verdict, rows, write_json};
use super::leaks::{Thousands, blocks, write_stack_lines};
use super::names::Names;
use super::pool::PoolInfoDocument;
use super::text::sanitize;
use crate::analysis::{PoolKind, Total};
use crate::describe::{Table, Value, columns};
use crate::error::Problem;
use crate::verifier::{AttributedBy, NO_DRIVER, OwnedStack, PoolStack, PoolStacks};

fn has_live(stack: &PoolStack) -> bool {
    stack.live_bytes() > 0 || stack.live_count() > 0 || stack.blocks > 0
}

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

/// Writes the stacks with something live, the most bytes first.
///
/// # Errors
/// Those of the writer.
pub fn write_pool_stacks_text(
    out: &mut dyn io::Write,
    stacks: &PoolStacks,
    names: &Names<'_>,
) -> io::Result<()> {
    if let Some(why) = stacks.info.empty_because {
        writeln!(out, "No stacks: {why}.")?;
        return writeln!(out, "`verifier leaks` takes stacks from the pool log.");
    }
    let live = stacks.stacks.iter().filter(|owned| has_live(&owned.stack));
    let total = live.clone().fold(Total::default(), |sum, OwnedStack { stack, .. }| Total {
        count: sum.count + u64::from(stack.live_count()),
        bytes: sum.bytes.saturating_add(stack.live_bytes()),
    });
    writeln!(
        out,
        "{} live, {} bytes, by {} of {} stacks of the pool info tree, the most bytes first.",
        blocks(total.count),
        Thousands(total.bytes),
        Thousands(live.clone().count() as u64),
        Thousands(stacks.stacks.len() as u64),
    )?;
    write_only_tags(out, stacks)?;
    for (number, owned) in live.enumerate() {
        writeln!(out)?;
        write_stack(out, number + 1, owned, names)?;
    }
    Ok(())
}

/// That only some tags are looked at, where it is so.
fn write_only_tags(out: &mut dyn io::Write, stacks: &PoolStacks) -> io::Result<()> {
    if stacks.info.tags.is_empty() {
        return Ok(());
    }
    let tags: Vec<String> = stacks.info.tags.iter().map(|tag| format!("'{tag}'")).collect();
    writeln!(out, "Only blocks with these tags are kept (DifpPoolTags): {}.", tags.join(" "))
}

fn write_stack(
    out: &mut dyn io::Write,
    number: usize,
    OwnedStack { stack, driver, .. }: &OwnedStack,
    names: &Names<'_>,
) -> io::Result<()> {
    writeln!(
        out,
        "#{number}  {}, {} bytes, tag {}, {}, {}",
        blocks(stack.live_count().into()),
        Thousands(stack.live_bytes()),
        stack.tag,
        PoolKind::of_stack(stack).name().unwrap_or("pool not known"),
        match driver {
            Some((name, AttributedBy::Image)) => sanitize(name).into_owned(),
            Some((name, AttributedBy::UnloadedImage)) => format!("{} (unloaded)", sanitize(name)),
            None => NO_DRIVER.into(),
        }
    )?;
    writeln!(
        out,
        "    allocations {}, {} bytes; frees {}, {} bytes",
        Thousands(stack.allocations.into()),
        Thousands(stack.bytes_allocated),
        Thousands(stack.frees.into()),
        Thousands(stack.bytes_freed),
    )?;
    if stack.blocks != u64::from(stack.live_count()) || stack.block_bytes != stack.live_bytes() {
        writeln!(
            out,
            "    of the live blocks {} were found, {} bytes: the others failed, or cannot be read",
            Thousands(stack.blocks),
            Thousands(stack.block_bytes),
        )?;
    }
    write_stack_lines(out, &stack.frames, names)
}
