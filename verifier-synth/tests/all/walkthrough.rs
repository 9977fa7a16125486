//! The walk-through's dump has the values of the published walk-through.

use crate::common::{Dump, u32_at, u64_at};
use verifier_synth::{Sample, walkthrough};

const BLOCKS: [u64; 10] = [
    0xfffffa8005400000,
    0xfffffa80052fb000,
    0xfffffa8005200000,
    0xfffffa80050fb000,
    0xfffffa8005000000,
    0xfffffa8004efb000,
    0xfffffa8004e00000,
    0xfffffa8004cfb000,
    0xfffffa8004c00000,
    0xfffffa8004a66000,
];

const STACK: [(u64, &str, &str, u64); 8] = [
    (0xfffff80001927cc6, "ntkrnlmp.pdb", "VeAllocatePoolWithTagPriority", 0x2b6),
    (0xfffff80001927d3d, "ntkrnlmp.pdb", "VerifierExAllocatePoolEx", 0x1d),
    (0xfffff8800447d634, "myfault.pdb", "MyfaultDeviceControl", 0x358),
    (0xfffff8800447d727, "myfault.pdb", "MyfaultDispatch", 0xb7),
    (0xfffff80001932750, "ntkrnlmp.pdb", "IovCallDriver", 0xa0),
    (0xfffff800017a7a97, "ntkrnlmp.pdb", "IopXxxControlFile", 0x607),
    (0xfffff800017a82f6, "ntkrnlmp.pdb", "NtDeviceIoControlFile", 0x56),
    (0xfffff8000148bed3, "ntkrnlmp.pdb", "KiSystemServiceCopyEnd", 0x13),
];

fn table(sample: &Sample, pdb: &str) -> serde_json::Value {
    let (_, bytes) = sample
        .files
        .iter()
        .find(|(path, _)| path.starts_with(&format!("{pdb}/")))
        .expect("a table");
    serde_json::from_slice(bytes).expect("JSON")
}

/// Base and size of a module by name, from the loaded module list.
fn base(dump: &Dump<'_>, name: &str) -> (u64, u64) {
    let head = u64_at(dump.file, 0x20);
    let mut entry = dump.pointer(head);
    while entry != head {
        if dump.text(entry + 0x58) == name {
            return (dump.pointer(entry + 0x30), dump.word(entry + 0x40));
        }
        entry = dump.pointer(entry);
    }
    panic!("no {name}");
}

#[test]
fn the_dump_is_small_and_of_windows_7() {
    let sample = walkthrough();
    let dump = Dump::open(&sample.dump);
    assert_eq!((dump.kind, u32_at(&sample.dump, 0xc), u32_at(&sample.dump, 0x38)), (2, 7601, 0xe2));
    assert!((200 << 10..4 << 20).contains(&sample.dump.len()), "{} bytes", sample.dump.len());
}

#[test]
fn verifier_3() {
    let sample = walkthrough();
    let dump = Dump::open(&sample.dump);
    let symbols = table(&sample, "ntkrnlmp.pdb");
    let (nt, _) = base(&dump, "ntoskrnl.exe");
    let global = |name: &str| nt + symbols["symbols"][name]["address"].as_u64().expect(name);

    let statistics = global("MmVerifierData");
    // Level, attempted, succeeded, special pool, no tag, failed, current and peak counts.
    let words = [0, 0x10, 0x14, 0x18, 0x1c, 0x28, 0x40, 0x44, 0x48, 0x4c]
        .map(|at| dump.word(statistics + at));
    assert_eq!(words, [8, 0xb, 0xb, 0xa, 1, 0, 0, 0xa, 1, 0xa]);
    let bytes = [0x50, 0x58, 0x60, 0x68].map(|at| dump.pointer(statistics + at));
    assert_eq!(bytes, [0, 0x9ce000, 0x80, 0x9ce000]);

    let entry = dump.pointer(global("VfSuspectDriversList"));
    assert_eq!(entry, 0xfffffa80031b5830);
    assert_eq!(dump.text(entry + 0x18), "myfault.sys");
    assert_eq!([dump.word(entry + 0x10), dump.word(entry + 0x14)], [1, 0]);

    let avl_table = dump.pointer(global("ViTargetDriversAvl") + 0x20);
    let node = dump.pointer(avl_table + 0x10);
    assert_eq!(
        (dump.pointer(node + 0x20), dump.pointer(node + 0x28)),
        (base(&dump, "myfault.sys").0, base(&dump, "myfault.sys").1)
    );
    let data = dump.pointer(node + 0x20 + 0x28);
    assert_eq!(dump.pointer(data), entry);
    assert_eq!([0x50, 0x54, 0x58, 0x5c].map(|at| dump.word(data + at)), [0, 0xa, 1, 0xa]);
    assert_eq!(
        [0x60, 0x68, 0x70, 0x78].map(|at| dump.pointer(data + at)),
        [0, 0x9ce000, 0x80, 0x9ce000]
    );

    let page = dump.pointer(data + 0x38) & !0xf;
    let mut held = Vec::new();
    for slot in 1..128 {
        let entry = dump.read(page + 0x20 * slot, 0x20);
        if u64_at(&entry, 0x10) & 1 == 0 {
            assert_eq!(
                (u64_at(&entry, 8), u64_at(&entry, 0x10), &entry[0x18..0x1c]),
                (0xfffff8800447d634, 0xfb000, &b"Leak"[..])
            );
            held.push(u64_at(&entry, 0));
            assert_eq!(
                dump.pointer(u64_at(&entry, 0) + 0xfb000 - 8),
                page + 0x20 * slot,
                "back pointer"
            );
        }
    }
    assert_eq!(held, BLOCKS);
}

#[test]
fn verifier_80() {
    let sample = walkthrough();
    let dump = Dump::open(&sample.dump);
    let nt_symbols = table(&sample, "ntkrnlmp.pdb");
    let (nt, nt_size) = base(&dump, "ntoskrnl.exe");
    let (myfault, _) = base(&dump, "myfault.sys");
    let global = |name: &str| nt + nt_symbols["symbols"][name]["address"].as_u64().expect(name);
    assert_eq!(dump.word(global("VfPoolTracesLength")), 0x10000);
    let index = dump.word(global("VfPoolTracesIndex"));
    let ring = dump.pointer(global("VfPoolTraces"));
    for (age, block) in BLOCKS.into_iter().enumerate() {
        let record = dump.read(ring + 0x80 * (index - age as u64), 0x80);
        assert_eq!([0, 8, 16].map(|at| u64_at(&record, at)), [block, 0xfa000, 0xfffffa80044ceb60]);
        let frames: Vec<u64> = (0..9).map(|i| u64_at(&record, 0x18 + 8 * i)).collect();
        assert_eq!(frames[..8], STACK.map(|frame| frame.0));
        assert_eq!(frames[8], 0);
        assert_ne!(u64_at(&record, 0x60), 0, "a stale frame after the stack");
    }
    // All other slots can be read and were never used; the last one is checked.
    assert_eq!(dump.read(ring + 0x80 * 0xffff, 0x80), [0; 0x80]);

    for (address, pdb, name, displacement) in STACK {
        let (base, symbols) = if pdb == "myfault.pdb" {
            (myfault, table(&sample, pdb))
        } else {
            (nt, nt_symbols.clone())
        };
        let rva = symbols["symbols"][name]["address"].as_u64().expect(name);
        assert_eq!(base + rva + displacement, address, "{name}");
        // No other symbol is between.
        let nearer = symbols["symbols"].as_object().expect("symbols").values().any(|symbol| {
            let other = base + symbol["address"].as_u64().expect("an address");
            other > base + rva && other <= address
        });
        assert!(!nearer, "{name}");
        assert!(pdb == "myfault.pdb" || address < nt + nt_size);
    }
}

#[test]
fn the_kernel_names_its_pdb_in_memory() {
    let sample = walkthrough();
    let dump = Dump::open(&sample.dump);
    for (module, pdb) in
        [("ntoskrnl.exe", "ntkrnlmp.pdb"), ("myfault.sys", "myfault.pdb"), ("hal.dll", "hal.pdb")]
    {
        let (base, size) = base(&dump, module);
        let optional = base + dump.word(base + 0x3c) + 24;
        assert_eq!(dump.word(optional + 56), size);
        let debug = base + dump.word(optional + 112 + 48);
        let record = base + dump.word(debug + 20);
        let bytes = dump.read(record, dump.word(debug + 16) as usize);
        assert_eq!(&bytes[..4], b"RSDS");
        assert_eq!(&bytes[24..], format!("{pdb}\0").as_bytes());
        let guid = table(&sample, pdb)["metadata"]["windows"]["pdb"]["GUID"]
            .as_str()
            .expect("a GUID")
            .to_owned();
        let text = format!(
            "{:08X}{:04X}{:04X}",
            u32_at(&bytes, 4),
            crate::common::u16_at(&bytes, 8),
            crate::common::u16_at(&bytes, 10)
        );
        assert_eq!(text, guid[..16]);
    }
}
