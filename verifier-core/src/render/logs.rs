//! The logs, as JSON and CSV.

use std::io;

use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};

use super::csv::{Csv, stack};
use super::json::{FrameDoc, Seq, write_json};
use super::names::Names;
use crate::addr::Va;
use crate::error::Problem;
use crate::verifier::log::{EventLog, EventRecord, PoolLog, PoolRecord, WatchedIrp, WatchedIrps};

pub(super) struct RecordDoc<'a> {
    pub(super) record: &'a PoolRecord,
    pub(super) frames: &'a [Va],
    pub(super) names: &'a Names<'a>,
}

impl Serialize for RecordDoc<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self { record, frames, names } = self;
        let mut map = serializer.serialize_map(Some(6))?;
        map.serialize_entry("slot", &record.slot)?;
        map.serialize_entry("address", &record.address)?;
        map.serialize_entry("size", &record.size)?;
        map.serialize_entry("thread", &record.thread)?;
        map.serialize_entry("operation", record.operation.name())?;
        map.serialize_entry("frames", &Seq(|| frames.iter().map(|&va| FrameDoc(va, names))))?;
        map.end()
    }
}

/// What every log's document has.
#[derive(Serialize)]
struct LogDoc<'a, T: Serialize> {
    kind: &'static str,
    capacity: u32,
    written: Option<u32>,
    order: &'static str,
    wrapped: Option<bool>,
    unused: u32,
    empty_because: Option<&'static str>,
    entries: T,
    problems: &'a [Problem],
}

/// Writes the `log pool` document.
///
/// # Errors
/// Those of the writer.
pub fn write_pool_log_json(
    out: &mut dyn io::Write,
    log: &PoolLog,
    names: &Names<'_>,
) -> io::Result<()> {
    let entries = Seq(|| {
        log.records.iter().map(|record| RecordDoc { record, frames: log.frames(record), names })
    });
    write_json(
        out,
        &LogDoc {
            kind: "pool",
            capacity: log.ring.length,
            written: log.ring.index,
            order: log.ring.order().name(),
            wrapped: log.wrapped,
            unused: log.unused,
            empty_because: log.empty_because,
            entries,
            problems: &log.problems,
        },
    )
}

struct EventDoc<'a>(&'a EventLog, &'a EventRecord, &'a Names<'a>);

impl Serialize for EventDoc<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self(log, record, names) = self;
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("slot", &record.slot)?;
        for (field, value) in log.values(record) {
            if field.is_address {
                map.serialize_entry(field.name, &value.map(Va))?;
            } else {
                // Counts that are signed in C are negative here too.
                map.serialize_entry(field.name, &value.map(|value| value as i64))?;
            }
        }
        let frames = log.frames(record);
        map.serialize_entry("frames", &Seq(|| frames.iter().map(|&va| FrameDoc(va, names))))?;
        map.end()
    }
}

/// Writes the document of any log but the pool log.
///
/// # Errors
/// Those of the writer.
pub fn write_event_log_json(
    out: &mut dyn io::Write,
    log: &EventLog,
    names: &Names<'_>,
) -> io::Result<()> {
    write_json(
        out,
        &LogDoc {
            kind: log.kind.name(),
            capacity: log.ring.length,
            written: log.ring.index,
            order: log.ring.order().name(),
            wrapped: log.wrapped,
            unused: log.unused,
            empty_because: log.empty_because,
            entries: Seq(|| log.records.iter().map(|record| EventDoc(log, record, names))),
            problems: &log.problems,
        },
    )
}

struct WatchedDoc<'a>(&'a WatchedIrp);

impl Serialize for WatchedDoc<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let irp = self.0;
        let mut map = serializer.serialize_map(Some(6))?;
        map.serialize_entry("address", &irp.address)?;
        map.serialize_entry("irp", &irp.irp)?;
        map.serialize_entry("due_tick_count", &irp.due_tick_count)?;
        map.serialize_entry("inserted", &irp.inserted)?;
        map.serialize_entry("tracked_stack_location", &irp.tracked_stack_location)?;
        map.serialize_entry("cancel_timeout_ticks", &irp.cancel_timeout_ticks)?;
        map.end()
    }
}

/// Writes the `log watched` document.
///
/// # Errors
/// Those of the writer.
pub fn write_watched_irps_json(out: &mut dyn io::Write, watched: &WatchedIrps) -> io::Result<()> {
    #[derive(Serialize)]
    struct Doc<'a, T: Serialize> {
        kind: &'static str,
        length: Option<u32>,
        maximum: Option<u32>,
        tick: Option<u32>,
        canceled: Option<u32>,
        empty_because: Option<&'static str>,
        entries: T,
        problems: &'a [Problem],
    }
    write_json(
        out,
        &Doc {
            kind: "watched",
            length: watched.length,
            maximum: watched.maximum,
            tick: watched.tick,
            canceled: watched.canceled,
            empty_because: watched.empty_because,
            entries: Seq(|| watched.irps.iter().map(WatchedDoc)),
            problems: &watched.problems,
        },
    )
}

/// The columns of a record of the pool log.
pub(super) const RECORD: [&str; 6] = ["slot", "address", "size", "thread", "operation", "stack"];

pub(super) fn record_row(record: &PoolRecord, frames: &[Va], names: &Names<'_>) -> [String; 6] {
    [
        record.slot.to_string(),
        record.address.to_string(),
        record.size.to_string(),
        record.thread.to_string(),
        record.operation.name().to_string(),
        stack(names, frames),
    ]
}

/// Writes the pool log, in its order.
///
/// # Errors
/// Those of the writer.
pub fn write_pool_log_csv(
    out: &mut dyn io::Write,
    log: &PoolLog,
    names: &Names<'_>,
) -> io::Result<()> {
    let mut csv = Csv::new(out);
    csv.row(RECORD)?;
    for record in &log.records {
        csv.row(record_row(record, log.frames(record), names))?;
    }
    csv.end()
}

/// Writes any log but the pool log, newest first.
///
/// # Errors
/// Those of the writer.
pub fn write_event_log_csv(
    out: &mut dyn io::Write,
    log: &EventLog,
    names: &Names<'_>,
) -> io::Result<()> {
    let mut csv = Csv::new(out);
    let header = log.kind.fields().iter().map(|field| field.name);
    csv.row(["slot"].into_iter().chain(header).chain(["stack"]))?;
    for record in &log.records {
        let mut row = vec![record.slot.to_string()];
        row.extend(log.values(record).map(|(field, value)| match value {
            Some(value) if field.is_address => Va(value).to_string(),
            Some(value) => (value as i64).to_string(),
            None => String::new(),
        }));
        row.push(stack(names, log.frames(record)));
        csv.row(&row)?;
    }
    csv.end()
}

/// Writes the canceled IRPs that are watched.
///
/// # Errors
/// Those of the writer.
pub fn write_watched_irps_csv(out: &mut dyn io::Write, watched: &WatchedIrps) -> io::Result<()> {
    let mut csv = Csv::new(out);
    csv.row([
        "address",
        "irp",
        "due_tick_count",
        "inserted",
        "tracked_stack_location",
        "cancel_timeout_ticks",
    ])?;
    for irp in &watched.irps {
        csv.row([
            irp.address.to_string(),
            irp.irp.to_string(),
            irp.due_tick_count.to_string(),
            irp.inserted.to_string(),
            irp.tracked_stack_location.to_string(),
            irp.cancel_timeout_ticks.to_string(),
        ])?;
    }
    csv.end()
}
