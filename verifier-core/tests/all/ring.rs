//! The ring of the logs: the order for any index, length and fill. Absent pages are reported, and the other
//! records are returned.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use proptest::prelude::*;
use verifier_core::Va;
use verifier_core::kernel::{AddressSpace, Hints, Kernel, Limits};
use verifier_core::machine::Machine;
use verifier_core::memory::SparsePages;
use verifier_core::types::{Literals, Shape};
use verifier_core::verifier::log::{Operation, PoolLog};

const LIST: u64 = 0xffff_f800_0090_0000;
const ENTRY: u64 = 0xffff_fa80_0010_0000;
const BASE: u64 = 0xffff_f800_0000_0000;
const GLOBALS: u64 = BASE + 0x1000;
const ARRAY: u64 = 0xffff_fa80_0040_0000;
/// An address outside all images.
const OUTSIDE: u64 = 0xffff_f880_0000_1000;
const THREAD: u64 = 0xffff_fa80_0100_0040;

/// A kernel with one module; `memory` has the data of the test.
fn kernel(memory: SparsePages<Va>, frames: u64) -> Kernel {
    limited(memory, frames, Limits::default())
}

fn limited(memory: SparsePages<Va>, frames: u64, limits: Limits) -> Kernel {
    let mut module = vec![0u8; 0x70];
    module[..8].copy_from_slice(&LIST.to_le_bytes());
    module[8..16].copy_from_slice(&LIST.to_le_bytes());
    module[0x30..0x38].copy_from_slice(&BASE.to_le_bytes());
    module[0x40..0x44].copy_from_slice(&0x60_0000u32.to_le_bytes());
    let memory = memory
        .with(Va(LIST), &[ENTRY.to_le_bytes(), ENTRY.to_le_bytes()].concat())
        .with(Va(ENTRY), &module);
    let stack =
        Shape::Array { element: Box::new(Shape::Pointer(8)), size: 8 * frames, count: frames };
    let types = Literals::new()
        .with_type(
            "_VF_POOL_TRACE",
            0x18 + 8 * frames,
            &[
                ("Address", 0, Shape::Pointer(8)),
                ("Size", 8, Shape::Unsigned(8)),
                ("Thread", 0x10, Shape::Pointer(8)),
                ("StackTrace", 0x18, stack),
            ],
        )
        .with_symbol("VfPoolTraces", 0x1000)
        .with_symbol("VfPoolTracesIndex", 0x1008)
        .with_symbol("VfPoolTracesLength", 0x100c);
    let space = AddressSpace::new(Arc::new(memory), Machine::X64);
    let hints = Hints { ps_loaded_module_list: Some(Va(LIST)), ..Hints::default() };
    let kernel = Kernel::open_with(space, hints, limits).unwrap();
    kernel.supply_types(Arc::new(types));
    kernel
}

fn globals(memory: &mut SparsePages<Va>, array: u64, index: u32, length: u32) {
    memory.write(Va(GLOBALS), &array.to_le_bytes());
    memory.write(Va(GLOBALS + 8), &index.to_le_bytes());
    memory.write(Va(GLOBALS + 12), &length.to_le_bytes());
}

/// The record of the n-th write, with `depth` frames, a null, and stale frames after it.
fn record(n: u64, frames: u64, depth: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    bytes.extend((0xffff_fa80_2000_0000 + n * 0x1000).to_le_bytes());
    bytes.extend((n + 1).to_le_bytes());
    bytes.extend((THREAD + n % 7 * 0x100).to_le_bytes());
    for frame in 0..frames {
        let value = match frame.cmp(&depth) {
            std::cmp::Ordering::Less => BASE + 0x10_0000 + n * 0x100 + frame,
            std::cmp::Ordering::Equal => 0,
            std::cmp::Ordering::Greater => 0xffff_f880_dead_0000 + frame,
        };
        bytes.extend(value.to_le_bytes());
    }
    bytes
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    /// Records are written like in the kernel (first the index, then its slot), and read newest first.
    #[test]
    fn any_index_length_and_fill(
        start in any::<u32>(),
        shift in 0u32..8,
        written in 0u64..600,
        depth in 0u64..13,
    ) {
        let length = 1u32 << shift;
        let stride = 0x18 + 8 * 13;
        let mut memory = SparsePages::new();
        memory.write(Va(ARRAY), &vec![0u8; (u64::from(length) * stride) as usize]);
        // Every slot below the index was written.
        let mut index = if written < u64::from(length) { 0 } else { start };
        let mut model: Vec<Option<u64>> = vec![None; length as usize];
        for n in 0..written {
            index = index.wrapping_add(1);
            let slot = index & (length - 1);
            memory.write(Va(ARRAY + u64::from(slot) * stride), &record(n, 13, depth));
            model[slot as usize] = Some(n);
        }
        globals(&mut memory, ARRAY, index, length);
        let log = PoolLog::read(&kernel(memory, 13), None).unwrap();
        let mut expected: Vec<u64> = model.iter().flatten().copied().collect();
        expected.sort_unstable_by(|a, b| b.cmp(a));
        let got: Vec<u64> = log.records.iter().map(|record| record.size - 1).collect();
        prop_assert_eq!(&got, &expected);
        prop_assert_eq!(log.unused as usize, length as usize - expected.len());
        prop_assert!(log.problems.is_empty(), "{:?}", log.problems);
        for record in &log.records {
            prop_assert_eq!(log.frames(record).len() as u64, depth);
            prop_assert_eq!(model[record.slot as usize], Some(record.size - 1));
        }
    }
}

/// A full ring of `length` records, the n-th written to slot n + 1.
fn full(length: u32, frames: u64) -> SparsePages<Va> {
    let stride = 0x18 + 8 * frames;
    let mut memory = SparsePages::new();
    for n in 0..u64::from(length) {
        let slot = (n + 1) % u64::from(length);
        memory.write(Va(ARRAY + slot * stride), &record(n, frames, frames));
    }
    memory
}

#[test]
fn fifty_frames_and_the_newest_few() {
    let mut memory = full(64, 50);
    globals(&mut memory, ARRAY, 64, 64);
    let kernel = kernel(memory, 50);
    let log = PoolLog::read(&kernel, Some(3)).unwrap();
    assert_eq!(log.records.iter().map(|r| r.size).collect::<Vec<_>>(), [64, 63, 62]);
    assert_eq!(log.frames(&log.records[0]).len(), 50);
    let all = PoolLog::read(&kernel, None).unwrap();
    assert_eq!(all.records.len(), 64);
}

#[test]
fn pages_absent_in_the_middle_lose_only_their_records() {
    // 0x80 bytes for each record, 32 records on each page; the third of four pages is absent.
    let mut memory = SparsePages::new();
    for slot in (0..64u64).chain(96..128) {
        memory.write(Va(ARRAY + slot * 0x80), &record(slot, 13, 13));
    }
    globals(&mut memory, ARRAY, 127, 128);
    let log = PoolLog::read(&kernel(memory, 13), None).unwrap();
    let got: Vec<u32> = log.records.iter().map(|record| record.slot).collect();
    let expected: Vec<u32> = (96..128).rev().chain((0..64).rev()).collect();
    assert_eq!(got, expected);
    assert_eq!(log.missing, 32);
    assert_eq!(log.problems.len(), 1, "{:?}", log.problems);
    assert!(log.problems[0].what.contains("0x40 to 0x5f"), "{}", log.problems[0].what);
    assert_eq!(log.problems[0].address, Some(Va(ARRAY + 64 * 0x80)));
}

#[test]
fn a_length_that_is_not_a_power_of_two_is_reported() {
    let mut memory = full(48, 13);
    globals(&mut memory, ARRAY, 48, 48);
    let log = PoolLog::read(&kernel(memory, 13), None).unwrap();
    assert_eq!(log.records.len(), 48);
    assert!(log.problems.iter().any(|problem| problem.why.contains("power of two")));
}

#[test]
fn a_null_array_is_a_log_that_is_off() {
    let mut memory = SparsePages::new();
    globals(&mut memory, 0, 0, 0);
    let log = PoolLog::read(&kernel(memory, 13), None).unwrap();
    assert!(log.records.is_empty() && log.problems.is_empty());
    assert!(log.empty_because.unwrap().contains("VfPoolTraces is null"));
}

#[test]
fn garbage_above_the_index_of_the_first_lap_is_not_a_record() {
    // Kernels up to 19041 do not clear the array, so slots above the index have any contents.
    let mut memory = SparsePages::new();
    memory.write(Va(ARRAY), &[0x41; 64 * 0x80]);
    memory.write(Va(ARRAY), &[0; 0x80]);
    for slot in 1..=5u64 {
        memory.write(Va(ARRAY + slot * 0x80), &record(slot, 13, 4));
    }
    globals(&mut memory, ARRAY, 5, 64);
    let log = PoolLog::read(&kernel(memory, 13), None).unwrap();
    assert_eq!(log.records.iter().map(|r| r.slot).collect::<Vec<_>>(), [5, 4, 3, 2, 1]);
}

/// Data of an earlier boot in the same memory look like records, but its images had other addresses.
#[test]
fn records_of_an_earlier_array_above_the_index_do_not_count() {
    for stale in [vec![6u64, 20, 40], vec![0], (7..64).collect(), vec![63]] {
        let mut memory = SparsePages::new();
        memory.write(Va(ARRAY), &[0; 64 * 0x80]);
        for slot in (1..=5u64).chain(stale.iter().copied()) {
            memory.write(Va(ARRAY + slot * 0x80), &record(slot, 13, 4));
        }
        for &slot in &stale {
            memory.write(Va(ARRAY + slot * 0x80 + 0x18), &OUTSIDE.to_le_bytes());
        }
        globals(&mut memory, ARRAY, 5, 64);
        let log = PoolLog::read(&kernel(memory, 13), None).unwrap();
        let slots: Vec<_> = log.records.iter().map(|record| record.slot).collect();
        assert_eq!(slots, [5, 4, 3, 2, 1], "{stale:?}");
        assert_eq!((log.wrapped, log.unused), (Some(false), 59), "{stale:?}");
        assert_eq!(log.problems, [], "{stale:?}");
    }
}

#[test]
fn a_null_address_is_a_failed_allocation() {
    let mut memory = full(16, 13);
    memory.write(Va(ARRAY + 7 * 0x80), &[0; 8]);
    globals(&mut memory, ARRAY, 16, 16);
    let log = PoolLog::read(&kernel(memory, 13), None).unwrap();
    let failed: Vec<u32> = log
        .records
        .iter()
        .filter(|record| record.operation == Operation::Failed)
        .map(|record| record.slot)
        .collect();
    assert_eq!(failed, [7]);
}

/// The newest records are read, wherever they are in the array.
#[test]
fn a_length_beyond_the_limit_is_cut_and_reported() {
    for (index, limit) in [(16u32, 4u32), (22, 10), (3, 1), (9, 0), (15, 15)] {
        let mut memory = full(16, 13);
        globals(&mut memory, ARRAY, index.wrapping_sub(32), 16);
        let mut limits = Limits::default();
        limits.ring_records = limit;
        let log = PoolLog::read(&limited(memory, 13, limits), None).unwrap();
        let slots: Vec<_> = log.records.iter().map(|record| record.slot).collect();
        let newest: Vec<_> = (0..limit).map(|back| index.wrapping_sub(back) % 16).collect();
        assert_eq!(slots, newest, "{index} {limit}");
        assert_eq!(log.problems.len(), 1);
        assert!(log.problems[0].why.contains("Limits::ring_records"));
    }
}

#[test]
fn a_stopped_read_returns_the_records_so_far() {
    let stride = 0x18 + 8 * 13;
    let length = 4096u32;
    let mut memory = SparsePages::new();
    for n in 0..u64::from(length) {
        memory.write(Va(ARRAY + n * stride), &record(n, 13, 13));
        // Outside all images, so that no name look-up also checks `stop`.
        memory.write(Va(ARRAY + n * stride + 0x18), &OUTSIDE.to_le_bytes());
    }
    globals(&mut memory, ARRAY, length - 1, length);
    let kernel = kernel(memory, 13);
    let asked = Arc::new(AtomicU32::new(0));
    let count = Arc::clone(&asked);
    kernel.stop_when(Box::new(move || count.fetch_add(1, Ordering::Relaxed) >= 3));
    let log = PoolLog::read(&kernel, None).unwrap();
    // Three blocks of 32 KiB: the newest records.
    let newest = log.records.iter().map(|record| record.size);
    let expected = (1..=u64::from(length)).rev().take(3 * (0x8000 / stride) as usize);
    assert_eq!(newest.collect::<Vec<_>>(), expected.collect::<Vec<_>>());
    assert_eq!(log.problems.len(), 1);
    assert_eq!(log.problems[0].why, "reading was stopped");
    assert!(kernel.is_stopped());
}
