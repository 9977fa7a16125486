//! Symbol tables as Volatility 3 ISF documents (JSON, format 6.1.0).
//!
//! `metadata.windows.pdb` {GUID, age, database, machine_type}; `base_types`; `user_types` from the
//! [`Layouts`]; `symbols` name → {address: RVA}. Source: tables of real kernels.

use serde_json::{Map, Value, json};

use crate::dump::MachineType;
use crate::image::PdbId;
use crate::layout::{Field, Kind, Layouts, TypeLayout};

/// Types to which Volatility 3 attaches classes, and which it therefore requires. They get a size and no
/// fields.
const OPAQUE: &[&str] = &[
    "_ETHREAD",
    "_KTHREAD",
    "_EPROCESS",
    "_ERESOURCE",
    "_EX_FAST_REF",
    "_TOKEN",
    "_OBJECT_HEADER",
    "_FILE_OBJECT",
    "_DEVICE_OBJECT",
    "_CM_KEY_BODY",
    "_CMHIVE",
    "_CM_KEY_NODE",
    "_CM_KEY_VALUE",
    "_HMAP_ENTRY",
    "_MMVAD_SHORT",
    "_MMVAD",
    "_KSYSTEM_TIME",
    "_KMUTANT",
    "_DRIVER_OBJECT",
    "_OBJECT_SYMBOLIC_LINK",
    "_CONTROL_AREA",
    "_SHARED_CACHE_MAP",
    "_VACB",
    "_POOL_TRACKER_BIG_PAGES",
    "_IMAGE_DOS_HEADER",
    "_KTIMER",
    "_POOL_HEADER",
    "_IRP",
];

/// The document: symbols by RVA, and types. Types are `None` for an image other than the kernel.
pub fn document(
    pdb: &PdbId,
    machine: MachineType,
    symbols: &[(String, u32)],
    layouts: Option<&Layouts>,
) -> Value {
    let pointer_size = machine.pointer_size();
    let mut user_types = Map::new();
    if let Some(layouts) = layouts {
        for name in OPAQUE {
            user_types
                .insert((*name).to_owned(), json!({"fields": {}, "kind": "struct", "size": 8}));
        }
        for (name, layout) in layouts.types().filter(|(_, layout)| !layout.hidden) {
            let value = user_type(name, layout, layouts, &mut user_types);
            user_types.insert(name.to_owned(), value);
        }
    }
    let symbols: Map<String, Value> =
        symbols.iter().map(|(name, rva)| (name.clone(), json!({"address": rva}))).collect();
    json!({
        "base_types": base_types(pointer_size),
        "enums": {},
        "metadata": {
            "format": "6.1.0",
            "producer": {"datetime": "2026-01-01T00:00:00", "name": "verifier-synth", "version": env!("CARGO_PKG_VERSION")},
            "windows": {"pdb": {
                "GUID": pdb.guid_text(),
                "age": pdb.age,
                "database": pdb.name,
                "machine_type": machine.value(),
            }},
        },
        "symbols": symbols,
        "user_types": user_types,
    })
}

/// The path of a table in a folder of tables: `ntkrnlmp.pdb/<GUID>-<age>.json`.
pub fn path(pdb: &PdbId) -> String {
    format!("{}/{}-{}.json", pdb.name, pdb.guid_text(), pdb.age)
}

fn base_types(pointer_size: usize) -> Value {
    let base = |kind: &str, signed: bool, size: usize| json!({"endian": "little", "kind": kind, "signed": signed, "size": size});
    json!({
        "char": base("char", true, 1),
        "int": base("int", true, 4),
        "long": base("int", true, 4),
        "long long": base("int", true, 8),
        "pointer": base("int", false, pointer_size),
        "short": base("int", true, 2),
        "unsigned char": base("char", false, 1),
        "unsigned int": base("int", false, 4),
        "unsigned long": base("int", false, 4),
        "unsigned long long": base("int", false, 8),
        "unsigned short": base("int", false, 2),
        "void": base("void", true, 0),
        "wchar": base("int", true, 2),
    })
}

fn int_name(size: usize, signed: bool) -> &'static str {
    match (size, signed) {
        (1, false) => "unsigned char",
        (2, false) => "unsigned short",
        (4, false) => "unsigned long",
        (8, false) => "unsigned long long",
        (2, true) => "short",
        (4, true) => "long",
        (8, true) => "long long",
        _ => panic!("integers of {size} bytes do not exist"),
    }
}

/// True for a nested structure in which an integer and another field begin at the same byte.
fn is_union(layout: &TypeLayout) -> bool {
    let first = || layout.fields.iter().filter(|field| field.offset == 0);
    first().count() > 1 && first().any(|field| !matches!(field.kind, Kind::Bits { .. }))
}

fn user_type(
    name: &str,
    layout: &TypeLayout,
    layouts: &Layouts,
    all: &mut Map<String, Value>,
) -> Value {
    let mut fields = Map::new();
    for field in &layout.fields {
        let kind = field_type(name, field, layouts, all);
        fields.insert(field.name.clone(), json!({"offset": field.offset, "type": kind}));
    }
    let kind = if name == "_SLIST_HEADER" || name.starts_with("__unnamed") && is_union(layout) {
        "union"
    } else {
        "struct"
    };
    json!({"fields": fields, "kind": kind, "size": layouts.extent(layout)})
}

fn field_type(
    owner: &str,
    field: &Field,
    layouts: &Layouts,
    all: &mut Map<String, Value>,
) -> Value {
    let base = |name: &str| json!({"kind": "base", "name": name});
    let one = match &field.kind {
        Kind::Int { size, signed } => base(int_name(*size, *signed)),
        Kind::WideChar => base("wchar"),
        Kind::Pointer(target) => pointer(target),
        Kind::Struct(name) => {
            json!({"kind": if name == "_SLIST_HEADER" { "union" } else { "struct" }, "name": name})
        }
        Kind::Bits { size, start, length } => {
            json!({"bit_length": length, "bit_position": start, "kind": "bitfield", "type": base(int_name(*size, false))})
        }
        Kind::Nested(inner) => {
            let name = format!("__unnamed{owner}_{}", field.name);
            let value = user_type(&name, inner, layouts, all);
            let kind = value["kind"].clone();
            all.insert(name.clone(), value);
            json!({"kind": kind, "name": name})
        }
    };
    match field.count {
        Some(count) => json!({"count": count, "kind": "array", "subtype": one}),
        None => one,
    }
}

fn pointer(target: &str) -> Value {
    let subtype = match target.strip_suffix('*') {
        Some(inner) => pointer(inner),
        None => match target {
            "void" => json!({"kind": "base", "name": "void"}),
            "wchar" => json!({"kind": "base", "name": "wchar"}),
            "u8" => json!({"kind": "base", "name": "unsigned char"}),
            name => json!({"kind": "struct", "name": name}),
        },
    };
    json!({"kind": "pointer", "subtype": subtype})
}
