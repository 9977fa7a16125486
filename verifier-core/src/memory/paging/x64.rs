//! x64 page table entries, four or five levels.

use super::{Entry, Residence};

/// Bits 12 to 51.
const FRAME: u64 = 0x000f_ffff_ffff_f000;
/// Frame bits of an entry in transition: `_MMPTE_TRANSITION.PageFrameNumber`, 36 bits at bit 12 in all known
/// builds (the bits above belong to software).
const TRANSITION_FRAME: u64 = 0x0000_ffff_ffff_f000;

pub(super) fn decode(entry: u64, level: u8) -> Entry {
    if entry & 1 == 0 {
        return super::x86::invalid(entry, level, TRANSITION_FRAME);
    }
    let residence = Residence::Valid;
    match level {
        1 => Entry::Page { at: entry & FRAME, bits: 12, residence },
        2 if entry & 0x80 != 0 => {
            Entry::Page { at: entry & FRAME & !0x1f_ffff, bits: 21, residence }
        }
        3 if entry & 0x80 != 0 => {
            Entry::Page { at: entry & FRAME & !0x3fff_ffff, bits: 30, residence }
        }
        _ => Entry::Table { at: entry & FRAME, residence },
    }
}
