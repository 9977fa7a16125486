//! Which object file an address comes from.
//!
//! A linker calls each object file a module. The debug information stream has a record for each module and,
//! for each piece of code or data that the linker took from a module, a section contribution. So the symbols
//! and lines of an address are in one module's stream, and the others need not be read.
//!
//! | part, after a header of 64 bytes | record |
//! |---|---|
//! | modules (size at +24 of the header) | 64 bytes: +34 number of the stream, +36 size of its symbols, +40 and +44 sizes of its older and its C13 line information; then the names of the module and of its archive, each with a null; padded to 4 |
//! | contributions (size at +28) | a version, then 28 bytes each (32 in the second version): +0 section, +4 offset, +8 size, +16 module |
//!
//! Source: the PDB documentation of LLVM ("The PDB DBI Stream").

use std::ops::Range;

use crate::bytes::{le, le32};

const HEADER: usize = 64;
const MODULE: usize = 64;
/// The size of a contribution by the version of the list.
const CONTRIBUTIONS: [(u32, usize); 2] =
    [(0xeffe_0000 + 19_970_605, 28), (0xeffe_0000 + 20_140_516, 32)];
/// The stream number of a module without a stream.
const NO_STREAM: u16 = 0xffff;

/// The most bytes between two functions, which belong to the one before. A call that does not return may be the
/// last instruction of a function, and then it returns to them.
const PADDING: u32 = 64;

/// The place of an instruction: a section's number, counted from 1, and the offset in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    pub(super) section: u16,
    pub(super) offset: u32,
}

/// A module's stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ModuleStream {
    pub(super) number: u16,
    /// The parts of the stream.
    pub(super) symbols: Range<usize>,
    pub(super) lines: Range<usize>,
    /// The module's name in the debug information stream.
    pub(super) name: Range<usize>,
}

#[derive(Debug, Clone, Copy)]
struct Contribution {
    start: Place,
    size: u32,
    module: u16,
}

/// The modules, and the contributions in order of place.
pub(super) struct Contributions {
    modules: Vec<Option<ModuleStream>>,
    contributions: Vec<Contribution>,
}

impl Contributions {
    /// Reads both lists; `None` if they are cut or of an unknown version.
    pub(super) fn new(debug: &[u8]) -> Option<Self> {
        let size = |offset| usize::try_from(le32(debug, offset)?).ok();
        let middle = HEADER.checked_add(size(24)?)?;
        let end = middle.checked_add(size(28)?)?;
        let modules = modules(debug.get(..middle)?)?;
        let list = debug.get(middle..end)?;
        let version = le32(list, 0)?;
        let (_, size) = CONTRIBUTIONS.into_iter().find(|(known, _)| *known == version)?;
        let mut contributions: Vec<Contribution> = list
            .get(4..)?
            .chunks_exact(size)
            .filter_map(contribution)
            .filter(|contribution| contribution.size > 0)
            .collect();
        // Linkers write them in order, but readers must not rely on it.
        contributions.sort_by_key(|contribution| contribution.start);
        Some(Self { modules, contributions })
    }

    /// The contribution that contains a place, or whose padding contains it: its module and its start.
    pub(super) fn at(&self, place: Place) -> Option<(u16, Place)> {
        let end = self.contributions.partition_point(|contribution| contribution.start <= place);
        let last = self.contributions.get(end.checked_sub(1)?)?;
        let is_inside = last.start.section == place.section
            && place.offset.checked_sub(last.start.offset)? < last.size.saturating_add(PADDING);
        is_inside.then_some((last.module, last.start))
    }

    /// A module's stream, if it has one.
    pub(super) fn stream(&self, module: u16) -> Option<&ModuleStream> {
        self.modules.get(usize::from(module))?.as_ref()
    }
}

fn contribution(record: &[u8]) -> Option<Contribution> {
    Some(Contribution {
        start: Place { section: u16::try_from(le(record, 0, 2)?).ok()?, offset: le32(record, 4)? },
        size: le32(record, 8)?,
        module: u16::try_from(le(record, 16, 2)?).ok()?,
    })
}

/// The streams of all modules; `None` if the list is cut.
fn modules(debug: &[u8]) -> Option<Vec<Option<ModuleStream>>> {
    let mut modules = Vec::new();
    let mut at = HEADER;
    while at < debug.len() {
        let field = |offset| usize::try_from(le32(debug, at.checked_add(offset)?)?).ok();
        let (symbols, older, lines) = (field(36)?, field(40)?, field(44)?);
        let number = u16::try_from(le(debug, at.checked_add(34)?, 2)?).ok()?;
        let name = after_null(debug, at.checked_add(MODULE)?)?;
        let archive = after_null(debug, name)?;
        let start = symbols.checked_add(older)?;
        let stream = ModuleStream {
            number,
            symbols: 0..symbols,
            lines: start..start.checked_add(lines)?,
            name: at + MODULE..name - 1,
        };
        modules.push((number != NO_STREAM).then_some(stream));
        at = archive.next_multiple_of(4);
    }
    Some(modules)
}

/// The offset after the text that starts at `start`.
fn after_null(bytes: &[u8], start: usize) -> Option<usize> {
    let null = memchr::memchr(0, bytes.get(start..)?)?;
    Some(start + null + 1)
}
