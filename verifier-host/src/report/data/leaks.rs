//! The rows of a dump's outstanding allocations.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use verifier_core::Va;
use verifier_core::analysis::{Block, NoStack};
use verifier_core::render::LeaksView;
use verifier_core::render::rows::LeakGroup;
use verifier_core::verifier::PoolTag;

use super::rows::{Held, Row};
use super::{Data, Index, NONE, Side};
use crate::report::{MAX_ADDRESSES, MAX_STACKS};
use crate::source_snippet::SourceFiles;

/// Why blocks have no stack in the page if they have one in the dump.
const LEFT_OUT: &str = "it is left out of this page, which has the stacks with the most bytes";

/// The fewest and the most addresses of a row.
const ADDRESSES: (usize, usize) = (4, 2000);

/// What the blocks of a row have in common, beside the group's stack.
type Part = (usize, Option<PoolTag>, bool, Option<(NoStack, Va)>);

/// The rows that are left out, added up: by driver, tag, site and reason.
type Rest = BTreeMap<(Index, Index, Index, Index), Held>;

/// The data of the groups of `view`, which are by stack. The page first shows the blocks of the driver that
/// bug check 0xC4/0x62 is about.
pub(in crate::report) fn of_leaks(view: &LeaksView<'_>, files: &SourceFiles) -> Data {
    let mut data = Data { preset_driver: NONE, ..Data::default() };
    if let Some(leak) = &view.leaks.unload_leak {
        data.preset_driver = data.texts.index(&leak.driver);
    }
    let mut rest = Rest::new();
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
            match row {
                row if row.why == NONE && row.stack == NONE => leave_out(&mut data, row, &mut rest),
                row if data.rows.len() >= MAX_STACKS => leave_out(&mut data, row, &mut rest),
                row => data.rows.push(row),
            }
        }
    }
    for ((driver, tag, site, why), held) in rest {
        let addresses = String::new();
        let (stack, before) = (NONE, None);
        data.rows.push(Row {
            driver,
            tag,
            stack,
            why,
            caller: site,
            site,
            held,
            before,
            addresses,
        });
    }
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
        addresses: differences(blocks, addresses),
    }
}

/// Adds the blocks of a row to those that are left out. Of too many kinds of them only the driver is kept.
fn leave_out(data: &mut Data, row: Row, rest: &mut Rest) {
    let why = data.texts.index(LEFT_OUT);
    let key = (row.driver, row.tag, row.site, why);
    let is_known = rest.contains_key(&key);
    let key = if is_known || rest.len() < MAX_STACKS { key } else { (row.driver, NONE, NONE, why) };
    rest.entry(key).or_default().take(row.held);
}

/// Addresses in hexadecimal digits, the lowest first; all but the first are the distance from the one before.
fn differences(blocks: &[&Block], most: usize) -> String {
    let mut addresses: Vec<u64> =
        blocks.iter().take(most).map(|block| block.allocation.address.0).collect();
    addresses.sort_unstable();
    let mut text = String::new();
    let mut before = 0u64;
    for address in addresses {
        let separator = if text.is_empty() { "" } else { " " };
        // Writing to a string does not fail.
        let _ = write!(text, "{separator}{:x}", address - before);
        before = address;
    }
    text
}
