//! The logs other than the pool log, on every build: the written records are read, newest first. A log that
//! is torn, wrapped, of an odd length, off, or partly absent is read as far as possible, and its problems are
//! reported.

use crate::common::{RINGS, open};
use verifier_core::Va;
use verifier_core::kernel::Kernel;
use verifier_core::verifier::log::{EventKind, EventLog, EventRecord, PoolLog, WatchedIrps};
use verifier_synth::{
    Assembly, Build, Log, Machine, MachineType, RingRecord, StaticLog, WatchedIrp,
};

/// A pool address that is a kernel address on the machine of every build.
fn pool(build: Build, offset: u64) -> u64 {
    offset
        + match build.machine() {
            MachineType::X86 => 0x8600_0000,
            _ => 0xffff_a000_0600_0000,
        }
}

fn has_irql(build: Build) -> bool {
    build.number() != 7601
}

/// The `i`th record of a log, counted from 1.
fn record(build: Build, log: Log, i: u64) -> RingRecord {
    let mut fields = vec![("Thread", pool(build, 0x10_0000 + i * 0x40))];
    match log {
        Log::Irql => fields.extend([
            ("OldIrql", i % 3),
            ("NewIrql", 2),
            ("Processor", i % 4),
            ("TickCount", 0x1000 + i),
        ]),
        Log::Irp => {
            fields.extend([("Irp", pool(build, i * 0x100)), ("KernelApcDisable", 0xffff)]);
            if has_irql(build) {
                fields.push(("Irql", 1));
            }
        }
        Log::ForcedPending => fields.push(("Irp", pool(build, i * 0x100))),
        _ => {}
    }
    let frames = vec![pool(build, 0x20_0000 + i), pool(build, 0x30_0000)];
    RingRecord { fields, frames, stale: vec![pool(build, 0x40_0000)] }
}

/// A machine whose logs have `length` slots and `count` records each; the first record is at index
/// `before` + 1.
fn machine(build: Build, length: u32, before: u32, count: u64) -> Machine {
    let mut m = Machine::new(build);
    for (_, log) in RINGS {
        let ring = m.log(log);
        (ring.length, ring.index_before) = (length, before);
        for i in 1..=count {
            ring.push(record(build, log, i));
        }
    }
    m
}

/// The values of a log's records: for each the thread, the IRP if it has one, the frames.
fn told(log: &EventLog) -> Vec<(u64, Option<u64>, Vec<u64>)> {
    let value = |record, name: &str| {
        log.values(record).find(|(field, _)| field.c_name == name).and_then(|(_, value)| value)
    };
    log.records
        .iter()
        .map(|record| {
            let frames = log.frames(record).iter().map(|frame| frame.0).collect();
            (value(record, "Thread").unwrap(), value(record, "Irp"), frames)
        })
        .collect()
}

/// The expected values of the records `first` down to `last`.
fn expected(build: Build, log: Log, first: u64, last: u64) -> Vec<(u64, Option<u64>, Vec<u64>)> {
    (last..=first)
        .rev()
        .map(|i| {
            let record = record(build, log, i);
            let field = |name| record.fields.iter().find(|(n, _)| *n == name).map(|(_, v)| *v);
            (field("Thread").unwrap(), field("Irp"), record.frames)
        })
        .collect()
}

fn read(kernel: &Kernel, kind: EventKind) -> EventLog {
    EventLog::read(kernel, kind, None, None).unwrap()
}

#[test]
fn every_build_newest_first() {
    for build in Build::ALL {
        let kernel = open(&machine(build, 0x20, 0, 5).assemble());
        for (kind, log) in RINGS {
            let read = read(&kernel, kind);
            assert_eq!(read.problems, [], "{build:?} {kind:?}");
            assert_eq!(told(&read), expected(build, log, 5, 1), "{build:?} {kind:?}");
            assert_eq!((read.ring.length, read.ring.index, read.unused), (0x20, Some(5), 0x1b));
            assert_eq!((read.wrapped, read.empty_because), (Some(false), None));
            // Two of them, and those of one thread.
            let two = EventLog::read(&kernel, kind, Some(2), None).unwrap();
            assert_eq!(told(&two), expected(build, log, 5, 4));
            let thread = Va(told(&read)[3].0);
            let one = EventLog::read(&kernel, kind, None, Some(thread)).unwrap();
            assert_eq!(told(&one), expected(build, log, 2, 2));
            let none = EventLog::read(&kernel, kind, None, Some(Va(0x1234))).unwrap();
            assert_eq!((none.records.len(), none.empty_because), (0, None));
        }
        let irql = read(&kernel, EventKind::Irql);
        let numbers: Vec<_> =
            irql.values(&irql.records[0]).map(|(field, value)| (field.name, value)).collect();
        assert_eq!(
            numbers[1..],
            [
                ("old_irql", Some(2)),
                ("new_irql", Some(2)),
                ("processor", Some(1)),
                ("tick", Some(0x1005))
            ]
        );
    }
}

/// Windows 7 has no type for the IRP log's record: IRP, thread and 13 frames are read, the rest is unknown.
#[test]
fn the_irp_log_of_windows_7() {
    for build in [Build::Win7Sp1, Build::Win7Sp1X86, Build::Win81] {
        let mut m = Machine::new(build);
        let frames: Vec<u64> = (0..12).map(|i| pool(build, 0x100 + i)).collect();
        let full = if build == Build::Win81 {
            frames.clone()
        } else {
            [&frames[..], &[pool(build, 0x200)]].concat()
        };
        m.log(Log::Irp).push(RingRecord { frames: full.clone(), ..record(build, Log::Irp, 1) });
        let log = read(&open(&m.assemble()), EventKind::Irp);
        let known: Vec<bool> =
            log.values(&log.records[0]).map(|(_, value)| value.is_some()).collect();
        let newer = build == Build::Win81;
        assert_eq!(known, [true, true, newer, newer, newer], "{build:?}");
        assert_eq!(told(&log)[0].2, full, "{build:?}");
    }
}

#[test]
fn an_index_that_wrapped_32_bits() {
    for build in [Build::Win7Sp1, Build::Win11, Build::Win10VbX86] {
        // 40 records in 32 slots; the index goes from just below 2^32 to just above 0.
        let kernel = open(&machine(build, 0x20, u32::MAX - 30, 40).assemble());
        for (kind, log) in RINGS {
            let read = read(&kernel, kind);
            assert_eq!(read.problems, [], "{build:?} {kind:?}");
            assert_eq!(read.ring.index, Some(9));
            assert_eq!(told(&read), expected(build, log, 40, 9), "{build:?} {kind:?}");
            assert_eq!((read.wrapped, read.unused), (Some(true), 0), "{build:?} {kind:?}");
        }
    }
    // If every slot was used once, the log has not wrapped.
    let build = Build::Win10Rs5;
    for (count, wrapped) in [(0x1f, false), (0x20, false), (0x21, true)] {
        let kernel = open(&machine(build, 0x20, 0, count).assemble());
        for (kind, _) in RINGS {
            assert_eq!(read(&kernel, kind).wrapped, Some(wrapped), "{kind:?} {count:#x}");
        }
    }
}

/// Offset of a record's first field and its stack in slot `slot`.
fn slot(m: &Assembly, log: Log, slot: u64) -> u64 {
    let [structure, array, ..] = log.names();
    m.address(&format!("ring:{array}")) + slot * m.layouts().size(structure) as u64
}

#[test]
fn a_torn_newest_entry() {
    for build in Build::ALL {
        let mut m = machine(build, 0x20, 0, 5).assemble();
        for (_, log) in RINGS {
            let [structure, ..] = log.names();
            m.patch_field(slot(&m, log, 5), structure, "Thread", 0);
        }
        let kernel = open(&m);
        for (kind, log) in RINGS {
            let read = read(&kernel, kind);
            let [problem] = &read.problems[..] else { panic!("{build:?} {kind:?}: {read:?}") };
            assert_eq!(problem.address, Some(Va(slot(&m, log, 5))), "{problem}");
            assert!(problem.what.starts_with("newest slot (0x5) of the "), "{problem}");
            let told = told(&read);
            if matches!(log, Log::Fault | Log::CriticalRegion) {
                assert_eq!(problem.why, "reserved, and nothing was written to it yet");
                assert_eq!(told, expected(build, log, 4, 1));
            } else {
                assert_eq!(problem.why, "written in part: its thread is null");
                assert_eq!((told[0].0, told.len()), (0, 5));
                assert_eq!(told[1..], expected(build, log, 4, 1));
            }
        }
    }
    // A record without its IRP.
    let mut m = machine(Build::Win11, 0x20, 0, 5).assemble();
    m.patch_field(slot(&m, Log::ForcedPending, 5), "_IOV_FORCED_PENDING_TRACE", "Irp", 0);
    let log = read(&open(&m), EventKind::Pending);
    assert_eq!(log.problems[0].why, "written in part: its IRP is null");
}

#[test]
fn a_length_that_is_not_a_power_of_two() {
    for build in [Build::Win7Sp1, Build::Server2022, Build::Win7Sp1X86] {
        let mut m = machine(build, 0x20, 0, 5).assemble();
        for (_, log) in RINGS {
            let [.., length] = log.names();
            m.patch(m.address(&format!("nt!{length}")), &0x1bu32.to_le_bytes());
        }
        let kernel = open(&m);
        for (kind, log) in RINGS {
            let read = read(&kernel, kind);
            assert_eq!(told(&read), expected(build, log, 5, 1), "{build:?} {kind:?}");
            assert_eq!(read.problems.len(), 1, "{read:?}");
            assert!(read.problems[0].why.contains("0x1b is not a power of two"), "{read:?}");
        }
    }
}

#[test]
fn a_log_that_is_off_or_empty() {
    for build in Build::ALL {
        let kernel = open(&Machine::new(build).assemble());
        for (kind, _) in RINGS {
            let log = read(&kernel, kind);
            let why = log.empty_because.unwrap();
            assert!(why.starts_with("the log is off: its array was never allocated"), "{why}");
            assert_eq!((log.problems.len(), log.wrapped), (0, Some(false)));
        }
        let pool = PoolLog::read(&kernel, None).unwrap();
        assert!(pool.empty_because.unwrap().contains("VfPoolTraces is null"));
        let kernel = open(&machine(build, 0x20, 0, 0).assemble());
        for (kind, _) in RINGS {
            let log = read(&kernel, kind);
            assert_eq!(log.empty_because, Some("nothing was written to it"), "{build:?} {kind:?}");
            assert_eq!(log.problems, []);
        }
    }
}

#[test]
fn an_array_with_absent_pages_in_its_middle() {
    for build in [Build::Win7Sp1, Build::Win11, Build::Win10VbX86] {
        let (length, count) = (0x400u32, 0x403u64);
        let mut m = machine(build, length, 0, count).assemble();
        let mut absent = Vec::new();
        for (_, log) in RINGS {
            let [structure, array, ..] = log.names();
            let (array, stride) =
                (m.address(&format!("ring:{array}")), m.layouts().size(structure) as u64);
            // The second page and the next one.
            m.remove_page(array + 0x1000);
            m.remove_page(array + 0x2000);
            let first = 0x1000 / stride;
            let last = (0x3000 - 1) / stride;
            absent.push((first, last));
        }
        let kernel = open(&m);
        for ((kind, log), (first, last)) in RINGS.into_iter().zip(absent) {
            let read = read(&kernel, kind);
            // Record i is in slot i modulo the length; the first three were overwritten.
            let there = |i: u64| !(first..=last).contains(&(i % u64::from(length)));
            let want: Vec<_> = (4..=count)
                .rev()
                .filter(|&i| there(i))
                .flat_map(|i| expected(build, log, i, i))
                .collect();
            assert_eq!(told(&read), want, "{build:?} {kind:?}");
            let what = format!("slots {first:#x} to {last:#x} of the {}", kind.describe());
            assert!(read.problems.iter().any(|p| p.what == what), "{what}: {:?}", read.problems);
            assert_eq!((read.wrapped, read.empty_because), (Some(true), None));
        }
        // All of it.
        for (_, log) in RINGS {
            let [structure, array, ..] = log.names();
            let bytes = m.layouts().size(structure) as u64 * u64::from(length);
            for page in (0..bytes).step_by(0x1000).filter(|page| !matches!(page, 0x1000 | 0x2000)) {
                m.remove_page(m.address(&format!("ring:{array}")) + page);
            }
        }
        let kernel = open(&m);
        for (kind, _) in RINGS {
            let read = read(&kernel, kind);
            assert_eq!(read.empty_because, Some("none of its pages can be read"), "{kind:?}");
            assert!(read.records.is_empty() && !read.problems.is_empty());
        }
    }
}

fn three(log: &mut StaticLog, words: usize) {
    for i in 1..=3u64 {
        let record: Vec<u64> = (0..words as u64).map(|word| i * 0x10 + word).collect();
        log.push(&record);
    }
}

/// The numbers of a record that has all of its kind's.
fn values(log: &EventLog, record: &EventRecord) -> Vec<u64> {
    log.values(record).map(|(_, value)| value.unwrap()).collect()
}

const STATIC: [(EventKind, usize); 2] = [(EventKind::Suppressed, 5), (EventKind::Workaround, 3)];

#[test]
fn the_logs_of_bug_checks() {
    for build in Build::ALL {
        let mut m = Machine::new(build);
        three(m.suppressed_bug_checks(), 5);
        three(m.workarounds(), 3);
        let kernel = open(&m.assemble());
        for (kind, words) in STATIC {
            let log = read(&kernel, kind);
            assert_eq!(log.problems, [], "{build:?}");
            assert_eq!((log.ring.length, log.ring.index, log.unused), (16, Some(3), 13));
            let values: Vec<_> = log.records.iter().map(|record| values(&log, record)).collect();
            let want: Vec<Vec<u64>> = (1..=3u64)
                .rev()
                .map(|i| (0..words as u64).map(|word| i * 0x10 + word).collect())
                .collect();
            assert_eq!(values, want, "{build:?} {kind:?}");
            assert!(log.all_frames().is_empty());
            // Filter by one of its addresses; the code and the type are not addresses.
            let about = |address| EventLog::read(&kernel, kind, None, Some(Va(address))).unwrap();
            assert_eq!(about(0x21).records.len(), 1);
            assert_eq!(about(0x20).records.len(), 0);
        }
    }
    // Off: nothing was written.
    let kernel = open(&Machine::new(Build::Win11).assemble());
    for (kind, _) in STATIC {
        assert_eq!(read(&kernel, kind).empty_because, Some("nothing was written to it"));
    }
    // Two laps, over 2^32.
    let mut m = Machine::new(Build::Win10Vb);
    m.suppressed_bug_checks().index_before = u32::MAX - 7;
    for i in 1..=20 {
        m.suppressed_bug_checks().push(&[i, 0, 0, 0, 0]);
    }
    let log = read(&open(&m.assemble()), EventKind::Suppressed);
    let codes: Vec<u64> = log.records.iter().map(|record| values(&log, record)[0]).collect();
    assert_eq!(codes, (5..=20).rev().collect::<Vec<_>>());
    assert_eq!((log.wrapped, log.ring.index), (Some(true), Some(12)));
    // Its page is absent.
    let mut m = Machine::new(Build::Win10Vb);
    let page = m.kernel_mut().data_rva() + 0x4000;
    m.kernel_symbol("ViBugcheckLog", page);
    three(m.suppressed_bug_checks(), 5);
    let mut m = m.assemble();
    m.remove_page(m.address("nt!ViBugcheckLog"));
    let log = read(&open(&m), EventKind::Suppressed);
    assert_eq!(log.empty_because, Some("none of its pages can be read"));
    assert!(log.wrapped.is_none() && !log.problems.is_empty());
}

fn watched(build: Build) -> Machine {
    let mut m = Machine::new(build);
    for i in 1..=3u64 {
        m.watched_irp(WatchedIrp {
            irp: pool(build, i * 0x100),
            due_tick_count: 0x50 + i as u32,
            inserted: true,
            stack_location: if i == 2 { 0xff } else { 3 },
            timeout_ticks: 0x12c,
        });
    }
    m
}

#[test]
fn canceled_irps_that_are_watched() {
    for build in Build::ALL {
        let kernel = open(&watched(build).assemble());
        let list = WatchedIrps::read(&kernel, None, None).unwrap();
        assert_eq!(list.problems, [], "{build:?}");
        assert_eq!((list.length, list.maximum), (Some(3), Some(5)));
        assert_eq!((list.tick, list.canceled, list.empty_because), (Some(0x40), Some(10), None));
        let irps: Vec<_> = list.irps.iter().map(|irp| (irp.irp.0, irp.due_tick_count)).collect();
        let want: Vec<_> = (1..=3).map(|i| (pool(build, i * 0x100), 0x50 + i as u32)).collect();
        assert_eq!(irps, want, "{build:?}");
        assert_eq!(list.irps[1].cancel_timeout_ticks, 0x12c);
        assert_eq!(list.irps[0].tracked_stack_location, 3);
        assert_eq!(list.irps[1].tracked_stack_location, -1);
        let one = WatchedIrps::read(&kernel, None, Some(Va(pool(build, 0x200)))).unwrap();
        assert_eq!(one.irps, list.irps[1..2]);
        assert_eq!(WatchedIrps::read(&kernel, Some(2), None).unwrap().irps, list.irps[..2]);

        let kernel = open(&Machine::new(build).assemble());
        let none = WatchedIrps::read(&kernel, None, None).unwrap();
        assert_eq!(none.empty_because, Some("no canceled IRP is watched"));
        assert_eq!(none.problems, []);
    }
}

#[test]
fn a_damaged_list_of_watched_irps() {
    let build = Build::Win10Vb;
    // A ring without the head: the entries that were reached are returned.
    let mut m = watched(build).assemble();
    let (first, last) = (m.address("watched:0"), m.address("watched:2"));
    m.patch_pointer(last, first);
    let list = WatchedIrps::read(&open(&m), None, None).unwrap();
    assert_eq!(list.irps.len(), 3);
    assert!(list.problems[0].why.contains("closes a ring"), "{list:?}");
    // A count that differs from the list; a list that was never set up; a head that leads nowhere.
    let mut m = watched(build).assemble();
    m.patch(m.address("nt!ViWdIrpListLength"), &[9]);
    let list = WatchedIrps::read(&open(&m), None, None).unwrap();
    assert_eq!(list.problems[0].why, "ViWdIrpListLength says 9, the list holds 3");
    let head = m.address("nt!VfWdIrpListHead");
    m.patch(head, &[0; 16]);
    let list = WatchedIrps::read(&open(&m), None, None).unwrap();
    assert_eq!((list.empty_because, list.problems.len()), (Some("the list was never set up"), 0));
    m.patch_pointer(head, 0xffff_f6fb_0000_0000);
    let list = WatchedIrps::read(&open(&m), None, None).unwrap();
    assert_eq!((list.empty_because, list.irps.len()), (Some("the list cannot be read"), 0));
    assert_eq!(list.problems.len(), 1);
}

/// The pool log reports the same.
#[test]
fn the_pool_log_torn_wrapped_and_absent() {
    let build = Build::Win11;
    let fill = |length: u32, before: u32, count: u64| {
        let mut m = Machine::new(build);
        let frame = m.kernel_address("ExAllocatePoolWithTag") + 0x10;
        let ring = m.log(Log::Pool);
        (ring.length, ring.index_before) = (length, before);
        for i in 1..=count {
            let fields = vec![
                ("Address", pool(build, i * 0x100)),
                ("Size", 0x20),
                ("Thread", pool(build, 0x10_0000)),
            ];
            ring.push(RingRecord { fields, frames: vec![frame], stale: vec![] });
        }
        m.assemble()
    };
    for (before, count, wrapped) in
        [(0, 5, false), (0, 0x20, false), (0, 0x21, true), (u32::MAX - 30, 40, true)]
    {
        let log = PoolLog::read(&open(&fill(0x20, before, count)), None).unwrap();
        assert_eq!((log.wrapped, log.problems.len()), (Some(wrapped), 0), "{before} {count}");
        assert_eq!(log.records[0].address, Va(pool(build, count * 0x100)));
    }
    let mut m = fill(0x20, 0, 5);
    m.patch_field(slot(&m, Log::Pool, 5), "_VF_POOL_TRACE", "Thread", 0);
    let log = PoolLog::read(&open(&m), None).unwrap();
    assert_eq!((log.records.len(), log.problems.len()), (5, 1));
    assert_eq!(log.problems[0].why, "written in part: its thread is null");
    // A failed allocation has no address, and is not damaged.
    let mut m = fill(0x20, 0, 5);
    m.patch_field(slot(&m, Log::Pool, 5), "_VF_POOL_TRACE", "Address", 0);
    assert_eq!(PoolLog::read(&open(&m), None).unwrap().problems, []);

    let mut m = fill(0x20, 0, 0x20);
    let array = m.address("ring:VfPoolTraces");
    for page in 0..4 {
        m.remove_page(array + page * 0x1000);
    }
    let log = PoolLog::read(&open(&m), None).unwrap();
    assert_eq!(log.empty_because, Some("none of its pages can be read"));
    assert_eq!(log.missing, 0x20);
}
