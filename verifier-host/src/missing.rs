//! Which symbols are missing, as problems.

use verifier_core::dump::MemoryFile;
use verifier_core::kernel::Kernel;
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

    /// Finds the symbols of what a view shows, and says which of them are missing and what does not fit
    /// in their images. `addresses` is called several times.
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

    /// What does not fit in the images of the modules whose symbols were looked for
    /// ([`Kernel::image_problems`]).
    #[must_use]
    pub fn image_problems(&self) -> Vec<Problem> {
        self.image_problems_by_module().into_iter().map(|(_, problem)| problem).collect()
    }

    /// The same for what one view shows: the modules that hold one of `addresses`.
    #[must_use]
    pub fn image_problems_at(&self, addresses: impl IntoIterator<Item = Va>) -> Vec<Problem> {
        let mut problems = self.image_problems_by_module();
        // If all is well, as it mostly is, the addresses are not looked at.
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
