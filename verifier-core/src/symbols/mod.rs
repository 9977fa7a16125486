//! Addresses in, names out: one table for each image.
//!
//! A [`SymbolTable`] is sorted by address and answers with the nearest symbol at or below, as
//! debuggers do. It is filled from a PDB (procedures of a private one before public symbols), from
//! an ISF table, or from the image's own export directory where no PDB can be had ([`ImageHeaders`]).
//! What a kernel asks is a [`SymbolLookup`], which a PDB with indexes of its own is too.
//! Decoration is taken off when names go in (32-bit `_Name@8`) or come out (C++).

mod guard;
mod id;
mod image;
mod name;
mod table;

pub use guard::guard;
pub use id::{PdbId, guid_hex};
pub use image::{ImageHeaders, Section};
pub(crate) use name::{cut, shown};
pub use name::{demangle, undecorate};
pub(crate) use table::PlacedNames;
pub use table::{SymbolKind, SymbolLookup, SymbolTable, SymbolTableBuilder};
