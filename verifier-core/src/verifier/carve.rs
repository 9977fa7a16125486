//! Tracking pages found by what they are, not by what points at them.
//!
//! A page of `_VI_POOL_ENTRY` starts with a header {NextPage, VerifierEntry, Signature 0x21321345}; header
//! and entries have had the same layout since Server 2003. So pages can be found in any memory, also
//! where a list is cut, a head is absent, or no symbol is at hand, and against lists that are whole
//! they are a check ([`CarvedPool::compare`]).
//!
//! **What is looked at.** Every page of physical memory that the source holds, eight bytes of each; or
//! every page of a range of virtual addresses. A page counts when its signature is right, its owner lies
//! in the kernel, and its entries look like entries (freed pages and other data have been seen to keep
//! single words).
//!
//! **Whose it is.** `VerifierEntry` leads to the owner. With the signature 0x98761940 there it is a live
//! `_VF_TARGET_VERIFIED_DRIVER_DATA`, whose `SuspectDriverEntry` has the name. Without, the driver is
//! gone or the owner's page absent: the pages are shown under the owner's address, and what they hold may
//! be left over.
//!
//! **Where it is.** A physical page does not say its virtual address. But pages point at each other
//! (`NextPage`), their owners at the first, and free entries at free entries: each such address that
//! the page tables translate to a carved page is its address. A page at which nothing points is
//! shown by its physical address alone.
//!
//! **What is in use.** As in the list view (`pool/pages.rs`), with what is left of its evidence: an entry
//! with bit 0 of `NumberOfBytes` clear is in use; with the bit set it is free if its first word is null
//! or leads to a slot of a carved page, or if a free entry points at it; else it is an odd special-pool
//! size.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::ops::ControlFlow;

use super::drivers::{DATA_SIGNATURE, is_named};
use super::place::{CarvedPage, Place};
use super::pool::{Allocation, PAGE_SIGNATURE, PoolReport, Source};
use super::tag::PoolTag;
use super::trackers::PageBudget;
use crate::addr::{PAGE_SIZE, Pa, Va};
use crate::bytes::le;
use crate::error::{Error, Problem};
use crate::kernel::{Kernel, SlistForm, first_entry, read_unicode_string};
use crate::types::{Field, Profile, TypeSource};

/// An allocation on a carved page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CarvedAllocation {
    /// `VirtualAddress`: the block.
    pub address: Va,
    /// `NumberOfBytes`.
    pub size: u64,
    /// `Tag`.
    pub tag: PoolTag,
    /// `CallingAddress`.
    pub caller: Va,
    /// Its page: index in [`CarvedOwner::pages`].
    pub page: usize,
    /// Its slot on the page.
    pub slot: usize,
    /// Where the entry lies, where its page's address is known.
    pub entry: Option<Va>,
}

/// The pages of one owner.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CarvedOwner {
    /// `VerifierEntry`.
    pub address: Va,
    /// The driver's name, where the owner still tells it.
    pub name: Option<String>,
    /// True where Verifier's signature stands there.
    pub is_signed: bool,
    /// In the order in which they were found.
    pub pages: Vec<CarvedPage>,
    /// In use, in the order of pages and slots.
    pub allocations: Vec<CarvedAllocation>,
}

impl CarvedOwner {
    /// True where `pattern` names this driver, as [`Driver::is_named`](super::Driver::is_named).
    #[must_use]
    pub fn is_named(&self, pattern: &str) -> bool {
        self.name.as_deref().is_some_and(|name| is_named(name, pattern))
    }
}

/// What was found.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CarvedPool {
    /// By the owner's address.
    pub owners: Vec<CarvedOwner>,
    /// Pages that were looked at.
    pub pages_looked_at: u64,
    /// What could not be read or does not fit.
    pub problems: Vec<Problem>,
}

/// Carved allocations against those of the lists.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Comparison {
    /// Allocations that both have.
    pub both: usize,
    /// Those of the lists that were not carved, with their driver.
    pub only_listed: Vec<(String, Allocation)>,
    /// Carved ones that no list leads to: index of the owner and of the allocation.
    pub only_carved: Vec<(usize, usize)>,
}

impl CarvedPool {
    /// Looks for tracking pages.
    ///
    /// # Errors
    /// [`Error::MissingType`] where the types that were supplied do not have the entries.
    pub fn read(kernel: &Kernel, place: &Place<'_>) -> Result<Self, Error> {
        match kernel.types() {
            Ok(types) => Self::read_by(kernel, &Layout::resolve(kernel, types, true)?, place),
            // Pages and entries never changed; their owners did, and are left unnamed.
            Err(error) => {
                let types = Profile::new(kernel.space().machine(), 7601).ok_or(error)?;
                Self::read_by(kernel, &Layout::resolve(kernel, &types, false)?, place)
            }
        }
    }

    fn read_by(kernel: &Kernel, layout: &Layout, place: &Place<'_>) -> Result<Self, Error> {
        let mut carved = Self::default();
        let found = carved.find_pages(kernel, layout, place);
        let addresses = virtual_addresses(kernel, layout, &found);
        let mut owners: BTreeMap<Va, Vec<PageBytes>> = BTreeMap::new();
        for (mut page, bytes) in found {
            page.va = page.va.or_else(|| addresses.get(&page.pa?).copied());
            let owner = Va(layout.owner.get(&bytes).unwrap_or(0));
            owners.entry(owner).or_default().push((page, bytes));
        }
        for (address, pages) in owners {
            let (name, is_signed) = layout.owner(kernel, address, &mut carved.problems);
            let allocations = layout.allocations(kernel, &pages);
            let pages = pages.into_iter().map(|(page, _)| page).collect();
            carved.owners.push(CarvedOwner { address, name, is_signed, pages, allocations });
        }
        Ok(carved)
    }

    /// Holds what was carved against what the lists lead to.
    #[must_use]
    pub fn compare(&self, listed: &PoolReport) -> Comparison {
        type Key = (Va, u64, Va);
        let mut carved: HashMap<Key, Vec<(usize, usize)>> = HashMap::new();
        for (i, owner) in self.owners.iter().enumerate() {
            for (j, allocation) in owner.allocations.iter().enumerate() {
                let key = (allocation.address, allocation.size, allocation.caller);
                carved.entry(key).or_default().push((i, j));
            }
        }
        let mut comparison = Comparison::default();
        for pool in &listed.drivers {
            // What only carving found is in no list.
            let in_lists = pool.allocations.iter().filter(|one| one.source != Source::Carved);
            for allocation in in_lists {
                let key = (allocation.address, allocation.size, allocation.caller);
                match carved.get_mut(&key).and_then(Vec::pop) {
                    Some(_) => comparison.both += 1,
                    None => comparison.only_listed.push((pool.driver.name.clone(), *allocation)),
                }
            }
        }
        comparison.only_carved = carved.into_values().flatten().collect();
        comparison.only_carved.sort_unstable();
        comparison
    }

    fn find_pages(
        &mut self,
        kernel: &Kernel,
        layout: &Layout,
        place: &Place<'_>,
    ) -> Vec<PageBytes> {
        let mut found = Vec::new();
        let mut frames = HashSet::new();
        let mut budget = PageBudget::of(kernel);
        let what = "search for tracking pages";
        self.pages_looked_at = place.for_each_page(kernel, what, &mut self.problems, |page| {
            let mut word = [0u8; 8];
            let word = word.get_mut(..layout.signature_size).unwrap_or_default();
            if !place.read(kernel, page, layout.signature.offset, word)
                || le(word, 0, word.len()) != Some(PAGE_SIGNATURE)
            {
                return ControlFlow::Continue(());
            }
            let mut bytes = vec![0u8; PAGE_SIZE as usize].into_boxed_slice();
            if place.read(kernel, page, 0, &mut bytes)
                && layout.owner_of_page(kernel, &bytes).is_some()
                && page.pa.is_none_or(|pa| frames.insert(pa))
            {
                if let Err(why) = budget.take(kernel) {
                    return ControlFlow::Break(why);
                }
                found.push((page, bytes));
            }
            ControlFlow::Continue(())
        });
        found
    }
}

/// A page with its bytes.
type PageBytes = (CarvedPage, Box<[u8]>);

/// Where physical pages lie in virtual memory, by the addresses that they and their owners hold.
fn virtual_addresses(kernel: &Kernel, layout: &Layout, found: &[PageBytes]) -> HashMap<Pa, Va> {
    let carved: HashSet<Pa> = found.iter().filter_map(|(page, _)| page.pa).collect();
    let mut addresses = HashMap::new();
    let mut tried = HashSet::new();
    let mut owners = HashSet::new();
    let mut learn = |va: Va| {
        let va = va.page();
        if kernel.space().is_kernel(va)
            && tried.insert(va)
            && let Some(pa) = kernel.space().translate(va)
            && carved.contains(&pa)
        {
            addresses.entry(pa).or_insert(va);
        }
    };
    for (_, bytes) in found {
        learn(Va(layout.next.get(bytes).unwrap_or(0)));
        let owner = Va(layout.owner.get(bytes).unwrap_or(0));
        if owners.insert(owner)
            && let Some((pages, trackers, form)) = layout.lists
        {
            for list in [pages, trackers] {
                if let Ok(first) = first_entry(kernel.space(), owner.add(list), form) {
                    learn(first);
                }
            }
        }
        for (_, raw) in layout.entries(bytes) {
            if layout.size.get(raw).unwrap_or(0) & 1 != 0 {
                learn(Va(layout.address.get(raw).unwrap_or(0)));
            }
        }
    }
    addresses
}

/// Offsets of pages, entries and owners, resolved once.
pub(super) struct Layout {
    owner: Field,
    signature: Field,
    signature_size: usize,
    next: Field,
    entry_size: usize,
    address: Field,
    caller: Field,
    size: Field,
    tag: Field,
    /// `PoolPageHeaders` and `PoolTrackers` of the owner.
    lists: Option<(u64, u64, SlistForm)>,
    /// The owner's signature and entry, and the entry's name.
    target: Option<(Field, Field, u64)>,
    /// The name in an owner of kernels before 7.
    old_name: Option<u64>,
}

impl Layout {
    /// `known`: the types are those of the build, so owners are where they say.
    pub(super) fn resolve(
        kernel: &Kernel,
        types: &dyn TypeSource,
        known: bool,
    ) -> Result<Self, Error> {
        let machine = kernel.space().machine();
        let header = "_VI_POOL_PAGE_HEADER";
        let entry = "_VI_POOL_ENTRY_INUSE";
        let data = "_VF_TARGET_VERIFIED_DRIVER_DATA";
        let old = "_MI_VERIFIER_DRIVER_ENTRY";
        let entry_size = types.size_of("_VI_POOL_ENTRY").or_else(|_| types.size_of(entry))?;
        let signature = types.field(header, "Signature")?;
        let signature_size = signature.shape.size().unwrap_or(0);
        if !(16..=256).contains(&entry_size) || !(4..=8).contains(&signature_size) {
            return Err(Error::Symbols {
                kind: "kernel",
                why: format!("entries of {entry_size:#x} bytes, signatures of {signature_size:#x}"),
            });
        }
        let owner_type = if types.size_of(data).is_ok() { data } else { old };
        let lists = known.then(|| -> Option<_> {
            let pages = types.field(owner_type, "PoolPageHeaders").ok()?.offset;
            let trackers = types.field(owner_type, "PoolTrackers").ok()?.offset;
            Some((pages, trackers, SlistForm::from_types(types, machine).ok()?))
        });
        let target = known.then(|| -> Option<_> {
            let name = types.field("_VF_SUSPECT_DRIVER_ENTRY", "BaseName").ok()?.offset;
            let signature = types.field(data, "Signature").ok()?;
            Some((signature, types.field(data, "SuspectDriverEntry").ok()?, name))
        });
        let old_name = types.field(old, "BaseName").ok().filter(|_| known);
        Ok(Self {
            owner: types.field(header, "VerifierEntry")?,
            signature,
            signature_size: signature_size as usize,
            next: types.field(header, "NextPage")?,
            entry_size: entry_size as usize,
            address: types.field(entry, "VirtualAddress")?,
            caller: types.field(entry, "CallingAddress")?,
            size: types.field(entry, "NumberOfBytes")?,
            tag: types.field(entry, "Tag")?,
            lists: lists.flatten(),
            target: target.flatten(),
            old_name: old_name.map(|field| field.offset),
        })
    }

    /// The slots behind the header, with their numbers.
    fn entries<'b>(&self, bytes: &'b [u8]) -> impl Iterator<Item = (usize, &'b [u8])> + use<'b> {
        bytes.chunks_exact(self.entry_size).enumerate().skip(1)
    }

    /// The owner of a tracking page; `None` if the page is not one: it has no signature, no owner in the
    /// kernel, or entries that cannot be entries.
    pub(super) fn owner_of_page(&self, kernel: &Kernel, bytes: &[u8]) -> Option<Va> {
        let space = kernel.space();
        if self.signature.get(bytes) != Some(PAGE_SIGNATURE) {
            return None;
        }
        let owner = Va(self.owner.get(bytes).unwrap_or(0));
        let next = Va(self.next.get(bytes).unwrap_or(0));
        let next_fits = next.is_null() || (space.is_kernel(next) && next.page_offset() == 0);
        let fits = |(_, raw): (usize, &[u8])| {
            let word = Va(self.address.get(raw).unwrap_or(0));
            let is_free = self.size.get(raw).unwrap_or(0) & 1 != 0;
            // A free entry's link may be null; a block never is.
            (is_free && word.is_null()) || space.is_kernel(word)
        };
        // One torn entry is no reason to drop a page.
        let misfits = self.entries(bytes).filter(|entry| !fits(*entry)).count();
        let is_owned = space.is_kernel(owner) && owner.0.is_multiple_of(4);
        (is_owned && next_fits && misfits <= 1).then_some(owner)
    }

    /// The name of an owner, and whether it is signed.
    fn owner(
        &self,
        kernel: &Kernel,
        owner: Va,
        problems: &mut Vec<Problem>,
    ) -> (Option<String>, bool) {
        let space = kernel.space();
        let number = |field: &Field, at: Va| {
            let mut raw = [0u8; 8];
            let size = field.shape.size().unwrap_or(0).min(8) as usize;
            let raw = raw.get_mut(..size)?;
            space.read(at.add(field.offset), raw).ok()?;
            le(raw, 0, size)
        };
        if let Some((signature, entry, name)) = &self.target {
            let Some(found) = number(signature, owner) else { return (None, false) };
            if found != DATA_SIGNATURE {
                return (None, false);
            }
            let entry = Va(number(entry, owner).unwrap_or(0));
            return match read_unicode_string(space, entry.add(*name), kernel.limits()) {
                Ok(name) => (Some(name), true),
                Err(error) => {
                    problems
                        .push(Problem::from_error(format!("name of the owner {owner}"), &error));
                    (None, true)
                }
            };
        }
        // The owner's signature in kernels before 7 is not known, its name is.
        match self.old_name {
            Some(name) => (
                read_unicode_string(space, owner.add(name), kernel.limits())
                    .ok()
                    .filter(|name| !name.is_empty()),
                false,
            ),
            None => (None, false),
        }
    }

    /// The allocations on an owner's pages.
    fn allocations(&self, kernel: &Kernel, pages: &[PageBytes]) -> Vec<CarvedAllocation> {
        let space = kernel.space();
        let physical: HashSet<Pa> = pages.iter().filter_map(|(page, _)| page.pa).collect();
        let known: HashSet<Va> = pages.iter().filter_map(|(page, _)| page.va).collect();
        let is_slot = |va: Va| {
            va.page_offset().is_multiple_of(self.entry_size as u64)
                && (known.contains(&va.page())
                    || space.translate(va.page()).is_some_and(|pa| physical.contains(&pa)))
        };
        // Free entries point at free entries.
        let pointed_at: HashSet<Va> = pages
            .iter()
            .flat_map(|(_, bytes)| self.entries(bytes))
            .filter(|(_, raw)| self.size.get(raw).unwrap_or(0) & 1 != 0)
            .map(|(_, raw)| Va(self.address.get(raw).unwrap_or(0)))
            .collect();
        let mut allocations = Vec::new();
        for (index, (page, bytes)) in pages.iter().enumerate() {
            for (slot, raw) in self.entries(bytes) {
                let word = Va(self.address.get(raw).unwrap_or(0));
                let size = self.size.get(raw).unwrap_or(0);
                let entry = page.va.map(|va| va.add((slot * self.entry_size) as u64));
                let is_free = size & 1 != 0
                    && (word.is_null()
                        || is_slot(word)
                        || entry.is_some_and(|entry| pointed_at.contains(&entry)));
                if is_free || word.0 & !1 == 0 {
                    continue;
                }
                allocations.push(CarvedAllocation {
                    address: Va(word.0 & !1),
                    size,
                    tag: PoolTag(self.tag.get(raw).unwrap_or(0) as u32),
                    caller: Va(self.caller.get(raw).unwrap_or(0)),
                    page: index,
                    slot,
                    entry,
                });
            }
        }
        allocations
    }
}
