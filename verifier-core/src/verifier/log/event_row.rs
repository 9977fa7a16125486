//! The description of the records of the logs beside the pool log: a slot, the numbers of the log's kind, a stack.

use super::check::ImpossibleRecord;
use super::event::{EventLog, EventRecord};
use super::kind::{EventKind, MAX_FIELDS};
use crate::addr::Va;
use crate::describe::{Column, Table, Value, columns};

/// A record of such a log.
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
        /// The value that no kernel writes: the record was damaged; null if nothing contradicts it.
        impossible: OneOf(&ImpossibleRecord::NAMES), optional, last_in_csv
            => row.record.impossible.map(ImpossibleRecord::name),
        /// The call stack, innermost frame first.
        frames as "StackTrace": Frames => Value::Frames(row.log.frames(row.record)),
        /// The source file of the first frame outside the kernel and Verifier; null if no PDB has the line.
        file: SourceFile, optional => Value::SourceFile(row.log.frames(row.record)),
        /// The line in that file.
        line: SourceLine, optional => Value::SourceLine(row.log.frames(row.record)),
    });
    /// How to get the fields of a kind, by their number.
    const FIELDS: [for<'r> fn(&'r Self) -> Value<'r>; MAX_FIELDS] = [
        |row| row.field(0),
        |row| row.field(1),
        |row| row.field(2),
        |row| row.field(3),
        |row| row.field(4),
    ];

    fn field(&self, number: usize) -> Value<'_> {
        match self.log.values(self.record).nth(number) {
            Some((field, Some(value))) if field.is_address() => Value::Address(Va(value)),
            // Counts that are signed in C are negative here too.
            Some((_, Some(value))) => Value::Signed(value as i64),
            _ => Value::None,
        }
    }

    /// The description of the records of a kind, of which `has` says which fields a build has.
    pub(super) fn table(kind: EventKind, has: [bool; MAX_FIELDS]) -> Table<'a, Self> {
        let fields = kind.fields().iter().zip(Self::FIELDS).zip(has).map(|((field, get), has)| {
            let column = Column::new(field.name, field.kind, field.doc, get).c(field.c_name);
            if has { column } else { column.optional() }
        });
        let columns = Self::SLOT.iter().copied().chain(fields).chain(Self::LAST.iter().copied());
        Table { name: kind.record_name(), doc: kind.record_doc(), columns: columns.collect() }
    }
}

impl EventKind {
    /// The description of the records of every build: the fields that a build may lack are optional.
    #[must_use]
    pub fn table<'a>(self) -> Table<'a, EventRow<'a>> {
        let mut has = [true; MAX_FIELDS];
        for (has, field) in has.iter_mut().zip(self.fields()) {
            *has = !field.is_optional;
        }
        EventRow::table(self, has)
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
