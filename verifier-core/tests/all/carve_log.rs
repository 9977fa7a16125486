//! Records of the pool log that are found by their shape and cross pages. Physical memory has the pages of
//! the log in any order; the page tables give the next page.

use std::collections::BTreeMap;

use verifier_core::kernel::{AddressSpace, Hints, Kernel, Limits};
use verifier_core::verifier::Scan;
use verifier_core::verifier::log::CarvedLog;
use verifier_core::{Problem, Va};
use verifier_synth::{
    Assembly, Build, Driver, DumpKind, Log, Machine, PageSize, PageState, Placement, PoolRecord,
};

const STRIDE: u64 = 0x1a8;
/// Slots 1 to 69 end in the eighth page, on which two of them are whole.
const RECORDS: u64 = 69;
const POOL: u64 = 0xffff_9a8f_5000_0000;

/// The record in slot `slot`, to its last word; the caller is in an image.
fn frames(slot: u64, caller: u64) -> Vec<u64> {
    (0..50).map(|depth| caller + slot * 0x40 + depth).collect()
}

struct Subject {
    assembly: Assembly,
    caller: u64,
    array: u64,
}

impl Subject {
    fn new() -> Self {
        let mut m = Machine::new(Build::Win11);
        m.level(8).placement(Placement::Scattered { first: 0x1000, window: 0x400, seed: 7 });
        let leaky = m.driver(Driver::new("leaky.sys").export("LeakyRead", 0x1200));
        let caller = m.driver_address(leaky, "LeakyRead");
        m.log(Log::Pool).length = 0x200;
        for slot in 1..=RECORDS {
            m.pool_record(PoolRecord {
                address: POOL + slot * 0x1000,
                size: slot,
                thread: POOL + 0x40,
                frames: frames(slot, caller),
                stale: vec![],
            });
        }
        let assembly = m.assemble();
        let array = assembly.address("ring:VfPoolTraces");
        Self { assembly, caller, array }
    }

    fn page(&self, page: u64) -> u64 {
        self.array + page * 0x1000
    }

    fn carve(&self, limits: Limits) -> CarvedLog {
        let dump = crate::common::open_dump(self.assembly.dump(DumpKind::BitmapFull));
        let space = AddressSpace::of_dump(&dump).unwrap();
        let kernel = Kernel::open_with(space, Hints::from(dump.header()), limits).unwrap();
        crate::common::supply(&kernel, &self.assembly.sample(DumpKind::BitmapFull).files);
        let pages = dump.physical().unwrap();
        CarvedLog::read(&kernel, &Scan::Physical(&pages), |_, _| true).unwrap()
    }

    /// Compares the found records with the written ones; returns the slots of whole and of cut records. Each
    /// record must be at the place of its slot.
    fn check(&self, log: &CarvedLog) -> (Vec<u64>, Vec<u64>) {
        let (mut whole, mut cut) = (Vec::new(), Vec::new());
        for record in &log.records {
            let slot = record.size;
            assert_eq!(record.address, Va(POOL + slot * 0x1000));
            let expected: Vec<Va> = frames(slot, self.caller).into_iter().map(Va).collect();
            let found = log.frames(record);
            if record.is_cut {
                assert!(found.len() < expected.len() && expected.starts_with(found), "{slot}");
                cut.push(slot);
            } else {
                assert_eq!(found, expected, "{slot}");
                whole.push(slot);
            }
        }
        let in_order: Vec<Va> =
            log.records.iter().flat_map(|record| log.frames(record).to_vec()).collect();
        assert_eq!(log.all_frames(), in_order);
        (whole, cut)
    }
}

#[test]
fn records_continue_on_the_page_that_is_mapped_next() {
    let subject = Subject::new();
    let physical = |page| subject.assembly.space().translate(subject.page(page)).unwrap();
    assert!((0..7).any(|page| physical(page) + 0x1000 != physical(page + 1)), "not scattered");
    let log = subject.carve(Limits::default());
    assert_eq!(log.problems, []);
    // In the order of slots, since the order of pages is known.
    assert_eq!(subject.check(&log), ((1..=RECORDS).collect(), vec![]));
    assert_eq!(log.pages, 8);
    for record in &log.records {
        let at = record.page.va.unwrap().add(record.offset.into());
        assert_eq!(at, Va(subject.array + record.size * STRIDE));
    }
}

#[test]
fn a_record_is_cut_if_the_next_page_is_absent() {
    let mut subject = Subject::new();
    subject.assembly.remove_page(subject.page(3));
    // Other memory is not a page of the log.
    subject.assembly.patch(subject.page(5), &[0x5a; 0x1000]);
    let (whole, cut) = subject.check(&subject.carve(Limits::default()));
    let pages = |slot: u64| (slot * STRIDE / 0x1000, ((slot + 1) * STRIDE - 1) / 0x1000);
    let is_lost = |page| page == 3 || page == 5;
    let mut expected: BTreeMap<bool, Vec<u64>> = BTreeMap::new();
    for slot in 1..=RECORDS {
        let (first, last) = pages(slot);
        if !is_lost(first) {
            expected.entry(is_lost(last)).or_default().push(slot);
        }
    }
    assert_eq!((&whole, &cut), (&expected[&false], &expected[&true]));
    assert_eq!(cut.len(), 2);
}

#[test]
fn of_several_addresses_of_a_page_the_one_in_the_log_counts() {
    let mut subject = Subject::new();
    let frame = subject.assembly.space().translate(subject.page(2)).unwrap() / 0x1000;
    // Below and above the log's own address, followed by zeros.
    let space = subject.assembly.space_mut();
    for other in [0xffff_8a00_0000_0000, 0xffff_fa00_0000_0000] {
        space.map(other, frame, PageSize::Small, PageState::Present);
        let zeros = space.memory_mut().allocate();
        space.map(other + 0x1000, zeros, PageSize::Small, PageState::Present);
    }
    let (mut whole, cut) = subject.check(&subject.carve(Limits::default()));
    whole.sort_unstable();
    assert_eq!((whole, cut), ((1..=RECORDS).collect(), vec![]));
}

#[test]
fn a_walk_over_page_tables_that_ends_early_is_reported() {
    let subject = Subject::new();
    let mut limits = Limits::default();
    limits.search_pages = 3;
    let log = subject.carve(limits);
    let names_it = |p: &Problem| p.why.contains("Limits::search_pages");
    assert!(log.problems.iter().any(names_it), "{:?}", log.problems);
    let (whole, cut) = subject.check(&log);
    assert!(whole.len() > 50 && cut.len() >= 5, "{whole:?} {cut:?}");
}
