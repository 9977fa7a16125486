//! Lines of source code and inlined functions, out of PDBs by clang and lld-link. What is expected is from
//! llvm-symbolizer (`verifier-synth/leaky/make.sh`), for each byte of the code.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;

use verifier_core::Rva;
use verifier_core::symbols::SymbolLookup as _;
use verifier_core::types::Pdb;
use verifier_core::verifier::PoolReport;
use verifier_synth::{Build, Linked, MachineType, leaky};

use crate::common::{session, shared};

const NAMES: [&str; 4] = ["x64", "x86", "arm64", "x64-O0"];

/// A function with file and line; line 0 is an unknown line.
type Frame = (String, String, u32);

fn file(name: &str, file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../verifier-synth/leaky").join(name).join(file)
}

fn open(name: &str) -> Pdb {
    let bytes = std::fs::read(file(name, "leaky.pdb")).unwrap();
    Pdb::parse(name, Arc::new(bytes)).unwrap()
}

fn hex(text: &str) -> u32 {
    u32::from_str_radix(text, 16).unwrap()
}

/// What is expected at each address of the code.
fn expected(name: &str, kind: &str) -> BTreeMap<u32, Vec<Frame>> {
    let text = std::fs::read_to_string(file(name, &format!("{kind}.txt"))).unwrap();
    let mut all = BTreeMap::new();
    for line in text.lines() {
        let fields: Vec<&str> = line.split('\t').collect();
        let frame = |frame: &[&str]| (frame[0].into(), frame[1].into(), frame[2].parse().unwrap());
        let frames: Vec<Frame> = fields[2..].chunks(3).map(frame).collect();
        all.extend((hex(fields[0])..hex(fields[1])).map(|rva| (rva, frames.clone())));
    }
    all
}

/// The return addresses of all calls.
fn calls(name: &str) -> Vec<u32> {
    let text = std::fs::read_to_string(file(name, "calls.txt")).unwrap();
    text.lines().map(hex).collect()
}

/// Our answer in the same form.
fn found(pdb: &Pdb, rva: u32) -> Vec<Frame> {
    let name = pdb.resolve(Rva(rva)).map_or(String::new(), |(name, _)| name.into_owned());
    let Some(site) = pdb.source_site(Rva(rva)) else { return vec![(name, String::new(), 0)] };
    let inlined = site.inlined.iter();
    let mut frames: Vec<Frame> = inlined
        .map(|frame| (frame.function.to_string(), frame.file.to_string(), frame.line))
        .collect();
    frames.push((name, site.file.to_string(), site.line));
    frames
}

fn functions(frames: &[Frame]) -> Vec<&str> {
    frames.iter().map(|(function, ..)| function.as_str()).collect()
}

/// Compares the functions of all frames, and the line of the outermost one. At the first byte of a function
/// llvm-symbolizer has the first of several lines; every other line at the same address is for no code.
fn compare(name: &str, pdb: &Pdb, expected: &BTreeMap<u32, Vec<Frame>>) {
    for (&rva, expected) in expected {
        let found = found(pdb, rva);
        // Between functions there is no line, and names differ: ours is of the nearest symbol below.
        if let ([(.., 0)], [(.., 0)]) = (&found[..], &expected[..]) {
            continue;
        }
        let is_first = pdb.resolve(Rva(rva)).is_none_or(|(_, displacement)| displacement == 0);
        assert_eq!(functions(&found), functions(expected), "{name}+{rva:#x}");
        if !is_first {
            assert_eq!(found.last(), expected.last(), "{name}+{rva:#x}");
        }
    }
}

#[test]
fn every_byte_has_the_functions_and_the_line_that_llvm_symbolizer_reads_from_the_pdb() {
    for name in NAMES {
        let expected = expected(name, "pdb");
        assert!(expected.len() > 1000, "{name}");
        compare(name, &open(name), &expected);
    }
}

#[test]
fn every_byte_of_an_inlined_function_has_the_line_that_dwarf_of_the_same_code_has() {
    for name in NAMES {
        let pdb = open(name);
        let expected = expected(name, "dwarf");
        let mut compared = 0;
        for (&rva, expected) in &expected {
            let found = found(&pdb, rva);
            // Compilers keep code without a line out of PDBs, and attribute it to the line before.
            let has_lines = expected.iter().all(|(.., line)| *line != 0);
            if has_lines && functions(&found) == functions(expected) && found.len() > 1 {
                let (_, found) = found.split_last().unwrap();
                assert_eq!(found, &expected[..found.len()], "{name}+{rva:#x}");
                compared += 1;
            }
        }
        assert!(compared > 300, "{name}: {compared}");
    }
}

#[test]
fn the_instruction_before_every_return_address_has_a_line() {
    for name in NAMES {
        let pdb = open(name);
        let dwarf = expected(name, "dwarf");
        for address in calls(name) {
            let found = found(&pdb, address - 1);
            assert!(found.iter().all(|(_, file, line)| file.starts_with("C:\\build") && *line > 0));
            assert_eq!(functions(&found), functions(&dwarf[&(address - 1)]), "{name}+{address:#x}");
        }
    }
}

#[test]
fn an_allocation_by_a_wrapper_in_a_wrapper_has_all_three_lines() {
    for name in NAMES {
        let pdb = open(name);
        let frame = |function: &str, file: &str, line| {
            (function.to_string(), format!("C:\\build\\leaky\\{file}"), line)
        };
        let node = [
            frame("PoolAllocate", "pool.h", 22),
            frame("NodeCreate", "cache.c", 12),
            frame("CacheInsert", "cache.c", 34),
        ];
        let session = [
            frame("PoolAllocate", "pool.h", 22),
            frame("wire::Session::Open", "session.cpp", 19),
            frame("SessionOpen", "session.cpp", 41),
        ];
        let by_macro = [frame("QueuePush", "queue.c", 22)];
        let all: Vec<_> = calls(name).iter().map(|call| found(&pdb, call - 1)).collect();
        for frames in [&node[..], &session, &by_macro] {
            assert!(all.iter().any(|found| found == frames), "{name}: {frames:?} in {all:#?}");
        }
    }
}

#[test]
fn a_displacement_is_from_the_first_code_of_the_inlined_function() {
    let pdb = open("x64");
    let at = |rva| pdb.source_site(Rva(rva)).unwrap().inlined[0].displacement;
    // The wrapper's code in DriverEntry starts at 0x100f.
    assert_eq!((at(0x100f), at(0x1024)), (0, 0x15));
}

#[test]
fn threads_that_share_a_pdb_get_the_same_lines() {
    let (shared, expected) = (open("x64"), open("x64"));
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let (shared, expected) = (&shared, &expected);
            scope.spawn(move || {
                for rva in (0x1000 + thread..0x1500).step_by(3).map(Rva) {
                    assert_eq!(shared.source_site(rva), expected.source_site(rva), "{rva:?}");
                    assert_eq!(shared.resolve(rva), expected.resolve(rva), "{rva:?}");
                }
            });
        }
    });
}

#[test]
fn addresses_without_code_have_no_line() {
    for name in NAMES {
        let pdb = open(name);
        let code = expected(name, "pdb");
        let (first, last) = (*code.keys().next().unwrap(), *code.keys().last().unwrap());
        for rva in [0, first - 1, last + 1, 0x2000, 0x3000, 0x8000, u32::MAX] {
            assert_eq!(pdb.source_site(Rva(rva)), None, "{name}+{rva:#x}");
        }
    }
}

#[test]
fn blocks_of_a_dump_have_the_lines_of_the_calls_that_allocated_them() {
    for build in [Build::Win7Sp1, Build::Win11Ge, Build::Win11Arm64, Build::Win7Sp1X86] {
        let calls = Linked::leaky(build.machine()).calls();
        let kernel = session(leaky(build));
        let report = PoolReport::read(&kernel, |_| true).unwrap();
        let blocks: Vec<_> = report.drivers.iter().flat_map(|driver| &driver.allocations).collect();
        assert_eq!((blocks.len(), report.problems.len()), (47, 0), "{build:?}");
        for block in blocks {
            let (_, module) = kernel.modules().find(block.caller).unwrap();
            let call =
                calls.iter().find(|call| module.base.add(call.returns_to.into()) == block.caller);
            let lines = &call.unwrap().lines;
            let site = kernel.source_of_call(block.caller).unwrap();
            let (file, line) = site.innermost();
            assert_eq!((&**file, line), (lines[0].file.as_str(), lines[0].line), "{build:?}");
            let inlined: Vec<&str> = site.inlined.iter().map(|frame| &*frame.function).collect();
            let functions: Vec<&str> = lines.iter().map(|line| line.function.as_str()).collect();
            assert_eq!(inlined, functions[..functions.len() - 1], "{build:?}");
        }
    }
}

#[test]
fn llvm_symbolizer_says_the_same_today() {
    let mut run = 0;
    for name in NAMES {
        let all = expected(name, "pdb");
        let Some(answers) = symbolize(&file(name, "leaky.sys"), all.keys().copied()) else {
            continue;
        };
        compare(name, &open(name), &answers);
        run += 1;
    }
    if run == 0 {
        println!("skipped: llvm-symbolizer is not installed");
    }
}

/// Their images are not beside the dumps, so an image of ours gets the identity of each PDB.
#[test]
fn drivers_of_real_dumps_have_the_lines_that_llvm_symbolizer_reads() {
    let Some(dumps) = shared("dumps") else { return };
    let folder = tempfile::tempdir().unwrap();
    let mut seen = 0;
    for path in driver_pdbs(&dumps) {
        let bytes = std::fs::read(&path).unwrap();
        let pdb = Pdb::parse("leaky.pdb", Arc::new(bytes.clone())).unwrap();
        let machine = match pdb.machine_image_type() {
            Some(0x14c) => MachineType::X86,
            Some(0xaa64) => MachineType::Arm64,
            _ => MachineType::X64,
        };
        let mut image = Linked::leaky(machine).image.to_vec();
        let record = image.windows(4).position(|bytes| bytes == b"RSDS").unwrap();
        image[record + 4..record + 20].copy_from_slice(&pdb.id().guid);
        image[record + 20..record + 24].copy_from_slice(&pdb.id().age.to_le_bytes());
        std::fs::write(folder.path().join("leaky.pdb"), bytes).unwrap();
        std::fs::write(folder.path().join("leaky.sys"), image).unwrap();
        let end = (0x1000..0x8000).rfind(|rva| pdb.source_site(Rva(*rva)).is_some());
        let Some(end) = end else { continue };
        let Some(answers) = symbolize(&folder.path().join("leaky.sys"), (0x1000..end).step_by(7))
        else {
            println!("skipped: llvm-symbolizer is not installed");
            return;
        };
        compare(&path.display().to_string(), &pdb, &answers);
        seen += 1;
    }
    assert!(seen >= 10, "{seen}");
}

#[test]
fn drivers_of_real_dumps_have_the_names_of_the_whole_table() {
    let Some(dumps) = shared("dumps") else { return };
    for path in driver_pdbs(&dumps) {
        let bytes = Arc::new(std::fs::read(&path).unwrap());
        let whole = Pdb::parse("", bytes.clone()).unwrap().symbol_table().unwrap();
        let pdb = Pdb::parse("", bytes).unwrap();
        for rva in (0..0x6000).chain([u32::MAX]).map(Rva) {
            assert_eq!(pdb.resolve(rva), whole.resolve(rva), "{} {rva:?}", path.display());
        }
    }
}

/// The PDBs beside dumps that are not the kernels'.
fn driver_pdbs(dumps: &Path) -> Vec<PathBuf> {
    let entries = |folder: &Path| -> Vec<PathBuf> {
        let entries = std::fs::read_dir(folder).into_iter().flatten();
        entries.map(|entry| entry.unwrap().path()).collect()
    };
    let stores = entries(dumps).into_iter().flat_map(|dump| entries(&dump.join("symbols")));
    let drivers =
        stores.filter(|path| !path.file_name().unwrap().to_str().unwrap().starts_with("nt"));
    let keys = drivers.flat_map(|driver| entries(&driver));
    keys.flat_map(|key| entries(&key)).collect()
}

/// The answers of llvm-symbolizer, if it is installed and reads PDBs.
fn symbolize(
    image: &Path,
    addresses: impl Iterator<Item = u32>,
) -> Option<BTreeMap<u32, Vec<Frame>>> {
    let addresses: Vec<u32> = addresses.collect();
    let mut tool = Command::new("llvm-symbolizer")
        .arg(format!("--obj={}", image.display()))
        .args(["--relative-address", "--inlines"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .ok()?;
    let mut input = tool.stdin.take()?;
    let writer = {
        let addresses = addresses.clone();
        std::thread::spawn(move || {
            for address in addresses {
                let _ = writeln!(input, "{address:#x}");
            }
        })
    };
    let output = tool.wait_with_output().ok()?;
    writer.join().unwrap();
    let text = String::from_utf8(output.stdout).ok()?;
    // Function and place on a line each; an empty line after each address. A place is file, line and column.
    let answers = text.trim_end().split("\n\n").map(|answer| {
        let lines: Vec<&str> = answer.trim().lines().collect();
        let frames = lines.chunks(2).map(|frame| {
            let function = frame[0].split('(').next().unwrap();
            let mut place = frame[1].rsplitn(3, ':');
            let line = place.nth(1).unwrap().parse().unwrap();
            let file = place.next().unwrap().replace("??", "");
            (function.to_string(), file, line)
        });
        frames.collect()
    });
    let answers: BTreeMap<u32, Vec<Frame>> = addresses.iter().copied().zip(answers).collect();
    (answers.len() == addresses.len()).then_some(answers)
}
