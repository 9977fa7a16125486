//! Outstanding pool allocations: the pages of `_VI_POOL_ENTRY` that each verified driver owns, and the
//! blocks that newer kernels keep in the pool info tree in their place.
//!
//! A block of the tree ([`PoolInfo`]) has no driver: it is told by its stack, the caller being the frame
//! by which it was told ([`ToldBy`]). What no stack tells for a configured driver is in
//! [`PoolReport::unowned`]. Every allocation says by its [`Source`] where it is from. The rest is about
//! tracking pages.
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
//! What the kernel would bug-check on (0xC4/0x13B page signature, 0x13C owner) is reported as a
//! problem; so is a number of entries that differs from the driver's own counters.
//!
//! `NumberOfBytes` is the size of the block as the pool rounded it, back pointer included, except in
//! special pool; debuggers print it as it is and so does this view. (The tree has the size that was asked
//! for.) Checked on 7601, 9600, 19041, 22000.

use std::collections::HashSet;

use super::contiguous::{Contiguous, read_contiguous};
use super::drivers::{Driver, Drivers, TargetDriver};
use super::old;
use super::owner::{Owner, Owners, ToldBy};
use super::pool_info::PoolInfo;
use super::tag::PoolTag;
use super::trackers::{PageBudget, Trackers};
use crate::addr::{PAGE_SIZE, Va};
use crate::error::{Error, Problem};
use crate::kernel::{Kernel, SlistForm, first_entry};
use crate::machine::Machine;
use crate::types::{Field, TypeSource};

/// `_VI_POOL_PAGE_HEADER.Signature`.
pub(super) const PAGE_SIGNATURE: u64 = 0x2132_1345;

/// Where an allocation is from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Source {
    /// A tracking page of its driver.
    Tracker,
    /// `ViPoolInfoAvl`.
    PoolInfo {
        /// Its stack: index in [`PoolInfo::stacks`]; `None` where that cannot be read.
        stack: Option<u32>,
        /// How its driver was told, where it was.
        told_by: Option<ToldBy>,
    },
}

impl Source {
    /// The words in JSON and text.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Source::Tracker => "tracker",
            Source::PoolInfo { .. } => "pool info tree",
        }
    }

    /// How the driver was told, where the source does not say it.
    #[must_use]
    pub fn told_by(self) -> Option<ToldBy> {
        match self {
            Source::Tracker => None,
            Source::PoolInfo { told_by, .. } => told_by,
        }
    }
}

/// An outstanding allocation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Allocation {
    /// `VirtualAddress`: the block.
    pub address: Va,
    /// `NumberOfBytes`; of the pool info tree the size that was asked for.
    pub size: u64,
    /// `Tag`. Zero for a block of the tree whose stack cannot be read.
    pub tag: PoolTag,
    /// `CallingAddress`: where the driver asked for it. Of the tree a frame of the stack, null where there
    /// is none.
    pub caller: Va,
    /// Where the entry itself, or the element of the tree, lies.
    pub entry: Va,
    /// Where it is from.
    pub source: Source,
}

/// Whether an entry stands for an allocation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EntryState {
    /// The block is allocated.
    InUse,
    /// Freed, or never used. A freed entry keeps all but its first word.
    Free,
}

/// A slot of a driver's tracking pages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TrackerEntry {
    /// In use or free.
    pub state: EntryState,
    /// What the slot holds. For a free entry `address` is the free list's link, `size` is without
    /// its free bit, and the rest is what the last allocation left.
    pub allocation: Allocation,
}

/// What a driver's tracking pages hold.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Tracker {
    /// Every slot, pages in the order of the list, slots ascending.
    pub entries: Vec<TrackerEntry>,
    /// The pages.
    pub pages: Vec<Va>,
    /// What could not be read or does not fit.
    pub problems: Vec<Problem>,
}

impl Tracker {
    /// Every slot of the pages of one `_VF_TARGET_VERIFIED_DRIVER_DATA`, free ones too; `owner` names
    /// the driver in problems.
    ///
    /// # Errors
    /// [`Error::MissingType`] where the types of the entries are not in the symbols.
    pub fn read(kernel: &Kernel, owner: &str, verified_data: Va) -> Result<Self, Error> {
        let trackers = Trackers::resolve(kernel)?;
        Ok(trackers.read(kernel, owner, verified_data, &mut PageBudget::of(kernel)))
    }
}

/// The outstanding allocations of one driver.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DriverPool {
    /// The driver.
    pub driver: Driver,
    /// In the order of its pages and slots, which is the debugger's; then those of the pool info tree, by
    /// address.
    pub allocations: Vec<Allocation>,
    /// How many of them the pages of each image hold, in the order of the driver's images.
    pub tracked: Vec<usize>,
    /// Contiguous memory, in the order of the list.
    pub contiguous: Vec<Contiguous>,
}

impl DriverPool {
    /// The allocations of one image, by its index. A block of the pool info tree is of the image that its
    /// caller lies in, of the first where it lies in none.
    pub fn allocations_of(&self, image: usize) -> impl Iterator<Item = &Allocation> {
        let before = self.tracked.iter().take(image).sum();
        let count = self.tracked.get(image).copied().unwrap_or(0);
        let of_tree = self.allocations.iter().skip(self.tracked.iter().sum());
        let images = &self.driver.images;
        let of_tree = of_tree.filter(move |block| {
            let holds = |image: &TargetDriver| {
                block.caller.0.checked_sub(image.base.0).is_some_and(|rva| rva < image.size)
            };
            images.iter().position(holds).unwrap_or(0) == image
        });
        self.allocations.iter().skip(before).take(count).chain(of_tree)
    }
}

/// The outstanding allocations of all drivers.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PoolReport {
    /// Every configured driver, with none where it has none.
    pub drivers: Vec<DriverPool>,
    /// Blocks of the pool info tree that no stack tells for a configured driver.
    pub unowned: Vec<Allocation>,
    /// The pool info trees. Their problems are in [`problems`](Self::problems).
    pub pool_info: PoolInfo,
    /// What could not be read or does not fit.
    pub problems: Vec<Problem>,
}

impl PoolReport {
    /// Reads the allocations of every driver that `wanted` accepts. It is asked with [`Driver::none`]
    /// too, for blocks of no known driver.
    ///
    /// # Errors
    /// As [`Drivers::read`]; [`Error::MissingType`] where the types of the entries are not in the
    /// symbols.
    pub fn read(kernel: &Kernel, wanted: impl Fn(&Driver) -> bool) -> Result<Self, Error> {
        let Drivers { drivers, mut problems } = Drivers::read(kernel)?;
        let layout = Trackers::resolve(kernel)?;
        let mut pool_info = PoolInfo::read(kernel).unwrap_or_else(|error| {
            problems.push(Problem::from_error("pool info tree", &error));
            PoolInfo::default()
        });
        problems.append(&mut pool_info.problems);
        let (of_tree, unowned) = told(kernel, &drivers, &pool_info);
        let mut budget = PageBudget::of(kernel);
        let mut lists = kernel.limits().clone();
        let mut report = Vec::new();
        for (driver, mut of_tree) in drivers.into_iter().zip(of_tree) {
            if !wanted(&driver) {
                continue;
            }
            let mut allocations = Vec::new();
            let mut tracked = Vec::new();
            let mut contiguous = Vec::new();
            for image in &driver.images {
                let mut tracker =
                    layout.read(kernel, &driver.name, image.verified_data, &mut budget);
                problems.append(&mut tracker.problems);
                let before = allocations.len();
                allocations.extend(
                    tracker
                        .entries
                        .iter()
                        .filter(|entry| entry.state == EntryState::InUse)
                        .map(|entry| entry.allocation),
                );
                tracked.push(allocations.len() - before);
                let found = (allocations.len() - before) as u64;
                let counted = image.counters.pool_allocations();
                if found != counted {
                    problems.push(Problem::at(
                        format!("allocations of {}", driver.name),
                        image.verified_data,
                        format!("its counters say {counted}, its pages hold {found}"),
                    ));
                }
                if let Some(head) = layout.contiguous() {
                    contiguous.extend(read_contiguous(
                        kernel,
                        &driver.name,
                        image.verified_data.add(head),
                        image.counters.get("ContiguousMemoryBytes"),
                        &mut lists,
                        &mut problems,
                    ));
                }
            }
            allocations.append(&mut of_tree);
            report.push(DriverPool { driver, allocations, tracked, contiguous });
        }
        let unowned = if wanted(&Driver::none()) { unowned } else { Vec::new() };
        Ok(Self { drivers: report, unowned, pool_info, problems })
    }

    /// Every allocation, those of no known driver too, with the name of its driver.
    pub fn allocations(&self) -> impl Iterator<Item = (Option<&str>, &Allocation)> {
        let drivers = self.drivers.iter().flat_map(|pool| {
            pool.allocations.iter().map(|allocation| (Some(pool.driver.name.as_str()), allocation))
        });
        drivers.chain(self.unowned.iter().map(|allocation| (None, allocation)))
    }

    /// Every address that a rendering will want to name.
    pub fn callers(&self) -> impl Iterator<Item = Va> {
        let contiguous = self.drivers.iter().flat_map(|pool| &pool.contiguous);
        let callers = self.allocations().map(|(_, allocation)| allocation.caller);
        callers.chain(contiguous.map(|memory| memory.caller))
    }
}

/// The blocks of the tree: for each driver its own, and those of none.
pub(crate) fn told(
    kernel: &Kernel,
    drivers: &[Driver],
    info: &PoolInfo,
) -> (Vec<Vec<Allocation>>, Vec<Allocation>) {
    let owners = Owners::new(kernel, drivers);
    let of_stacks: Vec<Owner> = info.stacks.iter().map(|stack| owners.of(&stack.frames)).collect();
    let mut told = vec![Vec::new(); drivers.len()];
    let mut unowned = Vec::new();
    for block in &info.blocks {
        let owner = block.stack.and_then(|index| of_stacks.get(index as usize));
        let owner = owner.copied().unwrap_or_default();
        let allocation = Allocation {
            address: block.address,
            size: block.size,
            tag: info.stack(block.stack).map(|stack| stack.tag).unwrap_or_default(),
            caller: owner.caller,
            entry: block.element,
            source: Source::PoolInfo {
                stack: block.stack,
                told_by: owner.driver.map(|(_, told_by)| told_by),
            },
        };
        match owner.driver.and_then(|(driver, _)| told.get_mut(driver)) {
            Some(told) => told.push(allocation),
            None => unowned.push(allocation),
        }
    }
    (told, unowned)
}

/// The slots of every image of `drivers`, who share the limit of pages: each call of `each` has one's.
///
/// # Errors
/// As [`Tracker::read`].
pub(crate) fn for_each_tracker(
    kernel: &Kernel,
    drivers: &[Driver],
    each: &mut dyn FnMut(&Driver, Tracker),
) -> Result<(), Error> {
    let layout = Trackers::resolve(kernel)?;
    let mut budget = PageBudget::of(kernel);
    for driver in drivers {
        for image in &driver.images {
            let data = image.verified_data;
            each(driver, layout.read(kernel, &driver.name, data, &mut budget));
        }
    }
    Ok(())
}

/// Entries of one driver that do not fit and are told one by one; the others are counted.
const MAX_TOLD: usize = 16;

pub(super) struct Layout {
    pages: u64,
    trackers: u64,
    pub(super) contiguous: Option<u64>,
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

impl Layout {
    pub(super) fn resolve(types: &dyn TypeSource, machine: Machine) -> Result<Self, Error> {
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

    pub(super) fn read(
        &self,
        kernel: &Kernel,
        owner: &str,
        data: Va,
        budget: &mut PageBudget,
        problems: &mut Vec<Problem>,
    ) -> Tracker {
        let pages = self.read_pages(kernel, owner, data, budget, problems);
        let page_addresses: HashSet<Va> = pages.iter().map(|(page, _)| *page).collect();
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
        for (page, bytes) in &pages {
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
                        source: Source::Tracker,
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

    /// The pages of the list with their bytes.
    fn read_pages(
        &self,
        kernel: &Kernel,
        owner: &str,
        data: Va,
        budget: &mut PageBudget,
        problems: &mut Vec<Problem>,
    ) -> Vec<(Va, Box<[u8]>)> {
        let what = format!("tracking pages of {owner}");
        let mut pages = Vec::new();
        let mut seen = HashSet::new();
        let mut next = match first_entry(kernel.space(), data.add(self.pages), self.slist) {
            Ok(first) => first,
            Err(fault) => {
                problems.push(Problem::at(what, data, fault));
                return pages;
            }
        };
        while !next.is_null() {
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
                // Nothing says that this is a tracking page: what it holds, and where it leads, is
                // anything.
                break;
            }
            let following = Va(self.header_next.get(&bytes).unwrap_or(0));
            pages.push((next, bytes));
            next = following;
        }
        pages
    }
}
