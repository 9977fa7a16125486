//! Inlined functions: which of them the code of an address comes from.
//!
//! After the record of a procedure, and before its end, there is a record for each place where another
//! function was inlined into it (`S_INLINESITE`: +4 end, +8 id of the function, +12 annotations; the second
//! form has four bytes more before the annotations). Sites may be nested. The annotations are a program of
//! operations, each a compressed number with one operand (operation 12 has two), which gives ranges of code
//! with their file and line. Offsets of code are from the start of the procedure.
//!
//! Sources: the CodeView headers of LLVM, and what its compiler writes. The crate's reader is not used: it
//! adds the number of a separated part of the code as if it were an offset.

use std::ops::Range;

use super::lines::{FileId, Line};
use crate::bytes::{le, le32};

const SITE: u64 = 0x114d;
const SITE_2: u64 = 0x115d;
/// Limit on the bytes of a procedure's records that are searched for sites. The code of the largest kernel
/// functions has some ten thousand bytes of them.
const MAX_PROCEDURE: usize = 1 << 20;
/// Limit on functions inlined into each other at one address.
const MAX_DEPTH: usize = 256;

/// A function that was inlined, and the line at the offset that was looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Inlined {
    /// The id of the function.
    pub(super) function: u32,
    /// Distance from the first code of the function here.
    pub(super) displacement: u32,
    pub(super) line: Line,
}

/// The functions that were inlined at an offset of a procedure's code, outermost first.
///
/// `records` is the range of the procedure's records in the module's `symbols`. `defined` returns the first
/// line of a function.
pub(super) fn inlined_at(
    symbols: &[u8],
    records: Range<usize>,
    offset: u32,
    defined: impl Fn(u32) -> Option<Line>,
) -> Vec<Inlined> {
    let mut found = Vec::new();
    let (mut at, mut end) = (records.start, records.end.min(symbols.len()));
    end = end.min(at.saturating_add(MAX_PROCEDURE));
    while at < end
        && found.len() < MAX_DEPTH
        && let Some((kind, record)) = record_at(symbols, at)
    {
        let next = at + record.len();
        at = next;
        let annotations = match kind {
            SITE => 16,
            SITE_2 => 20,
            _ => continue,
        };
        let (Some(site_end), Some(function), Some(annotations)) =
            (le32(record, 8), le32(record, 12), record.get(annotations..))
        else {
            continue;
        };
        let site_end = usize::try_from(site_end).unwrap_or(usize::MAX);
        let start = defined(function).unwrap_or(Line { file: FileId::MAX, line: 0 });
        match find(annotations, offset, start) {
            Some((displacement, line)) => {
                found.push(Inlined { function, displacement, line });
                // Only sites within this one can also contain the code.
                end = end.min(site_end);
            }
            // The sites within this one cannot contain the code either.
            None if site_end > next => at = site_end,
            None => {}
        }
    }
    found
}

/// The kind of the symbol record at an offset, and its bytes, including the size and the kind.
pub(super) fn record_at(symbols: &[u8], at: usize) -> Option<(u64, &[u8])> {
    let size = usize::try_from(le(symbols, at, 2)?).ok()?;
    let record = symbols.get(at..at.checked_add(2)?.checked_add(size)?)?;
    Some((le(record, 2, 2)?, record))
}

/// The range of code that contains `offset`: the distance from the lowest code of all ranges, and the line.
fn find(annotations: &[u8], offset: u32, start: Line) -> Option<(u32, Line)> {
    let mut lowest = u32::MAX;
    let mut line = None;
    for_each_range(annotations, start, |range, here| {
        lowest = lowest.min(range.start);
        if range.contains(&offset) {
            line = line.or(Some(here));
        }
    });
    Some((offset.checked_sub(lowest)?, line?))
}

/// Calls `each` with the ranges of code of a site and their lines.
fn for_each_range(annotations: &[u8], start: Line, mut each: impl FnMut(Range<u32>, Line)) {
    let mut numbers = Numbers(annotations);
    let (mut code, mut line) = (0u32, start);
    // The range whose end is not yet known.
    let mut open: Option<(u32, Line)> = None;
    // The separated part of the code; the part that contains the procedure's start is 0.
    let mut part = 0;
    while let Some(operation) = numbers.next()
        && let Some(operand) = numbers.next()
    {
        let mut length = None;
        match operation {
            1 => code = operand,
            2 => part = operand,
            3 => code = code.wrapping_add(operand),
            4 => {
                code = code.wrapping_add(operand);
                if let Some((start, line)) = open.take()
                    && part == 0
                {
                    each(start..code, line);
                }
            }
            5 => line.file = operand,
            6 => line.line = line.line.wrapping_add_signed(signed(operand)),
            11 => {
                code = code.wrapping_add(operand & 15);
                line.line = line.line.wrapping_add_signed(signed(operand >> 4));
            }
            12 => {
                let Some(delta) = numbers.next() else { return };
                code = code.wrapping_add(delta);
                length = Some(operand);
            }
            // The end of a statement, its kind, and columns.
            7..=10 | 13 => {}
            // 0 fills the record up.
            _ => return,
        }
        if !matches!(operation, 3 | 11 | 12) {
            continue;
        }
        // A range without a length ends where the next one starts.
        if let Some((start, line)) = open.take()
            && part == 0
        {
            each(start..code, line);
        }
        match length {
            Some(length) if part == 0 => each(code..code.saturating_add(length), line),
            Some(_) => {}
            None => open = Some((code, line)),
        }
    }
}

/// Compressed numbers: the upper bits of the first byte say whether the number has one, two or four bytes.
struct Numbers<'a>(&'a [u8]);

impl Iterator for Numbers<'_> {
    type Item = u32;

    fn next(&mut self) -> Option<u32> {
        let (number, rest) = match *self.0 {
            [a, ref rest @ ..] if a & 0x80 == 0 => (u32::from(a), rest),
            [a, b, ref rest @ ..] if a & 0xc0 == 0x80 => {
                (u32::from_be_bytes([0, 0, a & 0x3f, b]), rest)
            }
            [a, b, c, d, ref rest @ ..] if a & 0xe0 == 0xc0 => {
                (u32::from_be_bytes([a & 0x1f, b, c, d]), rest)
            }
            _ => return None,
        };
        self.0 = rest;
        Some(number)
    }
}

/// A signed number: the lowest bit is the sign.
fn signed(number: u32) -> i32 {
    let size = (number >> 1).cast_signed();
    if number & 1 == 0 { size } else { -size }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Line = Line { file: 0x18, line: 100 };

    fn ranges(annotations: &[u8]) -> Vec<(Range<u32>, FileId, u32)> {
        let mut all = Vec::new();
        for_each_range(annotations, START, |range, line| all.push((range, line.file, line.line)));
        all
    }

    #[test]
    fn a_range_ends_at_the_next_one_or_by_its_length() {
        // Line +1 at +4; line -1 and file 0x30 at +6; length 5; a gap; line +2 at +3 of it, length 2.
        let annotations = [11, 0x24, 5, 0x30, 6, 3, 3, 6, 4, 5, 11, 0x43, 4, 2, 0, 0];
        let expected = [(4..10, 0x18, 101), (10..15, 0x30, 100), (18..20, 0x30, 102)];
        assert_eq!(ranges(&annotations), expected);
    }

    #[test]
    fn a_length_and_an_offset_in_one_operation() {
        // The next offset is from the start of the range, not from its end.
        assert_eq!(ranges(&[12, 2, 63, 12, 3, 9]), [(63..65, 0x18, 100), (72..75, 0x18, 100)]);
    }

    #[test]
    fn code_in_a_separated_part_is_not_in_the_procedure() {
        assert_eq!(ranges(&[3, 1, 4, 2, 2, 1, 3, 9, 4, 2, 12, 4, 4]), [(1..3, 0x18, 100)]);
    }

    #[test]
    fn numbers_have_one_two_or_four_bytes() {
        let all: Vec<u32> = Numbers(&[0x7f, 0xbf, 0xff, 0xdf, 1, 2, 3, 0xe0]).collect();
        assert_eq!(all, [0x7f, 0x3fff, 0x1f01_0203]);
        assert_eq!([0, 1, 2, 3, 9].map(signed), [0, 0, 1, -1, -4]);
    }

    #[test]
    fn a_range_without_an_end_and_unknown_operations_are_left_out() {
        assert_eq!(ranges(&[3, 1]), []);
        assert_eq!(ranges(&[3, 1, 99, 1, 4, 2]), []);
        assert_eq!(ranges(&[]), []);
        let last = [3, 0xdf, 0xff, 0xff, 0xff].repeat(40);
        assert!(ranges(&last).len() <= 40);
    }
}
