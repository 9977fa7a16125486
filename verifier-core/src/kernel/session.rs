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
use crate::symbols::{ImageHeaders, SymbolKind, SymbolLookup, SymbolTable};
use crate::types::{Isf, Pdb, TypeSource};

/// Where a module's names are from.
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

/// A module's symbols: what was supplied, and the exports that serve without.
#[derive(Default)]
struct ModuleSymbols {
    supplied: OnceLock<(SymbolSource, Arc<dyn SymbolLookup>)>,
    exports: OnceLock<SymbolTable>,
    headers: OnceLock<Result<ImageHeaders, Error>>,
}

/// A kernel to read Verifier's data from.
///
/// It owns all it needs and is `Send + Sync`; symbols can be supplied through `&self` while other
/// threads read.
pub struct Kernel {
    space: AddressSpace,
    build: OnceLock<u32>,
    base: Va,
    modules_from: ModuleSource,
    modules: Modules,
    symbols: Vec<ModuleSymbols>,
    debugger_data: OnceLock<Result<DebuggerData, Error>>,
    /// What a search through the kernel's image gave, where nothing tells where the block is.
    searched_data: OnceLock<Option<DebuggerData>>,
    hints: Hints,
    types: OnceLock<Arc<dyn TypeSource>>,
    /// Serves while `types` is empty.
    built_in: OnceLock<Arc<dyn TypeSource>>,
    limits: Limits,
    /// How many exported names may still be read.
    exports_left: AtomicU32,
    problems: Vec<Problem>,
    stop: OnceLock<Arc<dyn Fn() -> bool + Send + Sync>>,
    kept: Kept,
}

impl Kernel {
    /// Finds the kernel and its modules.
    ///
    /// # Errors
    /// Where neither hint leads to a module: nothing can be named or found without the kernel's base.
    pub fn open(space: AddressSpace, hints: Hints) -> Result<Self, Error> {
        Self::open_with(space, hints, Limits::default())
    }

    /// The same with limits of the caller's.
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
                // A small dump has its own list, and that one may be empty.
                Err(_) if space.is_blocks() => {}
                Err(error) => {
                    problems.push(Problem::from_error("list of unloaded modules", &error));
                }
            }
        }
        let symbols = modules.loaded().iter().map(|_| ModuleSymbols::default()).collect();
        let debugger_data = OnceLock::new();
        // A block that could not be read may be encoded: it is tried again when types are there.
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
            kept: Kept::default(),
        })
    }

    /// The kernel's memory.
    #[must_use]
    pub fn space(&self) -> &AddressSpace {
        &self.space
    }

    /// The build number, 0 where neither hints nor symbols told it. The kernel's own name for its build
    /// ([`build_lab`](Self::build_lab)) corrects a hint that cannot be right.
    #[must_use]
    pub fn build(&self) -> u32 {
        self.build.get().copied().unwrap_or(0)
    }

    /// `NtBuildLab`: the kernel's own name for its build, such as `19041.1.amd64fre.vb_release`.
    #[must_use]
    pub fn build_lab(&self) -> Option<String> {
        images::read_lab(&self.space, self.debugger_data().ok()?.nt_build_lab)
    }

    /// The build number that [`build_lab`](Self::build_lab) starts with. Updates that only switch features
    /// on have a higher [`build`](Self::build).
    #[must_use]
    pub fn build_by_lab(&self) -> Option<u32> {
        images::build_of_lab(&self.build_lab()?)
    }

    /// Where the kernel image is loaded.
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

    /// What could not be read or does not fit on opening: the memory's source and the module list. Every
    /// view carries these problems, because every view reads through both.
    #[must_use]
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }

    /// Puts the kernel's own problems before those of a view, each once, and that the layouts are in doubt
    /// if they are.
    pub(crate) fn report_into(&self, problems: &mut Vec<Problem>) {
        let of_view = std::mem::replace(problems, self.problems.clone());
        problems.extend(self.layout_problem());
        Problem::extend(problems, of_view);
    }

    /// Lets the caller end what may take long: walks over logs, tracking pages and trees, deadlock
    /// detection's records, carving and the search for globals ask `stop` every few pages or records, in
    /// the thread that called the view. A view that is stopped returns what it has, and a problem that
    /// says so; of an image that was being read nothing is kept, so that the next view reads it again.
    /// The first function stays; once it has said so it must go on saying so until the view is back.
    pub fn stop_when(&self, stop: Box<dyn Fn() -> bool + Send + Sync>) {
        let _ = self.stop.set(Arc::from(stop));
    }

    /// True where the function of [`stop_when`](Self::stop_when) says so.
    #[must_use]
    pub fn is_stopped(&self) -> bool {
        self.stop.get().is_some_and(|stop| stop())
    }

    /// What `search` finds in all of memory: the first view that asks searches, the others share the
    /// result. A search that is stopped is not kept, and the next caller searches again.
    pub(crate) fn search_once<T: Any + Send + Sync>(&self, search: impl FnOnce() -> T) -> Arc<T> {
        self.kept.get_or_search(search, || !self.is_stopped())
    }

    /// The debugger data block, decoded with the kernel's symbols where it is encoded: where the hints
    /// or the symbols say, else by its mark in the kernel's image.
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
            // An error is not kept: symbols that are supplied later may turn it.
            Ok(data) => {
                // The list of unloaded modules stands in the block: it was out of reach on opening.
                let (array, last) = (data.mm_unloaded_drivers, data.mm_last_unloaded_driver);
                let unloaded = read_unloaded(&self.space, array, last);
                if self.is_stopped() {
                    // With the block, whoever asks next reads the list again.
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

    /// The bug check: the dump header's, else what the kernel itself noted in `KiBugCheckData`. `None`
    /// where there was none, or nothing tells.
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

    /// The types and globals that were supplied for the kernel, else the built-in ones.
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

    /// That the layouts in use may be another build's, if they say so themselves.
    fn layout_problem(&self) -> Option<Problem> {
        let types = self.types().ok()?;
        Some(Problem::at(types.describe(), self.base, types.doubt()?).unknown())
    }

    /// True where types of the kernel's own build were supplied: from a PDB, a table, the caller.
    #[must_use]
    pub fn has_own_types(&self) -> bool {
        self.types.get().is_some()
    }

    /// The address of one of the kernel's globals.
    ///
    /// # Errors
    /// [`Error::NoKernelSymbols`], [`Error::MissingSymbol`] where the symbols do not have it,
    /// [`Error::UnknownGlobal`] where there are none and it was not found without, or
    /// [`Error::NotInSmallDump`] where the memory is a small dump's and does not hold it.
    pub fn global(&self, name: &str) -> Result<Va, Error> {
        let types = self.types()?;
        let Rva(rva) = types.symbol(name).ok_or_else(|| match types.remark(name) {
            // Without symbols it was looked for in pages that such a dump never holds.
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

    /// Whether types put `PsLoadedModuleList` and `KdDebuggerDataBlock` where the hints do, which tells
    /// a build's symbols from another's where the image's record of its PDB is not in the dump; `None`
    /// where the hints have neither.
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

    /// The kernel opened anew, where only its own image was known (memory in which it was searched
    /// for) and its symbols now tell where the lists are; it keeps the symbols, the built-in types and
    /// what [`stop_when`](Self::stop_when) was given.
    ///
    /// # Errors
    /// As [`open`](Self::open), or where the symbols do not tell.
    pub fn with_lists_from_symbols(&self) -> Result<Self, Error> {
        let hints = Hints {
            // What corrected the hint does so again.
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
        Ok(anew)
    }

    /// Where the images are told. Where only the kernel's is known, its symbols may tell more: see
    /// [`with_lists_from_symbols`](Self::with_lists_from_symbols).
    #[must_use]
    pub fn modules_from(&self) -> ModuleSource {
        self.modules_from
    }

    /// What tells where a global is, or why nothing does.
    #[must_use]
    pub fn origin_of_global(&self, name: &str) -> String {
        let types = match self.types() {
            Ok(types) => types,
            Err(error) => return error.to_string(),
        };
        // The exports are no source of types, so whatever told the address was supplied.
        let source = self.kernel_module().and_then(|module| self.symbol_source(module));
        let source = source.map_or_else(|| types.describe(), |(source, _)| source.to_string());
        types.remark(name).unwrap_or_else(|| match types.symbol(name) {
            Some(_) => source,
            None => format!("not in the {source}"),
        })
    }

    /// Supplies a PDB for a module. For the kernel it serves as types and globals too. A module
    /// that has symbols keeps them.
    ///
    /// # Errors
    /// [`Error::Symbols`] where the PDB's symbols are damaged.
    pub fn supply_pdb(&self, module: usize, pdb: Arc<Pdb>) -> Result<(), Error> {
        pdb.check_symbols()?;
        self.supply_table(module, SymbolSource::Pdb, Arc::clone(&pdb) as Arc<dyn SymbolLookup>);
        if Some(module) == self.kernel_module() {
            self.supply_types(pdb);
        }
        Ok(())
    }

    /// Supplies an ISF table for a module, as [`supply_pdb`](Self::supply_pdb).
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

    /// Supplies the kernel's types and globals from any source. The first one stays.
    pub fn supply_types(&self, types: Arc<dyn TypeSource>) {
        let _ = self.types.set(types);
        if self.build.get().is_none()
            && let Ok(at) = self.global("NtBuildNumber")
            && let Some(build) = read_build(&self.space, at)
        {
            let _ = self.build.set(build);
        }
        // An encoded block of debugger data can be read from now on.
        let _ = self.debugger_data();
    }

    /// Supplies types that serve as long as no others are there: layouts that come with the library.
    /// The first ones stay.
    pub fn supply_built_in_types(&self, types: Arc<dyn TypeSource>) {
        let _ = self.built_in.set(types);
    }

    /// Supplies names for a module. The first ones stay.
    pub fn supply_table(&self, module: usize, source: SymbolSource, table: Arc<dyn SymbolLookup>) {
        if let Some(symbols) = self.symbols.get(module) {
            let _ = symbols.supplied.set((source, table));
        }
    }

    /// Where the names of a module are from, and how many there are.
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
    /// Why they cannot be read.
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
            // What was broken off is no answer: whoever asks next reads again.
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
        // A table that was broken off may lack names without an error.
        if self.is_stopped() {
            return None;
        }
        Some(symbols.exports.get_or_init(|| {
            // Threads that read at once may go beyond the limit by a table each.
            self.exports_left.store(left, Ordering::Relaxed);
            table.unwrap_or_default()
        }))
    }

    /// What would help for one module.
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

    /// The modules without supplied symbols that hold any of `addresses`: what a view needs to name
    /// what it found.
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

    /// The name of an address: nearest symbol at or below in the module that holds it, the module
    /// alone where no symbol is known, an unloaded module, `None` where no module ever held it.
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

/// The name of an address: `module!name+0x1f`, or `module+0x1234` where no symbol is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SymbolName<'a> {
    /// The module's short name.
    pub module: Cow<'a, str>,
    /// The symbol.
    pub name: Option<Cow<'a, str>>,
    /// Distance from the symbol, or from the module's base where there is none.
    pub displacement: u64,
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
