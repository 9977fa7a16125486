//! The rows of a dump's outstanding allocations.

use std::collections::BTreeMap;

use verifier_core::Va;
use verifier_core::analysis::{Block, NoStack};
use verifier_core::render::LeaksView;
use verifier_core::render::rows::LeakGroup;
use verifier_core::verifier::PoolTag;

use super::rest::Rest;
use super::rows::{Held, Row, differences};
use super::{Data, NONE, Side};
use crate::report::MAX_ADDRESSES;
use crate::source_snippet::SourceFiles;

/// The fewest and the most addresses of a row.
const ADDRESSES: (usize, usize) = (4, 2000);

/// What the blocks of a row have in common, beside the group's stack.
type Part = (usize, Option<PoolTag>, bool, Option<(NoStack, Va)>);

/// The data of the groups of `view`, which are by stack. The page first shows the blocks of the driver that
/// bug check 0xC4/0x62 is about.
pub(in crate::report) fn of_leaks(view: &LeaksView<'_>, files: &SourceFiles) -> Data {
    let extent = view.leaks.completeness().extent.name();
    let mut data = Data { extent, preset_driver: NONE, ..Data::default() };
    if let Some(leak) = &view.leaks.unload_leak {
        data.preset_driver = data.texts.index(&leak.driver);
    }
    let mut rest = Rest::default();
    let mut room = MAX_ADDRESSES;
    let (fewest, most) = ADDRESSES;
    // Every row gets some addresses; large rows share the others.
    let each = (MAX_ADDRESSES / view.groups.len().max(1)).clamp(fewest, most);
    for group in view {
        let mut parts: BTreeMap<Part, Vec<&Block>> = BTreeMap::new();
        for block in group.members() {
            parts.entry(part(block)).or_default().push(block);
        }
        for blocks in parts.into_values() {
            let row = row(&mut data, view, group, &blocks, each.min(room));
            room -= row.addresses.split_terminator(' ').count();
            rest.push(&mut data, row);
        }
    }
    rest.finish(&mut data);
    data.add_snippets(files);
    data
}

fn part(block: &Block) -> Part {
    let allocation = &block.allocation;
    let why = block.stack.err().map(|why| (why, allocation.caller));
    (block.driver, allocation.pool_tag(), block.is_contiguous(), why)
}

/// The row of blocks of a group that have the same driver, tag and reason.
fn row(
    data: &mut Data,
    view: &LeaksView<'_>,
    group: LeakGroup<'_>,
    blocks: &[&Block],
    addresses: usize,
) -> Row {
    let mut held = Held::default();
    blocks.iter().for_each(|block| held.add(block.allocation.size));
    let first = blocks.first();
    let why = first.and_then(|block| block.stack.err());
    let tag = match group.is_contiguous {
        true => group.tag_text(),
        false => first.and_then(|block| block.allocation.pool_tag()).map(|tag| tag.to_string()),
    };
    let caller = first.filter(|_| why.is_some()).map(|block| block.allocation.caller);
    let mut frame = |va: Option<Va>| match va {
        Some(va) => data.frames.of((Side::Only, va), &view.names, &mut data.texts).0,
        None => NONE,
    };
    let (caller, site) = (frame(caller), frame(group.site));
    let stack = match (why, group.frames()) {
        (None, Some(frames)) => data.stack(Side::Only, &view.names, frames).unwrap_or(NONE),
        _ => NONE,
    };
    Row {
        driver: data.texts.index_of(first.map(|block| view.leaks.driver(block))),
        tag: data.texts.index_of(tag.as_deref()),
        stack,
        why: data.texts.index_of(why.map(|why| view.leaks.why(why)).as_deref()),
        caller,
        site,
        held,
        before: None,
        addresses: differences(blocks.iter().take(addresses).map(|block| block.allocation.address)),
    }
}
