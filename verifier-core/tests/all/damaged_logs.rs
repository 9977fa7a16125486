//! Damaged logs: values that no kernel writes are marked and reported, and no record is dropped. Undamaged
//! logs that are old, new or busy are not reported.

use crate::common::wrapper::{THREAD, Wrapper, leaks, rendered};
use crate::common::{RINGS, extent};
use verifier_core::Extent;
use verifier_core::Va;
use verifier_core::analysis::{History, NoStack};
use verifier_core::kernel::Kernel;
use verifier_core::render::{Names, text, write_pool_log_csv, write_pool_log_json};
use verifier_core::verifier::log::{EventKind, EventLog, ImpossibleRecord, PoolLog};
use verifier_synth::{Assembly, Build, DumpKind, Log, Machine, PoolRecord, RingRecord};

const LENGTH: u32 = 128;
const STRIDE: u64 = 0x80;
/// The block whose allocation is in the middle of the log.
const HELD: u64 = 2;
const USER: u64 = 0x1_0000;
const TRACE: &str = "_VF_POOL_TRACE";

/// A log that has wrapped, with blocks that are freed some time after their allocation, and three blocks that
/// are held.
fn busy() -> Wrapper {
    let mut w = Wrapper::new();
    w.hold(0..3);
    w.machine.log(Log::Pool).length = LENGTH;
    for i in 0..80 {
        w.allocate(10 + i % 23, "ReadRequest");
        if i == 50 {
            (0..3).for_each(|number| w.allocate(number, "WriteRequest"));
        }
        if i >= 9 {
            w.free(10 + (i - 9) % 23);
        }
    }
    w
}

/// The address of the slot with the allocation of a block.
fn slot_of(m: &Assembly, block: u64) -> u64 {
    let ring = m.address("ring:VfPoolTraces");
    let slots = (0..u64::from(LENGTH)).map(|slot| ring + slot * STRIDE);
    slots.into_iter().find(|&slot| m.read(slot, 8).unwrap() == block.to_le_bytes()).unwrap()
}

fn pool_log(kernel: &Kernel) -> PoolLog {
    PoolLog::read(kernel, None).unwrap()
}

#[test]
fn a_log_without_damage_has_no_problem() {
    let w = busy();
    let kernel = w.kernel();
    let log = pool_log(&kernel);
    assert_eq!((log.problems.as_slice(), log.contradictory), (&[][..], 0));
    assert_eq!((log.records.len(), log.wrapped), (LENGTH as usize, Some(true)));
    assert!(log.records.iter().all(|record| record.impossible.is_none()));
    assert_eq!(leaks(&kernel).problems, []);
}

#[test]
fn an_impossible_record_is_marked_reported_and_no_blocks_stack() {
    let w = busy();
    let block = w.block(HELD);
    let not_canonical = |va: u64| va & (u64::MAX >> 8);
    for (field, value, impossible) in [
        ("Address", USER, ImpossibleRecord::Address),
        ("Address", not_canonical(block), ImpossibleRecord::Address),
        ("Size", u64::MAX, ImpossibleRecord::Size),
        ("Thread", USER, ImpossibleRecord::Thread),
        ("Thread", 0, ImpossibleRecord::Thread),
        ("Thread", not_canonical(THREAD), ImpossibleRecord::Thread),
        ("Thread", THREAD + 1, ImpossibleRecord::Thread),
        ("StackTrace", USER, ImpossibleRecord::Frame),
        ("StackTrace[2]", not_canonical(THREAD), ImpossibleRecord::Frame),
    ] {
        let mut at = 0;
        let kernel = w.kernel_of(|m| {
            at = slot_of(m, block);
            let offset = if field == "StackTrace[2]" { 0x28 } else { 0 };
            match offset {
                0 if field == "StackTrace" => m.patch(at + 0x18, &value.to_le_bytes()),
                0 => m.patch_field(at, TRACE, field, value),
                _ => m.patch(at + offset, &value.to_le_bytes()),
            }
        });
        let log = pool_log(&kernel);
        assert_eq!(log.records.len(), LENGTH as usize, "{field}");
        let marked: Vec<_> = log.records.iter().filter_map(|one| one.impossible).collect();
        assert_eq!((marked, log.contradictory), (vec![impossible], 1), "{field}");
        assert_eq!(log.problems.len(), 1, "{field}: {:?}", log.problems);
        assert_eq!(log.problems[0].address, Some(Va(at)));
        assert!(log.problems[0].why.contains(impossible.words()), "{:?}", log.problems);

        let leaks = leaks(&kernel);
        assert_eq!(extent(&leaks.problems), Extent::AtLeast, "{field}");
        let of_block = leaks.blocks.iter().find(|one| one.allocation.address == Va(block)).unwrap();
        let why = if field == "Address" { NoStack::LogDamaged } else { NoStack::Impossible };
        assert_eq!((of_block.stack, of_block.record), (Err(why), None), "{field}");
        assert!(leaks.why(why).contains("damaged"), "{}", leaks.why(why));
        let history = History::read(&kernel, Va(block)).unwrap();
        assert_eq!(extent(&history.problems), Extent::AtLeast, "{field}");
        assert!(history.lifetimes.iter().all(|life| life.allocated.is_none()), "{field}");
    }
}

#[test]
fn the_mark_is_in_every_format() {
    let w = busy();
    let kernel = w.kernel_of(|m| {
        let at = slot_of(m, w.block(HELD));
        m.patch_field(at, TRACE, "Thread", USER);
    });
    let names = Names::new(&kernel);
    let log = pool_log(&kernel);
    let json = rendered(|out| write_pool_log_json(out, &log, &names));
    assert_eq!(json.matches("\"impossible\":\"thread\"").count(), 1);
    assert_eq!(json.matches("\"impossible\":null").count(), LENGTH as usize - 1);
    let csv = rendered(|out| write_pool_log_csv(out, &log, &names));
    assert!(csv.lines().any(|line| line.contains(",stack,file,line,impossible")), "{csv}");
    assert_eq!(csv.lines().filter(|line| line.contains(",thread,at least")).count(), 1);
    let words = rendered(|out| text::write_pool_log(out, &log, &names));
    let mark = "This record is impossible: its thread is not an object in the kernel's half.";
    assert_eq!(words.matches(mark).count(), 1);
}

/// Without a block, `leaks` does not use the log, so the answer is complete.
#[test]
fn contradictions_in_the_log_are_remarks_if_no_block_is_held() {
    let mut w = Wrapper::new();
    w.hold([]);
    w.machine.log(Log::Pool).length = LENGTH;
    (0..40).for_each(|number| w.allocate(number, "ReadRequest"));
    let kernel = w.kernel_of(|m| m.patch_field(slot_of(m, w.block(9)), TRACE, "Thread", 0));
    assert_eq!(extent(&pool_log(&kernel).problems), Extent::AtLeast);
    let leaks = leaks(&kernel);
    assert_eq!((leaks.problems.len(), extent(&leaks.problems)), (1, Extent::Complete));
}

#[test]
fn a_page_that_was_overwritten_is_one_problem_or_a_few() {
    let w = busy();
    let noise: Vec<u8> =
        (0..0x1000u32).map(|i| (i.wrapping_mul(0x9e37_79b9) >> 13) as u8).collect();
    let text: Vec<u8> = "Hello, world. ".bytes().cycle().take(0x1000).collect();
    for (name, bytes) in
        [("zeros", vec![0; 0x1000]), ("ones", vec![0xff; 0x1000]), ("noise", noise), ("text", text)]
    {
        let kernel = w.kernel_of(|m| {
            let page = m.address("ring:VfPoolTraces") + 0x1000;
            m.patch(page, &bytes);
        });
        let log = pool_log(&kernel);
        assert!((1..=5).contains(&log.problems.len()), "{name}: {:?}", log.problems);
        assert_eq!(log.contradictory, 32, "{name}: {:?}", log.problems);
        let records = if name == "zeros" { LENGTH - 32 } else { LENGTH };
        assert_eq!((log.records.len(), log.unused), (records as usize, LENGTH - records), "{name}");
        assert_eq!(extent(&leaks(&kernel).problems), Extent::AtLeast, "{name}");
        let history = History::read(&kernel, Va(w.block(HELD))).unwrap();
        assert_eq!(extent(&history.problems), Extent::AtLeast, "{name}");
    }
}

#[test]
fn a_page_that_is_a_copy_of_the_next_one_is_reported_and_a_loop_is_not() {
    let w = busy();
    let kernel = w.kernel_of(|m| {
        let page = m.address("ring:VfPoolTraces") + 0x1000;
        let next = m.read(page + 0x1000, 0x1000).unwrap();
        m.patch(page, &next);
    });
    let problems = pool_log(&kernel).problems;
    assert_eq!(problems.len(), 1, "{problems:?}");
    assert!(problems[0].why.contains("the next page holds the same records"), "{problems:?}");
    assert_eq!(extent(&leaks(&kernel).problems), Extent::AtLeast);

    // A driver that repeats its work fills all pages alike.
    for period in [1, 4, 16] {
        let mut w = Wrapper::new();
        w.hold(0..1);
        w.machine.log(Log::Pool).length = LENGTH;
        for _ in 0..128 / period {
            (0..period).for_each(|number| w.allocate(number, "ReadRequest"));
            (0..period).rev().for_each(|number| w.free(number));
        }
        assert_eq!(pool_log(&w.kernel()).problems, [], "{period}");
    }
}

/// Sets the variables of the pool log.
fn with(w: &Wrapper, name: &str, change: impl Fn(u32) -> u32) -> Kernel {
    w.kernel_of(|m| {
        let at = m.address(&format!("nt!{name}"));
        let value = u32::from_le_bytes(m.read(at, 4).unwrap().try_into().unwrap());
        m.patch(at, &change(value).to_le_bytes());
    })
}

#[test]
fn variables_that_do_not_fit_the_records_are_reported() {
    let w = busy();
    let because = |kernel: &Kernel, reason: &str| {
        let problems = pool_log(kernel).problems;
        assert!(problems.iter().any(|one| one.why.contains(reason)), "{reason}: {problems:?}");
        assert_eq!(extent(&leaks(kernel).problems), Extent::AtLeast, "{reason}");
        let history = History::read(kernel, Va(w.block(HELD))).unwrap();
        assert_eq!(extent(&history.problems), Extent::AtLeast, "{reason}");
    };
    for by in [32, 64, 100] {
        let kernel = with(&w, "VfPoolTracesIndex", |index| index.wrapping_add(by));
        because(&kernel, "does not fit the records");
        assert_eq!(pool_log(&kernel).records.len(), LENGTH as usize);
    }
    because(
        &with(&w, "VfPoolTracesLength", |length| length / 4),
        "records go on past the last slot",
    );
    because(&with(&w, "VfPoolTracesLength", |length| length - 1), "power of two");
    because(&with(&w, "VfPoolTracesLength", |_| 0), "its length is 0");
    let array = |at: &dyn Fn(u64) -> u64| {
        w.kernel_of(|m| {
            let (global, array) = (m.address("nt!VfPoolTraces"), m.address("ring:VfPoolTraces"));
            m.patch_pointer(global, at(array));
        })
    };
    because(&array(&|_| 0), "counts records");
    because(&array(&|_| USER), "not in the kernel's half");
    because(&array(&|array| array + STRIDE / 2), "does not begin on a page");
    because(&array(&|array| array + 8), "does not begin on a page");
    // Read from there, nearly every record is impossible, but all are still returned.
    let log = pool_log(&array(&|array| array + 8));
    assert!(log.contradictory > 100 && log.records.len() > 100, "{:?}", log.problems);
    assert!(log.problems.len() < 8, "{:?}", log.problems);
}

/// A log in its first lap: the slots ahead of the index are empty, those before it are not.
#[test]
fn an_index_that_does_not_fit_the_slots_in_use_is_reported() {
    let mut w = Wrapper::new();
    w.hold(0..3);
    w.machine.log(Log::Pool).length = LENGTH;
    for i in 0..60 {
        w.allocate(i, "ReadRequest");
    }
    assert_eq!(pool_log(&w.kernel()).problems, []);
    for (index, reason) in
        [(30, "has not come so far"), (0, "has not come so far"), (100, "has passed")]
    {
        let kernel = with(&w, "VfPoolTracesIndex", |_| index);
        let log = pool_log(&kernel);
        assert!(log.problems.iter().any(|one| one.why.contains(reason)), "{:?}", log.problems);
        // No record is dropped.
        assert_eq!(log.records.len(), 60, "{index}");
        assert_eq!(extent(&leaks(&kernel).problems), Extent::AtLeast, "{index}");
    }
}

/// After an index has passed 2^32 it can be below the length, while each slot has a record. A lost page does
/// not make this a first lap.
#[test]
fn a_lost_page_of_a_wrapped_log_does_not_hide_the_others() {
    let mut w = Wrapper::new();
    w.machine.log(Log::Pool).length = LENGTH;
    w.machine.log(Log::Pool).index_before = u32::MAX - 140;
    for i in 0..160 {
        w.allocate(i, "ReadRequest");
    }
    let log = pool_log(&w.kernel());
    assert_eq!((log.wrapped, log.problems.as_slice()), (Some(true), &[][..]));
    for page in 1..4 {
        let log = pool_log(&w.kernel_of(|m| {
            let at = m.address("ring:VfPoolTraces") + page * 0x1000;
            m.patch(at, &[0; 0x1000]);
        }));
        assert_eq!((log.wrapped, log.records.len()), (Some(true), LENGTH as usize - 32));
        assert_eq!((log.problems.len(), log.contradictory), (1, 32), "{:?}", log.problems);
    }
}

#[test]
fn a_missing_log_while_pool_is_tracked_is_a_problem() {
    let off = |level: u32, options: u32| {
        let mut w = Wrapper::new();
        w.machine.level(level).log(Log::Pool).length = 16;
        w.hold(0..1);
        let kernel = w.kernel_of(|m| {
            m.patch_pointer(m.address("nt!VfPoolTraces"), 0);
            let options_at = m.address("nt!VfOptionFlags");
            m.patch(options_at, &options.to_le_bytes());
        });
        pool_log(&kernel).problems
    };
    let problems = off(8, 0);
    assert_eq!(problems.len(), 1);
    assert_eq!(problems[0].why, "null, though pool tracking is on");
    assert_eq!(off(1, 0), []);
    // An option that turns the log off.
    assert_eq!(off(8, 2), []);
}

/// Locked pages can be mapped for a process; the log has that address.
#[test]
fn a_mapping_for_a_process_is_possible_and_pool_there_is_not() {
    let mut w = Wrapper::new();
    w.machine.log(Log::Pool).length = LENGTH;
    let symbol = "VerifierMmMapLockedPagesSpecifyCache";
    w.machine.kernel_symbol(symbol, 0x9_0000);
    let maps = vec![w.nt(symbol), w.at("ReadRequest")];
    for frames in [w.stack("ReadRequest"), maps, vec![w.at("ReadRequest")]] {
        let (thread, stale) = (THREAD, vec![]);
        w.machine.pool_record(PoolRecord {
            address: 0x1f0_0000,
            size: 0x10,
            thread,
            frames,
            stale,
        });
    }
    let log = pool_log(&w.kernel());
    let marks: Vec<_> = log.records.iter().map(|record| record.impossible).collect();
    assert_eq!(marks, [None, None, Some(ImpossibleRecord::Address)]);
}

/// Writers that were interrupted leave slots empty or without a thread.
#[test]
fn slots_that_are_being_written_are_not_damaged() {
    let mut w = Wrapper::new();
    w.machine.log(Log::Pool).length = LENGTH;
    (0..40).for_each(|number| w.allocate(number, "ReadRequest"));
    let log = pool_log(&w.kernel_of(|m| {
        let ring = m.address("ring:VfPoolTraces");
        m.patch(ring + 36 * STRIDE, &[0; STRIDE as usize]);
        m.patch_field(ring + 38 * STRIDE, TRACE, "Thread", 0);
        // An abandoned record: no stack.
        m.patch(ring + 41 * STRIDE, &[w.block(7), 0x20, THREAD].map(u64::to_le_bytes).concat());
    }));
    assert_eq!((log.problems.as_slice(), log.records.len()), (&[][..], 39));
}

/// Logs with 100 of 128 slots used, or all of them.
fn events(count: u64) -> Machine {
    let mut m = Machine::new(Build::Win10Vb);
    let frame = m.kernel_address("IofCallDriver") + 0x10;
    for (_, log) in RINGS {
        let ring = m.log(log);
        ring.length = LENGTH;
        for i in 0..count {
            let mut fields = vec![("Thread", THREAD + i % 5 * 0x100)];
            match log {
                Log::Irql => fields.extend([("OldIrql", i % 3), ("NewIrql", 2), ("Processor", 3)]),
                Log::Irp => fields
                    .extend([("Irp", crate::common::wrapper::POOL + i * 0x40), ("Irql", i % 3)]),
                Log::ForcedPending => fields.push(("Irp", crate::common::wrapper::POOL + i * 0x40)),
                _ => {}
            }
            ring.push(RingRecord { fields, frames: vec![frame, frame + 8], stale: vec![1] });
        }
    }
    m
}

fn event_log(m: &Assembly, kind: EventKind) -> EventLog {
    EventLog::read(&crate::common::session(m.sample(DumpKind::BitmapKernel)), kind, None, None)
        .unwrap()
}

#[test]
fn impossible_values_of_the_other_logs_are_marked_and_reported() {
    let m = events(100).assemble();
    for (kind, log) in RINGS {
        assert_eq!(event_log(&m, kind).problems, [], "{kind:?}");
        let [structure, array, ..] = log.names();
        let at = m.address(&format!("ring:{array}")) + 40 * m.layouts().size(structure) as u64;
        let mut cases = vec![
            ("Thread", USER, ImpossibleRecord::Thread),
            ("Thread", THREAD + 1, ImpossibleRecord::Thread),
            ("StackTrace", USER, ImpossibleRecord::Frame),
        ];
        match kind {
            EventKind::Irql => cases.extend([
                ("Thread", 0, ImpossibleRecord::Thread),
                ("OldIrql", 200, ImpossibleRecord::Irql),
                ("NewIrql", 16, ImpossibleRecord::Irql),
                ("Processor", 9999, ImpossibleRecord::Processor),
            ]),
            EventKind::Irp => cases.extend([
                ("Irp", USER, ImpossibleRecord::Irp),
                ("Irql", 31, ImpossibleRecord::Irql),
            ]),
            EventKind::Pending => cases.push(("Irp", THREAD + 1, ImpossibleRecord::Irp)),
            _ => {}
        }
        for (field, value, impossible) in cases {
            let mut m = m.clone();
            match field {
                "StackTrace" => {
                    let stack = m.layouts().offset(structure, "StackTrace") as u64;
                    m.patch_pointer(at + stack, value);
                }
                _ => m.patch_field(at, structure, field, value),
            }
            let log = event_log(&m, kind);
            let marked = log.records.iter().filter_map(|record| record.impossible);
            assert_eq!(marked.collect::<Vec<_>>(), [impossible], "{kind:?} {field}");
            assert_eq!(log.records.len(), 100, "{kind:?} {field}");
            assert_eq!(log.problems.len(), 1, "{kind:?} {field}: {:?}", log.problems);
            assert_eq!(log.problems[0].address, Some(Va(at)), "{kind:?} {field}");
        }
    }
}

#[test]
fn pages_of_the_other_logs_that_were_overwritten_are_reported() {
    for count in [100, 300] {
        let m = events(count).assemble();
        for (kind, log) in RINGS {
            assert_eq!(event_log(&m, kind).problems, [], "{kind:?}");
            for byte in [0, 0xff] {
                let mut m = m.clone();
                let page = m.address(&format!("ring:{}", log.names()[1]));
                m.patch(page, &[byte; 0x1000]);
                let log = event_log(&m, kind);
                assert!((1..=6).contains(&log.problems.len()), "{kind:?}: {:?}", log.problems);
            }
        }
    }
}
