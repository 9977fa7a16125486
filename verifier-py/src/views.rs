//! Records of the views as columns: one function for each table. Names and order are those of the JSON
//! contract.

use verifier_core::analysis::{History, TrackerMatch};
use verifier_core::describe::Table;
use verifier_core::kernel::Kernel;
use verifier_core::render::rows::{
    AllocationRow, DriverRow, IMAGE, LifetimeRow, NEIGHBOR, POOL_STACK, PoolRow, allocation_rows,
    contiguous_rows, lifetime_rows, outstanding_rows,
};
use verifier_core::verifier::log::{EventLog, PoolLog, WatchedIrp, WatchedIrps};
use verifier_core::verifier::{Drivers, Level, PoolReport, PoolStacks, TargetDriver};
use verifier_core::{Completeness, Error, Problem};

use crate::arrow::{bits, columns, columns_with, lists, structure, texts};
use crate::table::View;

/// `drivers()`
pub(crate) fn drivers(drivers: Drivers, kernel: &Kernel) -> Result<View, Error> {
    let Drivers { drivers, problems, .. } = drivers;
    let rows: Vec<DriverRow<'_>> = drivers.iter().map(DriverRow::from).collect();
    let images: Vec<TargetDriver> =
        drivers.iter().flat_map(|driver| driver.images.iter().cloned()).collect();
    let columns = columns_with(&DriverRow::TABLE, &rows, kernel, |name| {
        let item = structure("item", columns(&IMAGE, &images, kernel)?, None);
        lists(name, drivers.iter().map(|driver| driver.images.len()), item)
    })?;
    View::new("drivers", DriverRow::TABLE.name, columns, problems)
}

/// `pool()`
pub(crate) fn pool(report: &PoolReport, kernel: &Kernel) -> Result<View, Error> {
    let rows = allocation_rows(report);
    described("pool", &AllocationRow::table(), rows, kernel, report.problems.clone())
}

/// `log("pool")`
pub(crate) fn pool_log(mut log: PoolLog, kernel: &Kernel) -> Result<View, Error> {
    let problems = std::mem::take(&mut log.problems);
    described("pool log", &PoolRow::TABLE, log.rows(), kernel, problems)
}

/// `log()` of any other kind.
pub(crate) fn event_log(mut log: EventLog, kernel: &Kernel) -> Result<View, Error> {
    let problems = std::mem::take(&mut log.problems);
    described(log.kind.describe(), &log.table(), log.rows(), kernel, problems)
}

/// The view of records that have a description.
pub(crate) fn described<R>(
    name: &str,
    table: &Table<'_, R>,
    rows: impl Iterator<Item = R>,
    kernel: &Kernel,
    problems: Vec<Problem>,
) -> Result<View, Error> {
    let rows: Vec<R> = rows.collect();
    View::new(name, table.name, columns(table, &rows, kernel)?, problems)
}

/// `contiguous()`
pub(crate) fn contiguous(report: &PoolReport, kernel: &Kernel) -> Result<View, Error> {
    let (table, rows) = (AllocationRow::contiguous_table(), contiguous_rows(report));
    described("contiguous memory", &table, rows, kernel, report.problems.clone())
}

/// `pool_stacks()`
pub(crate) fn pool_stacks(stacks: &PoolStacks, kernel: &Kernel) -> Result<View, Error> {
    let columns = columns(&POOL_STACK, &stacks.stacks, kernel)?;
    View::new("pool stacks", POOL_STACK.name, columns, stacks.problems.clone())
}

/// `watched_irps()`
pub(crate) fn watched_irps(watched: WatchedIrps, kernel: &Kernel) -> Result<View, Error> {
    let WatchedIrps { irps, problems, .. } = watched;
    described("watched IRPs", &WatchedIrp::TABLE, irps.into_iter(), kernel, problems)
}

/// The tables of `history()`.
pub(crate) struct HistoryViews {
    pub(crate) outstanding: View,
    pub(crate) events: View,
    pub(crate) lifetimes: View,
    pub(crate) freed_entries: View,
    pub(crate) neighbors: View,
}

/// `history()`
pub(crate) fn history(history: &History, kernel: &Kernel) -> Result<HistoryViews, Error> {
    // The history has the problems of all of them.
    let answer = Completeness::of(&history.problems);
    let part = |name, record, columns| {
        Ok(View::new(name, record, columns, Vec::new())?.part_of(answer.clone()))
    };
    let trackers = |name, trackers: &[TrackerMatch]| {
        let table = AllocationRow::outstanding_table();
        let rows: Vec<_> = outstanding_rows(trackers).collect();
        part(name, table.name, columns(&table, &rows, kernel)?)
    };
    let events: Vec<_> = history.rows().collect();
    let lives: Vec<_> = lifetime_rows(history).collect();
    let (event, life) = (PoolRow::TABLE, LifetimeRow::TABLE);
    Ok(HistoryViews {
        outstanding: trackers("outstanding", &history.trackers)?,
        events: part("events", event.name, columns(&event, &events, kernel)?)?,
        lifetimes: part("lifetimes", life.name, columns(&life, &lives, kernel)?)?,
        freed_entries: trackers("freed entries", &history.freed_entries)?,
        neighbors: part(
            "neighbors",
            NEIGHBOR.name,
            columns(&NEIGHBOR, &history.neighbors, kernel)?,
        )?,
    })
}

/// `flags()`
pub(crate) fn flags(level: Level) -> Result<View, Error> {
    let columns = vec![
        bits("bit", level.flags().map(|flag| flag.bit)),
        texts("name", level.flags().map(|flag| flag.name)),
    ];
    View::new("flags", "Flag", columns, Vec::new())
}
