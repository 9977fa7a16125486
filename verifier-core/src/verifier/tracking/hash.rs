//! XP's array of entries.
//!
//! From Server 2003 on a driver has pages of entries (see `pages.rs`). XP has an array instead, `PoolHash` of
//! `PoolHashSize` entries. Its free entries form a chain from `PoolHashFree` on, linked by `FreeListNext`, an
//! index. How XP marks a free entry otherwise is **not established**: here an entry is in use if the chain
//! does not reach it and it holds an address, a caller and a size. Every report of XP says so, and the number
//! of entries is checked against the driver's counters.
//!
//! The layout is from public type tables; no dump of XP was available.

use super::budget::PageBudget;
use super::entry::{EntryState, Tracker, TrackerEntry};
use super::layout::{ENTRY_BEFORE_WIN7, EntryLayout};
use crate::addr::Va;
use crate::error::{Error, Problem};
use crate::kernel::Kernel;
use crate::memory::Window;
use crate::types::{Field, TypeSource};
use crate::verifier::allocation::Source;

/// Offsets of the array in a driver's entry, and of its own entries.
pub(in crate::verifier) struct PoolHash {
    array: Field,
    size: Field,
    free: Field,
    entry: EntryLayout,
    next: Field,
}

impl PoolHash {
    /// `None` for kernels that have tracking pages.
    pub(super) fn resolve(types: &dyn TypeSource) -> Result<Option<Self>, Error> {
        let Ok(array) = types.field(ENTRY_BEFORE_WIN7, "PoolHash") else { return Ok(None) };
        Ok(Some(Self {
            array,
            size: types.field(ENTRY_BEFORE_WIN7, "PoolHashSize")?,
            free: types.field(ENTRY_BEFORE_WIN7, "PoolHashFree")?,
            entry: EntryLayout::resolve(types)?,
            next: types.field("_VI_POOL_ENTRY", "FreeListNext")?,
        }))
    }

    pub(super) fn read(
        &self,
        kernel: &Kernel,
        owner: &str,
        data: Va,
        budget: &mut PageBudget,
    ) -> Tracker {
        let space = kernel.space();
        let what = format!("pool hash of {owner}");
        let mut tracker = Tracker::default();
        let problems = &mut tracker.problems;
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
            "the chain of free entries, and what an address can be, decide which entries are in use: how XP \
             marks them is not established",
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

    /// The slots of an array of `size` entries at `array`; `None` for slots whose page is absent.
    fn read_slots(
        &self,
        kernel: &Kernel,
        what: &str,
        (array, size): (Va, u64),
        budget: &mut PageBudget,
        problems: &mut Vec<Problem>,
    ) -> Vec<Option<Slot>> {
        let mut window = Window::new(kernel.space().memory());
        let entry_size = self.entry.size as u64;
        let mut slots = Vec::new();
        let mut absent = 0u64;
        let mut page = None;
        for index in 0..size {
            let at = array.add(index * entry_size);
            // A slot that crosses pages takes the second one; the first was taken before.
            let last = at.add(entry_size - 1).page();
            let taken = if page.replace(last) == Some(last) { Ok(()) } else { budget.take(kernel) };
            let read = taken.and_then(|()| match window.read(at, self.entry.size) {
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

    /// Decodes a slot, before the chain of free entries is followed.
    fn slot(&self, kernel: &Kernel, at: Va, raw: &[u8]) -> Slot {
        let space = kernel.space();
        let allocation = self.entry.decode(raw).allocation(at, Source::Tracker);
        let is_allocation = space.is_kernel(allocation.address)
            && space.is_kernel(allocation.caller)
            && allocation.size != 0;
        let state = if is_allocation { EntryState::InUse } else { EntryState::Free };
        let next = self.next.get(raw).unwrap_or(u64::MAX);
        Slot { next, is_chained: false, entry: TrackerEntry { state, allocation } }
    }
}

/// An entry of the array.
struct Slot {
    /// The next free entry, if this one is free.
    next: u64,
    /// True if it is on the chain of free entries.
    is_chained: bool,
    entry: TrackerEntry,
}
