//! The session: a kernel's memory, modules and the symbols supplied for them.

use std::any::Any;
use std::borrow::Cow;
use std::fmt;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};

use super::images::{self, Images, ModuleSource, read_build};
use super::kept::Kept;
use super::modules::read_unloaded;
use super::{AddressSpace, DataBlockKeys, DebuggerData, Hints, Limits, Modules, WantedSymbols};
use crate::addr::{Rva, Va};
use crate::dump::BugCheck;
use crate::error::{Error, Problem, TRIAGE_HOLDS};
use crate::symbols::{
    ImageHeaders, SourceRoots, SourceSite, SymbolKind, SymbolLookup, SymbolTable,
};
#[cfg(feature = "pdb")]
use crate::types::Pdb;
use crate::types::{Isf, TypeSource};

/// The source of a module's names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum SymbolSource {
    /// A PDB.
    Pdb,
    /// An ISF table.
    Isf,
    /// The caller's own table.
    Table,
    /// The image's export directory.
    Exports,
}

impl fmt::Display for SymbolSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            SymbolSource::Pdb => "PDB",
            SymbolSource::Isf => "ISF table",
            SymbolSource::Table => "symbol table",
            SymbolSource::Exports => "exports",
        })
    }
}

/// A module's symbols: those that were supplied, and the exports, which are used without them.
#[derive(Default)]
struct ModuleSymbols {
    supplied: OnceLock<(SymbolSource, Arc<dyn SymbolLookup>)>,
    exports: OnceLock<SymbolTable>,
    headers: OnceLock<Result<ImageHeaders, Error>>,
}

/// A kernel to read Verifier's data from.
///
/// It owns all that it needs and is `Send + Sync`. You can supply symbols through `&self` while other threads
/// read.
pub struct Kernel {
    space: AddressSpace,
    build: OnceLock<u32>,
    base: Va,
    modules_from: ModuleSource,
    modules: Modules,
    symbols: Vec<ModuleSymbols>,
    debugger_data: OnceLock<Result<DebuggerData, Error>>,
    /// The result of the search through the kernel's image, if the address of the block is unknown.
    searched_data: OnceLock<Option<DebuggerData>>,
    hints: Hints,
    types: OnceLock<Arc<dyn TypeSource>>,
    /// Used while `types` is empty.
    built_in: OnceLock<Arc<dyn TypeSource>>,
    limits: Limits,
    /// The number of exported names that may still be read.
    exports_left: AtomicU32,
    problems: Vec<Problem>,
    stop: OnceLock<Arc<dyn Fn() -> bool + Send + Sync>>,
    source_roots: OnceLock<SourceRoots>,
    kept: Kept,
}

impl Kernel {
    /// Finds the kernel and its modules.
    ///
    /// # Errors
    /// If neither hint leads to a module: without the kernel's base nothing can be named or found.
    pub fn open(space: AddressSpace, hints: Hints) -> Result<Self, Error> {
        Self::open_with(space, hints, Limits::default())
    }

    /// Like [`open`](Self::open), with your own limits.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn open_with(space: AddressSpace, hints: Hints, limits: Limits) -> Result<Self, Error> {
        let (images, data) = images::locate(&space, &hints, &limits)?;
        let known = data.as_ref();
        let Images { loaded, base, build, source: modules_from, mut problems } = images;
        let contradicted = hints.contradicted(build, known);
        problems.splice(0..0, hints.problems.iter().cloned().chain(contradicted));
        let modules = Modules::new(loaded);
        if !hints.unloaded.is_empty() {
            modules.set_unloaded(hints.unloaded.clone());
        } else if let Some(data) = known {
            match read_unloaded(&space, data.mm_unloaded_drivers, data.mm_last_unloaded_driver) {
                Ok(unloaded) => modules.set_unloaded(unloaded),
                // A small dump has its own list, which may be empty.
                Err(_) if space.is_blocks() => {}
                Err(error) => {
                    problems.push(Problem::from_error("list of unloaded modules", &error));
                }
            }
        }
        let symbols = modules.loaded().iter().map(|_| ModuleSymbols::default()).collect();
        let debugger_data = OnceLock::new();
        // A block that could not be read may be encoded: it is read again when types are supplied.
        if let Some(data) = data {
            let _ = debugger_data.set(Ok(data));
        }
        Ok(Self {
            space,
            build: build.map(OnceLock::from).unwrap_or_default(),
            base,
            modules_from,
            modules,
            symbols,
            debugger_data,
            searched_data: OnceLock::new(),
            hints,
            types: OnceLock::new(),
            built_in: OnceLock::new(),
            exports_left: AtomicU32::new(limits.exports),
            limits,
            problems,
            stop: OnceLock::new(),
            source_roots: OnceLock::new(),
            kept: Kept::default(),
        })
    }

    /// The kernel's memory.
    #[must_use]
    pub fn space(&self) -> &AddressSpace {
        &self.space
    }

    /// The build number; 0 if neither hints nor symbols give it. An impossible hint is corrected by the
    /// kernel's own build string ([`build_lab`](Self::build_lab)).
    #[must_use]
    pub fn build(&self) -> u32 {
        self.build.get().copied().unwrap_or(0)
    }

    /// `NtBuildLab`: the kernel's own build string, such as `19041.1.amd64fre.vb_release`.
    #[must_use]
    pub fn build_lab(&self) -> Option<String> {
        images::read_lab(&self.space, self.debugger_data().ok()?.nt_build_lab)
    }

    /// The build number at the start of [`build_lab`](Self::build_lab). Updates that only enable features
    /// have a higher [`build`](Self::build).
    #[must_use]
    pub fn build_by_lab(&self) -> Option<u32> {
        images::build_of_lab(&self.build_lab()?)
    }

    /// The base address of the kernel image.
    #[must_use]
    pub fn base(&self) -> Va {
        self.base
    }

    /// The images.
    #[must_use]
    pub fn modules(&self) -> &Modules {
        &self.modules
    }

    /// The limits of walks.
    #[must_use]
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Data of the memory's source and the module list that could not be read or did not fit on opening.
    /// Every view has these problems, because every view reads through both.
    #[must_use]
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }

    /// Puts the kernel's own problems before those of a view, each once. If the layouts are uncertain, that
    /// is one of them.
    pub(crate) fn report_into(&self, problems: &mut Vec<Problem>) {
        let of_view = std::mem::replace(problems, self.problems.clone());
        problems.extend(self.layout_problem());
        Problem::extend(problems, of_view);
    }

    /// Lets you end long work. Walks over logs, tracking pages, trees and deadlock detection's records,
    /// carving and the search for globals call `stop` every few pages or records, in the thread that called
    /// the view. A stopped view returns what it has read, and a problem that says so. A partly read image is
    /// not kept, so the next view reads it again. Only the first function that you set is used. After it has
    /// returned true, it must keep returning true until the view has returned.
    pub fn stop_when(&self, stop: Box<dyn Fn() -> bool + Send + Sync>) {
        let _ = self.stop.set(Arc::from(stop));
    }

    /// True if the function of [`stop_when`](Self::stop_when) returns true.
    #[must_use]
    pub fn is_stopped(&self) -> bool {
        self.stop.get().is_some_and(|stop| stop())
    }

    /// The result of `search`, which reads much memory: the first view runs the search, the others share its
    /// result. The result of a stopped search is not kept, and the next caller searches again.
    pub(crate) fn search_once<T: Any + Send + Sync>(&self, search: impl FnOnce() -> T) -> Arc<T> {
        self.kept.get_or_search(search, || !self.is_stopped())
    }

    /// The debugger data block, at the address in the hints or symbols, else found by its signature in the
    /// kernel's image. An encoded block is decoded with the kernel's symbols.
    ///
    /// # Errors
    /// Why it cannot be read.
    pub fn debugger_data(&self) -> Result<&DebuggerData, Error> {
        if let Some(data) = self.debugger_data.get() {
            return data.as_ref().map_err(Clone::clone);
        }
        let read = |address: Va| {
            let keys = self.data_block_keys();
            DebuggerData::read(&self.space, address, keys.as_ref().ok())
        };
        let symbol = || self.global("KdDebuggerDataBlock");
        let result = match self.hints.kd_debugger_data_block {
            Some(address) => read(address).or_else(|error| match symbol() {
                Ok(other) if other != address => read(other),
                _ => Err(error),
            }),
            None => symbol().and_then(read),
        };
        let result = result.or_else(|error| {
            let found = self.searched_data.get_or_init(|| {
                let size = self.modules.find(self.base).map_or(0, |(_, kernel)| kernel.size);
                DebuggerData::search(&self.space, self.base, size)
            });
            found.clone().ok_or(error)
        });
        match result {
            // An error is not kept: with symbols that are supplied later, the block may be readable.
            Ok(data) => {
                // The address of the list of unloaded modules is in the block, so opening could not read the
                // list.
                let (array, last) = (data.mm_unloaded_drivers, data.mm_last_unloaded_driver);
                let unloaded = read_unloaded(&self.space, array, last);
                if self.is_stopped() {
                    // The block is not kept either, so the next caller reads both again.
                    let what = "the debugger data block".into();
                    return Err(unloaded.err().unwrap_or(Error::Stopped { what }));
                }
                if let Ok(unloaded) = unloaded {
                    self.modules.set_unloaded(unloaded);
                }
                self.debugger_data.get_or_init(|| Ok(data)).as_ref().map_err(Clone::clone)
            }
            Err(error) => Err(error),
        }
    }

    /// The bug check: from the dump header, else from the kernel's `KiBugCheckData`. `None` if there was
    /// none, or it is unknown.
    #[must_use]
    pub fn bug_check(&self) -> Option<BugCheck> {
        self.hints.bug_check.or_else(|| {
            let at = self.debugger_data().ok()?.ki_bug_check_data;
            let step = self.space.pointer_size() as u64;
            let word = |i: u64| self.space.read_pointer(at.add(i * step)).ok().map(|word| word.0);
            let code = u32::try_from(word(0)?).ok().filter(|&code| code != 0)?;
            Some(BugCheck { code, parameters: [word(1)?, word(2)?, word(3)?, word(4)?] })
        })
    }

    /// The stack pointer at the crash: from the dump, else unknown.
    #[must_use]
    pub fn stack_pointer(&self) -> Option<Va> {
        self.hints.stack_pointer
    }

    fn data_block_keys(&self) -> Result<DataBlockKeys, Error> {
        let value = |name: &'static str| {
            let at = self.global(name)?;
            self.space.memory().read_u64(at).map_err(|fault| Error::read(name, fault))
        };
        Ok(DataBlockKeys {
            wait_never: value("KiWaitNever")?,
            wait_always: value("KiWaitAlways")?,
            encoded_flag: self.global("KdpDataBlockEncoded")?,
        })
    }

    /// The index of the kernel's own module.
    #[must_use]
    pub fn kernel_module(&self) -> Option<usize> {
        self.modules.loaded().iter().position(|module| module.base == self.base)
    }

    /// The types and globals that you supplied for the kernel, else the built-in ones.
    ///
    /// # Errors
    /// [`Error::NoKernelSymbols`], naming the file that would help.
    pub fn types(&self) -> Result<&dyn TypeSource, Error> {
        self.types.get().or_else(|| self.built_in.get()).map(|types| &**types).ok_or_else(|| {
            match self.kernel_module().and_then(|module| self.wanted(module)) {
                Some(wanted) => Error::NoKernelSymbols {
                    wanted: match self.space.is_blocks() {
                        true => format!("{wanted} is wanted; besides, {TRIAGE_HOLDS}"),
                        false => format!("{wanted} is wanted"),
                    },
                    pdb: wanted.pdb.ok(),
                },
                None => Error::NoKernelSymbols {
                    wanted: "the kernel's image is not in the module list".into(),
                    pdb: None,
                },
            }
        })
    }

    /// The problem that the layouts in use may be another build's, if they say so.
    fn layout_problem(&self) -> Option<Problem> {
        let types = self.types().ok()?;
        Some(Problem::at(types.describe(), self.base, types.doubt()?).unknown())
    }

    /// True if types of the kernel's own build were supplied: from a PDB, a table or the caller.
    #[must_use]
    pub fn has_own_types(&self) -> bool {
        self.types.get().is_some()
    }

    /// The address of one of the kernel's globals.
    ///
    /// # Errors
    /// [`Error::NoKernelSymbols`]; [`Error::MissingSymbol`] if the symbols do not have it;
    /// [`Error::UnknownGlobal`] if there are no symbols and it was not found without them;
    /// [`Error::NotInSmallDump`] if a small dump does not contain it.
    pub fn global(&self, name: &str) -> Result<Va, Error> {
        let types = self.types()?;
        let Rva(rva) = types.symbol(name).ok_or_else(|| match types.remark(name) {
            // Without symbols it was searched for in pages that such a dump never has.
            Some(_) if self.space.is_blocks() => Error::NotInSmallDump { name: name.into() },
            Some(why) => Error::UnknownGlobal { name: name.into(), why },
            None => Error::MissingSymbol { name: name.into() },
        })?;
        let at = self.base.add(rva.into());
        if self.space.is_blocks() && self.space.memory().read_u8(at).is_err() {
            return Err(Error::NotInSmallDump { name: name.into() });
        }
        Ok(at)
    }

    /// Whether types and hints give the same addresses of `PsLoadedModuleList` and `KdDebuggerDataBlock`.
    /// This shows whether symbols are the right build's if the image's record of its PDB is not in the dump.
    /// `None` if the hints have neither address.
    #[must_use]
    pub fn agrees_with(&self, types: &dyn TypeSource) -> Option<bool> {
        let known = [
            ("PsLoadedModuleList", self.hints.ps_loaded_module_list),
            ("KdDebuggerDataBlock", self.hints.kd_debugger_data_block),
        ];
        let mut agreed = known.into_iter().filter_map(|(name, at)| {
            let at = at?;
            Some(types.symbol(name).is_some_and(|Rva(rva)| self.base.add(rva.into()) == at))
        });
        let first = agreed.next()?;
        Some(first && agreed.all(|agrees| agrees))
    }

    /// Opens the kernel again, if only its own image was known (after a search for the kernel) and its
    /// symbols now give the addresses of the lists. The new kernel keeps the symbols, the built-in types and
    /// the function of [`stop_when`](Self::stop_when).
    ///
    /// # Errors
    /// As [`open`](Self::open), or if the symbols do not have the addresses.
    pub fn with_lists_from_symbols(&self) -> Result<Self, Error> {
        let hints = Hints {
            // `NtBuildLab` corrects the hint again.
            build: self.hints.build.or(self.build.get().copied()),
            ps_loaded_module_list: Some(self.global("PsLoadedModuleList")?),
            kd_debugger_data_block: self
                .hints
                .kd_debugger_data_block
                .or_else(|| self.global("KdDebuggerDataBlock").ok()),
            ..self.hints.clone()
        };
        let anew = Self::open_with(self.space.clone(), hints, self.limits.clone())?;
        if let (Some(old), Some(new)) = (self.kernel_module(), anew.kernel_module())
            && let Some((source, table)) = self.symbols.get(old).and_then(|s| s.supplied.get())
        {
            anew.supply_table(new, *source, Arc::clone(table));
        }
        if let Some(types) = self.types.get() {
            anew.supply_types(Arc::clone(types));
        }
        if let Some(types) = self.built_in.get() {
            anew.supply_built_in_types(Arc::clone(types));
        }
        if let Some(stop) = self.stop.get() {
            let _ = anew.stop.set(Arc::clone(stop));
        }
        if let Some(roots) = self.source_roots.get() {
            anew.supply_source_roots(roots.clone());
        }
        Ok(anew)
    }

    /// The source of the list of images. If only the kernel's image is known, its symbols may lead to more:
    /// see [`with_lists_from_symbols`](Self::with_lists_from_symbols).
    #[must_use]
    pub fn modules_from(&self) -> ModuleSource {
        self.modules_from
    }

    /// The source of a global's address, or why its address is unknown.
    #[must_use]
    pub fn origin_of_global(&self, name: &str) -> String {
        let types = match self.types() {
            Ok(types) => types,
            Err(error) => return error.to_string(),
        };
        // Exports do not give types, so the address is from a supplied source.
        let source = self.kernel_module().and_then(|module| self.symbol_source(module));
        let source = source.map_or_else(|| types.describe(), |(source, _)| source.to_string());
        types.remark(name).unwrap_or_else(|| match types.symbol(name) {
            Some(_) => source,
            None => format!("not in the {source}"),
        })
    }

    /// Supplies a PDB for a module. For the kernel, it also supplies types and globals. A module that already
    /// has symbols keeps them.
    ///
    /// # Errors
    /// [`Error::Symbols`] if the PDB's symbols are damaged.
    #[cfg(feature = "pdb")]
    pub fn supply_pdb(&self, module: usize, pdb: Arc<Pdb>) -> Result<(), Error> {
        pdb.check_symbols()?;
        self.supply_table(module, SymbolSource::Pdb, Arc::clone(&pdb) as Arc<dyn SymbolLookup>);
        if Some(module) == self.kernel_module() {
            self.supply_types(pdb);
        }
        Ok(())
    }

    /// Supplies an ISF table for a module. For the kernel, it also supplies types and globals. A module that already
    /// has symbols keeps them.
    pub fn supply_isf(&self, module: usize, isf: Arc<Isf>) {
        let mut table = SymbolTable::builder(isf.machine_image_type() == Some(0x14c));
        for (name, rva) in isf.symbols() {
            table.add(rva, name, SymbolKind::Public);
        }
        self.supply_table(module, SymbolSource::Isf, Arc::new(table.finish()));
        if Some(module) == self.kernel_module() {
            self.supply_types(isf);
        }
    }

    /// Supplies the kernel's types and globals from any source. The first source is kept.
    pub fn supply_types(&self, types: Arc<dyn TypeSource>) {
        let _ = self.types.set(types);
        if self.build.get().is_none()
            && let Ok(at) = self.global("NtBuildNumber")
            && let Some(build) = read_build(&self.space, at)
        {
            let _ = self.build.set(build);
        }
        // From now on, an encoded debugger data block can be read.
        let _ = self.debugger_data();
    }

    /// Supplies types that are used as long as there are no others: the library's own layouts. The first ones
    /// are kept.
    pub fn supply_built_in_types(&self, types: Arc<dyn TypeSource>) {
        let _ = self.built_in.set(types);
    }

    /// Supplies names for a module. The first ones are kept.
    pub fn supply_table(&self, module: usize, source: SymbolSource, table: Arc<dyn SymbolLookup>) {
        if let Some(symbols) = self.symbols.get(module) {
            let _ = symbols.supplied.set((source, table));
        }
    }

    /// The source of a module's names, and their number.
    #[must_use]
    pub fn symbol_source(&self, module: usize) -> Option<(SymbolSource, usize)> {
        let symbols = self.symbols.get(module)?;
        if let Some((source, table)) = symbols.supplied.get() {
            return Some((*source, table.len()));
        }
        let exports = self.exports(module)?;
        (!exports.is_empty()).then_some((SymbolSource::Exports, exports.len()))
    }

    /// The headers of a module's image, read once.
    ///
    /// # Errors
    /// The reason why they cannot be read.
    pub fn image_headers(&self, module: usize) -> Result<&ImageHeaders, Error> {
        let (Some(image), Some(symbols)) =
            (self.modules.loaded().get(module), self.symbols.get(module))
        else {
            return Err(Error::Unsupported { what: format!("there is no module {module}") });
        };
        if let Some(headers) = symbols.headers.get() {
            return headers.as_ref().map_err(Clone::clone);
        }
        match ImageHeaders::read(self.space.memory(), image.base) {
            // Do not keep an interrupted read; the next caller reads again.
            Err(error) if self.is_stopped() => Err(error),
            headers => symbols.headers.get_or_init(|| headers).as_ref().map_err(Clone::clone),
        }
    }

    fn exports(&self, module: usize) -> Option<&SymbolTable> {
        let symbols = self.symbols.get(module)?;
        if let Some(table) = symbols.exports.get() {
            return Some(table);
        }
        let mut left = self.exports_left.load(Ordering::Relaxed);
        let headers = self.image_headers(module);
        let table = headers.and_then(|headers| headers.exports(self.space.memory(), &mut left));
        // A table that was interrupted may lack names without an error.
        if self.is_stopped() {
            return None;
        }
        Some(symbols.exports.get_or_init(|| {
            // Threads that read at the same time may exceed the limit by one table each.
            self.exports_left.store(left, Ordering::Relaxed);
            table.unwrap_or_default()
        }))
    }

    /// The symbols that would help for one module.
    #[must_use]
    pub fn wanted(&self, module: usize) -> Option<WantedSymbols> {
        let image = self.modules.loaded().get(module)?;
        let headers = self.image_headers(module);
        Some(WantedSymbols {
            module,
            image: image.name.clone(),
            base: image.base,
            size_of_image: image.size,
            time_date_stamp: headers
                .as_ref()
                .ok()
                .map(|headers| headers.time_date_stamp)
                .or(image.time_date_stamp),
            pdb: headers.and_then(|headers| headers.pdb_id(self.space.memory())),
        })
    }

    /// Every module without supplied symbols.
    #[must_use]
    pub fn wanted_symbols(&self) -> Vec<WantedSymbols> {
        (0..self.symbols.len())
            .filter(|&module| !self.is_supplied(module))
            .filter_map(|module| self.wanted(module))
            .collect()
    }

    /// The modules without supplied symbols that contain any of `addresses`: a view needs their symbols to
    /// name its addresses.
    #[must_use]
    pub fn wanted_symbols_at(&self, addresses: impl IntoIterator<Item = Va>) -> Vec<WantedSymbols> {
        let mut wanted = vec![false; self.symbols.len()];
        for address in addresses {
            if let Some((module, _)) = self.modules.find(address)
                && let Some(wanted) = wanted.get_mut(module)
            {
                *wanted = true;
            }
        }
        wanted
            .iter()
            .enumerate()
            .filter(|&(module, &wanted)| wanted && !self.is_supplied(module))
            .filter_map(|(module, _)| self.wanted(module))
            .collect()
    }

    fn is_supplied(&self, module: usize) -> bool {
        self.symbols.get(module).is_some_and(|symbols| symbols.supplied.get().is_some())
    }

    /// The name of an address: the nearest symbol at or below it in its module, only the module if no symbol
    /// is known, or an unloaded module. `None` if the address was never in a module.
    #[must_use]
    pub fn symbolize(&self, va: Va) -> Option<SymbolName<'_>> {
        if let Some((index, module)) = self.modules.find(va) {
            let offset = va.0 - module.base.0;
            let rva = Rva(u32::try_from(offset).ok()?);
            let symbols = self.symbols.get(index)?;
            let found = match symbols.supplied.get() {
                Some((_, table)) => table.resolve(rva),
                None => self.exports(index).and_then(|table| table.resolve(rva)),
            };
            let (name, displacement) = match found {
                Some((name, displacement)) => (Some(name), displacement.into()),
                None => (None, offset),
            };
            return Some(SymbolName {
                module: Cow::Borrowed(&module.short_name),
                name,
                displacement,
            });
        }
        let module = self.modules.find_unloaded(va)?;
        Some(SymbolName {
            module: Cow::Owned(format!("<Unloaded_{}>", module.name)),
            name: None,
            displacement: va.0 - module.start.0,
        })
    }

    /// Supplies the places of source files on this machine, which replace the paths in PDBs. The first ones
    /// are kept.
    pub fn supply_source_roots(&self, roots: SourceRoots) {
        let _ = self.source_roots.set(roots);
    }

    /// The line of source code of the instruction that contains `va`, if the supplied symbols of its module
    /// have lines. The address after a call is the next instruction's: see
    /// [`source_of_call`](Self::source_of_call).
    #[must_use]
    pub fn source_site(&self, va: Va) -> Option<SourceSite> {
        let (index, module) = self.modules.find(va)?;
        let rva = Rva(u32::try_from(va.0 - module.base.0).ok()?);
        let (_, table) = self.symbols.get(index)?.supplied.get()?;
        let mut site = table.source_site(rva)?;
        if let Some(roots) = self.source_roots.get() {
            site.file = roots.place(&site.file).into();
            for frame in &mut site.inlined {
                frame.file = roots.place(&frame.file).into();
            }
        }
        Some(site)
    }

    /// The line of the call that returns to `va`: the frames of stacks and the callers of allocations are
    /// return addresses.
    #[must_use]
    pub fn source_of_call(&self, va: Va) -> Option<SourceSite> {
        self.source_site(Va(va.0.checked_sub(1)?))
    }
}

impl fmt::Debug for Kernel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Kernel")
            .field("space", &self.space)
            .field("build", &self.build())
            .field("base", &self.base)
            .field("modules", &self.modules.loaded().len())
            .finish_non_exhaustive()
    }
}

/// The name of an address: `module!name+0x1f`, or `module+0x1234` if no symbol is known.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SymbolName<'a> {
    /// The module's short name.
    pub module: Cow<'a, str>,
    /// The symbol.
    pub name: Option<Cow<'a, str>>,
    /// Distance from the symbol, or from the module's base if there is no symbol.
    pub displacement: u64,
}

impl SymbolName<'_> {
    /// `module!function`, without the distance from its start; only the module if no symbol is known.
    #[must_use]
    pub fn function(&self) -> String {
        match &self.name {
            Some(name) => format!("{}!{name}", self.module),
            None => self.module.to_string(),
        }
    }
}

impl fmt::Display for SymbolName<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.module)?;
        if let Some(name) = &self.name {
            write!(f, "!{name}")?;
        }
        if self.displacement != 0 || self.name.is_none() {
            write!(f, "+{:#x}", self.displacement)?;
        }
        Ok(())
    }
}
