//! Bug check 0xC4/0x62 on every build: a driver was unloaded while it held pool, and its parameters lead to
//! the blocks whatever the kernel had taken down of the driver by then.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

mod common;

use std::sync::Arc;

use common::{session, supply};
use verifier_core::Va;
use verifier_core::analysis::Leaks;
use verifier_core::dump::Dump;
use verifier_core::kernel::{AddressSpace, Hints, Kernel};
use verifier_core::verifier::{DriverState, Drivers, PoolReport, UnloadLeak};
use verifier_synth::{
    Allocation, Assembly, Build, Driver, DumpKind, Machine, MachineType, PoolRecord, Suspect,
    Unload,
};

const ALL: [Unload; 3] = [Unload::Listed, Unload::OffTree, Unload::OffTreeAndList];

fn wide(build: Build) -> bool {
    build.machine() != MachineType::X86
}

fn blocks(build: Build) -> [u64; 3] {
    let first = if wide(build) { 0xffff_9a8f_5000_0000 } else { 0x8500_0000 };
    [first, first + 0x1000, first + 0x2000]
}

/// Another driver that holds nothing, and one that holds three blocks and is unloaded.
fn unloaded(build: Build, unload: Unload) -> Assembly {
    let mut m = Machine::new(build);
    let quiet = m.driver(Driver::new("quiet.sys"));
    m.level(8).verified(quiet);
    let leaky = m.driver(Driver::new("leaky.sys").pdb("leaky.pdb").symbol("LeakyOpen", 0x1200));
    let caller = m.driver_address(leaky, "LeakyOpen") + 0x34;
    let entry = Suspect { name: "leaky.sys".into(), loads: 1, unloads: 1, address: None };
    let verified = m.verified_as(leaky, entry);
    for (i, block) in blocks(build).into_iter().enumerate() {
        let size = 0x40 + 0x20 * i as u64;
        verified.allocation(Allocation::nonpaged(block, size, b"Leak", caller));
    }
    m.pool_record(PoolRecord {
        address: blocks(build)[1],
        size: 0x58,
        thread: blocks(build)[0] + 0x8000,
        frames: vec![m.kernel_address("VeAllocatePoolWithTagPriority") + 0x20, caller],
        stale: Vec::new(),
    });
    m.unloaded_with_allocations(leaky, unload);
    m.assemble()
}

fn kind(build: Build) -> DumpKind {
    if wide(build) { DumpKind::BitmapKernel } else { DumpKind::Summary }
}

fn open(m: &Assembly, build: Build) -> Kernel {
    session(m.sample(kind(build)))
}

#[test]
fn the_parameters_lead_to_the_blocks() {
    for build in Build::ALL {
        for unload in ALL {
            let m = unloaded(build, unload);
            let kernel = open(&m, build);
            let leak = UnloadLeak::read(&kernel).unwrap().expect("0xc4/0x62");
            assert_eq!(leak.problems, [], "{build:?} {unload:?}");
            assert_eq!((&*leak.driver, leak.counted), ("leaky.sys", 3));
            assert_eq!(leak.verified_data, Va(m.address("verified:leaky.sys")));
            let told: Vec<_> = leak.allocations.iter().map(|block| block.address.0).collect();
            assert_eq!(told, blocks(build), "{build:?} {unload:?}");
        }
    }
}

#[test]
fn pool_and_leaks_include_a_driver_that_is_off_the_lists() {
    for build in Build::ALL {
        for unload in ALL {
            let m = unloaded(build, unload);
            let kernel = open(&m, build);
            let report = PoolReport::read(&kernel, |_| true).unwrap();
            assert_eq!(report.problems, [], "{build:?} {unload:?}");
            let [quiet, leaky] = &report.drivers[..] else { panic!("{report:?}") };
            assert!(quiet.allocations.is_empty() && !quiet.driver.from_bug_check);
            assert_eq!((&*leaky.driver.name, leaky.allocations.len()), ("leaky.sys", 3));
            assert_eq!(leaky.driver.state(), DriverState::Unloaded);
            assert_eq!(leaky.driver.from_bug_check, unload != Unload::Listed);
            assert_eq!(leaky.driver.suspect_entry.is_some(), unload != Unload::OffTreeAndList);
            let [image] = &leaky.driver.images[..] else { panic!("{leaky:?}") };
            assert_eq!(image.address.is_null(), unload != Unload::Listed);
            // The module is in memory still: its base is known by name.
            let module = kernel.modules().loaded().iter().find(|m| m.name == "leaky.sys").unwrap();
            assert_eq!((image.base, image.size), (module.base, module.size.into()));

            let leaks = Leaks::read(&kernel, |driver| driver.is_named("leaky")).unwrap();
            assert_eq!(leaks.blocks.len(), 3);
            assert_eq!(leaks.coverage().with_stack.count, 1, "{build:?} {unload:?}");
        }
    }
}

/// Memory without a dump's header: the kernel noted the bug check itself.
#[test]
fn the_kernel_itself_knows_its_bug_check() {
    for build in [Build::Win7Sp1, Build::Win11, Build::Win10VbX86] {
        let m = unloaded(build, Unload::OffTreeAndList);
        let sample = m.sample(kind(build));
        let dump = Dump::open(Arc::new(sample.dump)).unwrap();
        let space = AddressSpace::of_dump(&dump).unwrap();
        let hints = Hints { bug_check: None, ..Hints::from(dump.header()) };
        let kernel = Kernel::open(space, hints).unwrap();
        supply(&kernel, &sample.files);
        assert_eq!(kernel.bug_check(), Some(dump.header().bug_check), "{build:?}");
        assert_eq!(UnloadLeak::read(&kernel).unwrap().expect("0xc4/0x62").allocations.len(), 3);
    }
}

#[test]
fn what_does_not_fit_is_told() {
    let build = Build::Win10Vb;
    // Another bug check, and another subcode.
    for (code, subcode) in [(0xe2, 0x62), (0xc4, 0x60), (0x1c4, 0x62)] {
        let mut m = unloaded(build, Unload::OffTree);
        let mut bug_check = m.header.bug_check.unwrap();
        (bug_check.code, bug_check.parameters[0]) = (code, subcode);
        m.header.bug_check = Some(bug_check);
        let kernel = open(&m, build);
        assert_eq!(UnloadLeak::read(&kernel), Ok(None));
        assert!(
            Drivers::read(&kernel).unwrap().drivers.iter().all(|driver| !driver.from_bug_check)
        );
    }
    // A count that the pages do not hold.
    let mut m = unloaded(build, Unload::OffTree);
    m.header.bug_check.as_mut().unwrap().parameters[3] = 5;
    let leak = UnloadLeak::read(&open(&m, build)).unwrap().unwrap();
    assert_eq!(leak.allocations.len(), 3);
    assert!(leak.problems[0].why.contains("the bug check says 5, its pages hold 3"), "{leak:?}");
    // A name that is not there: the driver is named by its data.
    let mut m = unloaded(build, Unload::OffTreeAndList);
    m.header.bug_check.as_mut().unwrap().parameters[1] = 0xffff_8000_0000_2000;
    let leak = UnloadLeak::read(&open(&m, build)).unwrap().unwrap();
    assert_eq!(leak.driver, format!("driver_{}", leak.verified_data));
    assert_eq!(leak.allocations.len(), 3);
    assert_eq!(leak.problems.len(), 1, "{leak:?}");
    // Data that is none, and data that is absent.
    let mut m = unloaded(build, Unload::OffTree);
    let data = m.address("verified:leaky.sys");
    m.patch_field(data, "_VF_TARGET_VERIFIED_DRIVER_DATA", "Signature", 0x1234);
    let kernel = open(&m, build);
    let error = UnloadLeak::read(&kernel).unwrap_err().to_string();
    assert!(error.contains("signature is 0x1234"), "{error}");
    assert_eq!(PoolReport::read(&kernel, |_| true).unwrap().problems.len(), 1);
    let mut m = unloaded(build, Unload::OffTree);
    m.header.bug_check.as_mut().unwrap().parameters[2] = 0xffff_8000_0000_2000;
    let error = UnloadLeak::read(&open(&m, build)).unwrap_err().to_string();
    assert!(error.contains("driver that bug check 0xc4/0x62 is about"), "{error}");
}
