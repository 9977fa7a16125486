//! Symbols of one image, sorted by address.
//!
//! Names lie one behind the other in one string, so a table of 40,000 symbols is three
//! allocations. Where several symbols stand at one address, procedures come before public
//! functions, public data and exports, then names in order: the answer never depends on the order
//! in which they were added.

use std::borrow::Cow;
use std::sync::OnceLock;

use super::name::{demangle, undecorate};
use crate::addr::Rva;

/// Where a symbol is from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum SymbolKind {
    /// A procedure of a private PDB (`S_GPROC32`, `S_LPROC32`).
    Procedure,
    /// A public symbol (`S_PUB32`) marked as code or function.
    PublicFunction,
    /// Any other public symbol, or one of a source that does not tell.
    Public,
    /// An export of the image.
    Export,
}

#[derive(Debug, Clone, Copy)]
struct Entry {
    rva: u32,
    start: u32,
    len: u32,
    kind: SymbolKind,
}

/// Symbols of one image.
#[derive(Debug, Default)]
pub struct SymbolTable {
    names: String,
    entries: Vec<Entry>,
    /// Indexes of `entries` sorted by name; made when a name is first looked up.
    by_name: OnceLock<Vec<u32>>,
}

/// Collects symbols in any order.
#[derive(Debug)]
pub struct SymbolTableBuilder {
    table: SymbolTable,
    undecorate: bool,
}

impl SymbolTableBuilder {
    /// Adds a symbol. One whose name would push the names beyond 4 GiB is dropped.
    pub fn add(&mut self, rva: Rva, name: &str, kind: SymbolKind) {
        let name = if self.undecorate { undecorate(name) } else { name };
        let (Ok(start), Ok(len)) =
            (u32::try_from(self.table.names.len()), u32::try_from(name.len()))
        else {
            return;
        };
        if name.is_empty() || start.checked_add(len).is_none() {
            return;
        }
        self.table.names.push_str(name);
        self.table.entries.push(Entry { rva: rva.0, start, len, kind });
    }

    /// The table.
    #[must_use]
    pub fn finish(mut self) -> SymbolTable {
        let names = std::mem::take(&mut self.table.names);
        let name = |entry: &Entry| slice(&names, entry);
        self.table.entries.sort_unstable_by(|a, b| {
            (a.rva, a.kind).cmp(&(b.rva, b.kind)).then_with(|| name(a).cmp(name(b)))
        });
        self.table.names = names;
        self.table
    }
}

fn slice<'a>(names: &'a str, entry: &Entry) -> &'a str {
    let start = entry.start as usize;
    names.get(start..start + entry.len as usize).unwrap_or("")
}

impl SymbolTable {
    /// An empty table to fill; `undecorate` takes the decoration of 32-bit C names off.
    #[must_use]
    pub fn builder(undecorate: bool) -> SymbolTableBuilder {
        SymbolTableBuilder { table: SymbolTable::default(), undecorate }
    }

    /// Number of symbols.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// True for a table without symbols.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The nearest symbol at or below `rva`, and how far `rva` is behind it.
    #[must_use]
    pub fn resolve(&self, rva: Rva) -> Option<(Cow<'_, str>, u32)> {
        let behind = self.entries.partition_point(|entry| entry.rva <= rva.0);
        let nearest = self.entries.get(behind.checked_sub(1)?)?.rva;
        let first = self.entries.partition_point(|entry| entry.rva < nearest);
        let entry = self.entries.get(first)?;
        Some((demangle(slice(&self.names, entry)), rva.0 - nearest))
    }

    /// Where the symbol of that name lies; of several the one at the lowest address.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<Rva> {
        let by_name = self.by_name.get_or_init(|| {
            let mut order: Vec<u32> =
                (0..u32::try_from(self.entries.len()).unwrap_or(u32::MAX)).collect();
            order.sort_by_key(|&i| (self.name_of(i), i));
            order
        });
        let first = by_name.partition_point(|&i| self.name_of(i) < name);
        let &index = by_name.get(first)?;
        (self.name_of(index) == name)
            .then(|| self.entries.get(index as usize).map(|entry| Rva(entry.rva)))?
    }

    fn name_of(&self, index: u32) -> &str {
        self.entries.get(index as usize).map_or("", |entry| slice(&self.names, entry))
    }

    /// Every symbol in order of address.
    pub fn iter(&self) -> impl Iterator<Item = (Rva, &str, SymbolKind)> {
        self.entries.iter().map(|entry| (Rva(entry.rva), slice(&self.names, entry), entry.kind))
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
