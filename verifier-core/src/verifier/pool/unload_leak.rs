//! The blocks of a driver that was unloaded while it held pool: bug check 0xC4/0x62.

use super::report::PoolReport;
use crate::addr::Va;
use crate::error::{Error, Problem};
use crate::kernel::Kernel;
use crate::verifier::allocation::Allocation;
use crate::verifier::drivers::Unload;

/// The blocks that a driver held when it was unloaded.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct UnloadLeak {
    /// The driver.
    pub driver: String,
    /// Its `_VF_TARGET_VERIFIED_DRIVER_DATA`: parameter 3.
    pub verified_data: Va,
    /// How many blocks the bug check counts: parameter 4.
    pub counted: u64,
    /// The blocks that could be read, in the order of pages and slots.
    pub allocations: Vec<Allocation>,
    /// What could not be read or does not fit.
    pub problems: Vec<Problem>,
}

impl UnloadLeak {
    /// The sum of the sizes of the blocks that could be read.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.allocations.iter().fold(0, |sum, block| sum.saturating_add(block.size))
    }

    /// The driver that bug check 0xC4/0x62 names; this works without symbols. `None` for any other bug check,
    /// or if the name cannot be read.
    #[must_use]
    pub fn driver_name(kernel: &Kernel) -> Option<String> {
        Unload::of(kernel)?.name(kernel).ok()
    }

    /// Reads the blocks that bug check 0xC4/0x62 is about; `None` for any other bug check.
    ///
    /// # Errors
    /// As [`PoolReport::read`]; [`Error::Malformed`] if the parameters do not lead to a driver.
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
