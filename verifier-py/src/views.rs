//! Records of the views as columns: one function for each table. Names and order are those of the JSON
//! contract.

use verifier_core::analysis::{History, PoolKind, TrackerMatch};
use verifier_core::describe::Table;
use verifier_core::kernel::Kernel;
use verifier_core::render::to_snake_case;
use verifier_core::verifier::log::{
    EventLog, Operation, PoolLog, PoolRow, WatchedIrp, WatchedIrps,
};
use verifier_core::verifier::{
    Allocation, AttributedBy, Counters, Driver, Drivers, Impossible, Level, NO_DRIVER, PoolReport,
    PoolStack, PoolStacks, TargetDriver,
};
use verifier_core::{Completeness, Problem};
use verifier_core::{Error, Va};

use crate::arrow::{
    Column, addresses, bits, bools, columns, frames, lists, maybe_addresses, maybe_lists,
    maybe_numbers, maybe_small_numbers, maybe_words, numbers, small_numbers, structure, symbols,
    texts, words,
};
use crate::table::View;

/// `drivers()`
pub(crate) fn drivers(drivers: Drivers) -> Result<View, Error> {
    let Drivers { drivers, problems, .. } = drivers;
    let first = |driver: &Driver| driver.images.first().cloned();
    let firsts: Vec<Option<TargetDriver>> = drivers.iter().map(first).collect();
    let of_first = |value: fn(&TargetDriver) -> Va| {
        let known = |image: &Option<TargetDriver>| known(value(image.as_ref()?));
        firsts.iter().map(known).collect::<Vec<_>>().into_iter()
    };
    let all: Vec<Counters> = drivers.iter().map(Driver::counters).collect();
    let has_image = drivers.iter().map(|driver| !driver.images.is_empty()).collect();
    let images: Vec<&TargetDriver> = drivers.iter().flat_map(|driver| &driver.images).collect();
    let image_counters: Vec<Counters> = images.iter().map(|image| image.counters.clone()).collect();
    let names = counter_names(&image_counters);
    let image = structure(
        "item",
        vec![
            maybe_addresses("base", images.iter().map(|image| known(image.base))),
            numbers("size", images.iter().map(|image| image.size)),
            maybe_addresses("target_driver", images.iter().map(|image| known(image.address))),
            addresses("verified_data", images.iter().map(|image| image.verified_data)),
            bools("is_carved", images.iter().map(|image| image.is_carved)),
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
        lists("images", drivers.iter().map(|driver| driver.images.len()), image)?,
        bools("from_bug_check", drivers.iter().map(|driver| driver.from_bug_check)),
    ];
    View::new("drivers", "Driver", columns, problems)
}

/// An address that is null where it is not known.
fn known(address: Va) -> Option<Va> {
    Some(address).filter(|address| !address.is_null())
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

/// Allocations as columns.
pub(crate) fn allocations(all: &[&Allocation], kernel: &Kernel) -> Result<Vec<Column>, Error> {
    let callers: Vec<Va> = all.iter().map(|a| a.caller).collect();
    Ok(vec![
        addresses("address", all.iter().map(|a| a.address)),
        numbers("size", all.iter().map(|a| a.size)),
        maybe_words("tag", all.iter().map(|a| a.pool_tag().map(|tag| tag.to_string()))),
        addresses("caller", callers.iter().copied()),
        symbols("caller_symbol", &callers, kernel)?,
        words("source", all.iter().map(|a| a.source.name())),
        maybe_words(
            "attributed_by",
            all.iter().map(|a| a.source.attributed_by().map(AttributedBy::name)),
        ),
        maybe_words("impossible", all.iter().map(|a| a.impossible.map(Impossible::name))),
    ])
}

/// `pool()`
pub(crate) fn pool(report: &PoolReport, kernel: &Kernel) -> Result<View, Error> {
    let rows = report.allocations().map(|(driver, one)| (driver.unwrap_or(NO_DRIVER), one));
    listed("pool", &rows.collect::<Vec<_>>(), kernel, report.problems.clone())
}

/// Allocations with their drivers.
pub(crate) fn listed(
    name: &str,
    rows: &[(&str, &Allocation)],
    kernel: &Kernel,
    problems: Vec<Problem>,
) -> Result<View, Error> {
    let all: Vec<&Allocation> = rows.iter().map(|&(_, allocation)| allocation).collect();
    let mut columns = vec![words("driver", rows.iter().map(|&(driver, _)| driver))];
    columns.extend(allocations(&all, kernel)?);
    View::new(name, "Allocation", columns, problems)
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
pub(crate) fn contiguous(report: PoolReport, kernel: &Kernel) -> Result<View, Error> {
    let rows = || {
        report.drivers.iter().flat_map(|pool| {
            pool.contiguous.iter().map(move |memory| (pool.driver.name.as_str(), memory))
        })
    };
    let callers: Vec<Va> = rows().map(|(_, memory)| memory.caller).collect();
    let columns = vec![
        words("driver", rows().map(|(driver, _)| driver)),
        addresses("address", rows().map(|(_, memory)| memory.address)),
        numbers("size", rows().map(|(_, memory)| memory.size)),
        addresses("caller", callers.iter().copied()),
        symbols("caller_symbol", &callers, kernel)?,
        maybe_words(
            "impossible",
            rows().map(|(_, memory)| memory.impossible.map(Impossible::name)),
        ),
    ];
    View::new("contiguous memory", "ContiguousMemory", columns, report.problems)
}

/// `pool_stacks()`
pub(crate) fn pool_stacks(stacks: &PoolStacks, kernel: &Kernel) -> Result<View, Error> {
    let all = || stacks.stacks.iter().map(|owned| &owned.stack);
    let drivers = || stacks.stacks.iter().map(|owned| owned.driver.as_ref());
    let columns = vec![
        small_numbers("live_count", all().map(PoolStack::live_count)),
        numbers("live_bytes", all().map(PoolStack::live_bytes)),
        words("tag", all().map(|stack| stack.tag.to_string())),
        maybe_words("pool", all().map(|stack| PoolKind::of_stack(stack).name())),
        maybe_words("driver", drivers().map(|driver| driver.map(|(name, _)| name.as_str()))),
        maybe_words(
            "attributed_by",
            drivers().map(|driver| driver.map(|(_, attributed_by)| attributed_by.name())),
        ),
        small_numbers("allocations", all().map(|stack| stack.allocations)),
        small_numbers("frees", all().map(|stack| stack.frees)),
        numbers("bytes_allocated", all().map(|stack| stack.bytes_allocated)),
        numbers("bytes_freed", all().map(|stack| stack.bytes_freed)),
        numbers("blocks", all().map(|stack| stack.blocks)),
        numbers("block_bytes", all().map(|stack| stack.block_bytes)),
        bits("hash", all().map(|stack| stack.hash)),
        bits("flags", all().map(|stack| stack.flags)),
        addresses("element", all().map(|stack| stack.element)),
        bools("in_tree", all().map(|stack| stack.is_in_tree)),
        lists(
            "stack",
            all().map(|stack| stack.frames.len()),
            frames(all().flat_map(|stack| stack.frames.iter().copied()).collect(), kernel)?,
        )?,
    ];
    View::new("pool stacks", "PoolStack", columns, stacks.problems.clone())
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
        let all: Vec<&Allocation> = trackers.iter().map(|one| &one.entry.allocation).collect();
        let mut columns = vec![
            words("driver", trackers.iter().map(|tracker| tracker.driver.as_str())),
            addresses("entry", all.iter().map(|allocation| allocation.entry)),
        ];
        columns.extend(allocations(&all, kernel)?);
        // The stack that the pool info tree keeps.
        let stack = |one: &TrackerMatch| (!one.frames.is_empty()).then_some(one.frames.len());
        let all_frames = trackers.iter().flat_map(|one| one.frames.iter().copied()).collect();
        let lengths = trackers.iter().map(stack);
        columns.push(maybe_lists("stack", lengths, frames(all_frames, kernel)?)?);
        part(name, "Outstanding", columns)
    };
    let events = &history.events;
    let rows = events.iter().map(|event| PoolRow { record: &event.record, frames: &event.frames });
    let log = columns(&PoolRow::TABLE, &rows.collect::<Vec<_>>(), kernel)?;
    let lives = &history.lifetimes;
    let index = |index: Option<usize>| index.and_then(|index| u32::try_from(index).ok());
    let lifetimes = vec![
        addresses("block", lives.iter().map(|life| life.block)),
        maybe_small_numbers("allocated", lives.iter().map(|life| index(life.allocated))),
        maybe_small_numbers("freed", lives.iter().map(|life| index(life.freed))),
        bools("held", lives.iter().map(|life| life.is_held)),
        maybe_words(
            "why_unknown",
            lives.iter().map(|life| Some(life.why_unknown?.words(history.reach))),
        ),
    ];
    let near = &history.neighbors;
    let neighbors = vec![
        addresses("address", near.iter().map(|one| one.address)),
        numbers("size", near.iter().map(|one| one.size)),
        maybe_words("driver", near.iter().map(|one| one.driver.as_deref())),
        maybe_words("newest", near.iter().map(|one| one.newest.map(Operation::name))),
    ];
    Ok(HistoryViews {
        outstanding: trackers("outstanding", &history.trackers)?,
        events: part("events", "PoolEvent", log)?,
        lifetimes: part("lifetimes", "Lifetime", lifetimes)?,
        freed_entries: trackers("freed entries", &history.freed_entries)?,
        neighbors: part("neighbors", "Neighbor", neighbors)?,
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
