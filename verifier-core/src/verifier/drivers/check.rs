//! What contradicts a driver's entry and images: its own counts, the module list, another image.

use super::{Driver, TargetDriver};
use crate::addr::PAGE_SIZE;
use crate::error::Problem;
use crate::kernel::{Kernel, ModuleSource};
use crate::verifier::unload::Unload;

/// What does not fit in the entries and images of `drivers`.
pub(super) fn check(kernel: &Kernel, drivers: &[Driver], problems: &mut Vec<Problem>) {
    let unload = Unload::of(kernel);
    // The driver that the bug check is about is half unloaded: its counts and its image need not agree.
    let is_going = |driver: &Driver| unload.is_some_and(|unload| unload.is_of(driver));
    for driver in drivers.iter().filter(|driver| !is_going(driver)) {
        counts(driver, problems);
    }
    check_images(kernel, drivers, problems);
}

/// What does not fit in the images of `drivers`.
pub(in crate::verifier) fn check_images(
    kernel: &Kernel,
    drivers: &[Driver],
    problems: &mut Vec<Problem>,
) {
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

/// A driver is loaded as often as it has images, and unloaded as often as it was loaded, at most.
fn counts(driver: &Driver, problems: &mut Vec<Problem>) {
    let Some(entry) = driver.suspect_entry else { return };
    let (loads, unloads, images) = (driver.loads, driver.unloads, driver.images.len() as u64);
    let why = match loads.checked_sub(unloads) {
        None => format!("it was unloaded {unloads} times, but loaded {loads} times"),
        Some(loaded) if u64::from(loaded) == images => return,
        // One that is being unloaded ("loaded and unloaded") is counted before its image is off the tree.
        Some(loaded) if unloads > 0 && u64::from(loaded) + 1 == images => return,
        Some(_) => format!(
            "it was loaded {loads} times and unloaded {unloads} times, but {images} verified images \
             belong to it"
        ),
    };
    problems.push(Problem::at(format!("configured driver {}", driver.name), entry, why));
}

/// What is wrong with where a verified image is, by the module list.
pub(super) fn module_problem(
    kernel: &Kernel,
    driver: &Driver,
    image: &TargetDriver,
) -> Option<Problem> {
    // Of an image off the tree only the modules say where it is.
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

/// True if the configured name `pattern` (which may hold `*` and `?`) is one of the file `name`, without regard
/// to case.
pub(super) fn is_named_by(pattern: &str, name: &str) -> bool {
    let lower = |text: &str| text.chars().flat_map(char::to_lowercase).collect::<Vec<char>>();
    let (pattern, name) = (lower(pattern), lower(name));
    // Where the last `*` is, and how much of the name it takes: all that has to be tried again.
    let (mut p, mut n, mut star) = (0, 0, None);
    while n < name.len() {
        match pattern.get(p) {
            Some('*') => {
                star = Some((p, n));
                p += 1;
            }
            Some(&c) if c == '?' || Some(&c) == name.get(n) => {
                p += 1;
                n += 1;
            }
            _ => {
                let Some((at, taken)) = star else { return false };
                star = Some((at, taken + 1));
                (p, n) = (at + 1, taken + 1);
            }
        }
    }
    pattern.iter().skip(p).all(|&c| c == '*')
}

#[cfg(test)]
mod tests {
    use super::is_named_by;

    #[test]
    fn a_configured_name_stands_for_names() {
        for (pattern, name) in [
            ("leaky.sys", "LEAKY.SYS"),
            ("*", "any.sys"),
            ("lea*.sys", "leaky.sys"),
            ("*ky*", "leaky.sys"),
            ("l?aky.sys", "leaky.sys"),
            ("*a*a*.sys", "banana.sys"),
        ] {
            assert!(is_named_by(pattern, name), "{pattern} {name}");
        }
        for (pattern, name) in [
            ("leaky.sys", "quiet.sys"),
            ("leaky", "leaky.sys"),
            ("", "a"),
            ("*b", "banana"),
            ("?", ""),
        ] {
            assert!(!is_named_by(pattern, name), "{pattern} {name}");
        }
    }
}
