//! To which configured driver a verified image belongs: the entry that its data points at, and the module at
//! its base, decide.

use super::driver::{Driver, TargetDriver};
use super::name::is_named_by;
use super::suspects::{SuspectLayout, sound_suspect};
use super::targets::Target;
use crate::addr::Va;
use crate::error::Problem;
use crate::kernel::Kernel;

/// Verified data belongs to one image. If several nodes lead to the same data, the node stays whose module
/// has the configured name, else the first.
pub(super) fn part_twins(
    kernel: &Kernel,
    drivers: &[Driver],
    images: &mut Vec<Target>,
    problems: &mut Vec<Problem>,
) {
    let is_right = |(entry, image): &Target| {
        let driver = drivers.iter().find(|driver| driver.suspect_entry == Some(*entry));
        let module = kernel.modules().starting_at(image.base);
        driver.zip(module).is_some_and(|(driver, module)| is_named_by(&driver.name, &module.name))
    };
    let mut order: Vec<usize> = (0..images.len()).collect();
    // A stable sort: equal images stay in the order of the tree.
    order.sort_by_key(|&i| images.get(i).map(|one| (one.1.verified_data, !is_right(one))));
    let mut twins = vec![false; images.len()];
    let mut kept: Option<&TargetDriver> = None;
    for i in order {
        let (Some((_, image)), Some(twin)) = (images.get(i), twins.get_mut(i)) else { continue };
        match kept.filter(|kept| kept.verified_data == image.verified_data) {
            None => kept = Some(image),
            Some(other) => {
                *twin = true;
                let why = format!(
                    "it leads to the data of the image at {} (node {}); its own data is unknown",
                    other.base, other.address
                );
                let what = format!("verified image at {}", image.base);
                problems.push(Problem::at(what, image.address, why));
            }
        }
    }
    let mut twins = twins.into_iter();
    images.retain(|_| !twins.next().unwrap_or(false));
}

/// Names each driver whose configured name cannot be read after the module of its image.
pub(super) fn name_unnamed(kernel: &Kernel, drivers: &mut [Driver]) {
    for driver in drivers.iter_mut().filter(|driver| driver.name.is_empty()) {
        let mut bases = driver.images.iter().map(|image| image.base);
        driver.name = match bases.find_map(|base| kernel.modules().starting_at(base)) {
            Some(module) => module.name.clone(),
            None => format!("driver_{}", driver.suspect_entry.unwrap_or_default()),
        };
    }
}

/// Joins images with configured drivers.
pub(super) struct Join<'a> {
    pub(super) kernel: &'a Kernel,
    pub(super) layout: &'a SuspectLayout,
    /// True if the list of configured drivers was read to its end.
    pub(super) is_listed: bool,
}

impl Join<'_> {
    /// Gives each image to its driver. An image whose entry is not in the list gets a new driver.
    pub(super) fn add(
        &self,
        images: Vec<Target>,
        drivers: &mut Vec<Driver>,
        problems: &mut Vec<Problem>,
    ) {
        let entries: Vec<Va> = images.iter().map(|(entry, _)| *entry).collect();
        for (entry, image) in images {
            match self.owner(entry, &image, &entries, drivers, problems) {
                Some(driver) => driver.images.push(image),
                None => drivers.push(self.unlisted(entry, image)),
            }
        }
        name_unnamed(self.kernel, drivers);
    }

    /// The driver whose entry the image's data points at. But if the module at the image's base has the name
    /// of another driver, and that one is loaded and has no other image, the data points at the wrong entry.
    fn owner<'d>(
        &self,
        entry: Va,
        image: &TargetDriver,
        entries: &[Va],
        drivers: &'d mut [Driver],
        problems: &mut Vec<Problem>,
    ) -> Option<&'d mut Driver> {
        let listed = drivers.iter().position(|driver| driver.suspect_entry == Some(entry));
        let module = self.kernel.modules().starting_at(image.base);
        let is_named =
            |driver: &Driver| module.is_some_and(|module| is_named_by(&driver.name, &module.name));
        let has_image =
            |driver: &Driver| driver.suspect_entry.is_some_and(|entry| entries.contains(&entry));
        let fits = listed.and_then(|index| drivers.get(index)).is_some_and(is_named);
        let named = drivers.iter().position(|driver| {
            !fits && is_named(driver) && driver.loads > driver.unloads && !has_image(driver)
        });
        let name = named.and(module).map(|module| &module.name);
        let why = match (listed, name) {
            (Some(_), None) => None,
            (Some(_), Some(name)) => {
                Some(format!("its entry is {entry}, but the module at its base is {name}"))
            }
            (None, name) => Some(format!(
                "its entry {entry} is not in the list of configured drivers{}",
                name.map(|name| format!("; the module at its base is {name}")).unwrap_or_default()
            )),
        };
        if let Some(why) = why {
            let at = if image.is_carved { image.verified_data } else { image.address };
            problems.push(Problem::at("target driver", at, why));
        }
        drivers.get_mut(named.or(listed)?)
    }

    /// A driver that is not in the list (a torn dump, a driver that is being removed). If the list is broken,
    /// its entry may still have the name; else the name is that of the image.
    fn unlisted(&self, entry: Va, image: TargetDriver) -> Driver {
        let Self { kernel, layout, is_listed } = *self;
        if !is_listed && let Some(driver) = sound_suspect(kernel, layout, entry) {
            return Driver { images: vec![image], ..driver };
        }
        let modules = kernel.modules();
        let name = modules
            .find(image.base)
            .map(|(_, module)| module.name.clone())
            .or_else(|| Some(modules.find_unloaded(image.base)?.name.clone()))
            .unwrap_or_else(|| format!("image_{}", image.base));
        Driver { name, images: vec![image], ..Driver::none() }
    }
}
