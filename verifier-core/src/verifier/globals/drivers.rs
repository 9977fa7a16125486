//! The tree of target drivers and the list of configured ones.

use std::collections::BTreeSet;

use super::data::ImageData;
use super::found::{GlobalEvidence, Globals, only};
use crate::addr::Va;
use crate::kernel::{Kernel, Limits, is_file_name, walk_list};
use crate::types::TypeSource;
use crate::verifier::drivers::{Recovered, Suspect, SuspectLayout, Target, TargetLayout, targets};
use crate::verifier::tracking::{ENTRY_BEFORE_WIN7, is_before_win7};

/// Candidates that are walked: few places look like a tree or a list at first sight.
const MOST_TRIED: usize = 256;
/// Entries that a list of configured drivers can have.
const MAX_SUSPECTS: usize = 0x1000;
/// Tables of the tree: the kernel makes several only for trees of pages.
const TABLES: u32 = 1;
/// Nodes that a tree of images can have.
const MAX_IMAGES: u64 = 0x1_0000;
/// The highest plausible `Loads` of a driver.
const MAX_LOADS: u32 = 0x10_0000;

const TREE: &str = "ViTargetDriversAvl";
const LIST: &str = "VfSuspectDriversList";

/// The list of kernels before Windows 7.
const LIST_BEFORE_WIN7: &str = "MiSuspectDriverList";

/// Finds both. Returns the verified images: those of the tree, else those that tracking pages lead to.
pub(super) fn find(
    kernel: &Kernel,
    types: &dyn TypeSource,
    data: &ImageData,
    recovered: &Recovered<'_>,
    globals: &mut Globals,
) -> Vec<Target> {
    if is_before_win7(types) == Ok(true) {
        match SuspectLayout::resolve(types, ENTRY_BEFORE_WIN7) {
            Ok(layout) => look_for_list(kernel, &layout, data, LIST_BEFORE_WIN7, globals),
            Err(error) => globals.missing(LIST_BEFORE_WIN7, error.to_string()),
        }
        return Vec::new();
    }
    let layout = match TargetLayout::resolve(types) {
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
            globals.found(TREE, tree, GlobalEvidence::Strong, known_by);
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
        recovered.add_to(&mut images, &mut Vec::new());
    }
    find_list(kernel, &layout.suspect, data, &images, globals);
    images
}

/// The address of a tree, and its images.
type Tree = (Va, Vec<Target>);

fn find_trees(kernel: &Kernel, layout: &TargetLayout, data: &ImageData) -> Vec<Tree> {
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
            // With so many lookalikes none is certain.
            return Vec::new();
        }
        let images = targets(kernel, layout, tree, &limits, &mut Vec::new());
        let are_signed =
            images.iter().all(|(_, image)| layout.is_signed(kernel, image.verified_data));
        if are_signed && !images.is_empty() {
            trees.push((tree, images));
        }
    }
    trees
}

fn find_list(
    kernel: &Kernel,
    layout: &SuspectLayout,
    data: &ImageData,
    images: &[Target],
    globals: &mut Globals,
) {
    let entries: BTreeSet<Va> = images.iter().map(|(entry, _)| *entry).collect();
    let mut heads = BTreeSet::new();
    // Entries in rings that were walked.
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
            globals.found(LIST, head, GlobalEvidence::Strong, known_by);
            return;
        }
        (Some(_), Some(_)) => {
            globals.missing(LIST, "verified drivers are in several lists".into());
            return;
        }
        (None, _) => {}
    }
    // Nothing points into the list: search for one by its entries.
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
            globals.found(name, head, GlobalEvidence::Fair, known_by);
        }
        Err(None) => {
            let why = "no list in the kernel's data holds named drivers with counts of loads (an empty \
                       one cannot be recognized)";
            globals.missing(name, why.into());
        }
        Err(Some(why)) => globals.missing(name, why),
    }
}

/// The link in the kernel's image of the ring that `entry` is in, and the ring's entries. `None` if the ring
/// is not a list of configured drivers.
fn head_of(kernel: &Kernel, layout: &SuspectLayout, entry: Va) -> Option<(Va, Vec<Va>)> {
    let image = kernel.modules().loaded().get(kernel.kernel_module()?)?;
    let start = entry.add(layout.links);
    let ring =
        walk_list(kernel.space(), start, "list of configured drivers", &search_limits(kernel));
    let mut heads = ring.entries.iter().copied().filter(|&link| image.contains(link));
    let head = heads.next()?;
    let others = ring.entries.iter().copied().filter(|&link| link != head);
    let entries: Vec<Va> = others.chain([start]).map(|link| link.sub(layout.links)).collect();
    // An entry whose page is absent does not contradict.
    let all_fit = entries.iter().all(|&entry| look_at(kernel, layout, entry) != Some(Look::Other));
    (heads.next().is_none() && all_fit).then_some((head, entries))
}

/// Limits for memory that may be anything.
fn search_limits(kernel: &Kernel) -> Limits {
    let mut limits = kernel.limits().clone();
    limits.tree_nodes = limits.tree_nodes.min(MAX_IMAGES as usize);
    limits.list_entries = limits.list_entries.min(MAX_SUSPECTS);
    limits
}

/// Heads of lists of configured drivers, each with its number of entries and how many of them agree with the
/// loaded modules.
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
        if !matches!(look_at(kernel, layout, first.sub(layout.links)), Some(Look::Entry { .. })) {
            continue;
        }
        tried += 1;
        if tried > MOST_TRIED || kernel.is_stopped() {
            // With so many lookalikes none is certain.
            return Vec::new();
        }
        let walk = walk_list(space, head, "list", &limits);
        if walk.broken.is_some() {
            continue;
        }
        let fit: Option<Vec<bool>> = walk
            .entries
            .iter()
            .map(|link| match look_at(kernel, layout, link.sub(layout.links)) {
                Some(Look::Entry { agrees }) => Some(agrees),
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

/// Whether a place holds the entry of a configured driver.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Look {
    /// It has a name and counts; `agrees` says whether the counts agree with the loaded modules.
    Entry {
        agrees: bool,
    },
    Other,
}

/// Whether an entry can be that of a configured driver; `None` if it cannot be read.
pub(super) fn names_a_driver(kernel: &Kernel, layout: &SuspectLayout, entry: Va) -> Option<bool> {
    Some(look_at(kernel, layout, entry)? != Look::Other)
}

/// What is at a place that may hold an entry; `None` if it cannot be read.
fn look_at(kernel: &Kernel, layout: &SuspectLayout, entry: Va) -> Option<Look> {
    let Suspect { name, loads, unloads } = layout.decode(kernel, entry).ok()?;
    let Ok(name) = name else { return Some(Look::Other) };
    let is_driver_name = is_file_name(&name) && (name.contains('.') || name.contains('*'));
    if !is_driver_name || unloads > loads || loads > MAX_LOADS {
        return Some(Look::Other);
    }
    let is_loaded = kernel.modules().by_name(&name).is_some();
    Some(Look::Entry { agrees: name.contains('*') || is_loaded == (loads > unloads) })
}
