//! Types: each structure is read when it is first requested.
//!
//! The type stream's own hash leads from a name to its record. One number for each record, the hash of the
//! record's name modulo the number of buckets, is in the stream whose number is at +20 of the header (the
//! offset and size of these numbers in it are at +32 and +36, the number of buckets at +28). Source: the PDB
//! documentation of LLVM ("The PDB TPI and IPI Streams"). The record that the hash leads to is checked. A
//! name that the hash does not find is searched for in the bytes of the records, and only if it is there are
//! all names read. All names are also read after many look-ups, because each look-up goes through the whole
//! stream.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use memchr::memmem;
use pdb::{FallibleIterator as _, RawString, TypeData, TypeIndex};

use super::publics::hash;
use super::source::{Bytes, Content, File, Piece, Pieces, guard, open};
use crate::bytes::{le, le32};
use crate::error::Error;
use crate::symbols;
use crate::types::{Member, Shape, Structure};

/// Limit on unnamed structures inside unnamed structures; C types do not nest deeper.
const MAX_DEPTH: u32 = 16;
/// Limit on the bytes of the members of one structure, including all unnamed structures in it. Without it, a
/// hostile file could expand without end, or give one long name to many members.
const MAX_MEMBER_BYTES: usize = 1 << 26;
/// The size of a member besides its name.
const MEMBER_BYTES: usize = 128;
/// Limit on the names that are looked up by a scan of all hashes. A kernel's views ask for about twenty. In a
/// hostile file, one structure may have a hundred thousand members of different types; after this limit all
/// names are read once.
const MOST_SCANS: usize = 64;
/// `LF_ARGLIST`.
const ARGUMENT_LIST: u16 = 0x1201;
/// Bytes of a record without data: its length and its kind.
const SMALLEST_RECORD: u64 = 4;
/// The number of the type stream.
const TYPES: pdb::StreamIndex = pdb::StreamIndex(2);

/// The types of one PDB.
pub(super) struct Types {
    stream: Piece,
    /// The stream's pieces in the file and its repaired bytes; `None` if it needed no repair.
    replaced: Option<(Pieces, Bytes)>,
    /// Index of the first record.
    first: u32,
    /// The bucket of each record, and the number of buckets.
    hashes: Option<(Piece, u32)>,
    /// Names that were looked up, each with the record that defines it, if there is one.
    places: Mutex<HashMap<String, Option<u32>>>,
    /// Every name; read if the hash fails, and after [`MOST_SCANS`].
    names: OnceLock<HashMap<String, u32>>,
    known: Mutex<HashMap<String, Option<Arc<Structure>>>>,
}

impl Types {
    pub(super) fn new(file: &Content) -> Result<Self, Error> {
        guard(|| {
            let mut pdb = open(file)?;
            let Some(stream) = pdb.raw_stream(TYPES)? else {
                return Err(pdb::Error::StreamNotFound(TYPES.0.into()));
            };
            let pieces = pdb_pieces(file)?;
            let stream = Piece::of(file, &stream);
            let (stream, replaced) = match repaired(stream.as_slice()) {
                None => (stream, None),
                Some(bytes) => {
                    let bytes: Arc<Vec<u8>> = Arc::new(bytes);
                    let replaced = Some((pieces, Arc::clone(&bytes) as Bytes));
                    let whole = Piece::of(&Content::Memory(bytes.clone()), &bytes);
                    (whole, replaced)
                }
            };
            check_indexes(stream.as_slice())?;
            let hashes = hashes(file, &mut pdb, stream.as_slice());
            Ok(Self {
                first: le32(stream.as_slice(), 8).unwrap_or(0),
                stream,
                replaced,
                hashes,
                places: Mutex::default(),
                names: OnceLock::new(),
                known: Mutex::default(),
            })
        })
    }

    pub(super) fn structure(
        &self,
        file: &Content,
        name: &str,
    ) -> Result<Option<Arc<Structure>>, Error> {
        let known = || self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(structure) = known().get(name) {
            return Ok(structure.clone());
        }
        if is_unnamed(name) {
            return Ok(None);
        }
        let structure = guard(|| {
            let replaced = self.replaced.clone();
            let last = Arc::default();
            let mut pdb = pdb::PDB::open(File { content: file.clone(), replaced, last })?;
            let information = pdb.type_information()?;
            let mut finder = information.finder();
            let mut iter = information.iter();
            while iter.next()?.is_some() {
                finder.update(&iter);
            }
            let left = MAX_MEMBER_BYTES;
            let mut reader = Reader { types: self, information: &information, finder, left };
            let index = reader.find(name);
            let structure = index.and_then(|index| reader.structure(index, MAX_DEPTH));
            Ok((structure.map(Arc::new), reader.left))
        })?;
        let (structure, left) = structure;
        if left == 0 {
            return Err(Error::Limit {
                what: format!("members of {name}, in bytes").into(),
                limit: MAX_MEMBER_BYTES as u64,
                name: "MAX_MEMBER_BYTES",
            });
        }
        known().insert(name.into(), structure.clone());
        Ok(structure)
    }

    /// The records in the bucket of a name, in order.
    fn hashed(&self, name: &str) -> impl Iterator<Item = TypeIndex> {
        let (hashes, buckets) = match &self.hashes {
            Some((hashes, buckets)) => (hashes.as_slice(), *buckets),
            None => (&[][..], 1),
        };
        let bucket = hash(name.as_bytes()).checked_rem(buckets).unwrap_or(0).to_le_bytes();
        let (hashes, _) = hashes.as_chunks::<4>();
        (self.first..)
            .zip(hashes)
            .filter(move |(_, hash)| **hash == bucket)
            .map(|(i, _)| TypeIndex(i))
    }
}

/// The pieces of the type stream in the file.
fn pdb_pieces(file: &Content) -> pdb::Result<Pieces> {
    let last: Arc<Mutex<Pieces>> = Arc::default();
    let source = File { content: file.clone(), replaced: None, last: Arc::clone(&last) };
    pdb::PDB::open(source)?.raw_stream(TYPES)?;
    let pieces = last.lock().unwrap_or_else(PoisonError::into_inner);
    Ok(pieces.clone())
}

fn hashes(file: &Content, pdb: &mut pdb::PDB<'static, File>, types: &[u8]) -> Option<(Piece, u32)> {
    let number = u16::try_from(le(types, 20, 2)?).ok()?;
    let stream = pdb.raw_stream(pdb::StreamIndex(number)).ok()??;
    let at = |offset| usize::try_from(le32(types, offset)?).ok();
    let (start, size) = (at(32)?, at(36)?);
    let hashes = Piece::of(file, &stream).part(start..start.checked_add(size)?);
    Some((hashes, le32(types, 28)?))
}

/// Repairs continued lists of members, if the stream has any. The crate reads the index of the next list
/// directly after the leaf `LF_INDEX`, but in the format two bytes of padding come first. The repair moves
/// the padding after the index.
fn repaired(stream: &[u8]) -> Option<Vec<u8>> {
    let mut at = le(stream, 4, 4)?;
    let mut repaired: Option<Vec<u8>> = None;
    while let Ok(start) = usize::try_from(at)
        && let Some(length) = le(stream, start, 2)
        && let Some(end) = start.checked_add(2 + length as usize)
        && let Some(record) = stream.get(start + 2..end)
    {
        at = at.saturating_add(2 + length);
        // An LF_FIELDLIST whose last member is LF_INDEX.
        if record.starts_with(&[0x03, 0x12])
            && let Some(&[0x04, 0x14, 0, 0, a, b, c, d]) = record.last_chunk::<8>()
            && let Some(tail) = repaired
                .get_or_insert_with(|| stream.to_vec())
                .get_mut(..end)
                .and_then(|start| start.last_chunk_mut::<6>())
        {
            *tail = [a, b, c, d, 0xf2, 0xf1];
        }
    }
    repaired
}

/// A type record's data, or `None` if the crate cannot read it. One unreadable record (an array with a
/// negative size) must not cost all others, so each record has its own guard.
///
/// An argument list is not read: the crate would allocate memory for the count in the record, and no
/// structure has one as a member.
/// structure has one as a member.
fn parse(item: pdb::Item<'_, TypeIndex>) -> Option<TypeData<'_>> {
    let is_readable = item.len() >= 2 && item.raw_kind() != ARGUMENT_LIST;
    symbols::guard("PDB", || is_readable.then(|| item.parse().ok())).ok().flatten().flatten()
}

/// Refuses a range of type indexes for which the stream is too short: the crate would allocate memory for it.
fn check_indexes(stream: &[u8]) -> pdb::Result<()> {
    let field = |offset| le32(stream, offset).unwrap_or(0);
    let (header, first, end) = (field(4), field(8), field(12));
    let bytes = (stream.len() as u64).saturating_sub(header.into());
    match u64::from(end.saturating_sub(first)) <= bytes / SMALLEST_RECORD {
        true => Ok(()),
        false => {
            Err(pdb::Error::InvalidTypeInformationHeader("more types than the stream has room for"))
        }
    }
}

/// The name of a structure or union, and whether it is a forward reference; `None` for all other records and
/// for unnamed types.
fn named(data: TypeData<'_>) -> Option<(RawString<'_>, bool)> {
    let (name, properties) = match data {
        TypeData::Class(class) => (class.name, class.properties),
        TypeData::Union(union) => (union.name, union.properties),
        _ => return None,
    };
    (!is_unnamed(&name.to_string())).then(|| (name, properties.forward_reference()))
}

/// Turns type records into structures.
struct Reader<'a, 't> {
    types: &'a Types,
    information: &'t pdb::TypeInformation<'static>,
    finder: pdb::TypeFinder<'t>,
    /// The rest of [`MAX_MEMBER_BYTES`]; reading stops when it is zero.
    left: usize,
}

impl Reader<'_, '_> {
    /// The definition of a structure or union; the first one if there are several.
    fn find(&self, name: &str) -> Option<TypeIndex> {
        let places = || self.types.places.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(place) = places().get(name) {
            return place.map(TypeIndex);
        }
        // A separate statement: in the condition below, the lock would be held during the scan of the file.
        let looked_for = places().len();
        let place = if looked_for < MOST_SCANS {
            self.scan(name).map(|index| index.0)
        } else {
            self.all_names().get(name).copied()
        };
        places().insert(name.into(), place);
        place.map(TypeIndex)
    }

    /// Searches for a definition with the hashes, then for the bytes of its name.
    fn scan(&self, name: &str) -> Option<TypeIndex> {
        let is_definition = |index: &TypeIndex| {
            let Some((found, forward)) =
                self.finder.find(*index).ok().and_then(parse).and_then(named)
            else {
                return false;
            };
            !forward && found.as_bytes() == name.as_bytes()
        };
        if let Some(index) = self.types.hashed(name).find(is_definition) {
            return Some(index);
        }
        // Nested types, and the types of some writers, have a different hash. A name that is not among the
        // bytes at all is not a type.
        memmem::find(self.types.stream.as_slice(), format!("{name}\0").as_bytes())?;
        self.all_names().get(name).copied().map(TypeIndex)
    }

    fn all_names(&self) -> &HashMap<String, u32> {
        self.types.names.get_or_init(|| self.names())
    }

    fn names(&self) -> HashMap<String, u32> {
        let mut names = HashMap::new();
        let mut iter = self.information.iter();
        while let Ok(Some(item)) = iter.next() {
            if let Some((name, false)) = parse(item).and_then(named) {
                names.entry(name.to_string().into_owned()).or_insert(item.index().0);
            }
        }
        names
    }

    fn structure(&mut self, index: TypeIndex, depth: u32) -> Option<Structure> {
        let (name, size, fields) = match parse(self.finder.find(index).ok()?)? {
            TypeData::Class(class) => (class.name, class.size, class.fields),
            TypeData::Union(union) => (union.name, union.size, Some(union.fields)),
            _ => return None,
        };
        let mut structure =
            Structure { name: name.to_string().into_owned(), size, members: Vec::new() };
        let mut next = fields;
        // A chain of continued lists that forms a ring ends at the member limit or here.
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
                // Each dimension is the size in bytes up to that dimension, innermost first.
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
        match parse(self.finder.find(self.find(name)?).ok()?)? {
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

#[cfg(test)]
mod tests {
    use super::*;

    const SHAPES: &[u8] = include_bytes!("../../../tests/fixtures/pdb/shapes.pdb");

    fn types() -> (Content, Types) {
        let file = Content::Memory(Arc::new(SHAPES.to_vec()));
        let types = Types::new(&file).unwrap();
        (file, types)
    }

    /// The names of the structures that the file defines.
    fn defined() -> Vec<String> {
        let (file, types) = types();
        types.places.lock().unwrap().extend((0..MOST_SCANS).map(|i| (i.to_string(), None)));
        assert_eq!(types.structure(&file, "_NO_SUCH_TYPE").unwrap(), None);
        let mut names: Vec<_> = types.names.get().unwrap().keys().cloned().collect();
        names.sort();
        names
    }

    #[test]
    fn present_and_absent_names_are_looked_up_once() {
        let (file, types) = types();
        let name = defined().remove(0);
        assert!(types.structure(&file, &name).unwrap().is_some());
        assert!(types.structure(&file, "_NO_SUCH_TYPE").unwrap().is_none());
        let mut places = types.places.lock().unwrap();
        assert!(places[&name].is_some());
        assert_eq!(places["_NO_SUCH_TYPE"], None);
        assert!(types.names.get().is_none(), "two names must not read all names");
        // From now on the cached entry is the answer.
        *places.get_mut(&name).unwrap() = None;
        drop(places);
        types.known.lock().unwrap().clear();
        assert_eq!(types.structure(&file, &name).unwrap(), None);
    }

    #[test]
    fn after_many_names_all_names_are_read_with_the_same_answers() {
        let names = defined();
        assert!(names.len() > 3, "{names:?}");
        let (file, few) = types();
        let (_, many) = types();
        many.places.lock().unwrap().extend((0..MOST_SCANS).map(|i| (i.to_string(), None)));
        for name in &names {
            let one = few.structure(&file, name).unwrap();
            assert!(one.is_some(), "{name}");
            assert_eq!(one, many.structure(&file, name).unwrap(), "{name}");
        }
        assert!(few.names.get().is_none() && many.names.get().is_some());
    }
}
