//! Every limit is hit at its value, and the message names it.

use std::sync::Arc;

use verifier_core::dump::Dump;
use verifier_core::error::Fault;
use verifier_core::kernel::{AddressSpace, Hints, Kernel, Limits};
use verifier_core::machine::Machine;
use verifier_core::memory::{Memory, Residence, SparsePages};
use verifier_core::verifier::log::{PoolLog, Ring};
use verifier_core::verifier::{CarvedPool, Drivers, Modes, PoolReport, Scan};
use verifier_core::{Problem, Va};
use verifier_synth::{Allocation, Build, Driver, DumpKind, PoolRecord};

/// Two verified drivers, both with more blocks than a page of entries has room for, and two excluded.
fn kernel(limits: Limits) -> Kernel {
    machine(limits).0
}

fn machine(limits: Limits) -> (Kernel, Dump) {
    let mut m = verifier_synth::Machine::new(Build::Win10Vb);
    for name in ["one.sys", "two.sys"] {
        let driver = m.driver(Driver::new(name).export("Open", 0x1300).export("Read", 0x1400));
        let caller = m.kernel_address("VfPoolTraces");
        for i in 0..300 {
            let block = 0xffff_9a8f_5000_0000 + i * 0x1000;
            m.verified(driver).allocation(Allocation::nonpaged(block, 0x210, b"Leak", caller));
        }
    }
    m.pool_record(PoolRecord { address: 0xffff_9a8f_5000_0000, size: 1, ..PoolRecord::default() });
    m.excluded("three.sys").excluded("four.sys");
    let sample = m.build(DumpKind::BitmapFull);
    let dump = crate::common::open_dump(sample.dump);
    let space = AddressSpace::of_dump(&dump).unwrap();
    let kernel = Kernel::open_with(space, Hints::from(dump.header()), limits).unwrap();
    assert!(crate::common::supply(&kernel, &sample.files) > 0);
    (kernel, dump)
}

fn with(set: impl FnOnce(&mut Limits)) -> Kernel {
    let mut limits = Limits::default();
    set(&mut limits);
    kernel(limits)
}

fn names(problems: &[Problem], name: &str) {
    assert!(problems.iter().any(|p| p.to_string().contains(name)), "{name}: {problems:?}");
}

#[test]
fn the_defaults_are_never_hit() {
    let kernel = kernel(Limits::default());
    assert_eq!(kernel.problems(), []);
    let report = PoolReport::read(&kernel, |_| true).unwrap();
    assert!(!report.problems.iter().any(|p| p.why.contains("limit")), "{:?}", report.problems);
    assert_eq!(report.drivers.iter().map(|pool| pool.allocations.len()).sum::<usize>(), 600);
}

#[test]
fn lists_modules_names() {
    let kernel = with(|limits| limits.list_entries = 1);
    names(kernel.problems(), "Limits::list_entries");
    names(&Drivers::read(&kernel).unwrap().problems, "Limits::list_entries");

    let kernel = with(|limits| limits.modules = 1);
    names(kernel.problems(), "Limits::modules");
    assert_eq!(kernel.modules().loaded().len(), 1);

    let kernel = with(|limits| limits.name_bytes = 16);
    names(kernel.problems(), "Limits::name_bytes");
    // Paths are longer than the limit, names are not.
    assert!(kernel.modules().by_name("one.sys").is_some());
}

#[test]
fn drivers_trees_pages() {
    let drivers = Drivers::read(&with(|limits| limits.drivers = 1)).unwrap();
    names(&drivers.problems, "Limits::drivers");
    let images: usize = drivers.drivers.iter().map(|driver| driver.images.len()).sum();
    assert_eq!(images, 1);

    let drivers = Drivers::read(&with(|limits| limits.tree_nodes = 1)).unwrap();
    names(&drivers.problems, "Limits::tree_nodes");

    let kernel = with(|limits| limits.tracker_pages = 1);
    let report = PoolReport::read(&kernel, |_| true).unwrap();
    names(&report.problems, "Limits::tracker_pages");
    let found: usize = report.drivers.iter().map(|pool| pool.allocations.len()).sum();
    assert!((1..300).contains(&found), "{found}");
}

#[test]
fn excluded_drivers_and_their_names() {
    let modes = Modes::read(&with(|limits| limits.drivers = 1));
    names(&modes.problems, "Limits::drivers");
    assert_eq!(modes.excluded_drivers.as_deref(), Some(&["three.sys".to_string()][..]));

    let modes = Modes::read(&with(|limits| limits.name_bytes = 16));
    names(&modes.problems, "Limits::name_bytes");
    assert_eq!(modes.excluded_drivers.as_deref(), Some(&["four.sys".to_string()][..]));
}

#[test]
fn carved_pages_and_their_owners() {
    let carve = |set: fn(&mut Limits)| {
        let mut limits = Limits::default();
        set(&mut limits);
        let (kernel, dump) = machine(limits);
        CarvedPool::read(&kernel, &Scan::Physical(&dump.physical().unwrap())).unwrap()
    };
    let carved = carve(|_| {});
    assert_eq!(carved.problems, []);
    assert!(carved.owners.len() > 1);
    assert!(carved.owners.iter().all(|owner| owner.name.is_some()));

    let carved = carve(|limits| limits.name_bytes = 8);
    names(&carved.problems, "Limits::name_bytes");
    assert!(carved.owners.iter().all(|owner| owner.name.is_none()));

    let carved = carve(|limits| limits.tracker_pages = 1);
    names(&carved.problems, "Limits::tracker_pages");
    assert_eq!(carved.owners.iter().map(|owner| owner.pages.len()).sum::<usize>(), 1);

    let mapped = |set: fn(&mut Limits)| CarvedPool::read(&with(set), &Scan::Mapped).unwrap();
    assert_eq!(mapped(|_| {}).problems, []);
    names(&mapped(|limits| limits.search_pages = 40).problems, "Limits::search_pages");
}

#[test]
fn records_and_exports() {
    let log = PoolLog::read(&with(|limits| limits.ring_records = 4), None).unwrap();
    names(&log.problems, "Limits::ring_records");

    let named = |kernel: Kernel| {
        (0..kernel.modules().loaded().len()).filter(|&i| kernel.symbol_source(i).is_some()).count()
    };
    let (all, fewer) = (named(kernel(Limits::default())), named(with(|limits| limits.exports = 1)));
    // One of the two drivers, which have no symbols, gets its only name.
    assert_eq!(fewer + 1, all);
}

/// One page of records that is mapped at every address; page tables of a few pages can do this.
struct Repeating(SparsePages<Va>, Option<u64>);

const ARRAY: u64 = 0xffff_fa80_4000_0000;

impl Memory<Va> for Repeating {
    fn read_in_page(&self, at: Va, buf: &mut [u8]) -> Result<Residence, Fault> {
        if at.0 < ARRAY {
            return self.0.read_in_page(at, buf);
        }
        buf.fill(0xa5);
        Ok(Residence::Valid)
    }

    fn held(&self) -> Option<u64> {
        self.1
    }
}

#[test]
fn no_log_is_longer_than_memory() {
    let (head, entry) = (0xffff_f800_0000_1000_u64, 0xffff_f800_0000_2000_u64);
    let module = [[head.to_le_bytes(); 2].concat(), vec![0xff; 0x80]].concat();
    let literals = SparsePages::new()
        .with(Va(head), &[entry.to_le_bytes(); 2].concat())
        .with(Va(entry), &module);
    let records = |held| {
        let memory = Repeating(literals.clone(), held);
        let space = AddressSpace::new(Arc::new(memory), Machine::X64);
        let hints = Hints { ps_loaded_module_list: Some(Va(head)), ..Hints::default() };
        let kernel = Kernel::open(space, hints).unwrap();
        let mut count = 0;
        let ring = Ring::new("pool log", Va(ARRAY), 0, 0x1000, 0x80);
        let told = ring.for_each(&kernel, |_, _| {
            count += 1;
            true
        });
        (count, told.problems)
    };
    let (count, problems) = records(Some(0x2000));
    assert_eq!(count, 0x2000 / 0x80);
    names(&problems, "its pages repeat");
    // If memory does not know its size, only the limits bound the log.
    assert_eq!(records(None), (0x1000, Vec::new()));
}
