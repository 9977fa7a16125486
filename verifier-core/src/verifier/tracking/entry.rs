//! Entries of tracking data, as they are in memory and as views show them.

use crate::addr::Va;
use crate::error::Problem;
use crate::verifier::allocation::{Allocation, Source};
use crate::verifier::tag::PoolTag;

/// An entry as it is in memory.
#[derive(Clone, Copy)]
pub(in crate::verifier) struct RawEntry {
    /// `VirtualAddress`: the block, or the link of a free entry.
    pub(in crate::verifier) word: Va,
    /// `CallingAddress`.
    pub(in crate::verifier) caller: Va,
    /// `NumberOfBytes`. Bit 0 is set in a free entry; special pool can have odd sizes too.
    pub(in crate::verifier) size: u64,
    /// `Tag`.
    pub(in crate::verifier) tag: PoolTag,
}

impl RawEntry {
    /// True if bit 0 of the size is set.
    pub(in crate::verifier) fn is_marked_free(&self) -> bool {
        self.size & 1 != 0
    }

    /// The block. Bit 0 marks special pool while the allocation is being made.
    pub(in crate::verifier) fn block(&self) -> Va {
        Va(self.word.0 & !1)
    }

    /// The allocation of the entry at `entry`.
    pub(super) fn allocation(&self, entry: Va, source: Source) -> Allocation {
        let (address, caller, size, tag) = (self.block(), self.caller, self.size, self.tag);
        Allocation { address, size, tag, caller, entry, source, impossible: None }
    }
}

/// Whether an entry holds an allocation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum EntryState {
    /// The block is allocated.
    InUse,
    /// Freed, or never used. A freed entry keeps all but its first word.
    Free,
}

/// A slot of a driver's tracking pages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct TrackerEntry {
    /// In use or free.
    pub state: EntryState,
    /// What the slot holds. In a free entry `address` is the link of the free list, `size` is without the
    /// free bit, and the other fields are left from the last allocation.
    pub allocation: Allocation,
}

/// What a driver's tracking pages hold.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Tracker {
    /// Every slot: pages in the order of the list, slots ascending.
    pub entries: Vec<TrackerEntry>,
    /// The pages.
    pub pages: Vec<Va>,
    /// What could not be read or does not fit.
    pub problems: Vec<Problem>,
}

impl Tracker {
    /// The allocations of the slots that are in use.
    pub(in crate::verifier) fn in_use(&self) -> impl Iterator<Item = &Allocation> {
        let entries = self.entries.iter().filter(|entry| entry.state == EntryState::InUse);
        entries.map(|entry| &entry.allocation)
    }
}
