//! Which of the built-in layouts are a kernel's.
//!
//! The build number in a dump's header is a hint: LiveKD writes one of its own there, and memory without
//! a header has none. The kernel's own name for its build (`NtBuildLab`) is trusted; without one, the
//! header's layouts are held against what is there, and where they do not hold, one build of each
//! era is tried. What speaks for layouts: signed data of verified images, whose counters say as many
//! blocks as their tracking pages hold (list heads, entries and counters lie elsewhere in each era), and a
//! pool log with records of their length.

use super::Globals;
use super::data::ImageData;
use crate::addr::Va;
use crate::kernel::Kernel;
use crate::types::{Profile, TypeSource};
use crate::verifier::Places;
use crate::verifier::drivers::TargetDriver;
use crate::verifier::pool::{EntryState, Layout as PoolLayout};
use crate::verifier::trackers::PageBudget;

/// The first build of each era since Windows 7, in which lists, trees, counters or records moved.
const ERAS: [u32; 9] = [7601, 9600, 10240, 14393, 17134, 19041, 20348, 22000, 26100];

/// Counters of a verified image, and those of their peaks.
const PEAKS: [(&str, &str); 4] = [
    ("CurrentPagedPoolAllocations", "PeakPagedPoolAllocations"),
    ("CurrentNonPagedPoolAllocations", "PeakNonPagedPoolAllocations"),
    ("PagedBytes", "PeakPagedBytes"),
    ("NonPagedBytes", "PeakNonPagedBytes"),
];

/// What speaks for layouts, the most telling first.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Fit {
    /// Verified images that hold blocks, as many as their counters say.
    agreeing: usize,
    /// Verified images to which the tree leads.
    on_tree: usize,
    /// True where a pool log was found.
    has_log: bool,
    /// Verified images.
    images: usize,
    /// False where the counters of one say another number than its pages hold.
    is_sound: bool,
}

impl Fit {
    pub(super) fn of(
        kernel: &Kernel,
        types: &dyn TypeSource,
        globals: &Globals,
        images: &[(Va, TargetDriver)],
    ) -> Self {
        let mut fit = Self {
            on_tree: images.iter().filter(|(_, image)| !image.is_carved).count(),
            has_log: globals.get("VfPoolTraces").is_some(),
            images: images.len(),
            ..Self::default()
        };
        let Ok(layout) = PoolLayout::resolve(types, kernel.space().machine()) else { return fit };
        let mut budget = PageBudget::of(kernel);
        fit.is_sound = true;
        for (_, image) in images {
            let data = image.verified_data;
            let tracker = layout.read(kernel, "", data, None, &mut budget, &mut Vec::new());
            let in_use = tracker.entries.iter().filter(|entry| entry.state == EntryState::InUse);
            let counter = |name| image.counters.get(name).unwrap_or(0);
            let counted = image.counters.pool_allocations();
            // By chance a number elsewhere may be the same; it has no peak above it.
            let is_below = |(now, peak)| counter(now) <= counter(peak);
            let is_right = counted == in_use.count() as u64 && PEAKS.into_iter().all(is_below);
            fit.is_sound &= is_right;
            fit.agreeing += usize::from(is_right && counted > 0);
        }
        fit
    }

    /// True where nothing speaks against the layouts and something for them.
    fn is_whole(self) -> bool {
        self.is_sound && self.agreeing > 0 && self.on_tree == self.images
    }
}

pub(super) fn fit(kernel: &Kernel) -> Option<Profile> {
    let machine = kernel.space().machine();
    let told = kernel.build();
    let is_certain = kernel.build_by_lab().is_some();
    let eras = ERAS.into_iter().filter(|_| !is_certain);
    let data = ImageData::read(kernel);
    let places = Places::default();
    let mut best: Option<(Fit, Globals, Profile)> = None;
    for build in [told].into_iter().chain(eras) {
        let Some(profile) = Profile::new(machine, build) else { continue };
        let (globals, fit) = Globals::find_in(kernel, &profile, &data, Places::clone(&places));
        // Layouts that nobody told have to show that they are right.
        let is_better = match &best {
            Some((best, ..)) => fit > *best && fit.images > 0,
            None => build == told || fit.images > 0,
        };
        if is_better {
            let profile = match build == told {
                true => profile,
                false => profile.chosen_by(match told {
                    0 => "told by what is in memory".into(),
                    told => format!(
                        "what is in memory fits these and not those of {told}, the \
                                     build that the header tells"
                    ),
                }),
            };
            best = Some((fit, globals, profile));
        }
        if fit.is_whole() {
            break;
        }
    }
    let (_, globals, profile) = best?;
    Some(globals.add_to(profile, kernel))
}
