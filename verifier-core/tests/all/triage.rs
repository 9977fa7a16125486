//! Small (triage) dumps: their data are read, one line says what they never contain, and damage is reported
//! with its place. Real files are those of `../shared/real`, compared with the output of rizin.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::common::{kernel_of, open_dump, shared, supply};
use proptest::prelude::*;
use verifier_core::dump::Dump;
use verifier_core::kernel::{AddressSpace, Hints, Kernel, ModuleSource};
use verifier_core::machine::Machine as Cpu;
use verifier_core::memory::Memory;
use verifier_core::types::Isf;
use verifier_core::verifier::log::{EventKind, EventLog, PoolLog};
use verifier_core::verifier::{Drivers, PoolReport, Settings};
use verifier_core::{Error, Reason, Va};
use verifier_synth::dump::write_small_dump;
use verifier_synth::{
    Allocation, Assembly, Build, Driver, HeaderInfo, Machine, MachineType, SmallDump,
    UnloadedDriver,
};

/// A machine with a driver that holds a block, an unloaded driver, and statistics.
fn machine(build: Build) -> Machine {
    let mut m = Machine::new(build);
    let leaky = m.driver(Driver::new("leaky.sys").pdb("leaky.pdb").symbol("LeakyRead", 0x1200));
    let caller = m.driver_address(leaky, "LeakyRead") + 0x34;
    m.level(0x9bb).statistic("AllocationsAttempted", 0x77);
    m.verified(leaky).allocation(Allocation::nonpaged(0x8500_0000, 0x210, b"Leak", caller));
    m.unloaded_driver(UnloadedDriver {
        name: "gone.sys".into(),
        start: m.kernel_address("VfPoolTraces") & !0xfff,
        end: (m.kernel_address("VfPoolTraces") & !0xfff) + 0x3000,
        time: 7,
    });
    m
}

fn kernel_of_small(bytes: Vec<u8>) -> Kernel {
    let dump = open_dump(bytes);
    let space = AddressSpace::of_dump(&dump).unwrap();
    Kernel::open(space, Hints::of_dump(&dump)).unwrap()
}

/// The debug directory and the CodeView record after it, which real small dumps do not have.
fn record_of_pdb(m: &Assembly) -> (u64, usize) {
    let base = m.address("nt!VfPoolTraces") & !0xfff;
    let base = (0..0x2000).map(|i| base - i * 0x1000);
    let base = base.into_iter().find(|&at| m.read(at, 2).is_some_and(|b| b == b"MZ")).unwrap();
    (base + 0x1000, 0x200)
}

#[test]
fn a_small_dump_gives_the_data_that_it_has() {
    for build in Build::ALL {
        let assembly = machine(build).assemble();
        let whole = kernel_of(assembly.dump(verifier_synth::DumpKind::Complete));
        let dump = open_dump(assembly.small_dump(&[record_of_pdb(&assembly)]));
        let triage = dump.triage().unwrap();
        assert!(triage.is_complete, "{build:?}");
        assert_eq!(triage.problems, [], "{build:?}");
        let stack = triage.call_stack.unwrap();
        assert_eq!(stack.size, 0x318);
        assert_eq!(triage.memory.read_u8(stack.address.add(0x317)), Ok(0x17 ^ 0x5a));
        assert!(triage.memory.read_u8(stack.address.add(0x318)).is_err());

        let kernel = kernel_of_small(assembly.small_dump(&[record_of_pdb(&assembly)]));
        assert_eq!(kernel.problems(), [], "{build:?}");
        assert_eq!(kernel.modules_from(), ModuleSource::Hints);
        assert_eq!(whole.modules_from(), ModuleSource::List);
        assert_eq!((kernel.base(), kernel.build()), (whole.base(), whole.build()));
        let images = |kernel: &Kernel| {
            let images = kernel.modules().loaded().iter();
            images
                .map(|m| (m.name.clone(), m.short_name.clone(), m.path.clone(), m.base, m.size))
                .collect::<Vec<_>>()
        };
        assert_eq!(images(&kernel), images(&whole), "{build:?}");
        for (module, told) in
            kernel.modules().loaded().iter().zip(assembly.small_dump_content(&[]).drivers)
        {
            assert_eq!(module.time_date_stamp, Some(told.time_date_stamp));
            assert_eq!(module.check_sum, Some(told.check_sum));
        }
        let gone = |kernel: &Kernel| {
            let gone = kernel.modules().unloaded().iter();
            gone.map(|m| (m.name.clone(), m.start, m.end)).collect::<Vec<_>>()
        };
        assert_eq!(gone(&kernel), gone(&whole), "{build:?}");
        assert_eq!(gone(&kernel).len(), 1);
        assert_eq!(kernel.debugger_data().unwrap().kernel_base, kernel.base());

        assert_eq!(supply(&kernel, &assembly.files), 1, "{build:?}");
        let settings = Settings::read(&kernel).unwrap();
        assert_eq!(settings.level.0, 0x9bb, "{build:?}");
        assert_eq!(settings.statistics.get("AllocationsAttempted"), Some(0x77));
        // Data after the first 0x9c bytes are reported as absent, not as zero.
        let size = assembly.layouts().size("_MM_DRIVER_VERIFIER_DATA");
        assert_eq!(settings.problems.len(), usize::from(size > 0x9c), "{build:?}");
        if size > 0x9c {
            assert_eq!(settings.problems[0].address, Some(settings.address.add(0x9c)));
        }
        let whole = whole_settings(&assembly);
        for counter in &settings.statistics.0 {
            let name = &counter.name;
            assert_eq!(whole.statistics.get(name), Some(counter.value), "{build:?} {name}");
        }
    }
}

fn whole_settings(assembly: &Assembly) -> Settings {
    let whole = kernel_of(assembly.dump(verifier_synth::DumpKind::Complete));
    supply(&whole, &assembly.files);
    Settings::read(&whole).unwrap()
}

/// A data block may by chance contain the head of the kernel's list and an entry.
#[test]
fn a_part_of_the_kernels_list_does_not_hide_the_dumps_own() {
    let assembly = machine(Build::Win10Vb).assemble();
    let list = (assembly.address("nt!PsLoadedModuleList"), 0x10);
    let entry = (assembly.address("module:ntoskrnl.exe"), 0x70);
    let kernel = kernel_of_small(assembly.small_dump(&[list, entry]));
    assert_eq!(kernel.modules_from(), ModuleSource::Hints);
    assert_eq!(kernel.modules().loaded().len(), 3);
    assert_eq!(kernel.problems(), []);
}

#[test]
fn views_say_in_one_line_that_a_small_dump_never_has_their_data() {
    let assembly = machine(Build::Win10Vb).assemble();
    let kernel = kernel_of_small(assembly.small_dump(&[record_of_pdb(&assembly)]));
    let error = Drivers::read(&kernel).unwrap_err();
    let Error::NoKernelSymbols { wanted, .. } = &error else { panic!("{error}") };
    assert!(wanted.contains("a small (triage) dump holds no physical memory"), "{wanted}");
    supply(&kernel, &assembly.files);
    let errors = [
        Drivers::read(&kernel).unwrap_err(),
        PoolReport::read(&kernel, |_| true).unwrap_err(),
        PoolLog::read(&kernel, None).unwrap_err(),
        EventLog::read(&kernel, EventKind::Irql, None, None).unwrap_err(),
    ];
    for error in errors {
        assert!(matches!(error, Error::NotInSmallDump { .. }), "{error}");
        assert!(error.to_string().contains("never Verifier's drivers, allocations, logs"));
        assert_eq!(error.to_string().lines().count(), 1);
    }
}

#[test]
fn symbols_of_another_build_are_recognized_by_addresses() {
    let assembly = machine(Build::Win11).assemble();
    let kernel = kernel_of_small(assembly.small_dump(&[]));
    // The record of its PDB is absent.
    assert!(kernel.wanted(0).unwrap().pdb.is_err());
    assert_eq!(kernel.wanted(0).unwrap().time_date_stamp, Some(0x4ce7_951a));
    let table = |assembly: &Assembly| {
        let (_, text) = assembly.files.iter().find(|(name, _)| name.contains("ntkrnl")).unwrap();
        Isf::parse(text).unwrap()
    };
    assert_eq!(kernel.agrees_with(&table(&assembly)), Some(true));
    let mut other = machine(Build::Win11);
    other.kernel_symbol("PsLoadedModuleList", 0xc0_0000);
    assert_eq!(kernel.agrees_with(&table(&other.assemble())), Some(false));
}

/// A dump with only these blocks.
fn of_blocks(blocks: Vec<(u64, Vec<u8>)>) -> Dump {
    let header = HeaderInfo::new(MachineType::X64, 19041, 0x1000);
    open_dump(write_small_dump(&header, &SmallDump { blocks, ..SmallDump::default() }))
}

proptest! {
    /// Blocks of any address and length, overlapping or adjacent: the block that is stored first is read, and
    /// a long read equals its one-byte reads.
    #[test]
    fn blocks_are_read_as_a_model_of_bytes_says(
        blocks in prop::collection::vec((0u64..0x3000, 0usize..0x900), 0..12),
        reads in prop::collection::vec((0u64..0x3400, 1usize..0x1200), 1..20),
    ) {
        let at = |offset: u64| 0xffff_8000_1234_0ff0 + offset;
        let mut model = BTreeMap::new();
        let mut content = Vec::new();
        for (i, &(offset, size)) in blocks.iter().enumerate() {
            let bytes: Vec<u8> = (0..size).map(|j| (i * 37 + j * 11) as u8).collect();
            for (j, &byte) in bytes.iter().enumerate() {
                model.entry(at(offset) + j as u64).or_insert(byte);
            }
            content.push((at(offset), bytes));
        }
        let triage = of_blocks(content).triage().unwrap();
        prop_assert_eq!(triage.memory.bytes(), model.len() as u64);
        for (offset, size) in reads {
            let mut got = vec![0; size];
            let read = triage.memory.read(Va(at(offset)), &mut got);
            let want: Vec<u8> =
                (0..size as u64).map_while(|j| model.get(&(at(offset) + j)).copied()).collect();
            match read {
                Ok(_) => prop_assert_eq!(got, want),
                Err(fault) => {
                    prop_assert_eq!(fault.done, want.len());
                    prop_assert_eq!(fault.address, at(offset) + want.len() as u64);
                    prop_assert_eq!(&fault.reason, &Reason::NotHeld);
                    prop_assert_eq!(&got[..fault.done], &want[..]);
                }
            }
        }
    }
}

#[test]
fn a_dump_that_was_cut_short_gives_the_data_that_are_left() {
    let assembly = machine(Build::Win10Vb).assemble();
    let whole = assembly.small_dump(&[record_of_pdb(&assembly)]);
    let (mut opened, mut named) = (0, 0);
    for end in (0x2000..whole.len()).step_by(0x35) {
        let dump = open_dump(whole[..end].to_vec());
        let triage = match dump.triage() {
            Ok(triage) => triage,
            Err(Error::Format { offset: 0x2000, .. }) if end < 0x2080 => continue,
            Err(error) => panic!("{end:#x}: {error}"),
        };
        // The signature at the end is the last data in the file.
        assert!(!triage.is_complete && !triage.problems.is_empty(), "{end:#x}");
        let missing = (whole.len() - end) as u64;
        let truncation = dump.truncation().unwrap();
        assert_eq!((truncation.missing_bytes(), truncation.pages), (missing, 0), "{end:#x}");
        for problem in &triage.problems {
            assert!(problem.why.starts_with("file offset 0x"), "{problem}");
        }
        let space = AddressSpace::of_dump(&dump).unwrap();
        if let Ok(kernel) = Kernel::open(space, Hints::of_dump(&dump)) {
            opened += 1;
            named += usize::from(kernel.modules().loaded().iter().any(|m| m.name == "leaky.sys"));
            assert!(!kernel.problems().is_empty());
        }
        // A block past the end of the file is reported.
        for (start, bytes) in triage.memory.stretches() {
            match triage.memory.read(start, &mut vec![0; bytes as usize]) {
                Ok(_) => {}
                Err(fault) => {
                    assert!(matches!(fault.reason, Reason::FileEnds { .. }), "{fault}");
                    assert!(fault.reason.is_absent());
                }
            }
        }
    }
    assert!(opened > 100 && named > 50 && named < opened, "{opened} {named}");
}

#[test]
fn hostile_counts_and_offsets_are_bounded_and_reported() {
    let assembly = machine(Build::Win10Vb).assemble();
    let whole = assembly.small_dump(&[]);
    let patched = |at: usize, value: u32| {
        let mut bytes = whole.clone();
        bytes[at..at + 4].copy_from_slice(&value.to_le_bytes());
        open_dump(bytes).triage().unwrap()
    };
    let drivers = patched(0x2034, 3).drivers;
    assert_eq!(drivers.len(), 3);
    for (at, what) in [(0x2034, "driver list"), (0x207c, "data blocks")] {
        let triage = patched(at, u32::MAX);
        let told: Vec<String> = triage.problems.iter().map(ToString::to_string).collect();
        assert!(told.iter().any(|p| p.contains(what) && p.contains("0xffffffff")), "{told:?}");
        // No more entries than fit in the file.
        assert!(triage.drivers.len() < whole.len() / 0x90 + 1);
        assert!(triage.memory.stretches().count() < whole.len() / 0x10 + 1);
        assert_eq!(triage.drivers[..3], drivers[..]);
    }
    // A file in which more entries fit than the limit.
    let mut long = whole.clone();
    long[0x2034..0x2038].copy_from_slice(&0x4001u32.to_le_bytes());
    long.resize(whole.len() + 0x90 * 0x4001, 0);
    let triage = open_dump(long).triage().unwrap();
    assert_eq!(triage.drivers.len(), 0x4000);
    assert!(triage.problems.iter().any(|p| p.why.contains("MAX_DRIVERS")), "{:?}", triage.problems);
    // Any offset in all eighteen words of the header and in the words after it.
    for at in (0x2000..0x2080).step_by(4) {
        for value in [0, 1, 0x1fff, whole.len() as u32 - 1, whole.len() as u32, u32::MAX] {
            let triage = patched(at, value);
            assert!(triage.drivers.len() <= 1 << 14, "{at:#x}");
            for driver in &triage.drivers {
                assert!(driver.path.chars().count() <= 1 << 10);
            }
        }
    }
    // Names at wrong offsets: their drivers stay, with their bases.
    let list = u32::from_le_bytes(whole[0x2030..0x2034].try_into().unwrap()) as usize;
    let triage = patched(list, u32::MAX);
    assert_eq!((triage.drivers[0].path.as_str(), triage.drivers[0].base), ("", drivers[0].base));
    assert!(triage.problems[0].why.contains("the names of 1 drivers cannot be read"));
    // An image with a base outside the kernel is not a module.
    let mut bytes = whole.clone();
    bytes[list + 0x90 + 0x38..][..8].copy_from_slice(&0x1000u64.to_le_bytes());
    let kernel = kernel_of_small(bytes);
    assert_eq!(kernel.modules().loaded().len(), 2);
    assert!(kernel.problems()[0].why.contains("0x1000 is outside the kernel"));
    // No driver at all: only the kernel, from the debugger data, and the reason is reported.
    let dump = {
        let mut bytes = whole.clone();
        bytes[0x2034..0x2038].fill(0);
        open_dump(bytes)
    };
    let space = AddressSpace::of_dump(&dump).unwrap();
    let kernel = Kernel::open(space, Hints::of_dump(&dump)).unwrap();
    assert_eq!(kernel.modules_from(), ModuleSource::KernelAlone);
    assert_eq!(kernel.problems()[0].what, "list of loaded modules");
}

#[test]
fn other_kinds_are_not_small_dumps() {
    let dump = open_dump(machine(Build::Win7Sp1).build(verifier_synth::DumpKind::Complete).dump);
    assert!(matches!(dump.triage(), Err(Error::Unsupported { .. })));
}

fn real(name: &str) -> Option<(Dump, String)> {
    let folder = shared("real")?;
    let bytes = std::fs::read(folder.join(name)).unwrap();
    let text = std::fs::read_to_string(folder.join("triage_expected.txt")).unwrap();
    let start = text.find(&format!("FILE=dmp://bins/dmp/{name}")).unwrap();
    let end = text[start..].find("\nRUN").unwrap();
    Some((open_dump(bytes), text[start..start + end].to_owned()))
}

#[track_caller]
fn field(expected: &str, name: &str) -> u64 {
    let line = expected.lines().find_map(|line| line.trim().strip_prefix(name));
    let value =
        line.and_then(|rest| rest.strip_prefix(" : 0x")).unwrap_or_else(|| panic!("{name}"));
    u64::from_str_radix(value.split(' ').next().unwrap(), 16).unwrap()
}

/// Frames of the back trace: address, stack pointer, and the module's name in rizin.
fn frames(expected: &str) -> Vec<(u64, u64, String)> {
    let hex = |text: &str| u64::from_str_radix(text.strip_prefix("0x").unwrap(), 16).unwrap();
    let frame = |line: &str| {
        let (head, name) = line.split_once(" pdb.")?;
        let words: Vec<&str> = head.split_whitespace().collect();
        let [_, address, "sp:", stack_pointer, ..] = words[..] else { return None };
        Some((hex(address), hex(stack_pointer), name.split('.').next().unwrap().to_owned()))
    };
    expected.lines().filter_map(frame).collect()
}

fn is_as_rizin_says(dump: &Dump, expected: &str) -> Kernel {
    let triage = dump.triage().unwrap();
    assert!(triage.is_complete);
    assert_eq!(triage.problems, []);
    assert_eq!(triage.drivers.len() as u64, field(expected, "DriverCount"));
    assert_eq!(u64::from(triage.size_of_dump), field(expected, "SizeOfDump"));
    let stack = triage.call_stack.unwrap();
    assert_eq!(stack.address, Va(field(expected, "TopOfStack")));
    assert_eq!(u64::from(stack.size), field(expected, "SizeOfCallStack"));
    // The blocks, the debugger data and, if no block has it, the stack.
    let blocks = triage.memory.stretches().count() as u64 - field(expected, "DataBlocksCount");
    assert!((1..=2).contains(&blocks), "{blocks}");
    let space = AddressSpace::of_dump(dump).unwrap();
    let kernel = Kernel::open(space, Hints::of_dump(dump)).unwrap();
    assert_eq!(kernel.problems(), []);
    assert_eq!(kernel.modules().loaded().len() as u64, field(expected, "DriverCount"));
    assert_eq!(kernel.base(), kernel.debugger_data().unwrap().kernel_base);
    for (address, _, module) in frames(expected) {
        let (_, found) = kernel.modules().find(Va(address)).unwrap();
        let name = if module == "ntkrnlmp" { "nt" } else { &module };
        assert_eq!(found.short_name, name, "{address:#x}");
    }
    kernel
}

#[test]
fn a_real_small_dump_of_x64() {
    let Some((dump, expected)) = real("triage_x64.dmp") else { return };
    let kernel = is_as_rizin_says(&dump, &expected);
    assert_eq!(kernel.space().machine(), Cpu::X64);
    let first = &kernel.modules().loaded()[0];
    assert_eq!((first.name.as_str(), first.short_name.as_str()), ("ntoskrnl.exe", "nt"));
    assert_eq!((first.time_date_stamp, first.check_sum), (Some(0x0d83_33e6), Some(0xa5_938c)));
    let names: Vec<&str> = kernel.modules().unloaded().iter().map(|m| m.name.as_str()).collect();
    assert_eq!(names, ["dam.sys", "WdBoot.sys", "hwpolicy.sys", "mcupdate.dll"]);
    // Each frame's return address is on the stack, right below rizin's stack pointer.
    let frames = frames(&expected);
    assert!(frames.len() > 30);
    for (number, (address, stack_pointer, _)) in frames.iter().enumerate().skip(1) {
        let at = Va(stack_pointer - 8);
        let read = kernel.space().memory().read_u64(at);
        // At the exception, no call pushed an address.
        assert_eq!(read == Ok(*address), number != 8, "{at}: {read:?}");
    }
    let data = kernel.debugger_data().unwrap().mm_verifier_data;
    assert_eq!(kernel.space().memory().read_u32(data), Ok(0));
    assert!(kernel.space().memory().read_u32(data.add(0x9c)).is_err());
}

#[test]
fn a_real_small_dump_of_arm64() {
    let Some((dump, expected)) = real("triage_arm64.dmp") else { return };
    let kernel = is_as_rizin_says(&dump, &expected);
    assert_eq!(kernel.space().machine(), Cpu::Arm64);
    assert_eq!(kernel.modules().unloaded().len(), 11);
    // The link register is saved after the frame pointer, in the caller's frame.
    assert_eq!(frames(&expected).len(), 5);
    let data = kernel.debugger_data().unwrap().mm_verifier_data;
    assert_eq!(kernel.space().memory().read_u32(data), Ok(0));
}

#[test]
fn statistics_of_a_real_small_dump_by_its_kernels_table() {
    let Some((dump, _)) = real("triage_x64.dmp") else { return };
    let space = AddressSpace::of_dump(&dump).unwrap();
    let kernel = Kernel::open(space, Hints::of_dump(&dump)).unwrap();
    let Some(folder) = shared("isf") else { return };
    let mut agreed = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "xz") {
            continue;
        }
        let mut json = Vec::new();
        let file = std::fs::File::open(&path).unwrap();
        std::io::copy(&mut lzma_rust2::XzReader::new(file, true), &mut json).unwrap();
        let isf = Isf::parse(&json).unwrap();
        if kernel.agrees_with(&isf) == Some(true) {
            agreed += 1;
            assert!(path.to_string_lossy().contains("5278AFF86C341677D7D7835C85B7B844"));
            kernel.supply_isf(0, Arc::new(isf));
        }
    }
    assert_eq!(agreed, 1);
    let settings = Settings::read(&kernel).unwrap();
    assert_eq!((settings.level.0, settings.statistics.get("VerifyMode")), (0, Some(4)));
    // The writer saved 0x9c of 0xa8 bytes.
    assert_eq!(settings.statistics.get("ExecutePageMappings"), Some(0));
    assert_eq!(settings.statistics.get("SectionAlignmentFailures"), None);
    assert!(matches!(Drivers::read(&kernel), Err(Error::NotInSmallDump { .. })));
}
