//! Symbols of a session: they are found for the modules that a view shows, or supplied by the caller.

use verifier_core::Va;
use verifier_core::kernel::{Kernel, WantedSymbols};
use verifier_core::symbols::guid_hex;
use verifier_core::verifier::is_verifier_image;

use super::Session;
use crate::error::Error;
use crate::module_symbols::{KernelSymbols, Lookup, OTHER_ADDRESSES, SymbolLoad};

impl Session {
    /// Finds symbols for every module that holds one of `addresses`, unless they were searched for before.
    pub fn load_symbols_at(&self, addresses: impl IntoIterator<Item = Va>) {
        if let Ok(kernel) = &self.kernel {
            for wanted in kernel.wanted_symbols_at(addresses) {
                self.load(kernel, wanted);
            }
        }
    }

    /// Finds symbols for Verifier's own images beside the kernel. They must be there before the pool log is
    /// read: the names of a record's frames say what the record is about.
    pub fn load_verifier_symbols(&self) {
        if let Ok(kernel) = &self.kernel {
            let images = kernel.modules().loaded().iter();
            let own = images.filter(|image| is_verifier_image(&image.name));
            self.load_symbols_at(own.map(|image| image.base));
        }
    }

    /// Finds symbols for every module, and waits for the searches of other threads.
    pub fn load_all_symbols(&self) {
        if let Ok(kernel) = &self.kernel {
            for wanted in kernel.wanted_symbols() {
                self.load(kernel, wanted);
            }
            self.searches.wait(&*self.progress);
        }
    }

    /// The result of each search that has ended; this does not wait for a search in another thread.
    #[must_use]
    pub fn symbol_loads(&self) -> Vec<SymbolLoad> {
        self.searches.all()
    }

    /// Supplies the kernel's symbols from bytes that the caller has: a PDB, an ISF table or an ISF table in
    /// `.xz`. Symbols that the kernel has already stay.
    ///
    /// # Errors
    /// [`verifier_core::Error::Symbols`] if the bytes are none of these, or belong to another build than
    /// the kernel, as far as its image shows its build.
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
        self.searches.replace(SymbolLoad { found, ..SymbolLoad::new(wanted) });
        Ok(())
    }

    pub(super) fn load(&self, kernel: &Kernel, wanted: WantedSymbols) {
        let Some(claim) = self.searches.claim(wanted.module, &*self.progress) else { return };
        let lookup = Lookup { path: &self.symbol_path, progress: &*self.progress };
        let load = lookup.find(kernel, wanted);
        // The result of a canceled search is not kept: the next view searches again.
        if load.found.is_some() || !self.progress.is_canceled() {
            claim.keep(load);
        }
    }
}
