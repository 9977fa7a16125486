//! Which of the built-in layouts are a kernel's.
//!
//! The build number in a dump's header is a hint: LiveKD writes a number of its own there, and memory without
//! a header has none. The kernel's own name for its build (`NtBuildLab`) is trusted. Without it the layouts
//! of the header's build are checked against memory, and so is one build of each era (see `plausible.rs`).
//!
//! Layouts that the header does not state are certain only if something supports them and nothing refutes
//! them. If nothing supports any layouts, those that fit best are used, and are marked as in doubt.

use super::data::ImageData;
use super::found::Globals;
use super::plausible::Plausibility;
use crate::kernel::Kernel;
use crate::types::Profile;

/// The first build of each era since Windows 7. Lists, trees, counters or records moved in each of them.
const ERAS: [u32; 9] = [7601, 9600, 10240, 14393, 17134, 19041, 20348, 22000, 26100];

/// Layouts that were checked against memory.
struct Candidate {
    build: u32,
    profile: Profile,
    globals: Globals,
    plausibility: Plausibility,
}

impl Globals {
    /// The built-in layouts that are plausible for `kernel`, with the globals that were found by them; `None`
    /// if no layouts are.
    #[must_use]
    pub fn plausible_layouts(kernel: &Kernel) -> Option<Profile> {
        plausible_layouts(kernel)
    }
}

fn plausible_layouts(kernel: &Kernel) -> Option<Profile> {
    let machine = kernel.space().machine();
    let stated = kernel.build();
    let is_certain = kernel.build_by_lab().is_some();
    let eras = ERAS.into_iter().filter(|&era| !is_certain && era != stated);
    let data = ImageData::read(kernel);
    let mut candidates = Vec::new();
    for build in [stated].into_iter().chain(eras) {
        let Some(profile) = Profile::new(machine, build) else { continue };
        let (globals, plausibility) = Globals::find_in(kernel, &profile, &data);
        let is_whole = plausibility.is_whole();
        candidates.push(Candidate { build, profile, globals, plausibility });
        if is_whole {
            break;
        }
    }
    let Candidate { build, profile, globals, plausibility } = best(candidates, stated)?;
    let profile = match (build == stated, stated) {
        (true, _) => profile,
        (false, 0) => profile.chosen_by("by what is in memory".into()),
        (false, stated) => profile.chosen_by(format!(
            "what is in memory fits these and not those of {stated}, the build in the header"
        )),
    };
    let is_stated = build == stated
        && (is_certain || plausibility.agreeing > 0 || plausibility.refuted.is_none());
    let doubt = match plausibility.refuted {
        _ if is_stated => None,
        Some(why) => Some(format!("{why}; no other layouts fit better")),
        None if plausibility.agreeing > 0 => None,
        None => Some("no counter above zero agrees with the blocks that are in memory".into()),
    };
    let profile = match doubt {
        Some(why) => profile.in_doubt(why),
        None => profile,
    };
    Some(globals.add_to(profile, kernel))
}

/// The layouts that fit best. The layouts that the header states are the first candidate and stay unless
/// others fit better; others need at least one verified image.
fn best(candidates: Vec<Candidate>, stated: u32) -> Option<Candidate> {
    let mut best: Option<Candidate> = None;
    for candidate in candidates {
        let is_better = match &best {
            Some(best) => {
                candidate.plausibility.images > 0
                    && candidate.plausibility.rank() > best.plausibility.rank()
            }
            None => candidate.build == stated || candidate.plausibility.images > 0,
        };
        if is_better {
            best = Some(candidate);
        }
    }
    best
}
