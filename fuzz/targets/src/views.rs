//! The views and renderers over a dump whose structures were changed.

use verifier_core::Va;
use verifier_core::analysis::{History, Leaks, LockGraph, LockOrder};
use verifier_core::kernel::Kernel;
use verifier_core::render::text::{self, DeadlockDetail, Style};
use verifier_core::render::{
    Names, write_deadlock_dot, write_deadlock_json, write_deadlock_text, write_drivers_csv,
    write_drivers_json, write_event_log_csv, write_event_log_json, write_history_csv,
    write_history_json, write_pool_csv, write_pool_json, write_pool_log_csv, write_pool_log_json,
    write_pool_stacks_csv, write_pool_stacks_json, write_pool_stacks_text, write_settings_json,
    write_watched_irps_csv, write_watched_irps_json,
};
use verifier_core::types::{Profile, TypeSource as _};
use verifier_core::verifier::deadlock::Deadlock;
use verifier_core::verifier::log::{CarvedLog, EventKind, EventLog, PoolLog, WatchedIrps};
use verifier_core::verifier::{
    CarvedPool, Drivers, Globals, Modes, PoolReport, PoolStacks, Scan, Settings, Tracker,
    UnloadLeak,
};

use crate::machine::{Where, changed, open};

fn with_kernel(data: &[u8], place: Where, look: impl FnOnce(&Kernel)) {
    let (sample, file) = changed(data, place);
    if let Some(kernel) = open(sample, file) {
        look(&kernel);
    }
}

/// Tracking pages and their headers, changed.
pub fn pool_pages(data: &[u8]) {
    with_kernel(data, Where::Pool, |kernel| {
        let Ok(report) = PoolReport::read(kernel, |_| true) else { return };
        let most = kernel.limits().pool_info_nodes;
        assert!(report.pool_info.blocks.len() <= most);
        // A block leads to no more than one stack beside those of the tree.
        assert!(report.pool_info.stacks.len() <= 2 * most);
        for pool in &report.drivers {
            for image in &pool.driver.images {
                let tracker = Tracker::read(kernel, &pool.driver.name, image.verified_data);
                // No page of entries holds more than 4 KiB of them.
                let pages = kernel.limits().tracker_pages;
                assert!(tracker.is_ok_and(|tracker| tracker.pages.len() <= pages));
            }
        }
    });
}

/// Any structure changed: every view, and the history of a few addresses.
pub fn session(data: &[u8]) {
    with_kernel(data, Where::Anywhere, |kernel| {
        let _ = kernel.debugger_data();
        let _ = kernel.wanted_symbols();
        let _ = Settings::read(kernel);
        let _ = Drivers::read(kernel);
        let block = match PoolReport::read(kernel, |_| true) {
            Ok(report) => report.allocations().next().map(|(_, block)| *block),
            Err(_) => None,
        };
        let _ = Leaks::read(kernel, |_| true);
        let _ = PoolLog::read(kernel, Some(3));
        if let Ok(deadlock) = Deadlock::read(kernel) {
            let _ = LockOrder::of(&deadlock);
            let _ = LockGraph::of(&deadlock).cycles();
        }
        let _ = UnloadLeak::read(kernel);
        searched(kernel);
        for address in [block.map_or(Va(0), |block| block.address), kernel.base(), Va(u64::MAX)] {
            let _ = History::read(kernel, address);
        }
    });
}

/// What is found without lists and without symbols.
fn searched(kernel: &Kernel) {
    let _ = Globals::plausible_layouts(kernel);
    if let Some(profile) = Profile::new(kernel.space().machine(), kernel.build()) {
        let globals = Globals::find(kernel, &profile);
        let types = globals.add_to(profile, kernel);
        for global in &globals.found {
            assert!(types.symbol(global.name).is_some() && types.remark(global.name).is_some());
        }
    }
    // The pages around what the lists lead to, as far as they still do.
    let Ok(report) = PoolReport::read(kernel, |_| true) else { return };
    let entries = report.drivers.iter().flat_map(|pool| &pool.allocations);
    let Some(entry) = entries.map(|allocation| allocation.entry).next() else { return };
    let place = Scan::Virtual(entry.page().sub(0x4000)..entry.page().add(0x4000));
    if let Ok(carved) = CarvedPool::read(kernel, &place) {
        let _ = carved.compare(&report);
    }
    let _ = CarvedLog::read(kernel, &place, |_, _| true);
}

/// Any structure changed: everything as every renderer shows it.
pub fn render(data: &[u8]) {
    with_kernel(data, Where::Anywhere, |kernel| {
        let sink = &mut std::io::sink();
        let names = Names::new(kernel);
        let _ = text::write_modules(sink, kernel);
        for style in [Style::Win7, Style::Modern] {
            if let Ok(settings) = Settings::read(kernel) {
                let _ = text::write_flag_list(sink, settings.level, kernel.build(), style);
                let _ = text::write_summary(sink, &settings, kernel.build(), style);
                let _ = write_settings_json(sink, &settings, &Modes::read(kernel));
            }
            if let Ok(report) = PoolReport::read(kernel, |_| true) {
                let _ = text::write_driver_list(sink, &report.drivers, &names, true, style);
                let _ = write_pool_json(sink, &report, &names);
                let _ = write_pool_csv(sink, &report, &names);
            }
        }
        if let Ok(deadlock) = Deadlock::read(kernel) {
            let graph = LockGraph::of(&deadlock);
            let _ = write_deadlock_text(sink, &deadlock, &graph, &names);
            let _ = write_deadlock_json(sink, &deadlock, &graph, &names);
            let _ = write_deadlock_dot(sink, &deadlock, &graph, &names);
            let (detail, style) = (DeadlockDetail::Stacks, Style::Win7);
            let _ = text::write_deadlock(sink, &deadlock, &names, detail, style);
        }
        if let Ok(stacks) = PoolStacks::read(kernel, |_| true) {
            let _ = write_pool_stacks_text(sink, &stacks, &names);
            let _ = write_pool_stacks_json(sink, &stacks, &names);
            let _ = write_pool_stacks_csv(sink, &stacks, &names);
        }
        if let Ok(drivers) = Drivers::read(kernel) {
            let _ = write_drivers_json(sink, &drivers);
            let _ = write_drivers_csv(sink, &drivers);
        }
        for kind in EventKind::ALL {
            if let Ok(log) = EventLog::read(kernel, kind, None, None) {
                for style in [Style::Win7, Style::Modern] {
                    let _ = text::write_event_log(sink, &log, &names, style);
                }
                let _ = write_event_log_json(sink, &log, &names);
                let _ = write_event_log_csv(sink, &log, &names);
            }
        }
        if let Ok(watched) = WatchedIrps::read(kernel, None, None) {
            let _ = text::write_watched_irps(sink, &watched, &names);
            let _ = write_watched_irps_json(sink, &watched);
            let _ = write_watched_irps_csv(sink, &watched);
        }
        if let Ok(log) = PoolLog::read(kernel, None) {
            let _ = text::write_pool_log(sink, &log, &names);
            let _ = write_pool_log_json(sink, &log, &names);
            let _ = write_pool_log_csv(sink, &log, &names);
            if let Some(record) = log.records.first()
                && let Ok(history) = History::read(kernel, record.address)
            {
                let _ = write_history_json(sink, &history, &names);
                let _ = write_history_csv(sink, &history, &names);
            }
        }
    });
}
