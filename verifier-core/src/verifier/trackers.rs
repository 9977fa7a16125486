//! What a driver remembers its allocations in: pages of entries, or XP's array.

use super::drivers::TargetDriver;
use super::lost::Lost;
use super::old::PoolHash;
use super::pool::{Layout, Source, Tracker};
use crate::addr::{PAGE_SIZE, Va};
use crate::error::{Error, STOPPED};
use crate::kernel::Kernel;

/// Pages of entries that may still be read. All drivers share it: no two of them have a page together.
pub(super) struct PageBudget {
    left: usize,
    limit: usize,
}

impl PageBudget {
    /// The kernel's limit, and no more pages than the memory holds.
    pub(super) fn of(kernel: &Kernel) -> Self {
        let held = kernel.space().memory().held();
        let held =
            held.map_or(usize::MAX, |held| (held / PAGE_SIZE).try_into().unwrap_or(usize::MAX));
        let limit = kernel.limits().tracker_pages.min(held);
        Self { left: limit, limit }
    }

    /// Takes one page.
    ///
    /// # Errors
    /// Why no more may be read, in words.
    pub(super) fn take(&mut self, kernel: &Kernel) -> Result<(), String> {
        if kernel.is_stopped() {
            return Err(STOPPED.into());
        }
        self.left = self.left.checked_sub(1).ok_or_else(|| {
            format!(
                "limit of {} pages reached (Limits::tracker_pages, and what memory holds)",
                self.limit
            )
        })?;
        Ok(())
    }
}

/// The build's kind of trackers, resolved once.
pub(super) enum Trackers {
    Pages(Layout),
    Hash(PoolHash),
}

impl Trackers {
    pub(super) fn resolve(kernel: &Kernel) -> Result<Self, Error> {
        let types = kernel.types()?;
        Ok(match PoolHash::resolve(types)? {
            Some(hash) => Trackers::Hash(hash),
            None => Trackers::Pages(Layout::resolve(types, kernel.space().machine())?),
        })
    }

    /// Where the head of the list of contiguous memory lies in a driver's data, where it has one.
    pub(super) fn contiguous(&self) -> Option<u64> {
        match self {
            Trackers::Pages(layout) => layout.contiguous,
            Trackers::Hash(_) => None,
        }
    }

    /// Every entry of the driver whose data lie at `data`; `owner` names it in problems. `lost` has its
    /// pages where their list is broken.
    pub(super) fn read(
        &self,
        kernel: &Kernel,
        owner: &str,
        data: Va,
        lost: &Lost<'_>,
        budget: &mut PageBudget,
    ) -> Tracker {
        let mut problems = Vec::new();
        let tracker = match self {
            Trackers::Pages(layout) => {
                layout.read(kernel, owner, data, Some(lost), budget, &mut problems)
            }
            Trackers::Hash(hash) => hash.read(kernel, owner, data, budget, &mut problems),
        };
        Tracker { problems, ..tracker }
    }

    /// The same of one image of the driver: what an image holds that was carved is carved too.
    pub(super) fn read_image(
        &self,
        kernel: &Kernel,
        owner: &str,
        image: &TargetDriver,
        lost: &Lost<'_>,
        budget: &mut PageBudget,
    ) -> Tracker {
        let mut tracker = self.read(kernel, owner, image.verified_data, lost, budget);
        if image.is_carved {
            tracker.entries.iter_mut().for_each(|one| one.allocation.source = Source::Carved);
        }
        tracker
    }
}
