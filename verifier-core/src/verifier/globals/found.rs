//! Globals that were found or not found.

use crate::addr::{Rva, Va};
use crate::error::STOPPED;
use crate::kernel::Kernel;
use crate::types::Profile;

/// How strong the evidence for a global's address is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum GlobalEvidence {
    /// This place fits, and no other does.
    Fair,
    /// The data that it leads to can hardly be anything else.
    Strong,
    /// The kernel's own debugger data names it.
    Stated,
}

impl GlobalEvidence {
    /// The name in JSON.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            GlobalEvidence::Fair => "fair",
            GlobalEvidence::Strong => "strong",
            GlobalEvidence::Stated => "stated",
        }
    }
}

/// A global that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct FoundGlobal {
    /// Its C name.
    pub name: &'static str,
    /// Its address.
    pub address: Va,
    /// How strong the evidence is.
    pub evidence: GlobalEvidence,
    /// What the evidence is.
    pub known_by: String,
}

/// A global that was not found.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct MissingGlobal {
    /// Its C name.
    pub name: &'static str,
    /// What was searched for, and with which result.
    pub why: String,
}

/// Verifier's globals, as far as they can be found.
///
/// The debugger data block names `MmVerifierData`. The others are searched for in the data sections of the
/// kernel's image, as far as their pages are in the dump:
///
/// * `ViTargetDriversAvl`: a `_VF_AVL_TREE` whose tree can be walked and whose nodes hold data with
///   Verifier's signature 0x98761940, which nothing else has;
/// * `VfSuspectDriversList`: the data of a verified driver points at its entry in this list, and the only
///   link of the ring that is in the kernel's image is the list's head. Without such data: a list whose
///   entries all have a file name and counts that agree with the loaded modules;
/// * `VfPoolTraces`: a pointer to a page of records whose stacks start in modules; `VfPoolTracesLength` and
///   `VfPoolTracesIndex` by the slots that are in use;
/// * `ViPoolInfoAvl` and `ViPoolStackInfoAvl`: trees whose elements are blocks that point at stacks, and
///   those stacks.
///
/// If two places fit, neither is taken: the global is missing, and says so. A caller that has the kernel's
/// symbols needs none of this.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Globals {
    /// The globals that were found.
    pub found: Vec<FoundGlobal>,
    /// The globals that were not found.
    pub missing: Vec<MissingGlobal>,
}

impl Globals {
    /// Makes all globals missing: a search that was stopped may have seen only one of two places that fit.
    pub(super) fn forget(&mut self) {
        let found = self.found.drain(..).map(|global| global.name);
        let missing = self.missing.drain(..).map(|global| global.name);
        let names: Vec<_> = found.chain(missing).collect();
        for name in names {
            self.missing(name, format!("the search for it: {STOPPED}"));
        }
    }

    /// The global of that name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&FoundGlobal> {
        self.found.iter().find(|global| global.name == name)
    }

    /// The profile with the globals that were found and the reasons why others were not.
    #[must_use]
    pub fn add_to(&self, mut profile: Profile, kernel: &Kernel) -> Profile {
        for global in &self.found {
            // All globals are in the kernel's image.
            let rva = global.address.0.checked_sub(kernel.base().0);
            let Some(rva) = rva.and_then(|rva| u32::try_from(rva).ok()) else { continue };
            let known_by = format!("{} ({})", global.known_by, global.evidence.name());
            profile = profile.with_symbol(global.name, Rva(rva), known_by);
        }
        for global in &self.missing {
            profile = profile.without_symbol(global.name, global.why.clone());
        }
        profile
    }

    pub(super) fn found(
        &mut self,
        name: &'static str,
        address: Va,
        evidence: GlobalEvidence,
        known_by: String,
    ) {
        self.found.push(FoundGlobal { name, address, evidence, known_by });
    }

    pub(super) fn missing(&mut self, name: &'static str, why: String) {
        self.missing.push(MissingGlobal { name, why });
    }
}

/// The only candidate. The error is `None` if there is no candidate, or says how many there are.
pub(super) fn only<T>(mut candidates: Vec<T>, what: &str) -> Result<T, Option<String>> {
    match (candidates.pop(), candidates.len()) {
        (Some(one), 0) => Ok(one),
        (Some(_), more) => Err(Some(format!("{} {what} are in the kernel's data", more + 1))),
        (None, _) => Err(None),
    }
}
