//! Records match their descriptions: every value has the kind of its column, only optional columns can lack a
//! value, and each column has a sentence.

use std::borrow::Borrow;
use std::collections::HashSet;

use verifier_core::Va;
use verifier_core::analysis::{
    Boot, Diff, GroupBy, Grouping, History, Leaks, LockGraph, LockOrder, Side,
};
use verifier_core::describe::{Kind, Table, Value};
use verifier_core::kernel::Kernel;
use verifier_core::render::rows::*;
use verifier_core::render::{DiffView, LeaksView};
use verifier_core::verifier::deadlock::Deadlock;
use verifier_core::verifier::log::{
    CarvedLog, EventKind, EventLog, LogKind, PoolLog, WatchedIrp, WatchedIrps,
};
use verifier_core::verifier::{CarvedPool, Drivers, PoolReport, PoolStacks, Scan, TargetDriver};
use verifier_synth::{Build, DumpKind};

use crate::common::session;
use crate::csv::{POOL, machine};
use crate::deadlock::{read, two_threads};

/// Compares rows with their description; returns how many there are.
fn check<R>(table: &Table<'_, R>, rows: impl IntoIterator<Item: Borrow<R>>) -> usize {
    let documented: Vec<&str> = table.documented().map(|column| column.name).collect();
    let csv: Vec<&str> = table.csv().map(|column| column.csv_name()).collect();
    for names in [documented, csv] {
        let all: HashSet<&str> = names.iter().copied().collect();
        assert_eq!(all.len(), names.len(), "{}: {names:?}", table.name);
    }
    for column in table.columns.iter() {
        let doc = column.doc;
        assert!(doc.ends_with('.') && doc.len() > 4, "{}.{}: {doc:?}", table.name, column.name);
    }
    let mut count = 0;
    for row in rows {
        count += 1;
        for column in table.columns.iter() {
            let value = column.value(row.borrow());
            let at = format!("{}.{}: {value:?}", table.name, column.name);
            assert!(value.is_of(column.kind), "{at}");
            assert!(!matches!(value, Value::None) || column.is_optional, "{at}");
        }
    }
    count
}

fn logs(kernel: &Kernel) {
    assert!(check(&PoolRow::TABLE, PoolLog::read(kernel, None).unwrap().rows()) > 0);
    for kind in EventKind::ALL {
        let log = EventLog::read(kernel, kind, None, None).unwrap();
        let has_records = check(&log.table(), log.rows()) > 0;
        assert_eq!(has_records, kind == EventKind::Irql);
    }
    let watched = WatchedIrps::read(kernel, None, None).unwrap();
    assert!(check(&WatchedIrp::TABLE, &watched.irps) > 0);
    let carved = CarvedLog::read(kernel, &Scan::Mapped, |_, _| true).unwrap();
    assert!(check(&CarvedRow::TABLE, carved.rows()) > 0);
}

fn pool(kernel: &Kernel) {
    let drivers = Drivers::read(kernel).unwrap().drivers;
    assert!(check(&DriverRow::TABLE, drivers.iter().map(DriverRow::from)) > 0);
    let images: Vec<&TargetDriver> = drivers.iter().flat_map(|driver| &driver.images).collect();
    assert!(check(&IMAGE, images) > 0);
    let report = PoolReport::read(kernel, |_| true).unwrap();
    assert!(check(&AllocationRow::table(), allocation_rows(&report)) > 0);
    check(&AllocationRow::contiguous_table(), contiguous_rows(&report));
    let entries = || report.drivers[0].allocations.iter().map(|block| block.entry);
    let range = entries().min().unwrap().page()..entries().max().unwrap();
    let carved = CarvedPool::read(kernel, &Scan::Virtual(range)).unwrap();
    assert!(check(&CarvedAllocationRow::TABLE, carved_allocation_rows(&carved)) > 0);
    assert!(check(&POOL_STACK, PoolStacks::read(kernel, |_| true).unwrap().stacks) > 0);
}

fn joined(kernel: &Kernel) {
    let history = History::read(kernel, Va(POOL)).unwrap();
    assert!(check(&AllocationRow::outstanding_table(), outstanding_rows(&history.trackers)) > 0);
    assert!(check(&LifetimeRow::TABLE, lifetime_rows(&history)) > 0);
    assert!(check(&NEIGHBOR, &history.neighbors) > 0);

    let leaks = Leaks::read(kernel, |_| true).unwrap();
    let grouping = Grouping::new(kernel, &leaks, None);
    for by in [GroupBy::Stack, GroupBy::Size] {
        let view = LeaksView::new(kernel, &leaks, by);
        assert!(check(&LeakGroup::TABLE, view.iter()) > 0);
        let blocks = view.iter().flat_map(|group| group.block_rows());
        assert!(check(&AllocationRow::block_table(), blocks) > 0);
    }
    let mut before = leaks.clone();
    before.retain(|_| false);
    let nothing = Grouping::new(kernel, &before, None);
    let diff = Diff::new(
        Boot { is_same: true, why: "one dump".into() },
        Side { kernel, leaks: &before, grouping: &nothing },
        Side { kernel, leaks: &leaks, grouping: &grouping },
        GroupBy::Stack,
    );
    let view = DiffView { diff: &diff, old: &before, new: &leaks, top: None };
    assert!(check(&DiffRow::TABLE, view.rows()) > 0);
}

fn locks(deadlock: &Deadlock) {
    let resources = deadlock.resources().map(|resource| ResourceRow { resource, deadlock });
    assert!(check(&ResourceRow::TABLE, resources) > 0);
    assert!(check(&THREAD, deadlock.threads()) > 0);
    assert!(check(&NodeRow::TABLE, deadlock.nodes().map(|node| NodeRow { node, deadlock })) > 0);
    assert!(check(&EDGE, &LockGraph::of(deadlock).edges) > 0);
    for thread in LockOrder::of(deadlock).iter().flat_map(|order| &order.threads) {
        check(&STEP, &thread.steps);
    }
}

#[test]
fn every_value_is_of_the_kind_that_its_column_says() {
    let kernel = session(machine().sample(DumpKind::BitmapKernel));
    logs(&kernel);
    pool(&kernel);
    joined(&kernel);
    for build in Build::ALL {
        locks(&read(&two_threads(build).assemble()));
    }
}

#[test]
fn every_log_has_a_name_of_its_own() {
    let names: HashSet<&str> = LogKind::all().map(LogKind::name).collect();
    assert_eq!(names.len(), LogKind::all().count());
    for kind in LogKind::all() {
        assert_eq!(LogKind::named(kind.name()), Some(kind));
    }
    for kind in EventKind::ALL {
        let table = kind.table();
        assert_eq!(table.columns.len(), kind.fields().len() + 5, "{kind:?}");
        assert!(table.columns.iter().all(|column| column.kind != Kind::Object));
    }
}
