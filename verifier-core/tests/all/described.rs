//! Records match their descriptions: every value has the kind of its column, only optional columns can lack a
//! value, and each column has a sentence.

use std::collections::HashSet;

use verifier_core::describe::{Table, Value};
use verifier_core::kernel::Kernel;
use verifier_core::verifier::Scan;
use verifier_core::verifier::log::{
    CarvedLog, CarvedRow, EventKind, EventLog, PoolLog, PoolRow, WatchedIrp, WatchedIrps,
};
use verifier_synth::DumpKind;

use crate::common::session;
use crate::csv::machine;

/// Compares rows with their description.
fn check<R>(table: &Table<'_, R>, rows: impl Iterator<Item = R>) {
    let names: HashSet<&str> = table.columns.iter().map(|column| column.name).collect();
    for name in &names {
        let places = table.columns.iter().filter(|column| column.name == *name);
        let documented = places.clone().filter(|column| column.is_in_documents()).count();
        assert!(documented <= 1, "{} has two fields {name}", table.name);
    }
    for column in table.columns.iter() {
        let doc = column.doc;
        assert!(doc.ends_with('.') && doc.len() > 4, "{}.{}: {doc:?}", table.name, column.name);
    }
    for row in rows {
        for column in table.columns.iter() {
            let value = column.value(&row);
            let at = format!("{}.{}: {value:?}", table.name, column.name);
            assert!(value.is_of(column.kind), "{at}");
            assert!(value != Value::None || column.is_optional, "{at}");
        }
    }
}

fn logs(kernel: &Kernel) {
    let log = PoolLog::read(kernel, None).unwrap();
    check(&PoolRow::TABLE, log.rows());
    for kind in EventKind::ALL {
        if let Ok(log) = EventLog::read(kernel, kind, None, None) {
            check(&log.table(), log.rows());
        }
    }
    let watched = WatchedIrps::read(kernel, None, None).unwrap();
    check(&WatchedIrp::TABLE, watched.irps.into_iter());
    let carved = CarvedLog::read(kernel, &Scan::Mapped, |_, _| true).unwrap();
    assert!(!carved.records.is_empty());
    check(&CarvedRow::TABLE, carved.rows());
}

#[test]
fn every_value_is_of_the_kind_that_its_column_says() {
    let kernel = session(machine().sample(DumpKind::BitmapKernel));
    logs(&kernel);
}
