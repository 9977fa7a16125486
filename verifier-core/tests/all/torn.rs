//! Dumps of a machine that ran while they were written, as LiveKD creates them: lists, trees and rings can be
//! half changed. This is normal, so views return the readable data, report the rest with its address, and one
//! torn structure does not affect other views.

use crate::common::open;
use verifier_core::Va;
use verifier_core::analysis::Leaks;
use verifier_core::kernel::Kernel;
use verifier_core::verifier::log::PoolLog;
use verifier_core::verifier::{Drivers, PoolReport, Settings};
use verifier_synth::{Allocation, Build, Driver, Machine, MachineType, PoolRecord, Suspect};

const BUILDS: [Build; 4] = [Build::Win7Sp1, Build::Win10Vb, Build::Win11, Build::Win7Sp1X86];
const DRIVERS: [&str; 3] = ["first.sys", "second.sys", "third.sys"];
const BLOCKS: u64 = 300;

/// The address of a driver's blocks.
fn block(build: Build, driver: usize, i: u64) -> u64 {
    let pool = if build.machine() == MachineType::X86 { 0 } else { 0xffff_b00f_0000_0000 };
    pool + 0x8500_0000 + driver as u64 * 0x10_0000 + i * 0x40
}

/// Three drivers with 300 blocks each, on two pages of trackers (three on x64), and a record for each block.
fn machine(build: Build) -> Machine {
    let mut m = Machine::new(build);
    m.level(8);
    for (number, name) in DRIVERS.iter().enumerate() {
        let driver = m.driver(Driver::new(name).symbol("Read", 0x1200));
        let caller = m.driver_address(driver, "Read") + 0x34;
        let verified = m.verified(driver);
        for i in 0..BLOCKS {
            verified.allocation(Allocation::nonpaged(
                block(build, number, i),
                0x40,
                b"Torn",
                caller,
            ));
        }
        for i in 0..BLOCKS {
            m.pool_record(PoolRecord {
                address: block(build, number, i),
                size: 0x40,
                thread: block(build, 3, 1),
                frames: vec![caller],
                stale: vec![],
            });
        }
    }
    m.suspect(Suspect { name: "absent.sys".into(), loads: 0, unloads: 0, address: None });
    m
}

/// The number of blocks of each driver, and the number of problems.
fn blocks(kernel: &Kernel) -> (Vec<(String, usize)>, usize) {
    let report = PoolReport::read(kernel, |_| true).unwrap();
    let pools = report.drivers.iter();
    (
        pools.map(|pool| (pool.driver.name.clone(), pool.allocations.len())).collect(),
        report.problems.len(),
    )
}

fn count(pools: &[(String, usize)], name: &str) -> usize {
    pools.iter().find(|pool| pool.0 == name).map_or(0, |pool| pool.1)
}

#[test]
fn nothing_is_torn() {
    for build in BUILDS {
        let kernel = open(&machine(build).assemble());
        let (pools, problems) = blocks(&kernel);
        assert_eq!(problems, 0, "{build:?}");
        assert!(DRIVERS.iter().all(|name| count(&pools, name) == BLOCKS as usize), "{pools:?}");
        let log = PoolLog::read(&kernel, None).unwrap();
        assert_eq!(log.records.len() as u64, 3 * BLOCKS);
    }
}

/// A driver that is being loaded: its entry is linked forward but not yet filled.
#[test]
fn a_module_caught_in_the_middle() {
    for build in BUILDS {
        let mut assembly = machine(build).assemble();
        let entry = assembly.address("module:second.sys");
        let pointer = assembly.layouts().pointer_size() as u64;
        // The entry is reached but has only its links.
        let size = 0x60;
        assembly.patch(entry + 2 * pointer, &vec![0; size]);
        let kernel = open(&assembly);
        let names: Vec<&str> =
            kernel.modules().loaded().iter().map(|module| module.name.as_str()).collect();
        assert_eq!(names, ["ntoskrnl.exe", "hal.dll", "first.sys", "third.sys"], "{build:?}");
        assert_eq!(kernel.problems()[0].address, Some(Va(entry)));
        // Blocks do not need a module.
        assert_eq!(count(&blocks(&kernel).0, "second.sys"), BLOCKS as usize);
    }
}

/// An unlinked driver; its neighbors still point at its memory, which has been reused.
#[test]
fn a_link_that_leads_into_used_memory() {
    for build in BUILDS {
        let mut assembly = machine(build).assemble();
        // A block has any contents.
        let (entry, reused) =
            (assembly.address("suspect:second.sys"), assembly.address("avl table"));
        assembly.patch_pointer(entry, reused);
        let kernel = open(&assembly);
        let drivers = Drivers::read(&kernel).unwrap();
        let names: Vec<&str> = drivers.drivers.iter().map(|driver| driver.name.as_str()).collect();
        // The list is walked from its other end as well.
        for name in ["first.sys", "second.sys", "third.sys", "absent.sys"] {
            assert!(names.contains(&name), "{build:?} {names:?}");
        }
        assert!(!drivers.problems.is_empty());
        assert_eq!(Settings::read(&kernel).unwrap().level.0, 8);
    }
}

/// A tree whose rotation is half done: a node points at a node above it.
#[test]
fn a_tree_in_rotation() {
    for build in BUILDS {
        let mut assembly = machine(build).assemble();
        let node = assembly.address("node:third.sys");
        let root = assembly.address("node:second.sys");
        let pointer = assembly.layouts().pointer_size() as u64;
        assembly.patch_pointer(node + pointer, root);
        let kernel = open(&assembly);
        let drivers = Drivers::read(&kernel).unwrap();
        assert!(!drivers.problems.is_empty(), "{build:?}");
        let images = drivers.drivers.iter().filter(|driver| !driver.images.is_empty()).count();
        assert_eq!(images, 3, "{build:?}");
    }
}

/// A page of trackers that is being created: it is linked, but its header is not yet written.
#[test]
fn a_page_of_trackers_before_its_header() {
    for build in BUILDS {
        let mut assembly = machine(build).assemble();
        let page = assembly.address("trackers:second.sys:0");
        let pointer = assembly.layouts().pointer_size() as u64;
        assembly.patch(page + pointer, &[0; 0x10]);
        let (pools, problems) = blocks(&open(&assembly));
        assert!(problems > 0);
        assert_eq!(count(&pools, "first.sys"), BLOCKS as usize, "{build:?}");
        assert_eq!(count(&pools, "third.sys"), BLOCKS as usize, "{build:?}");
    }
}

/// The pages after a torn link are found by their shape.
#[test]
fn a_page_of_trackers_that_leads_nowhere() {
    for build in BUILDS {
        let mut assembly = machine(build).assemble();
        let page = assembly.address("trackers:second.sys:0");
        assembly.patch_pointer(page, 0x8765_4321);
        let (pools, problems) = blocks(&open(&assembly));
        assert!(problems > 0, "{build:?}");
        let left = count(&pools, "second.sys");
        assert_eq!(left, BLOCKS as usize, "{build:?}");
        assert_eq!(count(&pools, "first.sys"), BLOCKS as usize);
    }
}

/// The writers had reserved the newest slots but not filled them; one was half filled.
#[test]
fn slots_that_were_being_written() {
    for build in BUILDS {
        let mut assembly = machine(build).assemble();
        let ring = assembly.address("ring:VfPoolTraces");
        let size = assembly.layouts().size("_VF_POOL_TRACE") as u64;
        let index = u32::from_le_bytes(
            assembly.read(assembly.address("nt!VfPoolTracesIndex"), 4).unwrap().try_into().unwrap(),
        );
        let slot = |number: u32| ring + u64::from(number) * size;
        // Three are reserved: one is empty, one has only an address, one has garbage frames.
        let newest = index + 3;
        assembly.patch(assembly.address("nt!VfPoolTracesIndex"), &newest.to_le_bytes());
        let pointer = assembly.layouts().pointer_size() as u64;
        assembly.patch_pointer(slot(index + 2), block(build, 0, 7));
        assembly.patch(slot(newest), &vec![0xa7; size as usize]);
        let kernel = open(&assembly);
        let log = PoolLog::read(&kernel, None).unwrap();
        let old: Vec<u64> = (0..3)
            .flat_map(|driver| (0..BLOCKS).map(move |i| block(build, driver, i)))
            .rev()
            .collect();
        let got: Vec<u64> = log.records.iter().map(|record| record.address.0).collect();
        assert_eq!(got[got.len() - old.len()..], old, "{build:?}");
        assert!(got.len() <= old.len() + 3, "{build:?}");
        assert_eq!(
            log.records[0].address.0,
            if pointer == 8 { 0xa7a7_a7a7_a7a7_a7a7 } else { 0xa7a7_a7a7 }
        );
        // The join still finds each block's own stack.
        let leaks = Leaks::read(&kernel, |_| true).unwrap();
        let with_stack = leaks.blocks.iter().filter(|block| block.stack.is_ok()).count();
        assert_eq!(leaks.blocks.len() as u64, 3 * BLOCKS, "{build:?}");
        assert!(with_stack as u64 >= 3 * BLOCKS - 1, "{build:?}: {with_stack}");
    }
}

/// An index far ahead of the array: the kernel wrote several more laps.
#[test]
fn an_index_that_is_newer_than_the_array() {
    for build in BUILDS {
        let mut assembly = machine(build).assemble();
        assembly.patch(assembly.address("nt!VfPoolTracesIndex"), &0xffff_fff0u32.to_le_bytes());
        let log = PoolLog::read(&open(&assembly), None).unwrap();
        let mut got: Vec<u64> = log.records.iter().map(|record| record.address.0).collect();
        got.sort_unstable();
        let old: Vec<u64> =
            (0..3).flat_map(|driver| (0..BLOCKS).map(move |i| block(build, driver, i))).collect();
        assert_eq!(got, old, "{build:?}");
    }
}
