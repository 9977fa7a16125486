//! Drivers that Verifier is configured for, joined with the images that it verifies.

mod before_win7;
mod check;
mod driver;
mod join;
mod name;
mod owner;
mod recovered;
mod suspects;
mod targets;
mod unload;

pub use driver::{Driver, DriverState, TargetDriver};
pub(super) use name::is_named;
pub use owner::{NO_DRIVER, code_site, is_kernel_or_verifier, is_verifier_image};
pub(super) use owner::{Owner, Owners};
pub(crate) use recovered::Recovered;
pub(super) use suspects::{Suspect, SuspectLayout};
pub(super) use targets::{Target, TargetLayout, targets};
pub(super) use unload::Unload;

use self::check::{check, module_problem};
use self::join::{Join, part_twins};
use self::suspects::suspects;
use self::targets::{DATA_SIGNATURE, Verified};
use super::totals;
use super::tracking::is_before_win7;
use crate::error::{Error, Problem};
use crate::kernel::Kernel;

/// Configured drivers.
///
/// `VfSuspectDriversList` is a list of `_VF_SUSPECT_DRIVER_ENTRY`: configured names, with counts of loads and
/// unloads. `ViTargetDriversAvl` is a `_VF_AVL_TREE` of `_VF_TARGET_DRIVER`: every image in memory. Images
/// that are verified have `VerifiedData`, whose `SuspectDriverEntry` points back at the name. Several images
/// may belong to one name (a wildcard, a reload), so the join goes from the images to the names and adds the
/// counters up, as the kernel's own query does (`VfSuspectDriversGetVerifierInformation`). Windows 7 to 11;
/// checked on 7601, 9600, 19041, 22000. Kernels before Windows 7 have one structure for both.
///
/// A driver that was unloaded while it held pool (bug check 0xC4/0x62) may be neither in the tree nor in the
/// list: the bug check's parameters still lead to its data. If the tree is broken, or lacks an image that the
/// list says is loaded, the data of drivers is found by its signature and by the tracking pages that it owns.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Drivers {
    /// In the order of the list.
    pub drivers: Vec<Driver>,
    /// What could not be read or does not fit.
    pub problems: Vec<Problem>,
}

impl Drivers {
    /// Reads the list and the tree, and joins them.
    ///
    /// # Errors
    /// If the kernel's symbols are missing, or do not have the list and no image is verified either.
    pub fn read(kernel: &Kernel) -> Result<Self, Error> {
        let mut drivers = Self::read_with(kernel, &Recovered::new(kernel, kernel.types()?))?;
        kernel.report_into(&mut drivers.problems);
        Ok(drivers)
    }

    /// The same. If the tree does not lead to all images, `recovered` does.
    pub(crate) fn read_with(kernel: &Kernel, recovered: &Recovered<'_>) -> Result<Self, Error> {
        let drivers = Self::read_by(kernel, Some(recovered))?;
        // The logs of the same answer need not read list and tree again.
        kept_contradictions(kernel, || drivers.contradictions(kernel));
        Ok(drivers)
    }

    /// Only what list and tree lead to: nothing is searched for, even if they are broken.
    pub(super) fn read_listed(kernel: &Kernel) -> Result<Self, Error> {
        Self::read_by(kernel, None)
    }

    fn read_by(kernel: &Kernel, recovered: Option<&Recovered<'_>>) -> Result<Self, Error> {
        if is_before_win7(kernel.types()?)? {
            let (drivers, problems) = before_win7::read_drivers(kernel)?;
            return Ok(Self { drivers, problems });
        }
        let layout = TargetLayout::resolve(kernel.types()?)?;
        let mut problems = Vec::new();
        let (mut drivers, listless) = match kernel.global("VfSuspectDriversList") {
            Ok(head) => (suspects(kernel, &layout.suspect, head, &mut problems), None),
            Err(error) => (Vec::new(), Some(error)),
        };
        let is_listed = listless.is_none() && problems.is_empty();
        let before = problems.len();
        let mut images = match kernel.global("ViTargetDriversAvl") {
            Ok(tree) => targets(kernel, &layout, tree, kernel.limits(), &mut problems),
            Err(error) => {
                problems.push(Problem::from_error("tree of target drivers", &error));
                Vec::new()
            }
        };
        part_twins(kernel, &drivers, &mut images, &mut problems);
        // A driver that is loaded has an image in the tree.
        let is_on_tree = |driver: &Driver| {
            driver.loads <= driver.unloads
                || images.iter().any(|(entry, _)| Some(*entry) == driver.suspect_entry)
        };
        let is_broken = problems.len() > before || !drivers.iter().all(is_on_tree);
        // If list and tree are both lost, only the blocks that Verifier counts show it. They may belong to a
        // driver that was just unloaded.
        let is_nowhere =
            images.is_empty() && Unload::of(kernel).is_none() && totals::tracks_blocks(kernel);
        if let Some(recovered) = recovered.filter(|_| is_broken || is_nowhere) {
            recovered.add_to(&mut images, &mut problems);
        }
        if let Some(error) = listless {
            if images.is_empty() {
                return Err(error);
            }
            problems.push(Problem::from_error("list of configured drivers", &error));
        }
        Join { kernel, layout: &layout.suspect, is_listed }.add(
            images,
            &mut drivers,
            &mut problems,
        );
        if let Some(unload) = Unload::of(kernel) {
            add_unloaded(kernel, &layout, unload, &mut drivers, &mut problems);
        }
        check(kernel, &drivers, &mut problems);
        let mut found = Self { drivers, problems };
        found.problems.extend(found.sum_problems(kernel));
        Ok(found)
    }

    /// The sums in `MmVerifierData` that these drivers do not add up to. A driver that was unloaded while it
    /// held blocks (bug check 0xC4/0x62) explains a difference.
    pub(super) fn sum_problems(&self, kernel: &Kernel) -> Vec<Problem> {
        if Unload::of(kernel).is_some() {
            return Vec::new();
        }
        let images = self.drivers.iter().flat_map(|driver| &driver.images);
        let counters: Vec<_> = images.map(|image| &image.counters).collect();
        totals::compare(kernel, &counters)
    }

    /// Where the module list contradicts the tree of verified images. Every view that names addresses by
    /// modules depends on it. List and tree are read once for all views.
    pub(super) fn module_problems(kernel: &Kernel) -> Vec<Problem> {
        if kernel.types().is_err() {
            return Vec::new();
        }
        kept_contradictions(kernel, || {
            Self::read_listed(kernel).map(|found| found.contradictions(kernel)).unwrap_or_default()
        })
    }

    fn contradictions(&self, kernel: &Kernel) -> Vec<Problem> {
        let drivers = self.drivers.iter();
        let images = drivers.flat_map(|driver| driver.images.iter().map(move |one| (driver, one)));
        images.filter_map(|(driver, image)| module_problem(kernel, driver, image)).collect()
    }
}

/// Where the module list contradicts the tree, by the kernel's own types or by built-in ones: types that are
/// supplied later may lead to other images.
struct Contradictions<const HAS_OWN_TYPES: bool>(Vec<Problem>);

/// The contradictions that the kernel keeps, else those that `find` finds, which are then kept.
fn kept_contradictions(kernel: &Kernel, find: impl FnOnce() -> Vec<Problem>) -> Vec<Problem> {
    match kernel.has_own_types() {
        true => kernel.search_once(|| Contradictions::<true>(find())).0.clone(),
        false => kernel.search_once(|| Contradictions::<false>(find())).0.clone(),
    }
}

/// Adds the driver that bug check 0xC4/0x62 names, unless the tree has it.
fn add_unloaded(
    kernel: &Kernel,
    layout: &TargetLayout,
    unload: Unload,
    drivers: &mut Vec<Driver>,
    problems: &mut Vec<Problem>,
) {
    let mut images = drivers.iter().flat_map(|driver| &driver.images);
    if images.any(|image| image.verified_data == unload.data) {
        return;
    }
    let what = "driver that bug check 0xc4/0x62 is about";
    let (entry, counters) = match layout.verified(kernel, unload.data, problems) {
        Ok(Verified { signature: DATA_SIGNATURE, entry, counters }) => (entry, counters),
        // Nothing else shows that this is data of Verifier.
        Ok(_) => return,
        Err(error) => {
            problems.push(Problem::at(what, unload.data, error));
            return;
        }
    };
    let listed = drivers.iter().position(|driver| driver.suspect_entry == Some(entry));
    let name = match listed.and_then(|index| drivers.get(index)) {
        Some(driver) => driver.name.clone(),
        None => unload.name(kernel).unwrap_or_else(|error| {
            problems.push(Problem::from_error(format!("name of the {what}"), &error));
            format!("driver_{}", unload.data)
        }),
    };
    let image = TargetDriver::off_tree(kernel, &name, unload.data, counters);
    match listed.and_then(|index| drivers.get_mut(index)) {
        Some(driver) => {
            driver.images.push(image);
            driver.from_bug_check = true;
        }
        None => {
            let images = vec![image];
            drivers.push(Driver { name, images, from_bug_check: true, ..Driver::none() });
        }
    }
}
