//! What the tracking data of a driver's images holds, free slots too.

use super::contiguous::read_contiguous;
use crate::addr::Va;
use crate::error::Error;
use crate::kernel::Kernel;
use crate::verifier::allocation::{Allocation, Source};
use crate::verifier::drivers::{Driver, Recovered, TargetDriver};
use crate::verifier::tracking::{PageBudget, Tracker, Trackers};

impl Tracker {
    /// Reads every slot of the pages of one `_VF_TARGET_VERIFIED_DRIVER_DATA`, free slots too; `owner` names
    /// the driver in problems.
    ///
    /// # Errors
    /// [`Error::MissingType`] if the types of the entries are not in the symbols.
    pub fn read(kernel: &Kernel, owner: &str, verified_data: Va) -> Result<Self, Error> {
        let types = kernel.types()?;
        let trackers = Trackers::resolve(types, kernel.space().machine())?;
        let recovered = Recovered::new(kernel, types);
        let pages = |data| recovered.pages_of(data);
        Ok(trackers.read(kernel, owner, verified_data, &pages, &mut PageBudget::of(kernel)))
    }
}

/// What one image of a driver holds.
pub(crate) struct ImagePool {
    /// The slots of its tracking pages.
    pub(crate) tracker: Tracker,
    /// Its contiguous memory, in the order of the list.
    pub(crate) contiguous: Vec<Allocation>,
}

/// Calls `each` with what every image of `drivers` holds, and the number of its driver. All images share the
/// limits of pages and of list entries.
///
/// # Errors
/// As [`Tracker::read`].
pub(crate) fn for_each_image<'d>(
    kernel: &Kernel,
    drivers: impl Iterator<Item = &'d Driver>,
    recovered: &Recovered<'_>,
    each: &mut dyn FnMut(usize, &'d Driver, &'d TargetDriver, ImagePool),
) -> Result<(), Error> {
    let trackers = Trackers::resolve(kernel.types()?, kernel.space().machine())?;
    let pages = |data| recovered.pages_of(data);
    let mut budget = PageBudget::of(kernel);
    let mut lists = kernel.limits().clone();
    for (index, driver) in drivers.enumerate() {
        for image in &driver.images {
            let (owner, data) = (&driver.name, image.verified_data);
            let mut tracker = trackers.read(kernel, owner, data, &pages, &mut budget);
            // A search found the image, and so all that it holds.
            if image.is_carved {
                tracker.entries.iter_mut().for_each(|one| one.allocation.source = Source::Carved);
            }
            let contiguous = trackers.contiguous().map(|head| {
                read_contiguous(
                    kernel,
                    owner,
                    data.add(head),
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
