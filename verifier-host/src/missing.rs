//! Which symbols are missing, as problems.

use verifier_core::dump::MemoryFile;
use verifier_core::{Problem, Va};

use crate::lookup::SymbolLoad;
use crate::session::Session;

/// Modules that are told one by one; the rest is counted.
const MAX_MODULES: usize = 4;

impl Session {
    /// The modules whose symbols were looked for in vain: the kernel first, which every other problem
    /// follows from, then each other one, by the address where it is loaded.
    #[must_use]
    pub fn symbol_problems(&self) -> Vec<Problem> {
        self.problems_of(&self.symbol_loads())
    }

    /// The same for what one view shows: the kernel, and the modules that hold one of `addresses`. Few
    /// are told one by one, the rest is one problem.
    #[must_use]
    pub fn symbol_problems_at(&self, addresses: impl IntoIterator<Item = Va>) -> Vec<Problem> {
        let Ok(kernel) = self.kernel() else { return Vec::new() };
        let mut missing = self.symbol_loads();
        missing.retain(|load| load.found.is_none());
        // Where all were found, as they mostly are, the addresses are not looked at.
        if missing.is_empty() {
            return Vec::new();
        }
        let mut is_shown = vec![false; kernel.modules().loaded().len()];
        for va in addresses {
            if let Some((module, _)) = kernel.modules().find(va)
                && let Some(is_shown) = is_shown.get_mut(module)
            {
                *is_shown = true;
            }
        }
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

    /// Finds the symbols of what a view shows, and says which of them are missing. `addresses` is called
    /// twice.
    #[must_use]
    pub fn find_symbols_at<I: IntoIterator<Item = Va>>(
        &self,
        addresses: impl Fn() -> I,
    ) -> Vec<Problem> {
        self.load_symbols_at(addresses());
        self.symbol_problems_at(addresses())
    }

    /// The kernel's, where they are missing, and those of `loads` that are.
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

    /// What to tell of the kernel's symbols, where they are missing. Of a small dump a view's own error
    /// says it, and that symbols would not help much.
    #[must_use]
    pub fn kernel_symbol_problem(&self) -> Option<Problem> {
        let is_small = self.memory_file().is_some_and(MemoryFile::is_small);
        let why = self.missing_kernel_symbols().filter(|_| !is_small)?;
        let problem = Problem::new("symbols of the kernel", why).remark();
        let address = self.kernel().ok().map(|kernel| kernel.base());
        Some(match address {
            Some(base) => Problem::at(problem.what, base, problem.why).remark(),
            None => problem,
        })
    }
}
