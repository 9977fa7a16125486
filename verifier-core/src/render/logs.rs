//! The logs, as JSON and CSV.

use std::io;

use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};

use super::csv::{Csv, stack};
use super::json::{FrameDoc, Seq, Verdict, write_json};
use super::names::Names;
use crate::addr::Va;
use crate::error::Problem;
use crate::verifier::log::{
    EventLog, EventRecord, ImpossibleRecord, PoolLog, PoolRecord, Ring, WatchedIrp, WatchedIrps,
};

pub(super) struct RecordDoc<'a> {
    pub(super) record: &'a PoolRecord,
    pub(super) frames: &'a [Va],
    pub(super) names: &'a Names<'a>,
}

impl Serialize for RecordDoc<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self { record, frames, names } = self;
        let mut map = serializer.serialize_map(Some(7))?;
        map.serialize_entry("slot", &record.slot)?;
        map.serialize_entry("address", &record.address)?;
        map.serialize_entry("size", &record.size)?;
        map.serialize_entry("thread", &record.thread)?;
        map.serialize_entry("operation", record.operation.name())?;
        map.serialize_entry("impossible", &record.impossible.map(ImpossibleRecord::name))?;
        map.serialize_entry("frames", &Seq(|| frames.iter().map(|&va| FrameDoc(va, names))))?;
        map.end()
    }
}

/// What is known of a log beside its records: the start of its document.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct LogFacts {
    /// [`EventKind::name`](crate::verifier::log::EventKind::name), or `pool`.
    pub kind: &'static str,
    /// Records that it has room for.
    pub capacity: u32,
    /// Records ever written, modulo 2^32, where that is known.
    pub written: Option<u32>,
    /// [`Order::name`](crate::verifier::log::Order::name).
    pub order: &'static str,
    /// Whether records were overwritten, where anything tells.
    pub wrapped: Option<bool>,
    /// Slots that hold no record.
    pub unused: u32,
    /// Why there is nothing, where there is nothing.
    pub empty_because: Option<&'static str>,
}

impl LogFacts {
    fn new(
        kind: &'static str,
        ring: &Ring,
        (wrapped, unused): (Option<bool>, u32),
        empty_because: Option<&'static str>,
    ) -> Self {
        let (capacity, written, order) = (ring.length, ring.index, ring.order().name());
        Self { kind, capacity, written, order, wrapped, unused, empty_because }
    }
}

impl From<&PoolLog> for LogFacts {
    fn from(log: &PoolLog) -> Self {
        Self::new("pool", &log.ring, (log.wrapped, log.unused), log.empty_because)
    }
}

impl From<&EventLog> for LogFacts {
    fn from(log: &EventLog) -> Self {
        Self::new(log.kind.name(), &log.ring, (log.wrapped, log.unused), log.empty_because)
    }
}

/// What every log's document has.
#[derive(Serialize)]
struct LogDoc<'a, F: Serialize, T: Serialize> {
    #[serde(flatten)]
    facts: F,
    entries: T,
    #[serde(flatten)]
    verdict: Verdict<Vec<&'a Problem>>,
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
        &LogDoc { facts: LogFacts::from(log), entries, verdict: Verdict::of(&log.problems) },
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
        map.serialize_entry("impossible", &record.impossible.map(ImpossibleRecord::name))?;
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
    let entries = Seq(|| log.records.iter().map(|record| EventDoc(log, record, names)));
    write_json(
        out,
        &LogDoc { facts: LogFacts::from(log), entries, verdict: Verdict::of(&log.problems) },
    )
}

/// What is known of the list of watched IRPs beside its entries: the start of its document.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct WatchedFacts {
    /// `watched`.
    pub kind: &'static str,
    /// [`WatchedIrps::length`].
    pub length: Option<u32>,
    /// [`WatchedIrps::maximum`].
    pub maximum: Option<u32>,
    /// [`WatchedIrps::tick`].
    pub tick: Option<u32>,
    /// [`WatchedIrps::canceled`].
    pub canceled: Option<u32>,
    /// [`WatchedIrps::empty_because`].
    pub empty_because: Option<&'static str>,
}

impl From<&WatchedIrps> for WatchedFacts {
    fn from(watched: &WatchedIrps) -> Self {
        let &WatchedIrps { length, maximum, tick, canceled, empty_because, .. } = watched;
        Self { kind: "watched", length, maximum, tick, canceled, empty_because }
    }
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
    let entries = Seq(|| watched.irps.iter().map(WatchedDoc));
    let facts = WatchedFacts::from(watched);
    write_json(out, &LogDoc { facts, entries, verdict: Verdict::of(&watched.problems) })
}

/// The columns of a record of the pool log.
pub(super) const RECORD: [&str; 7] =
    ["slot", "address", "size", "thread", "operation", "stack", "impossible"];

pub(super) fn record_row(record: &PoolRecord, frames: &[Va], names: &Names<'_>) -> [String; 7] {
    [
        record.slot.to_string(),
        record.address.to_string(),
        record.size.to_string(),
        record.thread.to_string(),
        record.operation.name().to_string(),
        stack(names, frames),
        impossible(record.impossible),
    ]
}

/// The mark of a record that is impossible; empty for any other.
fn impossible(record: Option<ImpossibleRecord>) -> String {
    record.map_or_else(String::new, |one| one.name().to_string())
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
    let mut csv = Csv::new(out, &log.problems, RECORD)?;
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
    let header = log.kind.fields().iter().map(|field| field.name);
    let heading = ["slot"].into_iter().chain(header).chain(["stack", "impossible"]);
    let mut csv = Csv::new(out, &log.problems, heading)?;
    for record in &log.records {
        let mut row = vec![record.slot.to_string()];
        row.extend(log.values(record).map(|(field, value)| match value {
            Some(value) if field.is_address => Va(value).to_string(),
            Some(value) => (value as i64).to_string(),
            None => String::new(),
        }));
        row.push(stack(names, log.frames(record)));
        row.push(impossible(record.impossible));
        csv.row(&row)?;
    }
    csv.end()
}

/// Writes the canceled IRPs that are watched.
///
/// # Errors
/// Those of the writer.
pub fn write_watched_irps_csv(out: &mut dyn io::Write, watched: &WatchedIrps) -> io::Result<()> {
    let mut csv = Csv::new(
        out,
        &watched.problems,
        [
            "address",
            "irp",
            "due_tick_count",
            "inserted",
            "tracked_stack_location",
            "cancel_timeout_ticks",
        ],
    )?;
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
