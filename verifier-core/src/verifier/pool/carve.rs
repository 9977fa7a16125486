//! Tracking pages that a search recognizes, whatever points at them.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::ops::ControlFlow;

use crate::addr::{PAGE_SIZE, Pa, Va};
use crate::bytes::le;
use crate::error::{Error, Problem};
use crate::kernel::{Kernel, first_entry};
use crate::types::{Profile, TypeSource};
use crate::verifier::drivers::{SuspectLayout, TargetLayout, is_named};
use crate::verifier::scan::{CarvedPage, Scan};
use crate::verifier::tag::PoolTag;
use crate::verifier::tracking::{
    ENTRY_BEFORE_WIN7, ListLayout, PAGE_SIGNATURE, PageBudget, PageLayout, RawEntry,
};

/// An allocation on a carved page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
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
    /// Where the entry is, if the address of its page is known.
    pub entry: Option<Va>,
}

/// The pages of one owner.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct CarvedOwner {
    /// `VerifierEntry`.
    pub address: Va,
    /// The driver's name, if the owner still leads to it.
    pub name: Option<String>,
    /// True if Verifier's signature is there.
    pub is_signed: bool,
    /// In the order in which they were found.
    pub pages: Vec<CarvedPage>,
    /// In use, in the order of pages and slots.
    pub allocations: Vec<CarvedAllocation>,
}

impl CarvedOwner {
    /// True if `pattern` names this driver, as [`Driver::is_named`](crate::verifier::Driver::is_named).
    #[must_use]
    pub fn is_named(&self, pattern: &str) -> bool {
        self.name.as_deref().is_some_and(|name| is_named(name, pattern))
    }
}

/// What was found.
///
/// A page of `_VI_POOL_ENTRY` starts with a header {NextPage, VerifierEntry, Signature 0x21321345}. So pages
/// can be found in any memory, also if a list is cut, a head is absent, or no symbols are available. If the
/// lists are whole, the pages are a check of them ([`CarvedPool::compare`]).
///
/// **What is searched.** Every page of physical memory that the source holds (eight bytes of each), or every
/// page of a range of virtual addresses. A page counts if its signature is right, its owner is in the kernel,
/// and its entries look like entries (freed pages and other data may keep single words).
///
/// **To whom it belongs.** `VerifierEntry` leads to the owner. If the signature 0x98761940 is there, the
/// owner is a live `_VF_TARGET_VERIFIED_DRIVER_DATA`, whose `SuspectDriverEntry` has the name. If not, the
/// driver is gone or the owner's page is absent: the pages are shown under the owner's address, and what they
/// hold may be left over.
///
/// **Where it is.** A physical page does not say its virtual address. But pages point at each other
/// (`NextPage`), owners point at their first page, and free entries at free entries: if the page tables
/// translate such an address to a carved page, it is that page's address. A page at which nothing points is
/// shown only by its physical address.
///
/// **What is in use.** As in [`PoolReport`](super::PoolReport), by the evidence that is left: an entry with
/// bit 0 of `NumberOfBytes` clear is in use. With the bit set it is free if its first word is null or leads
/// to a slot of a carved page, or if a free entry points at it; else it is an odd size of special pool.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct CarvedPool {
    /// By the owner's address.
    pub owners: Vec<CarvedOwner>,
    /// Pages that were searched.
    pub pages_looked_at: u64,
    /// What could not be read or does not fit.
    pub problems: Vec<Problem>,
}

impl CarvedPool {
    /// Searches for tracking pages.
    ///
    /// # Errors
    /// [`Error::MissingType`] if the types that were supplied do not have the entries.
    pub fn read(kernel: &Kernel, scan: &Scan<'_>) -> Result<Self, Error> {
        match kernel.types() {
            Ok(types) => Self::read_by(kernel, &CarveLayout::resolve(kernel, types)?, scan),
            // Pages and entries never changed. Their owners did, and stay unnamed.
            Err(error) => {
                let types = Profile::new(kernel.space().machine(), 7601).ok_or(error)?;
                Self::read_by(kernel, &CarveLayout::without_owners(&types)?, scan)
            }
        }
    }

    fn read_by(kernel: &Kernel, layout: &CarveLayout, scan: &Scan<'_>) -> Result<Self, Error> {
        let mut carved = Self::default();
        let found = carved.find_pages(kernel, &layout.page, scan);
        let addresses = virtual_addresses(kernel, layout, &found);
        let mut owners: BTreeMap<Va, Vec<PageBytes>> = BTreeMap::new();
        for (mut page, bytes) in found {
            page.va = page.va.or_else(|| addresses.get(&page.pa?).copied());
            owners.entry(layout.page.owner(&bytes)).or_default().push((page, bytes));
        }
        for (address, pages) in owners {
            let (name, is_signed) = layout.names.of(kernel, address, &mut carved.problems);
            let allocations = allocations(kernel, &layout.page, &pages);
            let pages = pages.into_iter().map(|(page, _)| page).collect();
            carved.owners.push(CarvedOwner { address, name, is_signed, pages, allocations });
        }
        Ok(carved)
    }

    fn find_pages(
        &mut self,
        kernel: &Kernel,
        layout: &PageLayout,
        scan: &Scan<'_>,
    ) -> Vec<PageBytes> {
        let mut found = Vec::new();
        let mut frames = HashSet::new();
        let mut budget = PageBudget::of(kernel);
        let (signature, size) = &layout.signature;
        let what = "search for tracking pages";
        self.pages_looked_at = scan.for_each_page(kernel, what, &mut self.problems, |page| {
            let mut word = [0u8; 8];
            let word = word.get_mut(..*size).unwrap_or_default();
            if !scan.read(kernel, page, signature.offset, word)
                || le(word, 0, word.len()) != Some(PAGE_SIGNATURE)
            {
                return ControlFlow::Continue(());
            }
            let mut bytes = vec![0u8; PAGE_SIZE as usize].into_boxed_slice();
            if scan.read(kernel, page, 0, &mut bytes)
                && layout.owner_of(kernel, &bytes).is_some()
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

/// The virtual addresses of physical pages, by the addresses that pages and their owners hold.
fn virtual_addresses(
    kernel: &Kernel,
    layout: &CarveLayout,
    found: &[PageBytes],
) -> HashMap<Pa, Va> {
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
        learn(layout.page.next(bytes));
        let owner = layout.page.owner(bytes);
        if owners.insert(owner)
            && let Some(lists) = &layout.lists
        {
            for list in [lists.pages, lists.free_entries] {
                if let Ok(first) = first_entry(kernel.space(), owner.add(list), lists.form) {
                    learn(first);
                }
            }
        }
        for (_, entry) in layout.page.entries(bytes).filter(|(_, entry)| entry.is_marked_free()) {
            learn(entry.word);
        }
    }
    addresses
}

/// The allocations on an owner's pages.
fn allocations(kernel: &Kernel, layout: &PageLayout, pages: &[PageBytes]) -> Vec<CarvedAllocation> {
    let size = layout.entry.size as u64;
    let physical: HashSet<Pa> = pages.iter().filter_map(|(page, _)| page.pa).collect();
    let known: HashSet<Va> = pages.iter().filter_map(|(page, _)| page.va).collect();
    let is_slot = |va: Va| {
        va.page_offset().is_multiple_of(size)
            && (known.contains(&va.page())
                || kernel.space().translate(va.page()).is_some_and(|pa| physical.contains(&pa)))
    };
    // Free entries point at free entries.
    let entries = pages.iter().flat_map(|(_, bytes)| layout.entries(bytes));
    let free = entries.filter(|(_, entry)| entry.is_marked_free());
    let pointed_at: HashSet<Va> = free.map(|(_, entry)| entry.word).collect();
    let is_free = |raw: &RawEntry, at: Option<Va>| {
        raw.is_marked_free()
            && (raw.word.is_null()
                || is_slot(raw.word)
                || at.is_some_and(|at| pointed_at.contains(&at)))
    };
    let mut allocations = Vec::new();
    for (index, (page, bytes)) in pages.iter().enumerate() {
        for (slot, raw) in layout.entries(bytes) {
            let entry = page.va.map(|va| va.add(slot as u64 * size));
            if is_free(&raw, entry) || raw.block().is_null() {
                continue;
            }
            allocations.push(CarvedAllocation {
                address: raw.block(),
                size: raw.size,
                tag: raw.tag,
                caller: raw.caller,
                page: index,
                slot,
                entry,
            });
        }
    }
    allocations
}

/// What the types say of pages and their owners.
struct CarveLayout {
    page: PageLayout,
    lists: Option<ListLayout>,
    names: OwnerNames,
}

/// How an owner leads to a driver's name.
enum OwnerNames {
    /// The owner is the data of a driver.
    Data(Box<TargetLayout>),
    /// The owner has the name itself. It is not known whether it has a signature.
    BeforeWin7(SuspectLayout),
    Unknown,
}

impl CarveLayout {
    /// The types are those of the kernel's build.
    fn resolve(kernel: &Kernel, types: &dyn TypeSource) -> Result<Self, Error> {
        let names = match TargetLayout::resolve(types) {
            Ok(data) => OwnerNames::Data(Box::new(data)),
            Err(_) => SuspectLayout::resolve(types, ENTRY_BEFORE_WIN7)
                .map_or(OwnerNames::Unknown, OwnerNames::BeforeWin7),
        };
        let lists = ListLayout::resolve(types, kernel.space().machine()).ok();
        Ok(Self { page: PageLayout::resolve(types)?, lists, names })
    }

    /// The types are of another build, whose owners differ.
    fn without_owners(types: &dyn TypeSource) -> Result<Self, Error> {
        let page = PageLayout::resolve(types)?;
        Ok(Self { page, lists: None, names: OwnerNames::Unknown })
    }
}

impl OwnerNames {
    /// The name of an owner, and whether it is signed.
    fn of(
        &self,
        kernel: &Kernel,
        owner: Va,
        problems: &mut Vec<Problem>,
    ) -> (Option<String>, bool) {
        match self {
            OwnerNames::Data(data) if data.is_signed(kernel, owner) => {
                let name = data.name_of(kernel, owner).map_err(|error| {
                    let what = format!("name of the owner {owner}");
                    problems.push(Problem::from_error(what, &error));
                });
                (name.ok(), true)
            }
            OwnerNames::BeforeWin7(entry) => {
                (entry.name(kernel, owner).ok().filter(|name| !name.is_empty()), false)
            }
            OwnerNames::Data(_) | OwnerNames::Unknown => (None, false),
        }
    }
}
