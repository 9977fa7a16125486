//! Volatility 3 ISF tables (Intermediate Symbol Format, schema 4 to 6): JSON with a kernel's types
//! and symbols.
//!
//! Source: the schema in volatility3's `schemas/`, and tables made by its `pdbconv` from Microsoft's
//! PDBs. `user_types` have `fields` of `{offset, type}`, where a type is one of base, pointer,
//! array, bitfield, struct / union / class (by name), enum, function. `symbols` have `address`, an
//! RVA. `metadata.windows.pdb` names the PDB that the table was made from.

use std::collections::HashMap;
use std::sync::Arc;

use serde::Deserialize;

use super::{Member, Shape, Structure, TypeSource};
use crate::addr::Rva;
use crate::error::Error;
use crate::symbols::PdbId;

/// An ISF table.
#[derive(Debug)]
pub struct Isf {
    types: HashMap<String, Arc<Structure>>,
    symbols: HashMap<String, u64>,
    pdb: Option<PdbId>,
    machine: Option<u32>,
}

#[derive(Deserialize)]
struct Table {
    #[serde(default)]
    base_types: HashMap<String, BaseType>,
    #[serde(default)]
    user_types: HashMap<String, UserType>,
    #[serde(default)]
    enums: HashMap<String, Enum>,
    #[serde(default)]
    symbols: HashMap<String, Symbol>,
    #[serde(default)]
    metadata: Metadata,
}

#[derive(Deserialize)]
struct BaseType {
    #[serde(default)]
    size: u64,
    #[serde(default)]
    signed: bool,
    #[serde(default)]
    kind: String,
}

#[derive(Deserialize)]
struct UserType {
    size: u64,
    #[serde(default)]
    fields: HashMap<String, FieldEntry>,
}

#[derive(Deserialize)]
struct FieldEntry {
    offset: u64,
    #[serde(rename = "type")]
    kind: TypeEntry,
}

#[derive(Deserialize)]
struct TypeEntry {
    #[serde(default)]
    kind: String,
    #[serde(default)]
    name: Option<String>,
    #[serde(default)]
    count: u64,
    #[serde(default)]
    subtype: Option<Box<TypeEntry>>,
    #[serde(default)]
    bit_length: u8,
    #[serde(default)]
    bit_position: u8,
    #[serde(default, rename = "type")]
    inner: Option<Box<TypeEntry>>,
}

#[derive(Deserialize)]
struct Enum {
    #[serde(default)]
    size: u64,
}

#[derive(Deserialize)]
struct Symbol {
    #[serde(default)]
    address: u64,
}

#[derive(Deserialize, Default)]
struct Metadata {
    #[serde(default)]
    windows: Option<Windows>,
}

#[derive(Deserialize)]
struct Windows {
    #[serde(default)]
    pdb: Option<PdbEntry>,
}

#[derive(Deserialize)]
struct PdbEntry {
    #[serde(rename = "GUID")]
    guid: String,
    age: u32,
    #[serde(default)]
    database: String,
    #[serde(default)]
    machine_type: Option<u32>,
}

/// Pointers inside pointers, arrays of arrays: deeper than this is no C type.
const MAX_DEPTH: u32 = 16;

impl Isf {
    /// Reads a table. `json` is the text itself: a caller that has a `.json.xz` decompresses it.
    ///
    /// # Errors
    /// [`Error::Symbols`] where it is not JSON of that schema, with line and column.
    pub fn parse(json: &[u8]) -> Result<Self, Error> {
        let table: Table = serde_json::from_slice(json)
            .map_err(|error| Error::Symbols { kind: "ISF", why: error.to_string() })?;
        let pointer = table.base_types.get("pointer").map_or(8, |base| base.size);
        let pointer = u8::try_from(pointer).unwrap_or(8);
        let types = table
            .user_types
            .iter()
            .map(|(name, user)| {
                let mut members: Vec<Member> = user
                    .fields
                    .iter()
                    .map(|(name, field)| Member {
                        name: name.clone(),
                        offset: field.offset,
                        shape: table.shape(&field.kind, pointer, MAX_DEPTH),
                    })
                    .collect();
                members.sort_by(|a, b| (a.offset, &a.name).cmp(&(b.offset, &b.name)));
                let structure = Structure { name: name.clone(), size: user.size, members };
                (name.clone(), Arc::new(structure))
            })
            .collect();
        let entry = table.metadata.windows.and_then(|windows| windows.pdb);
        let machine = entry.as_ref().and_then(|entry| entry.machine_type);
        let pdb = entry.and_then(|entry| PdbId::from_hex(&entry.database, &entry.guid, entry.age));
        let symbols =
            table.symbols.into_iter().map(|(name, symbol)| (name, symbol.address)).collect();
        Ok(Self { types, symbols, pdb, machine })
    }

    /// The PDB that the table was made from, where the table says.
    #[must_use]
    pub fn pdb_id(&self) -> Option<&PdbId> {
        self.pdb.as_ref()
    }

    /// The PE machine number, where the table says.
    #[must_use]
    pub fn machine_image_type(&self) -> Option<u32> {
        self.machine
    }

    /// Every symbol with its RVA, in no order.
    pub fn symbols(&self) -> impl Iterator<Item = (&str, Rva)> {
        self.symbols
            .iter()
            .filter_map(|(name, &address)| Some((name.as_str(), Rva(u32::try_from(address).ok()?))))
    }
}

impl Table {
    fn shape(&self, entry: &TypeEntry, pointer: u8, depth: u32) -> Shape {
        let Some(depth) = depth.checked_sub(1) else { return Shape::Opaque };
        let name = entry.name.as_deref().unwrap_or("");
        match entry.kind.as_str() {
            "pointer" => Shape::Pointer(pointer),
            "base" => match self.base_types.get(name) {
                Some(base) => {
                    let Ok(size @ 1..=16) = u8::try_from(base.size) else { return Shape::Opaque };
                    match (base.kind.as_str(), base.signed) {
                        ("float", _) => Shape::Float(size),
                        ("int", true) => Shape::Signed(size),
                        _ => Shape::Unsigned(size),
                    }
                }
                None => Shape::Opaque,
            },
            "enum" => match self.enums.get(name).map(|kind| u8::try_from(kind.size)) {
                Some(Ok(size @ 1..=8)) => Shape::Unsigned(size),
                _ => Shape::Unsigned(4),
            },
            "bitfield" => {
                let container = entry.inner.as_ref().map(|t| self.shape(t, pointer, depth));
                let bytes = container.and_then(|shape| shape.size()).unwrap_or(4);
                Shape::Bits {
                    bytes: u8::try_from(bytes).unwrap_or(4),
                    position: entry.bit_position,
                    length: entry.bit_length,
                }
            }
            "array" => {
                let element =
                    entry.subtype.as_ref().map_or(Shape::Opaque, |t| self.shape(t, pointer, depth));
                let size = element.size().unwrap_or(0).saturating_mul(entry.count);
                Shape::Array { element: Box::new(element), size, count: entry.count }
            }
            "struct" | "union" | "class" => Shape::Named {
                name: name.into(),
                size: self.user_types.get(name).map(|user| user.size),
            },
            _ => Shape::Opaque,
        }
    }
}

impl TypeSource for Isf {
    fn structure(&self, name: &str) -> Result<Option<Arc<Structure>>, Error> {
        Ok(self.types.get(name).cloned())
    }

    fn symbol(&self, name: &str) -> Option<Rva> {
        self.symbols.get(name).and_then(|&address| u32::try_from(address).ok()).map(Rva)
    }

    fn describe(&self) -> String {
        match &self.pdb {
            Some(pdb) => format!("ISF table of {pdb}"),
            None => "ISF table".into(),
        }
    }
}
