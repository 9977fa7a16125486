//! Edge cases that no other test covered when the source was changed on purpose, one place at a time. These
//! tests do not need `../shared`.

use std::sync::Arc;

use crate::common::{open_dump, session};
use proptest::prelude::*;
use verifier_core::addr::Space;
use verifier_core::dump::Header;
use verifier_core::error::{Fault, Reason};
use verifier_core::kernel::AddressSpace;
use verifier_core::machine::Machine;
use verifier_core::memory::{Memory, PageTables, Pages, PagingMode, Residence, SparsePages};
use verifier_core::verifier::log::PoolLog;
use verifier_core::{Pa, Va};
use verifier_synth::dump::write_dump;
use verifier_synth::{
    Build, DumpKind, HeaderInfo, Log, Machine as Synth, MachineType, PhysicalMemory, Placement,
    PoolRecord,
};

const PAGE: usize = 0x1000;

/// A dump of four pages, frames 0x10 to 0x13, each filled with its frame number.
fn four_pages(machine: MachineType, kind: DumpKind) -> Vec<u8> {
    let mut memory = PhysicalMemory::new(Placement::Sequential { first: 1 });
    for pfn in 0x10..0x14u64 {
        memory.write(pfn * PAGE as u64, &[pfn as u8; PAGE]);
    }
    write_dump(kind, &HeaderInfo::new(machine, 19041, 0x1a_d000), &memory)
}

fn put64(file: &mut [u8], at: usize, value: u64) {
    file[at..at + 8].copy_from_slice(&value.to_le_bytes());
}

#[test]
fn a_bitmap_that_reaches_into_the_first_page_is_refused() {
    let mut file = four_pages(MachineType::X64, DumpKind::BitmapKernel);
    // The file is long enough for these bits, but the space before the first page is not.
    let first_page = u64::from_le_bytes(file[0x2020..0x2028].try_into().unwrap());
    put64(&mut file, 0x2030, (first_page - 0x2038) * 8);
    assert!(open_dump(file.clone()).physical().is_ok());
    put64(&mut file, 0x2030, (first_page - 0x2038) * 8 + 1);
    let error = open_dump(file).physical().unwrap_err().to_string();
    assert!(error.contains("does not fit before the first page"), "{error}");
}

#[test]
fn ranges_past_the_page_count_of_a_full_dump_are_ignored() {
    // `.dump /f` bounds its list by the number of pages, not by a zero entry.
    let mut file = four_pages(MachineType::X64, DumpKind::RangesComplete);
    let list: Vec<(u64, u64)> = file[0x2030..0x2050]
        .chunks(16)
        .map(|range| {
            let number = |at: usize| u64::from_le_bytes(range[at..at + 8].try_into().unwrap());
            (number(0), number(8))
        })
        .collect();
    assert_eq!(list, [(0x10, 4), (0, 0)], "the builder's list");
    put64(&mut file, 0x2040, 0x5000);
    put64(&mut file, 0x2048, 1);
    let pages = open_dump(file).physical().unwrap();
    assert_eq!(pages.map().page_count(), 4);
    assert_eq!(pages.map().offset(0x5000), None);
    assert!(pages.map().offset(0x13).is_some());
}

#[test]
fn a_dump_is_walked_as_far_as_its_file_goes() {
    // The only run of a complete dump claims an exbibyte.
    let mut file = four_pages(MachineType::X64, DumpKind::Complete);
    put64(&mut file, 0xa0, 1 << 48);
    let pages = open_dump(file).physical().unwrap();
    assert_eq!(pages.map().page_count(), 1 << 48);
    let walk = |pages: &dyn Pages| {
        let next = |at: &Pa| pages.next_page(at.add(0x1000));
        std::iter::successors(pages.next_page(Pa(0)), next).take(100).collect::<Vec<_>>()
    };
    let held = [0x1_0000, 0x1_1000, 0x1_2000, 0x1_3000].map(Pa);
    assert_eq!(walk(&pages), held);
    // A bitmap dump that is cut in its third page.
    let mut file = four_pages(MachineType::X64, DumpKind::BitmapKernel);
    file.truncate(file.len() - 0x1800);
    assert_eq!(walk(&open_dump(file).physical().unwrap()), held[..2]);
}

#[test]
fn null_addresses_in_a_header_are_none() {
    for (machine, fields, size) in [
        (MachineType::X64, [0x18, 0x20, 0x28, 0x80], 8),
        (MachineType::X86, [0x14, 0x18, 0x1c, 0x60], 4),
    ] {
        let mut file = four_pages(machine, DumpKind::Complete);
        let read = |file: &[u8]| {
            let dump = open_dump(file.to_vec());
            let header = dump.header();
            [
                header.pfn_data_base,
                header.ps_loaded_module_list,
                header.ps_active_process_head,
                header.kd_debugger_data_block,
            ]
        };
        for at in fields {
            file[at..at + size].copy_from_slice(&0x8765_4321u64.to_le_bytes()[..size]);
        }
        assert_eq!(read(&file), [Some(Va(0x8765_4321)); 4], "{machine:?}");
        for at in fields {
            file[at..at + size].fill(0);
        }
        assert_eq!(read(&file), [None; 4], "{machine:?}");
    }
}

fn tables(physical: SparsePages<Pa>, mode: PagingMode) -> PageTables {
    PageTables::new(Arc::new(physical), Pa(0x1000), mode)
}

#[test]
fn a_prototype_entry_is_not_in_transition_whatever_bit_11_says() {
    let entry = |bits: u64| 0x5000 | bits;
    let table = |at: u64| at | 1;
    let walk = |mode, bits: u64| {
        let mut memory = SparsePages::new();
        let levels = match mode {
            PagingMode::X86 => 2,
            PagingMode::X86Pae => 3,
            _ => 4u64,
        };
        for level in 1..levels {
            memory.write(Pa(0x1000 * level), &table(0x1000 * (level + 1)).to_le_bytes());
        }
        memory.write(Pa(0x1000 * levels), &entry(bits).to_le_bytes());
        tables(memory, mode).translate(Va(0x123)).map(|found| found.pa)
    };
    for mode in [PagingMode::X86, PagingMode::X86Pae, PagingMode::X64] {
        assert_eq!(walk(mode, 0x800), Ok(Pa(0x5123)), "{mode}");
        for bits in [0xc00, 0x400] {
            let reason = walk(mode, bits).unwrap_err().reason;
            let Reason::NotPresent { level, entry: told, .. } = reason else { panic!("{reason}") };
            assert_eq!((level, told), (1, entry(bits)), "{mode}");
        }
    }
}

#[test]
fn a_large_page_of_x86_can_be_beyond_4_gib() {
    // PSE-36: bits 13 to 20 of the entry are bits 32 to 39 of the address.
    let entry: u32 = 0x00c0_0000 | 0x12 << 13 | 0x81;
    let memory = SparsePages::new().with(Pa(0x1000), &entry.to_le_bytes());
    let found = tables(memory, PagingMode::X86).translate(Va(0x12_3456)).unwrap();
    assert_eq!((found.pa, found.page_size), (Pa(0x12_00d2_3456), 0x40_0000));
}

/// Two-level tables that map virtual address 0 to physical 0x3000.
fn one_page() -> SparsePages<Pa> {
    SparsePages::new()
        .with(Pa(0x1000), &0x2003u32.to_le_bytes())
        .with(Pa(0x2000), &0x3003u32.to_le_bytes())
}

#[test]
fn a_page_that_is_held_in_part_faults_at_its_first_byte_that_is_not() {
    let tables = tables(one_page().with(Pa(0x3000), &[7; 0x123]), PagingMode::X86);
    let mut buf = [0; 0x40];
    let fault = tables.read(Va(0x100), &mut buf).unwrap_err();
    assert_eq!((fault.address, fault.done), (0x123, 0x23));
    assert_eq!(buf[..0x23], [7; 0x23]);
}

#[test]
fn a_reader_that_says_that_it_read_more_than_was_asked_is_not_believed() {
    struct Careless(SparsePages<Pa>);
    impl Memory<Pa> for Careless {
        fn read_in_page(&self, at: Pa, buf: &mut [u8]) -> Result<Residence, Fault> {
            self.0.read_in_page(at, buf).map_err(|fault| Fault { done: usize::MAX, ..fault })
        }
    }
    // The second page is mapped but absent.
    let memory = one_page().with(Pa(0x3000), &[7; 0x1000]);
    let memory = Careless(memory.with(Pa(0x2004), &0x4003u32.to_le_bytes()));
    let fault = memory.read(Pa(0x3ff0), &mut [0; 0x40]).unwrap_err();
    assert_eq!((fault.address, fault.done), (0x4000, 0x40));
    let tables = PageTables::new(Arc::new(memory), Pa(0x1000), PagingMode::X86);
    let fault = tables.read(Va(0xff8), &mut [0; 0x10]).unwrap_err();
    assert_eq!((fault.space, fault.address, fault.done), (Space::Virtual, 0x1008, 0x10));
}

/// Tables at 0x1000 in which one address of the kernel leads to a page at 0x5000 in four levels and to
/// one at 0xa000 in five.
fn four_and_five_levels() -> (SparsePages<Pa>, u64) {
    let mut memory = SparsePages::new();
    let mut link = |table: u64, index: u64, to: u64| {
        memory.write(Pa(table + 8 * index), &(to | 1).to_le_bytes());
    };
    link(0x1000, 0x1f0, 0x2000);
    link(0x2000, 0, 0x3000);
    link(0x3000, 0, 0x4000);
    link(0x4000, 0, 0x5000);
    link(0x1000, 0x1ff, 0x6000);
    link(0x6000, 0x1f0, 0x7000);
    link(0x7000, 0, 0x8000);
    link(0x8000, 0, 0x9000);
    link(0x9000, 0, 0xa000);
    (memory, 0xffff_f800_0000_0000)
}

/// The paging mode that follows from a dump's header over `memory`, with tables at 0x1000.
fn paging_of(
    memory: SparsePages<Pa>,
    machine: Machine,
    change: impl Fn(&mut Header),
) -> PagingMode {
    let mut header = open_dump(write_dump(
        DumpKind::Complete,
        &HeaderInfo::new(MachineType::X64, 22000, 0x1000),
        &PhysicalMemory::new(Placement::Sequential { first: 1 }),
    ))
    .header()
    .clone();
    (header.ps_loaded_module_list, header.kd_debugger_data_block) = (None, None);
    (header.pfn_data_base, header.pae_enabled) = (None, None);
    change(&mut header);
    AddressSpace::of_physical(Arc::new(memory), &header, machine).paging().unwrap()
}

#[test]
fn an_address_that_reads_in_four_levels_does_not_make_them_four() {
    // Only neighbors that point at each other decide, whatever else is mapped.
    let (mut memory, head) = four_and_five_levels();
    memory.write(Pa(0x5000), &[head.to_le_bytes(), 0x41u64.to_le_bytes()].concat());
    memory.write(Pa(0xa000), &[head.to_le_bytes(), head.to_le_bytes()].concat());
    memory.write(Pa(0x5110), b"KDBG");
    let found = paging_of(memory, Machine::X64, |header| {
        header.ps_loaded_module_list = Some(Va(head));
        header.kd_debugger_data_block = Some(Va(head + 0x100));
    });
    assert_eq!(found, PagingMode::X64La57);
}

#[test]
fn the_debugger_data_give_the_paging_mode_if_no_list_does() {
    let (mut memory, page) = four_and_five_levels();
    memory.write(Pa(0x5000), &[0; PAGE]);
    memory.write(Pa(0xa110), b"KDBG");
    let found = |list: Option<Va>| {
        paging_of(memory.clone(), Machine::X64, |header| {
            header.kd_debugger_data_block = Some(Va(page + 0x100));
            header.ps_loaded_module_list = list;
        })
    };
    assert_eq!(found(None), PagingMode::X64La57);
    // A list whose first entry is absent does not decide.
    assert_eq!(found(Some(Va(page + 0x200))), PagingMode::X64La57);
}

#[test]
fn mapped_addresses_give_the_paging_mode_if_nothing_else_does() {
    // With four levels, the last table is absent.
    let (mut memory, page) = four_and_five_levels();
    memory.write(Pa(0x4000), &[0; PAGE]);
    let found = |at: Option<Va>| {
        paging_of(memory.clone(), Machine::X64, |header| header.pfn_data_base = at)
    };
    assert_eq!(found(Some(Va(page))), PagingMode::X64La57);
    assert_eq!(found(None), PagingMode::X64, "the more common one");
    // The same on x86: a page directory is not a PAE table.
    let mut memory = SparsePages::new();
    memory.write(Pa(0x1800), &0x2001u32.to_le_bytes());
    memory.write(Pa(0x2000), &0x3001u32.to_le_bytes());
    let found = |at: Option<Va>| {
        paging_of(memory.clone(), Machine::X86, |header| header.kd_debugger_data_block = at)
    };
    assert_eq!(found(Some(Va(0x8000_0000))), PagingMode::X86);
    assert_eq!(found(None), PagingMode::X86Pae);
}

/// A machine whose pool log has 16 slots, with `written` records from index `before` on.
fn log_of(build: Build, before: u32, written: u64) -> PoolLog {
    let mut machine = Synth::new(build);
    let top = if build.machine() == MachineType::X86 { 0x8500_0000 } else { 0xffff_fa80_0500_0000 };
    machine.level(8);
    let code = machine.kernel_address("ExAllocatePoolWithTag") + 0x10;
    let ring = machine.log(Log::Pool);
    ring.length = 16;
    ring.index_before = before;
    for n in 0..written {
        machine.pool_record(PoolRecord {
            address: top + 0x1000 * n,
            size: n + 1,
            thread: top + 0x40,
            frames: vec![code; 1 + n as usize % 5],
            stale: vec![top + 0x99; 3],
        });
    }
    PoolLog::read(&session(machine.build(DumpKind::Summary)), None).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// The index is anywhere around its wrap: a small index does not mean a first lap.
    #[test]
    fn records_older_than_the_wrap_are_records(steps in 0u32..40, written in 16u64..60) {
        let log = log_of(Build::Win7Sp1, u32::MAX - steps, written);
        let sizes: Vec<u64> = log.records.iter().map(|record| record.size).collect();
        let expected: Vec<u64> = (written - 15..=written).rev().collect();
        prop_assert_eq!(sizes, expected);
        prop_assert_eq!(log.unused, 0);
        prop_assert!(log.problems.is_empty(), "{:?}", log.problems);
    }
}

#[test]
fn a_stack_ends_at_its_null_in_both_widths() {
    for build in [Build::Win7Sp1X86, Build::Win10VbX86, Build::Win7Sp1] {
        let log = log_of(build, 0, 10);
        let depths: Vec<usize> =
            log.records.iter().rev().map(|record| log.frames(record).len()).collect();
        assert_eq!(depths, [1, 2, 3, 4, 5, 1, 2, 3, 4, 5], "{build:?}");
    }
}
