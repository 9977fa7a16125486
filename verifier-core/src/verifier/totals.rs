//! The sums in `MmVerifierData` held against the counters of the drivers.
//!
//! The kernel counts each tracked block twice: for its driver, and in `MmVerifierData` for all of them.

use super::counters::Counters;
use super::flags::Level;
use super::settings::Settings;
use crate::error::Problem;
use crate::kernel::Kernel;

/// The counters that are sums. Peaks are not, and the others are not kept for all drivers alike.
const SUMMED: [&str; 4] = [
    "CurrentPagedPoolAllocations",
    "CurrentNonPagedPoolAllocations",
    "PagedBytes",
    "NonPagedBytes",
];

/// The sums that the counters of all verified images do not add up to, with the address of `MmVerifierData`;
/// nothing if it cannot be read.
pub(super) fn compare(kernel: &Kernel, images: &[&Counters]) -> Vec<Problem> {
    let Some(settings) = settings(kernel) else { return Vec::new() };
    let differs = |name: &str| {
        let total = settings.statistics.get(name)?;
        let mut counts = images.iter().map(|counters| counters.get(name));
        let sum = counts.try_fold(0u64, |sum, count| Some(sum.saturating_add(count?)))?;
        let why = format!(
            "{total} in MmVerifierData, but the counters of {} verified images add up to {sum}",
            images.len()
        );
        (sum != total).then(|| Problem::at(format!("{name} of all drivers"), settings.address, why))
    };
    SUMMED.into_iter().filter_map(differs).collect()
}

/// True if Verifier counts blocks that drivers hold, and tracks them.
pub(super) fn tracks_blocks(kernel: &Kernel) -> bool {
    settings(kernel).is_some_and(|settings| {
        settings.level.has(Level::POOL_TRACKING) && settings.statistics.pool_allocations() > 0
    })
}

fn settings(kernel: &Kernel) -> Option<Settings> {
    Settings::read_by(kernel, kernel.types().ok()?).ok()
}
