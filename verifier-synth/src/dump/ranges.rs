//! `DumpType` 8, 9 and 0xA: ranges of frames, then their pages.
//!
//! At 0x2000: 0x40, `RDMP`, `DUMP`, +0x10 metadata size, +0x18 offset of the first page; at +0x20 sixteen
//! bytes (0xA: number of ranges u32, total pages u64 at +8), then ranges {first frame u64, count u64}, ended
//! by a zero frame. Metadata size less 0x20 equals the first page's offset less 0x2040.

use super::{DumpKind, HeaderInfo, append_pages, put, put32, put64};
use crate::physical::{PAGE_SIZE, PhysicalMemory};

pub(super) fn write(kind: DumpKind, header: &HeaderInfo, memory: &PhysicalMemory) -> Vec<u8> {
    let mut ranges: Vec<(u64, u64)> = Vec::new();
    for (pfn, _) in memory.pages() {
        assert!(pfn != 0, "frame 0 ends the list of ranges and cannot be in it");
        match ranges.last_mut() {
            Some((base, count)) if *base + *count == pfn => *count += 1,
            _ => ranges.push((pfn, 1)),
        }
    }
    // One more, for the zero range that ends the list.
    let first_page = (0x2030 + 16 * (ranges.len() + 1)).next_multiple_of(PAGE_SIZE);
    let length = first_page as u64 + (memory.len() * PAGE_SIZE) as u64;
    let mut file = header.render(kind.dump_type(), None, length);
    file.resize(first_page, 0);
    put32(&mut file, 0x2000, 0x40);
    put(&mut file, 0x2004, b"RDMPDUMP");
    put64(&mut file, 0x2010, first_page as u64 - 0x2020);
    put64(&mut file, 0x2018, first_page as u64);
    if kind == DumpKind::RangesComplete {
        put32(&mut file, 0x2020, ranges.len() as u32);
        put64(&mut file, 0x2028, memory.len() as u64);
    }
    for (i, (base, count)) in ranges.into_iter().enumerate() {
        put64(&mut file, 0x2030 + 16 * i, base);
        put64(&mut file, 0x2038 + 16 * i, count);
    }
    append_pages(&mut file, memory);
    file
}
