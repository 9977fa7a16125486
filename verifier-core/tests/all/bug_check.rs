//! Bug check 0xC4/0x62 on every build: a driver was unloaded while it held pool. The parameters lead to the
//! blocks, even if the kernel has already removed the driver from its lists.

use std::sync::Arc;

use crate::common::{is_wide, kind, open, supply, tiny_kernel_after};
use verifier_core::analysis::{GroupBy, Leaks};
use verifier_core::dump::{BugCheck, Dump};
use verifier_core::kernel::{AddressSpace, Hints, Kernel, Limits};
use verifier_core::memory::SparsePages;
use verifier_core::render::{LeaksView, unload_line, write_leaks_json, write_leaks_text};
use verifier_core::verifier::{DriverState, Drivers, PoolReport, UnloadLeak, violated_condition};
use verifier_core::{Error, Va};
use verifier_synth::{Allocation, Assembly, Build, Driver, Machine, PoolRecord, Suspect, Unload};

const ALL: [Unload; 3] = [Unload::Listed, Unload::OffTree, Unload::OffTreeAndList];

fn blocks(build: Build) -> [u64; 3] {
    let first = if is_wide(build) { 0xffff_9a8f_5000_0000 } else { 0x8500_0000 };
    [first, first + 0x1000, first + 0x2000]
}

/// A driver without blocks, and an unloaded driver with three blocks.
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

#[test]
fn the_parameters_lead_to_the_blocks() {
    for build in Build::ALL {
        for unload in ALL {
            let m = unloaded(build, unload);
            let kernel = open(&m);
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
            let kernel = open(&m);
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
            // The module is still in memory, so its base is known by name.
            let module = kernel.modules().loaded().iter().find(|m| m.name == "leaky.sys").unwrap();
            assert_eq!((image.base, image.size), (module.base, module.size.into()));

            let leaks = Leaks::read(&kernel, |driver| driver.is_named("leaky")).unwrap();
            assert_eq!(leaks.blocks.len(), 3);
            assert_eq!(leaks.coverage().with_stack.count, 1, "{build:?} {unload:?}");
        }
    }
}

#[test]
fn leaks_say_first_which_driver_was_unloaded_whichever_driver_is_asked_for() {
    for build in Build::ALL {
        let kernel = open(&unloaded(build, Unload::OffTree));
        for wanted in ["leaky", "quiet"] {
            let leaks = Leaks::read(&kernel, |driver| driver.is_named(wanted)).unwrap();
            let leak = leaks.unload_leak.as_ref().expect("0xc4/0x62");
            assert_eq!((&*leak.driver, leak.counted, leak.allocations.len()), ("leaky.sys", 3, 3));
            assert_eq!(
                unload_line(&leaks).unwrap(),
                "Bug check 0xc4/0x62: leaky.sys was unloaded before it freed 3 blocks, 288 bytes"
            );
            let view = LeaksView::new(&kernel, &leaks, GroupBy::Stack);
            let mut text = Vec::new();
            write_leaks_text(&mut text, &view).unwrap();
            let text = String::from_utf8(text).unwrap();
            assert!(text.starts_with("Bug check 0xc4/0x62: leaky.sys was"), "{text}");
            let mut json = Vec::new();
            write_leaks_json(&mut json, &view).unwrap();
            let json: serde_json::Value = serde_json::from_slice(&json).unwrap();
            assert_eq!(json["unload_leak"]["driver"], "leaky.sys");
            assert_eq!(json["unload_leak"]["count"], 3);
            assert_eq!(json["unload_leak"]["bytes"], 288);
        }
    }
}

#[test]
fn the_blocks_of_the_unloaded_driver_come_first() {
    let build = Build::Win10Vb;
    let mut m = Machine::new(build);
    let large = m.driver(Driver::new("large.sys").pdb("large.pdb").symbol("LargeOpen", 0x1200));
    let leaky = m.driver(Driver::new("leaky.sys").pdb("leaky.pdb").symbol("LeakyOpen", 0x1200));
    let [first, second, _] = blocks(build);
    let at = |m: &Machine, driver, name: &str| m.driver_address(driver, name) + 0x34;
    let (of_large, of_leaky) = (at(&m, large, "LargeOpen"), at(&m, leaky, "LeakyOpen"));
    m.level(8).verified(large).allocation(Allocation::nonpaged(first, 0x800, b"Lrge", of_large));
    let entry = Suspect { name: "leaky.sys".into(), loads: 1, unloads: 1, address: None };
    let leak = Allocation::nonpaged(second, 0x40, b"Leak", of_leaky);
    m.verified_as(leaky, entry).allocation(leak);
    m.unloaded_with_allocations(leaky, Unload::Listed);
    let kernel = open(&m.assemble());
    let leaks = Leaks::read(&kernel, |_| true).unwrap();
    let view = LeaksView::new(&kernel, &leaks, GroupBy::Path);
    let mut text = Vec::new();
    write_leaks_text(&mut text, &view).unwrap();
    let text = String::from_utf8(text).unwrap();
    let heads: Vec<&str> = text.lines().filter(|line| line.starts_with('#')).collect();
    assert!(heads[0].contains("leaky.sys") && heads[1].contains("large.sys"), "{text}");
}

/// Memory without a dump's header: the bug check is in the kernel's own variable.
#[test]
fn the_kernel_itself_knows_its_bug_check() {
    for build in [Build::Win7Sp1, Build::Win11, Build::Win10VbX86] {
        let m = unloaded(build, Unload::OffTreeAndList);
        let sample = m.sample(kind(&m));
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
fn parameters_that_do_not_fit_are_reported() {
    let build = Build::Win10Vb;
    // Another bug check, and another subcode.
    for (code, subcode) in [(0xe2, 0x62), (0xc4, 0x60), (0x1c4, 0x62)] {
        let mut m = unloaded(build, Unload::OffTree);
        let mut bug_check = m.header.bug_check.unwrap();
        (bug_check.code, bug_check.parameters[0]) = (code, subcode);
        m.header.bug_check = Some(bug_check);
        let kernel = open(&m);
        assert_eq!(UnloadLeak::read(&kernel), Ok(None));
        assert!(
            Drivers::read(&kernel).unwrap().drivers.iter().all(|driver| !driver.from_bug_check)
        );
    }
    // A count that is larger than the entries on the pages.
    let mut m = unloaded(build, Unload::OffTree);
    m.header.bug_check.as_mut().unwrap().parameters[3] = 5;
    let leak = UnloadLeak::read(&open(&m)).unwrap().unwrap();
    assert_eq!(leak.allocations.len(), 3);
    assert!(leak.problems[0].why.contains("the bug check says 5, its pages hold 3"), "{leak:?}");
    // An absent name: the driver is identified by its data.
    let mut m = unloaded(build, Unload::OffTreeAndList);
    m.header.bug_check.as_mut().unwrap().parameters[1] = 0xffff_8000_0000_2000;
    let leak = UnloadLeak::read(&open(&m)).unwrap().unwrap();
    assert_eq!(leak.driver, format!("driver_{}", leak.verified_data));
    assert_eq!(leak.allocations.len(), 3);
    assert_eq!(leak.problems.len(), 1, "{leak:?}");
    // Data of another kind, and absent data.
    let mut m = unloaded(build, Unload::OffTree);
    let data = m.address("verified:leaky.sys");
    m.patch_field(data, "_VF_TARGET_VERIFIED_DRIVER_DATA", "Signature", 0x1234);
    let kernel = open(&m);
    let error = UnloadLeak::read(&kernel).unwrap_err().to_string();
    assert!(error.contains("signature is 0x1234"), "{error}");
    assert_eq!(PoolReport::read(&kernel, |_| true).unwrap().problems.len(), 1);
    let mut m = unloaded(build, Unload::OffTree);
    m.header.bug_check.as_mut().unwrap().parameters[2] = 0xffff_8000_0000_2000;
    let error = UnloadLeak::read(&open(&m)).unwrap_err().to_string();
    assert!(error.contains("driver that bug check 0xc4/0x62 is about"), "{error}");
}

/// The text to which parameter 2 of a rule's bug check points.
#[test]
fn the_violated_condition_is_read() {
    const TEXT: Va = Va(0xffff_f800_0002_d9d0);
    const CONDITION: &str = "ExAcquireFastMutex should only be called at IRQL <= APC_LEVEL.";
    let read = |code, id, text: &[u8], at: Va| {
        let memory = SparsePages::new().with(TEXT, text);
        let bug_check = BugCheck { code, parameters: [id, at.0, 0, 0] };
        violated_condition(&tiny_kernel_after(memory, Some(bug_check), Limits::default()))
    };
    let text = [CONDITION.as_bytes(), b"\0after"].concat();
    for (code, id) in [(0xc4, 0x20005), (0x1c4, 0x20005), (0xc4, 0x91001), (0x1c4, 0x4100b)] {
        assert_eq!(read(code, id, &text, TEXT), Ok(Some(CONDITION.into())), "{code:#x}/{id:#x}");
    }
    // Bug checks that are not about a rule: Verifier's own checks, a number without documentation, other
    // codes.
    for (code, id) in [(0xc4, 0x62), (0x1c4, 0x62), (0xc4, 0x20012), (0xc9, 0x20005)] {
        assert_eq!(read(code, id, &text, TEXT), Ok(None), "{code:#x}/{id:#x}");
    }
    assert_eq!(read(0xc4, 0x20005, b"caf\xe9\0", TEXT), Ok(Some("caf\u{fffd}".into())));
    let absent = read(0xc4, 0x20005, &text, Va(0)).unwrap_err().to_string();
    assert!(absent.contains("text of the violated condition"), "{absent}");
    // Text without an end is bounded.
    let endless = read(0xc4, 0x20005, &[b'x'; 0x1000], TEXT).unwrap_err();
    assert!(matches!(endless, Error::Limit { limit: 2048, .. }), "{endless:?}");
}

/// Server 2003 x64: the entry to which a published 0xC4/0x62 pointed, with its counters and its list, and a
/// page of made-up blocks; with the entry on the list and off it.
mod server_2003 {
    use std::sync::Arc;

    use crate::common::{TINY_BASE, tiny_kernel_after};
    use verifier_core::Va;
    use verifier_core::dump::BugCheck;
    use verifier_core::kernel::{Kernel, Limits};
    use verifier_core::memory::SparsePages;
    use verifier_core::types::{Literals, Shape};
    use verifier_core::verifier::{DriverState, Drivers, PoolReport, UnloadLeak};

    const ENTRY: u64 = 0xffff_fadf_cebc_e1f0;
    const PAGE: u64 = 0xffff_fadf_ce00_0000;
    const NAME: u64 = 0xffff_fadf_ce80_0100;
    const LIST: u64 = 0x1000;

    fn types(has_list: bool) -> Literals {
        let (word, quad, pointer) = (Shape::Unsigned(4), Shape::Unsigned(8), Shape::Pointer(8));
        let any = || Shape::Opaque;
        let types = Literals::new()
            .with_type(
                "_MI_VERIFIER_DRIVER_ENTRY",
                0xa0,
                &[
                    ("Links", 0, any()),
                    ("Loads", 0x10, word.clone()),
                    ("Unloads", 0x14, word.clone()),
                    ("BaseName", 0x18, any()),
                    ("StartAddress", 0x28, pointer.clone()),
                    ("EndAddress", 0x30, pointer.clone()),
                    ("Signature", 0x40, quad.clone()),
                    ("PoolPageHeaders", 0x50, any()),
                    ("PoolTrackers", 0x60, any()),
                    ("CurrentPagedPoolAllocations", 0x70, word.clone()),
                    ("CurrentNonPagedPoolAllocations", 0x74, word.clone()),
                    ("PagedBytes", 0x80, quad.clone()),
                ],
            )
            .with_type(
                "_VI_POOL_PAGE_HEADER",
                0x18,
                &[
                    ("NextPage", 0, pointer.clone()),
                    ("VerifierEntry", 8, pointer.clone()),
                    ("Signature", 0x10, quad.clone()),
                ],
            )
            .with_type("_VI_POOL_ENTRY", 0x20, &[])
            .with_type(
                "_VI_POOL_ENTRY_INUSE",
                0x20,
                &[
                    ("VirtualAddress", 0, pointer.clone()),
                    ("CallingAddress", 8, pointer),
                    ("NumberOfBytes", 0x10, quad.clone()),
                    ("Tag", 0x18, quad),
                ],
            )
            // The 8-byte form: the public type of 2003 has only this.
            .with_type("_SLIST_HEADER", 0x10, &[("Alignment", 0, Shape::Unsigned(8))]);
        if has_list { types.with_symbol("MiSuspectDriverList", LIST as u32) } else { types }
    }

    fn kernel(listed: bool, has_list: bool) -> Kernel {
        let head = TINY_BASE.0 + LIST;
        let mut entry = vec![0u8; 0xa0];
        let put = |bytes: &mut Vec<u8>, at: usize, value: u64, size: usize| {
            bytes[at..at + size].copy_from_slice(&value.to_le_bytes()[..size]);
        };
        for at in [0, 8] {
            put(&mut entry, at, head, 8);
        }
        for (at, value) in [(0x10, 9), (0x14, 8), (0x70, 1), (0x74, 1)] {
            put(&mut entry, at, value, 4);
        }
        put(&mut entry, 0x18, 20 | 22 << 16, 4);
        // The published values, and an SLIST header with the page's 39 bits.
        for (at, value) in [
            (0x20, NAME),
            (0x28, 0xffff_fadf_c66c_1000),
            (0x30, 0xffff_fadf_c66d_2000),
            (0x40, 0x9876_1940),
            (0x50, (PAGE & ((1 << 43) - 1)) >> 4 << 25),
            (0x80, 0x30),
        ] {
            put(&mut entry, at, value, 8);
        }
        let mut page = vec![0u8; 0x1000];
        put(&mut page, 8, ENTRY, 8);
        put(&mut page, 0x10, 0x2132_1345, 8);
        for slot in 1..128usize {
            let (block, size) =
                if slot < 3 { (PAGE + 0x10_0000 * slot as u64, 0x30) } else { (0, 1) };
            put(&mut page, slot * 0x20, block, 8);
            put(&mut page, slot * 0x20 + 0x10, size, 8);
        }
        let name: Vec<u8> = "usbser.sys\0".encode_utf16().flat_map(u16::to_le_bytes).collect();
        let first = if listed { ENTRY } else { head };
        let memory = SparsePages::new()
            .with(Va(head), &[first.to_le_bytes(), first.to_le_bytes()].concat())
            .with(Va(ENTRY), &entry)
            .with(Va(PAGE), &page)
            .with(Va(NAME), &name);
        let bug_check = BugCheck { code: 0xc4, parameters: [0x62, NAME, ENTRY, 2] };
        let kernel = tiny_kernel_after(memory, Some(bug_check), Limits::default());
        kernel.supply_types(Arc::new(types(has_list)));
        kernel
    }

    #[test]
    fn the_entry_leads_to_the_blocks() {
        for (listed, has_list) in [(true, true), (false, true), (false, false)] {
            let kernel = kernel(listed, has_list);
            let drivers = Drivers::read(&kernel).unwrap();
            let [usbser] = &drivers.drivers[..] else { panic!("{drivers:?}") };
            assert_eq!((&*usbser.name, usbser.loads, usbser.unloads), ("usbser.sys", 9, 8));
            assert_eq!(usbser.state(), DriverState::Loaded);
            assert_eq!(usbser.from_bug_check, !listed);
            assert_eq!(usbser.images[0].size, 0x1_1000);
            assert_eq!(usbser.counters().get("PagedBytes"), Some(0x30));
            // Vista's name of the list is unknown, which is reported.
            assert_eq!(drivers.problems.len(), usize::from(!has_list), "{drivers:?}");
            let report = PoolReport::read(&kernel, |_| true).unwrap();
            assert_eq!(report.drivers[0].allocations.len(), 2);
            let leak = UnloadLeak::read(&kernel).unwrap().unwrap();
            assert_eq!((&*leak.driver, leak.counted), ("usbser.sys", 2));
            let blocks: Vec<u64> = leak.allocations.iter().map(|block| block.address.0).collect();
            assert_eq!(blocks, [PAGE + 0x10_0000, PAGE + 0x20_0000]);
        }
    }
}
