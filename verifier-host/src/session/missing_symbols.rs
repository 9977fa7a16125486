//! Missing symbols, as problems.

use verifier_core::dump::MemoryFile;
use verifier_core::kernel::Kernel;
use verifier_core::{Problem, Va};

use super::Session;
use crate::module_symbols::SymbolLoad;

/// Modules that get a problem each; the others are counted in one.
const MAX_MODULES: usize = 4;

impl Session {
    /// The modules whose symbols were searched for and not found: the kernel first, because every other
    /// problem follows from it, then each other module, by the address where it is loaded.
    #[must_use]
    pub fn symbol_problems(&self) -> Vec<Problem> {
        self.problems_of(&self.symbol_loads())
    }

    /// The same for what one view shows: the kernel, and the modules that hold one of `addresses`. A few
    /// modules get a problem each, the others are one problem.
    #[must_use]
    pub fn symbol_problems_at(&self, addresses: impl IntoIterator<Item = Va>) -> Vec<Problem> {
        let Ok(kernel) = self.kernel() else { return Vec::new() };
        let mut missing = self.symbol_loads();
        missing.retain(|load| load.found.is_none());
        // Mostly all were found, and the addresses need no look.
        if missing.is_empty() {
            return Vec::new();
        }
        let is_shown = modules_at(kernel, addresses);
        missing.retain(|load| is_shown.get(load.wanted.module).copied().unwrap_or(false));
        let mut problems = self.problems_of(&missing);
        if problems.len() > MAX_MODULES {
            let rest = problems.len() - MAX_MODULES;
            problems.truncate(MAX_MODULES);
            let what = format!("symbols of {rest} more modules");
            let why = "they are missing too; info lists the wanted files of each module";
            problems.push(Problem::new(what, why).remark());
        }
        problems
    }

    /// Finds the symbols of what a view shows, and says which of them are missing and what does not fit in
    /// the modules' images. `addresses` is called several times.
    #[must_use]
    pub fn find_symbols_at<I: IntoIterator<Item = Va>>(
        &self,
        addresses: impl Fn() -> I,
    ) -> Vec<Problem> {
        self.load_symbols_at(addresses());
        let mut problems = self.image_problems_at(addresses());
        problems.append(&mut self.symbol_problems_at(addresses()));
        problems
    }

    /// What does not fit in the images of the modules whose symbols were searched for
    /// ([`Kernel::image_problems`]).
    #[must_use]
    pub fn image_problems(&self) -> Vec<Problem> {
        self.image_problems_by_module().into_iter().map(|(_, problem)| problem).collect()
    }

    /// The same for what one view shows: the modules that hold one of `addresses`.
    #[must_use]
    pub fn image_problems_at(&self, addresses: impl IntoIterator<Item = Va>) -> Vec<Problem> {
        let mut problems = self.image_problems_by_module();
        // Mostly all is well, and the addresses need no look.
        if let Ok(kernel) = self.kernel()
            && !problems.is_empty()
        {
            let is_shown = modules_at(kernel, addresses);
            problems.retain(|(module, _)| is_shown.get(*module).copied().unwrap_or(false));
        }
        problems.into_iter().map(|(_, problem)| problem).collect()
    }

    fn image_problems_by_module(&self) -> Vec<(usize, Problem)> {
        let Ok(kernel) = self.kernel() else { return Vec::new() };
        let loads = self.symbol_loads();
        let modules = loads.iter().map(|load| load.wanted.module);
        let problems = |module| kernel.image_problems(module).into_iter().map(move |p| (module, p));
        modules.flat_map(problems).collect()
    }

    /// The kernel's missing symbols, and those of `loads`.
    fn problems_of(&self, loads: &[SymbolLoad]) -> Vec<Problem> {
        let kernel = self.kernel().ok().filter(|kernel| !kernel.has_own_types());
        let own = kernel.and_then(|kernel| kernel.kernel_module());
        let others = loads.iter().filter(|load| Some(load.wanted.module) != own);
        let others = others.filter_map(|load| {
            let what = format!("symbols of {}", load.wanted.image);
            Some(Problem::at(what, load.wanted.base, load.missing_why()?).remark())
        });
        self.kernel_symbol_problem().into_iter().chain(others).collect()
    }

    /// Says that the kernel's symbols are missing, and where they were searched for. For a small dump a
    /// view's own error says so, and that symbols would not help much.
    #[must_use]
    pub fn kernel_symbol_problem(&self) -> Option<Problem> {
        let is_small = self.memory_file().is_some_and(MemoryFile::is_small);
        let why = self.missing_kernel_symbols().filter(|_| !is_small)?;
        let what = "symbols of the kernel";
        let problem = match self.kernel() {
            Ok(kernel) => Problem::at(what, kernel.base(), why),
            Err(_) => Problem::new(what, why),
        };
        Some(problem.remark())
    }

    /// The same in words.
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
}

/// For each module, whether it holds one of `addresses`.
fn modules_at(kernel: &Kernel, addresses: impl IntoIterator<Item = Va>) -> Vec<bool> {
    let mut holds = vec![false; kernel.modules().loaded().len()];
    for va in addresses {
        if let Some((module, _)) = kernel.modules().find(va)
            && let Some(holds) = holds.get_mut(module)
        {
            *holds = true;
        }
    }
    holds
}
