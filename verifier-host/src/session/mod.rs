//! A dump file, the kernel in it, and the symbols that are found for it.

mod load_symbols;
mod missing_symbols;
mod open_kernel;
mod view;
mod views;

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use verifier_core::Pa;
use verifier_core::dump::{BugCheck, Dump, MemoryFile};
use verifier_core::kernel::{Kernel, Limits, ModuleSource};
use verifier_core::memory::Pages;
use verifier_core::render::text::filetime_text;
use verifier_core::symbols::SourceRoots;
use verifier_core::verifier::Globals;

use crate::dump_file::{FileMode, open_file};
use crate::error::Error;
use crate::overwrite::{Inputs, OutputKind};
use crate::progress::{Progress, Silent};
use crate::symbol_searches::SymbolSearches;
use crate::symbols::SymbolPath;

pub use open_kernel::TablesInUse;
pub use view::View;
pub(crate) use views::not_configured;

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
    /// Where source files are on this machine.
    pub source_roots: SourceRoots,
    /// Receives the progress of downloads, and may cancel them, the search for the kernel and views.
    /// `None`: nobody does.
    pub progress: Option<Box<dyn Progress + Send + Sync>>,
}

/// A dump file and the kernel in it; or a kernel in memory of the caller's own.
pub struct Session {
    file: Option<(PathBuf, MemoryFile)>,
    tables: Option<TablesInUse>,
    kernel: Result<Arc<Kernel>, verifier_core::Error>,
    symbol_path: SymbolPath,
    progress: Arc<dyn Progress + Send + Sync>,
    searches: SymbolSearches,
}

impl Session {
    /// Opens a dump and finds the kernel's symbols.
    ///
    /// # Errors
    /// If the file cannot be read or has no dump header. If the kernel is not found, the session opens so
    /// that the header can be shown, and [`kernel`](Self::kernel) gives the error.
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
        let (kernel, tables) = open_kernel::open_kernel(&file, base, &options.limits, &stop);
        let mut session = Self::over(kernel, symbol_path, progress);
        session.file = Some((path.into(), file));
        session.tables = tables;
        if let Ok(kernel) = &session.kernel {
            kernel.supply_source_roots(options.source_roots);
        }
        Ok(session)
    }

    /// A session over a kernel that the caller opened in memory of their own, with limits of their own. The
    /// kernel's symbols are found unless it has some.
    #[must_use]
    pub fn of_kernel(kernel: Arc<Kernel>, symbol_path: SymbolPath) -> Self {
        Self::over(Ok(kernel), symbol_path, None)
    }

    /// The same with a receiver of progress, which may cancel.
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
            searches: SymbolSearches::default(),
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

    /// Opens the kernel again if its symbols were found and say where its lists are.
    fn find_lists(&mut self) {
        let Ok(kernel) = &self.kernel else { return };
        if kernel.modules_from() != ModuleSource::KernelAlone {
            return;
        }
        let Ok(anew) = kernel.with_lists_from_symbols() else { return };
        if let Some(module) = anew.kernel_module() {
            // Each search so far was for the only module that was known.
            self.searches.move_to(module);
        }
        self.kernel = Ok(Arc::new(anew));
    }

    /// The path of the file, if the session has one.
    #[must_use]
    pub fn path(&self) -> Option<&Path> {
        self.file.as_ref().map(|(path, _)| path.as_path())
    }

    /// The files that the session reads.
    pub(crate) fn inputs(&self) -> Inputs {
        Inputs::new(self.path(), &self.symbol_path)
    }

    /// Refuses a file to write to that is the dump, a symbol file that the symbol path names, or a file of
    /// one of its folders that this program did not write; and, without `force`, any other file that is
    /// not an output of that kind.
    ///
    /// # Errors
    /// [`Error::Usage`].
    pub fn check_output(&self, path: &Path, kind: OutputKind, force: bool) -> Result<(), Error> {
        self.inputs().check_output(path, kind, force)
    }

    /// What is read, in one line for headings: `memory.dmp · Windows 19041 x64 · bug check 0xe2 ·
    /// 2019-04-17`.
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
        if let Some(bug_check) = self.bug_check() {
            parts.push(format!("bug check {:#x}", bug_check.code));
        }
        let time = self.dump().and_then(|dump| filetime_text(dump.header().system_time?));
        parts.extend(time.and_then(|time| Some(time.split_once(' ')?.0.to_owned())));
        parts
    }

    /// The crash dump, if the session has one.
    #[must_use]
    pub fn dump(&self) -> Option<&Dump> {
        self.memory_file().and_then(MemoryFile::dump)
    }

    /// The file, of any format, if the session has one.
    #[must_use]
    pub fn memory_file(&self) -> Option<&MemoryFile> {
        self.file.as_ref().map(|(_, file)| file)
    }

    /// The bug check: the dump header's, else the one that the kernel noted in its own memory
    /// ([`Kernel::bug_check`]). Its code is 0 if the header says that there was none; `None` if there is
    /// neither a header nor a note.
    #[must_use]
    pub fn bug_check(&self) -> Option<BugCheck> {
        let found = self.kernel.as_ref().ok().and_then(|kernel| kernel.bug_check());
        let stated = || self.dump().map(|dump| dump.header().bug_check);
        let or_none = |one: BugCheck| if one.is_crash() { one } else { BugCheck::NONE };
        found.or_else(|| stated().map(or_none))
    }

    /// What is missing at the end of the file, if it was cut short, in one line: `Truncated: 4,096 bytes (1
    /// of 207 pages) are missing at the end of memory.dmp; copy the file again.`
    #[must_use]
    pub fn truncation(&self) -> Option<String> {
        let (path, file) = self.file.as_ref()?;
        Some(format!("Truncated: {}.", file.truncation()?.describe(path.display())))
    }

    /// The page tables that the session reads through, if its file is physical memory.
    #[must_use]
    pub fn tables(&self) -> Option<&TablesInUse> {
        self.tables.as_ref()
    }

    /// The physical memory of the file, page by page.
    ///
    /// # Errors
    /// If the session has no file, or its page map cannot be read.
    pub fn pages(&self) -> Result<Box<dyn Pages>, Error> {
        let file = self.memory_file().ok_or_else(|| verifier_core::Error::Unsupported {
            what: "the session has no file whose physical memory could be searched".into(),
        })?;
        Ok(file.pages()?)
    }

    /// The receiver of progress.
    #[must_use]
    pub fn progress(&self) -> &dyn Progress {
        &*self.progress
    }

    /// The kernel.
    ///
    /// # Errors
    /// Why it was not found in the dump.
    pub fn kernel(&self) -> Result<&Arc<Kernel>, Error> {
        self.kernel.as_ref().map_err(|error| error.clone().into())
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
        // Without the symbol path: a server's URL may hold a password.
        f.debug_struct("Session")
            .field("path", &self.path())
            .field("tables", &self.tables)
            .field("kernel", &self.kernel)
            .finish_non_exhaustive()
    }
}

/// Gives a kernel without types the library's own layouts, with the globals that can be found in memory.
fn supply_profile(kernel: &Kernel) {
    if kernel.types().is_ok() {
        return;
    }
    if let Some(profile) = Globals::plausible_layouts(kernel) {
        kernel.supply_built_in_types(Arc::new(profile));
    }
}
