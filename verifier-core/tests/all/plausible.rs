//! Which built-in layouts a kernel without symbols gets, and what its answers say if nothing supports them.

use std::sync::Arc;

use crate::common::{extent, kernel_of, supply};
use verifier_core::Extent;
use verifier_core::analysis::Leaks;
use verifier_core::kernel::Kernel;
use verifier_core::verifier::{Globals, PoolReport, PoolStacks};
use verifier_synth::{Allocation, Assembly, Build, Driver, DumpKind, Machine, PoolStack};

const POOL: u64 = 0xffff_9a8f_5000_0000;
const TREES: [&str; 2] = ["ViPoolInfoAvl", "ViPoolStackInfoAvl"];

fn has_trees(build: Build) -> bool {
    build.number() >= 20348
}

fn builds_with_trees() -> impl Iterator<Item = Build> {
    Build::ALL.into_iter().filter(|&build| has_trees(build))
}

/// Two drivers without blocks.
fn idle(build: Build) -> Machine {
    let mut m = Machine::new(build);
    m.level(8);
    for name in ["leaky.sys", "quiet.sys"] {
        let driver = m.driver(Driver::new(name).symbol("Read", 0x1300));
        m.verified(driver);
    }
    m
}

/// Two drivers whose blocks are in the pool info trees.
fn with_trees(build: Build) -> Machine {
    let mut m = idle(build);
    let leaky = m.driver(Driver::new("other.sys").symbol("Read", 0x1300));
    let caller = m.driver_address(leaky, "Read") + 0x10;
    m.verified(leaky);
    let nt = m.kernel_address("VerifierExAllocatePoolWithTag") + 0x10;
    for hash in 0..3 {
        let frames = vec![nt, caller + u64::from(hash)];
        let stack =
            PoolStack { tag: *b"Leak", hash, nonpaged: true, frames, ..PoolStack::default() };
        let stack = m.pool_info().stack(stack);
        for i in 0..20 {
            let address = POOL + 0x100 * (20 * u64::from(hash) + i);
            m.pool_info().block(address, 0x80 + i, stack);
        }
    }
    m
}

/// One driver with a block on its tracking page.
fn with_page(build: Build) -> Machine {
    let mut m = Machine::new(build);
    m.level(8);
    let leaky = m.driver(Driver::new("leaky.sys").symbol("Read", 0x1300));
    let caller = m.driver_address(leaky, "Read") + 0x10;
    m.verified(leaky).allocation(Allocation::nonpaged(POOL, 0x210, b"Leak", caller));
    m
}

fn without_lab(m: &Machine) -> Assembly {
    let mut m = m.assemble();
    m.patch(m.address("nt!NtBuildLab"), &[0; 0x40]);
    m
}

/// A kernel with the layouts that fit, if any fit.
fn bare(m: &Assembly) -> Kernel {
    let kernel = kernel_of(m.dump(DumpKind::Complete));
    if let Some(profile) = Globals::plausible_layouts(&kernel) {
        kernel.supply_built_in_types(Arc::new(profile));
    }
    kernel
}

fn full(m: &Assembly) -> Kernel {
    let kernel = kernel_of(m.dump(DumpKind::Complete));
    supply(&kernel, &m.files);
    kernel
}

fn pool(kernel: &Kernel) -> PoolReport {
    PoolReport::read(kernel, |_| true).unwrap()
}

#[test]
fn the_trees_are_found_by_their_shape_and_give_blocks_and_stacks() {
    for build in builds_with_trees() {
        let m = with_trees(build).assemble();
        let (bare, full) = (bare(&m), full(&m));
        for name in TREES {
            assert_eq!(bare.global(name), full.global(name), "{build:?}: {name}");
            assert!(bare.types().unwrap().remark(name).unwrap().contains("strong"));
        }
        let (ours, theirs) = (pool(&bare), pool(&full));
        assert_eq!((&ours.drivers, &ours.unowned), (&theirs.drivers, &theirs.unowned));
        assert_eq!(ours.problems, []);
        assert_eq!(ours.pool_info.blocks.len(), 60);
        let leaks = Leaks::read(&bare, |_| true).unwrap();
        assert!(leaks.blocks.iter().all(|block| block.stack.is_ok()), "{build:?}");
        let stacks = |kernel| PoolStacks::read(kernel, |_| true).unwrap().stacks;
        assert_eq!(stacks(&bare), stacks(&full));
    }
}

#[test]
fn blocks_in_the_trees_support_layouts_that_nothing_states() {
    for build in builds_with_trees() {
        for told in [0, 9200, 19041, build.number()] {
            let mut m = without_lab(&with_trees(build));
            m.header.build = told;
            let kernel = bare(&m);
            let types = kernel.types().unwrap();
            assert_eq!(types.doubt(), None, "{build:?} as {told}: {}", types.describe());
            let (ours, theirs) = (pool(&kernel), pool(&full(&m)));
            assert_eq!(ours.drivers, theirs.drivers, "{build:?} as {told}");
            assert_eq!(extent(&ours.problems), Extent::Complete);
        }
    }
}

#[test]
fn a_tree_of_blocks_that_is_lost_leaves_the_answer_incomplete() {
    for build in builds_with_trees() {
        // The table, its root, or the page of the kernel's data with both tables.
        let damages: [&dyn Fn(&mut Assembly); 3] = [
            &|m| m.patch(m.address("nt!ViPoolInfoAvl"), &[0; 0x68]),
            &|m| m.patch_pointer(m.address("nt!ViPoolInfoAvl") + 0x10, 0x1234),
            &|m| {
                TREES.iter().for_each(|name| m.patch(m.address(&format!("nt!{name}")), &[0; 0x68]))
            },
        ];
        for (number, damage) in damages.into_iter().enumerate() {
            let mut m = with_trees(build).assemble();
            damage(&mut m);
            let report = pool(&bare(&m));
            assert_eq!(report.allocations().count(), 0, "{build:?} {number}");
            assert_ne!(extent(&report.problems), Extent::Complete, "{build:?} {number}");
        }
    }
}

#[test]
fn empty_pages_do_not_mean_that_the_trees_are_empty() {
    for build in builds_with_trees() {
        let report = pool(&bare(&idle(build).assemble()));
        assert_eq!(report.allocations().count(), 0);
        let of_tree = report.problems.iter().find(|problem| problem.what == "pool info tree");
        assert_eq!(of_tree.unwrap().leaves, Extent::AtLeast, "{build:?}");
        // Pages with all counted blocks do mean it.
        let report = pool(&bare(&with_page(build).assemble()));
        assert_eq!(report.allocations().count(), 1);
        assert_eq!(extent(&report.problems), Extent::Complete, "{build:?}");
    }
    // Stacks without a live block also do.
    let mut m = idle(Build::Win11);
    let frames = vec![m.kernel_address("VerifierExAllocatePoolWithTag") + 0x10];
    let freed = vec![0x40; 3];
    m.pool_info().stack(PoolStack { tag: *b"Done", frames, freed, ..PoolStack::default() });
    let report = pool(&bare(&m.assemble()));
    assert_eq!(extent(&report.problems), Extent::Complete, "{:?}", report.problems);
    assert!(report.pool_info.empty_because.unwrap().contains("live"));
}

#[test]
fn layouts_that_nothing_states_or_supports_leave_the_answer_unknown() {
    for build in Build::ALL {
        for told in [0, 9200, build.number()] {
            let mut m = without_lab(&idle(build));
            m.header.build = told;
            let kernel = bare(&m);
            let Ok(types) = kernel.types() else { continue };
            let Ok(report) = PoolReport::read(&kernel, |_| true) else { continue };
            let extent = extent(&report.problems);
            if told == build.number() {
                assert_eq!(types.doubt(), None, "{build:?}");
                let complete = !has_trees(build);
                assert_eq!(
                    extent == Extent::Complete,
                    complete,
                    "{build:?}: {:?}",
                    report.problems
                );
            } else if (told, build) != (9200, Build::Win81) {
                // 9600 has the lists, the tree and the counters of 9200.
                assert_ne!(extent, Extent::Complete, "{build:?} as {told}: {}", types.describe());
            }
        }
    }
}

#[test]
fn impossible_values_refute_layouts() {
    // The header states another era, and no build string corrects it. Half of a counter's bytes are a
    // pointer.
    let mut m = without_lab(&with_page(Build::Win10Vb));
    m.header.build = 22000;
    let kernel = bare(&m);
    let types = kernel.types().unwrap();
    assert!(types.describe().contains("and not those of 22000"), "{}", types.describe());
    assert_eq!(pool(&kernel).allocations().count(), 1);
    // The right era is not supported either: a peak and the block's page are damaged.
    let data = m.address("verified:leaky.sys");
    m.patch_field(data, "_VF_TARGET_VERIFIED_DRIVER_DATA", "PeakNonPagedPoolAllocations", 0);
    m.patch(m.address("trackers:leaky.sys:0"), &[0; 0x1000]);
    let kernel = bare(&m);
    let types = kernel.types().unwrap();
    assert!(types.doubt().is_some(), "{}", types.describe());
    assert_eq!(extent(&pool(&kernel).problems), Extent::Unknown);
}
