//! Page tables over physical memory.

mod arm64;
mod cache;
mod mapped;
mod x64;
mod x86;

use std::fmt;
use std::sync::Arc;

use self::cache::Cache;
pub use self::mapped::MappedPages;
use super::{Memory, Residence};
use crate::addr::{PAGE_SIZE, Pa, Space, Va};
use crate::error::{Fault, Reason};

/// How virtual addresses are translated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum PagingMode {
    /// x86, two levels.
    X86,
    /// x86 with Physical Address Extension, three levels.
    X86Pae,
    /// x64, four levels.
    X64,
    /// x64 with 57-bit linear addresses, five levels.
    X64La57,
    /// ARM64, 4 KiB granule, four levels.
    Arm64,
}

impl fmt::Display for PagingMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            PagingMode::X86 => "x86, 2 levels",
            PagingMode::X86Pae => "x86 PAE, 3 levels",
            PagingMode::X64 => "x64, 4 levels",
            PagingMode::X64La57 => "x64, 5 levels",
            PagingMode::Arm64 => "arm64, 4 levels of 4 KiB granule",
        })
    }
}

/// What a page table entry means.
enum Entry {
    /// The next table.
    Table { at: u64, residence: Residence },
    /// A page of `1 << bits` bytes.
    Page { at: u64, bits: u32, residence: Residence },
    /// Nothing.
    NotPresent,
}

impl PagingMode {
    fn levels(self) -> u8 {
        match self {
            PagingMode::X86 => 2,
            PagingMode::X86Pae => 3,
            PagingMode::X64 | PagingMode::Arm64 => 4,
            PagingMode::X64La57 => 5,
        }
    }

    fn entry_size(self) -> u64 {
        if self == PagingMode::X86 { 4 } else { 8 }
    }

    /// The index of `va` in its table of `level`.
    fn index(self, va: u64, level: u8) -> u64 {
        let width = if self == PagingMode::X86 { 10 } else { 9 };
        let shift = 12 + width * u32::from(level - 1);
        // The top table of PAE has four entries; the address has no bits above their index.
        (va >> shift) & ((1 << width) - 1)
    }

    /// Entries of a table of `level`.
    fn entries(self, level: u8) -> u64 {
        match (self, level) {
            (PagingMode::X86, _) => 1024,
            (PagingMode::X86Pae, 3) => 4,
            _ => 512,
        }
    }

    /// The top table's address from the directory table base, whose low bits may be in use.
    fn root(self, base: Pa) -> u64 {
        match self {
            PagingMode::X86 => base.0 & 0xffff_f000,
            PagingMode::X86Pae => base.0 & 0xffff_ffe0,
            PagingMode::X64 | PagingMode::X64La57 => base.0 & 0x000f_ffff_ffff_f000,
            PagingMode::Arm64 => base.0 & 0x0000_ffff_ffff_f000,
        }
    }

    /// Bytes that an entry of `level` covers.
    fn span(self, level: u8) -> u64 {
        let width = if self == PagingMode::X86 { 10 } else { 9 };
        1 << (12 + width * u32::from(level - 1))
    }

    /// True if the mode can translate `va` at all.
    fn in_range(self, va: u64) -> bool {
        let sign_extended = |bits: u32| {
            let shift = 64 - bits;
            (((va << shift) as i64) >> shift) as u64 == va
        };
        match self {
            PagingMode::X86 | PagingMode::X86Pae => va <= u64::from(u32::MAX),
            PagingMode::X64 => sign_extended(48),
            PagingMode::X64La57 => sign_extended(57),
            PagingMode::Arm64 => arm64::in_range(va),
        }
    }

    fn decode(self, entry: u64, level: u8) -> Entry {
        match self {
            PagingMode::X86 => x86::decode(entry, level),
            PagingMode::X86Pae => x86::decode_pae(entry, level),
            PagingMode::X64 | PagingMode::X64La57 => x64::decode(entry, level),
            PagingMode::Arm64 => arm64::decode(entry, level),
        }
    }
}

/// The physical address of a virtual address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Translation {
    /// The physical address.
    pub pa: Pa,
    /// Bytes in the page: 4 KiB, 2 MiB, 4 MiB or 1 GiB.
    pub page_size: u64,
    /// Whether an entry on the way was in transition.
    pub residence: Residence,
}

/// Virtual memory: page tables in physical memory.
///
/// One walk serves every architecture. A [`PagingMode`] defines the number of levels and the width of their
/// indexes and entries, and one function for each architecture decodes an entry (a table, a page, a page in
/// transition, nothing). Sources: Intel SDM volume 3 chapter 4, the Arm architecture manual (VMSAv8-64, 4 KiB
/// granule), and `_MMPTE_TRANSITION` of the public PDBs (Prototype is bit 10, Transition bit 11, the frame
/// number is at the same place as in a valid entry) for pages that were trimmed from a working set and are
/// still in memory.
///
/// Not handled: an entry whose frame number the kernel stores inverted as a protection against L1TF (an
/// invalid entry with `SwizzleBit` clear, on machines that need it). Its frame reads as absent.
#[derive(Clone)]
pub struct PageTables {
    physical: Arc<dyn Memory<Pa>>,
    root: u64,
    mode: PagingMode,
    cache: Option<Arc<Cache>>,
}

impl PageTables {
    /// The address space whose top table is at `base`. Low bits that do not belong to the address (PCID,
    /// PAE's 32-byte alignment, ARM64's CnP) are ignored.
    pub fn new(physical: Arc<dyn Memory<Pa>>, base: Pa, mode: PagingMode) -> Self {
        Self { physical, root: mode.root(base), mode, cache: None }
    }

    /// The same address space with a 64 KiB cache of translations. Use it only for physical memory that does
    /// not change, such as a dump's, because a cached translation is not looked up again.
    #[must_use]
    pub fn cached(mut self) -> Self {
        // The cache keeps bits 0 to 48 of an address, which cannot distinguish those of five levels.
        self.cache = (self.mode != PagingMode::X64La57).then(|| Arc::new(Cache::new()));
        self
    }

    /// How this space is translated.
    #[must_use]
    pub fn mode(&self) -> PagingMode {
        self.mode
    }

    /// Finds the physical address of `va`.
    ///
    /// # Errors
    /// A [`Fault`] with the level and the entry where the walk ended.
    pub fn translate(&self, va: Va) -> Result<Translation, Fault> {
        let fault = |reason| Fault { space: Space::Virtual, address: va.0, done: 0, reason };
        if !self.mode.in_range(va.0) {
            return Err(fault(Reason::OutOfRange));
        }
        let size = self.mode.entry_size();
        let mut table = self.root;
        let mut residence = Residence::Valid;
        let mut level = self.mode.levels();
        loop {
            let at = Pa(table + self.mode.index(va.0, level) * size);
            let read = if size == 4 {
                self.physical.read_u32(at).map(u64::from)
            } else {
                self.physical.read_u64(at)
            };
            let entry =
                read.map_err(|f| fault(Reason::Table { level, at, cause: Box::new(f.reason) }))?;
            match self.mode.decode(entry, level) {
                Entry::Table { at, residence: step } => {
                    table = at;
                    residence = residence.max(step);
                    level -= 1;
                }
                Entry::Page { at, bits, residence: step } => {
                    let page_size = 1u64 << bits;
                    return Ok(Translation {
                        pa: Pa(at | (va.0 & (page_size - 1))),
                        page_size,
                        residence: residence.max(step),
                    });
                }
                Entry::NotPresent => {
                    return Err(fault(Reason::NotPresent { level, entry, at }));
                }
            }
        }
    }
}

impl PageTables {
    /// The physical address of the byte at `at` and whether its page is valid, from the cache if it is there.
    fn find(&self, at: Va) -> Result<(Pa, Residence), Fault> {
        let known = self.cache.as_ref().filter(|_| self.mode.in_range(at.0));
        if let Some(pa) = known.and_then(|cache| cache.get(at)) {
            return Ok((pa, Residence::Valid));
        }
        let found = self.translate(at)?;
        if let Some(cache) = known
            && found.residence == Residence::Valid
        {
            cache.put(at, found.pa);
        }
        Ok((found.pa, found.residence))
    }
}

impl Memory<Va> for PageTables {
    fn read_in_page(&self, at: Va, buf: &mut [u8]) -> Result<Residence, Fault> {
        debug_assert!(at.page_offset() + buf.len() as u64 <= PAGE_SIZE);
        let (pa, residence) = self.find(at)?;
        self.physical.read_in_page(pa, buf).map_err(|f| {
            let done = f.done.min(buf.len());
            let address = at.add(done as u64).0;
            Fault { space: Space::Virtual, address, done, reason: f.reason }
        })?;
        Ok(residence)
    }

    fn lend(&self, page: Va) -> Option<&[u8; PAGE_SIZE as usize]> {
        let (pa, _) = self.find(page).ok()?;
        self.physical.lend(pa)
    }

    fn held(&self) -> Option<u64> {
        self.physical.held()
    }
}

impl fmt::Debug for PageTables {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PageTables({} at {:#x})", self.mode, self.root)
    }
}
