//! The tree of target drivers and the list of configured ones.

use std::collections::BTreeSet;

use super::data::ImageData;
use super::{Evidence, Globals};
use crate::addr::Va;
use crate::kernel::{Kernel, Limits, is_file_name, read_unicode_string, walk_list};
use crate::types::TypeSource;
use crate::verifier::drivers::{DATA_SIGNATURE, Layout, SuspectLayout, TargetDriver, targets};
use crate::verifier::{Lost, old};

/// Candidates that are walked: what looks like a tree or a list at first sight is one of very few.
const MOST_TRIED: usize = 256;
/// Entries that a list of configured drivers can have.
const MAX_SUSPECTS: usize = 0x1000;
/// Tables of the tree: the kernel makes several only for trees of pages.
const TABLES: u32 = 1;
/// Nodes that a tree of images can have: more are no images.
const MAX_IMAGES: u64 = 0x1_0000;
/// `Loads` of a driver that are still believed.
const MAX_LOADS: u32 = 0x10_0000;

const TREE: &str = "ViTargetDriversAvl";
const LIST: &str = "VfSuspectDriversList";

/// The list of kernels before 7.
const OLD_LIST: &str = "MiSuspectDriverList";

/// Finds both, and gives the verified images: the tree's, else those that tracking pages lead to.
pub(super) fn find(
    kernel: &Kernel,
    types: &dyn TypeSource,
    data: &ImageData,
    lost: &Lost<'_>,
    globals: &mut Globals,
) -> Vec<(Va, TargetDriver)> {
    if old::is_old(types) == Ok(true) {
        match SuspectLayout::resolve(types, old::ENTRY) {
            Ok(layout) => look_for_list(kernel, &layout, data, OLD_LIST, globals),
            Err(error) => globals.missing(OLD_LIST, error.to_string()),
        }
        return Vec::new();
    }
    let layout = match Layout::resolve(types) {
        Ok(layout) => layout,
        Err(error) => {
            for name in [TREE, LIST] {
                globals.missing(name, error.to_string());
            }
            return Vec::new();
        }
    };
    if data.is_empty() {
        for name in [TREE, LIST] {
            globals.missing(name, "no page of the kernel's image is in the dump".into());
        }
        return Vec::new();
    }
    let mut images = match only(
        find_trees(kernel, &layout, data),
        "trees with the data of verified images",
    ) {
        Ok((tree, images)) => {
            let count = images.len();
            let known_by = format!("a tree with the signed data of {count} verified images");
            globals.found(TREE, tree, Evidence::Strong, known_by);
            images
        }
        Err(None) => {
            let why = "no tree in the kernel's data holds data of a verified image: Verifier is off, \
                       no such driver is loaded, or the pages are absent";
            globals.missing(TREE, why.into());
            Vec::new()
        }
        Err(Some(why)) => {
            globals.missing(TREE, why);
            Vec::new()
        }
    };
    if images.is_empty() {
        lost.add_to(&mut images, &mut Vec::new());
    }
    find_list(kernel, &layout.suspect, data, &images, globals);
    images
}

/// The one candidate; `Err(None)` where there is none.
pub(super) fn only<T>(mut candidates: Vec<T>, what: &str) -> Result<T, Option<String>> {
    match (candidates.pop(), candidates.len()) {
        (Some(one), 0) => Ok(one),
        (Some(_), more) => Err(Some(format!("{} {what} are in the kernel's data", more + 1))),
        (None, _) => Err(None),
    }
}

type Tree = (Va, Vec<(Va, TargetDriver)>);

fn find_trees(kernel: &Kernel, layout: &Layout, data: &ImageData) -> Vec<Tree> {
    let space = kernel.space();
    let image = kernel.kernel_module().and_then(|module| kernel.modules().loaded().get(module));
    let limits = search_limits(kernel);
    let mut tried = 0;
    let mut trees = Vec::new();
    for (at, tables) in data.words() {
        let tables = Va(tables);
        let in_image = image.is_some_and(|image| image.contains(tables));
        if tables.is_null() || !space.is_kernel(tables) || in_image || !tables.0.is_multiple_of(4) {
            continue;
        }
        let tree = at.sub(layout.tables);
        let plausible =
            space.memory().read_u32(tree.add(layout.tables_no)).is_ok_and(|count| count == TABLES)
                && layout.avl.is_plausible(space, tables.add(layout.rtl_table), MAX_IMAGES);
        if !plausible {
            continue;
        }
        tried += 1;
        if tried > MOST_TRIED || kernel.is_stopped() {
            // So many lookalikes: none is certain.
            return Vec::new();
        }
        let images = targets(kernel, layout, tree, &limits, &mut Vec::new());
        let signed = images
            .iter()
            .filter(|(_, image)| {
                let at = image.verified_data.add(layout.signature.offset);
                // Four bytes of it on every machine, the rest zero.
                space.memory().read_u32(at).is_ok_and(|found| u64::from(found) == DATA_SIGNATURE)
            })
            .count();
        if signed > 0 && signed == images.len() {
            trees.push((tree, images));
        }
    }
    trees
}

fn find_list(
    kernel: &Kernel,
    layout: &SuspectLayout,
    data: &ImageData,
    images: &[(Va, TargetDriver)],
    globals: &mut Globals,
) {
    let entries: BTreeSet<Va> = images.iter().map(|(entry, _)| *entry).collect();
    let mut heads = BTreeSet::new();
    // Those that are in a ring that was walked.
    let mut placed = BTreeSet::new();
    for &entry in entries.iter().take(MOST_TRIED) {
        if !kernel.is_stopped()
            && !placed.contains(&entry)
            && let Some((head, members)) = head_of(kernel, layout, entry)
        {
            heads.insert(head);
            placed.extend(members.into_iter().filter(|member| entries.contains(member)));
        }
    }
    let mut heads = heads.into_iter();
    match (heads.next(), heads.next()) {
        (Some(head), None) => {
            let known_by = format!(
                "the one link in the kernel's image of the ring that holds the entries of {} \
                 verified drivers",
                placed.len()
            );
            globals.found(LIST, head, Evidence::Strong, known_by);
            return;
        }
        (Some(_), Some(_)) => {
            globals.missing(LIST, "verified drivers lie in several lists".into());
            return;
        }
        (None, _) => {}
    }
    // Nobody points into the list: look for one that is what it should be.
    look_for_list(kernel, layout, data, LIST, globals);
}

fn look_for_list(
    kernel: &Kernel,
    layout: &SuspectLayout,
    data: &ImageData,
    name: &'static str,
    globals: &mut Globals,
) {
    match only(find_lists(kernel, layout, data), "lists of named drivers") {
        Ok((head, entries, agreeing)) => {
            let known_by = format!(
                "the only list of named drivers: {entries}, of which {agreeing} agree with the loaded \
                 modules"
            );
            globals.found(name, head, Evidence::Fair, known_by);
        }
        Err(None) => {
            let why = "no list in the kernel's data holds named drivers with counts of loads (an empty \
                       one cannot be told from others)";
            globals.missing(name, why.into());
        }
        Err(Some(why)) => globals.missing(name, why),
    }
}

/// The link of the ring of `entry` that lies in the kernel's image, where the ring is one of configured
/// drivers, and its entries.
fn head_of(kernel: &Kernel, layout: &SuspectLayout, entry: Va) -> Option<(Va, Vec<Va>)> {
    let image = kernel.modules().loaded().get(kernel.kernel_module()?)?;
    let start = entry.add(layout.links);
    let ring =
        walk_list(kernel.space(), start, "list of configured drivers", &search_limits(kernel));
    let mut heads = ring.entries.iter().copied().filter(|&link| image.contains(link));
    let head = heads.next()?;
    let others = ring.entries.iter().copied().filter(|&link| link != head);
    let entries: Vec<Va> = others.chain([start]).map(|link| link.sub(layout.links)).collect();
    // An entry whose page is absent says nothing.
    let all_fit =
        entries.iter().all(|&entry| suspect(kernel, layout, entry) != Some(Suspect::Unlike));
    (heads.next().is_none() && all_fit).then_some((head, entries))
}

/// Limits for what may be anything.
fn search_limits(kernel: &Kernel) -> Limits {
    let mut limits = kernel.limits().clone();
    limits.tree_nodes = limits.tree_nodes.min(MAX_IMAGES as usize);
    limits.list_entries = limits.list_entries.min(MAX_SUSPECTS);
    limits
}

/// Heads of lists of configured drivers, each with its number of entries and how many of them agree
/// with the loaded modules.
fn find_lists(
    kernel: &Kernel,
    layout: &SuspectLayout,
    data: &ImageData,
) -> Vec<(Va, usize, usize)> {
    let space = kernel.space();
    let blink = space.pointer_size() as u64;
    let image = kernel.kernel_module().and_then(|module| kernel.modules().loaded().get(module));
    let limits = search_limits(kernel);
    let mut tried = 0;
    let mut lists = Vec::new();
    for (head, first) in data.words() {
        let first = Va(first);
        let in_image = image.is_some_and(|image| image.contains(first));
        if !space.is_kernel(first) || in_image || space.read_pointer(first.add(blink)) != Ok(head) {
            continue;
        }
        if !matches!(suspect(kernel, layout, first.sub(layout.links)), Some(Suspect::Like { .. })) {
            continue;
        }
        tried += 1;
        if tried > MOST_TRIED || kernel.is_stopped() {
            // So many lookalikes: none is certain.
            return Vec::new();
        }
        let walk = walk_list(space, head, "list", &limits);
        if walk.broken.is_some() {
            continue;
        }
        let fit: Option<Vec<bool>> = walk
            .entries
            .iter()
            .map(|link| match suspect(kernel, layout, link.sub(layout.links)) {
                Some(Suspect::Like { agrees }) => Some(agrees),
                _ => None,
            })
            .collect();
        let Some(fit) = fit else { continue };
        let agreeing = fit.iter().filter(|&&agrees| agrees).count();
        if agreeing == fit.len() {
            lists.push((head, fit.len(), agreeing));
        }
    }
    lists
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Suspect {
    /// A name and counts, and whether the counts agree with the loaded modules.
    Like {
        agrees: bool,
    },
    Unlike,
}

/// Whether an entry can be a configured driver's; `None` if it cannot be read.
pub(super) fn names_a_driver(kernel: &Kernel, layout: &SuspectLayout, entry: Va) -> Option<bool> {
    Some(suspect(kernel, layout, entry)? != Suspect::Unlike)
}

/// What is at a place where an entry may be; `None` if it cannot be read.
fn suspect(kernel: &Kernel, layout: &SuspectLayout, entry: Va) -> Option<Suspect> {
    let mut bytes = vec![0u8; layout.size];
    kernel.space().read(entry, &mut bytes).ok()?;
    let loads = layout.loads.get(&bytes).unwrap_or(0) as u32;
    let unloads = layout.unloads.get(&bytes).unwrap_or(0) as u32;
    let name = entry.add(layout.base_name);
    let Ok(name) = read_unicode_string(kernel.space(), name, kernel.limits()) else {
        return Some(Suspect::Unlike);
    };
    let is_driver_name = is_file_name(&name) && (name.contains('.') || name.contains('*'));
    if !is_driver_name || unloads > loads || loads > MAX_LOADS {
        return Some(Suspect::Unlike);
    }
    let is_loaded = kernel.modules().by_name(&name).is_some();
    Some(Suspect::Like { agrees: name.contains('*') || is_loaded == (loads > unloads) })
}
