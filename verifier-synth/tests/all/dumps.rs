//! Every kind of dump holds the same pages, and unset header fields hold the filler.

use crate::common::{Dump, u32_at, u64_at};
use verifier_synth::dump::{DumpKind, write_dump};
use verifier_synth::{
    BugCheck, Build, DebuggerKeys, HeaderInfo, Machine, MachineType, PhysicalMemory, Placement,
};

#[test]
fn every_kind_holds_the_same_pages() {
    let mut memory =
        PhysicalMemory::new(Placement::Scattered { first: 0x80, window: 0x80, seed: 9 });
    for _ in 0..150 {
        let pfn = memory.allocate();
        memory.write(pfn << 12, &pfn.to_le_bytes());
    }
    for machine in [MachineType::X64, MachineType::Arm64, MachineType::X86] {
        for kind in DumpKind::WITH_HEADER {
            if machine == MachineType::X86
                && !matches!(kind, DumpKind::Complete | DumpKind::Summary)
            {
                continue;
            }
            let file = write_dump(kind, &HeaderInfo::new(machine, 7601, 0x1000), &memory);
            let dump = Dump::open(&file);
            assert_eq!(dump.kind, kind.dump_type());
            for (pfn, page) in memory.pages() {
                assert_eq!(
                    dump.physical(pfn << 12, 4096).as_deref(),
                    Some(&page[..]),
                    "{kind:?} frame {pfn:#x}"
                );
            }
            if kind != DumpKind::Complete {
                assert_eq!(dump.pages.len(), memory.len(), "{kind:?}");
            }
        }
    }
}

#[test]
fn a_complete_dump_has_at_most_the_runs_that_fit() {
    let mut memory = PhysicalMemory::new(Placement::Sequential { first: 0 });
    for i in 0..100 {
        memory.write(i * 3 * 0x1000, &[1]);
    }
    let file = write_dump(DumpKind::Complete, &HeaderInfo::new(MachineType::X64, 7601, 0), &memory);
    assert_eq!(u32_at(&file, 0x88), 42);
    let dump = Dump::open(&file);
    assert_eq!(u64_at(&file, 0x90), dump.pages.len() as u64);
    assert!((0..100).all(|i| dump.pages.contains_key(&(i * 3))));
}

#[test]
fn unset_fields_hold_the_filler() {
    let memory = PhysicalMemory::new(Placement::Sequential { first: 1 });
    let file = write_dump(
        DumpKind::BitmapFull,
        &HeaderInfo::new(MachineType::X64, 22000, 0x1ad000),
        &memory,
    );
    for at in [0x18, 0x20, 0x28, 0x38, 0x40, 0x80, 0x88, 0x348, 0xfa8, 0xfb0, 0x1030] {
        assert_eq!(&file[at..at + 4], b"PAGE", "at {at:#x}");
    }
    let mut header = HeaderInfo::new(MachineType::X86, 7601, 0x18_5000);
    header.bug_check = Some(BugCheck { code: 0xc4, parameters: [0x62, 2, 3, 4] });
    header.comment = Some("synthetic".into());
    let file = write_dump(DumpKind::Summary, &header, &memory);
    assert_eq!(&file[..8], b"PAGEDUMP");
    assert_eq!(
        [u32_at(&file, 0x20), u32_at(&file, 0x28), u32_at(&file, 0x2c)],
        [0x14c, 0xc4, 0x62]
    );
    assert_eq!(&file[0x820..0x82a], b"synthetic\0");
    assert_eq!(&file[0x60..0x64], b"PAGE");
}

#[test]
fn a_raw_image_has_the_encoded_debugger_data() {
    let keys =
        DebuggerKeys { wait_never: 0x00c3_71a5_88f0_1923, wait_always: 0x8f17_2b00_41d2_6ee5 };
    let plain = Machine::new(Build::Win11).assemble();
    let encoded = Machine::new(Build::Win11).encode_debugger_data(keys).assemble();
    let block = plain.address("nt!KdDebuggerDataBlock");
    let flag = plain.address("nt!KdpDataBlockEncoded");
    assert_eq!(encoded.read(flag, 1), Some(vec![1]));
    let [plain_bytes, encoded_bytes] = [&plain, &encoded].map(|m| m.read(block, 0x3a0).unwrap());
    assert_eq!(&plain_bytes[0x10..0x14], b"KDBG");
    assert_ne!(plain_bytes, encoded_bytes);
    for at in (0..0x3a0).step_by(8) {
        // Decodes as the kernel does.
        let x = (u64_at(&encoded_bytes, at) ^ keys.wait_never)
            .rotate_left((keys.wait_never & 0xff) as u32 % 64);
        assert_eq!(
            (x ^ flag).swap_bytes() ^ keys.wait_always,
            u64_at(&plain_bytes, at),
            "at {at:#x}"
        );
    }
    let raw = encoded.dump(DumpKind::Raw);
    let pa = encoded.space().translate(block).unwrap() as usize;
    assert_eq!(&raw[pa..pa + 8], &encoded_bytes[..8]);
}

#[test]
fn an_elf_core_holds_the_same_pages_and_the_table_of_each_processor() {
    let assembly = Machine::new(Build::Win10Vb).assemble();
    let file = assembly.dump(DumpKind::Elf);
    assert_eq!(&file[..7], b"\x7fELF\x02\x01\x01");
    let count = (u32_at(&file, 0x38) & 0xffff) as usize;
    let mut pages = 0;
    for at in (1..count).map(|i| 64 + 56 * i) {
        assert_eq!(u32_at(&file, at), 1);
        let (offset, address) = (u64_at(&file, at + 8), u64_at(&file, at + 0x18));
        for page in 0..u64_at(&file, at + 0x20) / 0x1000 {
            let held = &file[(offset + page * 0x1000) as usize..][..0x1000];
            let pfn = address / 0x1000 + page;
            assert_eq!(assembly.space().memory().page(pfn).map(|p| &p[..]), Some(held));
            pages += 1;
        }
    }
    assert_eq!(pages, assembly.space().memory().len());
    let notes =
        u64_at(&file, 64 + 8) as usize..(u64_at(&file, 64 + 8) + u64_at(&file, 64 + 0x20)) as usize;
    let owners: Vec<usize> =
        notes.filter(|&at| &file[at..at + 5] == b"QEMU\0" && at % 4 == 0).collect();
    assert_eq!(owners.len(), 2);
    assert!(owners.iter().all(|at| u64_at(&file, at + 8 + 0x1a0) == assembly.header.dtb));
}

#[test]
fn a_small_dump_has_its_parts_at_the_offsets_in_its_header() {
    let assembly = Machine::new(Build::Win11).assemble();
    let file = assembly.small_dump(&[]);
    let content = assembly.small_dump_content(&[]);
    let at = |word: usize| u32_at(&file, 0x2000 + word) as usize;
    assert_eq!(u32_at(&file, 0xf98), 4);
    assert_eq!(&file[at(8)..at(8) + 4], b"TRGD");
    assert_eq!(at(4), file.len());
    assert_eq!((at(0x34), at(0x7c)), (2, 3));
    assert_eq!(u64_at(&file, at(0x30) + 0x90 + 0x38), content.drivers[1].base);
    assert_eq!(u64_at(&file, 0x2048), content.stack.0);
    assert_eq!(file[at(0x28)..][..at(0x2c)], content.stack.1);
    assert_eq!(&file[at(0x70) + 0x10..][..4], b"KDBG");
    for (i, (address, bytes)) in content.blocks.iter().enumerate() {
        let entry = at(0x78) + 16 * i;
        assert_eq!(u64_at(&file, entry), *address);
        let offset = u32_at(&file, entry + 8) as usize;
        assert_eq!(file[offset..][..u32_at(&file, entry + 12) as usize], bytes[..]);
    }
}
