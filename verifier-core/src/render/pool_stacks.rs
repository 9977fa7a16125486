//! The stacks of the pool info tree, as JSON and CSV.

use std::io;

use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};

use super::csv::{Csv, inert, stack};
use super::json::{FrameDoc, Seq, Verdict, write_json};
use super::names::Names;
use super::pool::PoolInfoDocument;
use crate::analysis::PoolKind;
use crate::error::Problem;
use crate::verifier::{OwnedStack, PoolStacks};

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
