//! Kernels before Windows 7: XP, Server 2003, Vista.
//!
//! One structure, `_MI_VERIFIER_DRIVER_ENTRY`, is both the configured name and the driver's data. It
//! lies in the list `MiSuspectDriverList` (XP and 2003; Vista's name for the list is not established, a
//! symbol of either era's name is taken). `StartAddress` and `EndAddress` are the image; whether
//! the last byte or the one behind it is the end is not established, so the size is told in whole pages.
//!
//! From 2003 on the entry has the SLISTs of tracking pages that later kernels have too (`pool/pages.rs`). XP has
//! an array instead, `PoolHash` of `PoolHashSize` entries, the free ones chained by `FreeListNext`, an
//! index, from `PoolHashFree` on. How XP marks a free entry beside that is **not established**: here an
//! entry is in use where the chain does not reach it and where it holds an address, a caller and a
//! size. Every XP report says so, and the number is held against the driver's counters.
//!
//! Layouts are those of public type tables; no dump of these systems was at hand.

use super::counters::{Counters, required};
use super::drivers::{
    DATA_SIGNATURE, Driver, Drivers, SuspectLayout, TargetDriver, check_images, name_unnamed,
    suspect, suspects,
};
use super::pool::{Allocation, EntryState, Source, Tracker, TrackerEntry};
use super::tag::PoolTag;
use super::trackers::PageBudget;
use super::unload::Unload;
use crate::addr::{PAGE_SIZE, Va};
use crate::error::{Error, Problem};
use crate::kernel::Kernel;
use crate::memory::Window;
use crate::types::{Field, TypeSource};

/// The structure.
pub(super) const ENTRY: &str = "_MI_VERIFIER_DRIVER_ENTRY";
/// The list, by the names that symbols may have for it.
const HEADS: [&str; 2] = ["MiSuspectDriverList", "VfSuspectDriversList"];

/// True for types of a kernel before 7.
pub(super) fn is_old(types: &dyn TypeSource) -> Result<bool, Error> {
    Ok(types.structure("_VF_TARGET_DRIVER")?.is_none() && types.structure(ENTRY)?.is_some())
}

pub(super) fn read_drivers(kernel: &Kernel) -> Result<Drivers, Error> {
    let types = kernel.types()?;
    let layout = SuspectLayout::resolve(types, ENTRY)?;
    let head = HEADS
        .iter()
        .find_map(|name| kernel.global(name).ok())
        .map_or_else(|| kernel.global("MiSuspectDriverList"), Ok);
    let unload = Unload::of(kernel);
    let mut problems = Vec::new();
    let mut drivers = match head {
        Ok(head) => suspects(kernel, &layout, head, &mut problems),
        Err(error) if unload.is_none() => return Err(error),
        Err(error) => {
            problems.push(Problem::from_error("list of configured drivers", &error));
            Vec::new()
        }
    };
    let images = Images::resolve(types)?;
    // The entry that bug check 0xC4/0x62 leads to may be off the list, or Vista's list unknown.
    if let Some(unload) = unload
        && !drivers.iter().any(|driver| driver.suspect_entry == Some(unload.data))
        && images.is_signed(kernel, unload.data, &mut problems)
        && let Some(driver) = suspect(kernel, &layout, unload.data, &mut problems)
    {
        drivers.push(Driver { from_bug_check: true, ..driver });
    }
    for driver in &mut drivers {
        driver.images.extend(images.read(kernel, driver));
    }
    name_unnamed(kernel, &mut drivers);
    check_images(kernel, &drivers, &mut problems);
    Ok(Drivers { drivers, problems })
}

/// Offsets of what an entry has of its image.
struct Images {
    entry: std::sync::Arc<crate::types::Structure>,
    start: Field,
    end: Field,
    signature: Field,
    first_counter: u64,
}

impl Images {
    fn resolve(types: &dyn TypeSource) -> Result<Self, Error> {
        Ok(Self {
            entry: required(types, ENTRY)?,
            start: types.field(ENTRY, "StartAddress")?,
            end: types.field(ENTRY, "EndAddress")?,
            signature: types.field(ENTRY, "Signature")?,
            first_counter: types.field(ENTRY, "CurrentPagedPoolAllocations")?.offset,
        })
    }

    /// True where there is an entry at all: nothing but a parameter says so.
    fn is_signed(&self, kernel: &Kernel, entry: Va, problems: &mut Vec<Problem>) -> bool {
        let mut bytes = vec![0u8; self.entry.size.min(0x1000) as usize];
        let why = match kernel.space().read(entry, &mut bytes) {
            Ok(_) => match self.signature.get(&bytes) {
                Some(DATA_SIGNATURE) => return true,
                other => format!(
                    "its signature is {:#x}, not {DATA_SIGNATURE:#x}",
                    other.unwrap_or_default()
                ),
            },
            Err(fault) => fault.to_string(),
        };
        problems.push(Problem::at("configured driver", entry, why));
        false
    }

    /// The image of a driver that is loaded, or that the bug check is about.
    fn read(&self, kernel: &Kernel, driver: &Driver) -> Option<TargetDriver> {
        let address = driver.suspect_entry?;
        let mut bytes = vec![0u8; self.entry.size.min(0x1000) as usize];
        // What cannot be read has been told with the list.
        kernel.space().read(address, &mut bytes).ok()?;
        let base = Va(self.start.get(&bytes)?);
        let end = self.end.get(&bytes)?;
        let is_loaded = (driver.loads > driver.unloads || driver.from_bug_check) && !base.is_null();
        is_loaded.then(|| TargetDriver {
            address,
            base,
            size: end.saturating_sub(base.0).checked_next_multiple_of(PAGE_SIZE).unwrap_or(0),
            verified_data: address,
            counters: Counters::read(&self.entry, self.first_counter, &bytes),
            is_carved: false,
        })
    }
}

/// XP's array of entries.
pub(super) struct PoolHash {
    array: Field,
    size: Field,
    free: Field,
    entry_size: u64,
    next: Field,
    address: Field,
    caller: Field,
    bytes: Field,
    tag: Field,
}

impl PoolHash {
    /// `None` for kernels that have tracking pages.
    pub(super) fn resolve(types: &dyn TypeSource) -> Result<Option<Self>, Error> {
        let Ok(array) = types.field(ENTRY, "PoolHash") else { return Ok(None) };
        let entry = "_VI_POOL_ENTRY";
        let in_use = "_VI_POOL_ENTRY_INUSE";
        let entry_size = types.size_of(entry)?;
        if !(16..=256).contains(&entry_size) {
            let why = format!("{entry} of {entry_size:#x} bytes");
            return Err(Error::Symbols { kind: "kernel", why });
        }
        Ok(Some(Self {
            array,
            size: types.field(ENTRY, "PoolHashSize")?,
            free: types.field(ENTRY, "PoolHashFree")?,
            entry_size,
            next: types.field(entry, "FreeListNext")?,
            address: types.field(in_use, "VirtualAddress")?,
            caller: types.field(in_use, "CallingAddress")?,
            bytes: types.field(in_use, "NumberOfBytes")?,
            tag: types.field(in_use, "Tag")?,
        }))
    }

    pub(super) fn read(
        &self,
        kernel: &Kernel,
        owner: &str,
        data: Va,
        budget: &mut PageBudget,
        problems: &mut Vec<Problem>,
    ) -> Tracker {
        let space = kernel.space();
        let what = format!("pool hash of {owner}");
        let mut tracker = Tracker::default();
        let number = |field: &Field| {
            let mut raw = [0u8; 4];
            space.read(data.add(field.offset), &mut raw).map(|_| u64::from(u32::from_le_bytes(raw)))
        };
        let head = number(&self.array)
            .and_then(|array| Ok((Va(array), number(&self.size)?, number(&self.free)?)));
        let (array, size, first_free) = match head {
            Ok(head) => head,
            Err(fault) => {
                problems.push(Problem::at(what, data, fault));
                return tracker;
            }
        };
        if array.is_null() || size == 0 {
            return tracker;
        }
        problems.push(Problem::at(
            what.clone(),
            array,
            "which entries are in use is told by the chain of free ones and by what an address can be: how \
             XP marks them is not established",
        ));
        let mut slots = self.read_slots(kernel, &what, (array, size), budget, problems);
        let mut next = first_free;
        while let Some(Some(slot)) = usize::try_from(next).ok().and_then(|i| slots.get_mut(i)) {
            if std::mem::replace(&mut slot.is_chained, true) {
                let why = format!("the chain of free entries closes into a ring at {next:#x}");
                problems.push(Problem::at(what, array, why));
                break;
            }
            slot.entry.state = EntryState::Free;
            next = slot.next;
        }
        tracker.entries = slots.into_iter().flatten().map(|slot| slot.entry).collect();
        tracker
    }

    /// The slots of an array of `size` at `array`, `None` for those whose page is absent.
    fn read_slots(
        &self,
        kernel: &Kernel,
        what: &str,
        (array, size): (Va, u64),
        budget: &mut PageBudget,
        problems: &mut Vec<Problem>,
    ) -> Vec<Option<Slot>> {
        let mut window = Window::new(kernel.space().memory());
        let mut slots = Vec::new();
        let mut absent = 0u64;
        let mut page = None;
        for index in 0..size {
            let at = array.add(index * self.entry_size);
            // Of a slot that crosses, the page that it starts on has been taken.
            let last = at.add(self.entry_size - 1).page();
            let taken = if page.replace(last) == Some(last) { Ok(()) } else { budget.take(kernel) };
            let read = taken.and_then(|()| match window.read(at, self.entry_size as usize) {
                Ok(raw) => Ok(Some(self.slot(kernel, at, raw))),
                Err(fault) if fault.reason.is_absent() => Ok(None),
                Err(fault) => Err(fault.to_string()),
            });
            match read {
                Ok(slot) => {
                    absent += u64::from(slot.is_none());
                    slots.push(slot);
                }
                Err(why) => {
                    let why = format!("entry {index:#x} of {size:#x}: {why}");
                    problems.push(Problem::at(what, array, why));
                    break;
                }
            }
        }
        if absent > 0 {
            let why = format!("{absent} entries are not in the dump");
            problems.push(Problem::at(what, array, why));
        }
        slots
    }

    /// What a slot holds; whether the chain of free ones reaches it is not known yet.
    fn slot(&self, kernel: &Kernel, at: Va, raw: &[u8]) -> Slot {
        let space = kernel.space();
        let get = |field: &Field| field.get(raw).unwrap_or(0);
        let (address, caller, size) =
            (Va(get(&self.address) & !1), Va(get(&self.caller)), get(&self.bytes));
        let is_allocation = space.is_kernel(address) && space.is_kernel(caller) && size != 0;
        let state = if is_allocation { EntryState::InUse } else { EntryState::Free };
        let tag = PoolTag(get(&self.tag) as u32);
        let source = Source::Tracker;
        let allocation =
            Allocation { address, size, tag, caller, entry: at, source, impossible: None };
        let next = self.next.get(raw).unwrap_or(u64::MAX);
        Slot { next, is_chained: false, entry: TrackerEntry { state, allocation } }
    }
}

/// An entry of the array.
struct Slot {
    /// The next free one, where it is free itself.
    next: u64,
    /// On the chain of free ones.
    is_chained: bool,
    entry: TrackerEntry,
}
