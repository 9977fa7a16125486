//! The search for one module's symbols.
//!
//! An image names the PDB that belongs to it. If its pages are not in the dump, as in a small one, there are
//! two other ways: the image's file names the PDB, and a symbol store has that file under time stamp and
//! size; or a PDB or table that the user names, or that is in a store or folder, is taken as the kernel's if
//! it agrees with the dump's header about the addresses of the kernel's lists.

use std::cell::RefCell;
use std::sync::Arc;

use verifier_core::kernel::{Kernel, WantedSymbols};
use verifier_core::types::{Isf, Pdb, TypeSource};

use crate::progress::Progress;
use crate::symbols::{
    Attempt, FileBytes, Found, ImageId, Located, PdbId, SymbolPath, expand_xz, pdb_of_image,
};

/// Why symbols are refused that only addresses could show to be the kernel's.
pub(crate) const OTHER_ADDRESSES: &str = "they put PsLoadedModuleList or KdDebuggerDataBlock \
    elsewhere than the dump's header: they are of another build";

/// The result of the search for one module's symbols.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct SymbolLoad {
    /// What was wanted.
    pub wanted: WantedSymbols,
    /// Where the symbols are from; `None` if none were found.
    pub found: Option<String>,
    /// Each place that was tried and why it did not serve, and remarks.
    pub attempts: Vec<Attempt>,
    /// Why a file that was found could not be used.
    pub unusable: Option<String>,
}

impl SymbolLoad {
    /// A result of which nothing is known yet.
    pub(crate) fn new(wanted: WantedSymbols) -> Self {
        Self { wanted, found: None, attempts: Vec::new(), unusable: None }
    }

    /// Which file would help and where it was looked for, if symbols are missing.
    #[must_use]
    pub fn missing(&self) -> Option<String> {
        if self.found.is_some() {
            return None;
        }
        let mut text = format!("no symbols: {} is wanted", self.wanted);
        if let Some(why) = &self.unusable {
            text.push_str(&format!("; what was found cannot be used: {why}"));
        }
        if self.attempts.is_empty() {
            text.push_str(
                "; no symbol path was given (the command takes --symbols PATH, or _NT_SYMBOL_PATH)",
            );
        } else {
            let places: Vec<String> = self.attempts.iter().map(ToString::to_string).collect();
            text.push_str(&format!("; looked at {}", places.join("; ")));
        }
        Some(text)
    }

    /// The same in one short line, without the places and the image's name.
    pub(crate) fn missing_why(&self) -> Option<String> {
        if self.found.is_some() {
            return None;
        }
        let wanted = self.wanted.pdb.as_ref().map_or("its PDB", |pdb| &pdb.name);
        let verb = if self.unusable.is_some() { "cannot be used" } else { "is missing" };
        Some(format!("{wanted} {verb}; `verifier info` shows where it was looked for"))
    }
}

fn parse_table(bytes: &FileBytes) -> Result<Isf, String> {
    let bytes = bytes.read().map_err(|why| why.to_string())?;
    Isf::parse(&bytes).map_err(|error| error.to_string())
}

/// Where to search, and the receiver of progress.
pub(crate) struct Lookup<'a> {
    pub(crate) path: &'a SymbolPath,
    pub(crate) progress: &'a dyn Progress,
}

impl Lookup<'_> {
    /// Searches for the wanted symbols and supplies them.
    pub(crate) fn find(&self, kernel: &Kernel, wanted: WantedSymbols) -> SymbolLoad {
        let mut load = SymbolLoad::new(wanted);
        let id = match load.wanted.pdb.clone() {
            Ok(id) => Some(id),
            Err(_) => self.pdb_by_image(&mut load),
        };
        match id {
            Some(id) => {
                self.pdb(kernel, &id, &mut load);
                if load.found.is_none() {
                    self.table(kernel, &id, &mut load);
                }
            }
            None => self.by_addresses(kernel, &mut load),
        }
        load
    }

    /// Searches for a PDB.
    fn pdb(&self, kernel: &Kernel, id: &PdbId, load: &mut SymbolLoad) {
        // The last candidate: if the search finds a PDB, it is this one.
        let candidate = RefCell::new(None);
        let verify = |bytes: &FileBytes| {
            let pdb = bytes.pdb(&id.name).ok()?;
            let PdbId { guid, age, .. } = pdb.id();
            candidate.replace(Some(pdb));
            Some((guid, age))
        };
        match self.path.locate_pdb(id, &verify, self.progress) {
            Located::Found(Found { origin, attempts, .. }) => {
                load.attempts.extend(attempts);
                if let Some(pdb) = candidate.take() {
                    match kernel.supply_pdb(load.wanted.module, Arc::new(pdb)) {
                        Ok(()) => load.found = Some(origin),
                        Err(error) => load.unusable = Some(format!("{origin}: {error}")),
                    }
                }
            }
            Located::NotFound(missing) => load.attempts.extend(missing.attempts),
        }
    }

    /// Searches for an ISF table made from a PDB.
    fn table(&self, kernel: &Kernel, id: &PdbId, load: &mut SymbolLoad) {
        match self.path.locate_isf(id) {
            Located::Found(Found { bytes, origin, .. }) => match parse_table(&bytes) {
                Ok(isf) if isf.pdb_id().is_some_and(|table| table.guid != id.guid) => {
                    load.unusable = Some(format!("{origin}: a table of another PDB"));
                }
                Ok(isf) => {
                    kernel.supply_isf(load.wanted.module, Arc::new(isf));
                    load.found = Some(origin);
                }
                Err(error) => load.unusable = Some(format!("{origin}: {error}")),
            },
            Located::NotFound(missing) => {
                for attempt in missing.attempts {
                    // The search for the PDB may have tried the same folder.
                    if !load.attempts.contains(&attempt) {
                        load.attempts.push(attempt);
                    }
                }
            }
        }
    }

    /// The PDB that the image's file names.
    fn pdb_by_image(&self, load: &mut SymbolLoad) -> Option<PdbId> {
        let id = ImageId {
            name: load.wanted.image.clone(),
            time_date_stamp: load.wanted.time_date_stamp?,
            size_of_image: load.wanted.size_of_image,
        };
        match self.path.locate_image(&id, self.progress) {
            Located::Found(found) => {
                load.attempts.extend(found.attempts);
                pdb_of_image(&found.bytes.read().ok()?)
            }
            Located::NotFound(missing) => {
                load.attempts.extend(missing.attempts);
                None
            }
        }
    }

    /// Takes a file on disk as the kernel's symbols if its addresses agree: a file that the user named, or
    /// the symbols of any kernel in a store or folder.
    fn by_addresses(&self, kernel: &Kernel, load: &mut SymbolLoad) {
        let module = load.wanted.module;
        if kernel.kernel_module() != Some(module) {
            return;
        }
        let limits = self.path.limits();
        let mut others = 0usize;
        for file in self.path.kernel_files() {
            if self.progress.is_canceled() {
                return;
            }
            let symbols = file
                .read(limits.file_bytes)
                .and_then(|bytes| KernelSymbols::parse("", bytes, limits.isf_bytes).ok());
            let Some(symbols) = symbols else { continue };
            let path = file.path.display();
            match kernel.agrees_with(symbols.types()) {
                Some(true) => {}
                // Most kernels in a store are of other builds.
                _ if !file.is_named => {
                    others += 1;
                    continue;
                }
                _ => {
                    load.unusable = Some(format!("{path}: {OTHER_ADDRESSES}"));
                    continue;
                }
            }
            match symbols.supply(kernel, module) {
                Ok(()) => {
                    load.found = Some(path.to_string());
                    return;
                }
                Err(error) => load.unusable = Some(format!("{path}: {error}")),
            }
        }
        if others > 0 {
            load.unusable.get_or_insert_with(|| {
                format!("of {others} kernels' symbols on the path each: {OTHER_ADDRESSES}")
            });
        }
    }
}

/// A PDB or an ISF table for the kernel, read from any bytes.
pub(crate) enum KernelSymbols {
    Pdb(Arc<Pdb>),
    Isf(Arc<Isf>),
}

impl KernelSymbols {
    /// Reads a PDB, which gets that name, an ISF table, or one in `.xz` of at most `isf_bytes`.
    pub(crate) fn parse(
        name: &str,
        bytes: Vec<u8>,
        isf_bytes: u64,
    ) -> Result<Self, verifier_core::Error> {
        let refuse = |kind, why: String| verifier_core::Error::Symbols { kind, why };
        if bytes.starts_with(b"Microsoft C/C++ MSF") {
            return Ok(Self::Pdb(Arc::new(Pdb::parse(name, Arc::new(bytes))?)));
        }
        let bytes = if bytes.starts_with(b"\xfd7zXZ\0") {
            expand_xz(&bytes, isf_bytes).map_err(|why| refuse("ISF", why.to_string()))?
        } else {
            bytes
        };
        let text = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&bytes);
        if text.trim_ascii_start().first() != Some(&b'{') {
            return Err(refuse("supplied", "neither a PDB nor an ISF table".into()));
        }
        Ok(Self::Isf(Arc::new(Isf::parse(text)?)))
    }

    /// "PDB" or "ISF".
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Pdb(_) => "PDB",
            Self::Isf(_) => "ISF",
        }
    }

    /// The GUID of the PDB; of a table, that of the PDB from which it was made, if the table has it.
    pub(crate) fn guid(&self) -> Option<[u8; 16]> {
        match self {
            Self::Pdb(pdb) => Some(pdb.id().guid),
            Self::Isf(isf) => isf.pdb_id().map(|id| id.guid),
        }
    }

    pub(crate) fn types(&self) -> &dyn TypeSource {
        match self {
            Self::Pdb(pdb) => &**pdb,
            Self::Isf(isf) => &**isf,
        }
    }

    pub(crate) fn supply(
        &self,
        kernel: &Kernel,
        module: usize,
    ) -> Result<(), verifier_core::Error> {
        match self {
            Self::Pdb(pdb) => kernel.supply_pdb(module, Arc::clone(pdb)),
            Self::Isf(isf) => {
                kernel.supply_isf(module, Arc::clone(isf));
                Ok(())
            }
        }
    }
}
