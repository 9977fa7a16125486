//! The parameters of bug check 0xC4/0x62: a driver was unloaded while it held pool.
//!
//! Parameter 2 is the address of the driver's name (UTF-16, ends with a null), parameter 3 the address of its
//! `_VF_TARGET_VERIFIED_DRIVER_DATA` (before Windows 7 its `_MI_VERIFIER_DRIVER_ENTRY`), parameter 4 the
//! number of blocks that were not freed. The kernel checks this when it takes the driver off its tree and
//! list, so the data may be in neither of them; the parameters still lead to it.

use super::driver::Driver;
use crate::addr::Va;
use crate::error::Error;
use crate::kernel::{Kernel, read_utf16_z};

/// Units of a name that are read; file names are shorter.
const MAX_NAME: usize = 260;

/// What the parameters of 0xC4/0x62 say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Unload {
    name: Va,
    /// Its `_VF_TARGET_VERIFIED_DRIVER_DATA` (before Windows 7 `_MI_VERIFIER_DRIVER_ENTRY`).
    pub(crate) data: Va,
    /// Blocks that were not freed.
    pub(in crate::verifier) counted: u64,
}

impl Unload {
    /// `None` for any other bug check.
    pub(crate) fn of(kernel: &Kernel) -> Option<Self> {
        let bug_check = kernel.bug_check().filter(|bug_check| bug_check.code == 0xc4)?;
        let [0x62, name, data, counted] = bug_check.parameters else { return None };
        let narrow = |address| kernel.space().narrow(address);
        Some(Self { name: narrow(name), data: narrow(data), counted })
    }

    /// The driver's name.
    pub(crate) fn name(&self, kernel: &Kernel) -> Result<String, Error> {
        read_utf16_z(kernel.space(), self.name, MAX_NAME)
    }

    /// True if `driver` is the one that was unloaded.
    pub(in crate::verifier) fn is_of(&self, driver: &Driver) -> bool {
        driver.images.iter().any(|image| image.verified_data == self.data)
    }
}
