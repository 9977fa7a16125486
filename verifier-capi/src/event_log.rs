//! The logs beside the pool log.

use std::ffi::CString;

use verifier_core::Va;
use verifier_core::kernel::Kernel;
use verifier_core::verifier::log::{EventKind, EventLog, EventRow};

use crate::log::{VerifierImpossibleValue, wanted};
use crate::pointer::{Record, c_string};
use crate::session::VerifierSession;
use crate::status::{Failure, VerifierStatus};
use crate::view::{Reach, Rows, Take, VerifierView, field_of, fill, nth, view};

/// A log beside the pool log.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VerifierEventKind {
    /// IRQL transitions.
    Irql = 0,
    /// Faults that Verifier injected.
    Fault = 1,
    /// Critical regions entered and left.
    Region = 2,
    /// IRPs allocated, completed, canceled.
    Irp = 3,
    /// IRPs forced to pend.
    Pending = 4,
    /// Bug checks that were suppressed.
    Suppressed = 5,
    /// Bug checks that Verifier worked around.
    Workaround = 6,
}

const KINDS: [(VerifierEventKind, EventKind); 7] = [
    (VerifierEventKind::Irql, EventKind::Irql),
    (VerifierEventKind::Fault, EventKind::Fault),
    (VerifierEventKind::Region, EventKind::Region),
    (VerifierEventKind::Irp, EventKind::Irp),
    (VerifierEventKind::Pending, EventKind::Pending),
    (VerifierEventKind::Suppressed, EventKind::Suppressed),
    (VerifierEventKind::Workaround, EventKind::Workaround),
];

/// A record of such a log.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct VerifierEvent {
    /// The record's number in the ring.
    pub slot: u32,
    /// Fields that records of this log have: `verifier_field_at`.
    pub fields: u32,
    /// Frames of its stack.
    pub frames: usize,
    /// The value that no kernel writes: the record was damaged.
    pub impossible: VerifierImpossibleValue,
}

impl Record for VerifierEvent {
    const LEAST: usize = std::mem::offset_of!(Self, impossible);
}

struct EventRows {
    log: EventLog,
    /// Fields of each record.
    fields: u32,
    empty_because: Option<CString>,
}

impl Rows for EventRows {
    fn kind() -> &'static str {
        "events"
    }

    fn count(&self) -> usize {
        self.log.records.len()
    }

    fn frames(&self, index: usize) -> Result<&[Va], Failure> {
        Ok(self.log.frames(nth(&self.log.records, index)?))
    }

    fn reach(&self) -> Result<Reach<'_>, Failure> {
        Ok(Reach::of_log(&self.log.ring, self.log.missing, self.empty_because.as_ref()))
    }

    fn field(&self, index: usize, field: usize, take: Take<'_>) -> Result<(), Failure> {
        let row = EventRow { log: &self.log, record: nth(&self.log.records, index)? };
        field_of(&self.log.table(), &row, field, take)
    }
}

/// The newest `last` records of another log, a VerifierEventKind, newest first; SIZE_MAX for all. If
/// `address` is not 0, only the records in which it is one of the addresses: an IRP, a thread. Records:
/// VerifierEvent; their fields: `verifier_field_at`; their stacks: `verifier_frame_at`; how far
/// it reaches: `verifier_reach`.
///
/// # Safety
///
/// `view` is NULL or may be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn verifier_event_log(
    session: *const VerifierSession,
    kind: u32,
    last: usize,
    address: u64,
    view: *mut *mut VerifierView,
) -> VerifierStatus {
    let read = |session: &VerifierSession, kernel: &Kernel| {
        let found = KINDS.iter().find(|(ours, _)| *ours as u32 == kind);
        let unknown =
            || Failure::argument(format!("kind is {kind}, which is not a VerifierEventKind"));
        let found = found.ok_or_else(unknown)?.1;
        let (last, address) = wanted(last, address);
        let log = session.host.event_log(found, last, address)?;
        let (frames, problems) = (log.all_frames().to_vec(), log.problems.clone());
        let empty_because = log.empty_because.map(c_string);
        let fields = u32::try_from(log.table().documented().count()).unwrap_or(u32::MAX);
        let rows = EventRows { log, fields, empty_because };
        Ok(VerifierView::new(rows, kernel, frames, &problems))
    };
    // SAFETY: the caller guarantees what `view` requires.
    unsafe { self::view(session, view, read) }
}

/// A record of `verifier_event_log`.
///
/// # Safety
///
/// `record` is NULL or points at `size` bytes that may be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn verifier_event_at(
    view: *const VerifierView,
    index: usize,
    record: *mut VerifierEvent,
    size: usize,
) -> VerifierStatus {
    let make = |view: &VerifierView| {
        let EventRows { log, fields, .. } = view.rows()?;
        let event = nth(&log.records, index)?;
        Ok(VerifierEvent {
            slot: event.slot,
            fields: *fields,
            frames: log.frames(event).len(),
            impossible: VerifierImpossibleValue::of(event.impossible),
        })
    };
    // SAFETY: the caller guarantees what `fill` requires.
    unsafe { fill(view, record, size, make) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_log_has_a_number() {
        for kind in EventKind::ALL {
            assert_eq!(KINDS.iter().filter(|(_, theirs)| *theirs == kind).count(), 1, "{kind:?}");
        }
    }
}
