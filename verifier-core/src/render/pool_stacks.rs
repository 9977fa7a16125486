//! The stacks of the pool info tree: text, JSON, CSV.

use std::io;

use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};

use super::csv::{Csv, inert, stack};
use super::json::{FrameDoc, Seq, Verdict, write_json};
use super::leaks::{Thousands, blocks, write_stack_lines};
use super::names::Names;
use super::pool::PoolInfoDocument;
use super::text::sanitize;
use crate::analysis::{PoolKind, Total};
use crate::error::Problem;
use crate::verifier::{AttributedBy, NO_DRIVER, OwnedStack, PoolStack, PoolStacks};

fn has_live(stack: &PoolStack) -> bool {
    stack.live_bytes() > 0 || stack.live_count() > 0 || stack.blocks > 0
}

struct StackDoc<'a>(&'a OwnedStack, &'a Names<'a>);

impl Serialize for StackDoc<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self(OwnedStack { stack, driver, .. }, names) = self;
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("live_count", &stack.live_count())?;
        map.serialize_entry("live_bytes", &stack.live_bytes())?;
        map.serialize_entry("tag", &stack.tag.to_string())?;
        map.serialize_entry("pool", &PoolKind::of_stack(stack).name())?;
        map.serialize_entry("driver", &driver.as_ref().map(|(name, _)| name))?;
        map.serialize_entry(
            "attributed_by",
            &driver.as_ref().map(|(_, attributed_by)| attributed_by.name()),
        )?;
        map.serialize_entry("allocations", &stack.allocations)?;
        map.serialize_entry("frees", &stack.frees)?;
        map.serialize_entry("bytes_allocated", &stack.bytes_allocated)?;
        map.serialize_entry("bytes_freed", &stack.bytes_freed)?;
        map.serialize_entry("blocks", &stack.blocks)?;
        map.serialize_entry("block_bytes", &stack.block_bytes)?;
        map.serialize_entry("hash", &stack.hash)?;
        map.serialize_entry("flags", &stack.flags)?;
        map.serialize_entry("element", &stack.element)?;
        map.serialize_entry("in_tree", &stack.is_in_tree)?;
        map.serialize_entry(
            "stack",
            &Seq(|| stack.frames.iter().map(|&va| FrameDoc::new(va, names))),
        )?;
        map.end()
    }
}

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
            stacks: Seq(|| stacks.stacks.iter().map(|owned| StackDoc(owned, names))),
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
    let mut csv = Csv::new(
        out,
        &stacks.problems,
        [
            "live_count",
            "live_bytes",
            "tag",
            "pool",
            "driver",
            "allocations",
            "frees",
            "bytes_allocated",
            "bytes_freed",
            "blocks",
            "block_bytes",
            "element",
            "stack",
        ],
    )?;
    for OwnedStack { stack: element, driver, .. } in &stacks.stacks {
        csv.row([
            &*element.live_count().to_string(),
            &element.live_bytes().to_string(),
            &*inert(&element.tag.to_string()),
            PoolKind::of_stack(element).name().unwrap_or_default(),
            &*inert(driver.as_ref().map(|(name, _)| name.as_str()).unwrap_or_default()),
            &element.allocations.to_string(),
            &element.frees.to_string(),
            &element.bytes_allocated.to_string(),
            &element.bytes_freed.to_string(),
            &element.blocks.to_string(),
            &element.block_bytes.to_string(),
            &element.element.to_string(),
            &stack(names, &element.frames),
        ])?;
    }
    csv.end()
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
