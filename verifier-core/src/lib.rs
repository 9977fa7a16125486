//! Reads the data that Windows Driver Verifier keeps inside the kernel, from crash dumps or any other memory.
//!
//! You give it bytes by address (a dump file's bytes, physical memory with its page tables, or virtual memory that
//! another tool translates) and the kernel's types and symbols (a PDB, a Volatility 3 ISF table, or literals). It
//! returns plain records: settings and statistics, verified drivers, each pool allocation that they still hold,
//! the log of recent allocations and frees with call stacks; and the same as the debugger's own text, JSON or CSV.
//!
//! # Which crate
//!
//! | you have | take |
//! |---|---|
//! | dump files, a symbol store or server | `verifier-host`: one call opens a dump with its symbols; also the `verifier` command |
//! | your own memory reader, or a tool that must not do I/O | this crate |
//! | a test that needs a dump | `verifier-synth`: builds dumps and their symbol tables |
//!
//! # Open a dump and print its leaks
//!
//! ```
//! use std::sync::Arc;
//! use verifier_core::analysis::{GroupBy, Leaks};
//! use verifier_core::dump::Dump;
//! use verifier_core::kernel::{AddressSpace, Hints, Kernel};
//! use verifier_core::render::LeaksView;
//!
//! # let sample = verifier_synth::walkthrough();
//! # let bytes = sample.dump;
//! let dump = Dump::open(Arc::new(bytes))?; // the whole file, or your own `ReadAt`
//! let kernel = Kernel::open(AddressSpace::of_dump(&dump)?, Hints::of_dump(&dump))?;
//! for wanted in kernel.wanted_symbols() {
//!     println!("{wanted}"); // fetch the PDB and call `kernel.supply_pdb`
//! #   let Ok(pdb) = &wanted.pdb else { continue };
//! #   let (_, table) = sample.files.iter().find(|(path, _)| path.starts_with(&pdb.name)).unwrap();
//! #   kernel.supply_isf(wanted.module, Arc::new(verifier_core::types::Isf::parse(table)?));
//! }
//! let leaks = Leaks::read(&kernel, |_| true)?;
//! for group in &LeaksView::new(&kernel, &leaks, GroupBy::Stack) {
//!     println!("{} blocks, {} bytes: {}", group.blocks.len(), group.bytes, group.label());
//! }
//! println!("{}", leaks.completeness().extent); // "complete": nothing else leaked
//! # assert_eq!(leaks.blocks.len(), 10);
//! # Ok::<(), verifier_core::Error>(())
//! ```
//!
//! # Bring your own memory
//!
//! [`FromFn`](memory::FromFn) makes memory from a closure that reads one address range.
//! [`Memory`](memory::Memory) is the trait with the reasons why bytes are absent, and
//! [`OnThread`](memory::OnThread) is for a reader that is not `Send`.
//!
//! ```
//! use std::sync::Arc;
//! use verifier_core::kernel::{AddressSpace, Hints, Kernel, Landmarks};
//! use verifier_core::machine::Machine;
//! use verifier_core::memory::FromFn;
//! use verifier_core::{Error, Pa};
//!
//! /// `read` fills a buffer from a physical address; `dtb` is the page tables' (CR3).
//! fn open(
//!     read: impl Fn(u64, &mut [u8]) -> Result<(), String> + Send + Sync + 'static,
//!     dtb: Pa,
//!     hints: Hints, // the address of PsLoadedModuleList or of the debugger data block
//! ) -> Result<Kernel, Error> {
//!     let physical = Arc::new(FromFn::new(move |at: Pa, buf: &mut [u8]| read(at.0, buf)));
//!     let marks = Landmarks::from(&hints);
//!     Kernel::open(AddressSpace::of_tables(physical, dtb, Machine::X64, None, &marks), hints)
//! }
//! ```
//!
//! If the host translates addresses itself, use [`AddressSpace::new`](kernel::AddressSpace::new). If the address
//! of the kernel is unknown, [`find_kernel`](kernel::find_kernel) searches for it. A test needs no dump at all:
//! [`Literals`](types::Literals) has an example.
//!
//! # What it does not do
//!
//! This crate does no I/O: it names the symbols that it wants
//! ([`Kernel::wanted_symbols`](kernel::Kernel::wanted_symbols)), and you bring the bytes. Without symbols it uses
//! layouts of its own ([`types::Profile`]), finds Verifier's globals by the data that they point to
//! ([`verifier::Globals`]), or finds the data itself ([`verifier::CarvedPool`]), and says so. It never changes a
//! dump, never guesses between two possible places, and does not stop at one bad record: every view returns what
//! it could read, `problems` that say where and why it could not read the rest, and whether the answer is complete
//! ([`Completeness`]).
//!
//! # The modules
//!
//! Each module uses only those before it: [`addr`], [`dump`] (where the pages of a file are),
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
//! build yourself are not, such as [`Hints`](kernel::Hints), [`Module`](kernel::Module),
//! [`Structure`](types::Structure) and [`Fault`]. The same is true of types that are complete by their meaning, such as
//! [`Extent`] and [`DriverState`](verifier::DriverState).
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
#[doc(hidden)]
pub mod internals;
pub mod kernel;
pub mod machine;
pub mod memory;
mod number;
mod pdb_id;
mod raw;
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
