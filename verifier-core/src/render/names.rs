//! Names of addresses, each resolved once.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

use super::escape::sanitize;
use crate::addr::Va;
use crate::kernel::Kernel;
use crate::symbols::SourceSite;
use crate::verifier::is_kernel_or_verifier;

/// A cache of symbol names and lines of source code for one output: the same few thousand addresses fill a log.
///
/// A clone shares the cache.
#[derive(Clone)]
pub struct Names<'k> {
    kernel: &'k Kernel,
    cache: Rc<RefCell<HashMap<Va, Option<Rc<str>>>>>,
    sources: Rc<RefCell<HashMap<Va, Option<Rc<SourceSite>>>>>,
}

impl<'k> Names<'k> {
    /// Names from a kernel.
    #[must_use]
    pub fn new(kernel: &'k Kernel) -> Self {
        Self { kernel, cache: Rc::default(), sources: Rc::default() }
    }

    /// The kernel.
    #[must_use]
    pub fn kernel(&self) -> &'k Kernel {
        self.kernel
    }

    /// The name of `va` ([`Kernel::symbolize`]).
    pub fn get(&self, va: Va) -> Option<Rc<str>> {
        self.cache
            .borrow_mut()
            .entry(va)
            .or_insert_with(|| self.kernel.symbolize(va).map(|name| name.to_string().into()))
            .clone()
    }

    /// `module!function` of `va`, without the distance from its start; only the module if no symbol is known.
    pub fn function(&self, va: Va) -> Option<String> {
        self.kernel.symbolize(va).map(|name| name.function())
    }

    /// The line of source code of the call that returns to `va` ([`Kernel::source_of_call`]).
    pub fn source(&self, va: Va) -> Option<Rc<SourceSite>> {
        self.sources
            .borrow_mut()
            .entry(va)
            .or_insert_with(|| self.kernel.source_of_call(va).map(Rc::new))
            .clone()
    }

    /// The line of code that a stack is of: the first frame outside the kernel and Verifier, else the first.
    pub(super) fn site(&self, frames: &[Va]) -> Option<Va> {
        let outside = frames.iter().find(|&&va| !is_kernel_or_verifier(self.kernel, va));
        outside.or(frames.first()).copied()
    }

    /// What a text shows for `va`: its name, or its digits if it has none.
    #[must_use]
    pub fn text(&self, va: Va) -> String {
        self.get(va).map_or_else(|| va.to_string(), |name| sanitize(&name).into_owned())
    }
}
