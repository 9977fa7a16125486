//! Contradictions between a dump's entries and counters, and the extent that Verifier's settings allow.

use crate::common::{extent, is_wide, open};
use verifier_core::analysis::{History, Leaks};
use verifier_core::verifier::{Impossible, PoolReport, Settings};
use verifier_core::{Completeness, Extent, Problem, Va};
use verifier_synth::{Allocation, Assembly, Build, Contiguous, Driver, Machine, Suspect};

const BUILDS: [Build; 3] = [Build::Win7Sp1X86, Build::Win10Vb, Build::Win11Arm64];
const DATA: &str = "_VF_TARGET_VERIFIED_DRIVER_DATA";
const TOTALS: &str = "_MM_DRIVER_VERIFIER_DATA";

fn pool(build: Build) -> u64 {
    if is_wide(build) { 0xffff_b00f_0000_0000 } else { 0xb000_0000 }
}

/// A driver with eight blocks of nonpaged pool, and one without blocks.
fn machine(build: Build) -> Machine {
    let mut m = Machine::new(build);
    let leaky = m.driver(Driver::new("leaky.sys").symbol("Leak", 0x1200));
    let quiet = m.driver(Driver::new("quiet.sys"));
    let caller = m.driver_address(leaky, "Leak") + 0x10;
    m.level(8);
    let verified = m.verified(leaky);
    for i in 0..8 {
        let address = pool(build) + 0x1000 * i;
        verified.allocation(Allocation::nonpaged(address, 0x100, b"Leak", caller));
    }
    m.verified(quiet);
    m
}

fn report(m: &Assembly) -> PoolReport {
    PoolReport::read(&open(m), |_| true).unwrap()
}

fn entry(m: &Assembly, number: u64) -> u64 {
    let size = m.layouts().size("_VI_POOL_ENTRY") as u64;
    m.address("trackers:leaky.sys:0") + size * (number + 1)
}

#[track_caller]
fn assert_said(problems: &[Problem], address: u64, why: &str) {
    assert!(
        problems.iter().any(|p| p.address == Some(Va(address)) && p.why.contains(why)),
        "no {why:?} at {address:#x} in {problems:#?}"
    );
}

/// A field of the third entry, its new value, the mark of its allocation, and the reason.
type Damage = (&'static str, u64, Impossible, &'static str);

fn damages(build: Build) -> Vec<Damage> {
    let pool = pool(build);
    let largest = if is_wide(build) { 1 << 62 } else { 0x7fff_fff0 };
    let mut all = vec![
        ("VirtualAddress", 0x1_0000, Impossible::Address, "outside the kernel's half"),
        ("VirtualAddress", pool + 0x4000, Impossible::Twice, "is that of the entry at"),
        ("VirtualAddress", pool + 0x4040, Impossible::Overlap, "overlaps the block"),
        ("NumberOfBytes", largest, Impossible::Size, "would end past the address space"),
        ("NumberOfBytes", 0x80_0000, Impossible::Size, "is larger than all that is counted, 0x800"),
        ("CallingAddress", 0, Impossible::Caller, "is in no image"),
        ("CallingAddress", 0x1_0000, Impossible::Caller, "is in no image"),
        ("CallingAddress", pool + 0x3000, Impossible::Caller, "is in no image"),
    ];
    if is_wide(build) {
        let not_canonical = pool & 0x00ff_ffff_ffff_ffff;
        all.push(("VirtualAddress", not_canonical, Impossible::Address, "outside the kernel's"));
    }
    all
}

#[test]
fn an_impossible_allocation_is_kept_and_marked_and_the_answer_is_not_complete() {
    for build in BUILDS {
        let whole = machine(build).assemble();
        assert_eq!(report(&whole).problems, [], "{build:?}");
        let held = pool(build) + 0x3000;
        for (field, value, mark, why) in damages(build) {
            let mut m = machine(build).assemble();
            let at = entry(&m, 3);
            m.patch_field(at, "_VI_POOL_ENTRY", &format!("InUse.{field}"), value);
            let kernel = open(&m);
            let found = PoolReport::read(&kernel, |_| true).unwrap();
            let blocks = &found.drivers[0].allocations;
            assert_eq!(blocks.len(), 8, "{build:?} {field} {value:#x}");
            assert_eq!(blocks[3].impossible, Some(mark), "{build:?} {field} {value:#x}");
            let marked = blocks.iter().filter(|block| block.impossible.is_some()).count();
            let both = matches!(mark, Impossible::Twice | Impossible::Overlap);
            assert_eq!(marked, if both { 2 } else { 1 }, "{build:?} {field} {value:#x}");
            // Either of the two can be damaged: the one with the higher address is marked.
            let shown = if both && blocks[3].address > blocks[4].address { 3 } else { 4 };
            assert_said(&found.problems, entry(&m, if both { shown } else { 3 }), why);
            assert_eq!(extent(&found.problems), Extent::AtLeast);

            let leaks = Leaks::read(&kernel, |_| true).unwrap();
            assert_eq!(leaks.blocks[3].allocation.impossible, Some(mark));
            assert_eq!(extent(&leaks.problems), Extent::AtLeast);
            let history = History::read(&kernel, Va(held)).unwrap();
            assert_said(&history.problems, entry(&m, if both { shown } else { 3 }), why);
        }
    }
}

#[test]
fn impossible_entries_of_a_whole_page_are_one_problem() {
    let build = Build::Win10Vb;
    let mut m = machine(build).assemble();
    for i in 0..8 {
        let at = entry(&m, i);
        m.patch_field(at, "_VI_POOL_ENTRY", "InUse.CallingAddress", 0x77);
    }
    let problems = report(&m).problems;
    assert_eq!(problems.len(), 1, "{problems:#?}");
    assert_said(&problems, entry(&m, 0), "8 are like this, the first is shown");
}

#[test]
fn sizes_that_do_not_add_up_to_the_drivers_bytes_are_a_problem() {
    for build in BUILDS {
        for size in [0, 0x101, 0x110] {
            let mut m = machine(build).assemble();
            let at = entry(&m, 3);
            m.patch_field(at, "_VI_POOL_ENTRY", "InUse.NumberOfBytes", size);
            let found = report(&m);
            let data = m.address("verified:leaky.sys");
            let why = format!("its counters say 0x800 bytes, its pages hold {:#x}", 0x700 + size);
            assert_said(&found.problems, data, &why);
            assert_eq!(found.problems.len(), 1, "{:#?}", found.problems);
            assert_eq!(found.drivers[0].allocations[3].impossible, None);
        }
    }
}

#[test]
fn contiguous_memory_is_compared_with_its_driver_and_the_pool() {
    let build = Build::Win10Vb;
    let mut m = machine(build);
    let leaky = m.driver(Driver::new("dma.sys").symbol("Start", 0x1200));
    let caller = m.driver_address(leaky, "Start") + 0x10;
    let address = pool(build) + 0x10_0000;
    m.verified(leaky).contiguous(Contiguous { address, size: 0x3000, caller });
    let mut m = m.assemble();
    assert_eq!(report(&m).problems, []);
    let node = m.address("contiguous:dma.sys:0");
    m.patch_field(node, "_VI_CONTIGUOUS_MEMORY", "Address", pool(build) + 0x4000);
    let found = report(&m);
    assert_eq!(found.drivers[2].contiguous[0].impossible, Some(Impossible::Twice));
    assert_eq!(found.drivers[0].allocations[4].impossible, Some(Impossible::Twice));
    assert_said(&found.problems, node, "is that of the entry at");
    assert!(found.problems.iter().any(|one| one.what == "contiguous memory of dma.sys"));
}

mod settings {
    use super::*;

    const BUILD: Build = Build::Win10Vb;

    fn settings(change: impl FnOnce(&mut Assembly, u64)) -> (Settings, u64) {
        let mut m = machine(BUILD).assemble();
        let at = m.address("nt!MmVerifierData");
        change(&mut m, at);
        (Settings::read(&open(&m)).unwrap(), at)
    }

    #[test]
    fn a_level_without_pool_tracking_contradicts_blocks_that_are_counted() {
        for level in [0, 0x9b3] {
            let change = |m: &mut Assembly, at| m.patch_field(at, TOTALS, "Level", level);
            let (settings, at) = settings(change);
            assert_said(&settings.problems, at, "the statistics count 8 tracked blocks");
            let mut m = machine(BUILD).assemble();
            change(&mut m, at);
            let found = report(&m);
            assert_eq!(found.drivers[0].allocations.len(), 8);
            assert_said(&found.problems, at, "the statistics count 8 tracked blocks");
            assert_eq!(extent(&found.problems), Extent::AtLeast);
        }
    }

    #[test]
    fn a_peak_below_the_current_value_is_a_problem() {
        for (peak, now) in [
            ("PeakPagedPoolAllocations", "CurrentPagedPoolAllocations"),
            ("PeakNonPagedPoolAllocations", "CurrentNonPagedPoolAllocations"),
            ("PeakPagedBytes", "PagedBytes"),
            ("PeakNonPagedBytes", "NonPagedBytes"),
        ] {
            let (settings, at) = settings(|m, at| {
                m.patch_field(at, TOTALS, now, 40);
                m.patch_field(at, TOTALS, peak, 39);
            });
            assert_said(&settings.problems, at, "39 is below the current value, 40");
            assert!(settings.problems.iter().any(|problem| problem.what == peak));
        }
    }

    #[test]
    fn counters_that_have_wrapped_are_not_more_successes_than_attempts() {
        let with = |attempted, succeeded| {
            settings(|m, at| {
                m.patch_field(at, TOTALS, "AllocationsAttempted", attempted);
                m.patch_field(at, TOTALS, "AllocationsSucceeded", succeeded);
            })
        };
        assert_eq!(with(5, 0xffff_fff0).0.problems, []);
        assert_eq!(with(351, 350).0.problems, []);
        for succeeded in [352, 0x7fff_ffff] {
            let (settings, at) = with(351, succeeded);
            let why = format!("{succeeded} is above AllocationsAttempted, 351");
            assert_said(&settings.problems, at, &why);
            assert_eq!(extent(&settings.problems), Extent::AtLeast);
        }
    }
}

mod unknown {
    use super::*;

    const BUILD: Build = Build::Win10Vb;

    /// A machine whose drivers have no blocks.
    fn idle(level: u32) -> Machine {
        let mut m = Machine::new(BUILD);
        let driver = m.driver(Driver::new("leaky.sys"));
        m.level(level);
        m.verified(driver);
        let suspect = Suspect { name: "absent.sys".into(), loads: 0, unloads: 0, address: None };
        m.suspect(suspect);
        m
    }

    fn answer(m: &Assembly, driver: Option<&str>) -> Completeness {
        let wanted =
            |one: &verifier_core::verifier::Driver| driver.is_none_or(|name| one.is_named(name));
        let kernel = open(m);
        let found = PoolReport::read(&kernel, wanted).unwrap();
        assert_eq!(found.allocations().count(), 0);
        let leaks = Leaks::read(&kernel, wanted).unwrap();
        assert_eq!(extent(&leaks.problems), extent(&found.problems));
        Completeness::of(&found.problems)
    }

    #[test]
    fn nothing_is_outstanding_if_pool_was_tracked_for_a_driver_that_was_loaded() {
        let m = idle(8).assemble();
        assert_eq!(answer(&m, None), Completeness::default());
        assert_eq!(answer(&m, Some("leaky")), Completeness::default());
    }

    #[test]
    fn verifier_or_its_pool_tracking_is_off() {
        for (level, why) in [(0, "Verifier is off"), (0x9b3, "pool tracking (0x8) is off")] {
            let answer = answer(&idle(level).assemble(), None);
            assert_eq!(answer.extent, Extent::Unknown);
            assert!(answer.because[0].contains(why), "{answer:?}");
        }
    }

    #[test]
    fn rule_classes_can_turn_pool_tracking_on() {
        let mut m = idle(0).assemble();
        m.patch(m.address("nt!VfRuleClasses"), &8u32.to_le_bytes());
        assert_eq!(answer(&m, None), Completeness::default());
    }

    #[test]
    fn what_a_driver_that_was_never_loaded_has_leaked_is_unknown() {
        let m = idle(8).assemble();
        let answer = answer(&m, Some("absent"));
        assert_eq!(answer.extent, Extent::Unknown);
        assert!(answer.because[0].starts_with("absent.sys: it was never loaded"), "{answer:?}");
    }

    #[test]
    fn no_driver_is_configured_or_none_was_loaded() {
        let mut m = Machine::new(BUILD);
        m.level(8);
        let none = answer(&m.assemble(), None);
        assert_eq!(none.extent, Extent::Unknown);
        assert!(none.because[0].starts_with("list of configured drivers"), "{none:?}");
        m.suspect(Suspect { name: "absent.sys".into(), loads: 0, unloads: 0, address: None });
        let absent = answer(&m.assemble(), None);
        assert_eq!(absent.extent, Extent::Unknown);
        assert!(absent.because[0].contains("none was ever loaded"), "{absent:?}");
        // A driver that was loaded and unloaded held nothing at that time, because the kernel checks this.
        m.suspect(Suspect { name: "gone.sys".into(), loads: 1, unloads: 1, address: None });
        assert_eq!(answer(&m.assemble(), None), Completeness::default());
    }

    #[test]
    fn settings_that_cannot_be_read_leave_the_answer_unknown() {
        let mut m = idle(8);
        m.kernel_symbol("MmVerifierData", 0x60_0000);
        let mut m = m.assemble();
        m.remove_page(m.address("nt!MmVerifierData"));
        let answer = answer(&m, None);
        assert_eq!(answer.extent, Extent::Unknown);
        assert!(answer.because[0].starts_with("whether pool tracking is on"), "{answer:?}");
    }
}

/// If the kernel keeps blocks in the pool info tree, a driver's counters may or may not count them.
#[test]
fn counters_agree_with_the_tree_whether_they_count_its_blocks_or_not() {
    let build = Build::Win11;
    for counted in [0u64, 3, 4, 2, 5] {
        let mut m = Machine::new(build);
        let leaky = m.driver(Driver::new("leaky.sys").symbol("Leak", 0x1200));
        let frames = vec![m.driver_address(leaky, "Leak") + 0x10];
        m.level(8);
        m.verified(leaky);
        let info = m.pool_info();
        let stack = verifier_synth::PoolStack { tag: *b"Leak", frames, ..Default::default() };
        let stack = info.stack(stack);
        for i in 0..3 {
            info.block(pool(build) + 0x1000 * i, 0x80, stack);
        }
        // A block without a known driver.
        info.block(pool(build) + 0x8000, 0x80, None);
        let mut m = m.assemble();
        let data = m.address("verified:leaky.sys");
        m.patch_field(data, DATA, "CurrentNonPagedPoolAllocations", counted);
        m.patch_field(data, DATA, "PeakNonPagedPoolAllocations", counted);
        let kernel = open(&m);
        let found = PoolReport::read(&kernel, |driver| driver.is_named("leaky")).unwrap();
        let counters: Vec<_> =
            found.problems.iter().filter(|p| p.address == Some(Va(data))).collect();
        let agrees = matches!(counted, 0 | 3 | 4);
        assert_eq!(counters.is_empty(), agrees, "{counted}: {:#?}", found.problems);
        if !agrees {
            let why = format!(
                "its counters say {counted}, its pages hold 0, and the pool info tree has 3 of it"
            );
            assert_said(&found.problems, data, &why);
        }
        let leaks = Leaks::read(&kernel, |driver| driver.is_named("leaky")).unwrap();
        assert_eq!(leaks.drivers[0].counted, counted.max(3));
    }
}
