//! Tracking pages: how they lie, and which of their entries are in use.
//!
//! `_VF_TARGET_VERIFIED_DRIVER_DATA.PoolPageHeaders` is an SLIST of whole pages, the list pointer
//! being the page itself. The first slot of a page is `_VI_POOL_PAGE_HEADER` {next page, owner,
//! signature 0x21321345}, all others are `_VI_POOL_ENTRY_INUSE` {VirtualAddress, CallingAddress,
//! NumberOfBytes, Tag}. Entry and header sizes come from the types; a page is 4 KiB on every machine.
//!
//! An entry that is free has bit 0 of `NumberOfBytes` set and lies on the SLIST `PoolTrackers`, its
//! first word being the link. Sizes of ordinary pool are even, but special pool keeps the size that
//! the caller asked for, which may be odd. So bit 0 alone does not decide:
//!
//! * bit 0 clear: in use;
//! * bit 0 set: free, unless the entry is not on `PoolTrackers` and its first word is neither null
//!   nor the address of a slot in one of the driver's pages. Then it is an odd special-pool size.
//!
//! Where the list of a driver's pages, or the tree that leads to the driver, is broken, pages are found
//! by what they are: their allocations have the source [`Source::Carved`].
//!
//! What the kernel would bug-check on (0xC4/0x13B page signature, 0x13C owner) is reported as a
//! problem.

use std::collections::HashSet;

use super::{Allocation, EntryState, Source, Tracker, TrackerEntry};
use crate::addr::{PAGE_SIZE, Va};
use crate::error::{Error, Problem};
use crate::kernel::{Kernel, SlistForm, first_entry};
use crate::machine::Machine;
use crate::types::{Field, TypeSource};
use crate::verifier::lost::Lost;
use crate::verifier::old;
use crate::verifier::tag::PoolTag;
use crate::verifier::trackers::PageBudget;

/// `_VI_POOL_PAGE_HEADER.Signature`.
pub(in crate::verifier) const PAGE_SIGNATURE: u64 = 0x2132_1345;
/// Entries of one driver that do not fit and are told one by one; the others are counted.
const MAX_TOLD: usize = 16;

/// Offsets of pages and entries, resolved once.
pub(in crate::verifier) struct Layout {
    pages: u64,
    trackers: u64,
    pub(in crate::verifier) contiguous: Option<u64>,
    slist: SlistForm,
    header_owner: Field,
    header_signature: Field,
    header_next: Field,
    entry_size: usize,
    address: Field,
    caller: Field,
    size: Field,
    tag: Field,
}

/// The pages of a driver.
struct Pages {
    /// With their bytes.
    pages: Vec<(Va, Box<[u8]>)>,
    /// These, and what the list says to be one and cannot be read: free entries lead there too.
    named: HashSet<Va>,
    /// True where the list ends before its end.
    is_broken: bool,
}

impl Layout {
    pub(in crate::verifier) fn resolve(
        types: &dyn TypeSource,
        machine: Machine,
    ) -> Result<Self, Error> {
        let data = "_VF_TARGET_VERIFIED_DRIVER_DATA";
        // Before 7 the lists were in the driver's entry itself.
        let data = if old::is_old(types)? { old::ENTRY } else { data };
        let header = "_VI_POOL_PAGE_HEADER";
        let entry = "_VI_POOL_ENTRY_INUSE";
        let entry_size = types.size_of("_VI_POOL_ENTRY").or_else(|_| types.size_of(entry))?;
        if !(16..=256).contains(&entry_size) {
            return Err(Error::Symbols {
                kind: "kernel",
                why: format!("_VI_POOL_ENTRY of {entry_size:#x} bytes"),
            });
        }
        Ok(Self {
            pages: types.field(data, "PoolPageHeaders")?.offset,
            trackers: types.field(data, "PoolTrackers")?.offset,
            contiguous: types.field(data, "ContiguousMemoryListHead").ok().map(|head| head.offset),
            slist: SlistForm::from_types(types, machine)?,
            header_owner: types.field(header, "VerifierEntry")?,
            header_signature: types.field(header, "Signature")?,
            header_next: types.field(header, "NextPage")?,
            entry_size: entry_size as usize,
            address: types.field(entry, "VirtualAddress")?,
            caller: types.field(entry, "CallingAddress")?,
            size: types.field(entry, "NumberOfBytes")?,
            tag: types.field(entry, "Tag")?,
        })
    }

    /// The entries of the driver whose data lie at `data`, of pages that their list leads to, and where it is
    /// broken of those that `lost` has.
    pub(in crate::verifier) fn read(
        &self,
        kernel: &Kernel,
        owner: &str,
        data: Va,
        lost: Option<&Lost<'_>>,
        budget: &mut PageBudget,
        problems: &mut Vec<Problem>,
    ) -> Tracker {
        let Pages { mut pages, named: mut page_addresses, is_broken } =
            self.read_pages(kernel, owner, data, budget, problems);
        let listed = pages.len();
        let known: HashSet<Va> = pages.iter().map(|(page, _)| *page).collect();
        let lost = lost.filter(|_| is_broken).map_or(&[][..], |lost| lost.pages_of(data));
        for &page in lost.iter().filter(|page| !known.contains(page)) {
            if let Err(why) = budget.take(kernel) {
                problems.push(Problem::at(format!("tracking pages of {owner}"), page, why));
                break;
            }
            let mut bytes = vec![0u8; PAGE_SIZE as usize].into_boxed_slice();
            // Live memory may have changed since the search.
            let is_owned = |bytes: &[u8]| self.header_owner.get(bytes) == Some(data.0);
            if kernel.space().read(page, &mut bytes).is_ok() && is_owned(&bytes) {
                page_addresses.insert(page);
                page_addresses.insert(Va(self.header_next.get(&bytes).unwrap_or(0)));
                pages.push((page, bytes));
            }
        }
        let slots = PAGE_SIZE as usize / self.entry_size;
        // Free entries by walking the list: each lies in one of the pages, whose bytes are here.
        let mut free = HashSet::new();
        let mut next = match first_entry(kernel.space(), data.add(self.trackers), self.slist) {
            Ok(first) => first,
            Err(fault) => {
                problems.push(Problem::at(format!("free entries of {owner}"), data, fault));
                Va(0)
            }
        };
        while !next.is_null() {
            if !page_addresses.contains(&next.page()) {
                problems.push(Problem::at(
                    format!("free entries of {owner}"),
                    next,
                    "the free list leaves the driver's pages",
                ));
                break;
            }
            if !free.insert(next) {
                problems.push(Problem::at(
                    format!("free entries of {owner}"),
                    next,
                    "the free list closes into a ring",
                ));
                break;
            }
            match kernel.space().read_pointer(next) {
                Ok(link) => next = link,
                Err(fault) => {
                    problems.push(Problem::at(format!("free entries of {owner}"), next, fault));
                    break;
                }
            }
        }
        let mut tracker = Tracker::default();
        let mut odd = 0usize;
        let mut tell = |at: Va, why: &str| {
            odd += 1;
            if odd <= MAX_TOLD {
                problems.push(Problem::at(format!("entry of {owner}"), at, why));
            }
        };
        for (index, (page, bytes)) in pages.iter().enumerate() {
            let source = if index < listed { Source::Tracker } else { Source::Carved };
            tracker.pages.push(*page);
            for slot in 1..slots {
                let start = slot * self.entry_size;
                let Some(raw) = bytes.get(start..start + self.entry_size) else { break };
                let at = page.add(start as u64);
                let word = self.address.get(raw).unwrap_or(0);
                let size = self.size.get(raw).unwrap_or(0);
                let is_slot = |va: Va| {
                    page_addresses.contains(&va.page())
                        && va.page_offset().is_multiple_of(self.entry_size as u64)
                };
                let in_use =
                    size & 1 == 0 || (!free.contains(&at) && word != 0 && !is_slot(Va(word)));
                let state = if in_use { EntryState::InUse } else { EntryState::Free };
                if in_use && word & !1 == 0 {
                    tell(at, "neither free nor an allocation: its block is null");
                    continue;
                }
                if in_use && free.contains(&at) {
                    tell(at, "on the free list, and marked as in use");
                }
                tracker.entries.push(TrackerEntry {
                    state,
                    allocation: Allocation {
                        // Bit 0 marks special pool while the allocation is being made.
                        address: Va(word & !1),
                        size: if in_use { size } else { size & !1 },
                        tag: PoolTag(self.tag.get(raw).unwrap_or(0) as u32),
                        caller: Va(self.caller.get(raw).unwrap_or(0)),
                        entry: at,
                        source,
                        impossible: None,
                    },
                });
            }
        }
        if odd > MAX_TOLD {
            let why = format!("{} more entries do not fit", odd - MAX_TOLD);
            problems.push(Problem::at(format!("entries of {owner}"), data, why));
        }
        tracker
    }

    /// True where every slot of a page but one, which may be torn, can be an entry.
    fn holds_entries(&self, kernel: &Kernel, bytes: &[u8]) -> bool {
        let (mut misfits, mut blocks) = (0usize, 0usize);
        for raw in bytes.chunks_exact(self.entry_size).skip(1) {
            let word = Va(self.address.get(raw).unwrap_or(0));
            let is_free = self.size.get(raw).unwrap_or(0) & 1 != 0;
            if kernel.space().is_kernel(word) {
                blocks += 1;
            } else if !(is_free && word.is_null()) {
                misfits += 1;
            }
        }
        blocks > misfits && misfits <= 1
    }

    /// The pages of the list.
    fn read_pages(
        &self,
        kernel: &Kernel,
        owner: &str,
        data: Va,
        budget: &mut PageBudget,
        problems: &mut Vec<Problem>,
    ) -> Pages {
        let what = format!("tracking pages of {owner}");
        let mut pages = Vec::new();
        let mut seen = HashSet::new();
        let mut is_broken = true;
        let mut next = match first_entry(kernel.space(), data.add(self.pages), self.slist) {
            Ok(first) => first,
            Err(fault) => {
                problems.push(Problem::at(what, data, fault));
                return Pages { pages, named: seen, is_broken };
            }
        };
        loop {
            if next.is_null() {
                is_broken = false;
                break;
            }
            if next.page_offset() != 0 || !kernel.space().is_kernel(next) {
                problems.push(Problem::at(what, next, "no page of the kernel"));
                break;
            }
            if !seen.insert(next) {
                problems.push(Problem::at(what, next, "the list of pages closes into a ring"));
                break;
            }
            if let Err(why) = budget.take(kernel) {
                problems.push(Problem::at(what, next, why));
                is_broken = false;
                break;
            }
            let mut bytes = vec![0u8; PAGE_SIZE as usize].into_boxed_slice();
            if let Err(fault) = kernel.space().read(next, &mut bytes) {
                problems.push(Problem::at(what, next, fault));
                break;
            }
            let signature = self.header_signature.get(&bytes).unwrap_or(0);
            let page_owner = Va(self.header_owner.get(&bytes).unwrap_or(0));
            if signature != PAGE_SIGNATURE {
                problems.push(Problem::at(
                    what.clone(),
                    next,
                    format!("the page's signature is {signature:#x}, not {PAGE_SIGNATURE:#x}"),
                ));
            }
            if page_owner != data {
                problems.push(Problem::at(
                    what.clone(),
                    next,
                    format!("the page belongs to {page_owner}, not to {data}"),
                ));
            }
            if signature != PAGE_SIGNATURE && page_owner != data {
                // Nothing says that this is a tracking page, unless all that it holds does: where its
                // header leads is anything.
                if self.holds_entries(kernel, &bytes) {
                    pages.push((next, bytes));
                }
                break;
            }
            let following = Va(self.header_next.get(&bytes).unwrap_or(0));
            pages.push((next, bytes));
            next = following;
        }
        Pages { pages, named: seen, is_broken }
    }
}
