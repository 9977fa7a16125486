//! Frames and stacks of the page, each once.

use std::collections::HashMap;

use serde::Serialize;
use verifier_core::Va;
use verifier_core::analysis::is_kernel_or_verifier;
use verifier_core::render::Names;

use super::strings::{Index, NONE, Strings, next_index};

/// A frame of the kernel or of Verifier.
const KERNEL: u8 = 1;
/// A function that was inlined; the function that contains it is the next frame.
const INLINED: u8 = 2;

/// Frames in columns. An address in a function with others inlined is several frames, the innermost first.
#[derive(Default, Serialize)]
pub(super) struct Frames {
    /// The module's short name; none for an address in no module.
    module: Vec<Index>,
    /// The function; none if no symbol is known.
    function: Vec<Index>,
    /// Distance from the function, else from the module.
    offset: Vec<u64>,
    /// The address in hexadecimal digits; empty if the page is about two dumps.
    address: Vec<String>,
    /// The path of the source file, or none.
    file: Vec<Index>,
    line: Vec<u32>,
    flags: Vec<u8>,
    /// The first frame and the number of frames of each address.
    #[serde(skip)]
    known: HashMap<(Side, Va), (Index, usize)>,
}

/// Which dump an address is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Side {
    /// The only one.
    Only,
    /// The earlier of two.
    Old,
    /// The later of two.
    New,
}

/// One frame.
struct Frame<'a> {
    module: Index,
    function: Option<&'a str>,
    offset: u64,
    source: Option<(&'a str, u32)>,
    flags: u8,
}

impl Frames {
    /// The number of frames.
    pub(super) fn len(&self) -> usize {
        self.flags.len()
    }

    /// The first of the frames of a return address, and their number.
    pub(super) fn of(
        &mut self,
        (side, va): (Side, Va),
        names: &Names<'_>,
        strings: &mut Strings,
    ) -> (Index, usize) {
        if let Some(&known) = self.known.get(&(side, va)) {
            return known;
        }
        let first = self.len();
        let symbol = names.kernel().symbolize(va);
        let source = names.source(va);
        let module = strings.index_of(symbol.as_ref().map(|symbol| &*symbol.module));
        let address = if side == Side::Only { format!("{:x}", va.0) } else { String::new() };
        let kernel = if is_kernel_or_verifier(names.kernel(), va) { KERNEL } else { 0 };
        for inlined in source.iter().flat_map(|source| &source.inlined) {
            let frame = Frame {
                module,
                function: Some(&inlined.function),
                offset: inlined.displacement.into(),
                source: Some((&inlined.file, inlined.line)),
                flags: kernel | INLINED,
            };
            self.push(address.clone(), &frame, strings);
        }
        let frame = Frame {
            module,
            function: symbol.as_ref().and_then(|symbol| symbol.name.as_deref()),
            offset: symbol.as_ref().map_or(0, |symbol| symbol.displacement),
            source: source.as_ref().map(|source| (&*source.file, source.line)),
            flags: kernel,
        };
        self.push(address, &frame, strings);
        let found = (next_index(first), self.len() - first);
        self.known.insert((side, va), found);
        found
    }

    /// A frame that is known by its function's name alone, `module!function`.
    pub(super) fn of_function(
        &mut self,
        name: &str,
        is_kernel: bool,
        strings: &mut Strings,
    ) -> Index {
        let (module, function) = match name.split_once('!') {
            Some((module, function)) => (strings.index(module), Some(function)),
            None => (NONE, Some(name)),
        };
        let flags = if is_kernel { KERNEL } else { 0 };
        self.push(
            String::new(),
            &Frame { module, function, offset: 0, source: None, flags },
            strings,
        );
        next_index(self.len() - 1)
    }

    fn push(&mut self, address: String, frame: &Frame<'_>, strings: &mut Strings) {
        self.module.push(frame.module);
        self.function.push(strings.index_of(frame.function));
        self.offset.push(frame.offset);
        self.address.push(address);
        self.file.push(strings.index_of(frame.source.map(|(file, _)| file)));
        self.line.push(frame.source.map_or(0, |(_, line)| line));
        self.flags.push(frame.flags);
    }

    /// True for a frame of the kernel or of Verifier.
    pub(super) fn is_kernel(&self, frame: Index) -> bool {
        let flags = usize::try_from(frame).ok().and_then(|frame| self.flags.get(frame));
        flags.is_some_and(|flags| flags & KERNEL != 0)
    }

    /// The files and lines of frames outside the kernel and Verifier, in the order of the frames.
    pub(super) fn lines(&self) -> impl Iterator<Item = (Index, u32)> {
        let lines = self.file.iter().zip(&self.line).zip(&self.flags);
        lines
            .filter(|&((&file, _), flags)| file != NONE && flags & KERNEL == 0)
            .map(|((&file, &line), _)| (file, line))
    }
}

/// Stacks as a tree: a node is a frame and the node of its caller, which has a lower number.
#[derive(Default, Serialize)]
pub(super) struct Stacks {
    frame: Vec<Index>,
    /// How much lower the number of the caller's node is; 0 for an outermost frame. Most are small.
    up: Vec<Index>,
    #[serde(skip)]
    known: HashMap<(Index, Index), Index>,
}

impl Stacks {
    /// The number of nodes.
    pub(super) fn len(&self) -> usize {
        self.frame.len()
    }

    /// The node of the innermost frame of a stack, given from the outermost frame in.
    pub(super) fn of(&mut self, frames: impl Iterator<Item = Index>) -> Index {
        frames.fold(NONE, |caller, frame| {
            *self.known.entry((frame, caller)).or_insert_with(|| {
                let node = next_index(self.frame.len());
                self.frame.push(frame);
                self.up.push(if caller == NONE { 0 } else { node - caller });
                node
            })
        })
    }
}
