//! Verified images and tracking pages to which neither tree nor list leads.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::common::open;
use verifier_core::Va;
use verifier_core::analysis::{History, Leaks};
use verifier_core::verifier::{Allocation, CarvedPool, Drivers, PoolReport, Scan, Source};
use verifier_synth::{
    Allocation as Block, Assembly, Build, Driver, Machine, MachineType, PoolRecord, Tracker,
};

const BUILDS: [Build; 5] =
    [Build::Win7Sp1X86, Build::Win7Sp1, Build::Win10Vb, Build::Win11Ge, Build::Win11Arm64];

fn base(build: Build) -> u64 {
    if build.machine() == MachineType::X86 { 0xb000_0000 } else { 0xffff_b00f_0000_0000 }
}

/// Two drivers: one with three pages of entries, in use, freed and fresh, one with a single page.
fn machine(build: Build) -> Assembly {
    let mut m = Machine::new(build);
    m.level(8);
    let leaky = m.driver(Driver::new("leaky.sys").symbol("Leak", 0x1200));
    let caller = m.driver_address(leaky, "Leak") + 0x10;
    let per_page = if build.machine() == MachineType::X86 { 255 } else { 127 };
    let verified = m.verified(leaky);
    for i in 1..=2 * per_page + 20 {
        let block = Block::nonpaged(base(build) + 0x4000 * i, 0x40 + 16 * i, b"Leak", caller);
        verified.tracker(match i % 7 {
            0 => Tracker::Freed(block),
            1 => Tracker::Fresh,
            _ => Tracker::InUse(block),
        });
    }
    let quiet = m.driver(Driver::new("quiet.sys"));
    m.verified(quiet).allocation(Block::paged(base(build) + 0x800, 0x50, b"Quie", caller));
    m.pool_record(PoolRecord {
        address: base(build) + 0x8000,
        size: 0x60,
        thread: base(build),
        frames: vec![caller],
        stale: vec![],
    });
    m.assemble()
}

type Held = Vec<(String, Vec<Allocation>)>;

/// The outstanding blocks without their source, by driver and entry.
fn held(report: &PoolReport) -> Held {
    let mut held: Held = Vec::new();
    for pool in &report.drivers {
        let mut blocks: Vec<Allocation> = pool.allocations.clone();
        blocks.iter_mut().for_each(|block| block.source = Source::Tracker);
        blocks.sort_by_key(|block| block.entry);
        held.push((pool.driver.name.clone(), blocks));
    }
    held.sort_by(|a, b| a.0.cmp(&b.0));
    held
}

fn sources(report: &PoolReport) -> Vec<(Source, usize)> {
    let count = |source| report.allocations().filter(|(_, one)| one.source == source).count();
    [Source::Tracker, Source::Carved].map(|source| (source, count(source))).to_vec()
}

#[test]
fn an_overwritten_tree_hides_no_block() {
    for build in BUILDS {
        let mut m = machine(build);
        let whole = PoolReport::read(&open(&m), |_| true).unwrap();
        assert_eq!(whole.problems, [], "{build:?}");
        let count = whole.allocations().count();
        assert_eq!(sources(&whole), [(Source::Tracker, count), (Source::Carved, 0)]);
        let tables = m.layouts().offset("_VF_AVL_TREE", "Tables") as u64;
        let at = m.address("nt!ViTargetDriversAvl") + tables;
        for garbage in [0x1234_5678, 0] {
            m.patch_pointer(at, garbage);
            let kernel = open(&m);
            let report = PoolReport::read(&kernel, |_| true).unwrap();
            assert_eq!(held(&report), held(&whole), "{build:?}");
            assert_eq!(sources(&report), [(Source::Tracker, 0), (Source::Carved, count)]);
            let told = |text: &str| report.problems.iter().any(|one| one.why.contains(text));
            assert!(told("does not lead to 2 verified images"), "{:?}", report.problems);
            let driver = &report.drivers[0].driver;
            assert_eq!((driver.loads, driver.images.len()), (1, 1), "{build:?}");
            assert_eq!(driver.counters(), whole.drivers[0].driver.counters());
            assert_eq!(driver.images[0].base, whole.drivers[0].driver.images[0].base);
            assert!(driver.images[0].is_carved && driver.images[0].address.is_null());
            // The views that build on the pool report have them, too.
            let leaks = Leaks::read(&kernel, |_| true).unwrap();
            assert_eq!((leaks.blocks.len(), leaks.coverage().with_stack.count), (count, 1));
            let history = History::read(&kernel, Va(base(build) + 0x8000)).unwrap();
            assert_eq!(history.trackers.len(), 1);
            assert_eq!(history.trackers[0].entry.allocation.source, Source::Carved);
            // Compared with the lists, they are still blocks to which no list leads.
            let carved = CarvedPool::read(&kernel, &Scan::Mapped).unwrap();
            let compared = carved.compare(&report);
            assert_eq!((compared.both, compared.only_carved.len()), (0, count), "{build:?}");
            assert_eq!(compared.only_listed, []);
        }
    }
}

#[test]
fn without_tree_and_list_the_owners_give_the_drivers() {
    for build in BUILDS {
        let mut m = machine(build);
        let whole = PoolReport::read(&open(&m), |_| true).unwrap();
        let tables = m.layouts().offset("_VF_AVL_TREE", "Tables") as u64;
        m.patch_pointer(m.address("nt!ViTargetDriversAvl") + tables, 0x1234_5678);
        m.patch_pointer(m.address("nt!VfSuspectDriversList"), 0x8765_4321);
        let report = PoolReport::read(&open(&m), |_| true).unwrap();
        assert_eq!(held(&report), held(&whole), "{build:?}");
        let one = PoolReport::read(&open(&m), |driver| driver.is_named("quiet")).unwrap();
        assert_eq!((one.drivers.len(), one.drivers[0].allocations.len()), (1, 1));
    }
}

#[test]
fn an_overwritten_page_hides_no_other() {
    for build in BUILDS {
        let mut m = machine(build);
        let whole = PoolReport::read(&open(&m), |_| true).unwrap();
        let first = m.address("trackers:leaky.sys:0");
        let next = |m: &Assembly| {
            let link = m.read(first, 4).unwrap();
            u64::from(u32::from_le_bytes(link.try_into().unwrap()))
        };
        assert_ne!(next(&m), 0, "{build:?}: the first of the list is another page");
        // Only the header: the page is recognized by its contents, and the others are found.
        m.patch(first, &[0x5a; 12]);
        if build.machine() != MachineType::X86 {
            m.patch(first, &[0x5a; 24]);
        }
        let report = PoolReport::read(&open(&m), |_| true).unwrap();
        assert_eq!(held(&report), held(&whole), "{build:?}");
        let lost = report.drivers[0].allocations.iter().filter(|one| one.source == Source::Carved);
        assert!(lost.count() > 100, "{build:?}");
        // The whole page: it shows no blocks, and neither do free entries elsewhere that link to it.
        for word in 0..0x400 {
            m.patch(
                first + 4 * word,
                &(0x5a5a_1234u32 ^ (word as u32).wrapping_mul(0x01f3_5797)).to_le_bytes(),
            );
        }
        let report = PoolReport::read(&open(&m), |_| true).unwrap();
        let mut expected = held(&whole);
        let on_page = first..first + 0x1000;
        expected.iter_mut().for_each(|(_, blocks)| {
            blocks.retain(|block| !on_page.contains(&block.entry.0));
        });
        assert_eq!(held(&report), expected, "{build:?}");
    }
}

#[test]
fn an_owner_without_pages_is_found_by_its_own_signature() {
    for build in BUILDS {
        let mut m = machine(build);
        let tables = m.layouts().offset("_VF_AVL_TREE", "Tables") as u64;
        m.patch_pointer(m.address("nt!ViTargetDriversAvl") + tables, 0x1234_5678);
        m.patch_pointer(m.address("nt!VfSuspectDriversList"), 0x8765_4321);
        // The driver's only page: its entries stay, but its header does not lead to the owner.
        m.patch(m.address("trackers:quiet.sys:0"), &[0x5a; 12]);
        if build.machine() != MachineType::X86 {
            m.patch(m.address("trackers:quiet.sys:0"), &[0x5a; 24]);
        }
        let report = PoolReport::read(&open(&m), |_| true).unwrap();
        let quiet = report.drivers.iter().find(|pool| pool.driver.name == "quiet.sys").unwrap();
        assert_eq!(quiet.allocations.len(), 1, "{build:?}");
    }
}

#[test]
fn nothing_is_carved_that_is_not_there() {
    for build in BUILDS {
        // An owner without a signature: nothing shows that its pages are not leftovers.
        let mut m = machine(build);
        let tables = m.layouts().offset("_VF_AVL_TREE", "Tables") as u64;
        m.patch_pointer(m.address("nt!ViTargetDriversAvl") + tables, 0x1234_5678);
        let data = m.address("verified:quiet.sys");
        m.patch_field(data, "_VF_TARGET_VERIFIED_DRIVER_DATA", "Signature", 0);
        let report = PoolReport::read(&open(&m), |_| true).unwrap();
        let quiet = report.drivers.iter().find(|pool| pool.driver.name == "quiet.sys").unwrap();
        assert_eq!(quiet.allocations, [], "{build:?}");
        // Verifier is off: there is no search, so only the tree's problem.
        let mut off = Machine::new(build).assemble();
        off.patch_pointer(off.address("nt!ViTargetDriversAvl") + tables, 0x1234_5678);
        let drivers = Drivers::read(&open(&off)).unwrap();
        assert_eq!(drivers.drivers, []);
    }
}

#[test]
fn memory_is_searched_once_for_all_views() {
    for build in BUILDS {
        let mut m = machine(build);
        let held = PoolReport::read(&open(&m), |_| true).unwrap().allocations().count();
        let tables = m.layouts().offset("_VF_AVL_TREE", "Tables") as u64;
        m.patch_pointer(m.address("nt!ViTargetDriversAvl") + tables, 0x1234_5678);
        let kernel = open(&m);
        // The search checks before each page whether it must stop.
        let asked = Arc::new(AtomicUsize::new(0));
        let stop_at = Arc::new(AtomicUsize::new(usize::MAX));
        let (count, most) = (Arc::clone(&asked), Arc::clone(&stop_at));
        kernel.stop_when(Box::new(move || {
            count.fetch_add(1, Ordering::Relaxed) >= most.load(Ordering::Relaxed)
        }));
        let questions = |read: &dyn Fn()| {
            asked.store(0, Ordering::Relaxed);
            read();
            asked.load(Ordering::Relaxed)
        };
        let pool = || PoolReport::read(&kernel, |_| true).unwrap();
        // A search that is stopped is not kept.
        stop_at.store(8, Ordering::Relaxed);
        let stopped = pool();
        assert!(stopped.problems.iter().any(|problem| problem.why.contains("stopped")));
        stop_at.store(usize::MAX, Ordering::Relaxed);
        let drivers = || Drivers::read(&kernel).unwrap();
        let first = questions(&|| assert_eq!(pool().allocations().count(), held, "{build:?}"));
        let again = questions(&|| assert_eq!(pool().allocations().count(), held, "{build:?}"));
        let other = questions(&|| assert_eq!(drivers().drivers.len(), 2, "{build:?}"));
        // All pages except those on lists belong to the search.
        assert!(again < first / 2 && other < first / 2, "{build:?}: {first}, {again}, {other}");
    }
}
