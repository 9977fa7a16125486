//! The logs, and the stacks of whatever has one.

use std::ffi::{CString, c_char};

use verifier_core::Va;
use verifier_core::kernel::Kernel;
use verifier_core::verifier::log::{EventKind, ImpossibleRecord, Operation};

use crate::pointer::{Record, c_string};
use crate::session::VerifierSession;
use crate::status::{Failure, VerifierStatus};
use crate::view::{Rows, VerifierView, fill, nth};

/// What a record of the pool log is about.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VerifierOperation {
    /// A block was allocated.
    Allocate = 0,
    /// A block was freed.
    Free = 1,
    /// An allocation failed: the address is 0.
    Failed = 2,
    /// The stack does not say.
    Unknown = 3,
}

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
    /// Which value no kernel writes, so that the record was damaged.
    pub impossible: VerifierImpossibleValue,
}

impl Record for VerifierLogEntry {
    const LEAST: usize = std::mem::offset_of!(Self, impossible);
}

/// A value of a log's record that no kernel writes.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VerifierImpossibleValue {
    /// None.
    Nothing = 0,
    /// The block's address.
    Address = 1,
    /// The block's size.
    Size = 2,
    /// The thread.
    Thread = 3,
    /// A frame of the stack.
    Frame = 4,
    /// The IRP.
    Irp = 5,
    /// An IRQL.
    Irql = 6,
    /// The processor's number.
    Processor = 7,
    /// A value that this interface has no name for yet.
    SomethingElse = 8,
}

impl VerifierImpossibleValue {
    fn of(value: Option<ImpossibleRecord>) -> Self {
        match value {
            None => Self::Nothing,
            Some(ImpossibleRecord::Address) => Self::Address,
            Some(ImpossibleRecord::Size) => Self::Size,
            Some(ImpossibleRecord::Thread) => Self::Thread,
            Some(ImpossibleRecord::Frame) => Self::Frame,
            Some(ImpossibleRecord::Irp) => Self::Irp,
            Some(ImpossibleRecord::Irql) => Self::Irql,
            Some(ImpossibleRecord::Processor) => Self::Processor,
            Some(_) => Self::SomethingElse,
        }
    }
}

/// A frame of a stack.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct VerifierFrame {
    /// The return address.
    pub address: u64,
    /// `module!name+0x1f`, `module+0x1234` where no symbol is known, NULL where no module holds it.
    pub symbol: *const c_char,
}

impl Record for VerifierFrame {}

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
    /// Numbers that records of this log have: `verifier_event_field_at`.
    pub fields: u32,
    /// Frames of its stack.
    pub frames: usize,
    /// Which value no kernel writes, so that the record was damaged.
    pub impossible: VerifierImpossibleValue,
}

impl Record for VerifierEvent {
    const LEAST: usize = std::mem::offset_of!(Self, impossible);
}

/// A number of such a record.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct VerifierEventField {
    /// Its name in JSON, such as "old_irql".
    pub name: *const c_char,
    /// Its value; a signed one is sign-extended.
    pub value: u64,
    /// 1 for an address, 0 for a count.
    pub is_address: u32,
    /// 0 where this build's records do not have it: the value is 0 then.
    pub is_there: u32,
}

impl Record for VerifierEventField {}

fn wanted(last: usize, address: u64) -> (Option<usize>, Option<Va>) {
    ((last != usize::MAX).then_some(last), (address != 0).then_some(Va(address)))
}

impl VerifierOperation {
    pub(crate) fn of(operation: Operation) -> Self {
        match operation {
            Operation::Allocate => Self::Allocate,
            Operation::Free => Self::Free,
            Operation::Failed => Self::Failed,
            _ => Self::Unknown,
        }
    }
}

impl VerifierView {
    pub(crate) fn frames(&self, index: usize) -> Result<&[Va], Failure> {
        match &self.rows {
            Rows::Log(log) => Ok(log.frames(nth(&log.records, index)?)),
            Rows::Events { log, .. } => Ok(log.frames(nth(&log.records, index)?)),
            Rows::History(rows) => Ok(&nth(rows, index)?.frames),
            Rows::Leaks { leaks, groups, .. } => {
                Ok(nth(groups, index)?.0.frames(leaks).unwrap_or_default())
            }
            _ => Err(self.other("stacks")),
        }
    }
}

/// The newest `last` records of the pool log, newest first; SIZE_MAX for all. Where the log's index is not
/// known they are in no order (`is_ordered` of `verifier_reach`). Only those whose block holds `address`, where that is not 0. Records: VerifierLogEntry; their stacks: `verifier_frame_at`;
/// how far it reaches: `verifier_reach`.
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
        let why = log.empty_because;
        Ok(VerifierView::new(Rows::Log(log), kernel, frames, &problems).empty_because(why))
    };
    // SAFETY: the caller's word is the one that `view` asks for.
    unsafe { crate::view::view(session, view, read) }
}

/// The newest `last` records of another log, a VerifierEventKind, newest first; SIZE_MAX for all. Only
/// those of which `address`, where that is not 0, is one of the addresses: an IRP, a thread. Records:
/// VerifierEvent; their numbers: `verifier_event_field_at`; their stacks: `verifier_frame_at`; how far
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
        let unknown = || Failure::argument(format!("kind is {kind}, no VerifierEventKind"));
        let found = found.ok_or_else(unknown)?.1;
        let (last, address) = wanted(last, address);
        let log = session.host.event_log(found, last, address)?;
        let (frames, problems) = (log.all_frames().to_vec(), log.problems.clone());
        let why = log.empty_because;
        let fields: Vec<CString> =
            found.fields().iter().map(|field| c_string(field.name)).collect();
        let rows = Rows::Events { log, fields };
        Ok(VerifierView::new(rows, kernel, frames, &problems).empty_because(why))
    };
    // SAFETY: the caller's word is the one that `view` asks for.
    unsafe { crate::view::view(session, view, read) }
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
        let Rows::Log(log) = &view.rows else { return Err(view.other("log entries")) };
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
    // SAFETY: the caller's word is the one that `fill` asks for.
    unsafe { fill(view, record, size, make) }
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
        let Rows::Events { log, fields } = &view.rows else { return Err(view.other("events")) };
        let event = nth(&log.records, index)?;
        let fields = u32::try_from(fields.len()).unwrap_or(u32::MAX);
        Ok(VerifierEvent {
            slot: event.slot,
            fields,
            frames: log.frames(event).len(),
            impossible: VerifierImpossibleValue::of(event.impossible),
        })
    };
    // SAFETY: the caller's word is the one that `fill` asks for.
    unsafe { fill(view, record, size, make) }
}

/// A number of a record of `verifier_event_log`, by its own number within the record.
///
/// # Safety
///
/// `record` is NULL or points at `size` bytes that may be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn verifier_event_field_at(
    view: *const VerifierView,
    index: usize,
    field: usize,
    record: *mut VerifierEventField,
    size: usize,
) -> VerifierStatus {
    let make = |view: &VerifierView| {
        let Rows::Events { log, fields } = &view.rows else { return Err(view.other("events")) };
        let event = nth(&log.records, index)?;
        let name = nth(fields, field)?.as_ptr();
        let (told, value) = log.values(event).nth(field).ok_or_else(Failure::at_the_end)?;
        Ok(VerifierEventField {
            name,
            value: value.unwrap_or(0),
            is_address: told.is_address().into(),
            is_there: value.is_some().into(),
        })
    };
    // SAFETY: the caller's word is the one that `fill` asks for.
    unsafe { fill(view, record, size, make) }
}

/// A frame of the stack of a record of a log, a history or leaks, innermost first.
///
/// # Safety
///
/// `record` is NULL or points at `size` bytes that may be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn verifier_frame_at(
    view: *const VerifierView,
    index: usize,
    frame: usize,
    record: *mut VerifierFrame,
    size: usize,
) -> VerifierStatus {
    let make = |view: &VerifierView| {
        let address = *nth(view.frames(index)?, frame)?;
        Ok(VerifierFrame { address: address.0, symbol: view.name(address) })
    };
    // SAFETY: the caller's word is the one that `fill` asks for.
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
