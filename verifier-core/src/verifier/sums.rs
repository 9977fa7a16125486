//! Level and statistics, checked against the drivers.

use super::drivers::Drivers;
use super::settings::Settings;
use super::tracking::is_before_win7;
use crate::error::Error;
use crate::kernel::Kernel;

impl Settings {
    /// Reads level and statistics, and checks the sums among them against the drivers that list and tree lead
    /// to.
    ///
    /// # Errors
    /// If the structure cannot be found or read, or the kernel's symbols are missing.
    pub fn read(kernel: &Kernel) -> Result<Self, Error> {
        let mut settings = Self::read_by(kernel, kernel.types()?)?;
        // If the drivers cannot be read, nothing contradicts the sums. Before Windows 7 it is not established
        // what the sums include.
        if !is_before_win7(kernel.types()?)?
            && let Ok(found) = Drivers::read_listed(kernel)
        {
            settings.problems.extend(found.sum_problems(kernel));
        }
        kernel.report_into(&mut settings.problems);
        Ok(settings)
    }
}
