//! A dump file, the kernel in it, and the symbols that are found for it.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use verifier_core::dump::{Dump, MemoryFile};
use verifier_core::kernel::{Kernel, Limits, ModuleSource, WantedSymbols};
use verifier_core::memory::Pages;
use verifier_core::symbols::guid_hex;
use verifier_core::verifier::{Globals, is_verifier_image};
use verifier_core::{Pa, Va};

use crate::error::Error;
use crate::file::{FileMode, open_file};
use crate::info::filetime;
use crate::loads::SymbolLoads;
use crate::lookup::{KernelSymbols, Lookup, OTHER_ADDRESSES, SymbolLoad};
use crate::open::{TablesInUse, open_kernel};
use crate::outputs::Inputs;
use crate::progress::{Progress, Silent};
use crate::symbols::SymbolPath;

/// How a session opens its file.
#[derive(Default)]
#[non_exhaustive]
pub struct SessionOptions {
    /// How the dump is read.
    pub mode: FileMode,
    /// Take the file as physical memory without a header.
    pub raw: bool,
    /// Where the page tables are, instead of what the file's header says or a search finds.
    pub directory_table_base: Option<Pa>,
    /// How far walks go and how much views gather.
    pub limits: Limits,
    /// Who is told of downloads and may cancel them, the search for the kernel and views; nobody by default.
    pub progress: Option<Box<dyn Progress + Send + Sync>>,
}

/// A dump file and the kernel in it; or a kernel over memory of the caller's.
pub struct Session {
    file: Option<(PathBuf, MemoryFile)>,
    tables: Option<TablesInUse>,
    kernel: Result<Arc<Kernel>, verifier_core::Error>,
    symbol_path: SymbolPath,
    progress: Arc<dyn Progress + Send + Sync>,
    loads: SymbolLoads,
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
        let bytes = open_file(path, options.mode)?;
        let file = if options.raw { MemoryFile::raw(bytes) } else { MemoryFile::open(bytes)? };
        let progress = options.progress.map(Arc::<dyn Progress + Send + Sync>::from);
        let stop = || progress.as_ref().is_some_and(|progress| progress.is_canceled());
        let base = options.directory_table_base;
        let (kernel, tables) = open_kernel(&file, base, &options.limits, &stop);
        let mut session = Self::over(kernel, symbol_path, progress);
        session.file = Some((path.into(), file));
        session.tables = tables;
        Ok(session)
    }

    /// A session over a kernel that the caller opened on memory of their own, with their own limits; the
    /// kernel's symbols are found unless it has some.
    #[must_use]
    pub fn of_kernel(kernel: Arc<Kernel>, symbol_path: SymbolPath) -> Self {
        Self::over(Ok(kernel), symbol_path, None)
    }

    /// The same, and who is told of downloads and may cancel them.
    #[must_use]
    pub fn of_kernel_with(
        kernel: Arc<Kernel>,
        symbol_path: SymbolPath,
        progress: Box<dyn Progress + Send + Sync>,
    ) -> Self {
        Self::over(Ok(kernel), symbol_path, Some(Arc::from(progress)))
    }

    fn over(
        kernel: Result<Arc<Kernel>, verifier_core::Error>,
        symbol_path: SymbolPath,
        progress: Option<Arc<dyn Progress + Send + Sync>>,
    ) -> Self {
        if let (Ok(kernel), Some(progress)) = (&kernel, &progress) {
            let progress = Arc::clone(progress);
            kernel.stop_when(Box::new(move || progress.is_canceled()));
        }
        let mut session = Self {
            file: None,
            tables: None,
            kernel,
            symbol_path,
            progress: progress.unwrap_or_else(|| Arc::new(Silent)),
            loads: SymbolLoads::default(),
        };
        if let Ok(kernel) = &session.kernel
            && kernel.types().is_err()
            && let Some(wanted) = kernel.kernel_module().and_then(|module| kernel.wanted(module))
        {
            session.load(kernel, wanted);
        }
        session.find_lists();
        if let Ok(kernel) = &session.kernel {
            supply_profile(kernel);
        }
        session
    }

    /// Opens the kernel anew where the symbols that were found tell where its lists are.
    fn find_lists(&mut self) {
        let Ok(kernel) = &self.kernel else { return };
        if kernel.modules_from() != ModuleSource::KernelAlone {
            return;
        }
        let Ok(anew) = kernel.with_lists_from_symbols() else { return };
        if let Some(module) = anew.kernel_module() {
            // What was searched for so far was for the only module there was.
            self.loads.move_to(module);
        }
        self.kernel = Ok(Arc::new(anew));
    }

    /// The file, where the session has one.
    #[must_use]
    pub fn path(&self) -> Option<&Path> {
        self.file.as_ref().map(|(path, _)| path.as_path())
    }

    /// The files that the session reads.
    pub(crate) fn inputs(&self) -> Inputs {
        Inputs::new(self.path(), &self.symbol_path)
    }

    /// Refuses a file to write to that is the dump, a symbol file that the symbol path names, or a file of
    /// one of its folders that this program did not write.
    ///
    /// # Errors
    /// [`Error::Usage`].
    pub fn check_output(&self, path: &Path) -> Result<(), Error> {
        self.inputs().spare(path)
    }

    /// What the session is over, in one line for headings: `memory.dmp · Windows 19041 x64 · bug check
    /// 0xe2 · 2019-04-17`.
    #[must_use]
    pub fn describe(&self) -> Option<String> {
        let path = self.path()?;
        let name = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned();
        Some(std::iter::once(name).chain(self.summary()).collect::<Vec<_>>().join(" · "))
    }

    /// The same in parts, without the file's name.
    pub(crate) fn summary(&self) -> Vec<String> {
        let mut parts = Vec::new();
        if let Ok(kernel) = &self.kernel {
            parts.push(format!("Windows {} {}", kernel.build(), kernel.space().machine()));
        }
        if let Some(header) = self.dump().map(Dump::header) {
            parts.push(format!("bug check {:#x}", header.bug_check.code));
            let time = header.system_time.and_then(filetime);
            parts.extend(time.and_then(|time| Some(time.split_once(' ')?.0.to_owned())));
        }
        parts
    }

    /// The crash dump, where the session has one.
    #[must_use]
    pub fn dump(&self) -> Option<&Dump> {
        self.memory_file().and_then(MemoryFile::dump)
    }

    /// The file of whatever format, where the session has one.
    #[must_use]
    pub fn memory_file(&self) -> Option<&MemoryFile> {
        self.file.as_ref().map(|(_, file)| file)
    }

    /// What is missing at the end of the file, if it was cut short, in one line: `Truncated: 4,096 bytes (1
    /// of 207 pages) are missing at the end of memory.dmp; copy the file again.`
    #[must_use]
    pub fn truncation(&self) -> Option<String> {
        let (path, file) = self.file.as_ref()?;
        Some(format!("Truncated: {}.", file.truncation()?.describe(path.display())))
    }

    /// The page tables that the session reads through, where its file is physical memory.
    #[must_use]
    pub fn tables(&self) -> Option<&TablesInUse> {
        self.tables.as_ref()
    }

    /// The physical memory of the file, page by page.
    ///
    /// # Errors
    /// Where the session has no file, or its page map cannot be read.
    pub fn pages(&self) -> Result<Box<dyn Pages>, Error> {
        let file = self.memory_file().ok_or_else(|| verifier_core::Error::Unsupported {
            what: "the session has no file whose physical memory could be searched".into(),
        })?;
        Ok(file.pages()?)
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
            let images = kernel.modules().loaded().iter();
            let own = images.filter(|image| is_verifier_image(&image.name));
            self.load_symbols_at(own.map(|image| image.base));
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

    /// What became of each search so far; one that is under way in another thread is not waited for.
    #[must_use]
    pub fn symbol_loads(&self) -> Vec<SymbolLoad> {
        self.loads.all()
    }

    /// What to tell the user about the kernel's symbols, where they are missing.
    #[must_use]
    pub fn missing_kernel_symbols(&self) -> Option<String> {
        let kernel = self.kernel.as_ref().ok().filter(|kernel| !kernel.has_own_types())?;
        let module = kernel.kernel_module()?;
        let mut text =
            self.symbol_loads().iter().find(|load| load.wanted.module == module)?.missing()?;
        if let Ok(types) = kernel.types() {
            text.push_str(&format!("; without them {} serve", types.describe()));
        }
        Some(text)
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
        let symbols = KernelSymbols::parse(
            wanted.pdb.as_ref().map_or("", |id| &id.name),
            bytes,
            self.symbol_path.limits().isf_bytes,
        )?;
        match (&wanted.pdb, symbols.guid()) {
            (Ok(id), Some(guid)) if id.guid != guid => {
                let why = format!("they have GUID {}, but {id} is wanted", guid_hex(&guid));
                return Err(refuse(symbols.kind(), why));
            }
            (Err(_), _) if kernel.agrees_with(symbols.types()) == Some(false) => {
                return Err(refuse(symbols.kind(), OTHER_ADDRESSES.into()));
            }
            _ => {}
        }
        symbols.supply(kernel, module)?;
        let found = Some("the caller's bytes".into());
        self.loads.replace(SymbolLoad { wanted, found, attempts: Vec::new(), unusable: None });
        Ok(())
    }

    fn load(&self, kernel: &Kernel, wanted: WantedSymbols) {
        let Some(claim) = self.loads.claim(wanted.module, &*self.progress) else { return };
        let lookup = Lookup { path: &self.symbol_path, progress: &*self.progress };
        let load = lookup.find(kernel, wanted);
        // A search that was broken off is no answer: the next view searches again.
        if load.found.is_some() || !self.progress.is_canceled() {
            claim.keep(load);
        }
    }
}

impl fmt::Debug for SessionOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionOptions")
            .field("mode", &self.mode)
            .field("raw", &self.raw)
            .field("directory_table_base", &self.directory_table_base)
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Not the symbol path: a server's URL may hold a password.
        f.debug_struct("Session")
            .field("path", &self.path())
            .field("tables", &self.tables)
            .field("kernel", &self.kernel)
            .finish_non_exhaustive()
    }
}

/// The library's own layouts, with such globals as show themselves, for a kernel without types.
fn supply_profile(kernel: &Kernel) {
    if kernel.types().is_ok() {
        return;
    }
    if let Some(profile) = Globals::plausible_layouts(kernel) {
        kernel.supply_built_in_types(Arc::new(profile));
    }
}
