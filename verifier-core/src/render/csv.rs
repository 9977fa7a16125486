//! CSV (RFC 4180): one row a driver, an allocation, a record. Stacks are one cell, frames joined by
//! " < " from the innermost out. Text from the dump that a spreadsheet would take for a formula gets
//! an apostrophe in front.

use std::borrow::Cow;
use std::io;

use super::names::Names;
use crate::addr::Va;
use crate::analysis::History;
use crate::verifier::log::{EventLog, PoolLog, PoolRecord};
use crate::verifier::{Drivers, PoolReport};

pub(super) fn writer(out: &mut dyn io::Write) -> csv::Writer<&mut dyn io::Write> {
    csv::WriterBuilder::new().flexible(false).from_writer(out)
}

/// The writer's own error: the crate's conversion hides its kind, and a reader that went away is no
/// failure to the command.
fn io_error(error: csv::Error) -> io::Error {
    match error.into_kind() {
        csv::ErrorKind::Io(error) => error,
        other => io::Error::other(format!("CSV: {other:?}")),
    }
}

/// Text that no spreadsheet runs.
pub(super) fn inert(text: &str) -> Cow<'_, str> {
    match text.chars().next() {
        Some('=' | '+' | '-' | '@' | '\t' | '\r') => Cow::Owned(format!("'{text}")),
        _ => Cow::Borrowed(text),
    }
}

fn name(names: &Names<'_>, va: Va) -> String {
    names.get(va).map(|name| inert(&name).into_owned()).unwrap_or_default()
}

pub(super) fn stack(names: &Names<'_>, frames: &[Va]) -> String {
    let frames: Vec<String> = frames
        .iter()
        .map(|&va| names.get(va).map_or_else(|| va.to_string(), |name| name.to_string()))
        .collect();
    inert(&frames.join(" < ")).into_owned()
}

/// Writes drivers, their state and their counters of pool and of other memory.
///
/// # Errors
/// Those of the writer.
pub fn write_drivers_csv(out: &mut dyn io::Write, drivers: &Drivers) -> io::Result<()> {
    const COUNTERS: [&str; 18] = [
        "CurrentPagedPoolAllocations",
        "CurrentNonPagedPoolAllocations",
        "PeakPagedPoolAllocations",
        "PeakNonPagedPoolAllocations",
        "PagedBytes",
        "NonPagedBytes",
        "PeakPagedBytes",
        "PeakNonPagedBytes",
        "LockedBytes",
        "PeakLockedBytes",
        "MappedLockedBytes",
        "PeakMappedLockedBytes",
        "MappedIoSpaceBytes",
        "PeakMappedIoSpaceBytes",
        "PagesForMdlBytes",
        "PeakPagesForMdlBytes",
        "ContiguousMemoryBytes",
        "PeakContiguousMemoryBytes",
    ];
    let mut csv = writer(out);
    let mut header: Vec<String> =
        ["name", "state", "loads", "unloads", "base", "size"].map(String::from).to_vec();
    header.extend(COUNTERS.map(super::to_snake_case));
    csv.write_record(&header).map_err(io_error)?;
    for driver in &drivers.drivers {
        let image = driver.images.first();
        let counters = driver.counters();
        let mut row = vec![
            inert(&driver.name).into_owned(),
            driver.state().name().to_string(),
            driver.loads.to_string(),
            driver.unloads.to_string(),
            image.map(|image| image.base.to_string()).unwrap_or_default(),
            image.map(|image| image.size.to_string()).unwrap_or_default(),
        ];
        row.extend(COUNTERS.map(|c| counters.get(c).map(|v| v.to_string()).unwrap_or_default()));
        csv.write_record(&row).map_err(io_error)?;
    }
    csv.flush()
}

/// Writes outstanding allocations, then contiguous memory, whose rows have no tag. The driver of a block
/// of no known driver is empty.
///
/// # Errors
/// Those of the writer.
pub fn write_pool_csv(
    out: &mut dyn io::Write,
    report: &PoolReport,
    names: &Names<'_>,
) -> io::Result<()> {
    let mut csv = writer(out);
    csv.write_record(["driver", "address", "size", "tag", "caller", "caller_symbol", "source"])
        .map_err(io_error)?;
    let mut row = |driver: &str, address: Va, size: u64, tag: &str, caller: Va, source: &str| {
        csv.write_record([
            &*inert(driver),
            &address.to_string(),
            &size.to_string(),
            &inert(tag),
            &caller.to_string(),
            &name(names, caller),
            source,
        ])
        .map_err(io_error)
    };
    for (driver, a) in report.allocations() {
        let driver = driver.unwrap_or_default();
        row(driver, a.address, a.size, &a.tag.to_string(), a.caller, a.source.name())?;
    }
    for pool in &report.drivers {
        for memory in &pool.contiguous {
            let (address, size) = (memory.address, memory.size);
            row(&pool.driver.name, address, size, "", memory.caller, "contiguous memory")?;
        }
    }
    csv.flush()
}

const RECORD: [&str; 6] = ["slot", "address", "size", "thread", "operation", "stack"];

fn record_row(record: &PoolRecord, frames: &[Va], names: &Names<'_>) -> [String; 6] {
    [
        record.slot.to_string(),
        record.address.to_string(),
        record.size.to_string(),
        record.thread.to_string(),
        record.operation.name().to_string(),
        stack(names, frames),
    ]
}

/// Writes the pool log, newest first.
///
/// # Errors
/// Those of the writer.
pub fn write_pool_log_csv(
    out: &mut dyn io::Write,
    log: &PoolLog,
    names: &Names<'_>,
) -> io::Result<()> {
    let mut csv = writer(out);
    csv.write_record(RECORD).map_err(io_error)?;
    for record in &log.records {
        csv.write_record(record_row(record, log.frames(record), names)).map_err(io_error)?;
    }
    csv.flush()
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
    let fields = log.kind.fields();
    let mut csv = writer(out);
    let header = fields.iter().map(|field| field.name);
    csv.write_record(["slot"].into_iter().chain(header).chain(["stack"])).map_err(io_error)?;
    for record in &log.records {
        let mut row = vec![record.slot.to_string()];
        row.extend(fields.iter().zip(record.values()).map(|(field, &value)| {
            if field.is_address { Va(value).to_string() } else { (value as i64).to_string() }
        }));
        row.push(stack(names, log.frames(record)));
        csv.write_record(&row).map_err(io_error)?;
    }
    csv.flush()
}

/// Writes the records of one address, newest first.
///
/// # Errors
/// Those of the writer.
pub fn write_history_csv(
    out: &mut dyn io::Write,
    history: &History,
    names: &Names<'_>,
) -> io::Result<()> {
    let mut csv = writer(out);
    csv.write_record(RECORD).map_err(io_error)?;
    for event in &history.events {
        csv.write_record(record_row(&event.record, &event.frames, names)).map_err(io_error)?;
    }
    csv.flush()
}
