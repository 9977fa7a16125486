//! Verifier's level and statistics.

use std::ffi::{CString, c_char};

use verifier_core::kernel::Kernel;

use crate::handle::get;
use crate::last_error::guard;
use crate::pointer::{Record, c_string, put};
use crate::session::VerifierSession;
use crate::status::{Failure, VerifierStatus};
use crate::view::{Row, VerifierView, fill_from, view};

/// One of Verifier's statistics.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct VerifierStatistic {
    /// The field of _MM_DRIVER_VERIFIER_DATA.
    pub name: *const c_char,
    /// Its value.
    pub value: u64,
}

impl Record for VerifierStatistic {}

/// One of Verifier's statistics, with its name for C.
struct StatisticRow {
    name: CString,
    value: u64,
}

impl Row for StatisticRow {
    const KIND: &'static str = "statistics";
}

/// Verifier's level: the flags of `verifier /flags`.
///
/// # Safety
///
/// `level` is NULL or may be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn verifier_level(
    session: *const VerifierSession,
    level: *mut u32,
) -> VerifierStatus {
    guard(|| {
        let session = get(session, "session")?;
        let (settings, _) = session.stop.during(|| {
            session.host.settings().map_err(|why| Failure::from(why).explained(&session.host))
        })?;
        // SAFETY: the caller guarantees `level`.
        unsafe { put(level, settings.level.0, "level") }
    })
}

/// Verifier's statistics: every integer of _MM_DRIVER_VERIFIER_DATA that the build has.
/// Records: VerifierStatistic.
///
/// # Safety
///
/// `view` is NULL or may be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn verifier_statistics(
    session: *const VerifierSession,
    view: *mut *mut VerifierView,
) -> VerifierStatus {
    let read = |session: &VerifierSession, kernel: &Kernel| {
        let (settings, _) = session.host.settings()?;
        let counters = settings.statistics.0.iter();
        let rows = counters
            .map(|counter| StatisticRow { name: c_string(&counter.name), value: counter.value });
        Ok(VerifierView::new(rows.collect::<Vec<_>>(), kernel, [], &settings.problems))
    };
    // SAFETY: the caller guarantees what `view` requires.
    unsafe { self::view(session, view, read) }
}

/// A record of `verifier_statistics`.
///
/// # Safety
///
/// `record` is NULL or points at `size` bytes that may be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn verifier_statistic_at(
    view: *const VerifierView,
    index: usize,
    record: *mut VerifierStatistic,
    size: usize,
) -> VerifierStatus {
    let make = |_: &VerifierView, row: &StatisticRow| VerifierStatistic {
        name: row.name.as_ptr(),
        value: row.value,
    };
    // SAFETY: the caller guarantees `record`.
    unsafe { fill_from(view, index, record, size, make) }
}
