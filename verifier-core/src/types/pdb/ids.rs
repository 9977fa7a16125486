//! Names of inlined functions, by their number in the stream of ids.
//!
//! The streams of types and of ids have the same form: a header (+4 its size, +8 the number of the first
//! record, +16 the size of the records), then records (+0 size, +2 kind) without numbers of their own. The
//! stream whose number is at +20 has at the offset at +40 a list of {number, offset of the record}, one for
//! each 8 KiB of records. So one record is found after a few hundred others, not after all.
//!
//! Source: the PDB documentation of LLVM ("The PDB TPI and IPI Streams").

use super::source::Piece;
use crate::bytes::{le, le32};
use crate::symbols::shown;

/// A function, and a function that is a member of a class.
const FUNCTION: u64 = 0x1601;
const MEMBER: u64 = 0x1602;
/// A text; the name of a namespace.
const TEXT: u64 = 0x1605;
/// A class, a structure, a union, an interface.
const CLASSES: [u64; 3] = [0x1504, 0x1505, 0x1519];
const UNION: u64 = 0x1506;
/// How compilers write a namespace without a name; a number follows.
const UNNAMED: &str = "?A0x";
/// Limit on the records that are passed over to one of them. A list that a linker made leads to less than a
/// thousand; some linkers make no list.
const MAX_STEPS: u32 = 1 << 20;

/// The records of a stream.
pub(super) struct Records {
    stream: Piece,
    /// The list of numbers and offsets.
    hints: Piece,
}

impl Records {
    /// The stream, and the stream of its hashes.
    pub(super) fn new(stream: Piece, hashes: Option<&Piece>) -> Self {
        let field =
            |offset| usize::try_from(le32(stream.as_slice(), offset).unwrap_or(0)).unwrap_or(0);
        let (start, size) = (field(40), field(44));
        let hints = match hashes {
            Some(hashes) => hashes.part(start..start.saturating_add(size)),
            None => Piece::whole(Vec::new()),
        };
        Self { stream, hints }
    }

    /// The number of the stream of hashes, from the header of the stream itself.
    pub(super) fn hashes_of(stream: &Piece) -> Option<u16> {
        u16::try_from(le(stream.as_slice(), 20, 2)?).ok()
    }

    /// The kind and the bytes of a record, including its size and kind.
    fn record(&self, number: u32) -> Option<(u64, &[u8])> {
        let stream = self.stream.as_slice();
        let (header, first) = (usize::try_from(le32(stream, 4)?).ok()?, le32(stream, 8)?);
        let (hints, _) = self.hints.as_slice().as_chunks::<8>();
        let hint = |[a, b, c, d, e, f, g, h]: &[u8; 8]| {
            (u32::from_le_bytes([*a, *b, *c, *d]), u32::from_le_bytes([*e, *f, *g, *h]))
        };
        let end = hints.partition_point(|raw| hint(raw).0 <= number);
        let (near, offset) = match end.checked_sub(1).and_then(|at| hints.get(at)) {
            Some(raw) => hint(raw),
            None => (first, 0),
        };
        let mut at = header.checked_add(usize::try_from(offset).ok()?)?;
        let steps = number.checked_sub(near).filter(|&steps| steps <= MAX_STEPS)?;
        for _ in 0..steps {
            at = at.checked_add(2)?.checked_add(usize::try_from(le(stream, at, 2)?).ok()?)?;
        }
        let size = usize::try_from(le(stream, at, 2)?).ok()?;
        let record = stream.get(at..at.checked_add(2)?.checked_add(size)?)?;
        Some((le(record, 2, 2)?, record))
    }

    /// The name of a class or union.
    fn class_name(&self, number: u32) -> Option<String> {
        let (kind, record) = self.record(number)?;
        let size = match kind {
            UNION => 12,
            kind if CLASSES.contains(&kind) => 20,
            _ => return None,
        };
        text(record, size + number_size(record, size)?)
    }
}

/// The name of a function, with the class or the namespace that it is in. `types` is asked for the class.
pub(super) fn function_name<'r>(
    ids: &Records,
    types: impl FnOnce() -> Option<&'r Records>,
    id: u32,
) -> Option<String> {
    let (kind, record) = ids.record(id)?;
    let parent = le32(record, 4)?;
    let name = text(record, 12)?;
    let scope = match kind {
        FUNCTION if parent == 0 => None,
        FUNCTION => match ids.record(parent) {
            Some((TEXT, record)) => text(record, 8),
            _ => None,
        },
        MEMBER => types().and_then(|types| types.class_name(parent)),
        _ => return None,
    };
    let name = match scope {
        Some(scope) => format!("{}::{name}", readable(&scope)),
        None => name,
    };
    Some(shown(&name).into_owned())
}

/// A scope in which each namespace without a name is shown as such.
fn readable(scope: &str) -> String {
    let parts = scope.split("::").map(|part| match part.starts_with(UNNAMED) {
        true => "`anonymous namespace'",
        false => part,
    });
    parts.collect::<Vec<_>>().join("::")
}

/// The text in a record, up to its null.
fn text(record: &[u8], offset: usize) -> Option<String> {
    let text = record.get(offset..)?;
    let text = text.get(..memchr::memchr(0, text)?)?;
    (!text.is_empty()).then(|| String::from_utf8_lossy(text).into_owned())
}

/// The size of a number of variable length: the number itself, or the kind of what follows.
fn number_size(record: &[u8], offset: usize) -> Option<usize> {
    Some(match le(record, offset, 2)? {
        ..0x8000 => 2,
        0x8000 => 3,
        0x8001 | 0x8002 => 4,
        0x8003 | 0x8004 => 6,
        0x8009 | 0x800a => 10,
        _ => return None,
    })
}
