//! Where pages were found: one number for each of 8,192 slots, so that many threads share it without a
//! lock and a torn entry cannot be.

use std::sync::atomic::{AtomicU64, Ordering};

use super::PagingMode;
use crate::addr::{PAGE_SIZE, Pa, Va};

/// Bits of the page number that choose the slot.
const INDEX_BITS: u32 = 13;
/// Bits above them that are kept: with the page offset these are bits 0 to 48 of an address, which
/// tell all addresses apart that four levels can translate.
const TAG_BITS: u32 = 24;
/// Bits of a page frame number; frames beyond 256 TiB are not kept.
const FRAME_BITS: u32 = 36;

/// An entry is a tag, a frame, and a one for an entry that is taken.
pub(super) struct Cache(Box<[AtomicU64]>);

impl Cache {
    /// True where the bits that are kept tell addresses apart.
    pub(super) fn serves(mode: PagingMode) -> bool {
        mode != PagingMode::X64La57
    }

    pub(super) fn new() -> Self {
        Self((0..1 << INDEX_BITS).map(|_| AtomicU64::new(0)).collect())
    }

    fn slot(&self, va: Va) -> Option<(&AtomicU64, u64)> {
        let page = va.0 / PAGE_SIZE;
        let slot = self.0.get(page as usize & ((1 << INDEX_BITS) - 1))?;
        Some((slot, page >> INDEX_BITS & ((1 << TAG_BITS) - 1)))
    }

    /// Where the byte at `va` was found.
    pub(super) fn get(&self, va: Va) -> Option<Pa> {
        let (slot, tag) = self.slot(va)?;
        let entry = slot.load(Ordering::Relaxed);
        if entry & 1 == 0 || entry >> (FRAME_BITS + 1) != tag {
            return None;
        }
        let frame = entry >> 1 & ((1 << FRAME_BITS) - 1);
        Some(Pa(frame * PAGE_SIZE + va.page_offset()))
    }

    /// Keeps where the byte at `va` was found.
    pub(super) fn put(&self, va: Va, pa: Pa) {
        let frame = pa.pfn().0;
        if let Some((slot, tag)) = self.slot(va)
            && frame >> FRAME_BITS == 0
        {
            slot.store(tag << (FRAME_BITS + 1) | frame << 1 | 1, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_apart_what_shares_a_slot() {
        let cache = Cache::new();
        let far = 1u64 << (12 + INDEX_BITS);
        let kernel = Va(0xffff_f800_0000_1234);
        cache.put(kernel, Pa(0x7000_0000_0234));
        assert_eq!(cache.get(kernel), Some(Pa(0x7000_0000_0234)));
        assert_eq!(cache.get(kernel.add(1)), Some(Pa(0x7000_0000_0235)));
        for other in
            [kernel.add(far), kernel.sub(far), Va(kernel.0 << 16 >> 16), kernel.add(0x1000)]
        {
            assert_eq!(cache.get(other), None, "{other}");
        }
        cache.put(kernel.add(far), Pa(0x1234));
        assert_eq!(cache.get(kernel), None);
        cache.put(kernel, Pa(1 << 48));
        assert_eq!(cache.get(kernel), None);
    }
}
