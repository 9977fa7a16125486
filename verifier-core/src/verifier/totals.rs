//! The sums in `MmVerifierData` held against the counters of the drivers.
//!
//! The kernel counts each tracked block twice: for its driver, and in `MmVerifierData` for all of them. The two
//! agree unless a driver was unloaded with its blocks (bug check 0xC4/0x62).

use super::drivers::{Driver, Drivers};
use super::flags::Level;
use super::settings::Settings;
use super::unload::Unload;
use crate::error::Problem;
use crate::kernel::Kernel;

/// The counters that are sums. Peaks are not, and the others are not kept for all drivers alike.
const SUMMED: [&str; 4] = [
    "CurrentPagedPoolAllocations",
    "CurrentNonPagedPoolAllocations",
    "PagedBytes",
    "NonPagedBytes",
];

/// The sums that the drivers of tree and list do not add up to; nothing if they cannot be read.
pub(super) fn contradictions(kernel: &Kernel) -> Vec<Problem> {
    match Drivers::read_listed(kernel) {
        Ok(found) => compare(kernel, &found.drivers),
        Err(_) => Vec::new(),
    }
}

/// The sums that `drivers` do not add up to, with the address of `MmVerifierData`.
pub(super) fn compare(kernel: &Kernel, drivers: &[Driver]) -> Vec<Problem> {
    let Some(settings) = settings(kernel).filter(|_| Unload::of(kernel).is_none()) else {
        return Vec::new();
    };
    let images = || drivers.iter().flat_map(|driver| &driver.images);
    let differs = |name: &str| {
        let total = settings.statistics.get(name)?;
        let mut counts = images().map(|image| image.counters.get(name));
        let sum = counts.try_fold(0u64, |sum, count| Some(sum.saturating_add(count?)))?;
        let why = format!(
            "{total} in MmVerifierData, but the counters of {} verified images add up to {sum}",
            images().count()
        );
        (sum != total).then(|| Problem::at(format!("{name} of all drivers"), settings.address, why))
    };
    SUMMED.into_iter().filter_map(differs).collect()
}

/// True if Verifier counts blocks that drivers hold, and tracks them.
pub(super) fn tracks_blocks(kernel: &Kernel) -> bool {
    settings(kernel).is_some_and(|settings| {
        settings.level.0 & Level::POOL_TRACKING != 0 && settings.statistics.pool_allocations() > 0
    })
}

fn settings(kernel: &Kernel) -> Option<Settings> {
    Settings::read_by(kernel, kernel.types().ok()?).ok()
}
