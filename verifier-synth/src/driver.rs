//! A driver to load: what it is called, where it lies, what is known of it.

use crate::image::PdbId;

/// A driver to load.
#[derive(Debug, Clone)]
pub struct Driver {
    pub(crate) name: String,
    pub(crate) base: Option<u64>,
    pub(crate) size: u32,
    pub(crate) time_date_stamp: Option<u32>,
    pub(crate) pdb: Option<PdbId>,
    pub(crate) exports: Vec<(String, u32)>,
    pub(crate) symbols: Vec<(String, u32)>,
}

impl Driver {
    /// A driver of nine pages without PDB and exports.
    pub fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            base: None,
            size: 0x9000,
            time_date_stamp: None,
            pdb: None,
            exports: Vec::new(),
            symbols: Vec::new(),
        }
    }

    /// Where it is loaded.
    pub fn base(mut self, base: u64) -> Self {
        self.base = Some(base);
        self
    }

    /// `SizeOfImage`, in whole pages, five at least.
    pub fn size(mut self, size: u32) -> Self {
        self.size = size;
        self
    }

    /// `TimeDateStamp`.
    pub fn time_date_stamp(mut self, stamp: u32) -> Self {
        self.time_date_stamp = Some(stamp);
        self
    }

    /// Gives it a PDB of this name, with a GUID made from the name, and a symbol table in the sample.
    pub fn pdb(self, name: &str) -> Self {
        self.pdb_id(PdbId::from_name(name))
    }

    /// Gives it a PDB, and a symbol table in the sample.
    pub fn pdb_id(mut self, pdb: PdbId) -> Self {
        self.pdb = Some(pdb);
        self
    }

    /// A name in its export directory.
    pub fn export(mut self, name: &str, rva: u32) -> Self {
        self.exports.push((name.to_owned(), rva));
        self
    }

    /// A symbol of its PDB.
    pub fn symbol(mut self, name: &str, rva: u32) -> Self {
        self.symbols.push((name.to_owned(), rva));
        self
    }
}
