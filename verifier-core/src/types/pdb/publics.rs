//! Public symbols through the PDB's own indexes: the address map and the hash of names. A look-up of a few
//! names out of 40,000 then reads only a few dozen records.
//!
//! The format of the stream, whose number is at +16 of the debug information stream (the number of the symbol
//! records' stream is at +20):
//!
//! | offset | bytes | what |
//! |---|---|---|
//! | 0 | 4 | size of the hash, H |
//! | 4 | 4 | size of the address map, M |
//! | 28 | H | the hash: signature -1, version, size R of the records, size of the buckets; records {offset of the symbol + 1, count}; a bitmap of 4,097 buckets; for each that is not empty the number of its first record times 12 |
//! | 28+H | M | offsets of the symbols in order of section and offset |
//!
//! Sources: the PDB documentation of LLVM ("The PDB Global and Public Symbol Streams"), checked on the files
//! of its linker. Writers hash differently (one of them puts names of eight characters into another bucket),
//! and any byte may be wrong, so neither index is trusted. The record that an index leads to is compared. A
//! name that the hash does not find is also searched for among the records. In any doubt the whole table is
//! made.

use std::borrow::Cow;

use memchr::memmem;

use super::source::Piece;
use crate::addr::Rva;
use crate::bytes::{le, le32};
use crate::symbols::{SymbolKind, shown, undecorate};

/// `S_PUB32`.
pub(super) const PUBLIC: u16 = 0x110e;
const HEADER: usize = 28;
const HASH_HEADER: usize = 16;
const HASH_VERSION: u32 = 0xf12f_091a;
const BUCKETS: u32 = 4096;
/// The size of the bitmap: one bit for each bucket and one more, in whole words.
const BITMAP: usize = (BUCKETS as usize / 32 + 1) * 4;
/// The size of a hash record in the memory of the program that defined the format.
const RECORD_IN_MEMORY: u32 = 12;
/// Limit on the symbols at one address, or in one bucket, that are read.
const MAX_ALIKE: usize = 4096;

/// The public symbols of one PDB.
pub(super) struct PublicIndex {
    records: Piece,
    map: Piece,
    hash: Piece,
    bitmap: Piece,
    buckets: Piece,
    /// Virtual addresses of the image's sections.
    sections: Vec<u32>,
    undecorate: bool,
}

/// The result of a look-up in the hash of names.
pub(super) enum ByName {
    At(Rva),
    Absent,
    /// The name is among the records but the hash does not lead to it.
    Unsure,
}

struct Public<'a> {
    section: u16,
    offset: u32,
    kind: SymbolKind,
    name: &'a str,
}

impl PublicIndex {
    /// The indexes, or `None` if the stream differs from the linkers' format.
    pub(super) fn new(
        stream: &Piece,
        records: Piece,
        sections: Vec<u32>,
        undecorate: bool,
    ) -> Option<Self> {
        let bytes = stream.as_slice();
        let size = |offset| usize::try_from(le32(bytes, offset)?).ok();
        let (hash_size, map_size) = (size(0)?, size(4)?);
        let map_start = HEADER.checked_add(hash_size)?;
        let map_end = map_start.checked_add(map_size)?;
        let records_size = size(HEADER + 8)?;
        let records_end = (HEADER + HASH_HEADER).checked_add(records_size)?;
        let is_hash = le32(bytes, HEADER)? == u32::MAX
            && le32(bytes, HEADER + 4)? == HASH_VERSION
            && records_end.checked_add(BITMAP)? <= map_start;
        // Each symbol has an entry in both.
        let both = map_size.is_multiple_of(4) && map_size / 4 == records_size / 8 && map_size > 0;
        if !is_hash || !both || map_end > bytes.len() {
            return None;
        }
        let index = Self {
            records,
            map: stream.part(map_start..map_end),
            hash: stream.part(HEADER + HASH_HEADER..records_end),
            bitmap: stream.part(records_end..records_end + BITMAP),
            buckets: stream.part(records_end + BITMAP..map_start),
            sections,
            undecorate,
        };
        index.is_in_order_of_addresses().then_some(index)
    }

    /// Number of symbols.
    pub(super) fn len(&self) -> usize {
        self.map.as_slice().len() / 4
    }

    /// True if the order of section and offset is the order of address: each section starts after the last
    /// symbol of the section before it.
    fn is_in_order_of_addresses(&self) -> bool {
        let mut last = 0;
        for (number, &start) in (1u16..).zip(&self.sections) {
            let end = self.partition(|public| public.section <= number);
            let newest = end.and_then(|end| match end.checked_sub(1) {
                Some(at) => self.at(at),
                None => Some(Public { section: 0, offset: 0, kind: SymbolKind::Public, name: "" }),
            });
            let Some(newest) = newest else { return false };
            if start < last {
                return false;
            }
            if newest.section == number {
                let Some(rva) = start.checked_add(newest.offset) else { return false };
                last = rva;
            }
            last = last.max(start);
        }
        true
    }

    /// The nearest symbol at or below `rva`. `None` if the map is inconsistent.
    pub(super) fn resolve(&self, rva: Rva) -> Option<Option<(Cow<'_, str>, u32)>> {
        let end = self.partition(|public| self.is_at_or_below(public, rva))?;
        let Some(last) = end.checked_sub(1) else { return Some(None) };
        let nearest = self.at(last)?;
        // Absolute symbols have no section and come first.
        let Some(start) = self.rva(&nearest) else { return Some(None) };
        // The next symbol must be above `rva`; otherwise the map is out of order and led to the wrong place.
        if let Some(next) = self.at(end)
            && self.is_at_or_below(&next, rva)
        {
            return None;
        }
        let mut best: Option<(SymbolKind, &str)> = None;
        for at in (0..end).rev().take(MAX_ALIKE) {
            let public = self.at(at)?;
            match self.rva(&public) {
                Some(rva) if rva == start => {}
                // Likewise, the symbols before must not be above.
                Some(rva) if rva > start => return None,
                _ => break,
            }
            let name = self.plain(public.name);
            // A symbol without a name does not count; the whole table then finds the symbol below it.
            if name.is_empty() {
                return None;
            }
            let this = (public.kind, name);
            best = Some(best.map_or(this, |best| best.min(this)));
        }
        let (_, name) = best?;
        Some(Some((shown(name), rva.0.checked_sub(start.0)?)))
    }

    /// Looks up the address of the symbol with that name; the lowest one if there are several.
    pub(super) fn find(&self, name: &str) -> ByName {
        // The caller's name has no decoration, but the hash is made from the decorated name.
        if self.undecorate || name.is_empty() {
            return ByName::Unsure;
        }
        match self.in_bucket(name) {
            Some(rva) => ByName::At(rva),
            None => match memmem::find(self.records.as_slice(), format!("{name}\0").as_bytes()) {
                Some(_) => ByName::Unsure,
                None => ByName::Absent,
            },
        }
    }

    fn in_bucket(&self, name: &str) -> Option<Rva> {
        let bucket = hash(name.as_bytes()) % BUCKETS;
        let word = |at: usize| le32(self.bitmap.as_slice(), at * 4);
        let at = usize::try_from(bucket / 32).ok()?;
        let bit = 1u32 << (bucket % 32);
        let here = word(at)?;
        if here & bit == 0 {
            return None;
        }
        let before: u32 = (0..at).filter_map(word).map(u32::count_ones).sum();
        let number = usize::try_from(before + (here & (bit - 1)).count_ones()).ok()?;
        let first = |number: usize| {
            let offset = le32(self.buckets.as_slice(), number.checked_mul(4)?)?;
            usize::try_from(offset / RECORD_IN_MEMORY).ok()
        };
        let start = first(number)?;
        let end = first(number + 1).unwrap_or(usize::MAX).min(start.saturating_add(MAX_ALIKE));
        let mut lowest: Option<Rva> = None;
        for record in start..end {
            let Some(offset) = le32(self.hash.as_slice(), record.checked_mul(8)?) else { break };
            let Some(public) = offset.checked_sub(1).and_then(|offset| self.public(offset)) else {
                continue;
            };
            if public.name == name
                && let Some(rva) = self.rva(&public)
            {
                lowest = Some(lowest.map_or(rva, |lowest| lowest.min(rva)));
            }
        }
        lowest
    }

    fn plain<'a>(&self, name: &'a str) -> &'a str {
        if self.undecorate { undecorate(name) } else { name }
    }

    /// The number of symbols at the start of the map for which `comes_first` is true.
    fn partition(&self, comes_first: impl Fn(&Public<'_>) -> bool) -> Option<usize> {
        let (mut low, mut high) = (0, self.len());
        while low < high {
            let middle = low + (high - low) / 2;
            if comes_first(&self.at(middle)?) {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        Some(low)
    }

    /// A symbol by its position in the map.
    fn at(&self, place: usize) -> Option<Public<'_>> {
        self.public(le32(self.map.as_slice(), place.checked_mul(4)?)?)
    }

    fn is_at_or_below(&self, public: &Public<'_>, rva: Rva) -> bool {
        match self.rva(public) {
            Some(at) => at <= rva,
            None => public.section == 0,
        }
    }

    fn rva(&self, public: &Public<'_>) -> Option<Rva> {
        let section = usize::from(public.section).checked_sub(1)?;
        self.sections.get(section)?.checked_add(public.offset).map(Rva)
    }

    /// The symbol whose record is at `offset`.
    fn public(&self, offset: u32) -> Option<Public<'_>> {
        let record = self.records.as_slice().get(usize::try_from(offset).ok()?..)?;
        let (length, kind) = (le(record, 0, 2)?, le(record, 2, 2)?);
        if kind != u64::from(PUBLIC) {
            return None;
        }
        let name = record.get(14..2usize.checked_add(usize::try_from(length).ok()?)?)?;
        let name = name.get(..memchr::memchr(0, name)?)?;
        Some(Public {
            section: u16::try_from(le(record, 12, 2)?).ok()?,
            offset: le32(record, 8)?,
            kind: public_kind(*record.get(4)?),
            name: std::str::from_utf8(name).ok().filter(|name| name.is_ascii())?,
        })
    }
}

/// Decodes the flags of a public symbol: code, function.
pub(super) fn public_kind(flags: u8) -> SymbolKind {
    match flags & 3 {
        0 => SymbolKind::Public,
        _ => SymbolKind::PublicFunction,
    }
}

/// The hash of the format's first version (LLVM: `hashStringV1`).
pub(super) fn hash(name: &[u8]) -> u32 {
    let (words, rest) = name.as_chunks::<4>();
    let mut hash = words.iter().fold(0, |hash, word| hash ^ u32::from_le_bytes(*word));
    let (halves, rest) = rest.as_chunks::<2>();
    for half in halves {
        hash ^= u32::from(u16::from_le_bytes(*half));
    }
    for byte in rest {
        hash ^= u32::from(*byte);
    }
    hash |= 0x2020_2020;
    hash ^= hash >> 11;
    hash ^ (hash >> 16)
}
