//! One module of a PDB: its procedures and its lines.

use std::borrow::Cow;
use std::ops::Range;
use std::sync::OnceLock;

use super::contributions::{ModuleStream, Place};
use super::inlined::{Inlined, inlined_at, record_at};
use super::lines::{Line, Lines};
use super::source::Piece;
use crate::bytes::{le, le32};

/// The signature of a module's symbols.
const SIGNATURE: u32 = 4;
/// `S_LPROC32`, `S_GPROC32` and their forms; the first two have names that start with their length.
const PROCEDURES: [u64; 8] = [0x100a, 0x100b, 0x110f, 0x1110, 0x1146, 0x1147, 0x1155, 0x1156];
const WITH_LENGTH: u64 = 0x1100;
/// The offset of the name in a procedure's record.
const NAME: usize = 39;

/// A procedure of a module.
#[derive(Debug, Clone)]
struct Procedure {
    start: Place,
    size: u32,
    /// Its records in the module's symbols, up to its end; the first one is its own.
    records: Range<usize>,
}

/// A module.
pub(super) struct Module {
    symbols: Piece,
    /// In order of place.
    procedures: Vec<Procedure>,
    line_information: Piece,
    lines: OnceLock<Lines>,
}

/// The line of an address, and the functions that were inlined there, outermost first.
pub(super) struct Site {
    pub(super) line: Line,
    pub(super) inlined: Vec<Inlined>,
}

impl Module {
    /// Reads a module's stream: its procedures, but not yet its lines.
    pub(super) fn new(stream: &Piece, parts: &ModuleStream) -> Self {
        let symbols = stream.part(parts.symbols.clone());
        Self {
            procedures: procedures(symbols.as_slice()),
            symbols,
            line_information: stream.part(parts.lines.clone()),
            lines: OnceLock::new(),
        }
    }

    /// The line at a place.
    pub(super) fn site(&self, place: Place) -> Option<Site> {
        let line = self.lines().at(place)?;
        Some(Site { line, inlined: self.inlined(place).unwrap_or_default() })
    }

    /// The last procedure that starts from `first` to `place`: its start and its name. Of several at one place
    /// it is the first one by name. A procedure whose name is empty without its decoration does not count.
    pub(super) fn procedure(
        &self,
        first: Place,
        place: Place,
        plain: fn(&str) -> &str,
    ) -> Option<(Place, String)> {
        let end = self.procedures.partition_point(|procedure| procedure.start <= place);
        for same in self.procedures.get(..end)?.chunk_by(|a, b| a.start == b.start).rev() {
            let start = same.first()?.start;
            if start < first {
                return None;
            }
            let names = same.iter().filter_map(|procedure| self.name(procedure));
            let names = names.map(|name| plain(&name).to_owned());
            if let Some(name) = names.filter(|name| !name.is_empty()).min() {
                return Some((start, name));
            }
        }
        None
    }

    fn name(&self, procedure: &Procedure) -> Option<Cow<'_, str>> {
        let (kind, record) = record_at(self.symbols.as_slice(), procedure.records.start)?;
        let name = record.get(NAME..)?;
        let name = match kind {
            ..WITH_LENGTH => name.get(1..)?.get(..usize::from(*name.first()?))?,
            _ => name.get(..memchr::memchr(0, name)?)?,
        };
        Some(String::from_utf8_lossy(name))
    }

    /// Lines, files and ids.
    pub(super) fn lines(&self) -> &Lines {
        self.lines.get_or_init(|| Lines::new(self.line_information.as_slice()))
    }

    fn inlined(&self, place: Place) -> Option<Vec<Inlined>> {
        let end = self.procedures.partition_point(|procedure| procedure.start <= place);
        let procedure = self.procedures.get(end.checked_sub(1)?)?;
        let offset = place.offset.checked_sub(procedure.start.offset)?;
        if procedure.start.section != place.section || offset >= procedure.size {
            return None;
        }
        let (records, lines) = (procedure.records.clone(), self.lines());
        Some(inlined_at(self.symbols.as_slice(), records, offset, |id| lines.inlinee(id)))
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
        records: at..end,
    })
}
