//! Memory without a Windows header: core files of virtual machines and raw images, in which page tables and
//! kernel are searched for. Views then read the same as from a crash dump of the same machine.

use std::cell::Cell;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, RwLock};

use crate::common::{kernel_of, supply};
use verifier_core::addr::{PAGE_SIZE, Space};
use verifier_core::dump::{ElfCore, MemoryFile, ReadAt as _, TriageDriver, Unlabeled};
use verifier_core::kernel::{
    AddressSpace, DebuggerData, FoundKernel, Hints, Kernel, Limits, Module as KernelModule,
    ModuleSource, TableSource, find_kernel, find_kernel_until,
};
use verifier_core::machine::Machine as Cpu;
use verifier_core::memory::{Memory, PageTables, Pages, PagingMode, Residence};
use verifier_core::types::Profile;
use verifier_core::verifier::log::Ring;
use verifier_core::verifier::{PoolReport, Settings};
use verifier_core::{Completeness, Error, Extent, Fault, Pa, Pfn, Reason, Rva, Va};
use verifier_synth::{
    Allocation, Assembly, Build, DebuggerKeys, Driver, DumpKind, Machine, MachineType, Paging,
    PoolRecord,
};

fn machine(build: Build) -> Machine {
    let mut m = Machine::new(build);
    let leaky = m.driver(Driver::new("leaky.sys").pdb("leaky.pdb").symbol("LeakyRead", 0x1200));
    let caller = m.driver_address(leaky, "LeakyRead") + 0x34;
    m.level(8);
    m.verified(leaky)
        .allocation(Allocation::nonpaged(0x8500_0000, 0x210, b"Leak", caller))
        .allocation(Allocation::paged(0x8500_1000, 0x50, b"Peak", caller));
    m.pool_record(PoolRecord {
        address: 0x8500_0000,
        size: 0x200,
        thread: caller & !0xff,
        frames: vec![caller],
        stale: vec![],
    });
    m
}

fn search(file: &MemoryFile, base: Option<Pa>) -> Result<FoundKernel, Error> {
    find_kernel(&file.unlabeled()?, base, &Limits::default())
}

fn elf(assembly: &Assembly) -> MemoryFile {
    MemoryFile::open(Arc::new(assembly.dump(DumpKind::Elf))).unwrap()
}

fn raw(assembly: &Assembly) -> MemoryFile {
    MemoryFile::raw(Arc::new(assembly.dump(DumpKind::Raw)))
}

/// The kernel with symbols, and with the lists to which these lead.
fn session(found: FoundKernel, assembly: &Assembly) -> Kernel {
    let kernel = Kernel::open(found.space, found.hints).unwrap();
    assert!(supply(&kernel, &assembly.files) > 0);
    match kernel.modules_from() {
        ModuleSource::KernelAlone => {
            let whole = kernel.with_lists_from_symbols().unwrap();
            supply(&whole, &assembly.files);
            whole
        }
        _ => kernel,
    }
}

#[track_caller]
fn is_the_same_machine(kernel: &Kernel, assembly: &Assembly) {
    let whole = kernel_of(assembly.dump(DumpKind::Complete));
    supply(&whole, &assembly.files);
    assert_eq!(kernel.problems(), []);
    assert_eq!(kernel.base(), whole.base());
    assert_eq!(kernel.build(), whole.build());
    assert_eq!(kernel.space().paging(), whole.space().paging());
    assert_eq!(kernel.modules().loaded(), whole.modules().loaded());
    assert_eq!(kernel.modules_from(), ModuleSource::List);
    assert_eq!(
        kernel.debugger_data().unwrap().mm_verifier_data,
        whole.debugger_data().unwrap().mm_verifier_data
    );
    assert_eq!(Settings::read(kernel), Settings::read(&whole));
    let pools = |kernel| PoolReport::read(kernel, |_| true).unwrap();
    assert_eq!(pools(kernel).drivers, pools(&whole).drivers);
    assert_eq!(pools(kernel).drivers[0].allocations.len(), 2);
}

#[test]
fn an_elf_core_of_every_build() {
    for build in Build::ALL {
        let assembly = machine(build).assemble();
        let file = elf(&assembly);
        let MemoryFile::Elf(core) = &file else { panic!("{file:?}") };
        assert_eq!(core.problems, []);
        let pages = assembly.space().memory().len() as u64;
        assert_eq!(core.memory.bytes(), pages * 0x1000, "{build:?}");
        let (cpu, from) = match build.machine() {
            MachineType::X86 => (Cpu::X86, TableSource::Processor(0)),
            MachineType::X64 => (Cpu::X64, TableSource::Processor(0)),
            MachineType::Arm64 => (Cpu::Arm64, TableSource::Given),
        };
        assert_eq!((core.machine(), core.file_len()), (Some(cpu), file.file_len()));
        let dtb = Pa(assembly.header.dtb);
        let given = (build.machine() == MachineType::Arm64).then_some(dtb);
        if given.is_some() {
            // QEMU does not give an ARM machine's tables, and they have no mark, so they are found by their
            // shape.
            assert!(core.processors.is_empty());
            let found = search(&file, None).unwrap();
            let from = TableSource::Shape;
            assert_eq!((found.directory_table_base, found.tables_from), (dtb, from), "{build:?}");
            is_the_same_machine(&session(found, &assembly), &assembly);
        } else {
            assert_eq!(core.processors, [dtb, dtb]);
        }
        let found = search(&file, given).unwrap();
        assert_eq!((found.directory_table_base, found.tables_from), (dtb, from), "{build:?}");
        is_the_same_machine(&session(found, &assembly), &assembly);
    }
}

#[test]
fn a_raw_image_in_every_paging_scheme() {
    let machines = [
        (machine(Build::Win7Sp1), PagingMode::X64),
        (machine(Build::Win10Vb), PagingMode::X64),
        (machine(Build::Win11).paging(Paging::X64La57).clone(), PagingMode::X64La57),
        (machine(Build::Win7Sp1X86).paging(Paging::X86).clone(), PagingMode::X86),
        (machine(Build::Win10VbX86), PagingMode::X86Pae),
    ];
    for (machine, mode) in machines {
        let assembly = machine.assemble();
        let file = raw(&assembly);
        assert_eq!(file.kind_name(), "raw physical memory");
        let found = search(&file, None).unwrap();
        assert_eq!(found.tables_from, TableSource::SelfMap);
        assert_eq!(found.space.paging(), Some(mode));
        if mode != PagingMode::X86Pae {
            assert_eq!(found.directory_table_base, Pa(assembly.header.dtb), "{mode}");
        }
        is_the_same_machine(&session(found, &assembly), &assembly);
    }
    let assembly = machine(Build::Win11Arm64).assemble();
    let found = search(&raw(&assembly), Some(Pa(assembly.header.dtb))).unwrap();
    assert_eq!(found.space.machine(), Cpu::Arm64);
    is_the_same_machine(&session(found, &assembly), &assembly);
}

#[test]
fn tables_that_do_not_map_themselves_are_found_by_their_shape() {
    for (build, paging) in [(Build::Win7Sp1X86, Paging::X86), (Build::Win10VbX86, Paging::X86Pae)] {
        let mut assembly = machine(build).paging(paging).clone().assemble();
        let dtb = assembly.header.dtb;
        let memory = assembly.space_mut().memory_mut();
        match paging {
            Paging::X86 => memory.write(dtb + 0x300 * 4, &[0; 4]),
            _ => {
                let fourth = memory.read(dtb + 3 * 8, 8).unwrap();
                let fourth = u64::from_le_bytes(fourth.try_into().unwrap()) & !0xfff;
                memory.write(fourth, &[0; 4 * 8]);
            }
        }
        let found = search(&raw(&assembly), None).unwrap();
        assert_eq!(found.tables_from, TableSource::Shape);
        assert_eq!(found.directory_table_base, Pa(dtb), "{paging:?}");
        is_the_same_machine(&session(found, &assembly), &assembly);
    }
}

/// A machine whose tables do not map themselves. Before them in memory is a table that maps only the first
/// pages of the kernel's image.
fn with_decoy() -> Assembly {
    const DECOY: u64 = 0x3000;
    let mut assembly = machine(Build::Win7Sp1X86).paging(Paging::X86).clone().assemble();
    let (dtb, kernel) = (assembly.header.dtb, assembly.address("nt!PsLoadedModuleList"));
    let base = kernel_of(assembly.dump(DumpKind::Complete)).base().0;
    assert!(DECOY < dtb && base >> 22 != 0x300 && kernel > base);
    let memory = assembly.space_mut().memory_mut();
    memory.write(dtb + 0x300 * 4, &[0; 4]);
    memory.write(DECOY, &[0; 0x1000]);
    let entry = memory.read(dtb + (base >> 22) * 4, 4).unwrap();
    memory.write(DECOY + (base >> 22) * 4, &entry);
    assembly
}

#[test]
fn tables_through_which_no_module_list_can_be_read_are_skipped() {
    let assembly = with_decoy();
    let found = search(&raw(&assembly), None).unwrap();
    assert_eq!(found.tables_from, TableSource::Shape);
    assert_eq!(found.directory_table_base, Pa(assembly.header.dtb));
    is_the_same_machine(&session(found, &assembly), &assembly);
}

#[test]
fn tables_known_only_by_their_shape_leave_every_answer_unknown() {
    let mut assembly = with_decoy();
    let dtb = assembly.header.dtb;
    assembly.space_mut().memory_mut().write(dtb, &[0; 0x1000]);
    let found = search(&raw(&assembly), None).unwrap();
    assert!(found.hints.is_uncertain && found.directory_table_base != Pa(dtb));
    let kernel = Kernel::open(found.space, found.hints).unwrap();
    assert_eq!(kernel.modules_from(), ModuleSource::KernelAlone);
    assert!(supply(&kernel, &assembly.files) > 0);
    let kernel = kernel.with_lists_from_symbols().unwrap();
    supply(&kernel, &assembly.files);
    if let Ok(report) = PoolReport::read(&kernel, |_| true) {
        assert_eq!(report.allocations().count(), 0);
        let answer = Completeness::of(&report.problems);
        assert_eq!(answer.extent, Extent::Unknown);
        assert!(answer.because[0].contains("only their shape speaks for them"), "{answer:?}");
    }
}

#[test]
fn a_dump_is_searched_as_any_memory_is() {
    for kind in [DumpKind::Complete, DumpKind::BitmapKernel, DumpKind::RangesKernel] {
        let assembly = machine(Build::Win10Vb).assemble();
        let file = MemoryFile::open(Arc::new(assembly.dump(kind))).unwrap();
        let found = search(&file, None).unwrap();
        assert_eq!(found.tables_from, TableSource::SelfMap, "{kind:?}");
        is_the_same_machine(&session(found, &assembly), &assembly);
    }
    let small = machine(Build::Win10Vb).assemble().small_dump(&[]);
    assert!(MemoryFile::open(Arc::new(small)).unwrap().unlabeled().is_err());
}

#[test]
fn no_memory_is_held_past_the_end_of_a_core_that_was_cut_short() {
    let whole = machine(Build::Win10Vb).assemble().dump(DumpKind::Elf);
    let MemoryFile::Elf(core) = MemoryFile::open(Arc::new(whole.clone())).unwrap() else {
        panic!()
    };
    let (last, bytes) = core.memory.stretches().last().unwrap();
    let cut = whole[..whole.len() - bytes as usize].to_vec();
    let MemoryFile::Elf(cut) = MemoryFile::open(Arc::new(cut)).unwrap() else { panic!() };
    assert_eq!((core.memory.next_page(last), cut.memory.next_page(last)), (Some(last), None));
}

#[test]
fn without_exports_the_debugger_data_lead_to_the_lists() {
    let mut machine = machine(Build::Win7Sp1);
    machine.kernel_mut().exports.clear();
    let assembly = machine.assemble();
    let found = search(&raw(&assembly), None).unwrap();
    let kernel = Kernel::open(found.space, found.hints).unwrap();
    assert_eq!(kernel.modules_from(), ModuleSource::List);
    assert!(kernel.modules().loaded().len() > 1);
}

#[test]
fn without_exports_the_symbols_lead_to_the_lists() {
    let mut machine = machine(Build::Win10Vb);
    machine.kernel_mut().exports.clear();
    // Otherwise the debugger data would lead to them, which are found by their signature.
    machine.encode_debugger_data(DebuggerKeys { wait_never: 0x23_0f1a, wait_always: 0x9_8e21 });
    let assembly = machine.assemble();
    let found = search(&raw(&assembly), None).unwrap();
    let kernel = Kernel::open(found.space, found.hints).unwrap();
    assert_eq!(kernel.modules_from(), ModuleSource::KernelAlone);
    assert_eq!((kernel.modules().loaded().len(), kernel.build()), (1, 0));
    assert_eq!(kernel.modules().loaded()[0].short_name, "nt");
    assert!(kernel.problems()[0].why.contains("only the kernel's symbols say where it is"));
    assert!(kernel.with_lists_from_symbols().is_err());
    assert_eq!(supply(&kernel, &assembly.files), 1);
    let stopped = Arc::new(AtomicBool::new(false));
    let stop = Arc::clone(&stopped);
    kernel.stop_when(Box::new(move || stop.load(Ordering::Relaxed)));
    let whole = kernel.with_lists_from_symbols().unwrap();
    // The kernel kept its symbols and its stop function.
    assert!(whole.has_own_types() && whole.symbol_source(0).is_some());
    stopped.store(true, Ordering::Relaxed);
    assert!(whole.is_stopped());
    stopped.store(false, Ordering::Relaxed);
    supply(&whole, &assembly.files);
    is_the_same_machine(&whole, &assembly);
}

#[test]
fn built_in_types_lead_to_the_lists_too_and_stay() {
    let mut machine = machine(Build::Win7Sp1);
    machine.kernel_mut().exports.clear();
    let assembly = machine.assemble();
    let found = search(&raw(&assembly), None).unwrap();
    let kernel = Kernel::open(found.space, found.hints).unwrap();
    let list = assembly.address("nt!PsLoadedModuleList") - kernel.base().0;
    let profile = Profile::new(Cpu::X64, 7601).unwrap();
    let profile = profile.with_symbol("PsLoadedModuleList", Rva(list as u32), "test");
    kernel.supply_built_in_types(Arc::new(profile));
    let whole = kernel.with_lists_from_symbols().unwrap();
    assert_eq!(whole.modules_from(), ModuleSource::List);
    assert!(whole.types().is_ok() && !whole.has_own_types());
}

#[test]
fn encoded_debugger_data_is_decoded_by_the_symbols() {
    let keys =
        DebuggerKeys { wait_never: 0x00c3_71a5_88f0_1923, wait_always: 0x8f17_2b00_41d2_6ee5 };
    let assembly = machine(Build::Win10Vb).encode_debugger_data(keys).assemble();
    let found = search(&raw(&assembly), None).unwrap();
    let block = Va(assembly.address("nt!KdDebuggerDataBlock"));
    assert!(DebuggerData::read(&found.space, block, None).is_err());
    let kernel = session(found, &assembly);
    let data = kernel.debugger_data().unwrap();
    assert!(data.was_encoded);
    assert_eq!((data.address, data.kernel_base), (block, kernel.base()));
    assert_eq!(Settings::read(&kernel).unwrap().level.0, 8);
}

#[test]
fn tables_that_do_not_lead_to_a_kernel_are_skipped() {
    let mut assembly = machine(Build::Win10Vb).assemble();
    // Before the real table are a page that maps only itself, and one that maps itself at every address.
    let memory = assembly.space_mut().memory_mut();
    memory.write(0x3000 + 8 * 0x1b6, &0x3063u64.to_le_bytes());
    memory.write(0x5000, &0x5063u64.to_le_bytes().repeat(512));
    let found = search(&raw(&assembly), None).unwrap();
    assert_eq!(found.directory_table_base, Pa(assembly.header.dtb));
    // Every address is mapped to the page itself: at each level this is one table.
    let mut file = vec![0u8; 0x6000];
    file[0x5000..].copy_from_slice(&0x5063u64.to_le_bytes().repeat(512));
    let mut limits = Limits::default();
    let memory = MemoryFile::raw(Arc::new(file.clone())).unlabeled().unwrap();
    let error = find_kernel(&memory, None, &limits).unwrap_err().to_string();
    assert!(error.contains("look like top page tables") && !error.contains("limit"), "{error}");
    limits.search_pages = 0x1234;
    let memory = MemoryFile::raw(Arc::new(file)).unlabeled().unwrap();
    assert!(find_kernel(&memory, Some(Pa(0x5000)), &limits).is_err());
    let error = find_kernel(&memory, None, &limits).unwrap_err();
    let says = |error: &Error, text: &str| assert!(error.to_string().contains(text), "{error}");
    says(&error, "of 0x6 page frames 2 look like top page tables");
    says(&error, "limit reached (Limits::search_pages)");
    limits.search_frames = 5;
    let error = find_kernel(&memory, None, &limits).unwrap_err();
    assert!(matches!(error, Error::Limit { name: "Limits::search_frames", .. }), "{error}");
    let error = find_kernel(&memory, Some(Pa(0x2000)), &limits).unwrap_err();
    says(&error, "mapped by page tables at 0x2000");
    assert!(!error.to_string().contains("limit"), "{error}");
}

#[test]
fn a_search_that_is_cut_short_says_by_which_limit() {
    // A hundred pages that map only themselves, once; after them five directories of 512 empty tables each,
    // the table that maps these, and the top table.
    let mut file = vec![0u8; (100 + 5 + 5 * 512 + 2) * 0x1000];
    let mut link = |table: usize, index: usize, to: usize| {
        word(&mut file, table * 0x1000 + 8 * index, (to as u64 * 0x1000) | 0x63, 8);
    };
    (0..100).for_each(|page| link(page, 0x1b6, page));
    let (middle, top) = (105 + 5 * 512, 106 + 5 * 512);
    link(top, 0x1f0, middle);
    for directory in 0..5 {
        link(middle, directory, 100 + directory);
        (0..512).for_each(|i| link(100 + directory, i, 105 + directory * 512 + i));
    }
    let memory = MemoryFile::raw(Arc::new(file)).unlabeled().unwrap();
    let error = find_kernel(&memory, None, &Limits::default()).unwrap_err().to_string();
    // The directories also have the shape of a 32-bit machine's table.
    assert!(error.contains("limit reached (MAX_SHAPE_STEPS, MAX_TABLES)"), "{error}");
    let top = Pa(top as u64 * 0x1000);
    let error = find_kernel(&memory, Some(top), &Limits::default()).unwrap_err().to_string();
    assert!(error.ends_with("limit reached (MAX_STEPS)"), "{error}");
}

#[test]
fn a_search_can_be_stopped() {
    let assembly = machine(Build::Win10Vb).assemble();
    let memory = raw(&assembly).unlabeled().unwrap();
    let asked = Cell::new(0);
    let search = |most| {
        asked.set(0);
        let stop = || asked.replace(asked.get() + 1) >= most;
        find_kernel_until(&memory, None, &Limits::default(), &stop)
    };
    assert!(search(u64::MAX).is_ok());
    let all = asked.get();
    for most in [0, 1, all / 2] {
        let error = search(most).unwrap_err();
        assert_eq!(error, Error::Stopped { what: "search for the kernel".into() });
        // One check at the page, and one for the message.
        assert!(asked.get() <= most + 4, "{} of {most}", asked.get());
    }
}

#[test]
fn a_processor_in_a_process_without_the_kernel_is_skipped() {
    let assembly = machine(Build::Win10Vb).assemble();
    let mut bytes = assembly.dump(DumpKind::Elf);
    // Both notes' CR3 lead nowhere: the tables are found by their mark.
    let dtb = assembly.header.dtb.to_le_bytes();
    let notes: Vec<usize> =
        (0..0x2000).filter(|&at| bytes[at..at + 4] == *b"QEMU").map(|at| at + 8 + 0x1a0).collect();
    assert_eq!(notes.len(), 2);
    for &at in &notes {
        assert_eq!(bytes[at..at + 8], dtb);
        bytes[at..at + 8].copy_from_slice(&0xdead_b000u64.to_le_bytes());
    }
    let found = search(&MemoryFile::open(Arc::new(bytes.clone())).unwrap(), None).unwrap();
    assert_eq!(found.tables_from, TableSource::SelfMap);
    // The second one does.
    bytes[notes[1]..notes[1] + 8].copy_from_slice(&dtb);
    let found = search(&MemoryFile::open(Arc::new(bytes)).unwrap(), None).unwrap();
    assert_eq!(found.tables_from, TableSource::Processor(1));
}

#[test]
fn a_raw_image_that_ends_inside_a_page_is_reported() {
    let bytes = machine(Build::Win10Vb).assemble().dump(DumpKind::Raw);
    let whole = MemoryFile::raw(Arc::new(bytes.clone()));
    assert_eq!((whole.truncation(), whole.problems()), (None, vec![]));
    let cut = MemoryFile::raw(Arc::new(bytes[..bytes.len() - 16].to_vec()));
    // The right length is unknown.
    assert_eq!(cut.truncation(), None);
    assert!(cut.problems()[0].why.starts_with("it ends inside a page, at offset 0x"));
}

/// Physical memory of a running machine.
struct Running(RwLock<Vec<u8>>);

impl Memory<Pa> for Running {
    fn read_in_page(&self, at: Pa, buf: &mut [u8]) -> Result<Residence, Fault> {
        self.0.read().unwrap().read_at(at.0, buf).map_err(|_| Fault {
            space: Space::Physical,
            address: at.0,
            done: 0,
            reason: Reason::NotHeld,
        })?;
        Ok(Residence::Valid)
    }
}

impl Pages for Running {
    fn next_page(&self, from: Pa) -> Option<Pa> {
        (from.0 < self.0.read().unwrap().len() as u64).then_some(from)
    }
}

/// The address of a page's page table entry, in tables of four levels.
fn entry_of(memory: &Running, base: Pa, va: Va) -> Pa {
    let mut table = base.0;
    for level in (1..4).rev() {
        let at = table + 8 * (va.0 >> (12 + 9 * level) & 0x1ff);
        table = memory.read_u64(Pa(at)).unwrap() & 0xf_ffff_ffff_f000;
    }
    Pa(table + 8 * (va.0 >> 12 & 0x1ff))
}

#[test]
fn page_tables_that_change_after_a_search_are_walked_anew() {
    let mut machine = machine(Build::Win10Vb);
    // The kernel is opened twice, because the symbols give the addresses of the lists.
    machine.kernel_mut().exports.clear();
    machine.encode_debugger_data(DebuggerKeys { wait_never: 0x23_0f1a, wait_always: 0x9_8e21 });
    let assembly = machine.assemble();
    let memory = Arc::new(Running(RwLock::new(assembly.dump(DumpKind::Raw))));
    let unlabeled =
        Unlabeled { memory: memory.clone(), machine: Some(Cpu::X64), processors: vec![] };
    let found = find_kernel(&unlabeled, None, &Limits::default()).unwrap();
    let base = found.directory_table_base;
    let kernel = session(found, &assembly);
    assert_eq!(kernel.modules_from(), ModuleSource::List);
    let global = kernel.global("MmVerifierData").unwrap();
    let level = Settings::read(&kernel).unwrap().level.0;
    assert_eq!(level, 8);
    // The page moves, and its old frame gets other contents.
    let entry = entry_of(&memory, base, global);
    let old = (memory.read_u64(entry).unwrap() & 0xf_ffff_ffff_f000) as usize;
    let mut bytes = memory.0.write().unwrap();
    let new = bytes.len();
    let page = bytes[old..old + 0x1000].to_vec();
    bytes.extend(page);
    bytes[old..old + 0x1000].fill(0xee);
    let moved = u64::from_le_bytes(bytes[entry.0 as usize..][..8].try_into().unwrap());
    let moved = moved & !0xf_ffff_ffff_f000 | new as u64;
    bytes[entry.0 as usize..][..8].copy_from_slice(&moved.to_le_bytes());
    drop(bytes);
    assert_eq!(Settings::read(&kernel).unwrap().level.0, level);
}

#[test]
fn a_core_that_is_cut_short() {
    let assembly = machine(Build::Win10Vb).assemble();
    let whole = assembly.dump(DumpKind::Elf);
    let MemoryFile::Elf(core) = elf(&assembly) else { panic!() };
    let (last, bytes) = core.memory.stretches().last().unwrap();
    for end in (0..0x3000).step_by(0x11).chain([whole.len() - 0x1234]) {
        match ElfCore::open(Arc::new(whole[..end].to_vec())) {
            Ok(core) => {
                let fault = core.memory.read_u8(last.add(bytes - 1)).unwrap_err();
                let reason = matches!(fault.reason, Reason::Truncated { .. });
                assert!(reason || !core.problems.is_empty(), "{end:#x}: {fault}");
            }
            Err(Error::Format { .. }) => assert!(end < 0x1000, "{end:#x}"),
            Err(error) => panic!("{end:#x}: {error}"),
        }
    }
    // Cut in its last page but one: the kernel is found, and the memory after the cut is absent.
    let cut = MemoryFile::open(Arc::new(whole[..whole.len() - 0x1234].to_vec())).unwrap();
    let truncation = cut.truncation().unwrap();
    assert_eq!((truncation.missing_bytes(), truncation.missing_pages), (0x1234, 2));
    assert_eq!(truncation.pages * PAGE_SIZE, core.memory.bytes());
    assert!(matches!(&cut.problems()[..], [one] if one.why.contains("copy the file again")));
    let uncut = elf(&assembly);
    assert_eq!((uncut.truncation(), uncut.problems()), (None, vec![]));
    assert_eq!(search(&cut, None).unwrap().directory_table_base, Pa(assembly.header.dtb));
}

fn word(bytes: &mut [u8], at: usize, value: u64, size: usize) {
    bytes[at..at + size].copy_from_slice(&value.to_le_bytes()[..size]);
}

#[test]
fn hostile_cores() {
    let whole = machine(Build::Win10Vb).assemble().dump(DumpKind::Elf);
    let patched = |at: usize, value: u64, size: usize| {
        let mut bytes = whole.clone();
        word(&mut bytes, at, value, size);
        ElfCore::open(Arc::new(bytes))
    };
    // More program headers than fit in the file: those that are there are read.
    for count in [0xfffe, 0xffff] {
        let core = patched(0x38, count, 2).unwrap();
        let why = &core.problems[0].why;
        assert!(why.contains(&format!("counts {count:#x} program headers")), "{why}");
    }
    // The number is in the first section header.
    let mut sections = whole.clone();
    let at = sections.len() as u64;
    let count = u64::from(u16::from_le_bytes([whole[0x38], whole[0x39]]));
    word(&mut sections, 0x38, 0xffff, 2);
    word(&mut sections, 0x28, at, 8);
    sections.resize(sections.len() + 64, 0);
    word(&mut sections, at as usize + 0x2c, count, 4);
    let core = ElfCore::open(Arc::new(sections.clone())).unwrap();
    assert_eq!(core.memory.bytes(), patched(0, 0x464c_457f, 4).unwrap().memory.bytes());
    word(&mut sections, at as usize + 0x2c, u64::from(u32::MAX), 4);
    let core = ElfCore::open(Arc::new(sections)).unwrap();
    assert!(core.problems[0].why.contains("counts 0xffffffff program headers"));
    // As many as fit in the file, and more than the limit.
    let many = vec![(0u64, 0u64, 0u64); 0x1_0001];
    let mut file = core_of(&many, &[0; 0x2000]);
    word(&mut file, 64 + 0x20, 0x1000, 8);
    let at = file.len() as u64;
    word(&mut file, 0x38, 0xffff, 2);
    word(&mut file, 0x28, at, 8);
    file.resize(file.len() + 64, 0);
    word(&mut file, at as usize + 0x2c, 0x1_0001, 4);
    let core = ElfCore::open(Arc::new(file)).unwrap();
    assert!(core.problems[0].why.contains("MAX_SEGMENTS"), "{:?}", core.problems);
    assert_eq!(core.memory.bytes(), 0x1000);
    // Notes of five megabytes.
    let mut file = core_of(&[(0, 0x1000, 0), (0, 5 << 20, 0)], &vec![0; 5 << 20]);
    word(&mut file, 64 + 56, 4, 4);
    let core = ElfCore::open(Arc::new(file)).unwrap();
    assert!(core.problems[0].why.contains("MAX_NOTES"), "{:?}", core.problems);
    // The largest offsets and sizes, for the notes (from 0x40 on) and for the first segment.
    for base in [0x40, 0x40 + 56] {
        for field in [8, 0x10, 0x18, 0x20, 0x28, 0x30] {
            for value in [1, u64::MAX, u64::MAX - 0xfff, 1 << 63, whole.len() as u64] {
                if let Ok(core) = patched(base + field, value, 8) {
                    let _ = core.memory.read_u64(Pa(value));
                    let _ = core.memory.read_u64(Pa(0x1000));
                }
            }
        }
    }
    assert!(matches!(patched(0x20, u64::MAX, 8), Err(Error::Format { .. })));
    // Big-endian, not a core, user programs.
    for (at, value) in [(5, 2), (4, 3), (0x10, 2)] {
        assert!(matches!(patched(at, value, 1), Err(Error::Format { .. })), "{at}");
    }
    // An unknown machine.
    let core = patched(0x12, 0xf3, 2).unwrap();
    assert_eq!((core.machine(), core.machine_number), (None, 0xf3));
}

/// A core of these segments: physical address, length in bytes, and offset in `content`.
fn core_of(segments: &[(u64, u64, u64)], content: &[u8]) -> Vec<u8> {
    let mut file = vec![0u8; 64 + 56 * segments.len()];
    file[..4].copy_from_slice(b"\x7fELF");
    file[4..7].copy_from_slice(&[2, 1, 1]);
    word(&mut file, 0x10, 4, 2);
    word(&mut file, 0x12, 62, 2);
    word(&mut file, 0x20, 64, 8);
    word(&mut file, 0x38, segments.len() as u64, 2);
    let start = file.len() as u64;
    for (i, &(address, bytes, at)) in segments.iter().enumerate() {
        let entry = 64 + 56 * i;
        word(&mut file, entry, 1, 4);
        word(&mut file, entry + 8, start + at, 8);
        word(&mut file, entry + 0x18, address, 8);
        word(&mut file, entry + 0x20, bytes, 8);
    }
    file.extend(content);
    file
}

#[test]
fn a_core_is_walked_as_far_as_its_file_goes() {
    // Two pages; a pebibyte, of which one and a half pages are in the file; a page.
    let segments = [(0x1000, 0x2000, 0), (0x10_0000, 1 << 50, 0x1000), (1 << 60, 0x1000, 0)];
    let file = Arc::new(core_of(&segments, &[7; 0x2800]));
    let core = ElfCore::open(file).unwrap();
    let mut pages = Vec::new();
    let mut next = core.memory.next_page(Pa(0));
    while let Some(page) = next.filter(|_| pages.len() < 100) {
        pages.push(page.0);
        next = core.memory.next_page(page.add(0x1000));
    }
    assert_eq!(pages, [0x1000, 0x2000, 0x10_0000, 0x10_1000, 1 << 60]);
    let fault = core.memory.read_u8(Pa(0x10_2000)).unwrap_err();
    assert!(matches!(fault.reason, Reason::Truncated { .. }), "{fault}");
}

/// Ten pages: tables that map every page of the first 2 MiB to the last one, which is full of records.
fn looking_glass() -> Vec<u8> {
    let mut memory = vec![0u8; 0xa000];
    for table in 1..4 {
        word(&mut memory, table * 0x1000, ((table as u64 + 1) * 0x1000) | 3, 8);
    }
    memory[0x4000..0x5000].copy_from_slice(&0x9003u64.to_le_bytes().repeat(512));
    memory[0x9000..].fill(0xa5);
    memory
}

fn kernel_image() -> KernelModule {
    let mut image = TriageDriver::default();
    image.path = "ntoskrnl.exe".into();
    (image.base, image.size) = (Va(0xffff_f800_0000_0000), 0x1000);
    KernelModule::from(&image)
}

#[test]
fn no_log_is_longer_than_the_file_if_tables_map_one_page_everywhere() {
    let ring = Ring::new("pool log", Va(0x1000), 0, 0x2000, 0x80);
    let memory = looking_glass();
    // The same segment twice does not make the file longer.
    let segments = [(0, 0xa000, 0), (1 << 40, 0xa000, 0)];
    let elf = Arc::new(core_of(&segments, &memory));
    let files = [MemoryFile::raw(Arc::new(memory)), MemoryFile::open(elf).unwrap()];
    for file in files {
        let memory = file.unlabeled().unwrap().memory;
        assert_eq!(memory.held(), Some(file.file_len()));
        let tables = PageTables::new(memory, Pa(0x1000), PagingMode::X64);
        let mut page = [0u8; 8];
        tables.read(Va(0x1f_f000), &mut page).unwrap();
        assert_eq!(page, [0xa5; 8]);
        let hints = Hints { modules: vec![kernel_image()], ..Hints::default() };
        let space = AddressSpace::paged(tables, Cpu::X64);
        let kernel = Kernel::open(space, hints).unwrap();
        let mut records = 0u64;
        let told = ring.for_each(&kernel, |_, _| {
            records += 1;
            true
        });
        assert_eq!(records, file.file_len() / 0x80);
        assert!(told.problems[0].why.contains("its pages repeat"), "{:?}", told.problems);
    }
}

#[test]
fn of_overlapping_segments_the_first_is_read() {
    // [0x1800, 0x2800) of ones, [0x1000, 0x3000) of twos, an empty one.
    let mut segments = Vec::new();
    let mut content = Vec::new();
    for (i, (address, bytes)) in
        [(0x1800u64, 0x1000u64), (0x1000, 0x2000), (0, 0)].into_iter().enumerate()
    {
        segments.push((address, bytes, content.len() as u64));
        content.extend(vec![i as u8 + 1; bytes as usize]);
    }
    let file = core_of(&segments, &content);
    let core = ElfCore::open(Arc::new(file)).unwrap();
    let stretches: Vec<_> = core.memory.stretches().collect();
    assert_eq!(stretches, [(Pa(0x1000), 0x800), (Pa(0x1800), 0x1000), (Pa(0x2800), 0x800)]);
    let mut page = vec![0; 0x2000];
    core.memory.read(Pa(0x1000), &mut page).unwrap();
    let want = [vec![2u8; 0x800], vec![1; 0x1000], vec![2; 0x800]].concat();
    assert!(page == want);
    let fault = core.memory.read_u16(Pa(0x2fff)).unwrap_err();
    assert_eq!((fault.address, fault.reason), (0x3000, Reason::Absent { pfn: Pfn(3) }));
}
