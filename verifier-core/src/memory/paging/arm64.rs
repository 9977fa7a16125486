//! ARM64 translation table descriptors, 4 KiB granule, four levels.
//!
//! Levels are counted as in the rest of this module: 4 is the top table (the architecture's level 0), 1 the
//! last (its level 3). Bit 0 is the valid bit. Bit 1 is set for a table (or, in the last level, a page) and
//! clear for a block. The format of invalid descriptors on Windows is not established, so a page in
//! transition reads as not present.

use super::{Entry, Residence};

/// Bits 12 to 47.
const FRAME: u64 = 0x0000_ffff_ffff_f000;

/// True if bits 63 to 48 equal bit 55, which selects the kernel's half.
pub(super) fn in_range(va: u64) -> bool {
    let top = va >> 48;
    if va & (1 << 55) == 0 { top == 0 } else { top == 0xffff }
}

pub(super) fn decode(entry: u64, level: u8) -> Entry {
    let residence = Residence::Valid;
    match (entry & 3, level) {
        (3, 1) => Entry::Page { at: entry & FRAME, bits: 12, residence },
        (3, _) => Entry::Table { at: entry & FRAME, residence },
        (1, 2) => Entry::Page { at: entry & FRAME & !0x1f_ffff, bits: 21, residence },
        (1, 3) => Entry::Page { at: entry & FRAME & !0x3fff_ffff, bits: 30, residence },
        _ => Entry::NotPresent,
    }
}
