//! Verifier's globals without the kernel's PDB: a search recognizes them by the data that they point at.
//!
//! The debugger data block names `MmVerifierData`. The others are searched for in the data sections of the
//! kernel's image, as far as their pages are in the dump:
//!
//! * `ViTargetDriversAvl`: a `_VF_AVL_TREE` whose tree can be walked and whose nodes hold data with
//!   Verifier's signature 0x98761940, which nothing else has;
//! * `VfSuspectDriversList`: the data of a verified driver points at its entry in this list, and the only
//!   link of the ring that is in the kernel's image is the list's head. Without such data: a list whose
//!   entries all have a file name and counts that agree with the loaded modules;
//! * `VfPoolTraces`: a pointer to a page of records whose stacks start in modules; `VfPoolTracesLength` and
//!   `VfPoolTracesIndex` by the slots that are in use (see `pool_log.rs`);
//! * `ViPoolInfoAvl` and `ViPoolStackInfoAvl`: trees whose elements are blocks that point at stacks, and
//!   those stacks (see `trees.rs`).
//!
//! If two places fit, neither is taken: the global is missing, and says so. A caller that has the kernel's
//! symbols needs none of this.

mod data;
mod drivers;
mod found;
mod layouts;
mod log_order;
mod plausible;
mod pool_log;
mod search;
mod trees;

pub use found::{FoundGlobal, GlobalEvidence, Globals, MissingGlobal};
