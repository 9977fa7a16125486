//! The symbols of one image, sorted by address.

use std::borrow::Cow;
use std::fmt;
use std::hash::{BuildHasher as _, RandomState};
use std::sync::{Arc, OnceLock};

use super::name::{shown, undecorate};
use super::source::SourceSite;
use crate::addr::Rva;

/// The source of a symbol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum SymbolKind {
    /// A procedure of a private PDB (`S_GPROC32`, `S_LPROC32`).
    Procedure,
    /// A public symbol (`S_PUB32`) marked as code or function.
    PublicFunction,
    /// Any other public symbol, or a symbol from a source without kinds.
    Public,
    /// An export of the image.
    Export,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Entry {
    pub(super) rva: u32,
    pub(super) start: u32,
    pub(super) len: u32,
    pub(super) kind: SymbolKind,
}

/// The bytes that contain the names.
pub(crate) type NameBytes = Arc<dyn AsRef<[u8]> + Send + Sync>;

/// Symbols of one image.
///
/// All names are in one block of bytes (which may be a PDB's own records), so a table of 40,000 symbols is
/// two allocations. If several symbols have the same address, procedures come before public functions, public
/// data and exports; symbols of one kind are ordered by name. The answer therefore never depends on the order
/// in which symbols were added.
#[derive(Default)]
pub struct SymbolTable {
    /// `None` for an empty table.
    names: Option<NameBytes>,
    entries: Vec<Entry>,
    /// Created on the first look-up of a name.
    by_name: OnceLock<NameIndex>,
}

impl fmt::Debug for SymbolTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SymbolTable").field("len", &self.len()).finish_non_exhaustive()
    }
}

/// Collects symbols in any order.
#[derive(Debug)]
pub struct SymbolTableBuilder {
    names: String,
    entries: Vec<Entry>,
    undecorate: bool,
}

impl SymbolTableBuilder {
    /// Adds a symbol. A symbol whose name would make the names larger than 4 GiB is dropped.
    pub fn add(&mut self, rva: Rva, name: &str, kind: SymbolKind) {
        let name = if self.undecorate { undecorate(name) } else { name };
        let (Ok(start), Ok(len)) = (u32::try_from(self.names.len()), u32::try_from(name.len()))
        else {
            return;
        };
        if name.is_empty() || start.checked_add(len).is_none() {
            return;
        }
        self.names.push_str(name);
        self.entries.push(Entry { rva: rva.0, start, len, kind });
    }

    /// The table.
    #[must_use]
    pub fn finish(self) -> SymbolTable {
        let Self { names, mut entries, .. } = self;
        sort(names.as_bytes(), &mut entries);
        SymbolTable::of_sorted(Arc::new(names), entries)
    }
}

pub(super) fn sort(names: &[u8], entries: &mut [Entry]) {
    entries.sort_unstable_by(|a, b| {
        (a.rva, a.kind).cmp(&(b.rva, b.kind)).then_with(|| slice(names, a).cmp(slice(names, b)))
    });
}

fn slice<'a>(names: &'a [u8], entry: &Entry) -> &'a [u8] {
    let start = entry.start as usize;
    names.get(start..start + entry.len as usize).unwrap_or_default()
}

/// Index of entries by name: open addressing, at most half full. The hash is keyed, so that a file cannot
/// choose names that collide.
struct NameIndex {
    keys: RandomState,
    /// Upper half of the hash, and the entry's number plus one; 0 means free.
    slots: Vec<(u32, u32)>,
}

impl NameIndex {
    fn new(names: &[u8], entries: &[Entry]) -> Self {
        let size = (entries.len() * 2).next_power_of_two();
        let mut index = Self { keys: RandomState::new(), slots: vec![(0, 0); size] };
        for (number, entry) in (1u32..).zip(entries) {
            let name = slice(names, entry);
            let (at, tag) = index.place(name);
            // The first symbol of a name stays; it has the lowest address.
            if let Err(free) = index.probe(names, entries, name, at, tag)
                && let Some(slot) = index.slots.get_mut(free)
            {
                *slot = (tag, number);
            }
        }
        index
    }

    fn place(&self, name: &[u8]) -> (usize, u32) {
        let hash = self.keys.hash_one(name);
        (hash as usize & (self.slots.len() - 1), (hash >> 32) as u32)
    }

    /// The entry with that name, or the free slot for it.
    fn probe<'e>(
        &self,
        names: &[u8],
        entries: &'e [Entry],
        name: &[u8],
        mut at: usize,
        tag: u32,
    ) -> Result<&'e Entry, usize> {
        loop {
            let &(here, number) = self.slots.get(at).ok_or(at)?;
            let Some(number) = number.checked_sub(1) else { return Err(at) };
            if here == tag
                && let Some(entry) = entries.get(number as usize)
                && slice(names, entry) == name
            {
                return Ok(entry);
            }
            at = (at + 1) & (self.slots.len() - 1);
        }
    }
}

/// Looks up names by address and addresses by name, for one image.
pub trait SymbolLookup: Send + Sync {
    /// Number of symbols.
    fn len(&self) -> usize;

    /// True if there are no symbols.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The nearest symbol at or below `rva`, and the distance of `rva` from it.
    fn resolve(&self, rva: Rva) -> Option<(Cow<'_, str>, u32)>;

    /// The address of the symbol with that name; the lowest one if there are several.
    fn find(&self, name: &str) -> Option<Rva>;

    /// The line of source code of the instruction that contains `rva`, if the source knows lines.
    fn source_site(&self, rva: Rva) -> Option<SourceSite> {
        let _ = rva;
        None
    }
}

impl SymbolLookup for SymbolTable {
    fn len(&self) -> usize {
        self.len()
    }

    fn resolve(&self, rva: Rva) -> Option<(Cow<'_, str>, u32)> {
        self.resolve(rva)
    }

    fn find(&self, name: &str) -> Option<Rva> {
        self.find(name)
    }
}

impl SymbolTable {
    pub(super) fn of_sorted(names: NameBytes, entries: Vec<Entry>) -> Self {
        Self { names: Some(names), entries, by_name: OnceLock::new() }
    }

    /// A builder for a table; `undecorate` removes the decoration of 32-bit C names.
    #[must_use]
    pub fn builder(undecorate: bool) -> SymbolTableBuilder {
        SymbolTableBuilder { names: String::new(), entries: Vec::new(), undecorate }
    }

    /// Number of symbols.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// True if the table has no symbols.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The nearest symbol at or below `rva`, and the distance of `rva` from it.
    #[must_use]
    pub fn resolve(&self, rva: Rva) -> Option<(Cow<'_, str>, u32)> {
        let end = self.entries.partition_point(|entry| entry.rva <= rva.0);
        let nearest = self.entries.get(end.checked_sub(1)?)?.rva;
        let first = self.entries.partition_point(|entry| entry.rva < nearest);
        let entry = self.entries.get(first)?;
        Some((shown(self.name_of(entry)), rva.0 - nearest))
    }

    /// The address of the symbol with that name; the lowest one if there are several.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<Rva> {
        let (names, name) = (self.names(), name.as_bytes());
        let index = self.by_name.get_or_init(|| NameIndex::new(names, &self.entries));
        let (at, tag) = index.place(name);
        index.probe(names, &self.entries, name, at, tag).ok().map(|entry| Rva(entry.rva))
    }

    fn names(&self) -> &[u8] {
        self.names.as_ref().map_or(&[], |names| (**names).as_ref())
    }

    fn name_of(&self, entry: &Entry) -> &str {
        // Always valid text: names are checked when they are added, and the bytes never change.
        std::str::from_utf8(slice(self.names(), entry)).unwrap_or("")
    }

    /// Every symbol in order of address.
    pub fn iter(&self) -> impl Iterator<Item = (Rva, &str, SymbolKind)> {
        self.entries.iter().map(|entry| (Rva(entry.rva), self.name_of(entry), entry.kind))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> SymbolTable {
        let mut builder = SymbolTable::builder(false);
        builder.add(Rva(0x30), "c", SymbolKind::Public);
        builder.add(Rva(0x10), "export", SymbolKind::Export);
        builder.add(Rva(0x10), "b", SymbolKind::Public);
        builder.add(Rva(0x10), "procedure", SymbolKind::Procedure);
        builder.finish()
    }

    #[test]
    fn nearest_below_and_best_kind_first() {
        let table = table();
        assert_eq!(table.resolve(Rva(0xf)), None);
        assert_eq!(table.resolve(Rva(0x10)), Some(("procedure".into(), 0)));
        assert_eq!(table.resolve(Rva(0x2f)), Some(("procedure".into(), 0x1f)));
        assert_eq!(table.resolve(Rva(u32::MAX)), Some(("c".into(), u32::MAX - 0x30)));
    }

    #[test]
    fn by_name() {
        let table = table();
        assert_eq!(table.find("b"), Some(Rva(0x10)));
        assert_eq!(table.find("c"), Some(Rva(0x30)));
        assert_eq!(table.find("d"), None);
        assert_eq!(table.find(""), None);
    }
}
