//! The search for one module's symbols.
//!
//! An image tells which PDB belongs to it. Where its pages are not in the dump, as in a small one, the
//! image's file tells, which a symbol store has under time stamp and size; and a PDB or table that the
//! user names, or that lies in a store or folder, is taken for the kernel's where it puts the kernel's
//! lists where the dump's header does.

use std::cell::RefCell;
use std::sync::Arc;

use verifier_core::kernel::{Kernel, WantedSymbols};
use verifier_core::types::{Bytes, Isf, Pdb, TypeSource};

use crate::progress::Progress;
use crate::symbols::{
    Attempt, Found, ImageId, Located, PdbId, SymbolPath, expand_xz, pdb_of_image,
};

/// Why a kernel's symbols are refused that are known by addresses alone.
pub(crate) const OTHER_ADDRESSES: &str = "they put PsLoadedModuleList or KdDebuggerDataBlock \
    elsewhere than the dump's header: they are of another build";

/// What became of the search for one module's symbols.
#[derive(Debug, Clone)]
pub struct SymbolLoad {
    /// What was wanted.
    pub wanted: WantedSymbols,
    /// Where the symbols are from; `None` where none were found.
    pub found: Option<String>,
    /// Remarks, and why what was found or looked at did not serve.
    pub attempts: Vec<Attempt>,
    /// Why a file that was found could not be used.
    pub unusable: Option<String>,
}

impl SymbolLoad {
    /// What to tell the user where symbols are missing: which file would help and where it was
    /// looked for.
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

    /// The same in one short line, without the places.
    #[must_use]
    pub fn missing_line(&self) -> Option<String> {
        let image = &self.wanted.image;
        Some(format!("no symbols for {image}: {}", self.missing_why()?))
    }

    /// The same without the image's name.
    pub(crate) fn missing_why(&self) -> Option<String> {
        if self.found.is_some() {
            return None;
        }
        let wanted = self.wanted.pdb.as_ref().map_or("its PDB", |pdb| &pdb.name);
        let verb = if self.unusable.is_some() { "cannot be used" } else { "is missing" };
        Some(format!("{wanted} {verb}; `verifier info` shows where it was looked for"))
    }
}

/// Where and for whom is searched.
pub(crate) struct Lookup<'a> {
    pub(crate) path: &'a SymbolPath,
    pub(crate) progress: &'a dyn Progress,
}

impl Lookup<'_> {
    /// Searches for what is wanted and supplies it.
    pub(crate) fn find(&self, kernel: &Kernel, wanted: WantedSymbols) -> SymbolLoad {
        let mut load = SymbolLoad { wanted, found: None, attempts: Vec::new(), unusable: None };
        let id = match load.wanted.pdb.clone() {
            Ok(id) => id,
            Err(_) => match self.pdb_by_image(&mut load) {
                Some(id) => id,
                None => {
                    self.by_addresses(kernel, &mut load);
                    return load;
                }
            },
        };
        let module = load.wanted.module;
        // The candidate that was looked at last: where the search finds one, that is it.
        let candidate = RefCell::new(None);
        let verify = |bytes: &Arc<Vec<u8>>| {
            let pdb = Pdb::parse(&id.name, Arc::clone(bytes) as Bytes).ok()?;
            let PdbId { guid, age, .. } = pdb.id();
            candidate.replace(Some(pdb));
            Some((guid, age))
        };
        match self.path.locate_pdb(&id, &verify, self.progress) {
            Located::Found(Found { origin, attempts, .. }) => {
                load.attempts.extend(attempts);
                if let Some(pdb) = candidate.take() {
                    match kernel.supply_pdb(module, Arc::new(pdb)) {
                        Ok(()) => load.found = Some(origin),
                        Err(error) => load.unusable = Some(format!("{origin}: {error}")),
                    }
                }
            }
            Located::NotFound(missing) => load.attempts.extend(missing.attempts),
        }
        if load.found.is_some() {
            return load;
        }
        match self.path.locate_isf(&id) {
            Located::Found(Found { bytes, origin, .. }) => match Isf::parse(&bytes) {
                Ok(isf) if isf.pdb_id().is_some_and(|table| table.guid != id.guid) => {
                    load.unusable = Some(format!("{origin}: a table of another PDB"));
                }
                Ok(isf) => {
                    kernel.supply_isf(module, Arc::new(isf));
                    load.found = Some(origin);
                }
                Err(error) => load.unusable = Some(format!("{origin}: {error}")),
            },
            Located::NotFound(missing) => {
                for place in missing.attempts {
                    // A folder that is not there is told once.
                    if !load.attempts.contains(&place) {
                        load.attempts.push(place);
                    }
                }
            }
        }
        load
    }

    /// The PDB that the image's file tells.
    fn pdb_by_image(&self, load: &mut SymbolLoad) -> Option<PdbId> {
        let id = ImageId {
            name: load.wanted.image.clone(),
            time_date_stamp: load.wanted.time_date_stamp?,
            size_of_image: load.wanted.size_of_image,
        };
        match self.path.locate_image(&id, self.progress) {
            Located::Found(found) => {
                load.attempts.extend(found.attempts);
                pdb_of_image(&found.bytes)
            }
            Located::NotFound(missing) => {
                load.attempts.extend(missing.attempts);
                None
            }
        }
    }

    /// Takes a file on disk for the kernel's symbols where addresses say so: one that the user named,
    /// or a kernel's in a store or folder.
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
                // Of many in a store most are of other builds.
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

/// A PDB or an ISF table for the kernel, out of bytes of which nothing is known.
pub(crate) enum KernelSymbols {
    Pdb(Arc<Pdb>),
    Isf(Arc<Isf>),
}

impl KernelSymbols {
    /// Reads a PDB, which is to have that name, an ISF table, or one in `.xz` of at most `isf_bytes`.
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

    /// The GUID of the PDB, where a table tells which one it was made from.
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
