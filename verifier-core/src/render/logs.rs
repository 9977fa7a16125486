//! The logs, as JSON and CSV.

use std::io;

use serde::Serialize;

use super::csv::write_table;
use super::json::{Verdict, rows, write_json};
use super::names::Names;
use crate::error::Problem;
use crate::verifier::log::{EventLog, PoolLog, PoolRow, Ring, WatchedIrp, WatchedIrps};

/// Facts about a log: the start of its document, before the records.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct LogFacts {
    /// [`LogKind::name`](crate::verifier::log::LogKind::name).
    pub kind: &'static str,
    /// The number of records that fit.
    pub capacity: u32,
    /// Records ever written, modulo 2^32, if that is known.
    pub written: Option<u32>,
    /// [`Order::name`](crate::verifier::log::Order::name).
    pub order: &'static str,
    /// Whether records were overwritten, if that is known.
    pub wrapped: Option<bool>,
    /// Slots without a record.
    pub unused: u32,
    /// Why there are no records, if there are none by design.
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

/// The document of a log.
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
    let table = PoolRow::TABLE;
    let entries = rows(&table, log.rows(), names);
    write_json(
        out,
        &LogDoc { facts: LogFacts::from(log), entries, verdict: Verdict::of(&log.problems) },
    )
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
    let table = log.table();
    let entries = rows(&table, log.rows(), names);
    write_json(
        out,
        &LogDoc { facts: LogFacts::from(log), entries, verdict: Verdict::of(&log.problems) },
    )
}

/// Facts about the list of watched IRPs: the start of its document, before the entries.
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

/// Writes the `log watched` document.
///
/// # Errors
/// Those of the writer.
pub fn write_watched_irps_json(out: &mut dyn io::Write, watched: &WatchedIrps) -> io::Result<()> {
    let table = WatchedIrp::TABLE;
    let entries = rows(&table, watched.irps.iter(), None);
    let facts = WatchedFacts::from(watched);
    write_json(out, &LogDoc { facts, entries, verdict: Verdict::of(&watched.problems) })
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
    write_table(out, &log.problems, &PoolRow::TABLE, log.rows(), Some(names))
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
    write_table(out, &log.problems, &log.table(), log.rows(), Some(names))
}

/// Writes the canceled IRPs that are watched.
///
/// # Errors
/// Those of the writer.
pub fn write_watched_irps_csv(out: &mut dyn io::Write, watched: &WatchedIrps) -> io::Result<()> {
    write_table(out, &watched.problems, &WatchedIrp::TABLE, &watched.irps, None)
}
