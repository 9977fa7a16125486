//! CSV (RFC 4180): one row a driver, an allocation, a record. Stacks are one cell, frames joined by
//! " < " from the innermost out. Text from the dump is made harmless ([`inert`]).

use std::io;

pub(super) use super::escape::inert;
use super::names::Names;
use crate::addr::Va;
use crate::analysis::History;
use crate::verifier::log::{EventLog, PoolLog, PoolRecord, WatchedIrps};
use crate::verifier::{Drivers, Modes, PoolReport, Settings};

/// A table that is being written.
pub(super) struct Csv<'a>(csv::Writer<&'a mut dyn io::Write>);

impl<'a> Csv<'a> {
    pub(super) fn new(out: &'a mut dyn io::Write) -> Self {
        Self(csv::WriterBuilder::new().flexible(false).from_writer(out))
    }

    /// Fails with the writer's own error: the crate's conversion into one hides its kind, and a reader
    /// that went away is no failure to the command.
    pub(super) fn row<T: AsRef<[u8]>>(
        &mut self,
        cells: impl IntoIterator<Item = T>,
    ) -> io::Result<()> {
        self.0.write_record(cells).map_err(|error| match error.into_kind() {
            csv::ErrorKind::Io(error) => error,
            other => io::Error::other(format!("CSV: {other:?}")),
        })
    }

    /// What every table ends with.
    pub(super) fn end(mut self) -> io::Result<()> {
        self.0.flush()
    }
}

pub(super) fn name(names: &Names<'_>, va: Va) -> String {
    names.get(va).map(|name| inert(&name).into_owned()).unwrap_or_default()
}

pub(super) fn stack(names: &Names<'_>, frames: &[Va]) -> String {
    let frames: Vec<String> = frames
        .iter()
        .map(|&va| names.get(va).map_or_else(|| va.to_string(), |name| name.to_string()))
        .collect();
    inert(&frames.join(" < ")).into_owned()
}

/// Writes level, statistics, and the numbers of the modes. A statistic's name is its field's in the symbols, and a symbol file
/// may hold any text.
///
/// # Errors
/// Those of the writer.
pub fn write_settings_csv(
    out: &mut dyn io::Write,
    settings: &Settings,
    modes: &Modes,
) -> io::Result<()> {
    let mut csv = Csv::new(out);
    csv.row(["name", "value"])?;
    csv.row(["level", &settings.level.0.to_string()])?;
    for counter in &settings.statistics.0 {
        let name = super::to_snake_case(&counter.name);
        csv.row([&*inert(&name), &counter.value.to_string()])?;
    }
    for (name, value) in [
        ("rule_classes", modes.rule_classes.map(|classes| classes.0)),
        ("verify_mode", modes.verify_mode.map(u64::from)),
        ("option_flags", modes.option_flags.map(|options| options.0.into())),
        ("verify_all_drivers", modes.verify_all_drivers.map(u64::from)),
        ("fault_probability", modes.faults.probability.map(u64::from)),
        ("fault_max_probability", modes.faults.max_probability.map(u64::from)),
        ("fault_boot_minutes", modes.faults.boot_minutes.map(u64::from)),
    ] {
        if let Some(value) = value {
            csv.row([name, &value.to_string()])?;
        }
    }
    csv.end()
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
    let mut csv = Csv::new(out);
    let mut header: Vec<String> =
        ["name", "state", "loads", "unloads", "base", "size"].map(String::from).to_vec();
    header.extend(COUNTERS.map(super::to_snake_case));
    csv.row(&header)?;
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
        csv.row(&row)?;
    }
    csv.end()
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
    let mut csv = Csv::new(out);
    csv.row(["driver", "address", "size", "tag", "caller", "caller_symbol", "source"])?;
    let mut row = |driver: &str, address: Va, size: u64, tag: &str, caller: Va, source: &str| {
        csv.row([
            &*inert(driver),
            &address.to_string(),
            &size.to_string(),
            &inert(tag),
            &caller.to_string(),
            &name(names, caller),
            source,
        ])
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
    csv.end()
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

/// Writes the records of one address, newest first.
///
/// # Errors
/// Those of the writer.
pub fn write_history_csv(
    out: &mut dyn io::Write,
    history: &History,
    names: &Names<'_>,
) -> io::Result<()> {
    let mut csv = Csv::new(out);
    csv.row(RECORD)?;
    for event in &history.events {
        csv.row(record_row(&event.record, &event.frames, names))?;
    }
    csv.end()
}
