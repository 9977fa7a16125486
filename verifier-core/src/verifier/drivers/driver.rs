//! A configured driver and its verified images.

use super::name::is_named;
use crate::addr::Va;
use crate::describe::names;
use crate::kernel::Kernel;
use crate::verifier::counters::Counters;

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

names! {
    /// The word in tables and JSON.
    DriverState {
        Loaded => "loaded",
        Unloaded => "unloaded",
        NeverLoaded => "never loaded",
    }
}

/// A configured driver.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Driver {
    /// `BaseName`: the file name that was configured.
    pub name: String,
    /// Its `_VF_SUSPECT_DRIVER_ENTRY`; `None` for an image whose entry is not in the list anymore.
    pub suspect_entry: Option<Va>,
    /// `Loads`.
    pub loads: u32,
    /// `Unloads`.
    pub unloads: u32,
    /// Its verified images in memory, by address.
    pub images: Vec<TargetDriver>,
    /// True if it is not in the tree anymore and bug check 0xC4/0x62 led to its data.
    pub from_bug_check: bool,
}

impl Driver {
    /// The value that means "no known driver": without name, entry and images.
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
        // If the entry is not in the list, the counts are unknown; but an image is present, or was.
        let is_present = self.loads == 0 && !self.images.is_empty();
        if self.loads > self.unloads || (is_present && !self.from_bug_check) {
            DriverState::Loaded
        } else if self.loads > 0 || is_present {
            DriverState::Unloaded
        } else {
            DriverState::NeverLoaded
        }
    }

    /// The counters of all its images, added up.
    #[must_use]
    pub fn counters(&self) -> Counters {
        let mut images = self.images.iter();
        let mut sum = images.next().map(|image| image.counters.clone()).unwrap_or_default();
        for image in images {
            sum.add(&image.counters);
        }
        sum
    }

    /// True if `pattern` names this driver: its file name without regard to case, with or without the
    /// extension.
    #[must_use]
    pub fn is_named(&self, pattern: &str) -> bool {
        is_named(&self.name, pattern)
    }
}

/// A verified image.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct TargetDriver {
    /// Its `_VF_TARGET_DRIVER`; null if the tree does not have it anymore, and before Windows 7.
    pub address: Va,
    /// `TreeNode.p`: the image's base. For an image that is not in the tree, the base of the module of the
    /// same name, or null if there is none.
    pub base: Va,
    /// `TreeNode.RangeSize`: the image's size.
    pub size: u64,
    /// `VerifiedData`: its `_VF_TARGET_VERIFIED_DRIVER_DATA`; before Windows 7 its
    /// `_MI_VERIFIER_DRIVER_ENTRY`.
    pub verified_data: Va,
    /// The integers of that structure from `CurrentPagedPoolAllocations` on.
    pub counters: Counters,
    /// True if the tree does not lead to it: its data was found by the signature, or by the tracking pages
    /// that it owns.
    pub is_carved: bool,
}

impl TargetDriver {
    /// An image of the driver called `name` that is not in the tree. The modules say where it is.
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

/// Where the image of that name is or was, and its size; null if no module has the name.
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
