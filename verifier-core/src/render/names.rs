//! Names of addresses, each resolved once.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

use super::escape::sanitize;
use crate::addr::Va;
use crate::kernel::Kernel;
use crate::symbols::SourceSite;
use crate::verifier::code_site;

/// How stacks in text show lines of source code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LineStyle {
    /// After the name, `(C:\src\pool.c:42)`; functions that were inlined have lines of their own, marked
    /// `(inlined)`.
    #[default]
    Path,
    /// As the debugger does after `.lines -e`: `[C:\src\pool.c @ 42]`, `(Inline Function)`.
    Debugger,
    /// Not at all, as the debugger does by default.
    Hidden,
}

/// A cache of symbol names and lines of source code for one output: the same few thousand addresses fill a log.
///
/// A clone shares the cache.
#[derive(Clone)]
pub struct Names<'k> {
    kernel: &'k Kernel,
    pub(super) lines: LineStyle,
    cache: Rc<RefCell<HashMap<Va, Option<Rc<str>>>>>,
    sources: Rc<RefCell<HashMap<Va, Option<Rc<SourceSite>>>>>,
}

impl<'k> Names<'k> {
    /// Names from a kernel.
    #[must_use]
    pub fn new(kernel: &'k Kernel) -> Self {
        Self { kernel, lines: LineStyle::default(), cache: Rc::default(), sources: Rc::default() }
    }

    /// The same names; stacks in text show lines of source code in this way.
    #[must_use]
    pub fn with_lines(self, lines: LineStyle) -> Self {
        Self { lines, ..self }
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

    /// `module!function` of a function that was inlined at `va`.
    pub(super) fn inlined(&self, va: Va, function: &str) -> String {
        match self.kernel.modules().find(va) {
            Some((_, module)) => format!("{}!{function}", module.short_name),
            None => function.to_string(),
        }
    }

    /// The line of code that a stack is of ([`code_site`]).
    pub(super) fn site(&self, frames: &[Va]) -> Option<Va> {
        code_site(self.kernel, frames)
    }

    /// The source of the line of code of a stack.
    pub fn source_of_stack(&self, frames: &[Va]) -> Option<Rc<SourceSite>> {
        self.source(self.site(frames)?)
    }

    /// What a text shows for `va`: its name, or its digits if it has none.
    #[must_use]
    pub fn text(&self, va: Va) -> String {
        self.get(va).map_or_else(|| va.to_string(), |name| sanitize(&name).into_owned())
    }

    /// The same with the line of source code, if it is known: `leaky!Allocate+0x1f (C:\\src\\pool.c:42)`. If
    /// functions were inlined there, the line is that of the innermost one.
    #[must_use]
    pub fn text_with_line(&self, va: Va) -> String {
        let name = self.text(va);
        match self.source(va) {
            Some(site) => {
                let (file, line) = site.innermost();
                format!("{name} ({}:{line})", sanitize(file))
            }
            None => name,
        }
    }
}
