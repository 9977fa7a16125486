//! Real files: headers of dumps by Windows, LiveKD and DumpIt, and a driver with the PDB of Microsoft's
//! compiler. The expected contents are in `../shared/real/README.md` and `triage_expected.txt` (the output of
//! rizin), or come from `llvm-pdbutil`.

use std::fs;
use std::sync::Arc;

use crate::common::shared;
use verifier_core::dump::{Dump, DumpKind, Header};
use verifier_core::machine::Machine;
use verifier_core::symbols::{SymbolKind, SymbolTable};
use verifier_core::types::{Isf, Pdb, TypeSource};
use verifier_core::{Pa, Rva, Va};
use verifier_host::{FileMode, open_file};

fn open(name: &str) -> Option<Dump> {
    let path = shared("real")?.join(name);
    let [mapped, read] = [FileMode::Map, FileMode::Read]
        .map(|mode| Dump::open(open_file(&path, mode).unwrap()).unwrap());
    assert_eq!(mapped.header(), read.header());
    assert_eq!(mapped.file_len(), fs::metadata(&path).unwrap().len());
    Some(mapped)
}

fn runs(header: &Header) -> Vec<(u64, u64)> {
    header.runs.iter().map(|run| (run.base_page, run.page_count)).collect()
}

/// The output of rizin for a dump: its part of the expectations.
fn expected(file: &str) -> String {
    let text = fs::read_to_string(shared("real/triage_expected.txt").unwrap()).unwrap();
    let start = text.find(&format!("FILE=dmp://bins/dmp/{file}")).unwrap();
    let end = text[start..].find("\nRUN").unwrap();
    text[start..start + end].to_owned()
}

/// The value of `Name : 0x…` in the header's part.
#[track_caller]
fn field(expected: &str, name: &str) -> u64 {
    let value = expected
        .lines()
        .find_map(|line| line.trim().strip_prefix(name)?.strip_prefix(" : 0x"))
        .unwrap_or_else(|| panic!("no {name}"));
    u64::from_str_radix(value.split(' ').next().unwrap(), 16).unwrap()
}

fn is_as_rizin_says(header: &Header, expected: &str) {
    assert!(header.is_64bit);
    assert_eq!(u64::from(header.major_version), field(expected, "MajorVersion"));
    assert_eq!(u64::from(header.build), field(expected, "MinorVersion"));
    assert_eq!(header.directory_table_base, Pa(field(expected, "DirectoryTableBase")));
    assert_eq!(header.pfn_data_base, Some(Va(field(expected, "PfnDataBase"))));
    assert_eq!(header.ps_loaded_module_list, Some(Va(field(expected, "PsLoadedModuleList"))));
    assert_eq!(header.ps_active_process_head, Some(Va(field(expected, "PsActiveProcessHead"))));
    assert_eq!(u64::from(header.machine_image_type), field(expected, "MachineImageType"));
    assert_eq!(header.processors.map(u64::from), Some(field(expected, "NumberProcessors")));
    assert_eq!(u64::from(header.bug_check.code), field(expected, "BugCheckCode"));
    let parameters = [1, 2, 3, 4].map(|i| field(expected, &format!("BugCheckParameter{i}")));
    assert_eq!(header.bug_check.parameters, parameters);
    assert_eq!(header.kd_debugger_data_block, Some(Va(field(expected, "KdDebuggerDataBlock"))));
    assert_eq!(header.kind.raw(), 4);
}

#[test]
fn triage_x64() {
    let Some(dump) = open("triage_x64.dmp") else { return };
    is_as_rizin_says(dump.header(), &expected("triage_x64.dmp"));
    assert_eq!(dump.header().machine(), Some(Machine::X64));
    assert_eq!((dump.header().build, dump.header().bug_check.code), (19041, 0x1000_007e));
    // A triage dump does not have pages of physical memory.
    assert!(dump.physical().is_err());
}

#[test]
fn triage_arm64() {
    let Some(dump) = open("triage_arm64.dmp") else { return };
    is_as_rizin_says(dump.header(), &expected("triage_arm64.dmp"));
    assert_eq!(dump.header().machine(), Some(Machine::Arm64));
    assert_eq!((dump.header().build, dump.header().bug_check.code), (22000, 0x1c8));
    assert!(dump.physical().is_err());
}

/// The back trace of the x64 dump, with the table of exactly its kernel.
#[test]
fn the_kernels_frames_have_the_names_that_rizin_prints() {
    let Some(dump) = open("triage_x64.dmp") else { return };
    let table = shared("isf/5278AFF86C341677D7D7835C85B7B844-1.json.xz").unwrap();
    let mut json = Vec::new();
    let mut reader = lzma_rust2::XzReader::new(fs::File::open(table).unwrap(), true);
    std::io::copy(&mut reader, &mut json).unwrap();
    let isf = Isf::parse(&json).unwrap();
    let mut names = SymbolTable::builder(false);
    for (name, rva) in isf.symbols() {
        names.add(rva, name, SymbolKind::Public);
    }
    let names = names.finish();
    let Rva(list) = isf.symbol("PsLoadedModuleList").unwrap();
    let base = dump.header().ps_loaded_module_list.unwrap().0 - u64::from(list);
    assert_eq!(base & 0xf_ffff, 0, "{base:#x}");
    let mut compared = 0;
    for line in expected("triage_x64.dmp").lines() {
        let Some((_, name)) = line.split_once(" pdb.ntkrnlmp.") else { continue };
        if name.contains("::") {
            continue;
        }
        let (name, displacement) = name.trim().split_once('+').unwrap_or((name.trim(), "0"));
        // The tool that creates such tables removes one underscore from every name, as for 32-bit names.
        let name = name.strip_prefix('_').unwrap_or(name);
        let address = line.split_whitespace().nth(1).unwrap().strip_prefix("0x").unwrap();
        let address = u64::from_str_radix(address, 16).unwrap();
        let rva = Rva(u32::try_from(address - base).unwrap());
        let (got, distance) = names.resolve(rva).unwrap();
        assert_eq!((&*got, distance), (name, displacement.parse().unwrap()), "{line}");
        compared += 1;
    }
    assert!(compared >= 18, "{compared} frames");
}

#[test]
fn livekd() {
    let Some(dump) = open("livekd_header_x64.raw") else { return };
    let header = dump.header();
    assert_eq!((header.kind, header.machine()), (DumpKind::Full, Some(Machine::X64)));
    assert_eq!((header.build, header.processors), (9200, Some(8)));
    assert_eq!(
        runs(header),
        [(0x1, 0x9f), (0x100, 0x7f7ef), (0x7fbff, 0x3e1), (0x10_0000, 0x38_0000)]
    );
    assert_eq!(header.physical_pages, Some(0x3f_fc6f));
    assert_eq!(header.directory_table_base, Pa(0x3_e6b1_a000));
    assert_eq!(header.comment.as_deref(), Some("LiveKD live system view"));
    // LiveKD leaves the header out.
    assert_eq!(header.required_dump_space, Some(0x3f_fc6f * 0x1000));
    // All pages are missing, and nothing contradicts their number.
    let truncation = dump.truncation().unwrap();
    assert_eq!(truncation.expected_len, 0x3f_fc6f * 0x1000 + 0x2000);
    assert_eq!((truncation.missing_pages, truncation.pages), (0x3f_fc6f, 0x3f_fc6f));
    assert_eq!(dump.problems().len(), 1);
    let physical = dump.physical().unwrap();
    assert_eq!(physical.map().page_count(), 0x3f_fc6f);
    // Frame 1 begins after the header; frame 0 and the hole at 0xa0 are not in a run.
    assert_eq!(physical.map().offset(1), Some(0x2000));
    assert_eq!(physical.map().offset(0x100), Some(0x2000 + 0x9f * 0x1000));
    assert_eq!((physical.map().offset(0), physical.map().offset(0xa0)), (None, None));
}

#[test]
fn dumpit() {
    let Some(dump) = open("dumpit_full_first16k_x64.bin") else { return };
    let header = dump.header();
    assert_eq!((header.kind, header.machine()), (DumpKind::Full, Some(Machine::X64)));
    assert_eq!((header.build, header.processors), (19045, Some(4)));
    // The low bits are kept here, and masked when the tables are walked.
    assert_eq!(header.directory_table_base, Pa(0x1a_d002));
    assert_eq!(header.runs.len(), 5);
    assert_eq!(header.physical_pages, Some(0x7_fe86));
    assert_eq!(runs(header).iter().map(|run| run.1).sum::<u64>(), 0x7_fe86);
    let truncation = dump.truncation().unwrap();
    assert_eq!(truncation.expected_len, 0x7_fe86 * 0x1000 + 0x2000);
    assert_eq!((truncation.missing_pages, truncation.pages), (0x7_fe84, 0x7_fe86));
    assert_eq!(dump.problems().len(), 1);
    // Only two of these pages are in the file.
    assert_eq!(dump.file_len(), 0x4000);
    assert_eq!(dump.physical().unwrap().map().offset(2), Some(0x2000));
    assert_eq!(header.bug_check.code.to_le_bytes(), *b"MATT");
    assert!(!header.bug_check.is_crash());
    assert_eq!(header.comment, None);
}

#[test]
fn header_of_32_bits() {
    let Some(dump) = open("header32_pae_win7.raw") else { return };
    let header = dump.header();
    assert!(!header.is_64bit);
    assert_eq!((header.kind, header.machine()), (DumpKind::Full, Some(Machine::X86)));
    assert_eq!((header.build, header.pae_enabled), (7601, Some(true)));
    assert_eq!(header.directory_table_base, Pa(0xbf62_f2e0));
    assert_eq!(header.ps_loaded_module_list, Some(Va(0x8299_9850)));
    assert_eq!(runs(header), [(0x1, 0x9e), (0x100, 0xb_fedf)]);
    assert_eq!(header.physical_pages, Some(0xb_ff7d));
    // Fillers: these fields were never set.
    assert_eq!(header.kd_debugger_data_block, None);
    let physical = dump.physical().unwrap();
    assert_eq!(physical.map().page_count(), 0xb_ff7d);
    assert_eq!(dump.problems().len(), 1);
    assert_eq!(physical.map().offset(1), Some(0x1000));
}

/// Procedures from `llvm-pdbutil dump --symbols --section-headers`: the section's start and the offset in it.
const PROCEDURES: [(&str, u32); 8] = [
    ("IrpUnloadHandler", 0x4000 + 4118),
    ("IrpNotImplementedHandler", 0x4000 + 4196),
    ("IrpDeviceIoCtlHandler", 0x4000 + 4238),
    ("DriverEntry", 0x6000 + 6),
    ("TriggerUninitializedStackVariable", 0x4000 + 3834),
    ("UninitializedStackVariableIoctlHandler", 0x4000 + 4046),
    ("TriggerUninitializedHeapVariable", 0x4000 + 3434),
    ("TriggerNullPointerDereference", 0x4000 + 3040),
];

#[test]
fn a_pdb_of_microsofts_compiler() {
    let Some(real) = shared("real") else { return };
    let bytes = fs::read(real.join("hevd_x86/HEVD.pdb")).unwrap();
    let pdb = Pdb::parse("HEVD.pdb", Arc::new(bytes)).unwrap();
    assert_eq!(pdb.id().guid_hex(), "34310FD1C9B84DD1BC1F4663925B999F");
    assert_eq!(pdb.id().age, 1);
    assert_eq!(pdb.machine_image_type(), Some(0x14c));
    let names = pdb.symbol_table().unwrap();
    for (name, rva) in PROCEDURES {
        assert_eq!(names.find(name), Some(Rva(rva)), "{name}");
        for distance in [0, 5, 11] {
            let (got, at) = names.resolve(Rva(rva + distance)).unwrap();
            assert_eq!((&*got, at), (name, distance));
        }
    }
    // Two functions folded into one: both names lead to it, and its address always gives the same name.
    assert_eq!(names.find("IrpCloseHandler"), Some(Rva(0x4000 + 4082)));
    assert_eq!(names.find("IrpCreateHandler"), Some(Rva(0x4000 + 4082)));
    assert_eq!(names.resolve(Rva(0x4000 + 4083)), Some(("IrpCloseHandler".into(), 1)));
    // Public symbols without their decoration: `_RtlUnwind@16`, `@__security_check_cookie@4`.
    assert_eq!(names.find("RtlUnwind"), Some(Rva(0x1000 + 984)));
    assert_eq!(names.find("__security_check_cookie"), Some(Rva(0x1000 + 995)));
    assert_eq!(names.find("_RtlUnwind@16"), None);
    // The types are 32-bit.
    assert_eq!(pdb.field("_UNICODE_STRING", "Buffer").unwrap().offset, 4);
    assert_eq!(pdb.field("_LIST_ENTRY", "Blink").unwrap().offset, 4);
}

#[test]
fn the_driver_is_that_of_the_pdb() {
    let Some(real) = shared("real") else { return };
    let image = fs::read(real.join("hevd_x86/HEVD.sys")).unwrap();
    let at = image.windows(4).position(|window| window == b"RSDS").unwrap();
    let pdb = fs::read(real.join("hevd_x86/HEVD.pdb")).unwrap();
    let pdb = Pdb::parse("HEVD.pdb", Arc::new(pdb)).unwrap();
    assert_eq!(image[at + 4..at + 20], pdb.id().guid);
    assert_eq!(image[at + 20..at + 24], pdb.id().age.to_le_bytes());
    // Each procedure begins with `mov edi, edi` or the prologue that sets up a handler frame. The file's
    // sections are {PAGE: RVA 0x4000, INIT: 0x6000}; their file offsets are in the section table.
    let u32_at = |at: usize| u32::from_le_bytes(image[at..at + 4].try_into().unwrap());
    let pe = u32_at(0x3c) as usize;
    let sections = pe + 24 + usize::from(u16::from_le_bytes([image[pe + 20], image[pe + 21]]));
    let code = |rva: u32| {
        let section = (0..usize::from(image[pe + 6]))
            .map(|i| sections + 40 * i)
            .find(|&s| (u32_at(s + 12)..u32_at(s + 12) + u32_at(s + 16)).contains(&rva))
            .unwrap();
        &image[(u32_at(section + 20) + rva - u32_at(section + 12)) as usize..]
    };
    for (name, rva) in PROCEDURES {
        let start = &code(rva)[..3];
        let hotpatch = start[..2] == [0x8b, 0xff] || start[..3] == [0x55, 0x8b, 0xec];
        assert!(hotpatch || start[0] == 0x6a || start[0] == 0x68, "{name} starts with {start:x?}");
    }
}
