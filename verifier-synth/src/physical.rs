//! Physical memory as a sparse set of 4 KiB pages.
//!
//! A page that was never written is absent, as in a kernel dump. Page frames are allocated consecutively or
//! scattered; real machines scatter them.

use std::collections::{BTreeMap, BTreeSet};

/// Bytes in a page.
pub const PAGE_SIZE: usize = 4096;

/// Chooses the frame of the next page in [`PhysicalMemory::allocate`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Placement {
    /// Consecutive page frames, beginning with `first`.
    Sequential {
        /// The first page frame number.
        first: u64,
    },
    /// Random page frames from windows of `window` frames, beginning at `first`. When a window is half full,
    /// the next one is used.
    Scattered {
        /// The first page frame number of the first window.
        first: u64,
        /// Page frames in a window.
        window: u64,
        /// The same seed gives the same frames.
        seed: u64,
    },
}

/// Sparse physical memory, by page frame number.
#[derive(Debug, Clone)]
pub struct PhysicalMemory {
    pages: BTreeMap<u64, Box<[u8; PAGE_SIZE]>>,
    reserved: BTreeSet<(u64, u64)>,
    placement: Placement,
    drawn: u64,
    state: u64,
}

impl PhysicalMemory {
    /// Memory without pages.
    ///
    /// # Panics
    ///
    /// If a scatter window has fewer than two frames.
    pub fn new(placement: Placement) -> Self {
        let state = match placement {
            Placement::Sequential { .. } => 0,
            Placement::Scattered { window, seed, .. } => {
                assert!(window >= 2, "a window of {window} frames cannot scatter");
                seed ^ 0x9e37_79b9_7f4a_7c15
            }
        };
        Self { pages: BTreeMap::new(), reserved: BTreeSet::new(), placement, drawn: 0, state }
    }

    /// Adds a zeroed page and returns its frame number.
    pub fn allocate(&mut self) -> u64 {
        let pfn = loop {
            let candidate = self.draw();
            if !self.pages.contains_key(&candidate) && !self.is_reserved(candidate) {
                break candidate;
            }
        };
        self.pages.insert(pfn, Box::new([0; PAGE_SIZE]));
        pfn
    }

    /// Reserves `count` consecutive frames, aligned to `align` frames, for large pages; [`Self::allocate`]
    /// does not use them. A frame is present only after it is written.
    ///
    /// # Panics
    ///
    /// If `align` is zero.
    pub fn reserve(&mut self, count: u64, align: u64) -> u64 {
        let mut base = self.first().next_multiple_of(align);
        while self.overlaps(base, count) {
            base += align;
        }
        self.reserved.insert((base, count));
        base
    }

    /// Writes at a physical address; missing pages are added.
    pub fn write(&mut self, address: u64, bytes: &[u8]) {
        let mut at = address;
        let mut rest = bytes;
        while !rest.is_empty() {
            let offset = (at % PAGE_SIZE as u64) as usize;
            let (now, later) = rest.split_at(rest.len().min(PAGE_SIZE - offset));
            let page =
                self.pages.entry(at / PAGE_SIZE as u64).or_insert_with(|| Box::new([0; PAGE_SIZE]));
            page[offset..offset + now.len()].copy_from_slice(now);
            at += now.len() as u64;
            rest = later;
        }
    }

    /// The bytes at a physical address, if all their pages are present.
    pub fn read(&self, address: u64, length: usize) -> Option<Vec<u8>> {
        let mut out = Vec::with_capacity(length);
        while out.len() < length {
            let at = address + out.len() as u64;
            let offset = (at % PAGE_SIZE as u64) as usize;
            let take = (length - out.len()).min(PAGE_SIZE - offset);
            out.extend_from_slice(&self.page(at / PAGE_SIZE as u64)?[offset..offset + take]);
        }
        Some(out)
    }

    /// The page with this frame number.
    pub fn page(&self, pfn: u64) -> Option<&[u8; PAGE_SIZE]> {
        self.pages.get(&pfn).map(|page| &**page)
    }

    /// Makes a page absent; true if it was present.
    pub fn remove(&mut self, pfn: u64) -> bool {
        self.pages.remove(&pfn).is_some()
    }

    /// The present pages, by ascending frame number.
    pub fn pages(&self) -> impl Iterator<Item = (u64, &[u8; PAGE_SIZE])> {
        self.pages.iter().map(|(&pfn, page)| (pfn, &**page))
    }

    /// Number of present pages.
    pub fn len(&self) -> usize {
        self.pages.len()
    }

    /// True if no page is present.
    pub fn is_empty(&self) -> bool {
        self.pages.is_empty()
    }

    /// One more than the highest frame number that is present.
    pub fn end(&self) -> u64 {
        self.pages.last_key_value().map_or(0, |(&pfn, _)| pfn + 1)
    }

    fn first(&self) -> u64 {
        match self.placement {
            Placement::Sequential { first } | Placement::Scattered { first, .. } => first,
        }
    }

    fn draw(&mut self) -> u64 {
        let drawn = self.drawn;
        match self.placement {
            Placement::Sequential { first } => {
                self.drawn += 1;
                first + drawn
            }
            Placement::Scattered { first, window, .. } => {
                // xorshift64. `drawn` counts frames; a window gives half of its frames.
                self.state ^= self.state << 13;
                self.state ^= self.state >> 7;
                self.state ^= self.state << 17;
                self.drawn += 1;
                first + drawn / (window / 2) * window + self.state % window
            }
        }
    }

    fn is_reserved(&self, pfn: u64) -> bool {
        self.reserved.iter().any(|&(base, count)| (base..base + count).contains(&pfn))
    }

    fn overlaps(&self, base: u64, count: u64) -> bool {
        self.pages.range(base..base + count).next().is_some()
            || self.reserved.iter().any(|&(other, n)| base < other + n && other < base + count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scattered_pages_are_distinct_and_out_of_order() {
        let mut memory =
            PhysicalMemory::new(Placement::Scattered { first: 0x100, window: 64, seed: 1 });
        let drawn: Vec<u64> = (0..200).map(|_| memory.allocate()).collect();
        assert_eq!(memory.len(), 200);
        assert!(drawn.windows(2).any(|pair| pair[1] < pair[0]));
        assert!(drawn.iter().all(|&pfn| pfn >= 0x100));
    }

    #[test]
    fn a_write_crosses_pages_and_reads_back() {
        let mut memory = PhysicalMemory::new(Placement::Sequential { first: 1 });
        memory.write(0x1ffe, &[1, 2, 3, 4]);
        assert_eq!(memory.read(0x1ffe, 4), Some(vec![1, 2, 3, 4]));
        assert_eq!(memory.read(0x2ffe, 4), None);
        assert_eq!(memory.page(2).map(|page| page[..2].to_vec()), Some(vec![3, 4]));
    }

    #[test]
    fn reserved_frames_are_never_allocated() {
        let mut memory = PhysicalMemory::new(Placement::Sequential { first: 0x1f0 });
        let base = memory.reserve(512, 512);
        assert_eq!(base, 0x200);
        assert!((0..100).map(|_| memory.allocate()).all(|pfn| !(0x200..0x400).contains(&pfn)));
    }
}
