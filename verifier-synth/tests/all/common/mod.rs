//! An independent reader of the builder's output: file bytes → pages → page tables → bytes. It follows the
//! descriptions of the formats and uses only the bytes that the crate wrote.

use std::collections::BTreeMap;

/// A dump file that has been read.
pub(crate) struct Dump<'a> {
    pub(crate) file: &'a [u8],
    /// Frame → offset in the file.
    pub(crate) pages: BTreeMap<u64, usize>,
    pub(crate) dtb: u64,
    pub(crate) kind: u32,
}

pub(crate) fn u16_at(bytes: &[u8], at: usize) -> u64 {
    u16::from_le_bytes(bytes[at..at + 2].try_into().unwrap()).into()
}

pub(crate) fn u32_at(bytes: &[u8], at: usize) -> u64 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap()).into()
}

pub(crate) fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap())
}

impl<'a> Dump<'a> {
    pub(crate) fn open(file: &'a [u8]) -> Self {
        assert_eq!(&file[..4], b"PAGE");
        let wide = match &file[4..8] {
            b"DU64" => true,
            b"DUMP" => false,
            other => panic!("{other:?}"),
        };
        let kind = u32_at(file, if wide { 0xf98 } else { 0xf88 }) as u32;
        let dtb = if wide { u64_at(file, 0x10) } else { u32_at(file, 0x10) };
        let start = if wide { 0x2000 } else { 0x1000 };
        let mut pages = BTreeMap::new();
        let mut add = |pfn: u64, at: u64| {
            assert!(pages.insert(pfn, at as usize).is_none(), "frame {pfn:#x} twice")
        };
        match kind {
            1 => {
                let (count, mut run) =
                    if wide { (u32_at(file, 0x88), 0x98) } else { (u32_at(file, 0x64), 0x6c) };
                let mut at = start as u64;
                for _ in 0..count {
                    let (base, n) = if wide {
                        (u64_at(file, run), u64_at(file, run + 8))
                    } else {
                        (u32_at(file, run), u32_at(file, run + 4))
                    };
                    for pfn in base..base + n {
                        add(pfn, at);
                        at += 0x1000;
                    }
                    run += if wide { 16 } else { 8 };
                }
            }
            2 | 5 | 6 => {
                let (first, bits, bitmap, present) = if kind == 2 {
                    assert_eq!(&file[start..start + 8], b"SDMPDUMP");
                    let bitmap = start + if wide { 0x28 } else { 0x20 };
                    (
                        u32_at(file, start + 0xc),
                        u32_at(file, start + 0x10),
                        bitmap,
                        u32_at(file, start + 0x14),
                    )
                } else {
                    assert_eq!(
                        &file[0x2000..0x2008],
                        if kind == 5 { b"FDMPDUMP" } else { b"SDMPDUMP" }
                    );
                    (u64_at(file, 0x2020), u64_at(file, 0x2030), 0x2038, u64_at(file, 0x2028))
                };
                let set: Vec<u64> = (0..bits)
                    .filter(|bit| file[bitmap + *bit as usize / 8] >> (bit % 8) & 1 == 1)
                    .collect();
                assert_eq!(set.len() as u64, present);
                for (k, pfn) in set.into_iter().enumerate() {
                    add(pfn, first + 0x1000 * k as u64);
                }
            }
            8..=10 => {
                assert_eq!(u32_at(file, 0x2000), 0x40);
                assert_eq!(&file[0x2004..0x200c], b"RDMPDUMP");
                let (metadata, first) = (u64_at(file, 0x2010), u64_at(file, 0x2018));
                assert_eq!(metadata - 0x20, first - 0x2040);
                assert_eq!(metadata % 16, 0);
                let (mut range, mut at) = (0x2030, first);
                while u64_at(file, range) != 0 {
                    for i in 0..u64_at(file, range + 8) {
                        add(u64_at(file, range) + i, at);
                        at += 0x1000;
                    }
                    range += 16;
                }
                assert!((range as u64) < first);
            }
            other => panic!("type {other}"),
        }
        let end = pages.values().max().map_or(start, |at| at + 0x1000);
        assert_eq!(end, file.len(), "the last page ends the file");
        assert_eq!(u64_at(file, 0xfa0), file.len() as u64, "RequiredDumpSpace");
        Self { file, pages, dtb, kind }
    }

    pub(crate) fn physical(&self, pa: u64, length: usize) -> Option<Vec<u8>> {
        let at = self.pages.get(&(pa >> 12))? + (pa & 0xfff) as usize;
        Some(self.file[at..at + length].to_vec())
    }

    fn qword(&self, pa: u64) -> u64 {
        u64_at(&self.physical(pa, 8).expect("a table"), 0)
    }

    /// x64, four or five levels.
    pub(crate) fn x64(&self, va: u64, levels: u32) -> Option<u64> {
        let mut table = self.dtb & !0xfff;
        for level in (1..=levels).rev() {
            let shift = 12 + 9 * (level - 1);
            let entry = self.qword(table + 8 * (va >> shift & 511));
            let transition = level == 1 && entry & 0xc00 == 0x800;
            if entry & 1 == 0 && !transition {
                return None;
            }
            let target = entry & 0xf_ffff_ffff_f000;
            if level == 1 || (level <= 3 && entry & 0x80 != 0) {
                return Some(target | va & ((1 << shift) - 1));
            }
            table = target;
        }
        None
    }

    pub(crate) fn x86(&self, va: u64) -> Option<u64> {
        let dword = |pa| u32_at(&self.physical(pa, 4).expect("a table"), 0);
        let directory = dword((self.dtb & !0xfff) + 4 * (va >> 22));
        if directory & 1 == 0 {
            return None;
        }
        if directory & 0x80 != 0 {
            return Some(directory & 0xffc0_0000 | va & 0x3f_ffff);
        }
        let entry = dword((directory & !0xfff) + 4 * (va >> 12 & 0x3ff));
        (entry & 1 == 1 || entry & 0xc00 == 0x800).then_some(entry & !0xfff | va & 0xfff)
    }

    pub(crate) fn pae(&self, va: u64) -> Option<u64> {
        let pointer = self.qword((self.dtb & !0x1f) + 8 * (va >> 30));
        let directory = self.qword((pointer & !0xfff) + 8 * (va >> 21 & 511));
        if pointer & directory & 1 == 0 {
            return None;
        }
        let mask = 0xf_ffff_ffff_f000;
        if directory & 0x80 != 0 {
            return Some(directory & mask | va & 0x1f_ffff);
        }
        let entry = self.qword((directory & mask) + 8 * (va >> 12 & 511));
        (entry & 1 == 1 || entry & 0xc00 == 0x800).then_some(entry & mask | va & 0xfff)
    }

    pub(crate) fn arm64(&self, va: u64) -> Option<u64> {
        let mut table = self.dtb & 0xffff_ffff_f000;
        for shift in [39, 30, 21, 12] {
            let entry = self.qword(table + 8 * (va >> shift & 511));
            let target = entry & 0xffff_ffff_f000;
            match (entry & 3, shift) {
                (3, 12) => return Some(target | va & 0xfff),
                (3, _) => table = target,
                (1, 21 | 30) => return Some(target | va & ((1 << shift) - 1)),
                _ => return None,
            }
        }
        None
    }

    /// Reads bytes through a translation function; pages need not be consecutive.
    pub(crate) fn read_by(
        &self,
        translate: impl Fn(&Self, u64) -> Option<u64>,
        va: u64,
        length: usize,
    ) -> Option<Vec<u8>> {
        (0..length as u64)
            .map(|i| self.physical(translate(self, va + i)?, 1).map(|byte| byte[0]))
            .collect()
    }

    /// Bytes of an x64 dump with four levels.
    pub(crate) fn read(&self, va: u64, length: usize) -> Vec<u8> {
        self.read_by(|dump, va| dump.x64(va, 4), va, length)
            .unwrap_or_else(|| panic!("{va:#x} is absent"))
    }

    pub(crate) fn pointer(&self, va: u64) -> u64 {
        u64_at(&self.read(va, 8), 0)
    }

    pub(crate) fn word(&self, va: u64) -> u64 {
        u32_at(&self.read(va, 4), 0)
    }

    pub(crate) fn text(&self, unicode_string: u64) -> String {
        let head = self.read(unicode_string, 16);
        let units = self.read(u64_at(&head, 8), u16_at(&head, 0) as usize);
        String::from_utf16(
            &units.chunks(2).map(|pair| u16::from_le_bytes([pair[0], pair[1]])).collect::<Vec<_>>(),
        )
        .unwrap()
    }
}
