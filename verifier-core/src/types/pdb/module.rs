//! One module of a PDB: its procedures and its lines.

use std::ops::Range;

use super::contributions::{ModuleStream, Place};
use super::inlined::{Inlined, inlined_at, record_at};
use super::lines::{Line, Lines};
use super::source::Piece;
use crate::bytes::{le, le32};

/// The signature of a module's symbols.
const SIGNATURE: u32 = 4;
/// `S_ALIGN` and `S_SKIP` are padding.
const PROCEDURES: [u64; 6] = [0x110f, 0x1110, 0x1146, 0x1147, 0x1155, 0x1156];

/// A procedure of a module.
#[derive(Debug, Clone)]
pub(super) struct Procedure {
    pub(super) start: Place,
    size: u32,
    /// Its records in the module's symbols: from its own up to its end.
    records: Range<usize>,
}

/// A module.
pub(super) struct Module {
    symbols: Piece,
    lines: Lines,
    /// In order of place.
    procedures: Vec<Procedure>,
}

/// The line of an address, and the functions that were inlined there, outermost first.
pub(super) struct Site {
    pub(super) line: Line,
    pub(super) inlined: Vec<Inlined>,
}

impl Module {
    /// Reads a module's stream.
    pub(super) fn new(stream: &Piece, parts: &ModuleStream) -> Self {
        let symbols = stream.part(parts.symbols.clone());
        let lines = stream.part(parts.lines.clone());
        Self {
            procedures: procedures(symbols.as_slice()),
            lines: Lines::new(lines.as_slice()),
            symbols,
        }
    }

    /// The line at a place.
    pub(super) fn site(&self, place: Place) -> Option<Site> {
        let line = self.lines.at(place)?;
        Some(Site { line, inlined: self.inlined(place).unwrap_or_default() })
    }

    /// The offset of a file's name in the string table.
    pub(super) fn file_name(&self, line: Line) -> Option<u32> {
        self.lines.name_of(line.file)
    }

    fn inlined(&self, place: Place) -> Option<Vec<Inlined>> {
        let procedure = self.nearest(place)?;
        let offset = place.offset.checked_sub(procedure.start.offset)?;
        if procedure.start.section != place.section || offset >= procedure.size {
            return None;
        }
        let records = procedure.records.clone();
        Some(inlined_at(self.symbols.as_slice(), records, offset, |id| self.lines.inlinee(id)))
    }

    /// The last procedure that starts at or below a place.
    fn nearest(&self, place: Place) -> Option<&Procedure> {
        let end = self.procedures.partition_point(|procedure| procedure.start <= place);
        self.procedures.get(end.checked_sub(1)?)
    }
}

/// The procedures among a module's symbols.
fn procedures(symbols: &[u8]) -> Vec<Procedure> {
    let mut procedures = Vec::new();
    if le32(symbols, 0) != Some(SIGNATURE) {
        return procedures;
    }
    let mut at = 4;
    while let Some((kind, record)) = record_at(symbols, at) {
        if PROCEDURES.contains(&kind) {
            procedures.extend(procedure(record, at));
        }
        at += record.len();
    }
    procedures.sort_by_key(|procedure| procedure.start);
    procedures
}

fn procedure(record: &[u8], at: usize) -> Option<Procedure> {
    let section = u16::try_from(le(record, 36, 2)?).ok()?;
    let end = usize::try_from(le32(record, 8)?).ok()?;
    Some(Procedure {
        start: Place { section, offset: le32(record, 32)? },
        size: le32(record, 16)?,
        records: at + record.len()..end,
    })
}
