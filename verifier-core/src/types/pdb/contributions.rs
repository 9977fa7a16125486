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

    /// The module of that name, without regard to case. `debug` is the stream that the modules were read from.
    pub(super) fn module_named(&self, debug: &[u8], name: &str) -> Option<u16> {
        let is_named = |module: &Option<ModuleStream>| {
            let module = module.as_ref().and_then(|module| debug.get(module.name.clone()));
            module.is_some_and(|bytes| bytes.eq_ignore_ascii_case(name.as_bytes()))
        };
        u16::try_from(self.modules.iter().position(is_named)?).ok()
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

#[cfg(test)]
mod tests {
    use super::*;

    /// A stream with two modules and these contributions {section, offset, size, module}.
    fn stream(version: usize, contributions: &[(u16, u32, u32, u16)]) -> Vec<u8> {
        let mut modules = Vec::new();
        for (number, name) in [(9u16, "a.obj"), (NO_STREAM, "b.obj")] {
            let mut record = vec![0; MODULE];
            record[34..36].copy_from_slice(&number.to_le_bytes());
            record[36] = 0x20;
            record[44] = 0x40;
            record.extend(name.bytes().chain([0, b'x', 0]));
            record.resize(record.len().next_multiple_of(4), 0);
            modules.extend(record);
        }
        let (number, size) = CONTRIBUTIONS[version];
        let mut list = Vec::from(number.to_le_bytes());
        for &(section, offset, length, module) in contributions {
            let mut record = vec![0; size];
            record[..2].copy_from_slice(&section.to_le_bytes());
            record[4..8].copy_from_slice(&offset.to_le_bytes());
            record[8..12].copy_from_slice(&length.to_le_bytes());
            record[16..18].copy_from_slice(&module.to_le_bytes());
            list.extend(record);
        }
        let mut header = vec![0; HEADER];
        header[24..28].copy_from_slice(&(modules.len() as u32).to_le_bytes());
        header[28..32].copy_from_slice(&(list.len() as u32).to_le_bytes());
        [header, modules, list].concat()
    }

    #[test]
    fn a_place_is_of_the_module_that_contributed_it() {
        for version in [0, 1] {
            // Out of order, one of them empty.
            let list = [(1, 0x100, 0x80, 1), (2, 0, 0x10, 0), (1, 0, 0x40, 0), (1, 0x20, 0, 1)];
            let debug = stream(version, &list);
            let all = Contributions::new(&debug).unwrap();
            let module =
                |section, offset| all.at(Place { section, offset }).map(|(module, _)| module);
            assert_eq!([0, 0x3f].map(|offset| module(1, offset)), [Some(0); 2]);
            assert_eq!((module(1, 0x40 + PADDING - 1), module(1, 0x40 + PADDING)), (Some(0), None));
            assert_eq!([0x100, 0x17f].map(|offset| module(1, offset)), [Some(1); 2]);
            assert_eq!((module(2, 0), module(3, 0)), (Some(0), None));
            let stream = all.stream(0).unwrap();
            assert_eq!(
                (stream.number, &stream.symbols, &stream.lines),
                (9, &(0..0x20), &(0x20..0x60))
            );
            assert_eq!(all.stream(1), None);
            assert_eq!(all.module_named(&debug, "A.OBJ"), Some(0));
            assert_eq!(all.module_named(&debug, "b.obj"), None);
        }
    }

    #[test]
    fn unknown_versions_and_cut_lists_are_refused() {
        let debug = stream(0, &[(1, 0, 0x40, 0)]);
        assert!(Contributions::new(&debug).is_some());
        for end in 0..debug.len() {
            assert!(Contributions::new(&debug[..end]).is_none(), "{end}");
        }
        let mut other = debug.clone();
        let version = debug.len() - 32;
        other[version] ^= 1;
        assert!(Contributions::new(&other).is_none());
    }
}
