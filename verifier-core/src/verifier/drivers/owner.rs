//! To which driver a stack belongs, if nothing but the stack says so.
//!
//! Verifier looks at a driver by its imports. So the innermost frame that is not in the kernel or in one of
//! Verifier's own images is, as a rule, in the verified image that asked. Frames of images that are not
//! verified are passed over. Memory that a driver left behind when it was unloaded has frames where its image
//! was: the list of unloaded images gives the name, and a configured driver of that name is taken.

use std::collections::HashMap;

use super::driver::Driver;
use crate::addr::Va;
use crate::kernel::Kernel;
use crate::verifier::allocation::AttributedBy;

/// Verifier's own images beside the kernel: their frames are between a driver and the pool.
const VERIFIER: [&str; 3] = ["verifierext.sys", "vfcompat.dll", "vfbasics.dll"];

/// The name that is shown if no driver is known.
pub const NO_DRIVER: &str = "(no known driver)";

/// True for the file name of one of Verifier's own images beside the kernel.
#[must_use]
pub fn is_verifier_image(name: &str) -> bool {
    VERIFIER.iter().any(|own| name.eq_ignore_ascii_case(own))
}

/// True if `va` is in the kernel or in one of Verifier's images.
#[must_use]
pub fn is_kernel_or_verifier(kernel: &Kernel, va: Va) -> bool {
    kernel
        .modules()
        .find(va)
        .is_some_and(|(_, image)| image.base == kernel.base() || is_verifier_image(&image.name))
}

/// The line of code that a stack is of, as a return address: the first frame outside the kernel and Verifier,
/// else the first.
#[must_use]
pub fn code_site(kernel: &Kernel, frames: &[Va]) -> Option<Va> {
    let outside = frames.iter().find(|&&va| !is_kernel_or_verifier(kernel, va));
    outside.or(frames.first()).copied()
}

/// What a stack says of its driver.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(in crate::verifier) struct Owner {
    /// Index of the driver, and how it was found.
    pub(in crate::verifier) driver: Option<(usize, AttributedBy)>,
    /// The frame by which the driver was found; else the first frame outside the kernel and Verifier, else
    /// the first. Null if there is no frame.
    pub(in crate::verifier) caller: Va,
}

/// Finds drivers by stacks.
pub(in crate::verifier) struct Owners<'a> {
    kernel: &'a Kernel,
    /// Drivers by their names in lower case; the first of a name.
    by_name: HashMap<String, usize>,
    /// First address and bytes of each verified image and its driver, by address.
    images: Vec<(Va, u64, usize)>,
}

impl<'a> Owners<'a> {
    pub(in crate::verifier) fn new(kernel: &'a Kernel, drivers: &[Driver]) -> Self {
        let images = drivers.iter().enumerate().flat_map(|(index, driver)| {
            driver.images.iter().map(move |image| (image.base, image.size, index))
        });
        let mut images: Vec<_> = images.collect();
        images.sort_unstable();
        let mut by_name = HashMap::new();
        for (index, driver) in drivers.iter().enumerate() {
            by_name.entry(driver.name.to_ascii_lowercase()).or_insert(index);
        }
        Self { kernel, by_name, images }
    }

    /// The driver of a stack; the first of `frames` is the innermost.
    pub(in crate::verifier) fn of(&self, frames: &[Va]) -> Owner {
        let mut outside = None;
        for &frame in frames {
            if is_kernel_or_verifier(self.kernel, frame) {
                continue;
            }
            outside.get_or_insert(frame);
            if let Some(driver) = self.of_frame(frame) {
                return Owner { driver: Some(driver), caller: frame };
            }
        }
        let caller = outside.or(frames.first().copied()).unwrap_or_default();
        Owner { driver: None, caller }
    }

    fn of_frame(&self, frame: Va) -> Option<(usize, AttributedBy)> {
        // Images do not overlap, so only the one that begins nearest below can hold the frame.
        let after = self.images.partition_point(|&(base, _, _)| base <= frame);
        if let Some(&(base, size, driver)) = after.checked_sub(1).and_then(|i| self.images.get(i))
            && frame.is_in(base, size)
        {
            return Some((driver, AttributedBy::Image));
        }
        let modules = self.kernel.modules();
        if modules.find(frame).is_some() {
            return None;
        }
        let name = &modules.find_unloaded(frame)?.name;
        let named = self.by_name.get(&name.to_ascii_lowercase())?;
        Some((*named, AttributedBy::UnloadedImage))
    }
}
