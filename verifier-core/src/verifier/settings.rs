//! Level and statistics: `_MM_DRIVER_VERIFIER_DATA`, which the pointer `MmVerifierData` leads to.
//!
//! In kernels whose public symbols are at hand `MmVerifierData` is found by name, else through the
//! debugger data block (+0x248); both lead to the structure itself. Checked on 7601, 9600, 19041 and
//! 22000. Every integer that the build's type has is a statistic under its C name.

use super::counters::{Counters, required};
use super::flags::Level;
use crate::addr::Va;
use crate::error::{Error, Problem};
use crate::kernel::Kernel;
use crate::types::TypeSource;

/// Verifier's level and statistics.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Settings {
    /// Where the structure lies.
    pub address: Va,
    /// `Level`.
    pub level: Level,
    /// Every other integer of the structure.
    pub statistics: Counters,
    /// What does not fit.
    pub problems: Vec<Problem>,
}

impl Settings {
    /// Reads level and statistics.
    ///
    /// # Errors
    /// Where the structure cannot be found or read, or the kernel's symbols are missing.
    pub fn read(kernel: &Kernel) -> Result<Self, Error> {
        let mut settings = Self::read_by(kernel, kernel.types()?)?;
        kernel.report_into(&mut settings.problems);
        Ok(settings)
    }

    /// The same by types that need not be the kernel's.
    pub(super) fn read_by(kernel: &Kernel, types: &dyn TypeSource) -> Result<Self, Error> {
        let structure = required(types, "_MM_DRIVER_VERIFIER_DATA")?;
        let level = types.field("_MM_DRIVER_VERIFIER_DATA", "Level")?;
        let address =
            kernel.global("MmVerifierData").or_else(|error| match kernel.debugger_data() {
                Ok(data) if !data.mm_verifier_data.is_null() => Ok(data.mm_verifier_data),
                _ => Err(error),
            })?;
        let mut bytes = vec![0u8; usize::try_from(structure.size.min(0x1000)).unwrap_or(0x1000)];
        let mut problems = Vec::new();
        if let Err(fault) = kernel.space().read(address, &mut bytes) {
            let held = fault.done;
            let error = Error::read("MmVerifierData", fault);
            bytes.truncate(held);
            if level.get(&bytes).is_none() {
                return Err(error);
            }
            // A small dump of 19041 or 22000 has the first 0x9c bytes of it.
            problems.push(Problem::from_error("the last of the statistics", &error));
        }
        let level = Level(level.get(&bytes).unwrap_or(0) as u32);
        let mut statistics = Counters::read(&structure, 0, &bytes);
        statistics.0.retain(|counter| counter.name != "Level");
        Ok(Self { address, level, statistics, problems })
    }
}
