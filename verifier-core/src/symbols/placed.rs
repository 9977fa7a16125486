//! A table over names that stay in the bytes of the PDB that they came from.

use super::name::undecorate;
use super::table::{Entry, NameBytes, SymbolKind, SymbolTable, sort};
use crate::addr::Rva;

/// Collects symbols in any order and leaves their names in place.
pub(crate) struct PlacedNames {
    entries: Vec<Entry>,
    undecorate: bool,
}

impl PlacedNames {
    pub(crate) fn new(undecorate: bool, capacity: usize) -> Self {
        Self { entries: Vec::with_capacity(capacity), undecorate }
    }

    /// Adds a symbol whose name is at offset `start` of the bytes; `None` if it is not ASCII or contains a
    /// null.
    #[must_use]
    pub(crate) fn add(
        &mut self,
        rva: Rva,
        name: &[u8],
        start: usize,
        kind: SymbolKind,
    ) -> Option<()> {
        if !is_plain(name) {
            return None;
        }
        let (mut start, mut len) = (start, name.len());
        if self.undecorate {
            let whole = std::str::from_utf8(name).ok()?;
            let name = undecorate(whole);
            // Decoration is removed from both ends, so the rest is a part of the name.
            start += (name.as_ptr() as usize).checked_sub(whole.as_ptr() as usize)?;
            len = name.len();
        }
        let (start, len) = (u32::try_from(start).ok()?, u32::try_from(len).ok()?);
        if len > 0 {
            self.entries.push(Entry { rva: rva.0, start, len, kind });
        }
        Some(())
    }

    pub(crate) fn finish(self, names: NameBytes) -> SymbolTable {
        let mut entries = sort_by_rva(self.entries);
        let bytes = (*names).as_ref();
        for run in entries.chunk_by_mut(|a, b| a.rva == b.rva) {
            if run.len() > 1 {
                sort(bytes, run);
            }
        }
        SymbolTable::of_sorted(names, entries)
    }
}

/// True if every byte is ASCII and not null; checks eight bytes at a time.
fn is_plain(name: &[u8]) -> bool {
    const ONES: u64 = 0x0101_0101_0101_0101;
    // The upper bit is set for each byte that is null or not ASCII. A borrow from a null can only set more
    // bits above it, in a word that is already wrong.
    let wrong = |eight: &[u8; 8]| {
        let value = u64::from_le_bytes(*eight);
        (value.wrapping_sub(ONES) | value) & (ONES << 7)
    };
    let (eights, rest) = name.as_chunks::<8>();
    match name.last_chunk::<8>() {
        // The last eight cover the remainder, so some bytes are checked twice.
        Some(last) => eights.iter().fold(wrong(last), |all, eight| all | wrong(eight)) == 0,
        None => rest.iter().all(|byte| (1..0x80).contains(byte)),
    }
}

/// Radix sort by address, twelve bits at a time: several times faster than a comparison sort for tens of
/// thousands of entries.
fn sort_by_rva(mut entries: Vec<Entry>) -> Vec<Entry> {
    let highest = entries.iter().fold(0, |bits, entry| bits | entry.rva);
    let mut shift = 0;
    while shift < 32 && highest >> shift != 0 {
        let digit = |entry: &Entry| (entry.rva >> shift & 0xfff) as usize;
        let mut places = [0u32; 0x1000];
        for entry in &entries {
            if let Some(place) = places.get_mut(digit(entry)) {
                *place += 1;
            }
        }
        let mut sum = 0;
        for place in &mut places {
            sum += std::mem::replace(place, sum);
        }
        let nothing = Entry { rva: 0, start: 0, len: 0, kind: SymbolKind::Public };
        let mut sorted = vec![nothing; entries.len()];
        for entry in &entries {
            if let Some(place) = places.get_mut(digit(entry))
                && let Some(to) = sorted.get_mut(*place as usize)
            {
                *to = *entry;
                *place += 1;
            }
        }
        entries = sorted;
        shift += 12;
    }
    entries
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_names() {
        for len in 0..20 {
            let mut name = vec![b'a'; len];
            assert!(is_plain(&name));
            for at in 0..len {
                for wrong in [0, 0x80, 0xff] {
                    name[at] = wrong;
                    assert!(!is_plain(&name), "{name:?}");
                }
                for right in [1, 0x7f] {
                    name[at] = right;
                    assert!(is_plain(&name), "{name:?}");
                }
            }
        }
    }
}
