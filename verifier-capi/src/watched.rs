//! Canceled IRPs that are watched. Their records have no struct: `verifier_field_at` gives each field.

use verifier_core::kernel::Kernel;
use verifier_core::verifier::log::{WatchedIrp, WatchedIrps};

use crate::log::wanted;
use crate::session::VerifierSession;
use crate::status::{Failure, VerifierStatus};
use crate::view::{Rows, Take, VerifierView, field_of, nth, view};

struct WatchedRows {
    irps: Vec<WatchedIrp>,
}

impl Rows for WatchedRows {
    fn kind() -> &'static str {
        "watched IRPs"
    }

    fn count(&self) -> usize {
        self.irps.len()
    }

    fn field(&self, index: usize, field: usize, take: Take<'_>) -> Result<(), Failure> {
        field_of(&WatchedIrp::TABLE, nth(&self.irps, index)?, field, take)
    }
}

/// The first `last` canceled IRPs that are watched, in the order of their list; SIZE_MAX for all. If
/// `address` is not 0, only that IRP. The fields of a record: `verifier_field_at`.
///
/// # Safety
///
/// `view` is NULL or may be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn verifier_watched_irps(
    session: *const VerifierSession,
    last: usize,
    address: u64,
    view: *mut *mut VerifierView,
) -> VerifierStatus {
    let read = |session: &VerifierSession, kernel: &Kernel| {
        let (last, address) = wanted(last, address);
        let WatchedIrps { irps, problems, .. } = session.host.watched_irps(last, address)?;
        Ok(VerifierView::new(WatchedRows { irps }, kernel, [], &problems))
    };
    // SAFETY: the caller guarantees what `view` requires.
    unsafe { self::view(session, view, read) }
}
