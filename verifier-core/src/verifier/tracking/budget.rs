//! How many pages of entries may still be read.

use crate::addr::PAGE_SIZE;
use crate::error::STOPPED;
use crate::kernel::{Kernel, limit};

/// Pages of entries that may still be read. All drivers share one budget, because no page belongs to two of
/// them.
pub(in crate::verifier) struct PageBudget {
    left: usize,
    limit: usize,
}

impl PageBudget {
    /// The kernel's limit, but not more pages than the memory holds.
    pub(in crate::verifier) fn of(kernel: &Kernel) -> Self {
        let held = kernel.space().memory().held();
        let held =
            held.map_or(usize::MAX, |held| (held / PAGE_SIZE).try_into().unwrap_or(usize::MAX));
        let limit = kernel.limits().tracker_pages.min(held);
        Self { left: limit, limit }
    }

    /// Takes one page.
    ///
    /// # Errors
    /// Why no more pages may be read, in words.
    pub(in crate::verifier) fn take(&mut self, kernel: &Kernel) -> Result<(), String> {
        if kernel.is_stopped() {
            return Err(STOPPED.into());
        }
        self.left = self.left.checked_sub(1).ok_or_else(|| {
            let name = limit!(kernel.limits(), tracker_pages).name;
            format!("limit of {} pages reached ({name}, and what memory holds)", self.limit)
        })?;
        Ok(())
    }
}
