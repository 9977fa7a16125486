//! Configured drivers and their outstanding allocations, on machines whose bytes are all known.

use crate::common::{assert_reported, open, open_with};
use proptest::prelude::*;
use verifier_core::kernel::Limits;
use verifier_core::verifier::{
    DriverPool, DriverState, Drivers, EntryState, PoolInfo, PoolReport, PoolTag,
};
use verifier_core::{Completeness, Extent, Problem, Va};
use verifier_synth::{
    Allocation, Assembly, Build, Driver, Machine, MachineType, SlistForm, Suspect, Tracker,
    UnloadedDriver,
};

/// An address without another structure.
fn base(build: Build) -> u64 {
    if build.machine() == MachineType::X86 { 0xb000_0000 } else { 0xffff_b00f_0000_0000 }
}

/// A machine with an unloaded image, which contains the callers of all blocks.
fn machine(build: Build) -> Machine {
    let mut m = Machine::new(build);
    let start = base(build) + 0x1200_0000;
    let (name, end) = ("callers.sys".into(), start + 0x1000);
    m.unloaded_driver(UnloadedDriver { name, start, end, time: 1 });
    m
}

/// Block number `i`.
fn block(build: Build, i: u64) -> Allocation {
    let base = base(build);
    let caller = base + 0x1200_0000 + i % 3;
    let tag = [b'T', b'a', b'0' + (i % 10) as u8, b'g'];
    let address = base + 0x4000 * i + 0x10;
    if i % 2 == 1 {
        Allocation::paged(address, 0x40 + 16 * i, &tag, caller)
    } else {
        Allocation::nonpaged(address, 0x40 + 16 * i, &tag, caller)
    }
}

/// A machine with one verified driver that has these slots.
fn with_slots(build: Build, slots: &[Tracker]) -> Machine {
    let mut m = machine(build);
    m.level(8);
    let driver = m.driver(Driver::new("leaky.sys"));
    let verified = m.verified(driver);
    for slot in slots {
        verified.tracker(*slot);
    }
    m
}

fn in_use(build: Build, numbers: impl IntoIterator<Item = u64>) -> Vec<Tracker> {
    numbers.into_iter().map(|i| Tracker::InUse(block(build, i))).collect()
}

/// The address of slot `i` (from 0, without the header) on the driver's page.
fn slot(m: &Assembly, page: usize, i: u64) -> u64 {
    let size = m.layouts().size("_VI_POOL_ENTRY") as u64;
    m.address(&format!("trackers:leaky.sys:{page}")) + size * (i + 1)
}

fn set(m: &mut Assembly, entry: u64, field: &str, value: u64) {
    m.patch_field(entry, "_VI_POOL_ENTRY", &format!("InUse.{field}"), value);
}

type Told = (u64, u64, u32, u64);

fn told(pool: &DriverPool) -> Vec<Told> {
    pool.allocations.iter().map(|a| (a.address.0, a.size, a.tag.0, a.caller.0)).collect()
}

fn expected<'a>(blocks: impl IntoIterator<Item = &'a Allocation>) -> Vec<Told> {
    let tag = |a: &Allocation| u32::from_le_bytes(a.tag);
    blocks.into_iter().map(|a| (a.address, a.size, tag(a), a.caller)).collect()
}

mod builds {
    use super::*;

    /// Three pages, with freed and unused slots among the blocks, and an odd special-pool size.
    fn scenario(build: Build, form: Option<SlistForm>) {
        let mut slots = Vec::new();
        let mut held = Vec::new();
        let per_page = if build.machine() == MachineType::X86 { 255 } else { 127 };
        for i in 1..=2 * per_page + 20 {
            if i % 7 == 0 {
                slots.push(Tracker::Freed(block(build, i)));
            } else if i % 11 == 0 {
                slots.push(Tracker::Fresh);
            } else {
                let mut block = block(build, i);
                block.size += u64::from(i % 13 == 0);
                slots.push(Tracker::InUse(block));
                held.push(block);
            }
        }
        let mut m = with_slots(build, &slots);
        if let Some(form) = form {
            m.slist_form(form);
        }
        m.suspect(Suspect { name: "absent.sys".into(), loads: 0, unloads: 0, address: None });
        let other = m.driver(Driver::new("quiet.sys"));
        let suspect = Suspect { name: "quiet.sys".into(), loads: 3, unloads: 2, address: None };
        m.verified_as(other, suspect).counter("RaiseIrqls", 9);
        let third = m.driver(Driver::new("bystander.sys"));
        m.unverified_target(third);
        let (base, size) = (m.image(other).base, u64::from(m.image(other).size));
        let m = m.assemble();
        let kernel = open(&m);

        let report = PoolReport::read(&kernel, |_| true).unwrap();
        assert_eq!(report.problems, [], "{build:?}");
        let names: Vec<&str> =
            report.drivers.iter().map(|pool| pool.driver.name.as_str()).collect();
        assert_eq!(names, ["leaky.sys", "absent.sys", "quiet.sys"], "{build:?}");
        assert_eq!(told(&report.drivers[0]), expected(&held), "{build:?}");
        assert_eq!(told(&report.drivers[1]), []);
        assert_eq!(told(&report.drivers[2]), []);

        let leaky = &report.drivers[0].driver;
        let counters = leaky.counters();
        for paged in [false, true] {
            let prefix = if paged { "Paged" } else { "NonPaged" };
            let of_kind = || held.iter().filter(|a| a.paged == paged);
            let count = counters.get(&format!("Current{prefix}PoolAllocations"));
            assert_eq!(count, Some(of_kind().count() as u64), "{build:?}");
            let bytes = counters.get(&format!("{prefix}Bytes"));
            assert_eq!(bytes, Some(of_kind().map(|a| a.size).sum()), "{build:?}");
        }
        assert_eq!(leaky.suspect_entry, Some(Va(m.address("suspect:leaky.sys"))));
        assert_eq!(leaky.images[0].verified_data, Va(m.address("verified:leaky.sys")));
        let quiet = &report.drivers[2].driver;
        assert_eq!((quiet.loads, quiet.unloads, quiet.state()), (3, 2, DriverState::Loaded));
        assert_eq!(quiet.images[0].address, Va(m.address("target:quiet.sys")));
        assert_eq!((quiet.images[0].base, quiet.images[0].size), (Va(base), size));
        assert_eq!(quiet.counters().get("RaiseIrqls"), Some(9), "{build:?}");

        // Every slot, including free ones.
        let data = Va(m.address("verified:leaky.sys"));
        let tracker = verifier_core::verifier::Tracker::read(&kernel, "leaky.sys", data).unwrap();
        assert_eq!(tracker.problems, []);
        assert_eq!(tracker.pages.len(), 3);
        assert_eq!(tracker.entries.len() as u64, 3 * per_page);
        for (slot, entry) in slots.iter().zip(&tracker.entries) {
            let state = match slot {
                Tracker::InUse(_) => EntryState::InUse,
                Tracker::Freed(_) | Tracker::Fresh => EntryState::Free,
            };
            assert_eq!(entry.state, state, "{slot:x?}");
            if let Tracker::Freed(stale) = slot {
                assert_eq!(entry.allocation.size, stale.size, "what a freed entry keeps");
                assert_eq!(entry.allocation.caller, Va(stale.caller));
                assert_eq!(entry.allocation.tag, PoolTag(u32::from_le_bytes(stale.tag)));
            }
        }
    }

    #[test]
    fn every_build() {
        for build in Build::ALL {
            scenario(build, None);
        }
    }

    #[test]
    fn both_forms_of_slist() {
        for form in [SlistForm::Wide, SlistForm::Narrow] {
            scenario(Build::Win7Sp1, Some(form));
        }
    }
}

mod free_rule {
    use super::*;

    const BUILD: Build = Build::Win10Vb;

    fn numbers(m: &Assembly) -> (Vec<u64>, Vec<Problem>) {
        let report = PoolReport::read(&open(m), |_| true).unwrap();
        let base = block(BUILD, 0).address;
        let blocks = report.drivers[0].allocations.iter();
        (blocks.map(|a| a.address.0.wrapping_sub(base) / 0x4000).collect(), report.problems)
    }

    #[test]
    fn bit_0_of_the_size_and_the_free_list_decide() {
        let slots = in_use(BUILD, 0..6);
        let mut m = with_slots(BUILD, &slots).assemble();
        assert_eq!(numbers(&m), ((0..6).collect(), vec![]));
        let even = block(BUILD, 0).size;
        // Odd, not on the list, its first word a block's address: special pool keeps odd sizes.
        let at = slot(&m, 0, 0);
        set(&mut m, at, "NumberOfBytes", even | 1);
        // Odd, not on the list, its first word null: removed from the list, not filled yet.
        let at = slot(&m, 0, 1);
        set(&mut m, at, "NumberOfBytes", even | 1);
        set(&mut m, at, "VirtualAddress", 0);
        // Odd, not on the list, its first word another slot: the same.
        let (at, other) = (slot(&m, 0, 2), slot(&m, 0, 100));
        set(&mut m, at, "NumberOfBytes", even | 1);
        set(&mut m, at, "VirtualAddress", other);
        // Bit 0 of the address temporarily marks special pool.
        let at = slot(&m, 0, 3);
        set(&mut m, at, "VirtualAddress", block(BUILD, 3).address | 1);
        let (found, problems) = numbers(&m);
        assert_eq!(found, [0, 3, 4, 5]);
        // The counters still say six.
        let data = m.address("verified:leaky.sys");
        assert_eq!(problems.len(), 1, "{problems:?}");
        assert_reported(&problems, data, "its counters say 6, its pages hold 4");
        let report = PoolReport::read(&open(&m), |_| true).unwrap();
        assert_eq!(report.drivers[0].allocations[0].size, even | 1, "an odd size stays odd");
        assert_eq!(report.drivers[0].allocations[1].address, Va(block(BUILD, 3).address));
    }

    #[test]
    fn an_odd_entry_on_the_free_list_is_free_whatever_it_links_to() {
        // The last entry has a null link, and the others link to slots; give one a stray link.
        let mut slots = in_use(BUILD, 0..2);
        slots.push(Tracker::Freed(block(BUILD, 2)));
        slots.extend(in_use(BUILD, 3..127));
        let mut m = with_slots(BUILD, &slots).assemble();
        assert_eq!(numbers(&m), ((0..127).filter(|i| *i != 2).collect(), vec![]));
        let (freed, stray) = (slot(&m, 0, 2), block(BUILD, 50).address);
        m.patch_pointer(freed, stray);
        let (found, problems) = numbers(&m);
        assert_eq!(found, (0..127).filter(|i| *i != 2).collect::<Vec<_>>());
        assert_reported(&problems, stray, "the free list leaves the driver's pages");
    }

    #[test]
    fn the_free_list_closes_into_a_ring() {
        let slots: Vec<_> = (0..127).map(|i| Tracker::Freed(block(BUILD, i))).collect();
        let mut m = with_slots(BUILD, &slots).assemble();
        let (last, again) = (slot(&m, 0, 0), slot(&m, 0, 60));
        m.patch_pointer(last, again);
        let (found, problems) = numbers(&m);
        assert!(found.is_empty());
        assert_reported(&problems, again, "the free list closes into a ring");
        // A report of one driver also says so.
        let data = Va(m.address("verified:leaky.sys"));
        let kernel = open(&m);
        let tracker = verifier_core::verifier::Tracker::read(&kernel, "leaky.sys", data).unwrap();
        assert_eq!(tracker.problems, problems);
    }

    #[test]
    fn an_even_entry_on_the_free_list_is_reported() {
        let slots: Vec<_> = (0..127).map(|i| Tracker::Freed(block(BUILD, i))).collect();
        let mut m = with_slots(BUILD, &slots).assemble();
        let at = slot(&m, 0, 5);
        set(&mut m, at, "NumberOfBytes", 0x40);
        let (_, problems) = numbers(&m);
        assert_reported(&problems, at, "on the free list, and marked as in use");
    }

    #[test]
    fn a_null_block_is_not_an_allocation() {
        let mut m = with_slots(BUILD, &in_use(BUILD, 0..3)).assemble();
        let at = slot(&m, 0, 1);
        set(&mut m, at, "VirtualAddress", 0);
        let (found, problems) = numbers(&m);
        assert_eq!(found, [0, 2]);
        assert_reported(&problems, at, "its block is null");
        assert_reported(
            &problems,
            m.address("verified:leaky.sys"),
            "counters say 3, its pages hold 2",
        );
    }

    #[test]
    fn counters_that_differ_are_reported() {
        let mut m = with_slots(BUILD, &in_use(BUILD, 0..3)).assemble();
        let data = m.address("verified:leaky.sys");
        let structure = "_VF_TARGET_VERIFIED_DRIVER_DATA";
        m.patch_field(data, structure, "CurrentNonPagedPoolAllocations", 40);
        let (found, problems) = numbers(&m);
        assert_eq!(found, [0, 1, 2]);
        assert_eq!(problems.len(), 3, "{problems:?}");
        assert_reported(&problems, data, "its counters say 41, its pages hold 3");
        assert_reported(
            &problems,
            data,
            "its PeakNonPagedPoolAllocations, 2, is below the current value, 40",
        );
        assert_reported(
            &problems,
            m.address("nt!MmVerifierData"),
            "2 in MmVerifierData, but the counters of 1 verified images add up to 40",
        );
    }
}

mod pages {
    use super::*;

    const BUILD: Build = Build::Win11;
    const HEADER: &str = "_VI_POOL_PAGE_HEADER";

    /// Two full pages and a part of a third.
    fn machine() -> Assembly {
        with_slots(BUILD, &in_use(BUILD, 0..300)).assemble()
    }

    fn page(m: &Assembly, i: usize) -> u64 {
        m.address(&format!("trackers:leaky.sys:{i}"))
    }

    fn count(m: &Assembly) -> (usize, Vec<Problem>) {
        let report = PoolReport::read(&open(m), |_| true).unwrap();
        (report.drivers[0].allocations.len(), report.problems)
    }

    #[test]
    fn a_walk_that_is_stopped_gives_the_pages_that_it_has() {
        let m = machine();
        let kernel = open(&m);
        // One question is asked after the drivers were read, then one for each page.
        let questions = std::sync::atomic::AtomicU32::new(0);
        kernel.stop_when(Box::new(move || {
            questions.fetch_add(1, std::sync::atomic::Ordering::Relaxed) >= 3
        }));
        let report = PoolReport::read(&kernel, |_| true).unwrap();
        let found = report.drivers[0].allocations.len();
        assert!(0 < found && found < 300, "{found}");
        assert_reported(&report.problems, page(&m, 2), "reading was stopped");
    }

    #[test]
    fn a_page_with_only_signature_or_owner_is_reported_and_read() {
        let mut m = machine();
        let at = page(&m, 1);
        m.patch_field(at, HEADER, "Signature", 0xbad);
        let (found, problems) = count(&m);
        assert_eq!((found, problems.len()), (300, 1));
        assert_reported(&problems, at, "signature is 0xbad, not 0x21321345");

        let mut m = machine();
        m.patch_field(at, HEADER, "VerifierEntry", 0xffff_8000_0000_1000);
        let (found, problems) = count(&m);
        assert_eq!((found, problems.len()), (300, 1));
        assert_reported(&problems, at, "belongs to 0xffff800000001000");
    }

    #[test]
    fn a_page_with_neither_is_not_the_drivers() {
        let mut m = machine();
        let at = page(&m, 1);
        m.patch_field(at, HEADER, "Signature", 0xbad);
        m.patch_field(at, HEADER, "VerifierEntry", 0);
        let (found, problems) = count(&m);
        assert_eq!(
            found, 300,
            "what it holds are entries, and the next page is found by its own header"
        );
        assert_reported(&problems, at, "signature is 0xbad");
        assert_reported(&problems, at, "belongs to 0x0");
        // Two words that cannot be in an entry.
        for i in [3, 90] {
            m.patch_pointer(slot(&m, 1, i), 0x77);
        }
        let (found, problems) = count(&m);
        assert_eq!(found, 300 - 127, "the blocks on the other two pages");
        assert_reported(&problems, m.address("verified:leaky.sys"), "say 300, its pages hold 173");
    }

    #[test]
    fn a_ring_of_pages_is_read_once() {
        let mut m = machine();
        let (last, first) = (page(&m, 2), page(&m, 0));
        m.patch_field(last, HEADER, "NextPage", first);
        let (found, problems) = count(&m);
        assert_eq!((found, problems.len()), (300, 1));
        assert_reported(&problems, first, "closes into a ring");
    }

    #[test]
    fn a_link_to_memory_that_is_not_a_page() {
        for link in [page(&machine(), 1) + 0x20, 0x7fff_0000_1000] {
            let mut m = machine();
            let first = page(&m, 0);
            m.patch_field(first, HEADER, "NextPage", link);
            let (found, problems) = count(&m);
            assert_eq!(found, 300, "the next pages are found by their headers");
            assert_reported(&problems, link, "not a page of the kernel");
        }
    }

    #[test]
    fn an_absent_page_is_reported_and_the_read_entries_are_kept() {
        let mut m = machine();
        let at = page(&m, 1);
        m.remove_page(at);
        let (found, problems) = count(&m);
        assert_eq!(found, 300 - 127, "the next page is found by its header");
        assert_reported(&problems, at, "is not in the dump");
    }

    #[test]
    fn the_limit_of_pages_is_named() {
        let m = machine();
        let mut limits = Limits::default();
        limits.tracker_pages = 2;
        let report = PoolReport::read(&open_with(&m, limits), |_| true).unwrap();
        assert_eq!(report.drivers[0].allocations.len(), 254);
        assert_reported(&report.problems, page(&m, 2), "Limits::tracker_pages");
    }
}

mod join {
    use super::*;

    const DATA: &str = "_VF_TARGET_VERIFIED_DRIVER_DATA";
    const SUSPECT: &str = "_VF_SUSPECT_DRIVER_ENTRY";

    fn pointer(m: &Assembly, at: u64) -> u64 {
        let bytes = m.read(at, m.layouts().pointer_size()).unwrap();
        bytes.iter().rev().fold(0, |number, &byte| number << 8 | u64::from(byte))
    }

    /// Two verified images that load under different names.
    fn two(build: Build) -> Assembly {
        let mut m = machine(build);
        m.level(8);
        for (name, first) in [("a.sys", 0), ("b.sys", 10)] {
            let driver = m.driver(Driver::new(name));
            let verified = m.verified(driver);
            for i in first..first + 4 {
                verified.allocation(block(build, i));
            }
            verified.counter("RaiseIrqls", first + 1);
        }
        m.assemble()
    }

    #[test]
    fn images_of_one_entry_are_summed() {
        for build in [Build::Win7Sp1, Build::Win11, Build::Win7Sp1X86] {
            let mut m = two(build);
            let (data, entry) = (m.address("verified:b.sys"), m.address("suspect:a.sys"));
            m.patch_field(data, DATA, "SuspectDriverEntry", entry);
            // One pattern for both names, of the same length.
            let text = m.layouts().offset(SUSPECT, "BaseName") + m.layouts().pointer_size();
            let text = pointer(&m, entry + text as u64);
            m.patch(text, b"?");
            m.patch_field(entry, SUSPECT, "Loads", 2);
            let other = m.address("suspect:b.sys");
            m.patch_field(other, SUSPECT, "Loads", 0);
            let report = PoolReport::read(&open(&m), |_| true).unwrap();
            assert_eq!(report.problems, []);
            let [a, b] = &report.drivers[..] else { panic!("{report:?}") };
            assert_eq!((a.driver.images.len(), b.driver.images.len()), (2, 0));
            assert!(a.driver.images[0].base < a.driver.images[1].base);
            assert_eq!(a.driver.counters().get("RaiseIrqls"), Some(1 + 11));
            assert_eq!(a.driver.counters().get("CurrentPagedPoolAllocations"), Some(4));
            let blocks: Vec<_> = (0..4).chain(10..14).map(|i| block(build, i)).collect();
            assert_eq!(told(a), expected(&blocks));
            let of = |image| a.allocations_of(image).map(|block| block.address.0);
            assert!(of(0).eq((0..4).map(|i| block(build, i).address)));
            assert!(of(1).eq((10..14).map(|i| block(build, i).address)));
            assert_eq!(told(b), []);
            assert_eq!(b.driver.counters().0, []);
        }
    }

    #[test]
    fn an_image_whose_entry_is_lost_keeps_its_own_name() {
        let build = Build::Win10Vb;
        let mut m = two(build);
        let (data, target) = (m.address("verified:b.sys"), m.address("target:b.sys"));
        m.patch_field(data, DATA, "SuspectDriverEntry", 0xffff_8000_0000_2000);
        // The list has only a.sys.
        let (head, first) = (m.address("nt!VfSuspectDriversList"), m.address("suspect:a.sys"));
        for (at, to) in [(head, first), (head + 8, first), (first, head), (first + 8, head)] {
            m.patch_pointer(at, to);
        }
        let report = PoolReport::read(&open(&m), |driver| driver.suspect_entry.is_none()).unwrap();
        let [b] = &report.drivers[..] else { panic!("{report:?}") };
        assert_eq!((&*b.driver.name, b.driver.loads), ("b.sys", 0));
        assert_eq!(told(b), expected(&(10..14).map(|i| block(build, i)).collect::<Vec<_>>()));
        assert_reported(&report.problems, target, "is not in the list of configured drivers");
    }

    #[test]
    fn never_loaded_and_unloaded() {
        let mut m = Machine::new(Build::Win81);
        for (name, loads, unloads) in [("never.sys", 0, 0), ("gone.sys", 4, 4), ("odd.sys", 2, 1)] {
            m.suspect(Suspect { name: name.into(), loads, unloads, address: None });
        }
        let m = m.assemble();
        let drivers = Drivers::read(&open(&m)).unwrap();
        assert_eq!(drivers.problems.len(), 1, "{:?}", drivers.problems);
        let why = "it was loaded 2 times and unloaded 1 times, but 0 verified images belong to it";
        assert_reported(&drivers.problems, m.address("suspect:odd.sys"), why);
        let states: Vec<_> =
            drivers.drivers.iter().map(|driver| (&*driver.name, driver.state())).collect();
        assert_eq!(
            states,
            [
                ("never.sys", DriverState::NeverLoaded),
                ("gone.sys", DriverState::Unloaded),
                ("odd.sys", DriverState::Loaded)
            ]
        );
        assert!(drivers.drivers.iter().all(|driver| driver.images.is_empty()));
        assert!(drivers.drivers[0].is_named("NEVER") && drivers.drivers[0].is_named("Never.SYS"));
        assert!(!drivers.drivers[0].is_named("eve") && !drivers.drivers[0].is_named("never.s"));
    }

    #[test]
    fn verifier_off() {
        for build in [Build::Win7Sp1, Build::Win11, Build::Win10VbX86] {
            let m = Machine::new(build).assemble();
            let report = PoolReport::read(&open(&m), |_| true).unwrap();
            let level = m.address("nt!MmVerifierData");
            assert_reported(
                &report.problems,
                level,
                "Verifier is off, so nothing says what leaked",
            );
            assert_eq!(report.problems.len(), 1, "{build:?}");
            assert_eq!(Completeness::of(&report.problems).extent, Extent::Unknown, "{build:?}");
            let mut report = report;
            let mut nothing = PoolReport::default();
            nothing.problems = report.problems.clone();
            report.pool_info = PoolInfo::default();
            assert_eq!(report, nothing, "{build:?}");
        }
    }

    #[test]
    fn damaged_data_is_reported_and_the_rest_is_read() {
        let build = Build::Win10Vb;
        let mut m = two(build);
        let data = m.address("verified:a.sys");
        m.patch_field(data, DATA, "Signature", 0x1234);
        let report = PoolReport::read(&open(&m), |_| true).unwrap();
        assert_reported(&report.problems, data, "signature is 0x1234, not 0x98761940");
        assert_eq!(report.drivers.iter().map(|pool| pool.allocations.len()).sum::<usize>(), 8);

        // A child that leads back to its parent: each node is listed once.
        let mut m = two(build);
        let (node, other) = (m.address("node:a.sys"), m.address("node:b.sys"));
        for (from, to) in [(node, other), (other, node)] {
            m.patch_field(from, "_RTL_BALANCED_LINKS", "LeftChild", to);
        }
        let drivers = Drivers::read(&open(&m)).unwrap();
        assert!(drivers.problems.iter().any(|p| p.why.contains("reached twice")), "{drivers:?}");
        assert_eq!(drivers.drivers.iter().map(|driver| driver.images.len()).sum::<usize>(), 2);

        // A list of names that closes without its head.
        let mut m = two(build);
        let (a, b) = (m.address("suspect:a.sys"), m.address("suspect:b.sys"));
        m.patch_pointer(b, a);
        let drivers = Drivers::read(&open(&m)).unwrap();
        assert_eq!(drivers.drivers.len(), 2);
        assert!(drivers.problems.iter().any(|p| p.why.contains("ring")), "{drivers:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    /// With any words written over any of the structures, there are results, none is listed twice, and walks
    /// end.
    #[test]
    fn damage_never_panics(
        words in prop::collection::vec((0usize..6, 0u64..0x200, prop_oneof![
            any::<u64>(), 0u64..0x20, Just(u64::MAX), (0usize..6).prop_map(|i| 0xf000_0000_0000_0000 + i as u64),
        ]), 1..12),
        x86 in any::<bool>(),
    ) {
        let build = if x86 { Build::Win7Sp1X86 } else { Build::Win7Sp1 };
        let mut m = with_slots(build, &in_use(build, 0..300)).assemble();
        let places = [
            "trackers:leaky.sys:0", "verified:leaky.sys", "suspect:leaky.sys", "node:leaky.sys",
            "avl table", "nt!ViTargetDriversAvl",
        ].map(|label| m.address(label));
        for (place, offset, value) in words {
            // Some of the values become addresses of the structures themselves.
            let value = match value.checked_sub(0xf000_0000_0000_0000) {
                Some(i @ 0..6) => places[i as usize],
                _ => value,
            };
            m.patch_pointer(places[place] + offset * 4 % 0x100, if x86 { value & 0xffff_ffff } else { value });
        }
        let report = PoolReport::read(&open(&m), |_| true).unwrap();
        for pool in &report.drivers {
            let mut entries: Vec<Va> = pool.allocations.iter().map(|a| a.entry).collect();
            entries.sort_unstable();
            entries.dedup();
            prop_assert!(pool.driver.images.len() > 1 || entries.len() == pool.allocations.len());
        }
    }
}
