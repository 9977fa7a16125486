//! Tracking pages of one driver, and which of their entries are in use.
//!
//! `_VF_TARGET_VERIFIED_DRIVER_DATA.PoolPageHeaders` is an SLIST of whole pages; its pointers are the
//! addresses of the pages. The first slot of a page is `_VI_POOL_PAGE_HEADER` {next page, owner, signature
//! 0x21321345}, all others are `_VI_POOL_ENTRY_INUSE` {VirtualAddress, CallingAddress, NumberOfBytes, Tag}.
//! Sizes of entry and header come from the types. A page is 4 KiB on every machine.
//!
//! A free entry has bit 0 of `NumberOfBytes` set and is on the SLIST `PoolTrackers`, whose link is the
//! entry's first word. Sizes of ordinary pool are even, but special pool keeps the size that the caller asked
//! for, which may be odd. So bit 0 alone does not decide:
//!
//! * bit 0 clear: in use;
//! * bit 0 set: free, unless the entry is not on `PoolTrackers` and its first word is neither null nor the
//!   address of a slot in one of the driver's pages. Then it is an odd size of special pool.
//!
//! If the list of a driver's pages is broken, pages that a search recognized are read too: their allocations
//! have the source [`Source::Carved`].
//!
//! Contradictions for which the kernel would bug-check (0xC4/0x13B page signature, 0x13C owner) are problems.

use std::collections::HashSet;

use super::budget::PageBudget;
use super::entry::{EntryState, Tracker, TrackerEntry};
use super::layout::{ListLayout, PAGE_SIGNATURE, PageLayout};
use crate::addr::{PAGE_SIZE, Va};
use crate::error::Problem;
use crate::kernel::{Kernel, first_entry};
use crate::verifier::allocation::Source;

/// Entries of one driver that do not fit and are shown one by one; the others are counted.
const MAX_SHOWN: usize = 16;

/// The pages of a driver.
#[derive(Default)]
struct Pages {
    /// With their bytes.
    pages: Vec<(Va, Box<[u8]>)>,
    /// How many of them the list leads to; they are the first.
    listed: usize,
    /// Addresses of these pages, and of pages that the list names but that cannot be read: free entries lead
    /// there too.
    named: HashSet<Va>,
    /// True if the list is cut.
    is_broken: bool,
}

/// Reads the pages of one driver.
pub(super) struct PageReader<'a> {
    kernel: &'a Kernel,
    layout: &'a PageLayout,
    lists: &'a ListLayout,
    /// The driver's name, for problems.
    owner: &'a str,
    /// The driver's data.
    data: Va,
    problems: Vec<Problem>,
}

impl<'a> PageReader<'a> {
    pub(super) fn new(
        kernel: &'a Kernel,
        layout: &'a PageLayout,
        lists: &'a ListLayout,
        owner: &'a str,
        data: Va,
    ) -> Self {
        Self { kernel, layout, lists, owner, data, problems: Vec::new() }
    }

    /// Every entry of the pages.
    pub(super) fn read<'r>(
        mut self,
        recovered: &dyn Fn(Va) -> &'r [Va],
        budget: &mut PageBudget,
    ) -> Tracker {
        let mut pages = self.listed(budget);
        if pages.is_broken {
            self.add_recovered(&mut pages, recovered(self.data), budget);
        }
        let free = self.free_entries(&pages);
        let entries = self.entries(&pages, &free);
        let pages = pages.pages.into_iter().map(|(page, _)| page).collect();
        Tracker { entries, pages, problems: self.problems }
    }

    fn problem(&mut self, what: &str, at: Va, why: impl std::fmt::Display) {
        self.problems.push(Problem::at(format!("{what} of {}", self.owner), at, why));
    }

    /// The pages of the list.
    fn listed(&mut self, budget: &mut PageBudget) -> Pages {
        let mut pages = Pages { is_broken: true, ..Pages::default() };
        let space = self.kernel.space();
        match first_entry(space, self.data.add(self.lists.pages), self.lists.form) {
            Ok(first) => self.follow(first, &mut pages, budget),
            Err(fault) => self.problem("tracking pages", self.data, fault),
        }
        pages.listed = pages.pages.len();
        pages
    }

    fn follow(&mut self, first: Va, pages: &mut Pages, budget: &mut PageBudget) {
        const WHAT: &str = "tracking pages";
        let kernel = self.kernel;
        let mut next = first;
        while !next.is_null() {
            if next.page_offset() != 0 || !kernel.space().is_kernel(next) {
                return self.problem(WHAT, next, "this is not a page of the kernel");
            }
            if !pages.named.insert(next) {
                return self.problem(WHAT, next, "the list of pages closes into a ring");
            }
            if let Err(why) = budget.take(kernel) {
                pages.is_broken = false;
                return self.problem(WHAT, next, why);
            }
            let mut bytes = vec![0u8; PAGE_SIZE as usize].into_boxed_slice();
            if let Err(fault) = kernel.space().read(next, &mut bytes) {
                return self.problem(WHAT, next, fault);
            }
            if !self.has_header(next, &bytes) {
                // The page may still hold entries, but its header can lead anywhere.
                if self.layout.holds_entries(kernel, &bytes) {
                    pages.pages.push((next, bytes));
                }
                return;
            }
            let following = self.layout.next(&bytes);
            pages.pages.push((next, bytes));
            next = following;
        }
        pages.is_broken = false;
    }

    /// True if signature or owner of a page are right. Each that is wrong is a problem.
    fn has_header(&mut self, page: Va, bytes: &[u8]) -> bool {
        let (signature, owner) = (self.layout.signature_of(bytes), self.layout.owner(bytes));
        let is_signed = signature == PAGE_SIGNATURE;
        if !is_signed {
            let why = format!("the page's signature is {signature:#x}, not {PAGE_SIGNATURE:#x}");
            self.problem("tracking pages", page, why);
        }
        if owner != self.data {
            let why = format!("the page belongs to {owner}, not to {}", self.data);
            self.problem("tracking pages", page, why);
        }
        is_signed || owner == self.data
    }

    /// Adds those of the `recovered` pages that the list does not lead to.
    fn add_recovered(&mut self, pages: &mut Pages, recovered: &[Va], budget: &mut PageBudget) {
        let known: HashSet<Va> = pages.pages.iter().map(|(page, _)| *page).collect();
        for &page in recovered.iter().filter(|page| !known.contains(page)) {
            if let Err(why) = budget.take(self.kernel) {
                return self.problem("tracking pages", page, why);
            }
            let mut bytes = vec![0u8; PAGE_SIZE as usize].into_boxed_slice();
            // Live memory may have changed since the search.
            let is_read = self.kernel.space().read(page, &mut bytes).is_ok();
            if is_read && self.layout.owner(&bytes) == self.data {
                pages.named.extend([page, self.layout.next(&bytes)]);
                pages.pages.push((page, bytes));
            }
        }
    }

    /// The entries on the free list. Each of them is in one of the pages.
    fn free_entries(&mut self, pages: &Pages) -> HashSet<Va> {
        const WHAT: &str = "free entries";
        let mut free = HashSet::new();
        let space = self.kernel.space();
        let first = first_entry(space, self.data.add(self.lists.free_entries), self.lists.form);
        let mut next = match first {
            Ok(first) => first,
            Err(fault) => {
                self.problem(WHAT, self.data, fault);
                return free;
            }
        };
        while !next.is_null() {
            if !pages.named.contains(&next.page()) {
                self.problem(WHAT, next, "the free list leaves the driver's pages");
                break;
            }
            if !free.insert(next) {
                self.problem(WHAT, next, "the free list closes into a ring");
                break;
            }
            match space.read_pointer(next) {
                Ok(link) => next = link,
                Err(fault) => {
                    self.problem(WHAT, next, fault);
                    break;
                }
            }
        }
        free
    }

    fn entries(&mut self, pages: &Pages, free: &HashSet<Va>) -> Vec<TrackerEntry> {
        let size = self.layout.entry.size as u64;
        let is_slot =
            |va: Va| pages.named.contains(&va.page()) && va.page_offset().is_multiple_of(size);
        let mut entries = Vec::new();
        let mut odd = Vec::new();
        for (index, (page, bytes)) in pages.pages.iter().enumerate() {
            let source = if index < pages.listed { Source::Tracker } else { Source::Carved };
            for (slot, raw) in self.layout.entries(bytes) {
                let at = page.add(slot as u64 * size);
                let is_listed_free = free.contains(&at);
                let in_use = !raw.is_marked_free()
                    || (!is_listed_free && !raw.word.is_null() && !is_slot(raw.word));
                if in_use && raw.block().is_null() {
                    odd.push((at, "neither free nor an allocation: its block is null"));
                    continue;
                }
                if in_use && is_listed_free {
                    odd.push((at, "on the free list, and marked as in use"));
                }
                let mut allocation = raw.allocation(at, source);
                if !in_use {
                    allocation.size &= !1;
                }
                let state = if in_use { EntryState::InUse } else { EntryState::Free };
                entries.push(TrackerEntry { state, allocation });
            }
        }
        for &(at, why) in odd.iter().take(MAX_SHOWN) {
            self.problem("entry", at, why);
        }
        if odd.len() > MAX_SHOWN {
            let why = format!("{} more entries do not fit", odd.len() - MAX_SHOWN);
            self.problem("entries", self.data, why);
        }
        entries
    }
}
