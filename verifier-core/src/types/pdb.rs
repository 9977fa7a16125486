//! PDB files: types, public symbols and procedures, behind the only user of the `pdb` crate.
//!
//! What is read of a PDB is read when it is first asked for: identity on opening, symbols for a
//! [`SymbolTable`](crate::symbols::SymbolTable), types on the first structure. Unnamed structures
//! and unions (`<unnamed-tag>`, `__unnamed`, clang's `X::<unnamed-type-u>`) share their names, so
//! they are carried inside the member that has them.
//!
//! A PDB is input like any other. The crate asserts some of what it parses and its views allocate
//! what a stream claims to be long, so every call goes through a guard that turns a panic into an
//! error, and the source refuses views that are longer than the file.

use std::collections::HashMap;
use std::fmt;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, OnceLock};

use pdb::{FallibleIterator as _, SymbolData, TypeData, TypeIndex};

use super::{Member, Shape, Structure, TypeSource};
use crate::addr::Rva;
use crate::bytes::le;
use crate::error::Error;
use crate::symbols::{PdbId, PlacedNames, SymbolKind, SymbolTable};

/// The bytes of a file, owned: a vector, a mapping.
pub type Bytes = Arc<dyn AsRef<[u8]> + Send + Sync>;

/// Unnamed structures inside unnamed structures: deeper than this is no C type.
const MAX_DEPTH: u32 = 16;
/// Bytes of all members of all types of one PDB: types may share one list of members and unfold it
/// each. A kernel's take 20 MiB.
const MAX_MEMBER_BYTES: usize = 1 << 28;
/// What a member takes besides its name.
const MEMBER_BYTES: usize = 128;

/// A PDB.
pub struct Pdb {
    bytes: Bytes,
    name: String,
    guid: [u8; 16],
    age: u32,
    machine: Option<u32>,
    types: OnceLock<Result<HashMap<String, Arc<Structure>>, Error>>,
    symbols: OnceLock<Result<Arc<SymbolTable>, Error>>,
}

impl Pdb {
    /// Opens a PDB; `name` is for messages.
    ///
    /// # Errors
    /// [`Error::Symbols`] where the bytes are no PDB.
    pub fn parse(name: &str, bytes: Bytes) -> Result<Self, Error> {
        let (guid, age, machine) = guard(|| {
            let mut pdb = open(&bytes)?;
            let info = pdb.pdb_information()?;
            let guid = info.guid.to_bytes_le();
            // The age that images carry is the debug information's, not the one of the PDB stream,
            // which grows with every write.
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
            symbols: OnceLock::new(),
        })
    }

    /// Its identity.
    #[must_use]
    pub fn id(&self) -> PdbId {
        PdbId { name: self.name.clone(), guid: self.guid, age: self.age }
    }

    /// The PE machine number it was made for, where it says.
    #[must_use]
    pub fn machine_image_type(&self) -> Option<u32> {
        self.machine
    }

    /// Its symbols by address and by name; made on the first call.
    ///
    /// # Errors
    /// [`Error::Symbols`] where the symbol streams are damaged.
    pub fn symbol_table(&self) -> Result<Arc<SymbolTable>, Error> {
        self.symbols
            .get_or_init(|| {
                let undecorate = self.machine == Some(0x14c);
                if let Ok(Some(table)) = guard(|| self.public_table(undecorate)) {
                    return Ok(Arc::new(table));
                }
                let mut table = SymbolTable::builder(undecorate);
                self.for_each_symbol(&mut |rva, name, kind| table.add(rva, name, kind))?;
                Ok(Arc::new(table.finish()))
            })
            .clone()
    }

    /// Calls `each` with every public symbol and, in a private PDB, every procedure: its place, its
    /// name with all decoration, its kind.
    ///
    /// # Errors
    /// [`Error::Symbols`] where the streams are damaged; what came before has been passed on.
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

    /// The symbols of a PDB without procedures (a public one), names staying in the file: several
    /// times faster than copying each name.
    ///
    /// `None` wherever anything is not as the linkers write it; [`for_each_symbol`](Self::for_each_symbol)
    /// then finds what there is. Source: the PDB documentation of LLVM (`DbiStream`, `CodeView`).
    fn public_table(&self, undecorate: bool) -> pdb::Result<Option<SymbolTable>> {
        /// `S_PUB32` and its older form.
        const PUBLIC: u16 = 0x110e;
        const PUBLIC_OLD: u16 = 0x1009;
        let mut pdb = open(&self.bytes)?;
        let map = pdb.address_map()?;
        let Some(debug) = pdb.raw_stream(pdb::StreamIndex(3))? else { return Ok(None) };
        let Some(records) = le(&debug, 20, 2) else { return Ok(None) };
        let Some(records) = pdb.raw_stream(pdb::StreamIndex(records as u16))? else {
            return Ok(None);
        };
        if self.has_procedures(&mut pdb)? {
            return Ok(None);
        }
        let records = records.as_slice();
        let (bytes, start) = self.shared(records);
        // A public record takes some 60 bytes.
        let mut table = PlacedNames::new(undecorate, records.len() / 50);
        let mut rest = records;
        while let Some((&[len, len2, kind, kind2], behind)) = rest.split_first_chunk::<4>() {
            let len = usize::from(u16::from_le_bytes([len, len2]));
            let Some((record, behind)) =
                len.checked_sub(2).and_then(|len| behind.split_at_checked(len))
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
                    // The name ends with a null, behind which up to three more fill the word.
                    let Some(end) = name.iter().rposition(|&byte| byte != 0) else {
                        return Ok(None);
                    };
                    let Some((name, nulls @ [_, ..])) = name.split_at_checked(end + 1) else {
                        return Ok(None);
                    };
                    if nulls.len() > 4 {
                        return Ok(None);
                    }
                    // Flags: code, function.
                    let kind = match f0 & 3 {
                        0 => SymbolKind::Public,
                        _ => SymbolKind::PublicFunction,
                    };
                    // No place has an absolute symbol, whose section the image does not have.
                    if let Some(rva) = place.to_rva(&map)
                        && table.add(Rva(rva.0), name, at, kind).is_none()
                    {
                        return Ok(None);
                    }
                }
                PUBLIC_OLD => return Ok(None),
                _ => {}
            }
            rest = behind;
        }
        Ok(rest.is_empty().then(|| table.finish(bytes)))
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

    /// Bytes that outlive their stream, and where it begins in them: the file itself where the stream
    /// lies in one piece, else a copy.
    fn shared(&self, stream: &[u8]) -> (Bytes, usize) {
        let file = (*self.bytes).as_ref();
        let start = (stream.as_ptr() as usize).checked_sub(file.as_ptr() as usize);
        match start
            .filter(|start| start.checked_add(stream.len()).is_some_and(|end| end <= file.len()))
        {
            Some(start) => (Arc::clone(&self.bytes), start),
            None => (Arc::new(stream.to_vec()), 0),
        }
    }

    fn read_types(&self) -> Result<HashMap<String, Arc<Structure>>, Error> {
        guard(|| {
            let mut pdb = open_types(&self.bytes)?;
            let information = pdb.type_information()?;
            let mut finder = information.finder();
            let mut named: HashMap<String, TypeIndex> = HashMap::new();
            let mut iter = information.iter();
            while let Some(item) = iter.next()? {
                finder.update(&iter);
                let (name, forward) = match parse(item) {
                    Some(TypeData::Class(class)) => {
                        (class.name, class.properties.forward_reference())
                    }
                    Some(TypeData::Union(union)) => {
                        (union.name, union.properties.forward_reference())
                    }
                    // Leaves that the crate does not know are no structures.
                    _ => continue,
                };
                if !forward && !is_unnamed(&name.to_string()) {
                    named.entry(name.to_string().into_owned()).or_insert_with(|| item.index());
                }
            }
            let mut reader = Reader { finder: &finder, named: &named, left: MAX_MEMBER_BYTES };
            let mut types = HashMap::with_capacity(named.len());
            for (name, index) in &named {
                if let Some(structure) = reader.structure(*index, MAX_DEPTH) {
                    types.insert(name.clone(), Arc::new(structure));
                }
                if reader.left == 0 {
                    return Ok(None);
                }
            }
            Ok(Some(types))
        })?
        .ok_or_else(|| Error::Limit {
            what: "members of a PDB's types, in bytes".into(),
            limit: MAX_MEMBER_BYTES as u64,
            name: "MAX_MEMBER_BYTES",
        })
    }
}

impl TypeSource for Pdb {
    fn structure(&self, name: &str) -> Result<Option<Arc<Structure>>, Error> {
        match self.types.get_or_init(|| self.read_types()) {
            Ok(types) => Ok(types.get(name).cloned()),
            Err(error) => Err(error.clone()),
        }
    }

    fn symbol(&self, name: &str) -> Option<Rva> {
        self.symbol_table().ok()?.find(name)
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

/// How many bytes of symbols a file has room for. Each module has a stream of its own, or the file
/// says of a thousand modules that one stream is theirs.
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

/// Turns type records into structures.
struct Reader<'a, 't> {
    finder: &'a pdb::TypeFinder<'t>,
    named: &'a HashMap<String, TypeIndex>,
    /// What is left of [`MAX_MEMBER_BYTES`]; nothing more is read when it is used up.
    left: usize,
}

impl Reader<'_, '_> {
    fn structure(&mut self, index: TypeIndex, depth: u32) -> Option<Structure> {
        let (name, size, fields) = match parse(self.finder.find(index).ok()?)? {
            TypeData::Class(class) => (class.name, class.size, class.fields),
            TypeData::Union(union) => (union.name, union.size, Some(union.fields)),
            _ => return None,
        };
        let mut structure =
            Structure { name: name.to_string().into_owned(), size, members: Vec::new() };
        let mut next = fields;
        // A list of continued lists that closes into a ring ends at the member limit or here.
        let mut lists = 0;
        while let Some(list) = next.take()
            && lists < 1000
        {
            lists += 1;
            let Some(TypeData::FieldList(list)) = self.finder.find(list).ok().and_then(parse)
            else {
                break;
            };
            for field in &list.fields {
                let name = if let TypeData::Member(member) = field { member.name.len() } else { 0 };
                self.left = self.left.saturating_sub(MEMBER_BYTES + name);
                if self.left == 0 {
                    return None;
                }
                let TypeData::Member(member) = field else { continue };
                structure.members.push(Member {
                    name: member.name.to_string().into_owned(),
                    offset: member.offset,
                    shape: self.shape(member.field_type, depth),
                });
            }
            next = list.continuation;
        }
        structure.members.sort_by_key(|member| member.offset);
        Some(structure)
    }

    fn shape(&mut self, index: TypeIndex, depth: u32) -> Shape {
        let Some(depth) = depth.checked_sub(1) else { return Shape::Opaque };
        let Some(data) = self.finder.find(index).ok().and_then(parse) else {
            return Shape::Opaque;
        };
        match data {
            TypeData::Primitive(primitive) => match primitive.indirection {
                Some(pdb::Indirection::Near32 | pdb::Indirection::Far32) => Shape::Pointer(4),
                Some(_) => Shape::Pointer(8),
                None => number(primitive.kind),
            },
            TypeData::Pointer(pointer) => Shape::Pointer(pointer.attributes.size()),
            TypeData::Modifier(modifier) => self.shape(modifier.underlying_type, depth),
            TypeData::Enumeration(kind) => match self.shape(kind.underlying_type, depth).size() {
                Some(size @ 1..=8) => Shape::Unsigned(size as u8),
                _ => Shape::Unsigned(4),
            },
            TypeData::Bitfield(bits) => Shape::Bits {
                bytes: self
                    .shape(bits.underlying_type, depth)
                    .size()
                    .and_then(|size| u8::try_from(size).ok())
                    .unwrap_or(4),
                position: bits.position,
                length: bits.length,
            },
            TypeData::Array(array) => {
                let mut shape = self.shape(array.element_type, depth);
                // Each dimension is the size in bytes up to there, innermost first.
                for &size in &array.dimensions {
                    let each = self.size_of(&shape);
                    let size = u64::from(size);
                    let count = size.checked_div(each).unwrap_or(0);
                    shape = Shape::Array { element: Box::new(shape), size, count };
                }
                shape
            }
            TypeData::Class(class) => {
                let name = class.name.to_string().into_owned();
                self.compound(index, name, class.size, class.properties.forward_reference(), depth)
            }
            TypeData::Union(union) => {
                let name = union.name.to_string().into_owned();
                self.compound(index, name, union.size, union.properties.forward_reference(), depth)
            }
            _ => Shape::Opaque,
        }
    }

    fn compound(
        &mut self,
        index: TypeIndex,
        name: String,
        size: u64,
        forward: bool,
        depth: u32,
    ) -> Shape {
        if is_unnamed(&name) {
            return match self.structure(index, depth) {
                Some(structure) => Shape::Unnamed(Arc::new(structure)),
                None => Shape::Opaque,
            };
        }
        let size = if forward { self.defined_size(&name) } else { Some(size) };
        Shape::Named { name, size }
    }

    fn defined_size(&self, name: &str) -> Option<u64> {
        match parse(self.finder.find(*self.named.get(name)?).ok()?)? {
            TypeData::Class(class) => Some(class.size),
            TypeData::Union(union) => Some(union.size),
            _ => None,
        }
    }

    fn size_of(&self, shape: &Shape) -> u64 {
        shape.size().unwrap_or(0)
    }
}

fn is_unnamed(name: &str) -> bool {
    name.is_empty() || name.contains('<') || name == "__unnamed"
}

fn number(kind: pdb::PrimitiveKind) -> Shape {
    use pdb::PrimitiveKind as K;
    match kind {
        K::Char | K::UChar | K::RChar | K::U8 | K::Bool8 => Shape::Unsigned(1),
        K::I8 => Shape::Signed(1),
        K::WChar | K::RChar16 | K::UShort | K::U16 | K::Bool16 => Shape::Unsigned(2),
        K::Short | K::I16 => Shape::Signed(2),
        K::RChar32 | K::ULong | K::U32 | K::Bool32 | K::HRESULT => Shape::Unsigned(4),
        K::Long | K::I32 => Shape::Signed(4),
        K::UQuad | K::U64 | K::Bool64 => Shape::Unsigned(8),
        K::Quad | K::I64 => Shape::Signed(8),
        K::F32 | K::F32PP => Shape::Float(4),
        K::F64 => Shape::Float(8),
        _ => Shape::Opaque,
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

fn open(bytes: &Bytes) -> pdb::Result<pdb::PDB<'static, File>> {
    pdb::PDB::open(File { bytes: Arc::clone(bytes), repaired: None })
}

/// The same with lists of members that continue made readable: the crate takes the index of the
/// next list right behind the leaf `LF_INDEX`, where two bytes of padding come first. Here the
/// padding goes behind the index, in the copy of the type stream that the crate is given.
fn open_types(bytes: &Bytes) -> pdb::Result<pdb::PDB<'static, File>> {
    const TYPES: pdb::StreamIndex = pdb::StreamIndex(2);
    let mut plain = open(bytes)?;
    let Some(stream) = plain.raw_stream(TYPES)? else { return Ok(plain) };
    let mut repaired = stream.as_slice().to_vec();
    let mut at = le(&repaired, 4, 4).unwrap_or(u64::MAX);
    let mut found = false;
    while let Ok(start) = usize::try_from(at)
        && let Some(length) = le(&repaired, start, 2)
        && let Some(record) =
            start.checked_add(2 + length as usize).and_then(|end| repaired.get_mut(start + 2..end))
    {
        at = at.saturating_add(2 + length);
        // LF_FIELDLIST whose last member is LF_INDEX.
        if record.starts_with(&[0x03, 0x12])
            && let Some([0x04, 0x14, pad @ 0, more @ 0, a, b, c, d]) = record.last_chunk_mut::<8>()
        {
            (*pad, *more, *a, *b, *c, *d) = (*a, *b, *c, *d, 0xf2, 0xf1);
            found = true;
        }
    }
    if !found {
        return Ok(plain);
    }
    let original = stream.as_slice().to_vec();
    pdb::PDB::open(File { bytes: Arc::clone(bytes), repaired: Some((original, repaired)) })
}

/// A type record's data, `None` where the crate cannot read it. One such record (an array with a
/// negative size) is no reason to do without all others, so each has a guard of its own.
fn parse(item: pdb::Item<'_, TypeIndex>) -> Option<TypeData<'_>> {
    catch_unwind(AssertUnwindSafe(|| item.parse().ok())).ok().flatten()
}

/// Runs `work`, turning the crate's errors and panics into ours.
fn guard<T>(work: impl FnOnce() -> pdb::Result<T>) -> Result<T, Error> {
    match catch_unwind(AssertUnwindSafe(work)) {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => Err(Error::Symbols { kind: "PDB", why: error.to_string() }),
        Err(_) => Err(Error::Symbols {
            kind: "PDB",
            why: "a record is malformed in a way that the PDB reader does not survive".into(),
        }),
    }
}

/// The bytes of a PDB as the crate wants them.
struct File {
    bytes: Bytes,
    /// A stream's bytes, and those to give in their place.
    repaired: Option<(Vec<u8>, Vec<u8>)>,
}

impl fmt::Debug for File {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("File")
    }
}

/// A stream: in place where its pages follow each other, which they mostly do, else copied.
enum View {
    Shared(Bytes, Range<usize>),
    Copied(Vec<u8>),
}

impl fmt::Debug for View {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("View")
    }
}

impl pdb::SourceView<'static> for View {
    fn as_slice(&self) -> &[u8] {
        match self {
            View::Shared(bytes, range) => (**bytes).as_ref().get(range.clone()).unwrap_or_default(),
            View::Copied(bytes) => bytes,
        }
    }
}

impl pdb::Source<'static> for File {
    fn view(
        &mut self,
        slices: &[pdb::SourceSlice],
    ) -> Result<Box<dyn pdb::SourceView<'static>>, std::io::Error> {
        let file = (*self.bytes).as_ref();
        let total = slices.iter().try_fold(0usize, |sum, slice| sum.checked_add(slice.size));
        let short = || std::io::Error::from(std::io::ErrorKind::UnexpectedEof);
        if total.is_none_or(|total| total > file.len()) {
            return Err(short());
        }
        let range = |slice: &pdb::SourceSlice| {
            let start = usize::try_from(slice.offset).map_err(|_| short())?;
            let end = start.checked_add(slice.size).filter(|&end| end <= file.len());
            Ok::<_, std::io::Error>(start..end.ok_or_else(short)?)
        };
        if let ([slice], None) = (slices, &self.repaired) {
            return Ok(Box::new(View::Shared(Arc::clone(&self.bytes), range(slice)?)));
        }
        let mut bytes = Vec::with_capacity(total.unwrap_or(0));
        for slice in slices {
            bytes.extend_from_slice(file.get(range(slice)?).ok_or_else(short)?);
        }
        if let Some((original, repaired)) = &self.repaired
            && bytes.starts_with(original)
            && let Some(start) = bytes.get_mut(..repaired.len())
        {
            start.copy_from_slice(repaired);
        }
        Ok(Box::new(View::Copied(bytes)))
    }
}
