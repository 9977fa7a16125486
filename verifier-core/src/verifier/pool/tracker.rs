//! What a driver's trackers hold, free slots too.

use super::Allocation;
use crate::addr::Va;
use crate::error::{Error, Problem};
use crate::kernel::Kernel;
use crate::verifier::drivers::Driver;
use crate::verifier::lost::Lost;
use crate::verifier::trackers::{PageBudget, Trackers};

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
        let lost = Lost::new(kernel, kernel.types()?);
        Ok(trackers.read(kernel, owner, verified_data, &lost, &mut PageBudget::of(kernel)))
    }
}

/// The slots of every image of `drivers`, who share the limit of pages: each call of `each` has one's.
///
/// # Errors
/// As [`Tracker::read`].
pub(crate) fn for_each_tracker(
    kernel: &Kernel,
    drivers: &[Driver],
    lost: &Lost<'_>,
    each: &mut dyn FnMut(&Driver, Tracker),
) -> Result<(), Error> {
    let trackers = Trackers::resolve(kernel)?;
    let mut budget = PageBudget::of(kernel);
    for driver in drivers {
        for image in &driver.images {
            each(driver, trackers.read_image(kernel, &driver.name, image, lost, &mut budget));
        }
    }
    Ok(())
}
