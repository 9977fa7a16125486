//! Writes every CSV document into a closed pipe. The writer's own error is returned, wherever in the document
//! it occurs, so that a command can distinguish `… | head` from a full disk.

use std::io;

use crate::common::session;
use verifier_core::Va;
use verifier_core::analysis::{Boot, Diff, GroupBy, Grouping, History, Leaks, Side};
use verifier_core::render::{
    DiffView, LeaksView, Names, write_carved_log_csv, write_carved_pool_csv, write_diff_csv,
    write_drivers_csv, write_event_log_csv, write_history_csv, write_leaks_csv, write_pool_csv,
    write_pool_log_csv, write_pool_stacks_csv, write_settings_csv, write_watched_irps_csv,
};
use verifier_core::verifier::log::{CarvedLog, EventKind, EventLog, PoolLog, WatchedIrps};
use verifier_core::verifier::{CarvedPool, Drivers, Modes, PoolReport, PoolStacks, Scan, Settings};
use verifier_synth::{
    Allocation, Assembly, Build, Driver, DumpKind, Log, Machine, PoolRecord, PoolStack, RingRecord,
    WatchedIrp,
};

pub(super) const POOL: u64 = 0xffff_9a8f_5000_0000;
const THREAD: u64 = 0xffff_9a8f_4fff_0040;
/// More records than fit into the CSV writer's buffer of 8 KiB.
const MANY: u64 = 300;

/// A pipe without a reader.
struct Closed;

impl io::Write for Closed {
    fn write(&mut self, _: &[u8]) -> io::Result<usize> {
        Err(io::ErrorKind::BrokenPipe.into())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A machine with many records of each kind.
pub(super) fn machine() -> Assembly {
    let mut m = Machine::new(Build::Win11);
    let leaky = m.driver(Driver::new("leaky.sys").pdb("leaky.pdb").symbol("Read", 0x1200));
    let caller = m.driver_address(leaky, "Read") + 0x20;
    let verified = m.level(8).verified(leaky);
    for i in 0..MANY {
        verified.allocation(Allocation::nonpaged(POOL + i * 0x1000, 0x10 + i * 2, b"Leak", caller));
    }
    for i in 0..MANY {
        m.suspect(verifier_synth::Suspect {
            name: format!("driver{i}.sys"),
            loads: 0,
            unloads: 0,
            address: None,
        });
        // Of one address, so that its history is long.
        let (address, frames) = (POOL, vec![caller]);
        m.pool_record(PoolRecord {
            address,
            size: 0x10,
            thread: THREAD,
            frames,
            stale: Vec::new(),
        });
        let fields = vec![("Thread", THREAD)];
        m.log(Log::Irql).push(RingRecord { fields, frames: vec![caller], stale: Vec::new() });
        m.watched_irp(WatchedIrp { irp: POOL + i * 0x100, ..WatchedIrp::default() });
        let frames = vec![caller, caller + i];
        let stack = PoolStack { tag: *b"Tree", hash: i as u32, frames, ..PoolStack::default() };
        m.pool_info().stack(stack);
    }
    m.assemble()
}

#[test]
fn a_closed_pipe_is_reported_as_such() {
    let m = machine();
    let log = Va(m.address("ring:VfPoolTraces"));
    let kernel = session(m.sample(DumpKind::BitmapKernel));
    let names = Names::new(&kernel);
    let closed = |what: &str, write: &dyn Fn(&mut dyn io::Write) -> io::Result<()>| {
        let mut whole = Vec::new();
        write(&mut whole).unwrap();
        // The settings are short, so their error comes at the end; the other errors come in the middle.
        assert!(whole.len() > 0x2000 || what == "settings", "{what}: {} bytes", whole.len());
        let error = write(&mut Closed).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::BrokenPipe, "{what}: {error}");
    };

    let (settings, modes) = (Settings::read(&kernel).unwrap(), Modes::read(&kernel));
    closed("settings", &|out| write_settings_csv(out, &settings, &modes));
    let drivers = Drivers::read(&kernel).unwrap();
    closed("drivers", &|out| write_drivers_csv(out, &drivers));
    let pool = PoolReport::read(&kernel, |_| true).unwrap();
    closed("pool", &|out| write_pool_csv(out, &pool, &names));
    let stacks = PoolStacks::read(&kernel, |_| true).unwrap();
    closed("pool --by-stack", &|out| write_pool_stacks_csv(out, &stacks, &names));
    let records = PoolLog::read(&kernel, None).unwrap();
    closed("log pool", &|out| write_pool_log_csv(out, &records, &names));
    let events = EventLog::read(&kernel, EventKind::Irql, None, None).unwrap();
    closed("log irql", &|out| write_event_log_csv(out, &events, &names));
    let watched = WatchedIrps::read(&kernel, None, None).unwrap();
    closed("log watched", &|out| write_watched_irps_csv(out, &watched));
    let history = History::read(&kernel, Va(POOL)).unwrap();
    closed("history", &|out| write_history_csv(out, &history, &names));

    let entries = || pool.drivers[0].allocations.iter().map(|block| block.entry);
    let range = entries().min().unwrap().page()..entries().max().unwrap();
    let carved = CarvedPool::read(&kernel, &Scan::Virtual(range)).unwrap();
    closed("pool --carve", &|out| write_carved_pool_csv(out, &carved, &names));
    let place = Scan::Virtual(log..log.add(0x2_0000));
    let carved = CarvedLog::read(&kernel, &place, |_, _| true).unwrap();
    closed("log pool --carve", &|out| write_carved_log_csv(out, &carved, &names));

    let leaks = Leaks::read(&kernel, |_| true).unwrap();
    let grouping = Grouping::new(&kernel, &leaks, None);
    let by = GroupBy::Size;
    let view = LeaksView::new(&kernel, &leaks, by);
    closed("leaks", &|out| write_leaks_csv(out, &view));
    let mut before = leaks.clone();
    before.retain(|_| false);
    let before_grouping = Grouping::new(&kernel, &before, None);
    let diff = Diff::new(
        Boot { is_same: true, why: "one dump".into() },
        Side { kernel: &kernel, leaks: &before, grouping: &before_grouping },
        Side { kernel: &kernel, leaks: &leaks, grouping: &grouping },
        by,
    );
    let view = DiffView { diff: &diff, old: &before, new: &leaks, top: None };
    closed("diff", &|out| write_diff_csv(out, &view));
}
