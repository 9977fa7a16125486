//! A cache of translations: one number in each of 8,192 slots, so that threads can share it without a lock
//! and never see half an entry.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::addr::{PAGE_SIZE, Pa, Va};

/// Bits of the page number that choose the slot.
const INDEX_BITS: u32 = 13;
/// Bits above them that are stored. With the page offset they are bits 0 to 48 of an address, which is enough
/// to distinguish all addresses that four levels can translate.
const TAG_BITS: u32 = 24;
/// Bits of a page frame number; frames above 256 TiB are not cached.
const FRAME_BITS: u32 = 36;

/// Each entry is a tag, a frame number, and a low bit that is 1 if the slot is in use.
pub(super) struct Cache(Box<[AtomicU64]>);

impl Cache {
    pub(super) fn new() -> Self {
        Self((0..1 << INDEX_BITS).map(|_| AtomicU64::new(0)).collect())
    }

    fn slot(&self, va: Va) -> Option<(&AtomicU64, u64)> {
        let page = va.0 / PAGE_SIZE;
        let slot = self.0.get(page as usize & ((1 << INDEX_BITS) - 1))?;
        Some((slot, page >> INDEX_BITS & ((1 << TAG_BITS) - 1)))
    }

    /// The cached physical address of the byte at `va`.
    pub(super) fn get(&self, va: Va) -> Option<Pa> {
        let (slot, tag) = self.slot(va)?;
        let entry = slot.load(Ordering::Relaxed);
        if entry & 1 == 0 || entry >> (FRAME_BITS + 1) != tag {
            return None;
        }
        let frame = entry >> 1 & ((1 << FRAME_BITS) - 1);
        Some(Pa(frame * PAGE_SIZE + va.page_offset()))
    }

    /// Caches the physical address of the byte at `va`.
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
    fn addresses_that_share_a_slot_are_kept_apart() {
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
