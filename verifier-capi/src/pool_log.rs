//! The pool log.

use std::ffi::CString;

use verifier_core::Va;
use verifier_core::kernel::Kernel;
use verifier_core::verifier::log::{PoolLog, PoolRow};

use crate::log::{VerifierImpossibleValue, VerifierOperation, wanted};
use crate::pointer::{Record, c_string};
use crate::session::VerifierSession;
use crate::status::{Failure, VerifierStatus};
use crate::view::{Reach, Rows, Take, VerifierView, field_of, fill, nth, view};

/// A record of the pool log.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct VerifierLogEntry {
    /// The block.
    pub address: u64,
    /// Its bytes.
    pub size: u64,
    /// The thread's _ETHREAD.
    pub thread: u64,
    /// What happened to the block.
    pub operation: VerifierOperation,
    /// The record's number in the ring.
    pub slot: u32,
    /// Frames of its stack.
    pub frames: usize,
    /// The value that no kernel writes: the record was damaged.
    pub impossible: VerifierImpossibleValue,
}

impl Record for VerifierLogEntry {
    const LEAST: usize = std::mem::offset_of!(Self, impossible);
}

struct PoolLogRows {
    log: PoolLog,
    empty_because: Option<CString>,
}

impl Rows for PoolLogRows {
    fn kind() -> &'static str {
        "log entries"
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
        let record = nth(&self.log.records, index)?;
        let row = PoolRow { record, frames: self.log.frames(record) };
        field_of(&PoolRow::TABLE, &row, field, take)
    }
}

/// The newest `last` records of the pool log, newest first; SIZE_MAX for all. If the log's index is
/// unknown, they are not in the order of time (`is_ordered` of `verifier_reach`). If `address` is not 0,
/// only the records whose block holds it. Records: VerifierLogEntry; their stacks:
/// `verifier_frame_at`; how far the log reaches: `verifier_reach`.
///
/// # Safety
///
/// `view` is NULL or may be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn verifier_pool_log(
    session: *const VerifierSession,
    last: usize,
    address: u64,
    view: *mut *mut VerifierView,
) -> VerifierStatus {
    let read = |session: &VerifierSession, kernel: &Kernel| {
        let (last, address) = wanted(last, address);
        let log = session.host.pool_log(last, address)?;
        let (frames, problems) = (log.all_frames().to_vec(), log.problems.clone());
        let empty_because = log.empty_because.map(c_string);
        Ok(VerifierView::new(PoolLogRows { log, empty_because }, kernel, frames, &problems))
    };
    // SAFETY: the caller guarantees what `view` requires.
    unsafe { self::view(session, view, read) }
}

/// A record of `verifier_pool_log`.
///
/// # Safety
///
/// `record` is NULL or points at `size` bytes that may be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn verifier_log_entry_at(
    view: *const VerifierView,
    index: usize,
    record: *mut VerifierLogEntry,
    size: usize,
) -> VerifierStatus {
    let make = |view: &VerifierView| {
        let PoolLogRows { log, .. } = view.rows()?;
        let entry = nth(&log.records, index)?;
        Ok(VerifierLogEntry {
            address: entry.address.0,
            size: entry.size,
            thread: entry.thread.0,
            operation: VerifierOperation::of(entry.operation),
            slot: entry.slot,
            frames: log.frames(entry).len(),
            impossible: VerifierImpossibleValue::of(entry.impossible),
        })
    };
    // SAFETY: the caller guarantees what `fill` requires.
    unsafe { fill(view, record, size, make) }
}
