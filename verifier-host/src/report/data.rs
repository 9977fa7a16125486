//! The data block of the page: groups with their stacks, frames named once.

use std::collections::HashMap;

use serde::Serialize;
use verifier_core::Va;
use verifier_core::render::LeaksView;
use verifier_core::render::text::sanitize;

use super::{MAX_ADDRESSES, MAX_GROUPS};

#[derive(Serialize)]
struct Data {
    /// The address and the name of each frame of the stacks.
    frames: Vec<(String, Option<String>)>,
    groups: Vec<GroupData>,
    /// Groups, blocks and bytes that are left out.
    omitted: (usize, u64, u64),
}

#[derive(Serialize)]
struct GroupData {
    count: usize,
    bytes: u64,
    largest: u64,
    tag: String,
    driver: String,
    label: String,
    /// Indexes of frames, innermost first.
    stack: Option<Vec<usize>>,
    why: Option<String>,
    addresses: Vec<String>,
}

/// The data block as JSON.
pub(super) fn json(view: &LeaksView<'_>) -> serde_json::Result<String> {
    let leaks = view.leaks;
    let mut frames = Vec::new();
    let mut known: HashMap<Va, usize> = HashMap::new();
    let mut room = MAX_ADDRESSES;
    let shown = view.groups.len().min(MAX_GROUPS);
    // Every group gets some addresses; large groups share the others.
    let each = (MAX_ADDRESSES / shown.max(1)).clamp(4, 500);
    let mut groups = Vec::new();
    for group in view.iter().take(MAX_GROUPS) {
        let stack = group.frames().map(|stack| {
            let index = |&va: &Va| {
                *known.entry(va).or_insert_with(|| {
                    let name = view.names.get(va).map(|name| sanitize(&name).into_owned());
                    frames.push((va.to_string(), name));
                    frames.len() - 1
                })
            };
            stack.iter().map(index).collect()
        });
        let addresses: Vec<String> = group
            .members()
            .take(each.min(room))
            .map(|block| block.allocation.address.to_string())
            .collect();
        room -= addresses.len();
        groups.push(GroupData {
            count: group.blocks.len(),
            bytes: group.bytes,
            largest: group.largest,
            tag: group.tag_text().unwrap_or_default(),
            driver: sanitize(group.driver_name().unwrap_or_default()).into_owned(),
            label: sanitize(&group.trail()).into_owned(),
            stack,
            why: match group.stack {
                Some(Err(why)) => Some(leaks.why(why)),
                _ => None,
            },
            addresses,
        });
    }
    let rest = view.groups.get(shown..).unwrap_or_default();
    let omitted = (
        rest.len(),
        rest.iter().map(|group| group.blocks.len() as u64).sum(),
        rest.iter().fold(0u64, |sum, group| sum.saturating_add(group.bytes)),
    );
    serde_json::to_string(&Data { frames, groups, omitted })
}
