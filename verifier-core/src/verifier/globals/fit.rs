//! Which of the built-in layouts are a kernel's.
//!
//! The build number in a dump's header is a hint: LiveKD writes one of its own there, and memory without
//! a header has none. The kernel's own name for its build (`NtBuildLab`) is trusted. Without one, the
//! header's layouts are held against what is in memory, and so is one build of each era.
//!
//! A verified image *supports* layouts if its counters are above zero and agree with the blocks on its
//! tracking pages. If blocks are in the pool info tree, an image does whose signed data the tree of images
//! leads to. (List heads, entries, counters and the images' data are elsewhere in each era.) Nonsense
//! *refutes* layouts: a peak below the current value, blocks without bytes, more bytes than so many blocks
//! can have, an image whose configured name is not a file's, a pool info tree in a kernel before there
//! were any.
//!
//! Layouts that the header does not state are certain only if something supports them and nothing refutes
//! them. If nothing supports any, those that fit best serve, and say that they are in doubt.

use super::Globals;
use super::data::ImageData;
use super::drivers::names_a_driver;
use crate::addr::Va;
use crate::kernel::Kernel;
use crate::types::{Profile, TypeSource};
use crate::verifier::Settings;
use crate::verifier::counters::Counters;
use crate::verifier::drivers::{Layout, TargetDriver};
use crate::verifier::pool::{EntryState, Layout as PoolLayout};
use crate::verifier::pool_info::has_trees;
use crate::verifier::trackers::PageBudget;

/// The first build of each era since Windows 7, in which lists, trees, counters or records moved.
const ERAS: [u32; 9] = [7601, 9600, 10240, 14393, 17134, 19041, 20348, 22000, 26100];

/// Counters of outstanding blocks and of their bytes, each with its peak.
const BLOCKS_AND_BYTES: [[(&str, &str); 2]; 2] = [
    [("CurrentPagedPoolAllocations", "PeakPagedPoolAllocations"), ("PagedBytes", "PeakPagedBytes")],
    [
        ("CurrentNonPagedPoolAllocations", "PeakNonPagedPoolAllocations"),
        ("NonPagedBytes", "PeakNonPagedBytes"),
    ],
];

/// No block of pool is longer.
const LONGEST_BLOCK: u64 = u32::MAX as u64;

/// What supports layouts, and what refutes them.
#[derive(Debug, Default)]
pub(super) struct Fit {
    /// Verified images that support the layouts.
    agreeing: usize,
    /// Images whose counters are above zero.
    counting: usize,
    /// Verified images to which the tree leads.
    on_tree: usize,
    /// True if a pool log was found.
    has_log: bool,
    /// Verified images.
    images: usize,
    /// Why the layouts cannot be right.
    refuted: Option<String>,
}

impl Fit {
    /// `in_tree`: blocks are in the pool info tree.
    pub(super) fn of(
        kernel: &Kernel,
        types: &dyn TypeSource,
        globals: &Globals,
        images: &[(Va, TargetDriver)],
        in_tree: bool,
    ) -> Self {
        let counted = |image: &TargetDriver| image.counters.pool_allocations();
        let mut fit = Self {
            counting: images.iter().filter(|(_, image)| counted(image) > 0).count(),
            on_tree: images.iter().filter(|(_, image)| !image.is_carved).count(),
            has_log: globals.get("VfPoolTraces").is_some(),
            images: images.len(),
            ..Self::default()
        };
        fit.refuted = refuted(kernel, types, images, in_tree);
        if in_tree {
            // Blocks are there, and counted by their tree: the images are what has to be right.
            fit.agreeing = fit.on_tree;
        } else if let Ok(layout) = PoolLayout::resolve(types, kernel.space().machine()) {
            let mut budget = PageBudget::of(kernel);
            let mut agrees = |image: &TargetDriver| {
                let data = image.verified_data;
                let tracker = layout.read(kernel, "", data, None, &mut budget, &mut Vec::new());
                let entries = tracker.entries.iter();
                let in_use = entries.filter(|entry| entry.state == EntryState::InUse).count();
                counted(image) > 0 && counted(image) == in_use as u64
            };
            fit.agreeing = images.iter().filter(|(_, image)| agrees(image)).count();
        }
        fit
    }

    /// True if something supports the layouts and nothing refutes them.
    fn is_supported(&self) -> bool {
        self.agreeing > 0 && self.refuted.is_none()
    }

    /// True if no other layouts can fit better.
    fn is_whole(&self) -> bool {
        self.is_supported() && self.agreeing >= self.counting && self.on_tree == self.images
    }

    /// The order of layouts: the best has the greatest.
    fn rank(&self) -> impl Ord + use<> {
        let Self { agreeing, on_tree, has_log, images, .. } = *self;
        (self.is_supported(), agreeing, self.refuted.is_none(), on_tree, has_log, images)
    }
}

/// What contradicts the layouts.
fn refuted(
    kernel: &Kernel,
    types: &dyn TypeSource,
    images: &[(Va, TargetDriver)],
    in_tree: bool,
) -> Option<String> {
    if in_tree && !has_trees(types) {
        return Some("kernels of these layouts have no pool info tree".into());
    }
    let statistics = Settings::read_by(kernel, types).map(|settings| settings.statistics);
    if let Some(why) = statistics.ok().as_ref().and_then(nonsense) {
        return Some(format!("of the statistics {why}"));
    }
    let suspect = Layout::resolve(types).ok()?.suspect;
    images.iter().find_map(|(entry, image)| {
        let data = image.verified_data;
        match nonsense(&image.counters) {
            Some(why) => Some(format!("of the verified data at {data} {why}")),
            None => (names_a_driver(kernel, &suspect, *entry) == Some(false)).then(|| {
                format!("the verified data at {data} lead to an entry without a file's name")
            }),
        }
    })
}

/// What cannot be of counters.
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

/// Layouts that were held against memory.
struct Candidate {
    build: u32,
    profile: Profile,
    globals: Globals,
    fit: Fit,
}

pub(super) fn fit(kernel: &Kernel) -> Option<Profile> {
    let machine = kernel.space().machine();
    let told = kernel.build();
    let is_certain = kernel.build_by_lab().is_some();
    let eras = ERAS.into_iter().filter(|&era| !is_certain && era != told);
    let data = ImageData::read(kernel);
    let mut candidates = Vec::new();
    for build in [told].into_iter().chain(eras) {
        let Some(profile) = Profile::new(machine, build) else { continue };
        let (globals, fit) = Globals::find_in(kernel, &profile, &data);
        let is_whole = fit.is_whole();
        candidates.push(Candidate { build, profile, globals, fit });
        if is_whole {
            break;
        }
    }
    let Candidate { build, profile, globals, fit } = best(candidates, told)?;
    let profile = match (build == told, told) {
        (true, _) => profile,
        (false, 0) => profile.chosen_by("told by what is in memory".into()),
        (false, told) => profile.chosen_by(format!(
            "what is in memory fits these and not those of {told}, the build that the header tells"
        )),
    };
    let is_stated = build == told && (is_certain || fit.agreeing > 0 || fit.refuted.is_none());
    let doubt = match fit.refuted {
        _ if is_stated => None,
        Some(why) => Some(format!("{why}; no other layouts fit better")),
        None if fit.agreeing > 0 => None,
        None => Some("no counter above zero agrees with the blocks that are in memory".into()),
    };
    let profile = match doubt {
        Some(why) => profile.in_doubt(why),
        None => profile,
    };
    Some(globals.add_to(profile, kernel))
}

/// The layouts that fit best. Those that the header states are the first, and stay unless others fit
/// better; others need verified images at all.
fn best(candidates: Vec<Candidate>, told: u32) -> Option<Candidate> {
    let mut best: Option<Candidate> = None;
    for candidate in candidates {
        let is_better = match &best {
            Some(best) => candidate.fit.images > 0 && candidate.fit.rank() > best.fit.rank(),
            None => candidate.build == told || candidate.fit.images > 0,
        };
        if is_better {
            best = Some(candidate);
        }
    }
    best
}
