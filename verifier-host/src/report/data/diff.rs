//! The rows of the difference of two dumps.

use std::collections::HashMap;
use std::rc::Rc;

use verifier_core::Va;
use verifier_core::analysis::{DiffGroup, Leaks, is_kernel_or_verifier};
use verifier_core::render::{DiffView, Names};

use super::rest::Rest;
use super::rows::{Held, Row, differences};
use super::{Data, Index, NONE, Side, next_index};
use crate::report::MAX_ADDRESSES;
use crate::source_snippet::SourceFiles;

/// Why a group has no stack that a difference has added up.
const ADDED_UP: &str = "the stacks are known in only one of the dumps, and are added up by caller";

/// The most addresses of new blocks of a row.
const ADDRESSES: usize = 500;

/// The data of a difference by stack; the earlier dump has the names `old`.
pub(in crate::report) fn of_diff(
    view: &DiffView<'_>,
    [old, new]: [&Names<'_>; 2],
    files: &SourceFiles,
) -> Data {
    let extent = view.completeness().extent.name();
    let mut data = Data { is_diff: true, extent, preset_driver: NONE, ..Data::default() };
    let mut frames = NamedFrames::default();
    frames.know(Side::New, view.new, new);
    frames.know(Side::Old, view.old, old);
    let mut rest = Rest::default();
    let mut room = MAX_ADDRESSES;
    for group in view.diff.groups.iter().chain(&view.diff.unchanged) {
        let row = row(&mut data, &mut frames, view, group, room.min(ADDRESSES), [old, new]);
        room -= row.addresses.split_terminator(' ').count();
        rest.push(&mut data, row);
    }
    rest.finish(&mut data);
    data.add_snippets(files);
    data
}

fn row(
    data: &mut Data,
    frames: &mut NamedFrames,
    view: &DiffView<'_>,
    group: &DiffGroup,
    addresses: usize,
    names: [&Names<'_>; 2],
) -> Row {
    let key = &group.key;
    let stack = key.stack.as_ref().filter(|_| data.has_room());
    let stack = stack.map_or(NONE, |stack| {
        let mut all: Vec<Index> = Vec::new();
        for name in stack.iter().rev() {
            let (first, count) = frames.of(name, data, names);
            all.extend((0..count).rev().map(|inner| first + next_index(inner)));
        }
        data.stacks.of(all.into_iter())
    });
    let mut frame = |name: Option<&str>| name.map_or(NONE, |name| frames.of(name, data, names).0);
    let caller = frame(key.place.as_deref().filter(|_| key.stack.is_none()));
    let site = frame(Some(&group.label));
    let why = match key.stack {
        Some(_) => None,
        None => Some(view.why(group).unwrap_or_else(|| ADDED_UP.into())),
    };
    let tag = match key.is_contiguous {
        true => Some("contiguous memory".to_string()),
        false => key.tag.map(|tag| tag.to_string()),
    };
    Row {
        driver: data.texts.index_of(key.driver.as_deref()),
        tag: data.texts.index_of(tag.as_deref()),
        stack,
        why: data.texts.index_of(why.as_deref()),
        caller,
        site: if data.frames.is_kernel(site) { NONE } else { site },
        held: Held::of_total(group.new),
        before: Some(group.old),
        addresses: differences(group.appeared.iter().take(addresses).copied()),
    }
}

/// The frames of names: groups of two dumps are matched by name, and a name leads back to an address.
#[derive(Default)]
struct NamedFrames {
    addresses: HashMap<Rc<str>, (Side, Va)>,
    /// Frames that are known by their function alone, because the two dumps have other builds of the module.
    functions: HashMap<String, (Side, Va)>,
    known: HashMap<String, (Index, usize)>,
}

impl NamedFrames {
    fn know(&mut self, side: Side, leaks: &Leaks, names: &Names<'_>) {
        let function =
            |name: &str| name.rsplit_once("+0x").map(|(function, _)| function.to_owned());
        for va in leaks.addresses() {
            let name = names.get(va).unwrap_or_else(|| va.to_string().into());
            if let Some(function) = function(&name).filter(|function| function.contains('!')) {
                self.functions.entry(function).or_insert((side, va));
            }
            self.addresses.entry(name).or_insert((side, va));
        }
    }

    /// The first of the frames of a name, and their number.
    fn of(&mut self, name: &str, data: &mut Data, [old, new]: [&Names<'_>; 2]) -> (Index, usize) {
        let names = |side| if side == Side::Old { old } else { new };
        if let Some(&(side, va)) = self.addresses.get(name) {
            return data.frames.of((side, va), names(side), &mut data.texts);
        }
        if let Some(&known) = self.known.get(name) {
            return known;
        }
        let of = self.functions.get(name);
        let is_kernel =
            of.is_some_and(|&(side, va)| is_kernel_or_verifier(names(side).kernel(), va));
        let found = (data.frames.of_function(name, is_kernel, &mut data.texts), 1);
        self.known.insert(name.to_owned(), found);
        found
    }
}
