//! Page tables: the five schemes of Windows kernels.
//!
//! | scheme | levels (shift of the index) | entry | large pages |
//! |---|---|---|---|
//! | x64 | 39, 30, 21, 12 | 8 bytes | 2 MiB, 1 GiB |
//! | x64 LA57 | 48, 39, 30, 21, 12 | 8 bytes | 2 MiB, 1 GiB |
//! | x86 | 22, 12 | 4 bytes | 4 MiB |
//! | x86 PAE | 30 (four entries, 32-byte aligned), 21, 12 | 8 bytes | 2 MiB |
//! | ARM64, 4 KiB granule | 39, 30, 21, 12 | 8 bytes | 2 MiB, 1 GiB |
//!
//! Entry bits of x86 and x64: 0 present, 1 write, 5 accessed, 6 dirty, 7 large, 8 global, 10 prototype,
//! 11 transition. ARM64: bits 0 and 1 are 3 for a table or a page, 1 for a block; bit 10 accessed.
//! Sources: the architecture manuals, and memory analysis tools that read Windows dumps.

use std::collections::BTreeMap;

use crate::physical::{PAGE_SIZE, PhysicalMemory};

/// A scheme of address translation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Paging {
    /// x64 with four levels.
    X64,
    /// x64 with five levels (LA57).
    X64La57,
    /// x86 with two levels.
    X86,
    /// x86 with physical address extension.
    X86Pae,
    /// ARM64 with 4 KiB granule and four levels; both halves share one root page, as in Windows.
    Arm64,
}

impl Paging {
    /// The shift of each level's index, from the root down.
    fn shifts(self) -> &'static [u32] {
        match self {
            Self::X64 | Self::Arm64 => &[39, 30, 21, 12],
            Self::X64La57 => &[48, 39, 30, 21, 12],
            Self::X86 => &[22, 12],
            Self::X86Pae => &[30, 21, 12],
        }
    }

    fn entry_size(self) -> u64 {
        if self == Self::X86 { 4 } else { 8 }
    }

    fn index(self, va: u64, shift: u32) -> u64 {
        let mask = match self {
            Self::X86 => 0x3ff,
            Self::X86Pae if shift == 30 => 3,
            _ => 0x1ff,
        };
        va >> shift & mask
    }
}

/// The state of a page, as its page table entry shows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PageState {
    /// In memory and valid.
    Present,
    /// Still in memory, but on the standby or modified list: bit 0 clear, bit 11 set, bit 10 clear.
    Transition,
    /// In a page file, without a page frame.
    PageFile,
    /// Described by a prototype entry in another place: bit 10 set, no page frame.
    Prototype,
    /// An entry of zero.
    NotPresent,
}

/// The size of one mapping.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PageSize {
    /// 4 KiB.
    Small,
    /// 2 MiB (4 MiB in two-level x86).
    Large,
    /// 1 GiB.
    Huge,
}

/// A virtual address space whose page tables are in its own [`PhysicalMemory`].
#[derive(Debug, Clone)]
pub struct AddressSpace {
    paging: Paging,
    memory: PhysicalMemory,
    root: u64,
    dtb_low_bits: u64,
    /// First byte → (length, physical address), for mappings with a page frame.
    mapped: BTreeMap<u64, (u64, u64)>,
}

impl AddressSpace {
    /// An address space without mappings; the root table is allocated from `memory`.
    pub fn new(paging: Paging, mut memory: PhysicalMemory) -> Self {
        let pfn = memory.allocate();
        Self::with_root(paging, memory, pfn)
    }

    /// An address space without mappings; its root table is in this page frame, which is zeroed.
    pub fn with_root(paging: Paging, mut memory: PhysicalMemory, pfn: u64) -> Self {
        let mut root = pfn * PAGE_SIZE as u64;
        memory.write(root, &[0; PAGE_SIZE]);
        if paging == Paging::X86Pae {
            // Four entries of eight bytes, not at the start of their page, because real bases are only
            // 32-byte aligned.
            root += 0x2e0;
        }
        Self { paging, memory, root, dtb_low_bits: 0, mapped: BTreeMap::new() }
    }

    /// The directory table base as a dump header stores it.
    pub fn dtb(&self) -> u64 {
        self.root | self.dtb_low_bits
    }

    /// Sets bits below the page number in [`Self::dtb`], such as a PCID or an ARM64 CnP bit.
    ///
    /// # Panics
    ///
    /// If `bits` overlaps the page number, or the scheme is PAE, where low bits are address bits.
    pub fn set_dtb_low_bits(&mut self, bits: u64) {
        assert!(bits < PAGE_SIZE as u64, "{bits:#x} overlaps the page number");
        assert!(
            self.paging != Paging::X86Pae,
            "the low bits of a PAE base are part of its address"
        );
        self.dtb_low_bits = bits;
    }

    /// Points an entry of the tables at the tables themselves; Windows uses it to access them. The addresses
    /// below that entry must not be mapped in another way. x64: entry `index` of the root (0x1ED until 1607,
    /// random at each start since then); x86: entry `index` of the directory (0x300); PAE: entries 0 to 3 of
    /// the last directory point at the four directories, and `index` is ignored.
    ///
    /// # Panics
    ///
    /// If the root has no such entry, or on ARM64.
    pub fn self_map(&mut self, index: u64) {
        match self.paging {
            Paging::X64 | Paging::X64La57 => {
                assert!(index < 512, "a root table has no entry {index:#x}");
                self.write_entry(self.root + 8 * index, self.root | 0x63);
            }
            Paging::X86 => {
                assert!(index < 1024, "a page directory has no entry {index:#x}");
                self.write_entry(self.root + 4 * index, self.root | 0x63);
            }
            Paging::X86Pae => {
                let mut directories = [0; 4];
                for (i, directory) in (0..4).zip(&mut directories) {
                    // Maps the first entry of each directory, which creates the directory.
                    *directory = self.entry_address(i << 30, 1 << 21);
                }
                for (i, directory) in (0..4).zip(directories) {
                    self.write_entry(directories[3] + 8 * i, directory | 0x63);
                }
            }
            Paging::Arm64 => panic!("the self-map of ARM64 is unknown"),
        }
    }

    /// The scheme.
    pub fn paging(&self) -> Paging {
        self.paging
    }

    /// The underlying physical memory.
    pub fn memory(&self) -> &PhysicalMemory {
        &self.memory
    }

    /// The underlying physical memory, so that you can change it.
    pub fn memory_mut(&mut self) -> &mut PhysicalMemory {
        &mut self.memory
    }

    /// Bytes that one mapping of this size covers.
    ///
    /// # Panics
    ///
    /// If the scheme does not have this size.
    pub fn size_of(&self, size: PageSize) -> u64 {
        let shifts = self.paging.shifts();
        let up = match size {
            PageSize::Small => 0,
            PageSize::Large => 1,
            PageSize::Huge => 2,
        };
        let has =
            up == 0 || self.paging != Paging::X86 && (up == 1 || self.paging != Paging::X86Pae);
        assert!(
            has || self.paging == Paging::X86 && up == 1,
            "{:?} has no {size:?} pages",
            self.paging
        );
        1 << shifts[shifts.len() - 1 - up]
    }

    /// Maps `va` to the page frame `pfn`, replacing an older mapping. States without a page frame ignore
    /// `pfn`.
    ///
    /// # Panics
    ///
    /// If an address is not aligned to the size, if a large page already covers `va`, if the scheme does not
    /// have this size, or if the state is unknown for it (large pages and ARM64: present or not present).
    pub fn map(&mut self, va: u64, pfn: u64, size: PageSize, state: PageState) {
        let length = self.size_of(size);
        let pa = pfn * PAGE_SIZE as u64;
        assert!(va.is_multiple_of(length), "{va:#x} is not aligned to {length:#x}");
        assert!(pa.is_multiple_of(length), "frame {pfn:#x} is not aligned to {length:#x}");
        let entry = self.entry_address(va, length);
        let value = self.entry_value(pa, size, state);
        self.write_entry(entry, value);
        if matches!(state, PageState::Present | PageState::Transition) {
            self.mapped.insert(va, (length, pa));
        } else {
            self.mapped.remove(&va);
        }
    }

    /// Maps `va`'s page to a new page of memory unless it is already mapped.
    pub fn ensure(&mut self, va: u64) {
        let page = va & !(PAGE_SIZE as u64 - 1);
        if self.translate(page).is_none() {
            let pfn = self.memory.allocate();
            self.map(page, pfn, PageSize::Small, PageState::Present);
        }
    }

    /// Writes at a virtual address; unmapped pages are allocated and mapped.
    pub fn write(&mut self, va: u64, bytes: &[u8]) {
        let mut at = va;
        let mut rest = bytes;
        while !rest.is_empty() {
            let take = rest.len().min(PAGE_SIZE - (at % PAGE_SIZE as u64) as usize);
            let (now, later) = rest.split_at(take);
            self.ensure(at);
            let pa = self.translate(at).expect("just mapped");
            self.memory.write(pa, now);
            at = at.wrapping_add(take as u64);
            rest = later;
        }
    }

    /// The physical address of a virtual one, if this builder mapped it with a page frame.
    pub fn translate(&self, va: u64) -> Option<u64> {
        let (&start, &(length, pa)) = self.mapped.range(..=va).next_back()?;
        (va - start < length).then(|| pa + (va - start))
    }

    /// The bytes at a virtual address, if they are mapped and present.
    pub fn read(&self, va: u64, length: usize) -> Option<Vec<u8>> {
        let mut out = Vec::with_capacity(length);
        while out.len() < length {
            let at = va + out.len() as u64;
            let take = (length - out.len()).min(PAGE_SIZE - (at % PAGE_SIZE as u64) as usize);
            out.extend(self.memory.read(self.translate(at)?, take)?);
        }
        Some(out)
    }

    /// Changes the state of the 4 KiB page of `va`; its page frame is kept if the new state has one.
    ///
    /// # Panics
    ///
    /// If `va` is not mapped, or is mapped by a large page.
    pub fn set_state(&mut self, va: u64, state: PageState) {
        let page = va & !(PAGE_SIZE as u64 - 1);
        let &(length, pa) = self
            .mapped
            .get(&page)
            .unwrap_or_else(|| panic!("{va:#x} is not mapped by a small page"));
        assert!(length == PAGE_SIZE as u64, "{va:#x} is in a large page");
        self.map(page, pa / PAGE_SIZE as u64, PageSize::Small, state);
    }

    /// Physical address of the entry that maps `va` with a page of `length`; missing tables are created.
    fn entry_address(&mut self, va: u64, length: u64) -> u64 {
        let mut table = self.root;
        for &shift in self.paging.shifts() {
            let entry = table + self.paging.index(va, shift) * self.paging.entry_size();
            if 1 << shift == length {
                return entry;
            }
            let value = self.read_entry(entry);
            table = if value == 0 {
                let next = self.memory.allocate() * PAGE_SIZE as u64;
                let bits = match self.paging {
                    Paging::Arm64 => 3,
                    Paging::X86Pae if shift == 30 => 1,
                    _ => 0x63,
                };
                self.write_entry(entry, next | bits);
                next
            } else {
                let large = match self.paging {
                    Paging::Arm64 => value & 3 == 1,
                    Paging::X86Pae if shift == 30 => false,
                    _ => value & 0x80 != 0,
                };
                assert!(!large, "a large page already covers {va:#x}");
                value & 0x000f_ffff_ffff_f000
            };
        }
        unreachable!("no level maps {length:#x} bytes")
    }

    fn entry_value(&self, pa: u64, size: PageSize, state: PageState) -> u64 {
        let small = size == PageSize::Small;
        let arm = self.paging == Paging::Arm64;
        match state {
            PageState::NotPresent => 0,
            PageState::Present if arm => pa | if small { 0x703 } else { 0x701 },
            PageState::Present => pa | 0x163 | if small { 0 } else { 0x80 },
            _ => {
                assert!(small && !arm, "{state:?} is known only for 4 KiB pages of x86 and x64");
                match state {
                    // Protection 6 in bits 5 to 9 also sets bit 7, which does not mean a large page here.
                    PageState::Transition => pa | 0x8c0,
                    PageState::PageFile if self.paging == Paging::X86 => 0x1234_5080,
                    PageState::PageFile => 0x1234_0000_0080,
                    _ if self.paging == Paging::X86 => 0x8765_4480,
                    _ => 0xf8a0_0012_3456_0480,
                }
            }
        }
    }

    fn read_entry(&self, address: u64) -> u64 {
        let size = self.paging.entry_size() as usize;
        let mut bytes = [0; 8];
        bytes[..size]
            .copy_from_slice(&self.memory.read(address, size).expect("tables are present"));
        u64::from_le_bytes(bytes)
    }

    fn write_entry(&mut self, address: u64, value: u64) {
        let size = self.paging.entry_size() as usize;
        assert!(
            size == 8 || value <= u64::from(u32::MAX),
            "{value:#x} does not fit an entry of {size} bytes"
        );
        self.memory.write(address, &value.to_le_bytes()[..size]);
    }
}
