//! Records of the views as columns: one function for each table. Names and order are those of the JSON
//! contract.

use verifier_core::Problem;
use verifier_core::analysis::History;
use verifier_core::kernel::Kernel;
use verifier_core::render::to_snake_case;
use verifier_core::verifier::log::PoolLog;
use verifier_core::verifier::{
    Counters, Driver, Drivers, Level, NO_DRIVER, PoolReport, TargetDriver,
};
use verifier_core::{Error, Va};

use crate::arrow::{
    Column, addresses, bits, lists, maybe_addresses, maybe_numbers, numbers, small_numbers, stacks,
    structure, symbols, texts, words,
};
use crate::table::View;

/// `drivers()`
pub(crate) fn drivers(drivers: Drivers) -> Result<View, Error> {
    let Drivers { drivers, problems } = drivers;
    let first = |driver: &Driver| driver.images.first().cloned();
    let firsts: Vec<Option<TargetDriver>> = drivers.iter().map(first).collect();
    let of_first = |value: fn(&TargetDriver) -> Va| {
        firsts.iter().map(move |image| image.as_ref().map(value)).collect::<Vec<_>>().into_iter()
    };
    let all: Vec<Counters> = drivers.iter().map(Driver::counters).collect();
    let has_image = drivers.iter().map(|driver| !driver.images.is_empty()).collect();
    let images: Vec<&TargetDriver> = drivers.iter().flat_map(|driver| &driver.images).collect();
    let image_counters: Vec<Counters> = images.iter().map(|image| image.counters.clone()).collect();
    let names = counter_names(&image_counters);
    let image = structure(
        "item",
        vec![
            addresses("base", images.iter().map(|image| image.base)),
            numbers("size", images.iter().map(|image| image.size)),
            addresses("target_driver", images.iter().map(|image| image.address)),
            addresses("verified_data", images.iter().map(|image| image.verified_data)),
            counters(&names, &image_counters, None),
        ],
        None,
    );
    let columns = vec![
        texts("name", drivers.iter().map(|driver| driver.name.as_str())),
        words("state", drivers.iter().map(|driver| driver.state().name())),
        small_numbers("loads", drivers.iter().map(|driver| driver.loads)),
        small_numbers("unloads", drivers.iter().map(|driver| driver.unloads)),
        maybe_addresses("base", of_first(|image| image.base)),
        maybe_numbers("size", firsts.iter().map(|image| image.as_ref().map(|image| image.size))),
        maybe_addresses("suspect_entry", drivers.iter().map(|driver| driver.suspect_entry)),
        maybe_addresses("target_driver", of_first(|image| image.address)),
        maybe_addresses("verified_data", of_first(|image| image.verified_data)),
        counters(&names, &all, Some(has_image)),
        lists("images", drivers.iter().map(|driver| driver.images.len()), image),
    ];
    View::new("drivers", "Driver", columns, problems)
}

/// The names of all counters, in the order of the first structure that has them.
fn counter_names(all: &[Counters]) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for counter in all.iter().flat_map(|counters| &counters.0) {
        if !names.contains(&counter.name) {
            names.push(counter.name.clone());
        }
    }
    names
}

fn counters(names: &[String], all: &[Counters], valid: Option<Vec<bool>>) -> Column {
    let columns = names.iter().map(|name| {
        let values = all.iter().map(|counters| counters.get(name).unwrap_or(0));
        numbers(&to_snake_case(name), values)
    });
    let columns: Vec<Column> = columns.collect();
    let valid = valid.or_else(|| columns.is_empty().then(|| vec![false; all.len()]));
    structure("counters", columns, valid)
}

/// `pool()`
pub(crate) fn pool(report: PoolReport, kernel: &Kernel) -> Result<View, Error> {
    let rows = || report.allocations().map(|(driver, one)| (driver.unwrap_or(NO_DRIVER), one));
    let columns = vec![
        words("driver", rows().map(|(driver, _)| driver)),
        addresses("address", rows().map(|(_, a)| a.address)),
        numbers("size", rows().map(|(_, a)| a.size)),
        words("tag", rows().map(|(_, a)| a.tag.to_string())),
        addresses("caller", rows().map(|(_, a)| a.caller)),
        symbols("caller_symbol", rows().map(|(_, a)| a.caller), kernel)?,
        words("source", rows().map(|(_, a)| a.source.name())),
    ];
    View::new("pool", "Allocation", columns, report.problems)
}

/// `log("pool")`
pub(crate) fn pool_log(log: &mut PoolLog, kernel: &Kernel) -> Result<View, Error> {
    let records = &log.records;
    let lengths = records.iter().map(|record| log.frames(record).len());
    let columns = vec![
        small_numbers("slot", records.iter().map(|record| record.slot)),
        addresses("address", records.iter().map(|record| record.address)),
        numbers("size", records.iter().map(|record| record.size)),
        addresses("thread", records.iter().map(|record| record.thread)),
        words("operation", records.iter().map(|record| record.operation.name())),
        stacks("frames", lengths, log.all_frames(), kernel)?,
    ];
    View::new("pool log", "PoolEvent", columns, std::mem::take(&mut log.problems))
}

/// `history()`: what is outstanding, and the events.
pub(crate) fn history(history: &History, kernel: &Kernel) -> Result<(View, View), Error> {
    let trackers = &history.trackers;
    let of = |value: fn(&verifier_core::verifier::Allocation) -> Va| {
        trackers.iter().map(move |tracker| value(&tracker.entry.allocation))
    };
    let outstanding = vec![
        words("driver", trackers.iter().map(|tracker| tracker.driver.as_str())),
        addresses("entry", of(|a| a.entry)),
        addresses("address", of(|a| a.address)),
        numbers("size", trackers.iter().map(|tracker| tracker.entry.allocation.size)),
        words("tag", trackers.iter().map(|tracker| tracker.entry.allocation.tag.to_string())),
        addresses("caller", of(|a| a.caller)),
        symbols("caller_symbol", of(|a| a.caller), kernel)?,
        words("source", trackers.iter().map(|tracker| tracker.entry.allocation.source.name())),
    ];
    let events = &history.events;
    let frames: Vec<Va> = events.iter().flat_map(|event| event.frames.iter().copied()).collect();
    let lengths = events.iter().map(|event| event.frames.len());
    let log = vec![
        small_numbers("slot", events.iter().map(|event| event.record.slot)),
        addresses("address", events.iter().map(|event| event.record.address)),
        numbers("size", events.iter().map(|event| event.record.size)),
        addresses("thread", events.iter().map(|event| event.record.thread)),
        words("operation", events.iter().map(|event| event.record.operation.name())),
        stacks("frames", lengths, &frames, kernel)?,
    ];
    let none = Vec::<Problem>::new;
    Ok((
        View::new("outstanding", "Outstanding", outstanding, none())?,
        View::new("events", "PoolEvent", log, none())?,
    ))
}

/// `flags()`
pub(crate) fn flags(level: Level) -> Result<View, Error> {
    let columns = vec![
        bits("bit", level.flags().map(|flag| flag.bit)),
        texts("name", level.flags().map(|flag| flag.name)),
    ];
    View::new("flags", "Flag", columns, Vec::new())
}
