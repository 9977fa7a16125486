//! A driver that was unloaded while it held pool: bug check 0xC4/0x62.
//!
//! Parameter 2 is the address of the driver's name (UTF-16, ends with a null), parameter 3 that of
//! its `_VF_TARGET_VERIFIED_DRIVER_DATA`, parameter 4 the number of blocks that were not freed. The
//! kernel checks when it takes the driver off its tree and list, so the data may be on neither any
//! more: the parameters lead to it still. Before Windows 7 parameter 3 is the driver's
//! `_MI_VERIFIER_DRIVER_ENTRY`.

use super::drivers::Driver;
use super::pool::{Allocation, PoolReport};
use crate::addr::Va;
use crate::error::{Error, Problem};
use crate::kernel::{Kernel, read_utf16_z};

/// Units of a name that are read; file names are shorter.
const MAX_NAME: usize = 260;

/// What the parameters of 0xC4/0x62 say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Unload {
    name: Va,
    /// Its `_VF_TARGET_VERIFIED_DRIVER_DATA` (before Windows 7 `_MI_VERIFIER_DRIVER_ENTRY`).
    pub(crate) data: Va,
    counted: u64,
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

    /// True if `driver` is the one.
    pub(super) fn is_of(&self, driver: &Driver) -> bool {
        driver.images.iter().any(|image| image.verified_data == self.data)
    }
}

/// The blocks that a driver held when it was unloaded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnloadLeak {
    /// The driver.
    pub driver: String,
    /// Its `_VF_TARGET_VERIFIED_DRIVER_DATA`: parameter 3.
    pub verified_data: Va,
    /// How many blocks the bug check says: parameter 4.
    pub counted: u64,
    /// Those that could be read, in the order of pages and slots.
    pub allocations: Vec<Allocation>,
    /// What could not be read or does not fit.
    pub problems: Vec<Problem>,
}

impl UnloadLeak {
    /// The sum of the sizes of those that could be read.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.allocations.iter().fold(0, |sum, block| sum.saturating_add(block.size))
    }

    /// The driver that bug check 0xC4/0x62 names; it takes no symbols. `None` where the bug check is
    /// another, or the name cannot be read.
    #[must_use]
    pub fn driver_name(kernel: &Kernel) -> Option<String> {
        Unload::of(kernel)?.name(kernel).ok()
    }

    /// Reads the blocks that bug check 0xC4/0x62 is about; `None` where the bug check is another.
    ///
    /// # Errors
    /// As [`PoolReport::read`]; [`Error::Malformed`] where the parameters do not lead to a driver.
    pub fn read(kernel: &Kernel) -> Result<Option<Self>, Error> {
        let Some(unload) = Unload::of(kernel) else { return Ok(None) };
        let report = PoolReport::read(kernel, |driver| unload.is_of(driver))?;
        let mut problems = report.problems;
        let Some(pool) = report.drivers.into_iter().next() else {
            return Err(Error::Malformed {
                address: unload.data,
                what: "driver that bug check 0xc4/0x62 is about".into(),
                why: match problems.iter().find(|problem| problem.address == Some(unload.data)) {
                    Some(problem) => problem.why.clone(),
                    None => "its data cannot be read".into(),
                },
            });
        };
        let found = pool.allocations.len() as u64;
        if found != unload.counted {
            problems.push(Problem::at(
                format!("allocations of {}", pool.driver.name),
                unload.data,
                format!("the bug check says {}, its pages hold {found}", unload.counted),
            ));
        }
        Ok(Some(Self {
            driver: pool.driver.name,
            verified_data: unload.data,
            counted: unload.counted,
            allocations: pool.allocations,
            problems,
        }))
    }
}
