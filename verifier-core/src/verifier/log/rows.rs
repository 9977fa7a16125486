//! The records of logs as rows: what JSON, CSV, Python and C show of them, described once.

use super::EventKind;
use super::carve::{CarvedLog, CarvedRecord};
use super::check::ImpossibleRecord;
use super::event::{EventLog, EventRecord};
use super::kind::MAX_FIELDS;
use super::operation::Operation;
use super::pool::PoolLog;
use super::record::PoolRecord;
use super::watched::WatchedIrp;
use crate::addr::Va;
use crate::describe::{Column, Table, Value, columns};

/// A record of the pool log with its stack.
#[derive(Debug, Clone, Copy)]
pub struct PoolRow<'a> {
    /// The record.
    pub record: &'a PoolRecord,
    /// Its stack.
    pub frames: &'a [Va],
}

impl<'a> PoolRow<'a> {
    /// The description.
    pub const TABLE: Table<'a, Self> = Table::new(
        "PoolEvent",
        "A record of the pool log.",
        columns!(|row: Self| {
            /// The record's slot in the ring.
            slot: U32 => row.record.slot,
            /// The block, the MDL or the mapping; null for an allocation that failed.
            address as "Address": Address => row.record.address,
            /// Its size in bytes: what was asked for, or the size of the block that was freed.
            size as "Size": U64 => row.record.size,
            /// The thread's `_ETHREAD`.
            thread as "Thread": Address => row.record.thread,
            /// What happened to the block, by the names of the frames.
            operation: OneOf(Operation::NAMES) => row.record.operation.name(),
            /// Which value no kernel writes, so that the record was damaged; null if nothing contradicts it.
            impossible: OneOf(ImpossibleRecord::NAMES), optional, last_in_csv
                => row.record.impossible.map(ImpossibleRecord::name),
            /// The call stack, innermost frame first.
            frames as "StackTrace": Frames => Value::Frames(row.frames),
        }),
    );
}

impl PoolLog {
    /// The records with their stacks, in the ring's order.
    pub fn rows(&self) -> impl ExactSizeIterator<Item = PoolRow<'_>> + Clone {
        self.records.iter().map(|record| PoolRow { record, frames: self.frames(record) })
    }
}

/// A record of another log.
#[derive(Debug, Clone, Copy)]
pub struct EventRow<'a> {
    /// Its log.
    pub log: &'a EventLog,
    /// The record.
    pub record: &'a EventRecord,
}

impl<'a> EventRow<'a> {
    const SLOT: &'a [Column<Self>] = columns!(|row: Self| {
        /// The record's slot in the ring.
        slot: U32 => row.record.slot,
    });
    /// The columns after those of the kind.
    const LAST: &'a [Column<Self>] = columns!(|row: Self| {
        /// Which value no kernel writes, so that the record was damaged; null if nothing contradicts it.
        impossible: OneOf(ImpossibleRecord::NAMES), optional, last_in_csv
            => row.record.impossible.map(ImpossibleRecord::name),
        /// The call stack, innermost frame first.
        frames as "StackTrace": Frames => Value::Frames(row.log.frames(row.record)),
    });
    /// The columns of the kind's fields.
    const FIELDS: [for<'r> fn(&'r Self) -> Value<'r>; MAX_FIELDS] = [
        |row| row.field(0),
        |row| row.field(1),
        |row| row.field(2),
        |row| row.field(3),
        |row| row.field(4),
    ];

    /// The value of a field of the kind.
    fn field(&self, index: usize) -> Value<'_> {
        match self.log.values(self.record).nth(index) {
            Some((field, Some(value))) if field.is_address() => Value::Address(Va(value)),
            // Counts that are signed in C are negative here too.
            Some((_, Some(value))) => Value::Signed(value as i64),
            _ => Value::None,
        }
    }

    /// The description of the records of a log; `has` says which fields a build's records have.
    pub(super) fn table(kind: EventKind, has: [bool; MAX_FIELDS]) -> Table<'a, Self> {
        let fields = kind.fields().iter().zip(Self::FIELDS).zip(has).map(|((field, get), has)| {
            let column = Column::new(field.name, field.kind, field.doc, get).c(field.c_name);
            if has { column } else { column.optional() }
        });
        let columns = Self::SLOT.iter().copied().chain(fields).chain(Self::LAST.iter().copied());
        Table { name: kind.record_name(), doc: kind.record_doc(), columns: columns.collect() }
    }
}

impl EventLog {
    /// The description of its records. A field that this build's records do not have is optional.
    #[must_use]
    pub fn table(&self) -> Table<'_, EventRow<'_>> {
        EventRow::table(self.kind, self.has)
    }

    /// The records, newest first.
    pub fn rows(&self) -> impl ExactSizeIterator<Item = EventRow<'_>> + Clone {
        self.records.iter().map(|record| EventRow { log: self, record })
    }
}

/// A record of the pool log that was carved, with its stack.
#[derive(Debug, Clone, Copy)]
pub struct CarvedRow<'a> {
    /// The record.
    pub record: &'a CarvedRecord,
    /// Its stack.
    pub frames: &'a [Va],
}

impl<'a> CarvedRow<'a> {
    /// The description.
    pub const TABLE: Table<'a, Self> = Table::new(
        "CarvedPoolEvent",
        "A record of the pool log that was found in memory by its content.",
        columns!(|row: Self| {
            /// The physical page on which the record starts.
            physical_page: Physical, optional => row.record.page.pa,
            /// The virtual address of that page.
            page: Address, optional => row.record.page.va,
            /// Where on the page the record starts, in bytes.
            offset: U32 => row.record.offset,
            /// The block, the MDL or the mapping; null for an allocation that failed.
            address as "Address": Address => row.record.address,
            /// Its size in bytes: what was asked for, or the size of the block that was freed.
            size as "Size": U64 => row.record.size,
            /// The thread's `_ETHREAD`.
            thread as "Thread": Address => row.record.thread,
            /// What happened to the block, by the names of the frames.
            operation: OneOf(Operation::NAMES) => row.record.operation.name(),
            /// True if the record ends on another page that was not found, so that frames may be missing.
            is_cut: Bool => row.record.is_cut,
            /// The call stack, innermost frame first.
            frames as "StackTrace": Frames => Value::Frames(row.frames),
        }),
    );
}

impl CarvedLog {
    /// The records with their stacks, in no order of time.
    pub fn rows(&self) -> impl ExactSizeIterator<Item = CarvedRow<'_>> + Clone {
        self.records.iter().map(|record| CarvedRow { record, frames: self.frames(record) })
    }
}

impl WatchedIrp {
    /// The description.
    pub const TABLE: Table<'static, Self> = Table::new(
        "WatchedIrp",
        "A canceled IRP that Verifier watches until it is completed.",
        columns!(|irp: Self| {
            /// The `_VF_WATCHDOG_IRP`.
            address: Address => irp.address,
            /// The `_IRP`.
            irp as "Irp": Address => irp.irp,
            /// The tick by which the IRP must be completed.
            due_tick_count as "DueTickCount": U32 => irp.due_tick_count,
            /// Not 0 while the IRP is in the list.
            inserted as "Inserted": U32 => irp.inserted,
            /// The number of the stack location of the IRP that is tracked.
            tracked_stack_location as "TrackedStackLocation": I64 => irp.tracked_stack_location,
            /// Ticks that the IRP's driver has to complete it.
            cancel_timeout_ticks as "CancelTimeoutTicks": U32 => irp.cancel_timeout_ticks,
        }),
    );
}
