//! Level and statistics: `_MM_DRIVER_VERIFIER_DATA`, which the pointer `MmVerifierData` leads to.

use super::counters::{Counters, required};
use super::flags::Level;
use crate::addr::Va;
use crate::error::{Error, Problem};
use crate::kernel::Kernel;
use crate::types::TypeSource;

/// Verifier's level and statistics.
///
/// If the kernel's symbols are available, `MmVerifierData` is found by name, else through the debugger data
/// block (+0x248). Both lead to the structure itself. Checked on 7601, 9600, 19041 and 22000. Every integer
/// in the build's type is a statistic under its C name.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Settings {
    /// The address of the structure.
    pub address: Va,
    /// `Level`.
    pub level: Level,
    /// Every other integer of the structure.
    pub statistics: Counters,
    /// What does not fit.
    pub problems: Vec<Problem>,
}

impl Settings {
    /// Reads only level and statistics, by types that need not be the kernel's own.
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
            // A small dump of 19041 or 22000 has only the first 0x9c bytes.
            problems.push(Problem::from_error("the last of the statistics", &error));
        }
        let level = Level(level.get(&bytes).unwrap_or(0) as u32);
        let mut statistics = Counters::read(&structure, 0, &bytes);
        statistics.0.retain(|counter| counter.name != "Level");
        let mut settings = Self { address, level, statistics, problems };
        settings.check();
        Ok(settings)
    }

    /// Checks level and statistics against each other.
    fn check(&mut self) {
        let mut found = Vec::new();
        let tracked = self.statistics.pool_allocations();
        if !self.level.has(Level::POOL_TRACKING) && tracked > 0 {
            let why = format!(
                "it is {:#x}, without pool tracking ({:#x}), but the statistics count {tracked} tracked \
                 blocks",
                self.level.0,
                Level::POOL_TRACKING
            );
            found.push(("level", why));
        }
        for (peak, most, now) in self.statistics.above_peak() {
            found.push((peak, format!("{most} is below the current value, {now}")));
        }
        let count = |name| self.statistics.get(name).map(|value| value as u32);
        if let (Some(attempted), Some(succeeded)) =
            (count("AllocationsAttempted"), count("AllocationsSucceeded"))
            // Both are counters of 32 bits that wrap: only their distance shows which is ahead.
            && (attempted.wrapping_sub(succeeded) as i32) < 0
        {
            let why = format!("{succeeded} is above AllocationsAttempted, {attempted}");
            found.push(("AllocationsSucceeded", why));
        }
        let problems = found.into_iter().map(|(what, why)| Problem::at(what, self.address, why));
        let mut problems: Vec<Problem> = problems.collect();
        self.problems.append(&mut problems);
    }
}
