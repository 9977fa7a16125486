//! Pages of the pool log that hold the same bytes as the page after them: one of both was overwritten.
//!
//! A driver that allocates and frees in a loop may fill page after page with equal records. But then each
//! block is freed as often as it is allocated within the loop. A page on which a block has an odd number of
//! records cannot come twice in a row: the block would be allocated twice, or freed twice.

use std::collections::HashMap;

use super::ring::Ring;
use super::trace::{Header, Trace};
use crate::addr::{PAGE_SIZE, Va};
use crate::error::Problem;
use crate::kernel::Kernel;

/// Pages that are reported, and compared, at most.
const MAX_PAGES: usize = 4;

/// Pages whose records have the same headers as those of the page after them.
pub(super) struct Repeats {
    /// Slots of a page; 0 if records cross pages: a copy of a page then does not hold records.
    per_page: u32,
    hash: u64,
    count: u32,
    /// The page above, by its first slot, and its hash.
    above: Option<(u32, u64)>,
    /// The first slots of pages that are equal to the one above.
    equal: Vec<u32>,
}

impl Repeats {
    pub(super) fn new(ring: &Ring) -> Self {
        let is_whole = ring.stride != 0
            && PAGE_SIZE.is_multiple_of(ring.stride)
            && ring.array.page_offset() == 0;
        let per_page = if is_whole { (PAGE_SIZE / ring.stride) as u32 } else { 0 };
        Self { per_page, hash: 0, count: 0, above: None, equal: Vec::new() }
    }

    /// Takes a record; they come from the highest slot of a page down.
    #[inline]
    pub(super) fn take(&mut self, slot: u32, header: &Header) {
        if self.per_page == 0 {
            return;
        }
        let place = slot % self.per_page;
        if place == self.per_page - 1 {
            (self.hash, self.count) = (0, 0);
        }
        let words = header.block.0 ^ header.thread.0.rotate_left(24) ^ header.size.rotate_left(48);
        self.hash = (self.hash ^ words).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29);
        self.count += 1;
        if place == 0 {
            let page = (self.count == self.per_page).then_some((slot, self.hash));
            let next = |(first, hash): (u32, u64)| (first.wrapping_add(self.per_page), hash);
            if page.is_some() && page.map(next) == self.above {
                self.equal.push(slot);
            }
            self.above = page;
        }
    }

    /// A problem for each page that is a copy.
    pub(super) fn problems(&self, kernel: &Kernel, trace: &Trace, ring: &Ring) -> Vec<Problem> {
        // Three in a row are a loop's.
        let is_equal = |slot: u32| self.equal.binary_search_by(|other| slot.cmp(other)).is_ok();
        let alone = self.equal.iter().filter(|&&slot| {
            !is_equal(slot.wrapping_add(self.per_page))
                && !is_equal(slot.wrapping_sub(self.per_page))
        });
        let copies = alone.take(MAX_PAGES).filter(|&&slot| is_copy(kernel, trace, ring.at(slot)));
        copies
            .map(|&slot| {
                let why = "the next page holds the same records, stacks and all: one of both was \
                           overwritten";
                ring.of_slots(slot, slot + self.per_page - 1, why)
            })
            .collect()
    }
}

/// True if the page at `page` and the one after it are equal, and cannot both be right.
fn is_copy(kernel: &Kernel, trace: &Trace, page: Va) -> bool {
    let (mut one, mut next) = (vec![0u8; PAGE_SIZE as usize], vec![0u8; PAGE_SIZE as usize]);
    let read = |at, bytes: &mut [u8]| kernel.space().read(at, bytes).is_ok();
    if !read(page, &mut one) || !read(page.add(PAGE_SIZE), &mut next) || one != next {
        return false;
    }
    let mut odd: HashMap<Va, bool> = HashMap::new();
    for record in one.chunks_exact(trace.stride) {
        let block = trace.header(record).block;
        if !block.is_null() {
            let odd = odd.entry(block).or_default();
            *odd = !*odd;
        }
    }
    odd.into_values().any(|odd| odd)
}
