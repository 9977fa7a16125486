//! PDBs and ISF tables.

use std::sync::Arc;

use verifier_core::Rva;
use verifier_core::render::text::sanitize;
use verifier_core::symbols::{SymbolLookup as _, SymbolTable, demangle, undecorate};
use verifier_core::types::{Isf, Pdb, TypeSource};
use verifier_synth::{Linked, MachineType};

use crate::bytes::Input;

/// A PDB of clang and lld-link; `fixtures/README.md` says how it is made.
pub(crate) const SMALL_PDB: &[u8] = include_bytes!("../fixtures/small.pdb");

/// The same without types and procedures, as public PDBs are.
const PUBLIC_PDB: &[u8] = include_bytes!("../fixtures/public.pdb");

/// Walks every structure that is asked for, so that a ring of types shows.
fn look_up(types: &dyn TypeSource) {
    for (name, path) in [
        ("_LIST_ENTRY", "Flink"),
        ("_VI_POOL_ENTRY", "InUse.VirtualAddress"),
        ("_VF_POOL_TRACE", "StackTrace"),
        ("_SLIST_HEADER", "HeaderX64.NextEntry"),
        ("_MM_DRIVER_VERIFIER_DATA", "Level"),
    ] {
        let _ = types.size_of(name);
        if let Ok(field) = types.field(name, path) {
            let _ = field.get(&[0xa5; 64]);
            let _ = field.elements();
        }
    }
    for name in ["MmVerifierData", "VfPoolTraces", ""] {
        let _ = types.symbol(name);
    }
    let _ = types.describe();
}

/// A PDB of any bytes, or, if the first byte is odd, one of the small ones with changes.
pub fn pdb(data: &[u8]) {
    let mut input = Input(data);
    let bytes = if input.0.first().is_some_and(|first| first & 1 == 1) {
        let mut bytes = match input.u8() {
            // With lines and inlined functions.
            first if first & 4 != 0 => Linked::leaky(MachineType::X64).pdb,
            first if first & 2 != 0 => PUBLIC_PDB,
            _ => SMALL_PDB,
        }
        .to_vec();
        while !input.is_empty() {
            let at = input.u32() as usize % bytes.len();
            let count = usize::from(input.u8() % 16) + 1;
            let change = input.take(count);
            for (to, from) in bytes[at..].iter_mut().zip(change) {
                *to = *from;
            }
        }
        bytes
    } else {
        data.to_vec()
    };
    let Ok(pdb) = Pdb::parse("fuzz.pdb", Arc::new(bytes)) else { return };
    for rva in (0..0x4000).step_by(0x35) {
        let _ = (pdb.resolve(Rva(rva)), pdb.source_site(Rva(rva)));
    }
    let _ = (pdb.find("start"), pdb.find("no such name"));
    if let Ok(table) = pdb.symbol_table() {
        // The quick way through a public PDB gives what the plain way gives.
        let mut plain = SymbolTable::builder(pdb.machine_image_type() == Some(0x14c));
        if pdb.for_each_symbol(&mut |rva, name, kind| plain.add(rva, name, kind)).is_ok() {
            assert!(table.iter().eq(plain.finish().iter()));
        }
        let _ = table.resolve(Rva(0x1000));
        let _ = table.iter().map(|(_, name, _)| demangle(name).len()).sum::<usize>();
    }
    look_up(&pdb);
}

/// Names of any text: taken apart, and made fit to be shown.
pub fn names(data: &[u8]) {
    for line in String::from_utf8_lossy(data).split('\n') {
        // A head that leads into the grammar of C++ names, which random text rarely does.
        let mangled = format!("?f@{line}");
        for name in [line, mangled.as_str()] {
            let shown = demangle(name);
            let _ = undecorate(name);
            assert!(!sanitize(&shown).chars().any(char::is_control));
        }
    }
}

/// An ISF table of any bytes.
pub fn isf(data: &[u8]) {
    let Ok(isf) = Isf::parse(data) else { return };
    let _ = isf.pdb_id().map(ToString::to_string);
    let _ = isf.symbols().count();
    look_up(&isf);
}
