//! PE images as they are in memory: headers, a CodeView record, an export directory.
//!
//! The headers are at RVA 0. `.rdata` holds the debug directory (type 2, CodeView), the `RSDS` record {GUID,
//! age, name} and the export directory. `.text` follows, and `.data` is last. Sources: Microsoft's PE format
//! specification, and a real 32-bit driver image.

use crate::dump::MachineType;

/// A PDB's identity: file name, GUID, age.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PdbId {
    /// Such as `ntkrnlmp.pdb`.
    pub name: String,
    /// The GUID in the order of symbol stores: 32 hexadecimal digits read as one number.
    pub guid: u128,
    /// The age.
    pub age: u32,
}

impl PdbId {
    /// An identity of age 1 with a GUID made from the name.
    pub fn from_name(name: &str) -> Self {
        // FNV-1a, widened: different names only need different GUIDs.
        let mut guid: u128 = 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d;
        for byte in name.bytes() {
            guid = (guid ^ u128::from(byte)).wrapping_mul(0x0100_0000_0000_0000_0000_013b);
        }
        Self { name: name.to_owned(), guid, age: 1 }
    }

    /// The GUID as upper-case hexadecimal digits, as in symbol stores.
    pub fn guid_text(&self) -> String {
        format!("{:032X}", self.guid)
    }

    /// The GUID as it is in memory: the first three fields are little-endian.
    pub fn guid_bytes(&self) -> [u8; 16] {
        let mut bytes = self.guid.to_be_bytes();
        bytes[..4].reverse();
        bytes[4..6].reverse();
        bytes[6..8].reverse();
        bytes
    }
}

/// An image to put into memory.
#[derive(Debug, Clone)]
pub struct Image {
    /// File name, such as `myfault.sys`.
    pub name: String,
    /// Its load address.
    pub base: u64,
    /// `SizeOfImage`, in whole pages.
    pub size: u32,
    /// `TimeDateStamp`.
    pub time_date_stamp: u32,
    /// `CheckSum`.
    pub check_sum: u32,
    /// The CodeView record, if there is one.
    pub pdb: Option<PdbId>,
    /// The PDB, if a linker made it; otherwise a symbol table is made from `symbols`.
    pub pdb_file: Option<Vec<u8>>,
    /// Exported names and their RVAs.
    pub exports: Vec<(String, u32)>,
    /// Public symbols and their RVAs, for the symbol table; they are not in memory.
    pub symbols: Vec<(String, u32)>,
}

impl Image {
    /// An image of `size` bytes without a PDB, exports or symbols.
    ///
    /// # Panics
    ///
    /// If the size is not a whole number of pages, at least five.
    pub fn new(name: &str, base: u64, size: u32) -> Self {
        assert!(size.is_multiple_of(0x1000) && size >= 0x5000, "an image of {size:#x} bytes");
        Self {
            name: name.to_owned(),
            base,
            size,
            time_date_stamp: 0x4ce7_951a,
            check_sum: size ^ 0x1_5a5a,
            pdb: None,
            pdb_file: None,
            exports: Vec::new(),
            symbols: Vec::new(),
        }
    }

    /// RVA of `.rdata`, two pages: below [`Self::data_rva`], or first in images of at least a megabyte, as in
    /// kernels (debuggers look for the CodeView record near the base).
    pub fn rdata_rva(&self) -> u32 {
        if self.size < 0x10_0000 { self.data_rva() - 0x2000 } else { 0x1000 }
    }

    /// The RVA range of `.text`.
    pub fn text(&self) -> std::ops::Range<u32> {
        if self.size < 0x10_0000 { 0x1000..self.rdata_rva() } else { 0x3000..self.data_rva() }
    }

    /// RVA of `.data`: the last page, or the last sixteenth of a large image.
    pub fn data_rva(&self) -> u32 {
        self.size - (self.size / 16).next_multiple_of(0x1000).max(0x1000)
    }

    /// Address of a symbol or export.
    ///
    /// # Panics
    ///
    /// If there is no symbol or export with this name.
    pub fn address(&self, symbol: &str) -> u64 {
        let rva = self
            .symbols
            .iter()
            .chain(&self.exports)
            .find(|(name, _)| name == symbol)
            .unwrap_or_else(|| panic!("{} has no {symbol}", self.name))
            .1;
        self.base + u64::from(rva)
    }

    /// The parts of the image that are present, as (RVA, bytes): the page of headers, and the contents of
    /// `.rdata`.
    pub fn render(&self, machine: MachineType) -> Vec<(u32, Vec<u8>)> {
        let rdata_rva = self.rdata_rva();
        let mut rdata = Vec::new();
        let mut debug = (0, 0);
        if let Some(pdb) = &self.pdb {
            let mut record = b"RSDS".to_vec();
            record.extend(pdb.guid_bytes());
            record.extend(pdb.age.to_le_bytes());
            record.extend(pdb.name.bytes());
            record.push(0);
            debug = (rdata_rva, 28);
            // IMAGE_DEBUG_DIRECTORY: characteristics, stamp, version, type 2, size, RVA, file offset.
            for word in [0, self.time_date_stamp, 0, 2, record.len() as u32, rdata_rva + 28, 0] {
                rdata.extend(u32::to_le_bytes(word));
            }
            rdata.extend(record);
        }
        let mut exports = (0, 0);
        if !self.exports.is_empty() {
            rdata.resize(rdata.len().next_multiple_of(16), 0);
            let rva = rdata_rva + rdata.len() as u32;
            let directory = self.export_directory(rva);
            exports = (rva, directory.len() as u32);
            rdata.extend(directory);
        }
        assert!(rdata.len() <= 0x2000, "{}: {:#x} bytes of .rdata", self.name, rdata.len());
        let mut parts = vec![(0, self.headers(machine, debug, exports))];
        if !rdata.is_empty() {
            parts.push((rdata_rva, rdata));
        }
        parts
    }

    fn export_directory(&self, rva: u32) -> Vec<u8> {
        let mut exports: Vec<&(String, u32)> = self.exports.iter().collect();
        exports.sort();
        let count = exports.len() as u32;
        let functions = rva + 40;
        let names = functions + 4 * count;
        let ordinals = names + 4 * count;
        let mut text_rva = ordinals + 2 * count;
        let mut text = self.name.clone().into_bytes();
        text.push(0);
        let mut out = Vec::new();
        for word in
            [0, self.time_date_stamp, 0, text_rva, 1, count, count, functions, names, ordinals]
        {
            out.extend(u32::to_le_bytes(word));
        }
        out.extend(exports.iter().flat_map(|(_, rva)| rva.to_le_bytes()));
        text_rva += text.len() as u32;
        for (name, _) in &exports {
            out.extend(text_rva.to_le_bytes());
            text.extend(name.bytes());
            text.push(0);
            text_rva += name.len() as u32 + 1;
        }
        out.extend((0..count as u16).flat_map(u16::to_le_bytes));
        out.extend(text);
        out
    }

    fn headers(&self, machine: MachineType, debug: (u32, u32), exports: (u32, u32)) -> Vec<u8> {
        const E_LFANEW: usize = 0xe8;
        let wide = machine.pointer_size() == 8;
        let mut h = vec![0; 0x400];
        let put = |h: &mut Vec<u8>, at: usize, bytes: &[u8]| {
            h[at..at + bytes.len()].copy_from_slice(bytes)
        };
        let put16 = |h: &mut Vec<u8>, at, value: u16| put(h, at, &value.to_le_bytes());
        let put32 = |h: &mut Vec<u8>, at, value: u32| put(h, at, &value.to_le_bytes());
        put(&mut h, 0, b"MZ");
        put32(&mut h, 0x3c, E_LFANEW as u32);
        put(&mut h, E_LFANEW, b"PE\0\0");
        let optional_size: u16 = if wide { 240 } else { 224 };
        let coff = E_LFANEW + 4;
        put16(&mut h, coff, machine.value());
        put16(&mut h, coff + 2, 3);
        put32(&mut h, coff + 4, self.time_date_stamp);
        put16(&mut h, coff + 16, optional_size);
        put16(&mut h, coff + 18, if wide { 0x22 } else { 0x122 });
        let optional = coff + 20;
        put16(&mut h, optional, if wide { 0x20b } else { 0x10b });
        let text = self.text();
        put32(&mut h, optional + 4, text.end - text.start);
        put32(&mut h, optional + 16, text.start);
        put32(&mut h, optional + 20, text.start);
        if wide {
            put(&mut h, optional + 24, &self.base.to_le_bytes());
        } else {
            put32(&mut h, optional + 28, self.base as u32);
        }
        put32(&mut h, optional + 32, 0x1000);
        put32(&mut h, optional + 36, 0x200);
        put16(&mut h, optional + 40, 6);
        put16(&mut h, optional + 48, 6);
        put32(&mut h, optional + 56, self.size);
        put32(&mut h, optional + 60, 0x400);
        put32(&mut h, optional + 64, self.check_sum);
        put16(&mut h, optional + 68, 1);
        let directories = optional + if wide { 112 } else { 96 };
        put32(&mut h, directories - 4, 16);
        for (index, (rva, size)) in [(0, exports), (6, debug)] {
            put32(&mut h, directories + 8 * index, rva);
            put32(&mut h, directories + 8 * index + 4, size);
        }
        let mut sections: [(&[u8], u32, u32, u32); 3] = [
            (b".text", text.start, text.end, 0x6800_0020),
            (b".rdata", self.rdata_rva(), self.rdata_rva() + 0x2000, 0x4800_0040),
            (b".data", self.data_rva(), self.size, 0xc800_0040),
        ];
        sections.sort_by_key(|section| section.1);
        for (i, (name, start, end, flags)) in sections.into_iter().enumerate() {
            let at = optional + usize::from(optional_size) + 40 * i;
            put(&mut h, at, name);
            put32(&mut h, at + 8, end - start);
            put32(&mut h, at + 12, start);
            put32(&mut h, at + 16, end - start);
            put32(&mut h, at + 20, start);
            put32(&mut h, at + 36, flags);
        }
        h
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_guid_in_memory_has_three_little_endian_fields() {
        let pdb =
            PdbId { name: "a.pdb".into(), guid: 0x339E7413_3576_439C_BCDF_7E0229DA3773, age: 1 };
        assert_eq!(pdb.guid_text(), "339E74133576439CBCDF7E0229DA3773");
        assert_eq!(pdb.guid_bytes()[..8], [0x13, 0x74, 0x9e, 0x33, 0x76, 0x35, 0x9c, 0x43]);
    }

    #[test]
    fn the_debug_directory_leads_to_the_record() {
        for machine in [MachineType::X64, MachineType::X86] {
            let mut image = Image::new("a.sys", 0x1000_0000, 0x8000);
            image.pdb = Some(PdbId::from_name("a.pdb"));
            image.exports = vec![("Zeta".into(), 0x1200), ("Alpha".into(), 0x1100)];
            let mut flat = vec![0u8; 0x8000];
            for (rva, bytes) in image.render(machine) {
                flat[rva as usize..rva as usize + bytes.len()].copy_from_slice(&bytes);
            }
            let word = |at: usize| {
                u32::from_le_bytes(flat[at..at + 4].try_into().expect("four bytes")) as usize
            };
            let optional = word(0x3c) + 24;
            let directories = optional + if machine == MachineType::X64 { 112 } else { 96 };
            let debug = word(directories + 48);
            assert_eq!(word(debug + 12), 2);
            assert_eq!(&flat[word(debug + 20)..][..4], b"RSDS");
            let exports = word(directories);
            let first_name = word(word(exports + 32));
            assert_eq!(&flat[first_name..][..6], b"Alpha\0");
            assert_eq!(word(word(exports + 28)), 0x1100);
        }
    }
}
