//! PDB files: types, public symbols, procedures and lines. Only this module uses the `pdb` crate.

mod contributions;
mod ids;
mod inlined;
mod lines;
mod module;
mod program;
mod publics;
mod source;
mod types;

use std::borrow::Cow;
use std::fmt;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};

use pdb::{FallibleIterator as _, SymbolData};

use self::program::Program;
use self::publics::{ByName, PUBLIC, PublicIndex, public_kind};
pub use self::source::Bytes;
use self::source::{File, Piece, guard, open};
use self::types::Types;
use super::{Structure, TypeSource};
use crate::addr::Rva;
use crate::bytes::le;
use crate::error::Error;
use crate::symbols::{PdbId, PlacedNames, SourceSite, SymbolKind, SymbolLookup, SymbolTable};

/// The older form of `S_PUB32`.
const PUBLIC_OLD: u16 = 0x1009;
/// Limit on the addresses looked up in the map; after that, making the whole table is cheaper.
const RESOLVED_BY_INDEX: u32 = 512;
/// The number of the debug information stream.
const DEBUG: pdb::StreamIndex = pdb::StreamIndex(3);
/// Offsets in its header of two stream numbers: the public symbols' indexes and the symbol records.
const PUBLICS: usize = 16;
const RECORDS: usize = 20;

/// A PDB.
///
/// Each part of a PDB is read when it is first requested: the identity on opening; a name or an address
/// through the file's own indexes, if it has them; a structure through the hash of types; a line of source
/// code from the stream of the module that the address comes from.
/// A [`SymbolTable`](crate::symbols::SymbolTable) of all symbols is made if there are procedures,
/// or if the indexes differ from the linkers' format. Unnamed structures and unions (`<unnamed-tag>`,
/// `__unnamed`, clang's `X::<unnamed-type-u>`) share their names, so each is stored inside the member that
/// has it.
///
/// A PDB is untrusted input. The crate asserts some of what it parses, and its views allocate the length that
/// a stream claims. So every call goes through a guard that turns a panic into an error, the source refuses
/// views longer than the file, and counts for which the crate would allocate memory are first checked against
/// the length of the stream.
pub struct Pdb {
    bytes: Bytes,
    name: String,
    guid: [u8; 16],
    age: u32,
    machine: Option<u32>,
    types: OnceLock<Result<Types, Error>>,
    publics: OnceLock<Option<PublicIndex>>,
    symbols: OnceLock<Result<Arc<SymbolTable>, Error>>,
    program: OnceLock<Option<Program>>,
    /// The number of addresses looked up so far.
    resolved: AtomicU32,
}

impl Pdb {
    /// Opens a PDB; `name` is for messages.
    ///
    /// # Errors
    /// [`Error::Symbols`] if the bytes are not a PDB.
    pub fn parse(name: &str, bytes: Bytes) -> Result<Self, Error> {
        let (guid, age, machine) = guard(|| {
            let mut pdb = open(&bytes)?;
            let info = pdb.pdb_information()?;
            let guid = info.guid.to_bytes_le();
            // Images carry the age of the debug information, not that of the PDB stream, which grows with
            // every write.
            let debug = pdb.debug_information().ok();
            let age = debug.as_ref().and_then(pdb::DebugInformation::age).unwrap_or(info.age);
            let machine = debug.and_then(|debug| debug.machine_type().ok()).and_then(machine);
            Ok((guid, age, machine))
        })?;
        Ok(Self {
            bytes,
            name: name.into(),
            guid,
            age,
            machine,
            types: OnceLock::new(),
            publics: OnceLock::new(),
            symbols: OnceLock::new(),
            program: OnceLock::new(),
            resolved: AtomicU32::new(0),
        })
    }

    /// Its identity.
    #[must_use]
    pub fn id(&self) -> PdbId {
        PdbId { name: self.name.clone(), guid: self.guid, age: self.age }
    }

    /// The PE machine number that the PDB was made for, if it has one.
    #[must_use]
    pub fn machine_image_type(&self) -> Option<u32> {
        self.machine
    }

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
            Some(_) => Ok(()),
            None => self.symbol_table().map(drop),
        }
    }

    fn all_symbols(&self) -> Option<&SymbolTable> {
        self.symbol_table().ok()?;
        self.symbols.get()?.as_deref().ok()
    }

    /// Calls `each` with the address, the decorated name and the kind of every public symbol and, in a
    /// private PDB, of every procedure.
    ///
    /// # Errors
    /// [`Error::Symbols`] if the streams are damaged; the symbols before the damage have been passed on.
    pub fn for_each_symbol(
        &self,
        each: &mut dyn FnMut(Rva, &str, SymbolKind),
    ) -> Result<(), Error> {
        guard(|| {
            let mut pdb = open(&self.bytes)?;
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
            let mut room = Room::of(&self.bytes);
            while let Some(module) = modules.next()? {
                let Ok(Some(info)) = pdb.module_info(&module) else { continue };
                let Ok(mut symbols) = info.symbols() else { continue };
                while let Ok(Some(symbol)) = symbols.next() {
                    room.take(&symbol)?;
                    if let Ok(SymbolData::Procedure(procedure)) = symbol.parse()
                        && let Some(rva) = procedure.offset.to_rva(&map)
                    {
                        each(Rva(rva.0), &procedure.name.to_string(), SymbolKind::Procedure);
                    }
                }
            }
            Ok(())
        })
    }

    /// The indexes of the public symbols, if there are no other symbols and no optimizer has moved code
    /// (after that, the map is not in order of address).
    fn public_index(&self) -> Option<&PublicIndex> {
        let index = || -> pdb::Result<Option<PublicIndex>> {
            let mut pdb = open(&self.bytes)?;
            let Some(debug) = pdb.raw_stream(DEBUG)? else { return Ok(None) };
            if is_moved(&debug) || self.has_procedures(&mut pdb)? {
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

    /// True if C names carry decoration.
    fn is_decorated(&self) -> bool {
        self.machine == Some(0x14c)
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
        Ok(stream.map(|stream| Piece::of(&self.bytes, &stream)))
    }

    fn has_procedures(&self, pdb: &mut pdb::PDB<'static, File>) -> pdb::Result<bool> {
        let Ok(debug) = pdb.debug_information() else { return Ok(false) };
        let mut modules = debug.modules()?;
        let mut room = Room::of(&self.bytes);
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
    }

    /// The symbols of a PDB without procedures (a public PDB). Names stay in the file, which is several times
    /// faster than copying each name.
    ///
    /// `None` if anything differs from the linkers' format; [`for_each_symbol`](Self::for_each_symbol) then
    /// reads the symbols. Source: the PDB documentation of LLVM (`DbiStream`, `CodeView`).
    fn public_table(&self, undecorate: bool) -> pdb::Result<Option<SymbolTable>> {
        let mut pdb = open(&self.bytes)?;
        let map = pdb.address_map()?;
        let Some(piece) = self.debug_stream(&mut pdb, RECORDS)? else { return Ok(None) };
        if self.has_procedures(&mut pdb)? {
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
            Some(index) => index.len(),
            None => self.all_symbols().map_or(0, SymbolTable::len),
        }
    }

    fn resolve(&self, rva: Rva) -> Option<(Cow<'_, str>, u32)> {
        let is_early = || self.resolved.fetch_add(1, Ordering::Relaxed) < RESOLVED_BY_INDEX;
        let index = self.public_index().filter(|_| self.symbols.get().is_none() && is_early());
        match index.and_then(|index| index.resolve(rva)) {
            Some(found) => found,
            None => self.all_symbols()?.resolve(rva),
        }
    }

    fn find(&self, name: &str) -> Option<Rva> {
        match self.public_index().map_or(ByName::Unsure, |index| index.find(name)) {
            ByName::At(rva) => Some(rva),
            ByName::Absent => None,
            ByName::Unsure => self.all_symbols()?.find(name),
        }
    }

    fn source_site(&self, rva: Rva) -> Option<SourceSite> {
        self.program.get_or_init(|| Program::new(&self.bytes)).as_ref()?.source_site(rva)
    }
}

impl TypeSource for Pdb {
    fn structure(&self, name: &str) -> Result<Option<Arc<Structure>>, Error> {
        match self.types.get_or_init(|| Types::new(&self.bytes)) {
            Ok(types) => types.structure(&self.bytes, name),
            Err(error) => Err(error.clone()),
        }
    }

    fn symbol(&self, name: &str) -> Option<Rva> {
        self.find(name)
    }

    fn describe(&self) -> String {
        format!("PDB {}", self.id())
    }
}

impl fmt::Debug for Pdb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pdb").field("id", &self.id()).finish_non_exhaustive()
    }
}

/// The bytes of symbols that the file has room for. Normally each module has its own stream, but a file can
/// claim that a thousand modules have the same one.
struct Room(usize);

impl Room {
    fn of(bytes: &Bytes) -> Self {
        Self((**bytes).as_ref().len())
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

fn machine(kind: pdb::MachineType) -> Option<u32> {
    match kind {
        pdb::MachineType::X86 => Some(0x14c),
        pdb::MachineType::Amd64 => Some(0x8664),
        pdb::MachineType::Arm64 => Some(0xaa64),
        _ => None,
    }
}

/// True if an optimizer moved code after linking. The debug information then has the sections from before,
/// and the eleventh of the optional streams has their headers. The stream numbers come after the header (64
/// bytes) and six parts.
fn is_moved(debug: &[u8]) -> bool {
    const ORIGINAL_SECTIONS: usize = 10;
    let sizes = [24, 28, 32, 36, 40, 52].iter().filter_map(|&offset| le(debug, offset, 4));
    let start = usize::try_from(sizes.sum::<u64>()).unwrap_or(usize::MAX).saturating_add(64);
    let count = le(debug, 48, 4).unwrap_or(0) / 2;
    count > ORIGINAL_SECTIONS as u64
        && le(debug, start.saturating_add(ORIGINAL_SECTIONS * 2), 2) != Some(0xffff)
}
