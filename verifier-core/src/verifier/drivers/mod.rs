//! Drivers that Verifier is configured for, joined with the images that it verifies.
//!
//! `VfSuspectDriversList` is a list of `_VF_SUSPECT_DRIVER_ENTRY`: names that were configured, with
//! counts of loads and unloads. `ViTargetDriversAvl` is a `_VF_AVL_TREE` of `_VF_TARGET_DRIVER`: every
//! image in memory; those that are verified have `VerifiedData`, whose `SuspectDriverEntry` points
//! back at the name. Several images may belong to one name (a wildcard, a reload), so the join goes
//! from the images to the names and counters are summed, as the kernel's own query does it
//! (`VfSuspectDriversGetVerifierInformation`). Windows 7 to 11; checked on 7601, 9600, 19041, 22000.
//! Kernels before 7 have one structure for both: see `old.rs`.
//!
//! A driver that was unloaded while it held pool (bug check 0xC4/0x62) may be off the tree, and off the
//! list: the bug check's parameters lead to its data all the same. Where the tree is broken, or does not
//! have what the list says is loaded, the data of drivers are found by their signature and by the tracking
//! pages that they own (see `lost.rs`).

mod check;
mod join;
mod suspects;
mod targets;

pub(super) use check::check_images;
use check::{check, module_problem};
pub(super) use join::name_unnamed;
use join::{Join, part_twins};
pub(super) use suspects::{SuspectLayout, sound_suspect, suspect, suspects};
use targets::Verified;
pub(super) use targets::{DATA_SIGNATURE, Layout, targets, verified};

use super::counters::Counters;
use super::lost::Lost;
use super::old;
use super::totals;
use super::unload::Unload;
use crate::addr::Va;
use crate::error::{Error, Problem};
use crate::kernel::Kernel;

/// What became of a configured driver.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DriverState {
    /// Loaded more often than unloaded.
    Loaded,
    /// Unloaded as often as loaded.
    Unloaded,
    /// Not loaded since it was configured.
    NeverLoaded,
}

impl DriverState {
    /// The word in tables and JSON.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            DriverState::Loaded => "loaded",
            DriverState::Unloaded => "unloaded",
            DriverState::NeverLoaded => "never loaded",
        }
    }
}

/// A configured driver.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Driver {
    /// `BaseName`: the file name that was configured.
    pub name: String,
    /// Its `_VF_SUSPECT_DRIVER_ENTRY`; `None` for an image whose entry is no longer in the list.
    pub suspect_entry: Option<Va>,
    /// `Loads`.
    pub loads: u32,
    /// `Unloads`.
    pub unloads: u32,
    /// Its images in memory that are verified, in order of their addresses.
    pub images: Vec<TargetDriver>,
    /// True where the tree no longer has it, and bug check 0xC4/0x62 led to its data.
    pub from_bug_check: bool,
}

impl Driver {
    /// What stands for no driver at all: without name, entry and images.
    #[must_use]
    pub fn none() -> Self {
        Self {
            name: String::new(),
            suspect_entry: None,
            loads: 0,
            unloads: 0,
            images: Vec::new(),
            from_bug_check: false,
        }
    }

    /// What became of it, by the counts.
    #[must_use]
    pub fn state(&self) -> DriverState {
        // Counts are unknown where the entry is not in the list; an image is there, or was.
        let is_there = self.loads == 0 && !self.images.is_empty();
        if self.loads > self.unloads || (is_there && !self.from_bug_check) {
            DriverState::Loaded
        } else if self.loads > 0 || is_there {
            DriverState::Unloaded
        } else {
            DriverState::NeverLoaded
        }
    }

    /// The counters of all its images.
    #[must_use]
    pub fn counters(&self) -> Counters {
        let mut images = self.images.iter();
        let mut sum = images.next().map(|image| image.counters.clone()).unwrap_or_default();
        for image in images {
            sum.add(&image.counters);
        }
        sum
    }

    /// True where `pattern` names this driver: its file name without regard to case, with or
    /// without the extension.
    #[must_use]
    pub fn is_named(&self, pattern: &str) -> bool {
        is_named(&self.name, pattern)
    }
}

/// True where `pattern` is the file name `name`, with or without the extension.
pub(super) fn is_named(name: &str, pattern: &str) -> bool {
    let stem = name.rsplit_once('.').map_or(name, |(stem, _)| stem);
    name.eq_ignore_ascii_case(pattern) || stem.eq_ignore_ascii_case(pattern)
}

/// A verified image.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct TargetDriver {
    /// Its `_VF_TARGET_DRIVER`; null where the tree no longer has it, and before Windows 7.
    pub address: Va,
    /// `TreeNode.p`: the image's base. Of an image that is off the tree the module's of its name, null
    /// where there is none.
    pub base: Va,
    /// `TreeNode.RangeSize`: the image's size.
    pub size: u64,
    /// `VerifiedData`: its `_VF_TARGET_VERIFIED_DRIVER_DATA`; before Windows 7 its
    /// `_MI_VERIFIER_DRIVER_ENTRY`.
    pub verified_data: Va,
    /// The integers of that structure from `CurrentPagedPoolAllocations` on.
    pub counters: Counters,
    /// True where the tree does not lead to it, and its data were found by their signature or by the
    /// tracking pages that they own.
    pub is_carved: bool,
}

impl TargetDriver {
    /// An image of the driver called `name` that the tree does not lead to: where it lies the modules tell.
    pub(super) fn off_tree(
        kernel: &Kernel,
        name: &str,
        verified_data: Va,
        counters: Counters,
    ) -> Self {
        let (base, size) = range_of(kernel, name);
        Self { address: Va(0), base, size, verified_data, counters, is_carved: false }
    }
}

/// Configured drivers.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
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
    /// Where the kernel's symbols are missing or do not have the list, and no image is verified either.
    pub fn read(kernel: &Kernel) -> Result<Self, Error> {
        let mut drivers = Self::read_with(kernel, &Lost::new(kernel, kernel.types()?))?;
        kernel.report_into(&mut drivers.problems);
        Ok(drivers)
    }

    /// The same; if the tree does not lead to all images, `lost` does.
    pub(crate) fn read_with(kernel: &Kernel, lost: &Lost<'_>) -> Result<Self, Error> {
        Self::read_by(kernel, Some(lost))
    }

    /// What list and tree lead to: nothing is searched for, however broken they are.
    pub(super) fn read_listed(kernel: &Kernel) -> Result<Self, Error> {
        Self::read_by(kernel, None)
    }

    fn read_by(kernel: &Kernel, lost: Option<&Lost<'_>>) -> Result<Self, Error> {
        if old::is_old(kernel.types()?)? {
            return old::read_drivers(kernel);
        }
        let layout = Layout::resolve(kernel.types()?)?;
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
        // A driver that is loaded has an image on the tree.
        let is_on_tree = |driver: &Driver| {
            driver.loads <= driver.unloads
                || images.iter().any(|(entry, _)| Some(*entry) == driver.suspect_entry)
        };
        let is_broken = problems.len() > before || !drivers.iter().all(is_on_tree);
        // If list and tree are both lost, only the blocks that Verifier counts say so. They may be those of a
        // driver that was just unloaded.
        let is_nowhere =
            images.is_empty() && Unload::of(kernel).is_none() && totals::tracks_blocks(kernel);
        if let Some(lost) = lost.filter(|_| is_broken || is_nowhere) {
            lost.add_to(&mut images, &mut problems);
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

    /// The sums in `MmVerifierData` that these drivers do not add up to. A driver that was unloaded with its
    /// blocks (bug check 0xC4/0x62) explains a difference.
    pub(super) fn sum_problems(&self, kernel: &Kernel) -> Vec<Problem> {
        if Unload::of(kernel).is_some() {
            return Vec::new();
        }
        let images = self.drivers.iter().flat_map(|driver| &driver.images);
        let counters: Vec<_> = images.map(|image| &image.counters).collect();
        totals::compare(kernel, &counters)
    }

    /// Where the module list contradicts the tree of verified images. Every view that names addresses by
    /// modules depends on it.
    pub(super) fn module_problems(kernel: &Kernel) -> Vec<Problem> {
        let Ok(Self { drivers, .. }) = Self::read_listed(kernel) else { return Vec::new() };
        let images =
            drivers.iter().flat_map(|driver| driver.images.iter().map(move |one| (driver, one)));
        images.filter_map(|(driver, image)| module_problem(kernel, driver, image)).collect()
    }
}

/// Adds the driver that the bug check is about, unless the tree has it.
fn add_unloaded(
    kernel: &Kernel,
    layout: &Layout,
    unload: Unload,
    drivers: &mut Vec<Driver>,
    problems: &mut Vec<Problem>,
) {
    let mut images = drivers.iter().flat_map(|driver| &driver.images);
    if images.any(|image| image.verified_data == unload.data) {
        return;
    }
    let what = "driver that bug check 0xc4/0x62 is about";
    let (entry, counters) = match verified(kernel, layout, unload.data, problems) {
        Ok(Verified { signature: DATA_SIGNATURE, entry, counters }) => (entry, counters),
        // Nothing else says that there is anything of Verifier's.
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

/// Where the image of that name lies or lay, and its bytes; null where no module has the name.
fn range_of(kernel: &Kernel, name: &str) -> (Va, u64) {
    let modules = kernel.modules();
    if let Some(module) = modules.by_name(name) {
        return (module.base, module.size.into());
    }
    let mut unloaded = modules.unloaded().iter();
    match unloaded.find(|module| module.name.eq_ignore_ascii_case(name)) {
        Some(module) => (module.start, module.end.0.saturating_sub(module.start.0)),
        None => (Va(0), 0),
    }
}
