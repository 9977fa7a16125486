//! A driver to load: its name, its address, its PDB and its symbols.

use crate::image::PdbId;
use crate::linked::Linked;

/// A driver to load.
#[derive(Debug, Clone)]
pub struct Driver {
    pub(crate) name: String,
    pub(crate) base: Option<u64>,
    pub(crate) size: u32,
    pub(crate) time_date_stamp: Option<u32>,
    pub(crate) pdb: Option<PdbId>,
    pub(crate) pdb_file: Option<Vec<u8>>,
    pub(crate) exports: Vec<(String, u32)>,
    pub(crate) symbols: Vec<(String, u32)>,
}

impl Driver {
    /// A driver of nine pages, without a PDB or exports.
    pub fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            base: None,
            size: 0x9000,
            time_date_stamp: None,
            pdb: None,
            pdb_file: None,
            exports: Vec::new(),
            symbols: Vec::new(),
        }
    }

    /// Sets its load address.
    pub fn base(mut self, base: u64) -> Self {
        self.base = Some(base);
        self
    }

    /// Sets `SizeOfImage`: whole pages, at least five.
    pub fn size(mut self, size: u32) -> Self {
        self.size = size;
        self
    }

    /// Sets `TimeDateStamp`.
    pub fn time_date_stamp(mut self, stamp: u32) -> Self {
        self.time_date_stamp = Some(stamp);
        self
    }

    /// Adds a PDB with this name and a GUID made from the name; the sample then has a symbol table for it.
    pub fn pdb(self, name: &str) -> Self {
        self.pdb_id(PdbId::from_name(name))
    }

    /// Adds a PDB; the sample then has a symbol table for it.
    pub fn pdb_id(mut self, pdb: PdbId) -> Self {
        self.pdb = Some(pdb);
        self
    }

    /// Gives it the size, the stamp and the PDB of an image that a linker made. The sample then has that PDB
    /// instead of a symbol table.
    pub fn linked(mut self, linked: &Linked) -> Self {
        self.pdb_file = Some(linked.pdb.to_vec());
        self.size(linked.size()).time_date_stamp(linked.time_date_stamp()).pdb_id(linked.pdb_id())
    }

    /// Adds a name to its export directory.
    pub fn export(mut self, name: &str, rva: u32) -> Self {
        self.exports.push((name.to_owned(), rva));
        self
    }

    /// Adds a symbol to its PDB.
    pub fn symbol(mut self, name: &str, rva: u32) -> Self {
        self.symbols.push((name.to_owned(), rva));
        self
    }
}
