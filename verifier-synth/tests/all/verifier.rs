//! Verifier's structures, read back from dumps at their documented offsets.

use std::collections::BTreeSet;

use crate::common::{Dump, u32_at, u64_at};
use verifier_synth::{
    Allocation, Build, Driver, DumpKind, LockNode, Log, Machine, MachineType, PoolRecord,
    RingRecord, SlistForm, Suspect, Tracker, Unload, UnloadedDriver, WatchedIrp,
};

/// Appends the nodes below `node` in order and returns the depth; checks parents and balance on the way.
fn walk(dump: &Dump<'_>, node: u64, parent: u64, out: &mut Vec<u64>) -> i64 {
    if node == 0 {
        return 0;
    }
    let links = dump.read(node, 0x20);
    assert_eq!(u64_at(&links, 0), parent);
    let left = walk(dump, u64_at(&links, 8), node, out);
    out.push(node);
    let right = walk(dump, u64_at(&links, 16), node, out);
    assert!((left - right).abs() <= 1);
    assert_eq!(i64::from(links[24] as i8), right - left);
    1 + left.max(right)
}

#[test]
fn the_tree_of_targets_is_balanced_and_ordered() {
    for count in [0, 1, 2, 3, 8, 21] {
        let mut m = Machine::new(Build::Win10Vb);
        for i in (0..count).rev() {
            let driver = m.driver(Driver::new(&format!("d{i}.sys")));
            m.unverified_target(driver);
        }
        let assembly = m.assemble();
        let file = assembly.dump(DumpKind::BitmapKernel);
        let dump = Dump::open(&file);
        let tree = dump.read(assembly.address("nt!ViTargetDriversAvl"), 0x28);
        assert_eq!(u32_at(&tree, 0x18), 1, "TablesNo");
        let table = u64_at(&tree, 0x10);
        let mut nodes = Vec::new();
        let depth = walk(&dump, dump.pointer(table + 0x10), table, &mut nodes);
        assert_eq!(nodes.len() as u64, dump.word(table + 0x2c));
        assert_eq!(depth as u64, dump.word(table + 0x30));
        assert_eq!(nodes.len(), count);
        let bases: Vec<u64> = nodes.iter().map(|node| dump.pointer(node + 0x20)).collect();
        assert!(bases.is_sorted());
        assert!(nodes.iter().all(|node| dump.pointer(node + 0x20 + 0x38) == 0), "not verified");
    }
}

/// Returns the first entry of an SLIST header, as Windows reads it.
fn slist(dump: &Dump<'_>, va: u64, build: u32) -> u64 {
    let (low, high) = (dump.pointer(va), dump.pointer(va + 8));
    if build >= 9600 || high & 1 == 1 {
        high & !0xf
    } else if low >> 25 == 0 {
        0
    } else {
        va & !((1 << 43) - 1) | (low >> 25) << 4
    }
}

#[test]
fn trackers_over_several_pages_with_free_entries_between() {
    for (build, form, heads) in [
        (Build::Win7Sp1, SlistForm::Wide, (0x30, 0x40)),
        (Build::Win7Sp1, SlistForm::Narrow, (0x30, 0x40)),
        (Build::Win81, SlistForm::Wide, (0x30, 0x40)),
        (Build::Win10Vb, SlistForm::Wide, (0x40, 0x50)),
        (Build::Win11, SlistForm::Wide, (0x40, 0x50)),
    ] {
        let mut m = Machine::new(build);
        m.slist_form(form);
        let driver = m.driver(Driver::new("leaky.sys"));
        let verified = m.verified(driver);
        let block = |i: u64| Allocation {
            paged: i % 2 == 1,
            ..Allocation::nonpaged(0x1000 * i, 0x40 + 16 * i, b"Leak", 0x77)
        };
        for i in 1..=300 {
            verified.tracker(if i % 7 == 0 {
                Tracker::Freed(block(i))
            } else {
                Tracker::InUse(block(i))
            });
        }
        let assembly = m.assemble();
        let file = assembly.dump(DumpKind::BitmapKernel);
        let dump = Dump::open(&file);
        let data = assembly.address("verified:leaky.sys");
        assert_eq!(dump.pointer(data + 0x28), 0x9876_1940);
        let mut page = slist(&dump, data + heads.0, build.number());
        let (mut used, mut free, mut pages) = (Vec::new(), BTreeSet::new(), 0);
        while page != 0 {
            assert_eq!([dump.pointer(page + 8), dump.pointer(page + 16)], [data, 0x2132_1345]);
            for slot in 1..128 {
                let entry = dump.read(page + 0x20 * slot, 0x20);
                if u64_at(&entry, 16) & 1 == 0 {
                    used.push((u64_at(&entry, 0), u64_at(&entry, 16), u32_at(&entry, 24)));
                } else {
                    free.insert(page + 0x20 * slot);
                }
            }
            page = dump.pointer(page);
            pages += 1;
        }
        assert_eq!(pages, 3);
        let tag = u64::from(u32::from_le_bytes(*b"Leak"));
        let expected: Vec<_> =
            (1..=300).filter(|i| i % 7 != 0).map(|i| (0x1000 * i, 0x40 + 16 * i, tag)).collect();
        assert_eq!(used, expected);
        let mut listed = BTreeSet::new();
        let mut entry = slist(&dump, data + heads.1, build.number());
        while entry != 0 {
            assert!(listed.insert(entry), "a cycle");
            entry = dump.pointer(entry);
        }
        assert_eq!(listed, free);
    }
}

#[test]
fn counters_follow_from_the_blocks() {
    let mut m = Machine::new(Build::Win11);
    let driver = m.driver(Driver::new("leaky.sys"));
    m.level(0x9bb).statistic("Trims", 5);
    m.verified(driver)
        .allocation(Allocation::nonpaged(0x1000, 0x100, b"A   ", 1))
        .allocation(Allocation::paged(0x2000, 0x30, b"B   ", 1))
        .freed(Allocation::paged(0x3000, 0x30, b"B   ", 1))
        .counter("PeakPagedBytes", 0x999);
    m.suspect(Suspect { name: "never.sys".into(), loads: 0, unloads: 0, address: None });
    let assembly = m.assemble();
    let read = |va: u64| u32_at(&assembly.read(va, 4).unwrap(), 0);
    let global = assembly.address("nt!MmVerifierData");
    let counters = [0x0, 0x10, 0x24, 0x44, 0x48, 0x58, 0x60, 0x68].map(|at| read(global + at));
    assert_eq!(counters, [0x9bb, 3, 5, 1, 1, 0x30, 0x100, 0x999]);
    let data = assembly.address("verified:leaky.sys");
    assert_eq!(
        [0x70, 0x74, 0x80, 0x88, 0x90].map(|at| read(data + at)),
        [1, 1, 0x30, 0x100, 0x999]
    );
    let head = assembly.address("nt!VfSuspectDriversList");
    let file = assembly.dump(DumpKind::BitmapKernel);
    let dump = Dump::open(&file);
    let first = dump.pointer(head);
    assert_eq!(
        [dump.text(first + 0x18), dump.text(dump.pointer(first) + 0x18)],
        ["leaky.sys", "never.sys"]
    );
    assert_eq!(dump.pointer(dump.pointer(first)), head);
}

#[test]
fn a_log_wraps_its_slots_and_its_index() {
    let mut m = Machine::new(Build::Win7Sp1);
    let log = m.log(Log::Pool);
    log.length = 8;
    log.index_before = u32::MAX - 4;
    for i in 1..=11 {
        // The earlier the record, the longer its stack, so frames of earlier records stay after those of
        // later ones.
        let frames = (0..12 - i).map(|k| 0x100 * i + k).collect();
        m.pool_record(PoolRecord {
            address: 0x1000 * i,
            size: 16 * i,
            thread: 7,
            frames,
            stale: vec![],
        });
    }
    let assembly = m.assemble();
    let file = assembly.dump(DumpKind::Summary);
    let dump = Dump::open(&file);
    let index = dump.word(assembly.address("nt!VfPoolTracesIndex"));
    assert_eq!(index, 6);
    assert_eq!(dump.word(assembly.address("nt!VfPoolTracesLength")), 8);
    let ring = dump.pointer(assembly.address("nt!VfPoolTraces"));
    for age in 0..8 {
        let record = ring + 0x80 * (index.wrapping_sub(age) & 7);
        assert_eq!(dump.pointer(record), 0x1000 * (11 - age));
    }
    let newest = dump.read(ring + 0x80 * 6, 0x80);
    let frames: Vec<u64> = (0..13).map(|i| u64_at(&newest, 0x18 + 8 * i)).collect();
    assert_eq!(frames[..2], [0xb00, 0]);
    // Record 3 used this slot before; its frames from the third on are stale.
    assert_eq!(frames[2..10], [0x302, 0x303, 0x304, 0x305, 0x306, 0x307, 0x308, 0]);
}

#[test]
fn unused_slots_share_one_page_of_zeros() {
    let mut m = Machine::new(Build::Win7Sp1);
    m.pool_record(PoolRecord { address: 0x1000, ..PoolRecord::default() });
    let mut assembly = m.assemble();
    let ring = assembly.address("ring:VfPoolTraces");
    let pages: BTreeSet<u64> =
        (0..0x800).map(|i| assembly.space().translate(ring + 0x1000 * i).unwrap()).collect();
    assert_eq!(pages.len(), 2);
    assembly.patch(ring + 0x5000, &[1]);
    assert_eq!(
        assembly.read(ring + 0x6000, 1),
        Some(vec![0]),
        "the shared page is copied before it is written"
    );
}

#[test]
fn every_log_of_every_build() {
    for build in Build::ALL {
        let mut m = Machine::new(build);
        let logs = [
            (
                Log::Irql,
                vec![("OldIrql", 0), ("NewIrql", 2), ("Processor", 0x101), ("TickCount", 0x1234)],
                5,
            ),
            (Log::Fault, vec![], 8),
            (Log::CriticalRegion, vec![], 7),
            (Log::Irp, vec![("Irp", 0x8000_1000), ("KernelApcDisable", u64::MAX)], 12),
            (Log::ForcedPending, vec![("Irp", 0x8000_1000)], 62),
        ];
        for (log, mut fields, frames) in logs {
            // The record of Windows 7 x86 does not have space for the field.
            if log == Log::Irp && build != Build::Win7Sp1X86 {
                fields.push(("Irql", 2));
            }
            fields.push(("Thread", 0x8000_2000));
            m.log(log).push(RingRecord {
                fields,
                frames: vec![0x8000_0000; frames],
                stale: vec![],
            });
        }
        let assembly = m.assemble();
        for log in [Log::Irql, Log::Fault, Log::CriticalRegion, Log::Irp, Log::ForcedPending] {
            let [_, array, index, _] = log.names();
            assert_eq!(
                assembly.read(assembly.address(&format!("nt!{index}")), 4),
                Some(vec![1, 0, 0, 0]),
                "{build:?} {log:?}"
            );
            let width = if build.machine() == MachineType::X86 { 4 } else { 8 };
            let mut bytes = assembly.read(assembly.address(&format!("nt!{array}")), width).unwrap();
            bytes.resize(8, 0);
            assert_eq!(u64_at(&bytes, 0), assembly.address(&format!("ring:{array}")));
        }
    }
}

#[test]
fn modules_and_unloaded_drivers() {
    let mut m = Machine::new(Build::Win7Sp1);
    m.driver(Driver::new("a.sys"));
    for i in 0..3 {
        m.unloaded_driver(UnloadedDriver {
            name: format!("gone{i}.sys"),
            start: 0x1000 * i,
            end: 0x1000 * i + 0x800,
            time: i,
        });
    }
    m.unloaded_count(51);
    let assembly = m.assemble();
    let file = assembly.dump(DumpKind::Complete);
    let dump = Dump::open(&file);
    let head = u64_at(&file, 0x20);
    let mut names = Vec::new();
    let mut entry = dump.pointer(head);
    while entry != head {
        names.push(dump.text(entry + 0x58));
        let base = dump.pointer(entry + 0x30);
        assert_eq!(dump.read(base, 2), b"MZ");
        assert_eq!(dump.pointer(dump.pointer(entry) + 8), entry, "backward");
        entry = dump.pointer(entry);
    }
    assert_eq!(names, ["ntoskrnl.exe", "hal.dll", "a.sys"]);
    let array = dump.pointer(assembly.address("nt!MmUnloadedDrivers"));
    assert_eq!(dump.word(assembly.address("nt!MmLastUnloadedDriver")), 1);
    let slots = [48, 49, 0].map(|slot| dump.text(array + 0x28 * slot));
    assert_eq!(slots, ["gone0.sys", "gone1.sys", "gone2.sys"]);
    assert_eq!(dump.pointer(array + 0x28 * 49 + 0x18), 0x1800);
}

#[test]
fn damage() {
    let mut m = Machine::new(Build::Win7Sp1);
    let driver = m.driver(Driver::new("leaky.sys"));
    m.verified(driver).allocation(Allocation::nonpaged(0x1000, 0x40, b"Leak", 1));
    let mut assembly = m.assemble();
    let page = assembly.address("trackers:leaky.sys:0");
    assembly.patch_field(page, "_VI_POOL_PAGE_HEADER", "Signature", 0xbad);
    assembly.patch_pointer(page, page);
    assert_eq!(u64_at(&assembly.read(page + 16, 8).unwrap(), 0), 0xbad);
    assembly.remove_page(page);
    assert_eq!(assembly.read(page, 1), None);
    let file = assembly.dump(DumpKind::Summary);
    let dump = Dump::open(&file);
    let pa = dump.x64(page, 4).expect("still mapped");
    assert_eq!(dump.physical(pa, 1), None);
}

#[test]
fn every_build_and_kind_can_be_written() {
    for build in Build::ALL {
        let mut m = Machine::new(build);
        let driver = m.driver(
            Driver::new("leaky.sys")
                .pdb("leaky.pdb")
                .symbol("Leak", 0x1010)
                .export("LeakX", 0x1020),
        );
        m.verified(driver).allocation(Allocation::nonpaged(0x8000_0000, 0x40, b"Leak", 1));
        let sample = m.build(DumpKind::Summary);
        Dump::open(&sample.dump);
        for (path, bytes) in &sample.files {
            let table: serde_json::Value = serde_json::from_slice(bytes).unwrap();
            let pdb = &table["metadata"]["windows"]["pdb"];
            assert_eq!(
                *path,
                format!(
                    "{}/{}-{}.json",
                    pdb["database"].as_str().unwrap(),
                    pdb["GUID"].as_str().unwrap(),
                    pdb["age"]
                )
            );
            assert_every_type_is_present(&table);
        }
    }
}

/// Every structure that a field embeds (not through a pointer) has a layout.
fn assert_every_type_is_present(table: &serde_json::Value) {
    let types = table["user_types"].as_object().unwrap();
    for (owner, layout) in types {
        for (name, field) in layout["fields"].as_object().unwrap() {
            let mut kind = &field["type"];
            if kind["kind"] == "array" {
                kind = &kind["subtype"];
            }
            let target = kind["name"].as_str().unwrap_or_default();
            match kind["kind"].as_str().unwrap() {
                "struct" | "union" => {
                    assert_eq!(types[target]["kind"], kind["kind"], "{owner}.{name}")
                }
                "base" => {
                    assert!(table["base_types"].get(target).is_some(), "{owner}.{name}: {target}")
                }
                "pointer" | "bitfield" => {}
                other => panic!("{owner}.{name}: {other}"),
            }
        }
    }
}

#[test]
fn deadlock_detection() {
    for (build, participants) in
        [(Build::Win7Sp1, 0x8060), (Build::Win81, 0x8068), (Build::Win11, 0x8068)]
    {
        let mut m = Machine::new(build);
        let deadlock = m.deadlock();
        let (a, b) = (deadlock.free_lock(0x1_2345_6008, 5), deadlock.free_lock(0x1_2345_6010, 6));
        let thread = deadlock.thread(0xffff_fa80_0001_0040);
        let root = deadlock.node(LockNode::new(a).stack(&[0x11, 0x12]));
        let child =
            deadlock.node(LockNode::new(b).below(root).stack(&[0x21]).parent_stack(&[0x13]));
        let held = deadlock.node(LockNode::new(b).held_by(thread));
        deadlock.own(b, thread).found(a, &[root, child, held]);
        let assembly = m.assemble();
        let file = assembly.dump(DumpKind::BitmapKernel);
        let dump = Dump::open(&file);
        let globals = dump.pointer(assembly.address("nt!ViDeadlockGlobals"));
        assert_eq!(globals, assembly.address("deadlock globals"));
        assert_eq!([dump.pointer(globals + 0x18), dump.pointer(globals + 0x4018)], [2, 1]);
        let [root, child, held] =
            [0, 1, 2].map(|i| assembly.address(&format!("deadlock node:{i}")));
        let [a, b] = [0, 1].map(|i| assembly.address(&format!("deadlock lock:{i}")));
        // Both locks are in the bucket of their page, each in its list; the other buckets are empty.
        let heads = dump.pointer(globals + 0x10);
        let bucket = heads + 16 * (0x1_2345_6008 / 0x1000 % 1023);
        let chain = [dump.pointer(bucket), dump.pointer(a + 0x28), dump.pointer(b + 0x28)];
        assert_eq!(chain, [a + 0x28, b + 0x28, bucket]);
        assert!((0..1023).all(
            |i| (dump.pointer(heads + 16 * i) == heads + 16 * i) != (heads + 16 * i == bucket)
        ));
        assert_eq!(
            [dump.word(b), dump.word(b + 4), dump.pointer(b + 8)],
            [6, 1 << 16 | 2, 0x1_2345_6010]
        );
        // A child below its parent, both on the lists of their locks.
        assert_eq!([dump.pointer(root + 8), dump.pointer(child + 0x18)], [child + 0x18, root + 8]);
        assert_eq!([dump.pointer(child), dump.pointer(child + 0x38)], [root, b]);
        assert_eq!(
            [dump.pointer(b + 0x18), dump.pointer(child + 0x28)],
            [child + 0x28, held + 0x28]
        );
        assert_eq!([dump.pointer(child + 0x50), dump.pointer(child + 0x90)], [0x21, 0x13]);
        assert_eq!(
            [dump.word(child + 0x48), dump.word(held + 0x48), dump.word(root + 0x4c)],
            [0, 1, 1]
        );
        let thread = assembly.address("deadlock thread:0");
        assert_eq!([dump.pointer(held + 0x40), dump.pointer(b + 0x10)], [thread, thread]);
        assert_eq!([dump.pointer(thread + 8), dump.pointer(thread + 0x10)], [held, 0]);
        assert_eq!(dump.word(thread + 0x28), 1);
        // The deadlock that was found.
        assert_eq!(dump.pointer(globals + participants - 16), 0x1_2345_6008, "Instigator");
        assert_eq!(dump.word(globals + participants - 8), 3);
        let found = [0, 8, 16].map(|at| dump.pointer(globals + participants + at));
        assert_eq!(found, [root, child, held]);
        let issue = assembly.address("nt!ViDeadlockIssue");
        assert_eq!([0, 8, 16].map(|at| dump.pointer(issue + at)), [0x1001, 0x1_2345_6008, held]);
        assert_eq!(dump.word(assembly.address("nt!ViDeadlockDetectionEnabled")), 1);
    }
}

#[test]
fn a_driver_unloaded_with_blocks_has_its_bug_check() {
    for build in Build::ALL {
        let wide = build.machine() != MachineType::X86;
        for unload in [Unload::Listed, Unload::OffTree, Unload::OffTreeAndList] {
            let mut m = Machine::new(build);
            let leaky = m.driver(Driver::new("leaky.sys"));
            let block = if wide { 0xffff_9a8f_5000_0000 } else { 0x8500_0000 };
            m.verified(leaky).allocation(Allocation::nonpaged(block, 0x40, b"Leak", 0));
            m.unloaded_with_allocations(leaky, unload);
            let assembly = m.assemble();
            let (name, data) =
                (assembly.address("unloaded:leaky.sys"), assembly.address("verified:leaky.sys"));
            let bug_check = assembly.header.bug_check.unwrap();
            assert_eq!((bug_check.code, bug_check.parameters), (0xc4, [0x62, name, data, 1]));
            let text = assembly.read(name, 20).unwrap();
            assert_eq!(
                text,
                "leaky.sys\0".encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<_>>()
            );
            // The kernel's copy of the bug check in `KiBugCheckData`: five pointers.
            let width = if wide { 8 } else { 4 };
            let noted = assembly.read(assembly.address("nt!KiBugCheckData"), 5 * width).unwrap();
            assert_eq!(noted[0], 0xc4);
            assert_eq!(noted[3 * width..][..width], data.to_le_bytes()[..width]);
            // An empty list is its own head, and an empty tree does not have a root.
            let pointer = |va| {
                let mut bytes = assembly.read(va, width).unwrap();
                bytes.resize(8, 0);
                u64_at(&bytes, 0)
            };
            let head = assembly.address("nt!VfSuspectDriversList");
            assert_eq!(pointer(head) == head, unload == Unload::OffTreeAndList, "{build:?}");
            let root = assembly.address("avl table") + 2 * width as u64;
            assert_eq!(pointer(root) == 0, unload != Unload::Listed, "{build:?}");
        }
    }
}

#[test]
fn the_smaller_logs_are_at_the_documented_offsets() {
    let mut m = Machine::new(Build::Win11);
    for i in 1..=17 {
        m.suppressed_bug_checks().push(&[0xc4, i, 2, 3, 4]);
    }
    m.workarounds().push(&[1, 0x8000_1000, 0x8000_2000]);
    m.watched_irp(WatchedIrp {
        irp: 0x8000_3000,
        due_tick_count: 0x52,
        inserted: true,
        stack_location: 3,
        timeout_ticks: 0x12c,
    });
    m.excluded("good.sys");
    let assembly = m.assemble();
    let file = assembly.dump(DumpKind::BitmapKernel);
    let dump = Dump::open(&file);
    // 16 records of 40 bytes; the 17th replaced the first, in slot 1.
    let log = dump.read(assembly.address("nt!ViBugcheckLog"), 16 * 40);
    assert_eq!((u32_at(&log, 40), u64_at(&log, 48), u64_at(&log, 72)), (0xc4, 17, 4));
    assert_eq!((u64_at(&log, 8), u64_at(&log, 88)), (16, 2));
    assert_eq!(dump.word(assembly.address("nt!ViBugcheckLogIndex")), 17);
    let log = dump.read(assembly.address("nt!ViBugcheckWorkaroundLog"), 16 * 24);
    assert_eq!(
        (u32_at(&log, 24), u64_at(&log, 32), u64_at(&log, 40)),
        (1, 0x8000_1000, 0x8000_2000)
    );
    let head = assembly.address("nt!VfWdIrpListHead");
    let irp = dump.read(dump.pointer(head), 0x20);
    assert_eq!((u64_at(&irp, 0), u64_at(&irp, 0x10)), (head, 0x8000_3000));
    assert_eq!((u32_at(&irp, 0x18), irp[0x1c], irp[0x1d], irp[0x1e]), (0x52, 1, 3, 0x2c));
    assert_eq!(dump.word(assembly.address("nt!ViWdIrpListLength")), 1);
    let excluded = dump.pointer(assembly.address("nt!VfExcludedDriversList"));
    assert_eq!(excluded, assembly.address("excluded:good.sys"));
    // A `UNICODE_STRING` directly after the links, the characters after that.
    assert_eq!(dump.pointer(excluded + 0x18), excluded + 0x20);
    assert_eq!(dump.text(excluded + 0x10), "good.sys");
}

#[test]
fn drivers_of_26100_are_at_the_offsets_of_its_types() {
    let mut m = Machine::new(Build::Win11Ge);
    let leaky = m.driver(Driver::new("leaky.sys"));
    m.verified(leaky).allocation(Allocation::nonpaged(0x1000, 0x40, b"Leak", 0));
    m.suspect(Suspect { name: "never.sys".into(), loads: 0, unloads: 0, address: None });
    let assembly = m.assemble();
    let file = assembly.dump(DumpKind::BitmapKernel);
    let dump = Dump::open(&file);
    let data = assembly.address("verified:leaky.sys");
    let entry = dump.pointer(data);
    assert_eq!(entry, assembly.address("suspect:leaky.sys"));
    assert_eq!((dump.word(entry + 0x10), dump.text(entry + 0x28)), (1, "leaky.sys".into()));
    assert_eq!(dump.text(entry + 0x18), r"\SystemRoot\System32\drivers\leaky.sys");
    let never = dump.pointer(entry);
    assert_eq!(
        (dump.text(never + 0x18), dump.text(never + 0x28)),
        (String::new(), "never.sys".into())
    );
    // The node's user data: base, size, then the data at the end of 0x48 bytes.
    let target = assembly.address("target:leaky.sys");
    assert_eq!(dump.pointer(target + 0x40), data);
    let tree = dump.read(assembly.address("nt!ViTargetDriversAvl"), 0x20);
    assert_eq!((u64_at(&tree, 0x10), u32_at(&tree, 0x18)), (assembly.address("avl table"), 1));
    assert_eq!([dump.word(data + 0x74), dump.pointer(data + 0x88)], [1, 0x40]);
    let statistics = assembly.address("nt!MmVerifierData");
    assert_eq!([dump.word(statistics + 0x34), dump.word(statistics + 0x48)], [1, 1]);
    assert_eq!(dump.pointer(statistics + 0x60), 0x40);
}
