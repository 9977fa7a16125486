//! Volatility 3 ISF tables (Intermediate Symbol Format, schema 4 to 6): JSON with a kernel's types
//! and symbols.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;
use std::marker::PhantomData;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::{Member, Shape, Structure, TypeSource};
use crate::addr::Rva;
use crate::error::Error;
use crate::symbols::{self, PdbId, SymbolKind, SymbolTable};

/// Limit on the entries of each map. Kernels have 43,000 symbols and 2,000 types.
const MAX_TABLE_ENTRIES: usize = 1 << 20;
/// Limit on the total bytes of the names in each map. A kernel's symbols have 1.2 MB of names.
const MAX_TABLE_NAMES: usize = 1 << 25;
/// Limit on the bytes of one name: the longest that linkers write. A longer name is cut.
const MAX_TABLE_NAME: usize = 4096;
/// Limit on the bytes of the fields of one structure. The longest in a kernel has 40,000.
const MAX_FIELDS: usize = 1 << 22;
/// Limit on pointers inside pointers and arrays of arrays; C types do not nest deeper.
const MAX_DEPTH: u32 = 16;

/// An ISF table.
///
/// Source: the schema in volatility3's `schemas/`, and tables that its `pdbconv` made from Microsoft's PDBs.
/// `user_types` have `fields` of `{offset, type}`; a type is a base type, pointer, array, bitfield, struct /
/// union / class (by name), enum or function. `symbols` have an `address`, which is an RVA.
/// `metadata.windows.pdb` names the PDB that the table was made from.
///
/// Opening a table checks its JSON and keeps names, sizes and symbols. The text of the fields is kept
/// unparsed; the fields of a structure are read when the structure is first requested. Every map has at most
/// `MAX_TABLE_ENTRIES` entries, so the memory that a table takes is in proportion to a kernel's table, whatever
/// the file contains.
#[derive(Debug)]
pub struct Isf {
    /// The JSON of all structures' fields.
    fields: Box<str>,
    types: HashMap<Box<str>, TypeText>,
    /// Base types by name.
    base: HashMap<Box<str>, Shape>,
    /// Sizes of enumerations, in bytes.
    enums: HashMap<Box<str>, u8>,
    pointer: u8,
    /// Structures whose fields have been read.
    known: Mutex<HashMap<Box<str>, Arc<Structure>>>,
    symbols: SymbolTable,
    pdb: Option<PdbId>,
    machine: Option<u32>,
}

/// A structure whose fields have not been read yet.
#[derive(Debug)]
struct TypeText {
    size: u64,
    /// The range of its fields in [`Isf::fields`].
    fields: Range<usize>,
}

#[derive(serde::Deserialize)]
struct Table<'a> {
    #[serde(default, borrow)]
    base_types: Entries<'a, BaseType<'a>>,
    #[serde(default, borrow)]
    user_types: Entries<'a, UserType<'a>>,
    #[serde(default, borrow)]
    enums: Entries<'a, Enum>,
    #[serde(default, borrow)]
    symbols: Entries<'a, Symbol>,
    #[serde(default, borrow)]
    metadata: Metadata<'a>,
}

#[derive(serde::Deserialize)]
struct BaseType<'a> {
    #[serde(default)]
    size: u64,
    #[serde(default)]
    signed: bool,
    #[serde(default, borrow)]
    kind: Cow<'a, str>,
}

#[derive(serde::Deserialize)]
struct UserType<'a> {
    size: u64,
    #[serde(default, borrow)]
    fields: Option<&'a RawValue>,
}

#[derive(serde::Deserialize)]
struct FieldEntry<'a> {
    offset: u64,
    #[serde(rename = "type", borrow)]
    kind: TypeEntry<'a>,
}

#[derive(serde::Deserialize)]
struct TypeEntry<'a> {
    #[serde(default, borrow)]
    kind: Cow<'a, str>,
    #[serde(default, borrow)]
    name: Option<Cow<'a, str>>,
    #[serde(default)]
    count: u64,
    #[serde(default, borrow)]
    subtype: Option<Box<TypeEntry<'a>>>,
    #[serde(default)]
    bit_length: u8,
    #[serde(default)]
    bit_position: u8,
    #[serde(default, rename = "type", borrow)]
    inner: Option<Box<TypeEntry<'a>>>,
}

#[derive(serde::Deserialize)]
struct Enum {
    #[serde(default)]
    size: u64,
}

#[derive(serde::Deserialize)]
struct Symbol {
    #[serde(default)]
    address: u64,
}

#[derive(serde::Deserialize, Default)]
struct Metadata<'a> {
    #[serde(default, borrow)]
    windows: Option<Windows<'a>>,
}

#[derive(serde::Deserialize)]
struct Windows<'a> {
    #[serde(default, borrow)]
    pdb: Option<PdbEntry<'a>>,
}

#[derive(serde::Deserialize)]
struct PdbEntry<'a> {
    #[serde(rename = "GUID", borrow)]
    guid: Cow<'a, str>,
    age: u32,
    #[serde(default, borrow)]
    database: Cow<'a, str>,
    #[serde(default)]
    machine_type: Option<u32>,
}

/// A map in the order of the text, within the limits.
struct Entries<'a, T>(Vec<(Cow<'a, str>, T)>);

impl<T> Default for Entries<'_, T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<'de: 'a, 'a, T: Deserialize<'de>> Deserialize<'de> for Entries<'a, T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(EntriesVisitor(PhantomData))
    }
}

struct EntriesVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for EntriesVisitor<T> {
    type Value = Entries<'de, T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a map")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let (mut entries, mut bytes) = (Vec::new(), 0);
        while let Some(Name(name)) = map.next_key()? {
            bytes += name.len();
            if entries.len() == MAX_TABLE_ENTRIES {
                return Err(A::Error::custom(format_args!(
                    "more than {MAX_TABLE_ENTRIES} entries"
                )));
            }
            if bytes > MAX_TABLE_NAMES {
                return Err(A::Error::custom(format_args!(
                    "more than {MAX_TABLE_NAMES} bytes of names"
                )));
            }
            entries.push((name, map.next_value()?));
        }
        Ok(Entries(entries))
    }
}

/// The name of an entry, cut to [`MAX_TABLE_NAME`].
struct Name<'a>(Cow<'a, str>);

impl<'de> Deserialize<'de> for Name<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(NameVisitor)
    }
}

struct NameVisitor;

impl<'de> Visitor<'de> for NameVisitor {
    type Value = Name<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name")
    }

    fn visit_borrowed_str<E>(self, name: &'de str) -> Result<Self::Value, E> {
        Ok(Name(symbols::cut(name, MAX_TABLE_NAME).into()))
    }

    fn visit_str<E>(self, name: &str) -> Result<Self::Value, E> {
        Ok(Name(symbols::cut(name, MAX_TABLE_NAME).to_owned().into()))
    }
}

impl Isf {
    /// Reads a table. `json` is uncompressed text; decompress a `.json.xz` first.
    ///
    /// # Errors
    /// [`Error::Symbols`], with line and column, if the text is not JSON of that schema or has more entries
    /// than any kernel has.
    pub fn parse(json: &[u8]) -> Result<Self, Error> {
        symbols::guard("ISF", || serde_json::from_slice(json).map(Self::of_table))?
            .map_err(malformed)
    }

    fn of_table(table: Table<'_>) -> Self {
        let sizes = &table.base_types.0;
        let pointer =
            sizes.iter().find(|(name, _)| name == "pointer").map_or(8, |(_, base)| base.size);
        let base = table.base_types.0.into_iter();
        let enums = table.enums.0.into_iter();
        let mut fields = String::new();
        let types = table.user_types.0.into_iter().map(|(name, user)| {
            let start = fields.len();
            fields.push_str(user.fields.map_or("{}", RawValue::get));
            (name.into(), TypeText { size: user.size, fields: start..fields.len() })
        });
        let types = types.collect();
        let mut symbols = SymbolTable::builder(false);
        for (name, symbol) in table.symbols.0 {
            if let Ok(rva) = u32::try_from(symbol.address) {
                symbols.add(Rva(rva), &name, SymbolKind::Public);
            }
        }
        let entry = table.metadata.windows.and_then(|windows| windows.pdb);
        Self {
            fields: fields.into(),
            types,
            base: base.map(|(name, base)| (name.into(), base.shape())).collect(),
            enums: enums
                .filter_map(|(name, kind)| Some((name.into(), u8::try_from(kind.size).ok()?)))
                .collect(),
            pointer: u8::try_from(pointer).unwrap_or(8),
            known: Mutex::default(),
            symbols: symbols.finish(),
            machine: entry.as_ref().and_then(|entry| entry.machine_type),
            pdb: entry.and_then(|entry| {
                let name = symbols::cut(&entry.database, MAX_TABLE_NAME);
                PdbId::from_hex(name, &entry.guid, entry.age)
            }),
        }
    }

    /// The PDB that the table was made from, if the table names it.
    #[must_use]
    pub fn pdb_id(&self) -> Option<&PdbId> {
        self.pdb.as_ref()
    }

    /// The PE machine number, if the table has it.
    #[must_use]
    pub fn machine_image_type(&self) -> Option<u32> {
        self.machine
    }

    /// Every symbol with its RVA, in order of address.
    pub fn symbols(&self) -> impl Iterator<Item = (&str, Rva)> {
        self.symbols.iter().map(|(rva, name, _)| (name, rva))
    }

    fn read(&self, name: &str, text: &TypeText) -> Result<Structure, Error> {
        let json = self.fields.get(text.fields.clone()).unwrap_or_default();
        if json.len() > MAX_FIELDS {
            return Err(Error::Limit {
                what: format!("fields of {name}, in bytes").into(),
                limit: MAX_FIELDS as u64,
                name: "MAX_FIELDS",
            });
        }
        let fields: Entries<'_, FieldEntry<'_>> = serde_json::from_str(json).map_err(malformed)?;
        let members = fields.0.iter().map(|(name, field)| Member {
            name: name.as_ref().into(),
            offset: field.offset,
            shape: self.shape(&field.kind, MAX_DEPTH),
        });
        let mut members: Vec<Member> = members.collect();
        members.sort_by(|a, b| (a.offset, &a.name).cmp(&(b.offset, &b.name)));
        Ok(Structure { name: name.into(), size: text.size, members })
    }

    fn shape(&self, entry: &TypeEntry<'_>, depth: u32) -> Shape {
        let Some(depth) = depth.checked_sub(1) else { return Shape::Opaque };
        let name = symbols::cut(entry.name.as_deref().unwrap_or(""), MAX_TABLE_NAME);
        match entry.kind.as_ref() {
            "pointer" => Shape::Pointer(self.pointer),
            "base" => self.base.get(name).cloned().unwrap_or(Shape::Opaque),
            "enum" => match self.enums.get(name) {
                Some(&size @ 1..=8) => Shape::Unsigned(size),
                _ => Shape::Unsigned(4),
            },
            "bitfield" => {
                let container = entry.inner.as_ref().map(|t| self.shape(t, depth));
                let bytes = container.and_then(|shape| shape.size()).unwrap_or(4);
                Shape::Bits {
                    bytes: u8::try_from(bytes).unwrap_or(4),
                    position: entry.bit_position,
                    length: entry.bit_length,
                }
            }
            "array" => {
                let element =
                    entry.subtype.as_ref().map_or(Shape::Opaque, |t| self.shape(t, depth));
                let size = element.size().unwrap_or(0).saturating_mul(entry.count);
                Shape::Array { element: Box::new(element), size, count: entry.count }
            }
            "struct" | "union" | "class" => {
                Shape::Named { name: name.into(), size: self.types.get(name).map(|text| text.size) }
            }
            _ => Shape::Opaque,
        }
    }
}

impl BaseType<'_> {
    fn shape(&self) -> Shape {
        let Ok(size @ 1..=16) = u8::try_from(self.size) else { return Shape::Opaque };
        match (self.kind.as_ref(), self.signed) {
            ("float", _) => Shape::Float(size),
            ("int", true) => Shape::Signed(size),
            _ => Shape::Unsigned(size),
        }
    }
}

fn malformed(error: serde_json::Error) -> Error {
    Error::Symbols { kind: "ISF", why: error.to_string() }
}

impl TypeSource for Isf {
    fn structure(&self, name: &str) -> Result<Option<Arc<Structure>>, Error> {
        let known = || self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(structure) = known().get(name) {
            return Ok(Some(Arc::clone(structure)));
        }
        let Some(text) = self.types.get(name) else { return Ok(None) };
        let structure = Arc::new(symbols::guard("ISF", || self.read(name, text))??);
        known().insert(name.into(), Arc::clone(&structure));
        Ok(Some(structure))
    }

    fn symbol(&self, name: &str) -> Option<Rva> {
        self.symbols.find(name)
    }

    fn describe(&self) -> String {
        match &self.pdb {
            Some(pdb) => format!("ISF table of {pdb}"),
            None => "ISF table".into(),
        }
    }
}
