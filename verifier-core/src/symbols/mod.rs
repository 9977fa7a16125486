//! Names for addresses: one table for each image.
//!
//! A [`SymbolTable`] is sorted by address and returns the nearest symbol at or below an address, as debuggers
//! do. It is filled from a PDB (procedures of a private PDB come before public symbols), from an ISF table,
//! or from the image's own export directory if no PDB is available ([`ImageHeaders`]). A kernel uses the
//! trait [`SymbolLookup`], which a PDB with its own indexes also implements. Decoration is removed when names
//! are added (32-bit `_Name@8`) or returned (C++). A PDB that has lines of source code also gives the
//! [`SourceSite`] of an address.

pub(crate) mod guard;
mod image;
mod name;
#[cfg(feature = "pdb")]
mod placed;
mod source;
mod table;

pub use crate::pdb_id::{PdbId, guid_hex};
pub(crate) use guard::guard;
pub use image::{ImageHeaders, Section};
pub(crate) use name::cut;
#[cfg(feature = "pdb")]
pub(crate) use name::shown;
pub use name::{demangle, undecorate};
#[cfg(feature = "pdb")]
pub(crate) use placed::PlacedNames;
pub use source::{InlinedFrame, SourceRoots, SourceSite, file_name};
pub use table::{SymbolKind, SymbolLookup, SymbolTable, SymbolTableBuilder};
