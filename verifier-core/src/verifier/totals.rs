//! What level and sums in `MmVerifierData` say of the drivers.
//!
//! The kernel counts each tracked block twice: for its driver, and in `MmVerifierData` for all drivers.

use super::counters::Counters;
use super::flags::Level;
use super::settings::Settings;
use crate::addr::{PAGE_SIZE, Va};
use crate::error::Problem;
use crate::kernel::Kernel;
use crate::types::TypeSource;

/// The counters that are sums. Peaks are not sums, and the kernel does not keep the others for all drivers.
const SUMMED: [&str; 4] = [
    "CurrentPagedPoolAllocations",
    "CurrentNonPagedPoolAllocations",
    "PagedBytes",
    "NonPagedBytes",
];

/// The sums that the counters of all verified images do not add up to, with the address of `MmVerifierData`.
/// Empty if that cannot be read.
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

/// True if Verifier says itself that it is off and that it counted nothing.
pub(super) fn is_off(kernel: &Kernel, types: &dyn TypeSource) -> bool {
    let Ok(settings) = Settings::read_by(kernel, types) else { return false };
    let counts = &settings.statistics.0;
    settings.level.0 == 0
        && counts.iter().all(|counter| counter.value == 0)
        && !is_blank(kernel, settings.address.page())
}

/// True if a page holds only zeros: its content may have been lost.
fn is_blank(kernel: &Kernel, page: Va) -> bool {
    let mut bytes = vec![0u8; PAGE_SIZE as usize];
    kernel.space().read(page, &mut bytes).is_ok() && bytes.iter().all(|&byte| byte == 0)
}

fn settings(kernel: &Kernel) -> Option<Settings> {
    Settings::read_by(kernel, kernel.types().ok()?).ok()
}
