//! All that is known of one address.

use std::ffi::{CString, c_char};
use std::ptr;

use verifier_core::Va;
use verifier_core::analysis::{Event, Neighbor, TrackerMatch};
use verifier_core::kernel::Kernel;
use verifier_core::verifier::PoolTag;
use verifier_core::verifier::log::Operation;

use crate::allocation::tag;
use crate::log::VerifierOperation;
use crate::pointer::{Record, c_string};

use crate::session::VerifierSession;
use crate::status::{Failure, VerifierStatus};
use crate::view::{Rows, VerifierView, fill, nth, view};

/// What a record of a history is.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VerifierRole {
    /// An outstanding allocation that holds the address.
    Held = 0,
    /// A record of the pool log whose block holds it.
    Logged = 1,
    /// A freed tracking entry that fits one of those by size and caller; its address is gone.
    FreedEntry = 2,
    /// A block in its page or the pages around it.
    Neighbor = 3,
}

/// A record of a history. Fields that its role does not have are 0 or NULL, an operation UNKNOWN.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct VerifierHistoryRecord {
    /// What it is.
    pub role: VerifierRole,
    /// Of a record of the log, or of the newest one about a neighbor.
    pub operation: VerifierOperation,
    /// The block.
    pub address: u64,
    /// Its bytes.
    pub size: u64,
    /// The thread's _ETHREAD, of a record of the log.
    pub thread: u64,
    /// The address from which the driver asked for it, of an allocation or a freed entry.
    pub caller: u64,
    /// The name of that address, NULL if no module holds it.
    pub caller_symbol: *const c_char,
    /// The driver's file name, "(no known driver)" if it is unknown.
    pub driver: *const c_char,
    /// Frames of its stack: of a record of the log, or if the pool info tree has one.
    pub frames: usize,
    /// The record's number in the ring.
    pub slot: u32,
    /// The pool tag, of an allocation or a freed entry.
    pub tag: [c_char; 5],
}

impl Record for VerifierHistoryRecord {}

/// A record of a history with its own text.
struct HistoryRow {
    role: VerifierRole,
    operation: Operation,
    address: Va,
    size: u64,
    thread: Va,
    caller: Va,
    driver: Option<CString>,
    slot: u32,
    tag: Option<PoolTag>,
    frames: Vec<Va>,
}

/// The rows of a history.
struct HistoryRows(Vec<HistoryRow>);

impl Rows for HistoryRows {
    fn kind() -> &'static str {
        "the history of an address"
    }

    fn count(&self) -> usize {
        self.0.len()
    }

    fn frames(&self, index: usize) -> Result<&[Va], Failure> {
        Ok(&nth(&self.0, index)?.frames)
    }
}

impl HistoryRow {
    fn new(role: VerifierRole, address: Va, size: u64) -> Self {
        Self {
            role,
            operation: Operation::Unknown,
            address,
            size,
            thread: Va(0),
            caller: Va(0),
            driver: None,
            slot: 0,
            tag: None,
            frames: Vec::new(),
        }
    }

    fn entry(role: VerifierRole, found: TrackerMatch) -> Self {
        let block = found.entry.allocation;
        // What a freed entry has there is the free list's.
        let address = if role == VerifierRole::FreedEntry { Va(0) } else { block.address };
        Self {
            caller: block.caller,
            driver: Some(c_string(&found.driver)),
            tag: block.pool_tag(),
            frames: found.frames,
            ..Self::new(role, address, block.size)
        }
    }

    fn logged(event: Event) -> Self {
        let record = event.record;
        Self {
            operation: record.operation,
            thread: record.thread,
            slot: record.slot,
            frames: event.frames,
            ..Self::new(VerifierRole::Logged, record.address, record.size)
        }
    }

    fn neighbor(neighbor: Neighbor) -> Self {
        Self {
            operation: neighbor.newest.unwrap_or(Operation::Unknown),
            driver: neighbor.driver.as_deref().map(c_string),
            ..Self::new(VerifierRole::Neighbor, neighbor.address, neighbor.size)
        }
    }
}

/// Everything that is known about one address: outstanding allocations that hold it, records of the pool log about
/// it, newest first, freed tracking entries that fit those, and blocks near it. Records:
/// VerifierHistoryRecord; their stacks: `verifier_frame_at`.
///
/// # Safety
///
/// `view` is NULL or may be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn verifier_history(
    session: *const VerifierSession,
    address: u64,
    view: *mut *mut VerifierView,
) -> VerifierStatus {
    let read = |session: &VerifierSession, kernel: &Kernel| {
        let history = session.host.history(Va(address))?;
        let held =
            history.trackers.into_iter().map(|one| HistoryRow::entry(VerifierRole::Held, one));
        let logged = history.events.into_iter().map(HistoryRow::logged);
        let freed = history.freed_entries.into_iter();
        let freed = freed.map(|one| HistoryRow::entry(VerifierRole::FreedEntry, one));
        let near = history.neighbors.into_iter().map(HistoryRow::neighbor);
        let rows: Vec<HistoryRow> = held.chain(logged).chain(freed).chain(near).collect();
        let named = rows.iter().flat_map(|row| row.frames.iter().copied().chain([row.caller]));
        let named: Vec<Va> = named.collect();
        Ok(VerifierView::new(HistoryRows(rows), kernel, named, &history.problems))
    };
    // SAFETY: the caller guarantees what `view` requires.
    unsafe { self::view(session, view, read) }
}

/// A record of `verifier_history`.
///
/// # Safety
///
/// `record` is NULL or points at `size` bytes that may be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn verifier_history_record_at(
    view: *const VerifierView,
    index: usize,
    record: *mut VerifierHistoryRecord,
    size: usize,
) -> VerifierStatus {
    let make = |view: &VerifierView| {
        let HistoryRows(rows) = view.rows()?;
        let row = nth(rows, index)?;
        Ok(VerifierHistoryRecord {
            role: row.role,
            operation: VerifierOperation::of(row.operation),
            address: row.address.0,
            size: row.size,
            thread: row.thread.0,
            caller: row.caller.0,
            caller_symbol: view.name(row.caller),
            driver: row.driver.as_ref().map_or(ptr::null(), |driver| driver.as_ptr()),
            frames: row.frames.len(),
            slot: row.slot,
            tag: row.tag.map_or([0; 5], tag),
        })
    };
    // SAFETY: the caller guarantees what `fill` requires.
    unsafe { fill(view, record, size, make) }
}
