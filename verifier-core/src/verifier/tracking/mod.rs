//! How a driver's allocations are remembered: pages of entries, or XP's array of them.
//!
//! This room knows entries and pages, and not whose they are: a caller gives the address of a driver's data.

mod budget;
mod entry;
mod hash;
mod layout;
mod pages;

pub(super) use budget::PageBudget;
pub(super) use entry::RawEntry;
pub use entry::{EntryState, Tracker, TrackerEntry};
pub(super) use layout::{
    ENTRY_BEFORE_WIN7, ListLayout, PAGE_SIGNATURE, PageLayout, is_before_win7,
};

use self::hash::PoolHash;
use self::pages::PageReader;
use crate::addr::Va;
use crate::error::Error;
use crate::kernel::Kernel;
use crate::machine::Machine;
use crate::types::TypeSource;

/// The build's kind of tracking data, with its layouts.
pub(super) enum Trackers {
    /// Pages of entries.
    Pages(PageLayout, ListLayout),
    /// XP's array.
    Hash(PoolHash),
}

impl Trackers {
    pub(super) fn resolve(types: &dyn TypeSource, machine: Machine) -> Result<Self, Error> {
        Ok(match PoolHash::resolve(types)? {
            Some(hash) => Trackers::Hash(hash),
            None => {
                Trackers::Pages(PageLayout::resolve(types)?, ListLayout::resolve(types, machine)?)
            }
        })
    }

    /// The offset of the list of contiguous memory in a driver's data, if the build has it.
    pub(super) fn contiguous(&self) -> Option<u64> {
        match self {
            Trackers::Pages(_, lists) => lists.contiguous,
            Trackers::Hash(_) => None,
        }
    }

    /// Reads every entry of the driver whose data is at `data`; `owner` names the driver in problems. If the
    /// list of its pages is broken, `recovered` is asked for pages that were found in other ways.
    pub(super) fn read<'r>(
        &self,
        kernel: &Kernel,
        owner: &str,
        data: Va,
        recovered: &dyn Fn(Va) -> &'r [Va],
        budget: &mut PageBudget,
    ) -> Tracker {
        match self {
            Trackers::Pages(page, lists) => {
                PageReader::new(kernel, page, lists, owner, data).read(recovered, budget)
            }
            Trackers::Hash(hash) => hash.read(kernel, owner, data, budget),
        }
    }
}
