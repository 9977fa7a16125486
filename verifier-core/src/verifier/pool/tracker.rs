//! What a driver's trackers hold, free slots too.

use super::Allocation;
use crate::addr::Va;
use crate::error::{Error, Problem};
use crate::kernel::Kernel;
use crate::verifier::contiguous::read_contiguous;
use crate::verifier::drivers::{Driver, TargetDriver};
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

/// What one image of a driver holds.
pub(crate) struct ImagePool {
    /// The slots of its tracking pages.
    pub(crate) tracker: Tracker,
    /// Its contiguous memory, in the order of the list.
    pub(crate) contiguous: Vec<Allocation>,
}

/// What every image of `drivers` holds, who share the limits of pages and of list entries: each call of
/// `each` has one's, and the number of its driver.
///
/// # Errors
/// As [`Tracker::read`].
pub(crate) fn for_each_image<'d>(
    kernel: &Kernel,
    drivers: impl Iterator<Item = &'d Driver>,
    lost: &Lost<'_>,
    each: &mut dyn FnMut(usize, &'d Driver, &'d TargetDriver, ImagePool),
) -> Result<(), Error> {
    let trackers = Trackers::resolve(kernel)?;
    let mut budget = PageBudget::of(kernel);
    let mut lists = kernel.limits().clone();
    for (index, driver) in drivers.enumerate() {
        for image in &driver.images {
            let mut tracker = trackers.read_image(kernel, &driver.name, image, lost, &mut budget);
            let contiguous = trackers.contiguous().map(|head| {
                read_contiguous(
                    kernel,
                    &driver.name,
                    image.verified_data.add(head),
                    image.counters.get("ContiguousMemoryBytes"),
                    &mut lists,
                    &mut tracker.problems,
                )
            });
            let contiguous = contiguous.unwrap_or_default();
            each(index, driver, image, ImagePool { tracker, contiguous });
        }
    }
    Ok(())
}
