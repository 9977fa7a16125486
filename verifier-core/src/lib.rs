//! Reads what Windows Driver Verifier keeps inside the kernel, out of crash dumps or any other memory.
//!
//! **In:** bytes by address (a dump file's bytes, physical memory with its page tables, or virtual
//! memory that something else translates) and the kernel's types and symbols (a PDB, a Volatility 3
//! ISF table, or literals). **Out:** plain records: settings and statistics, verified drivers, each
//! pool allocation that they still hold, the log of recent allocations and frees with call stacks,
//! and the same as the debugger's own text, JSON or CSV.
//!
//! **What you bring:** this crate does no I/O. It says what it wants as values
//! ([`Kernel::wanted_symbols`](kernel::Kernel::wanted_symbols) gives PDB names and GUIDs) and you
//! bring the bytes; `verifier-host` is one way to do that. Without symbols it uses layouts of its own
//! ([`types::Profile`]), finds Verifier's globals by the data that they point to
//! ([`verifier::Globals`]), or finds the data itself ([`verifier::CarvedPool`]), and says so. **What it
//! will not do:** change a dump, guess between two possible places, or stop at one bad record: every
//! view returns what it could read, `problems` that say where and why it could not read the rest, and
//! whether the answer is complete ([`Completeness`]).
//!
//! # From three literals
//!
//! A view needs memory, types and symbols. Three literals are enough:
//!
//! ```
//! use std::sync::Arc;
//! use verifier_core::kernel::{AddressSpace, Hints, Kernel};
//! use verifier_core::machine::Machine;
//! use verifier_core::memory::SparsePages;
//! use verifier_core::types::{Literals, Shape};
//! use verifier_core::verifier::Settings;
//! use verifier_core::Va;
//!
//! // A module list of one image, and the structure that MmVerifierData names.
//! let (list, entry, base) = (0xffff_f800_0020_0000u64, 0xffff_fa80_0010_0000u64, 0xffff_f800_0000_0000u64);
//! let mut module = vec![0u8; 0x70];
//! module[..8].copy_from_slice(&list.to_le_bytes());                 // InLoadOrderLinks
//! module[8..16].copy_from_slice(&list.to_le_bytes());
//! module[0x30..0x38].copy_from_slice(&base.to_le_bytes());          // DllBase
//! module[0x40..0x44].copy_from_slice(&0x60_0000u32.to_le_bytes());  // SizeOfImage
//! let memory = SparsePages::new()
//!     .with(Va(list), &[entry.to_le_bytes(), entry.to_le_bytes()].concat())
//!     .with(Va(entry), &module)
//!     .with(Va(base + 0x1000), &[0xbb, 0x09, 0, 0, 7, 0, 0, 0]);
//! let types = Literals::new()
//!     .with_type("_MM_DRIVER_VERIFIER_DATA", 8,
//!         &[("Level", 0, Shape::Unsigned(4)), ("RaiseIrqls", 4, Shape::Unsigned(4))])
//!     .with_symbol("MmVerifierData", 0x1000);
//!
//! let space = AddressSpace::new(Arc::new(memory), Machine::X64);
//! let hints = Hints { ps_loaded_module_list: Some(Va(list)), ..Hints::default() };
//! let kernel = Kernel::open(space, hints)?;
//! kernel.supply_types(Arc::new(types));
//!
//! let settings = Settings::read(&kernel)?;
//! assert_eq!(settings.level.0, 0x9bb);
//! assert_eq!(settings.statistics.get("RaiseIrqls"), Some(7));
//! # Ok::<(), verifier_core::Error>(())
//! ```
//!
//! # The modules
//!
//! Each module uses only those before it: [`addr`], [`raw`] (file formats), [`dump`] (where the pages of a file are),
//! [`memory`] (the one loop over pages, page tables), [`symbols`] (addresses to names), [`types`]
//! (names to offsets), [`kernel`] (modules, lists, trees), [`verifier`] (one file for each question of an
//! engineer), [`analysis`] (joins), [`render`] (text, JSON, CSV).
//!
//! # Features
//!
//! | feature | adds | crates |
//! |---|---|---|
//! | `pdb` | [`types::Pdb`], [`Kernel::supply_pdb`](kernel::Kernel::supply_pdb) | `pdb` |
//! | `render` | [`render`] | `csv` |
//!
//! Both are on by default. Without `pdb`, types and symbols come from ISF tables, the built-in layouts, export
//! tables, or a [`TypeSource`](types::TypeSource) of yours.
//!
//! # Growth
//!
//! Windows grows, and so do the records and enums that show it: they are `#[non_exhaustive]`. Types that you
//! build yourself, such as [`Hints`](kernel::Hints), [`Module`](kernel::Module) and
//! [`Structure`](types::Structure), are not.
//!
//! # Trust
//!
//! A dump is hostile input. There is no `unsafe` here, walks are bounded by
//! [`Limits`](kernel::Limits) and end on cycles, declared counts are checked against the bytes that are there
//! before anything is allocated (`SECURITY.md` lists the bounds), and lints deny indexing, `unwrap` and
//! `panic!`. PDBs are parsed by the `pdb` crate, which may panic on malformed records: such a panic is
//! caught in the one file that uses the crate (with `panic = "abort"` it cannot be caught).

#![cfg_attr(docsrs, feature(doc_cfg))]

pub mod addr;
pub mod analysis;
mod bytes;
mod completeness;
pub mod describe;
pub mod dump;
pub mod error;
mod extent;
pub mod kernel;
pub mod machine;
pub mod memory;
mod number;
mod pdb_id;
pub mod raw;
#[cfg(feature = "render")]
pub mod render;
pub mod symbols;
pub mod types;
pub mod verifier;

pub use addr::{Pa, Pfn, Rva, Va};
pub use completeness::Completeness;
pub use error::{Error, Fault, Problem, Reason};
pub use extent::Extent;

/// The README's example compiles too.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
