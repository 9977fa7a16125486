//! Writers of kernel dump files: physical memory and a [`HeaderInfo`] in, the bytes of a file out.
//!
//! | kind | `DumpType` | where the pages are |
//! |---|---|---|
//! | [`DumpKind::Complete`] | 1 | in runs after the header |
//! | [`DumpKind::Summary`] | 2 | after the bitmap of Windows 7 |
//! | [`DumpKind::BitmapFull`] | 5 | after the bitmap, `FDMP` |
//! | [`DumpKind::BitmapKernel`] | 6 | after the bitmap, `SDMP` |
//! | [`DumpKind::RangesKernel`] | 8 | in ranges, `RDMP` (`.dump /k`) |
//! | [`DumpKind::RangesKernelUser`] | 9 | in ranges (`.dump /ka`) |
//! | [`DumpKind::RangesComplete`] | 0xA | in ranges (`.dump /f`) |
//! | [`DumpKind::Raw`] | - | a raw memory image without a header |
//! | [`DumpKind::Elf`] | - | in the segments of an ELF core, as QEMU writes them |
//!
//! Small dumps (4) do not hold physical memory: see [`write_small_dump`].
//!
//! Sources: published structures of the formats, and the checks of ranges in kdmp-parser-rs.

mod bitmap;
mod elf;
mod header;
mod ranges;
mod runs;
mod small;

use crate::physical::{PAGE_SIZE, PhysicalMemory};

pub use bitmap::{SparseDump, write_bitmap_dump_sparse};
pub use header::{BugCheck, HeaderInfo, MachineType};
pub use small::{SmallDump, SmallDumpDriver, write_small_dump};

/// The kind of file to write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DumpKind {
    /// Type 1: complete memory, in runs.
    Complete,
    /// Type 2: kernel summary dump of Windows 7 and earlier.
    Summary,
    /// Type 5: bitmap dump, complete (`FDMP`).
    BitmapFull,
    /// Type 6: bitmap dump, kernel (`SDMP`).
    BitmapKernel,
    /// Type 8: `.dump /k`.
    RangesKernel,
    /// Type 9: `.dump /ka`.
    RangesKernelUser,
    /// Type 0xA: `.dump /f`.
    RangesComplete,
    /// Physical memory from address 0, without a header; absent pages are zeros.
    Raw,
    /// An ELF core, as QEMU's `dump-guest-memory` writes it.
    Elf,
}

impl DumpKind {
    /// Every kind that has a header.
    pub const WITH_HEADER: [Self; 7] = [
        Self::Complete,
        Self::Summary,
        Self::BitmapFull,
        Self::BitmapKernel,
        Self::RangesKernel,
        Self::RangesKernelUser,
        Self::RangesComplete,
    ];

    /// The header's `DumpType`; 0 for a raw image and an ELF core.
    pub fn dump_type(self) -> u32 {
        match self {
            Self::Complete => 1,
            Self::Summary => 2,
            Self::BitmapFull => 5,
            Self::BitmapKernel => 6,
            Self::RangesKernel => 8,
            Self::RangesKernelUser => 9,
            Self::RangesComplete => 0xa,
            Self::Raw | Self::Elf => 0,
        }
    }
}

/// Writes a dump of `memory`.
///
/// If the machine is 32-bit and the kind is not [`DumpKind::Complete`], [`DumpKind::Summary`],
/// [`DumpKind::Raw`] or [`DumpKind::Elf`]; or if page frame 0 is present in a dump of ranges, where frame 0
/// ends the list.
/// of ranges, where it ends the list.
pub fn write_dump(kind: DumpKind, header: &HeaderInfo, memory: &PhysicalMemory) -> Vec<u8> {
    let is64 = header.machine != MachineType::X86;
    assert!(
        is64 || matches!(
            kind,
            DumpKind::Complete | DumpKind::Summary | DumpKind::Raw | DumpKind::Elf
        ),
        "{kind:?} dumps are known only for 64-bit machines"
    );
    match kind {
        DumpKind::Complete => runs::write(header, memory),
        DumpKind::Summary => bitmap::write_summary(header, memory),
        DumpKind::BitmapFull | DumpKind::BitmapKernel => bitmap::write_bitmap(kind, header, memory),
        DumpKind::RangesKernel | DumpKind::RangesKernelUser | DumpKind::RangesComplete => {
            ranges::write(kind, header, memory)
        }
        DumpKind::Elf => elf::write(header, memory),
        DumpKind::Raw => {
            let mut file = vec![0; memory.end() as usize * PAGE_SIZE];
            for (pfn, page) in memory.pages() {
                put(&mut file, pfn as usize * PAGE_SIZE, page);
            }
            file
        }
    }
}

/// Writes bytes into a buffer that is long enough.
fn put(file: &mut [u8], at: usize, bytes: &[u8]) {
    file[at..at + bytes.len()].copy_from_slice(bytes);
}

fn put32(file: &mut [u8], at: usize, value: u32) {
    put(file, at, &value.to_le_bytes());
}

fn put64(file: &mut [u8], at: usize, value: u64) {
    put(file, at, &value.to_le_bytes());
}

fn append_pages(file: &mut Vec<u8>, memory: &PhysicalMemory) {
    for (_, page) in memory.pages() {
        file.extend_from_slice(page);
    }
}
