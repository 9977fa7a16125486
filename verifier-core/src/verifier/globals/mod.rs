//! Verifier's globals without the kernel's PDB: found by what stands where they point.
//!
//! The debugger data block says where `MmVerifierData` is. The others are looked for in the kernel
//! image's data sections, as far as their pages are in the dump:
//!
//! * `ViTargetDriversAvl`: a `_VF_AVL_TREE` whose tree can be walked and whose nodes hold data with
//!   Verifier's signature 0x98761940, which nothing else has;
//! * `VfSuspectDriversList`: the data of a verified driver point at its entry in this list, and the one
//!   link of the ring that lies in the kernel's image is its head. Without such data: a list whose
//!   entries all have a file name and counts that agree with the loaded modules;
//! * `VfPoolTraces`: a pointer to a page on which records lie whose stacks start in modules;
//!   `VfPoolTracesLength` and `VfPoolTracesIndex` by which slots are in use (see `pool_log.rs`);
//! * `ViPoolInfoAvl` and `ViPoolStackInfoAvl`: trees whose elements are blocks that point at stacks, and
//!   those stacks (see `trees.rs`).
//!
//! Nothing is taken that two places could be: then the global is missing, and says so. A caller that has
//! the kernel's symbols needs none of this.

mod data;
mod drivers;
mod fit;
mod log_order;
mod pool_log;
mod trees;

use self::data::ImageData;
use self::fit::Fit;
use crate::addr::{Rva, Va};
use crate::error::STOPPED;
use crate::kernel::Kernel;
use crate::types::{Profile, TypeSource};
use crate::verifier::Lost;

/// How much speaks for a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Evidence {
    /// It fits, and no other place does.
    Fair,
    /// What it leads to can hardly be anything else.
    Strong,
    /// The kernel's own debugger data say so.
    Stated,
}

impl Evidence {
    /// The name in JSON.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Evidence::Fair => "fair",
            Evidence::Strong => "strong",
            Evidence::Stated => "stated",
        }
    }
}

/// A global that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundGlobal {
    /// Its C name.
    pub name: &'static str,
    /// Where it lies.
    pub address: Va,
    /// How much speaks for it.
    pub evidence: Evidence,
    /// What speaks for it.
    pub known_by: String,
}

/// A global that was not found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MissingGlobal {
    /// Its C name.
    pub name: &'static str,
    /// What was looked for, and what came of it.
    pub why: String,
}

/// Verifier's globals, as far as they show themselves.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Globals {
    /// Those that were found.
    pub found: Vec<FoundGlobal>,
    /// Those that were not.
    pub missing: Vec<MissingGlobal>,
}

impl Globals {
    /// Looks for Verifier's globals in the memory of `kernel` with the layouts of `types`. Nothing is
    /// found by a search that is stopped ([`Kernel::stop_when`]).
    #[must_use]
    pub fn find(kernel: &Kernel, types: &dyn TypeSource) -> Self {
        Self::find_in(kernel, types, &ImageData::read(kernel)).0
    }

    /// The built-in layouts that fit `kernel`, with the globals that were found by them; `None` where none
    /// are known to.
    #[must_use]
    pub fn fit(kernel: &Kernel) -> Option<Profile> {
        fit::fit(kernel)
    }

    /// The globals, and what speaks for `types`.
    fn find_in(kernel: &Kernel, types: &dyn TypeSource, data: &ImageData) -> (Self, Fit) {
        let mut globals = Self::default();
        match kernel.debugger_data() {
            Ok(data) if kernel.space().is_kernel(data.mm_verifier_data) => {
                globals.found(
                    "MmVerifierData",
                    data.mm_verifier_data,
                    Evidence::Stated,
                    "the debugger data block names it".into(),
                );
            }
            Ok(_) => {
                globals.missing("MmVerifierData", "the debugger data block does not name it".into())
            }
            Err(error) => globals.missing(
                "MmVerifierData",
                format!("the debugger data block would name it: {error}"),
            ),
        }
        let lost = Lost::new(kernel, types);
        let mut searched = Self::default();
        let images = drivers::find(kernel, types, data, &lost, &mut searched);
        let tree = trees::find(kernel, types, data, &mut searched);
        let blocks = log_order::Outstanding { images: &images, lost: &lost, tree: tree.as_ref() };
        pool_log::find(kernel, types, data, &blocks, &mut searched);
        let fit = Fit::of(kernel, types, &searched, &images, tree.is_some());
        if kernel.is_stopped() {
            searched.forget();
        }
        globals.found.append(&mut searched.found);
        globals.missing.append(&mut searched.missing);
        (globals, fit)
    }

    /// A search that was stopped may have seen one of two places that both could be: it has found nothing.
    fn forget(&mut self) {
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

    /// The profile with what was found and what was not.
    #[must_use]
    pub fn add_to(&self, mut profile: Profile, kernel: &Kernel) -> Profile {
        for global in &self.found {
            // All of them lie in the kernel's image.
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

    fn found(&mut self, name: &'static str, address: Va, evidence: Evidence, known_by: String) {
        self.found.push(FoundGlobal { name, address, evidence, known_by });
    }

    fn missing(&mut self, name: &'static str, why: String) {
        self.missing.push(MissingGlobal { name, why });
    }
}
