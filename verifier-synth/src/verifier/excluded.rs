//! Excluded drivers: a ring of entries. Each entry is a `LIST_ENTRY`, directly followed by a `UNICODE_STRING`
//! and its characters. Source: type tables of the 26100 kernel; every build has the same layout.

use crate::assembly::Assembly;

/// Writes a list of names, if the build has it.
pub(super) fn lay_out(m: &mut Assembly, list: &str, names: &[String]) {
    if !m.has_global(list) {
        assert!(names.is_empty(), "this build has no {list}");
        return;
    }
    let structure = "_VI_EXCLUDED_DRIVER";
    let size = m.layouts.size(structure);
    let mut entries = Vec::new();
    for name in names {
        let units: Vec<u8> = name.encode_utf16().chain([0]).flat_map(u16::to_le_bytes).collect();
        let va = m.allocate(size + units.len(), 16);
        let record = m.layouts.record(structure).set("Name.Length", units.len() as u64 - 2);
        let bytes = record
            .set("Name.MaximumLength", units.len() as u64)
            .set("Name.Buffer", va + size as u64)
            .bytes();
        m.patch(va, &bytes);
        m.patch(va + size as u64, &units);
        m.label(format!("excluded:{name}"), va);
        entries.push(va);
    }
    m.link(m.global(list), &entries);
}
