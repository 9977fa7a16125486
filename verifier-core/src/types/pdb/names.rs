//! Names of a PDB: public symbols, and procedures of its modules.
//!
//! A name or an address is looked up through the file's own indexes as long as these are in the linkers'
//! format. In a PDB with procedures, the nearest one is in the module that the linker took the address's code
//! from, and only that module is read. In any doubt, and after many look-ups, all symbols are put into a table,
//! with the same answers.

use std::borrow::Cow;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use pdb::{FallibleIterator as _, SymbolData};

use super::Pdb;
use super::contributions::Place;
use super::debug_stream::{DEBUG, is_moved};
use super::publics::{ByName, PUBLIC, PublicIndex, public_kind};
use super::source::{Content, File, Piece, guard, open};
use crate::addr::Rva;
use crate::bytes::le;
use crate::error::Error;
use crate::symbols::{
    PlacedNames, SourceSite, SymbolKind, SymbolLookup, SymbolTable, shown, undecorate,
};

/// The older form of `S_PUB32`.
const PUBLIC_OLD: u16 = 0x1009;
/// Limit on the addresses looked up in the map; after that, making the whole table is cheaper.
const RESOLVED_BY_INDEX: u32 = 512;
/// The same for a PDB with procedures, of which a look-up reads one module and the table all of them.
const RESOLVED_BY_MODULE: u32 = 1 << 15;
/// Offsets in its header of two stream numbers: the public symbols' indexes and the symbol records.
const PUBLICS: usize = 16;
const RECORDS: usize = 20;

impl Pdb {
    /// All symbols by address and by name, made on the first call. For a few names, [`SymbolLookup`] is
    /// cheaper.
    ///
    /// # Errors
    /// [`Error::Symbols`] if the symbol streams are damaged.
    pub fn symbol_table(&self) -> Result<Arc<SymbolTable>, Error> {
        self.symbols
            .get_or_init(|| {
                if let Ok(Some(table)) = guard(|| self.public_table(self.is_decorated())) {
                    return Ok(Arc::new(table));
                }
                let mut table = SymbolTable::builder(self.is_decorated());
                self.for_each_symbol(&mut |rva, name, kind| table.add(rva, name, kind))?;
                Ok(Arc::new(table.finish()))
            })
            .clone()
    }

    /// Checks that the symbols can be read.
    ///
    /// # Errors
    /// As [`symbol_table`](Self::symbol_table).
    pub fn check_symbols(&self) -> Result<(), Error> {
        match self.public_index() {
            Some(_) if !self.has_procedures() || self.program().is_some() => Ok(()),
            _ => self.symbol_table().map(drop),
        }
    }

    fn all_symbols(&self) -> Option<&SymbolTable> {
        self.symbol_table().ok()?;
        self.symbols.get()?.as_deref().ok()
    }

    /// Calls `each` with the address, the decorated name and the kind of every public symbol and, in a
    /// private PDB, of every procedure. A procedure that the linker merged with one of another module is
    /// left out.
    ///
    /// # Errors
    /// [`Error::Symbols`] if the streams are damaged; the symbols before the damage have been passed on.
    pub fn for_each_symbol(
        &self,
        each: &mut dyn FnMut(Rva, &str, SymbolKind),
    ) -> Result<(), Error> {
        guard(|| {
            let mut pdb = open(&self.content)?;
            let map = pdb.address_map()?;
            let globals = pdb.global_symbols()?;
            let mut symbols = globals.iter();
            while let Some(symbol) = symbols.next()? {
                if let Ok(SymbolData::Public(public)) = symbol.parse()
                    && let Some(rva) = public.offset.to_rva(&map)
                {
                    let kind = if public.function || public.code {
                        SymbolKind::PublicFunction
                    } else {
                        SymbolKind::Public
                    };
                    each(Rva(rva.0), &public.name.to_string(), kind);
                }
            }
            let Ok(debug) = pdb.debug_information() else { return Ok(()) };
            let mut modules = debug.modules()?;
            let mut room = Room::of(&self.content);
            let mut number = 0..;
            while let Some(module) = modules.next()? {
                let number = number.next().unwrap_or(usize::MAX);
                let Ok(Some(info)) = pdb.module_info(&module) else { continue };
                let Ok(mut symbols) = info.symbols() else { continue };
                while let Ok(Some(symbol)) = symbols.next() {
                    room.take(&symbol)?;
                    if let Ok(SymbolData::Procedure(procedure)) = symbol.parse()
                        && let Some(rva) = procedure.offset.to_rva(&map)
                        && self.is_own(number, procedure.offset, Rva(rva.0))
                    {
                        each(Rva(rva.0), &procedure.name.to_string(), SymbolKind::Procedure);
                    }
                }
            }
            Ok(())
        })
    }

    fn is_own(&self, module: usize, at: pdb::PdbInternalSectionOffset, rva: Rva) -> bool {
        let place = Place { section: at.section, offset: at.offset };
        self.program().is_none_or(|program| program.is_own(module, place, rva))
    }

    /// The indexes of the public symbols, if no optimizer has moved code (after that, the map is not in order
    /// of address).
    fn public_index(&self) -> Option<&PublicIndex> {
        let index = || -> pdb::Result<Option<PublicIndex>> {
            let mut pdb = open(&self.content)?;
            let Some(debug) = pdb.raw_stream(DEBUG)? else { return Ok(None) };
            if is_moved(&debug) {
                return Ok(None);
            }
            let Some(sections) = pdb.sections()? else { return Ok(None) };
            let sections = sections.iter().map(|section| section.virtual_address).collect();
            let publics = self.debug_stream(&mut pdb, PUBLICS)?;
            let records = self.debug_stream(&mut pdb, RECORDS)?;
            let (Some(publics), Some(records)) = (publics, records) else { return Ok(None) };
            Ok(PublicIndex::new(&publics, records, sections, self.is_decorated()))
        };
        self.publics.get_or_init(|| guard(index).ok().flatten()).as_ref()
    }

    /// The stream whose number is at `offset` in the header of the debug information.
    fn debug_stream(
        &self,
        pdb: &mut pdb::PDB<'static, File>,
        offset: usize,
    ) -> pdb::Result<Option<Piece>> {
        let debug = pdb.raw_stream(DEBUG)?;
        let number = debug.and_then(|debug| u16::try_from(le(&debug, offset, 2)?).ok());
        let Some(number) = number else { return Ok(None) };
        let stream = pdb.raw_stream(pdb::StreamIndex(number))?;
        Ok(stream.map(|stream| Piece::of(&self.content, &stream)))
    }

    /// True for a private PDB; also if that cannot be known, because a module is damaged.
    fn has_procedures(&self) -> bool {
        let find = || -> pdb::Result<bool> {
            let mut pdb = open(&self.content)?;
            let Ok(debug) = pdb.debug_information() else { return Ok(false) };
            let mut modules = debug.modules()?;
            let mut room = Room::of(&self.content);
            while let Some(module) = modules.next()? {
                let Ok(Some(info)) = pdb.module_info(&module) else { continue };
                let Ok(mut symbols) = info.symbols() else { continue };
                while let Ok(Some(symbol)) = symbols.next() {
                    room.take(&symbol)?;
                    if matches!(symbol.parse(), Ok(SymbolData::Procedure(_))) {
                        return Ok(true);
                    }
                }
            }
            Ok(false)
        };
        *self.has_procedures.get_or_init(|| guard(find).unwrap_or(true))
    }

    /// The nearest symbol at or below `rva`, without the whole table. `None` if only the table knows it.
    fn resolve_by_index(&self, rva: Rva) -> Option<Option<(Cow<'_, str>, u32)>> {
        let index = self.public_index()?;
        if !self.has_procedures() {
            return (self.is_early(RESOLVED_BY_INDEX)).then(|| index.resolve(rva))?;
        }
        if !self.is_early(RESOLVED_BY_MODULE) {
            return None;
        }
        let plain: fn(&str) -> &str = if self.is_decorated() { undecorate } else { |name| name };
        let nearest = self.program()?.nearest(rva, plain)?;
        let public = index.resolve(rva)?;
        // A public symbol counts only if it is above all symbols of other modules.
        let public = public
            .map(|(name, distance)| (Rva(rva.0.saturating_sub(distance)), name))
            .filter(|(start, _)| *start >= nearest.first);
        let (start, name) = match (nearest.procedure, public) {
            (Some((start, name)), public) if public.as_ref().is_none_or(|(at, _)| *at <= start) => {
                (start, Cow::Owned(shown(&name).into_owned()))
            }
            (_, public) => public?,
        };
        Some(Some((name, rva.0.saturating_sub(start.0))))
    }

    /// Counts a look-up; false after `limit` of them.
    fn is_early(&self, limit: u32) -> bool {
        self.resolved.fetch_add(1, Ordering::Relaxed) < limit
    }

    /// The symbols of a PDB without procedures (a public PDB). Names stay in the file, which is several times
    /// faster than copying each name.
    ///
    /// `None` if anything differs from the linkers' format; [`for_each_symbol`](Self::for_each_symbol) then
    /// reads the symbols. Source: the PDB documentation of LLVM (`DbiStream`, `CodeView`).
    fn public_table(&self, undecorate: bool) -> pdb::Result<Option<SymbolTable>> {
        let mut pdb = open(&self.content)?;
        let map = pdb.address_map()?;
        let Some(piece) = self.debug_stream(&mut pdb, RECORDS)? else { return Ok(None) };
        if self.has_procedures() {
            return Ok(None);
        }
        let records = piece.as_slice();
        let (bytes, start) = piece.clone().into_bytes();
        // A public record has about 60 bytes.
        let mut table = PlacedNames::new(undecorate, records.len() / 50);
        let mut rest = records;
        while let Some((&[len, len2, kind, kind2], after)) = rest.split_first_chunk::<4>() {
            let len = usize::from(u16::from_le_bytes([len, len2]));
            let Some((record, after)) =
                len.checked_sub(2).and_then(|len| after.split_at_checked(len))
            else {
                return Ok(None);
            };
            match u16::from_le_bytes([kind, kind2]) {
                PUBLIC => {
                    let at = start + (records.len() - rest.len()) + 14;
                    // Flags, offset, section, name.
                    let Some((fixed, name)) = record.split_first_chunk::<10>() else {
                        return Ok(None);
                    };
                    let &[f0, _, _, _, o0, o1, o2, o3, s0, s1] = fixed;
                    let offset = u32::from_le_bytes([o0, o1, o2, o3]);
                    let section = u16::from_le_bytes([s0, s1]);
                    let place = pdb::PdbInternalSectionOffset::new(section, offset);
                    // The name ends with a null; up to three more nulls fill the word.
                    let Some(end) = name.iter().rposition(|&byte| byte != 0) else {
                        return Ok(None);
                    };
                    let Some((name, nulls @ [_, ..])) = name.split_at_checked(end + 1) else {
                        return Ok(None);
                    };
                    if nulls.len() > 4 {
                        return Ok(None);
                    }
                    let kind = public_kind(f0);
                    // An absolute symbol has no address: the image does not have its section.
                    if let Some(rva) = place.to_rva(&map)
                        && table.add(Rva(rva.0), name, at, kind).is_none()
                    {
                        return Ok(None);
                    }
                }
                PUBLIC_OLD => return Ok(None),
                _ => {}
            }
            rest = after;
        }
        Ok(rest.is_empty().then(|| table.finish(bytes)))
    }
}

impl SymbolLookup for Pdb {
    fn len(&self) -> usize {
        match self.public_index() {
            Some(index) if !self.has_procedures() => index.len(),
            _ => self.all_symbols().map_or(0, SymbolTable::len),
        }
    }

    fn resolve(&self, rva: Rva) -> Option<(Cow<'_, str>, u32)> {
        // Once there is a table, it is the quickest.
        let by_index = if self.symbols.get().is_none() { self.resolve_by_index(rva) } else { None };
        match by_index {
            Some(found) => found,
            None => self.all_symbols()?.resolve(rva),
        }
    }

    fn find(&self, name: &str) -> Option<Rva> {
        let by_index = match self.public_index() {
            Some(index) if !self.has_procedures() => index.find(name),
            _ => ByName::Unsure,
        };
        match by_index {
            ByName::At(rva) => Some(rva),
            ByName::Absent => None,
            ByName::Unsure => self.all_symbols()?.find(name),
        }
    }

    fn source_site(&self, rva: Rva) -> Option<SourceSite> {
        self.program()?.source_site(rva)
    }
}

/// The bytes of symbols that the file has room for. Normally each module has its own stream, but a file can
/// claim that a thousand modules have the same one.
struct Room(usize);

impl Room {
    fn of(content: &Content) -> Self {
        Self(content.len())
    }

    fn take(&mut self, symbol: &pdb::Symbol<'_>) -> pdb::Result<()> {
        self.0 = self.0.checked_sub(symbol.raw_bytes().len()).ok_or(
            pdb::Error::UnimplementedFeature(
                "modules with more symbols than the file has room for",
            ),
        )?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_fixture(path: &str) -> Vec<u8> {
        std::fs::read(std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap()
    }

    fn open_pdb(path: &str) -> Pdb {
        Pdb::parse("", Arc::new(read_fixture(path))).unwrap()
    }

    #[test]
    fn names_of_code_are_found_in_its_module_without_the_table() {
        for name in ["x64", "x86", "arm64", "x64-O0"] {
            let pdb = open_pdb(&format!("../verifier-synth/leaky/{name}/leaky.pdb"));
            let whole = open_pdb(&format!("../verifier-synth/leaky/{name}/leaky.pdb"));
            let whole = whole.symbol_table().unwrap();
            assert!(pdb.check_symbols().is_ok() && pdb.has_procedures());
            for rva in (0x1000..0x1400).map(Rva) {
                assert_eq!(pdb.resolve(rva), whole.resolve(rva), "{name}+{rva:?}");
            }
            assert!(pdb.symbols.get().is_none(), "{name}");
        }
    }

    #[test]
    fn a_pdb_on_disk_gives_the_same_answers_and_reads_each_stream_once() {
        struct Counted(Vec<u8>, std::sync::Mutex<Vec<u64>>);
        impl crate::dump::ReadAt for Counted {
            fn len(&self) -> u64 {
                self.0.len() as u64
            }
            fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<(), crate::dump::FileError> {
                self.1.lock().unwrap().push(offset);
                self.0.read_at(offset, buf)
            }
        }
        let path = "../verifier-synth/leaky/x64/leaky.pdb";
        let whole = open_pdb(path);
        let file = Arc::new(Counted(read_fixture(path), Default::default()));
        let pdb = Pdb::open("", file.clone()).unwrap();
        assert_eq!(pdb.id(), whole.id());
        for rva in (0x1000..0x1400).map(Rva) {
            assert_eq!(pdb.source_site(rva), whole.source_site(rva), "{rva:?}");
            assert_eq!(pdb.resolve(rva), whole.resolve(rva), "{rva:?}");
        }
        let mut read = file.1.lock().unwrap().clone();
        let count = read.len();
        read.sort();
        read.dedup();
        assert_eq!(read.len(), count, "{read:?}");
        assert_eq!(pdb.symbol_table().unwrap().len(), whole.symbol_table().unwrap().len());
    }

    #[test]
    fn every_address_has_the_name_that_the_table_has() {
        let fixture = |name: &str| format!("tests/fixtures/pdb/{name}.pdb");
        let leaky = |name: &str| format!("../verifier-synth/leaky/{name}/leaky.pdb");
        let paths = ["shapes", "classes", "decorated"].map(fixture).into_iter();
        for path in paths.chain(["x64", "x86", "arm64", "x64-O0"].map(leaky)) {
            let pdb = open_pdb(&path);
            let whole = open_pdb(&path).symbol_table().unwrap();
            for rva in (0..0x9000).chain([u32::MAX]).map(Rva) {
                let by_index = pdb.resolve_by_index(rva);
                if let Some(by_index) = by_index {
                    assert_eq!(by_index, whole.resolve(rva), "{path} {rva:?}");
                }
                assert_eq!(pdb.resolve(rva), whole.resolve(rva), "{path} {rva:?}");
            }
        }
    }
}
