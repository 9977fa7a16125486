//! x86 page table entries: two levels, and three under PAE.

use super::{Entry, Residence};

/// Bits 12 to 35, and more if the processor has them.
const PAE_FRAME: u64 = 0x000f_ffff_ffff_f000;
/// `_MMPTE_TRANSITION.PageFrameNumber` under PAE: 26 bits at bit 12.
const PAE_TRANSITION_FRAME: u64 = 0x3f_ffff_f000;

pub(super) fn decode(entry: u64, level: u8) -> Entry {
    if entry & 1 == 0 {
        return invalid(entry, level, 0xffff_f000);
    }
    let residence = Residence::Valid;
    match level {
        1 => Entry::Page { at: entry & 0xffff_f000, bits: 12, residence },
        // PSE-36 puts bits 32 to 39 of a 4 MiB page's address into bits 13 to 20.
        _ if entry & 0x80 != 0 => Entry::Page {
            at: (entry & 0xffc0_0000) | ((entry >> 13) & 0xff) << 32,
            bits: 22,
            residence,
        },
        _ => Entry::Table { at: entry & 0xffff_f000, residence },
    }
}

pub(super) fn decode_pae(entry: u64, level: u8) -> Entry {
    if entry & 1 == 0 {
        return invalid(entry, level, PAE_TRANSITION_FRAME);
    }
    let residence = Residence::Valid;
    match level {
        1 => Entry::Page { at: entry & PAE_FRAME, bits: 12, residence },
        2 if entry & 0x80 != 0 => {
            Entry::Page { at: entry & PAE_FRAME & !0x1f_ffff, bits: 21, residence }
        }
        _ => Entry::Table { at: entry & PAE_FRAME, residence },
    }
}

/// Decodes an entry whose valid bit is clear, on x86 and x64. In transition (bit 11 set, prototype bit 10
/// clear) the page or table is still at its frame number.
pub(super) fn invalid(entry: u64, level: u8, frame: u64) -> Entry {
    if entry & 0xc00 != 0x800 {
        return Entry::NotPresent;
    }
    let residence = Residence::Transition;
    if level == 1 {
        Entry::Page { at: entry & frame, bits: 12, residence }
    } else {
        Entry::Table { at: entry & frame, residence }
    }
}
