//! How plausible layouts are for a kernel, by the data that they lead to.
//!
//! A verified image *supports* layouts if its counters are above zero and agree with the blocks on its
//! tracking pages. If blocks are in the pool info tree, an image supports them if it is in the tree of images
//! and its data is signed. (List heads, entries, counters and the images' data have other offsets in each
//! era.) Nonsense *refutes* layouts: a peak below the current value, blocks without bytes, more bytes than so
//! many blocks can have, an image whose configured name is not a file's, a pool info tree in a kernel that
//! cannot have one.

use super::drivers::names_a_driver;
use super::found::Globals;
use crate::kernel::Kernel;
use crate::types::TypeSource;
use crate::verifier::counters::Counters;
use crate::verifier::drivers::{Target, TargetDriver, TargetLayout};
use crate::verifier::pool::has_trees;
use crate::verifier::settings::Settings;
use crate::verifier::tracking::{PageBudget, Trackers};

/// Counters of outstanding blocks and of their bytes, each with its peak.
const BLOCKS_AND_BYTES: [[(&str, &str); 2]; 2] = [
    [("CurrentPagedPoolAllocations", "PeakPagedPoolAllocations"), ("PagedBytes", "PeakPagedBytes")],
    [
        ("CurrentNonPagedPoolAllocations", "PeakNonPagedPoolAllocations"),
        ("NonPagedBytes", "PeakNonPagedBytes"),
    ],
];

/// The longest possible block of pool.
const LONGEST_BLOCK: u64 = u32::MAX as u64;

/// What supports layouts, and what refutes them.
#[derive(Debug, Default)]
pub(super) struct Plausibility {
    /// Verified images that support the layouts.
    pub(super) agreeing: usize,
    /// Images whose counters are above zero.
    counting: usize,
    /// Verified images that are in the tree.
    on_tree: usize,
    /// True if a pool log was found.
    has_log: bool,
    /// Verified images.
    pub(super) images: usize,
    /// Why the layouts cannot be right.
    pub(super) refuted: Option<String>,
}

impl Plausibility {
    /// `in_tree`: blocks are in the pool info tree.
    pub(super) fn of(
        kernel: &Kernel,
        types: &dyn TypeSource,
        globals: &Globals,
        images: &[Target],
        in_tree: bool,
    ) -> Self {
        let counted = |image: &TargetDriver| image.counters.pool_allocations();
        let mut found = Self {
            counting: images.iter().filter(|(_, image)| counted(image) > 0).count(),
            on_tree: images.iter().filter(|(_, image)| !image.is_carved).count(),
            has_log: globals.get("VfPoolTraces").is_some(),
            images: images.len(),
            ..Self::default()
        };
        found.refuted = refuted(kernel, types, images, in_tree);
        if in_tree {
            // The blocks are in their own tree, which counts them, so only the images show whether the
            // layouts are right.
            found.agreeing = found.on_tree;
        } else if let Ok(trackers) = Trackers::resolve(types, kernel.space().machine()) {
            let mut budget = PageBudget::of(kernel);
            let mut agrees = |image: &TargetDriver| {
                let data = image.verified_data;
                let tracker = trackers.read(kernel, "", data, &|_| &[], &mut budget);
                counted(image) > 0 && counted(image) == tracker.in_use().count() as u64
            };
            found.agreeing = images.iter().filter(|(_, image)| agrees(image)).count();
        }
        found
    }

    /// True if something supports the layouts and nothing refutes them.
    fn is_supported(&self) -> bool {
        self.agreeing > 0 && self.refuted.is_none()
    }

    /// True if no other layouts can fit better.
    pub(super) fn is_whole(&self) -> bool {
        self.is_supported() && self.agreeing >= self.counting && self.on_tree == self.images
    }

    /// The order of layouts: the best has the greatest rank.
    pub(super) fn rank(&self) -> impl Ord + use<> {
        let Self { agreeing, on_tree, has_log, images, .. } = *self;
        (self.is_supported(), agreeing, self.refuted.is_none(), on_tree, has_log, images)
    }
}

/// What contradicts the layouts.
fn refuted(
    kernel: &Kernel,
    types: &dyn TypeSource,
    images: &[Target],
    in_tree: bool,
) -> Option<String> {
    if in_tree && !has_trees(types) {
        return Some("kernels of these layouts have no pool info tree".into());
    }
    let statistics = Settings::read_by(kernel, types).map(|settings| settings.statistics);
    if let Some(why) = statistics.ok().as_ref().and_then(nonsense) {
        return Some(format!("of the statistics {why}"));
    }
    let suspect = TargetLayout::resolve(types).ok()?.suspect;
    images.iter().find_map(|(entry, image)| {
        let data = image.verified_data;
        match nonsense(&image.counters) {
            Some(why) => Some(format!("of the verified data at {data} {why}")),
            None => (names_a_driver(kernel, &suspect, *entry) == Some(false)).then(|| {
                format!("the verified data at {data} leads to an entry without a file's name")
            }),
        }
    })
}

/// Why counters cannot be right.
fn nonsense(counters: &Counters) -> Option<String> {
    BLOCKS_AND_BYTES.iter().find_map(|pairs| {
        let get = |name| counters.get(name);
        let above = pairs.iter().find(|(now, peak)| get(now) > get(peak));
        if let Some((now, peak)) = above {
            return Some(format!("{peak} is below {now}"));
        }
        let [(blocks, _), (bytes, _)] = *pairs;
        let (count, size) = (get(blocks)?, get(bytes)?);
        let fits = (count == 0) == (size == 0) && size <= count.saturating_mul(LONGEST_BLOCK);
        (!fits).then(|| format!("{blocks} is {count}, {bytes} {size:#x}"))
    })
}
