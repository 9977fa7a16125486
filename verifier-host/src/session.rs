//! A dump file, the kernel in it, and the symbols that are found for it.

use std::cell::RefCell;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use verifier_core::Va;
use verifier_core::dump::Dump;
use verifier_core::kernel::{AddressSpace, Hints, Kernel, WantedSymbols};
use verifier_core::symbols::{PdbId, guid_hex};
use verifier_core::types::{Bytes, Isf, Pdb};

use crate::error::Error;
use crate::file::{FileMode, open_file};
use crate::progress::{Progress, Silent};
use crate::symbols::{Found, Located, MAX_ISF_BYTES, Place, SymbolPath, expand_xz};

/// Images beside the kernel whose frames stand between a driver and the pool.
const VERIFIER_IMAGES: [&str; 3] = ["verifierext.sys", "vfcompat.dll", "vfbasics.dll"];

/// How a session opens its file.
#[derive(Default)]
#[non_exhaustive]
pub struct SessionOptions {
    /// How the dump is read.
    pub mode: FileMode,
    /// Who is told of downloads and may cancel them; nobody by default.
    pub progress: Option<Box<dyn Progress + Send + Sync>>,
}

/// What became of the search for one module's symbols.
#[derive(Debug, Clone)]
pub struct SymbolLoad {
    /// What was wanted.
    pub wanted: WantedSymbols,
    /// Where the symbols are from; `None` where none were found.
    pub found: Option<String>,
    /// Remarks, and why what was found or looked at did not serve.
    pub looked: Vec<Place>,
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
        if self.looked.is_empty() {
            text.push_str(
                "; no symbol path was given (the command takes --symbols PATH, or _NT_SYMBOL_PATH)",
            );
        } else {
            let places: Vec<String> = self.looked.iter().map(ToString::to_string).collect();
            text.push_str(&format!("; looked at {}", places.join("; ")));
        }
        Some(text)
    }
}

/// A dump file and the kernel in it; or a kernel over memory of the caller's.
pub struct Session {
    file: Option<(PathBuf, Dump)>,
    kernel: Result<Arc<Kernel>, verifier_core::Error>,
    symbol_path: SymbolPath,
    progress: Box<dyn Progress + Send + Sync>,
    /// One for each module that was searched for, so that no module is searched for twice.
    loads: Mutex<Vec<SymbolLoad>>,
}

impl Session {
    /// Opens a dump and finds the kernel's symbols.
    ///
    /// # Errors
    /// Where the file cannot be read or has no dump header. A kernel that cannot be found is told
    /// by [`kernel`](Self::kernel), so that the header can be shown.
    pub fn open(path: &Path, symbol_path: SymbolPath) -> Result<Self, Error> {
        Self::open_with(path, symbol_path, SessionOptions::default())
    }

    /// The same with options.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn open_with(
        path: &Path,
        symbol_path: SymbolPath,
        options: SessionOptions,
    ) -> Result<Self, Error> {
        let dump = Dump::open(open_file(path, options.mode)?)?;
        let kernel = AddressSpace::of_dump(&dump)
            .and_then(|space| Kernel::open(space, Hints::from(dump.header())))
            .map(Arc::new);
        Ok(Self::over(Some((path.into(), dump)), kernel, symbol_path, options))
    }

    /// A session over a kernel that the caller opened on memory of their own, and that finds the
    /// kernel's symbols unless it has some.
    #[must_use]
    pub fn of_kernel(
        kernel: Arc<Kernel>,
        symbol_path: SymbolPath,
        options: SessionOptions,
    ) -> Self {
        Self::over(None, Ok(kernel), symbol_path, options)
    }

    fn over(
        file: Option<(PathBuf, Dump)>,
        kernel: Result<Arc<Kernel>, verifier_core::Error>,
        symbol_path: SymbolPath,
        options: SessionOptions,
    ) -> Self {
        let session = Self {
            file,
            kernel,
            symbol_path,
            progress: options.progress.unwrap_or_else(|| Box::new(Silent)),
            loads: Mutex::default(),
        };
        if let Ok(kernel) = &session.kernel
            && kernel.types().is_err()
            && let Some(wanted) = kernel.kernel_module().and_then(|module| kernel.wanted(module))
        {
            session.load(kernel, wanted);
        }
        session
    }

    /// The file, where the session has one.
    #[must_use]
    pub fn path(&self) -> Option<&Path> {
        self.file.as_ref().map(|(path, _)| path.as_path())
    }

    /// The dump, where the session has one.
    #[must_use]
    pub fn dump(&self) -> Option<&Dump> {
        self.file.as_ref().map(|(_, dump)| dump)
    }

    /// Who is told of downloads.
    #[must_use]
    pub fn progress(&self) -> &dyn Progress {
        &*self.progress
    }

    /// The kernel.
    ///
    /// # Errors
    /// Why it could not be found in the dump.
    pub fn kernel(&self) -> Result<&Arc<Kernel>, Error> {
        self.kernel.as_ref().map_err(|error| error.clone().into())
    }

    /// Finds symbols for every module that holds one of `addresses`, unless it was tried before.
    pub fn load_symbols_at(&self, addresses: impl IntoIterator<Item = Va>) {
        if let Ok(kernel) = &self.kernel {
            for wanted in kernel.wanted_symbols_at(addresses) {
                self.load(kernel, wanted);
            }
        }
    }

    /// Finds symbols for Verifier's own images beside the kernel: what a record of the pool log is
    /// about is told by the names of their frames, so they must be there before it is read.
    pub fn load_verifier_symbols(&self) {
        if let Ok(kernel) = &self.kernel {
            let own = |name: &str| VERIFIER_IMAGES.iter().any(|own| name.eq_ignore_ascii_case(own));
            let images = kernel.modules().loaded().iter().filter(|image| own(&image.name));
            self.load_symbols_at(images.map(|image| image.base));
        }
    }

    /// Finds symbols for every module.
    pub fn load_all_symbols(&self) {
        if let Ok(kernel) = &self.kernel {
            for wanted in kernel.wanted_symbols() {
                self.load(kernel, wanted);
            }
        }
    }

    /// What became of each search so far.
    #[must_use]
    pub fn symbol_loads(&self) -> Vec<SymbolLoad> {
        self.loads.lock().map(|loads| loads.clone()).unwrap_or_default()
    }

    /// What to tell the user about the kernel's symbols, where they are missing.
    #[must_use]
    pub fn missing_kernel_symbols(&self) -> Option<String> {
        let kernel = self.kernel.as_ref().ok()?;
        kernel.types().err()?;
        let module = kernel.kernel_module()?;
        self.symbol_loads().iter().find(|load| load.wanted.module == module)?.missing()
    }

    /// Supplies the kernel's symbols out of bytes that the caller has: a PDB, an ISF table or an ISF
    /// table in `.xz`. Symbols that are there already stay.
    ///
    /// # Errors
    /// [`verifier_core::Error::Symbols`] where the bytes are none of these, or belong to another
    /// build than the kernel, as far as its image tells which one it is.
    pub fn supply_kernel_symbols(&self, bytes: Vec<u8>) -> Result<(), Error> {
        let kernel = self.kernel()?;
        let module = kernel.kernel_module().ok_or_else(|| verifier_core::Error::Unsupported {
            what: "the kernel's image is not in the module list".into(),
        })?;
        let Some(wanted) = kernel.wanted(module) else { return Ok(()) };
        let refuse = |kind, why: String| Error::Core(verifier_core::Error::Symbols { kind, why });
        let fits = |kind, guid: &[u8; 16]| match &wanted.pdb {
            Ok(id) if id.guid != *guid => {
                Err(refuse(kind, format!("they have GUID {}, but {id} is wanted", guid_hex(guid))))
            }
            _ => Ok(()),
        };
        if bytes.starts_with(b"Microsoft C/C++ MSF") {
            let name = wanted.pdb.as_ref().map_or("", |id| &id.name);
            let pdb = Pdb::parse(name, Arc::new(bytes))?;
            fits("PDB", &pdb.id().guid)?;
            kernel.supply_pdb(module, Arc::new(pdb))?;
        } else {
            let bytes = if bytes.starts_with(b"\xfd7zXZ\0") {
                expand_xz(&bytes, MAX_ISF_BYTES).map_err(|why| refuse("ISF", why.to_string()))?
            } else {
                bytes
            };
            let text = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&bytes);
            if text.trim_ascii_start().first() != Some(&b'{') {
                return Err(refuse("supplied", "neither a PDB nor an ISF table".into()));
            }
            let isf = Isf::parse(text)?;
            if let Some(id) = isf.pdb_id() {
                fits("ISF", &id.guid)?;
            }
            kernel.supply_isf(module, Arc::new(isf));
        }
        let found = Some("the caller's bytes".into());
        let load = SymbolLoad { wanted, found, looked: Vec::new(), unusable: None };
        if let Ok(mut loads) = self.loads.lock() {
            loads.retain(|load| load.wanted.module != module);
            loads.push(load);
        }
        Ok(())
    }

    fn load(&self, kernel: &Kernel, wanted: WantedSymbols) {
        let Ok(mut loads) = self.loads.lock() else { return };
        if self.progress.is_cancelled()
            || loads.iter().any(|load| load.wanted.module == wanted.module)
        {
            return;
        }
        let load = self.find(kernel, wanted);
        // A search that was broken off is no answer: the next view searches again.
        if load.found.is_some() || !self.progress.is_cancelled() {
            loads.push(load);
        }
    }

    fn find(&self, kernel: &Kernel, wanted: WantedSymbols) -> SymbolLoad {
        let mut load = SymbolLoad { wanted, found: None, looked: Vec::new(), unusable: None };
        let Ok(id) = load.wanted.pdb.clone() else { return load };
        let module = load.wanted.module;
        // The candidate that was looked at last: where the search finds one, that is it.
        let candidate = RefCell::new(None);
        let verify = |bytes: &Arc<Vec<u8>>| {
            let pdb = Pdb::parse(&id.name, Arc::clone(bytes) as Bytes).ok()?;
            let PdbId { guid, age, .. } = pdb.id();
            candidate.replace(Some(pdb));
            Some((guid, age))
        };
        match self.symbol_path.locate_pdb(&id, &verify, &*self.progress) {
            Located::Found(Found { origin, looked, .. }) => {
                load.looked = looked;
                if let Some(pdb) = candidate.take() {
                    match kernel.supply_pdb(module, Arc::new(pdb)) {
                        Ok(()) => load.found = Some(origin),
                        Err(error) => load.unusable = Some(format!("{origin}: {error}")),
                    }
                }
            }
            Located::NotFound(missing) => load.looked = missing.looked,
        }
        if load.found.is_some() {
            return load;
        }
        match self.symbol_path.locate_isf(&id) {
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
                for place in missing.looked {
                    // A folder that is not there is told once.
                    if !load.looked.contains(&place) {
                        load.looked.push(place);
                    }
                }
            }
        }
        load
    }
}
