//! C13 line information: which line of which file the code of an address comes from.
//!
//! It is a list of subsections, each with a kind, a size and data:
//!
//! | kind | data |
//! |---|---|
//! | 0xf2 lines | +0 offset, +4 section and +8 size of the code; blocks of +0 file, +4 number of lines, +8 size in bytes, then for each line +0 offset from the code's start, +4 line in the lower 24 bits |
//! | 0xf4 checksums | +0 offset of the file's name in the string table, +4 size of the checksum; a file is the offset of its record |
//! | 0xf6 inlinees | a signature, then +0 id of the function, +4 file, +8 first line; if the signature is 1, +12 a count of other files and the files |
//!
//! Source: the PDB documentation of LLVM and its CodeView headers. The crate's reader is not used: it refuses
//! all lines of a module if it does not know one of the subsections.

use super::contributions::Place;
use super::cross_module::{EXPORTS, Exports, IMPORTS, Imports};
use crate::bytes::{le, le32};

const LINES: u32 = 0xf2;
const CHECKSUMS: u32 = 0xf4;
const INLINEES: u32 = 0xf6;
/// Subsections with this bit are to be ignored.
const IGNORE: u32 = 0x8000_0000;
/// Bytes before the first block of lines, and before the first line of a block.
const LINES_HEADER: usize = 12;
const BLOCK_HEADER: usize = 12;
/// The signature of a list of inlinees with more files.
const MORE_FILES: u32 = 1;
/// Lines that compilers give to code that a debugger must not stop at, or step into. They are not lines of
/// a file.
const HIDDEN: [u32; 2] = [0x00fe_efee, 0x00f0_0f00];

/// A file of a module: the offset of its checksum.
pub(super) type FileId = u32;

/// A line of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Line {
    pub(super) file: FileId,
    /// 0 if the code is not of a line.
    pub(super) line: u32,
}

#[derive(Debug, Clone, Copy)]
struct Entry {
    start: Place,
    /// `None` where the code of a function ends.
    line: Option<Line>,
}

/// The lines of one module.
#[derive(Default)]
pub(super) struct Lines {
    /// In order of place.
    entries: Vec<Entry>,
    /// In order of the id of the function: where it is defined.
    inlinees: Vec<(u32, Line)>,
    /// File by file: the offset of its name in the string table, in order of file.
    names: Vec<(FileId, u32)>,
    pub(super) imports: Imports,
    pub(super) exports: Exports,
}

impl Lines {
    pub(super) fn new(subsections: &[u8]) -> Self {
        let mut lines = Self::default();
        for (kind, data) in Subsections(subsections) {
            match kind {
                LINES => lines.add_lines(data).unwrap_or(()),
                CHECKSUMS if lines.names.is_empty() => lines.add_files(data).unwrap_or(()),
                INLINEES => lines.add_inlinees(data).unwrap_or(()),
                IMPORTS => lines.imports.add(data).unwrap_or(()),
                EXPORTS => lines.exports.add(data),
                _ => {}
            }
        }
        // Where one function ends, another may start: the end comes first, so that the start counts.
        lines.entries.sort_by_key(|entry| (entry.start, entry.line.is_some()));
        lines.inlinees.sort_by_key(|(id, _)| *id);
        lines
    }

    /// The line of the code at a place.
    pub(super) fn at(&self, place: Place) -> Option<Line> {
        let end = self.entries.partition_point(|entry| entry.start <= place);
        let last = self.entries.get(end.checked_sub(1)?)?;
        last.line.filter(|line| last.start.section == place.section && line.line != 0)
    }

    /// The first line of an inlined function.
    pub(super) fn inlinee(&self, id: u32) -> Option<Line> {
        let at = self.inlinees.binary_search_by_key(&id, |(id, _)| *id).ok()?;
        self.inlinees.get(at).map(|(_, line)| *line)
    }

    /// The offset of a file's name in the string table.
    pub(super) fn name_of(&self, file: FileId) -> Option<u32> {
        let at = self.names.binary_search_by_key(&file, |(file, _)| *file).ok()?;
        self.names.get(at).map(|(_, name)| *name)
    }

    fn add_lines(&mut self, data: &[u8]) -> Option<()> {
        let section = u16::try_from(le(data, 4, 2)?).ok()?;
        let (start, size) = (le32(data, 0)?, le32(data, 8)?);
        let place = |offset| Some(Place { section, offset: start.checked_add(offset)? });
        self.entries.push(Entry { start: place(size)?, line: None });
        let mut rest = data.get(LINES_HEADER..)?;
        while !rest.is_empty() {
            let (file, count) = (le32(rest, 0)?, usize::try_from(le32(rest, 4)?).ok()?);
            let (block, after) = rest.split_at_checked(usize::try_from(le32(rest, 8)?).ok()?)?;
            let (lines, _) = block.get(BLOCK_HEADER..)?.as_chunks::<8>();
            for &[a, b, c, d, lower, middle, upper, _] in lines.iter().take(count) {
                let line = u32::from_le_bytes([lower, middle, upper, 0]);
                let line = if HIDDEN.contains(&line) { 0 } else { line };
                let offset = u32::from_le_bytes([a, b, c, d]);
                if offset < size {
                    self.entries
                        .push(Entry { start: place(offset)?, line: Some(Line { file, line }) });
                }
            }
            rest = after;
        }
        Some(())
    }

    fn add_files(&mut self, data: &[u8]) -> Option<()> {
        let mut at = 0;
        while at < data.len() {
            let size = usize::from(*data.get(at.checked_add(4)?)?);
            self.names.push((u32::try_from(at).ok()?, le32(data, at)?));
            // Name, size, kind, checksum.
            at = at.checked_add(6 + size)?.next_multiple_of(4);
        }
        Some(())
    }

    fn add_inlinees(&mut self, data: &[u8]) -> Option<()> {
        let has_more = le32(data, 0)? == MORE_FILES;
        let mut rest = data.get(4..)?;
        while !rest.is_empty() {
            let line = Line { file: le32(rest, 4)?, line: le32(rest, 8)? };
            self.inlinees.push((le32(rest, 0)?, line));
            let more = if has_more { usize::try_from(le32(rest, 12)?).ok()? + 1 } else { 0 };
            rest = rest.get(more.checked_mul(4)?.checked_add(12)?..)?;
        }
        Some(())
    }
}

/// The subsections: kind and data. It ends where one is cut.
struct Subsections<'a>(&'a [u8]);

impl<'a> Iterator for Subsections<'a> {
    type Item = (u32, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let (kind, size) = (le32(self.0, 0)?, usize::try_from(le32(self.0, 4)?).ok()?);
            let (data, after) = self.0.get(8..)?.split_at_checked(size)?;
            // The padding after the data is not part of its size.
            let padding = size.next_multiple_of(4) - size;
            self.0 = after.get(padding..).unwrap_or_default();
            if kind & IGNORE == 0 {
                return Some((kind, data));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(words: &[u32]) -> Vec<u8> {
        words.iter().flat_map(|word| word.to_le_bytes()).collect()
    }

    fn place(offset: u32) -> Place {
        Place { section: 1, offset }
    }

    #[test]
    fn hidden_code_and_gaps_have_no_line() {
        // 0x10 bytes of code at 0x100, one block of three lines; a kind that is unknown comes first.
        let data = [0x100, 1, 0x10, 8, 3, 36, 0, 0x8000_0007, 4, 0x80fe_efee, 8, 9];
        let subsections = [words(&[0xff, 4, 0, LINES, 48]), words(&data)].concat();
        let lines = Lines::new(&subsections);
        let line = |offset| lines.at(place(offset)).map(|line| (line.file, line.line));
        assert_eq!(line(0xff), None);
        assert_eq!((line(0x100), line(0x103)), (Some((8, 7)), Some((8, 7))));
        assert_eq!(line(0x104), None);
        assert_eq!((line(0x108), line(0x10f)), (Some((8, 9)), Some((8, 9))));
        assert_eq!(line(0x110), None);
        assert_eq!(lines.at(Place { section: 2, offset: 0x100 }), None);
    }

    #[test]
    fn inlinees_with_more_files() {
        let data = [INLINEES, 36, 1, 0x1001, 8, 20, 1, 24, 0x1000, 16, 30, 0];
        let lines = Lines::new(&words(&data));
        assert_eq!(lines.inlinee(0x1000), Some(Line { file: 16, line: 30 }));
        assert_eq!(lines.inlinee(0x1001), Some(Line { file: 8, line: 20 }));
        assert_eq!(lines.inlinee(0x1002), None);
    }
}
