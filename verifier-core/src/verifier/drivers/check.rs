//! What contradicts a driver's entry and images: its own counts, the module list, another image.

use super::driver::{Driver, TargetDriver};
use super::name::is_named_by;
use super::unload::Unload;
use crate::addr::PAGE_SIZE;
use crate::error::Problem;
use crate::kernel::{Kernel, ModuleSource};

/// What does not fit in the entries and images of `drivers`.
pub(super) fn check(kernel: &Kernel, drivers: &[Driver], problems: &mut Vec<Problem>) {
    let unload = Unload::of(kernel);
    // The driver of bug check 0xC4/0x62 is half unloaded: its counts and its image need not agree.
    let is_going = |driver: &Driver| unload.is_some_and(|unload| unload.is_of(driver));
    for driver in drivers.iter().filter(|driver| !is_going(driver)) {
        counts(driver, problems);
    }
    check_images(kernel, drivers, problems);
}

/// What does not fit in the images of `drivers`.
pub(super) fn check_images(kernel: &Kernel, drivers: &[Driver], problems: &mut Vec<Problem>) {
    for driver in drivers {
        for image in &driver.images {
            problems.extend(module_problem(kernel, driver, image));
            for (peak, most, now) in image.counters.above_peak() {
                let why = format!("its {peak}, {most}, is below the current value, {now}");
                let what = format!("counters of {}", driver.name);
                problems.push(Problem::at(what, image.verified_data, why));
            }
        }
    }
}

/// A driver was loaded and not unloaded as often as it has images, and was never unloaded more often than
/// loaded.
fn counts(driver: &Driver, problems: &mut Vec<Problem>) {
    let Some(entry) = driver.suspect_entry else { return };
    let (loads, unloads, images) = (driver.loads, driver.unloads, driver.images.len() as u64);
    let why = match loads.checked_sub(unloads) {
        None => format!("it was unloaded {unloads} times, but loaded {loads} times"),
        Some(loaded) if u64::from(loaded) == images => return,
        // The kernel counts an unload before it takes the image off the tree.
        Some(loaded) if unloads > 0 && u64::from(loaded) + 1 == images => return,
        Some(_) => format!(
            "it was loaded {loads} times and unloaded {unloads} times, but {images} verified images \
             belong to it"
        ),
    };
    problems.push(Problem::at(format!("configured driver {}", driver.name), entry, why));
}

/// How the module list contradicts the place of a verified image.
pub(super) fn module_problem(
    kernel: &Kernel,
    driver: &Driver,
    image: &TargetDriver,
) -> Option<Problem> {
    // The modules alone say where an image is that is not in the tree.
    if image.address.is_null() || kernel.modules_from() == ModuleSource::KernelAlone {
        return None;
    }
    let base = image.base;
    let wrong =
        |why: String| Some(Problem::at(format!("image of {}", driver.name), image.address, why));
    if !kernel.space().is_kernel(base) {
        return wrong(format!("its base {base} is outside the kernel"));
    }
    let Some(module) = kernel.modules().starting_at(base) else {
        if Unload::of(kernel).is_some_and(|unload| unload.is_of(driver)) {
            return None;
        }
        return wrong(format!("its base is {base}, where no loaded module begins"));
    };
    let pages = |size: u64| size.div_ceil(PAGE_SIZE);
    if pages(image.size) != pages(module.size.into()) {
        let (size, listed) = (image.size, module.size);
        return wrong(format!("its size is {size:#x}, the module list has {listed:#x}"));
    }
    if module.base != kernel.base() && !is_named_by(&driver.name, &module.name) {
        return wrong(format!("the module at its base {base} is {}", module.name));
    }
    None
}
