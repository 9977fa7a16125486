//! `DumpType` 2, 5 and 6: a bitmap of frames, then the pages of the set bits.
//!
//! Type 2, after the header: `SDMP`, `DUMP`, +8 options, +0xC offset of the first page, +0x10 bits, +0x14
//! bits set, +0x18 an `RTL_BITMAP` {bits, pointer}; the bits follow (64-bit +0x28, 32-bit +0x20). Types 5 and
//! 6, at 0x2000: `FDMP` or `SDMP`, `DUMP`, +0x20 offset of the first page, +0x28 pages present, +0x30 bits;
//! the bitmap at +0x38. Bit n, least significant first, is frame n.

use std::io::{self, Seek, SeekFrom, Write};

use super::{DumpKind, HeaderInfo, append_pages, put, put32, put64};
use crate::physical::{PAGE_SIZE, PhysicalMemory};

pub(super) fn write_summary(header: &HeaderInfo, memory: &PhysicalMemory) -> Vec<u8> {
    let start = header.size();
    let bits_at = start + if start == 0x2000 { 0x28 } else { 0x20 };
    // Real bitmaps are whole 32-bit words.
    let bits = memory.end().next_multiple_of(32);
    let first_page = (bits_at + bits as usize / 8).next_multiple_of(PAGE_SIZE);
    let length = first_page as u64 + (memory.len() * PAGE_SIZE) as u64;
    let mut file = header.render(DumpKind::Summary.dump_type(), None, length);
    file.resize(first_page, 0);
    put(&mut file, start, b"SDMPDUMP");
    put32(&mut file, start + 0xc, first_page as u32);
    put32(&mut file, start + 0x10, bits as u32);
    put32(&mut file, start + 0x14, memory.len() as u32);
    put32(&mut file, start + 0x18, bits as u32);
    set_bits(&mut file[bits_at..], memory.pages().map(|(pfn, _)| pfn));
    append_pages(&mut file, memory);
    file
}

pub(super) fn write_bitmap(
    kind: DumpKind,
    header: &HeaderInfo,
    memory: &PhysicalMemory,
) -> Vec<u8> {
    // Real bitmaps are whole words, because memory ends at a round address.
    let bits = memory.end().next_multiple_of(64);
    let first_page = first_page(bits);
    let length = first_page as u64 + (memory.len() * PAGE_SIZE) as u64;
    let mut file = header.render(kind.dump_type(), None, length);
    file.extend(bitmap_header(kind, first_page as u64, memory.len() as u64, bits));
    file.resize(first_page, 0);
    set_bits(&mut file[0x2038..], memory.pages().map(|(pfn, _)| pfn));
    append_pages(&mut file, memory);
    file
}

fn first_page(bits: u64) -> usize {
    (0x2038 + bits.div_ceil(8) as usize).next_multiple_of(PAGE_SIZE)
}

fn bitmap_header(kind: DumpKind, first_page: u64, present: u64, bits: u64) -> [u8; 0x38] {
    let mut h = [0; 0x38];
    put(&mut h, 0, if kind == DumpKind::BitmapFull { b"FDMPDUMP" } else { b"SDMPDUMP" });
    put64(&mut h, 0x20, first_page);
    put64(&mut h, 0x28, present);
    put64(&mut h, 0x30, bits);
    h
}

fn set_bits(bitmap: &mut [u8], frames: impl Iterator<Item = u64>) {
    for pfn in frames {
        bitmap[pfn as usize / 8] |= 1 << (pfn % 8);
    }
}

/// The result of [`write_bitmap_dump_sparse`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SparseDump {
    /// File offset of the first page.
    pub first_page: u64,
    /// Pages present, which is the number of bits set.
    pub present: u64,
    /// Length of the file.
    pub length: u64,
}

/// Writes a bitmap dump ([`DumpKind::BitmapFull`] or [`DumpKind::BitmapKernel`]) of a machine with `pages`
/// frames. The frames for which `present` returns true and those of `memory` are present. Only the header,
/// the bitmap, the pages of `memory` and the last byte (which sets the file's length) are written, so on a
/// file system with sparse files a dump of many gigabytes takes almost no space.
///
/// # Errors
///
/// The errors of `out`.
///
/// # Panics
///
/// If the kind is not a bitmap dump, the header is a 32-bit one, or `memory` has a frame beyond `pages`.
pub fn write_bitmap_dump_sparse<W: Write + Seek>(
    out: &mut W,
    kind: DumpKind,
    header: &HeaderInfo,
    pages: u64,
    present: impl Fn(u64) -> bool,
    memory: &PhysicalMemory,
) -> io::Result<SparseDump> {
    assert!(
        matches!(kind, DumpKind::BitmapFull | DumpKind::BitmapKernel),
        "{kind:?} is not a bitmap dump"
    );
    assert!(header.size() == 0x2000, "bitmap dumps are known only for 64-bit machines");
    assert!(memory.end() <= pages, "memory reaches to frame {:#x} of {pages:#x}", memory.end());
    let first_page = first_page(pages) as u64;
    let mut bitmap = vec![0u8; pages.div_ceil(8) as usize];
    let mut count = 0;
    let mut written = Vec::with_capacity(memory.len());
    for pfn in 0..pages {
        let here = memory.page(pfn);
        if here.is_some() || present(pfn) {
            bitmap[pfn as usize / 8] |= 1 << (pfn % 8);
            if let Some(page) = here {
                written.push((first_page + count * PAGE_SIZE as u64, page));
            }
            count += 1;
        }
    }
    let length = first_page + count * PAGE_SIZE as u64;
    out.seek(SeekFrom::Start(0))?;
    out.write_all(&header.render(kind.dump_type(), None, length))?;
    out.write_all(&bitmap_header(kind, first_page, count, pages))?;
    out.write_all(&bitmap)?;
    if count > 0 {
        out.seek(SeekFrom::Start(length - 1))?;
        out.write_all(&[0])?;
    }
    for (at, page) in written {
        out.seek(SeekFrom::Start(at))?;
        out.write_all(page)?;
    }
    out.flush()?;
    Ok(SparseDump { first_page, present: count, length })
}

#[cfg(test)]
mod tests {
    use super::super::{HeaderInfo, MachineType, write_dump};
    use super::*;
    use crate::physical::Placement;

    #[test]
    fn a_sparse_dump_equals_the_dense_one() {
        let mut memory =
            PhysicalMemory::new(Placement::Scattered { first: 3, window: 16, seed: 7 });
        for _ in 0..5 {
            let pfn = memory.allocate();
            memory.write(pfn * 4096, &pfn.to_le_bytes());
        }
        let header = HeaderInfo::new(MachineType::X64, 19041, 0x3000);
        let dense = write_dump(DumpKind::BitmapKernel, &header, &memory);
        let mut out = io::Cursor::new(Vec::new());
        let wrote = write_bitmap_dump_sparse(
            &mut out,
            DumpKind::BitmapKernel,
            &header,
            memory.end().next_multiple_of(64),
            |_| false,
            &memory,
        );
        assert_eq!(wrote.map(|w| w.present).ok(), Some(5));
        assert!(out.into_inner() == dense);
    }
}
