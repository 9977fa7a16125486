//! Whose a stack is, where nothing but the stack says.
//!
//! Verifier looks at a driver by its imports, so the innermost frame that is neither the kernel's nor
//! Verifier's own is as a rule in the verified image that asked. Frames of images that are not
//! verified are passed over. What a driver left behind when it was unloaded has frames where its
//! image was: the list of unloaded images gives the name, and a configured driver of that name is
//! told for it.

use std::collections::HashMap;

use crate::addr::Va;
use crate::kernel::Kernel;

use super::drivers::Driver;

/// Images of Verifier's own beside the kernel: their frames stand between a driver and the pool.
const VERIFIER: [&str; 3] = ["verifierext.sys", "vfcompat.dll", "vfbasics.dll"];

/// What stands for the driver where none is known.
pub const NO_DRIVER: &str = "(no known driver)";

/// True for the file name of one of Verifier's own images beside the kernel.
#[must_use]
pub fn is_verifier_image(name: &str) -> bool {
    VERIFIER.iter().any(|own| name.eq_ignore_ascii_case(own))
}

/// True where `va` lies in the kernel or in one of Verifier's images.
#[must_use]
pub fn is_kernel_or_verifier(kernel: &Kernel, va: Va) -> bool {
    kernel
        .modules()
        .find(va)
        .is_some_and(|(_, image)| image.base == kernel.base() || is_verifier_image(&image.name))
}

/// How a stack was told to be a driver's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ToldBy {
    /// A frame lies in an image that Verifier verifies for the driver.
    Image,
    /// A frame lies where an image of the driver's name was before it was unloaded.
    UnloadedImage,
}

impl ToldBy {
    /// The words in JSON and text.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            ToldBy::Image => "a frame in its image",
            ToldBy::UnloadedImage => "a frame in its unloaded image",
        }
    }
}

/// What a stack says of its driver.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Owner {
    /// Index of the driver, and how it was told.
    pub(super) driver: Option<(usize, ToldBy)>,
    /// The frame by which it was told; else the first outside the kernel and Verifier, else the first;
    /// null where there is no frame.
    pub(super) caller: Va,
}

/// Tells drivers by stacks.
pub(super) struct Owners<'a> {
    kernel: &'a Kernel,
    /// Drivers by their names in lower case; the first of a name.
    by_name: HashMap<String, usize>,
    /// First address and bytes of each verified image and its driver, by address.
    images: Vec<(Va, u64, usize)>,
}

impl<'a> Owners<'a> {
    pub(super) fn new(kernel: &'a Kernel, drivers: &[Driver]) -> Self {
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

    /// The driver of a stack, `frames` being innermost first.
    pub(super) fn of(&self, frames: &[Va]) -> Owner {
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

    fn of_frame(&self, frame: Va) -> Option<(usize, ToldBy)> {
        // Images do not overlap: the one that begins nearest below is it, as with all modules.
        let behind = self.images.partition_point(|&(base, _, _)| base <= frame);
        if let Some(&(base, size, driver)) = behind.checked_sub(1).and_then(|i| self.images.get(i))
            && frame.is_in(base, size)
        {
            return Some((driver, ToldBy::Image));
        }
        let modules = self.kernel.modules();
        if modules.find(frame).is_some() {
            return None;
        }
        let name = &modules.find_unloaded(frame)?.name;
        let named = self.by_name.get(&name.to_ascii_lowercase())?;
        Some((*named, ToldBy::UnloadedImage))
    }
}
