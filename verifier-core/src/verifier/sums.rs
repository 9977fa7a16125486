//! Level and statistics, held against the drivers.

use super::drivers::Drivers;
use super::old::is_old;
use super::settings::Settings;
use crate::error::Error;
use crate::kernel::Kernel;

impl Settings {
    /// Reads level and statistics, and holds the sums among them against the drivers that list and tree lead
    /// to.
    ///
    /// # Errors
    /// If the structure cannot be found or read, or the kernel's symbols are missing.
    pub fn read(kernel: &Kernel) -> Result<Self, Error> {
        let mut settings = Self::read_by(kernel, kernel.types()?)?;
        // If the drivers cannot be read, nothing contradicts the sums. What the sums of kernels before 7 are
        // over is not established.
        if !is_old(kernel.types()?)?
            && let Ok(found) = Drivers::read_listed(kernel)
        {
            settings.problems.extend(found.sum_problems(kernel));
        }
        kernel.report_into(&mut settings.problems);
        Ok(settings)
    }
}
