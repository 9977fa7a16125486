//! Ids of functions that were inlined across modules by link-time code generation.
//!
//! Such an id has its top bit set and is local to its module: bits 20 to 30 number one of the modules that it
//! imports from, bits 0 to 19 one of the imports. That is again a local id, of the other module, whose exports
//! say which id of the file it is. Both lists are subsections of the module's line information:
//!
//! | kind | data |
//! |---|---|
//! | 0xf7 imports | for each module +0 offset of its name in the string table, +4 number of imports, then 4 bytes each |
//! | 0xf8 exports | +0 local id, +4 id of the file |
//!
//! Source: the documentation of the crate, which also knows that the names of modules differ in case.

use crate::bytes::le32;

pub(super) const IMPORTS: u32 = 0xf7;
pub(super) const EXPORTS: u32 = 0xf8;
const LOCAL: u32 = 0x8000_0000;

/// True for an id that is local to a module.
pub(super) fn is_local(id: u32) -> bool {
    id & LOCAL != 0
}

/// The imports of a module.
#[derive(Default)]
pub(super) struct Imports(Vec<(u32, Vec<u32>)>);

impl Imports {
    pub(super) fn add(&mut self, mut data: &[u8]) -> Option<()> {
        while !data.is_empty() {
            let (name, count) = (le32(data, 0)?, usize::try_from(le32(data, 4)?).ok()?);
            let (ids, rest) = data.get(8..)?.split_at_checked(count.checked_mul(4)?)?;
            let (ids, _) = ids.as_chunks::<4>();
            self.0.push((name, ids.iter().map(|id| u32::from_le_bytes(*id)).collect()));
            data = rest;
        }
        Some(())
    }

    /// The offset of the other module's name, and the id there.
    pub(super) fn get(&self, id: u32) -> Option<(u32, u32)> {
        let module = usize::try_from((id & !LOCAL) >> 20).ok()?;
        let (name, ids) = self.0.get(module)?;
        Some((*name, *ids.get(usize::try_from(id & 0xf_ffff).ok()?)?))
    }
}

/// The exports of a module, in order of local id.
#[derive(Default)]
pub(super) struct Exports(Vec<(u32, u32)>);

impl Exports {
    pub(super) fn add(&mut self, data: &[u8]) {
        let (pairs, _) = data.as_chunks::<8>();
        self.0.extend(pairs.iter().map(|&[a, b, c, d, e, f, g, h]| {
            (u32::from_le_bytes([a, b, c, d]), u32::from_le_bytes([e, f, g, h]))
        }));
        self.0.sort_unstable();
    }

    /// The id of the file.
    pub(super) fn get(&self, local: u32) -> Option<u32> {
        let at = self.0.binary_search_by_key(&local, |(local, _)| *local).ok()?;
        self.0.get(at).map(|(_, id)| *id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(words: &[u32]) -> Vec<u8> {
        words.iter().flat_map(|word| word.to_le_bytes()).collect()
    }

    #[test]
    fn an_import_leads_to_an_export_of_another_module() {
        let mut imports = Imports::default();
        imports.add(&words(&[0x10, 2, 0x8000_0001, 0x8000_0002, 0x20, 1, 0x8000_0009])).unwrap();
        assert_eq!(imports.get(0x8000_0001), Some((0x10, 0x8000_0002)));
        assert_eq!(imports.get(0x8010_0000), Some((0x20, 0x8000_0009)));
        for absent in [0x8000_0002, 0x8010_0001, 0x8020_0000] {
            assert_eq!(imports.get(absent), None, "{absent:#x}");
        }
        let mut exports = Exports::default();
        exports.add(&words(&[0x8000_0009, 0x1234, 0x8000_0002, 0x1111]));
        assert_eq!(exports.get(0x8000_0009), Some(0x1234));
        assert_eq!(exports.get(0x8000_0003), None);
    }

    #[test]
    fn a_count_past_the_end_is_refused() {
        let mut imports = Imports::default();
        assert_eq!(imports.add(&words(&[0x10, u32::MAX, 1])), None);
        assert_eq!(imports.get(0x8000_0000), None);
    }
}
