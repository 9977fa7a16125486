//! The stacks that newer kernels keep with their blocks.

use std::io;

use crate::analysis::{PoolKind, Total};
use crate::completeness::Completeness;
use crate::render::Names;
use crate::render::leaks::{Thousands, blocks};
use crate::render::text::{sanitize, write_extent, write_stack as write_frames};
use crate::verifier::{AttributedBy, NO_DRIVER, OwnedStack, PoolStack, PoolStacks};

/// Writes the stacks with something live, the most bytes first.
///
/// # Errors
/// Those of the writer.
pub fn write_pool_stacks_text(
    out: &mut dyn io::Write,
    stacks: &PoolStacks,
    names: &Names<'_>,
) -> io::Result<()> {
    write_extent(out, &Completeness::of(&stacks.problems))?;
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

/// Writes which tags the kernel keeps blocks of, if it does not keep all.
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
        PoolKind::of_stack(stack).name().unwrap_or("pool unknown"),
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
    write_frames(out, &stack.frames, names, "    ")
}

fn has_live(stack: &PoolStack) -> bool {
    stack.live_bytes() > 0 || stack.live_count() > 0 || stack.blocks > 0
}
