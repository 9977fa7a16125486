//! The shared dumps give the same without symbols as with the kernel's PDB, which other tests compare with
//! the answer sheets: globals, settings, drivers, allocations and records of the pool log. Only names of
//! functions, and the facts that follow from them, are missing.

use std::path::{Path, PathBuf};

use crate::common::{saved, shared};
use verifier_core::analysis::{History, Leaks, NoStack};
use verifier_core::kernel::Kernel;
use verifier_core::verifier::log::{EventKind, EventLog, Operation, Order, PoolLog};
use verifier_core::verifier::{Drivers, PoolReport, Settings};
use verifier_core::{Error, Extent, Problem, Va};
use verifier_host::symbols::SymbolPath;
use verifier_host::{Session, SessionOptions};
use verifier_synth::{Allocation, Build, Driver, DumpKind, Log, Machine, MachineType, Sample};

const GLOBALS: [&str; 6] = [
    "MmVerifierData",
    "VfSuspectDriversList",
    "ViTargetDriversAvl",
    "VfPoolTraces",
    "VfPoolTracesIndex",
    "VfPoolTracesLength",
];

fn dump(name: &str) -> Option<PathBuf> {
    Some(shared("dumps")?.join(name))
}

fn open(folder: &Path, symbols: Option<PathBuf>) -> Session {
    let mut path = SymbolPath::with_default_cache(None);
    if let Some(symbols) = symbols {
        path.push_plain(symbols);
    }
    Session::open(&folder.join("memory.dmp"), path).unwrap()
}

fn compare(bare: &Kernel, full: &Kernel) {
    for name in GLOBALS {
        assert_eq!(bare.global(name), full.global(name), "{name}");
        assert!(
            bare.types().unwrap().remark(name).is_some(),
            "{name} does not say what it is known by"
        );
    }
    assert_eq!(Settings::read(bare).unwrap(), Settings::read(full).unwrap());
    assert_eq!(Drivers::read(bare).unwrap(), Drivers::read(full).unwrap());
    let read = |kernel| PoolReport::read(kernel, |_| true).unwrap();
    let (ours, theirs) = (read(bare), read(full));
    assert_eq!(ours.drivers, theirs.drivers);
    assert_eq!(
        (&ours.unowned, &ours.pool_info.blocks),
        (&theirs.unowned, &theirs.pool_info.blocks)
    );
    // The missing pool info tree is a remark, because blocks are on the tracking pages.
    let is_remark = |problem: &Problem| problem.leaves == Extent::Complete;
    let found = ours.problems.into_iter().filter(|problem| !bare.problems().contains(problem));
    let (remarks, problems): (Vec<_>, Vec<_>) = found.partition(is_remark);
    // Without symbols, the tags are not searched for.
    let theirs_too =
        |problem: &&Problem| problem.what != "DifpPoolTags" && !full.problems().contains(problem);
    assert_eq!(problems, theirs.problems.iter().filter(theirs_too).cloned().collect::<Vec<_>>());
    let what: Vec<&str> = remarks.iter().map(|remark| &*remark.what).collect();
    let has_tree = !theirs.pool_info.blocks.is_empty();
    let is_early = full.global("ViPoolInfoAvl").is_err();
    let expected: &[&str] = if is_early || has_tree { &[] } else { &["pool info tree"] };
    assert_eq!(what, expected);
    let (ours, theirs) = (PoolLog::read(bare, None).unwrap(), PoolLog::read(full, None).unwrap());
    assert_eq!(ours.ring, theirs.ring);
    assert_eq!(ours.all_frames(), theirs.all_frames());
    assert_eq!(ours.records.len(), theirs.records.len());
    for (ours, theirs) in ours.records.iter().zip(&theirs.records) {
        let plain = |record: &verifier_core::verifier::log::PoolRecord| {
            (record.slot, record.address, record.size, record.thread)
        };
        assert_eq!(plain(ours), plain(theirs));
        // Only names of functions distinguish an allocation from a free.
        let told = match theirs.operation {
            Operation::Failed => Operation::Failed,
            _ => Operation::Unknown,
        };
        assert_eq!(ours.operation, told);
    }
    // A record that may be a free does not give a stack; the others are the same.
    let leaks = |kernel| Leaks::read(kernel, |_| true).unwrap();
    let (ours, theirs) = (leaks(bare), leaks(full));
    assert_eq!(ours.blocks.len(), theirs.blocks.len());
    for (one, other) in ours.blocks.iter().zip(&theirs.blocks) {
        assert_eq!(one.allocation, other.allocation);
        match (&one.stack, &other.stack) {
            (Ok(stack), Ok(same)) => assert_eq!(ours.stack(*stack), theirs.stack(*same)),
            (Ok(_), Err(_)) => panic!("{one:?} has a stack, {other:?} has none"),
            (Err(NoStack::Uncertain), _) => {}
            (Err(why), Err(same)) => assert_eq!(why, same),
            (Err(_), Ok(_)) => panic!("{one:?} has no stack, {other:?} has"),
        }
    }
    // Globals that are not searched for say so.
    let Err(Error::UnknownGlobal { name, .. }) = EventLog::read(bare, EventKind::Irql, None, None)
    else {
        panic!("the log of IRQL transitions was read");
    };
    assert_eq!(name, "ViTrackIrqlQueue");
}

fn check(name: &str) {
    let Some(folder) = dump(name) else { return };
    let bare = open(&folder, None);
    let missing = bare.missing_kernel_symbols().unwrap();
    assert!(missing.contains("built-in layouts"), "{missing}");
    let full = open(&folder, Some(folder.join("symbols")));
    assert_eq!(full.missing_kernel_symbols(), None);
    let (bare_kernel, full_kernel) = (bare.kernel().unwrap(), full.kernel().unwrap());
    assert!(!bare_kernel.has_own_types() && full_kernel.has_own_types());
    compare(bare_kernel, full_kernel);
    // Symbols that are supplied later replace the library's own layouts.
    let pdb = ["ntkrnlmp.pdb", "ntkrpamp.pdb"]
        .map(|pdb| folder.join("symbols").join(pdb))
        .into_iter()
        .find(|folder| folder.is_dir())
        .unwrap();
    let pdb = std::fs::read_dir(&pdb)
        .unwrap()
        .next()
        .unwrap()
        .unwrap()
        .path()
        .join(pdb.file_name().unwrap());
    bare.supply_kernel_symbols(std::fs::read(pdb).unwrap()).unwrap();
    assert!(bare_kernel.has_own_types());
    assert_eq!(
        PoolLog::read(bare_kernel, None).unwrap(),
        PoolLog::read(full_kernel, None).unwrap()
    );
}

macro_rules! cases {
    ($($test:ident: $folder:literal;)*) => {
        $(#[test]
        fn $test() {
            check($folder);
        })*
    };
}

cases! {
    win7_leak: "win7-leak";
    win7_rich: "win7-rich";
    win81_rich: "win81-rich";
    win10_19041_rich: "win10-19041-rich";
    win11_22000_rich: "win11-22000-rich";
    win11_22000_live_1e5: "win11-22000-live-1e5";
    win11_26100_rich: "win11-26100-rich";
    arm64_22000_rich: "arm64-22000-rich";
    win7_x86_pae_rich: "win7-x86-pae-rich";
    win7_x86_leak: "win7-x86-leak";
}

/// A machine with two blocks and nine records.
fn machine(build: Build) -> Machine {
    machine_and_block(build).0
}

/// The same machine, with the address of the first block and its caller.
fn machine_and_block(build: Build) -> (Machine, u64, u64) {
    let mut machine = Machine::new(build);
    let leaky =
        machine.driver(Driver::new("leaky.sys").pdb("leaky.pdb").symbol("LeakyRead", 0x1200));
    let caller = machine.driver_address(leaky, "LeakyRead") + 0x34;
    let block = match build.machine() {
        MachineType::X86 => 0x8500_0000,
        _ => machine.kernel_address("VfPoolTraces") - 0x1_0000_0000,
    };
    machine.level(8);
    machine
        .verified(leaky)
        .allocation(Allocation::nonpaged(block, 0x210, b"Leak", caller))
        .allocation(Allocation::paged(block + 0x1000, 0x50, b"Peak", caller));
    for i in 0..9 {
        machine.pool_record(verifier_synth::PoolRecord {
            address: block + i * 0x100,
            size: 0x200 + i,
            thread: block + 0x40,
            frames: vec![caller],
            stale: vec![],
        });
    }
    (machine, block, caller)
}

/// A folder with the dump, and the symbols in a subfolder.
fn put(sample: &Sample) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("memory.dmp"), &sample.dump).unwrap();
    for (name, bytes) in &sample.files {
        let path = folder.path().join("symbols").join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    }
    folder
}

/// Machines of every build for which the dump builder has layouts; these are independent of the library's.
#[test]
fn made_up_machines() {
    for build in Build::ALL {
        let folder = saved(&machine(build).build(DumpKind::Complete));
        let symbols = folder.path().join("symbols");
        let (bare, full) = (open(folder.path(), None), open(folder.path(), Some(symbols)));
        assert!(full.kernel().unwrap().has_own_types(), "{build:?}");
        compare(bare.kernel().unwrap(), full.kernel().unwrap());
        assert_eq!(
            PoolLog::read(bare.kernel().unwrap(), None).unwrap().records.len(),
            9,
            "{build:?}"
        );
    }
}

/// LiveKD writes its own build into the header. The kernel's build string corrects this; without the string,
/// the data in memory do.
#[test]
fn a_header_with_another_build() {
    for build in Build::ALL {
        for (lab, told) in [(true, 9200), (false, 9200), (false, 19045), (false, 7601)] {
            let mut assembly = machine(build).assemble();
            assembly.header.build = told;
            if !lab {
                assembly.patch(assembly.address("nt!NtBuildLab"), &[0; 0x40]);
            }
            let folder = put(&assembly.sample(DumpKind::Complete));
            let symbols = folder.path().join("symbols");
            let (bare, full) = (open(folder.path(), None), open(folder.path(), Some(symbols)));
            let kernel = bare.kernel().unwrap();
            compare(kernel, full.kernel().unwrap());
            let built_in = kernel.types().unwrap().describe();
            if lab {
                assert_eq!(kernel.build(), build.number(), "{build:?}");
                assert!(!built_in.contains("fits"), "{built_in}");
            } else {
                assert_eq!(kernel.build(), told, "{build:?}");
                // If the era differs, a problem says so; adjacent eras may also fit.
                let is_other = told.abs_diff(build.number()) > 2000;
                let says = built_in.contains(&format!("and not those of {told}"));
                assert!(says || !is_other, "{build:?}: {built_in}");
            }
        }
    }
}

/// Memory without a header does not state a build.
#[test]
fn a_raw_images_layouts_follow_from_its_data() {
    for build in [Build::Win7Sp1X86, Build::Win81, Build::Win10Vb, Build::Win11, Build::Win11Ge] {
        let mut assembly = machine(build).assemble();
        assembly.patch(assembly.address("nt!NtBuildLab"), &[0; 0x40]);
        let folder = put(&assembly.sample(DumpKind::Complete));
        let full = open(folder.path(), Some(folder.path().join("symbols")));
        let raw = folder.path().join("memory.raw");
        std::fs::write(&raw, assembly.dump(DumpKind::Raw)).unwrap();
        let mut options = SessionOptions::default();
        options.raw = true;
        let path = SymbolPath::with_default_cache(None);
        let bare = Session::open_with(&raw, path, options).unwrap();
        let kernel = bare.kernel().unwrap();
        assert_eq!(kernel.build(), 0);
        let said = kernel.types().unwrap().describe();
        assert!(said.ends_with("(by what is in memory)"), "{said}");
        compare(kernel, full.kernel().unwrap());
    }
}

/// Missing symbols are reported once for each module that a view shows, the kernel first.
#[test]
fn missing_symbols_are_problems() {
    let mut machine = Machine::new(Build::Win10Vb);
    let mut driver = |i: u64| {
        let name = format!("driver{i}.sys");
        let base = 0xffff_f880_0440_0000 + i * 0x10_0000;
        machine.driver(Driver::new(&name).base(base).pdb(&format!("driver{i}.pdb")));
        Va(base + 0x1200)
    };
    let frames: Vec<Va> = (0..8).map(&mut driver).collect();
    let sample = machine.build(DumpKind::Complete);
    let folder = saved(&sample);
    let session = open(folder.path(), None);
    let what = |problems: Vec<Problem>| problems.into_iter().map(|p| p.what).collect::<Vec<_>>();
    assert_eq!(what(session.symbol_problems()), ["symbols of the kernel"]);
    session.load_symbols_at(frames.iter().copied());
    assert_eq!(session.symbol_problems().len(), 9);
    let shown = session.symbol_problems_at(frames[2..4].iter().copied());
    assert_eq!(shown[1].address, Some(Va(frames[2].0 - 0x1200)));
    assert!(shown[1].why.contains("driver2.pdb"), "{}", shown[1].why);
    assert_eq!(
        what(shown),
        ["symbols of the kernel", "symbols of driver2.sys", "symbols of driver3.sys"]
    );
    let many = what(session.symbol_problems_at(frames.iter().copied()));
    assert_eq!((many.len(), many[4].as_str()), (5, "symbols of 5 more modules"));
    // With all symbols there is no problem.
    let symbols = folder.path().join("symbols");
    let session = open(folder.path(), Some(symbols));
    session.load_symbols_at(frames.iter().copied());
    assert!(session.kernel().unwrap().has_own_types());
    assert_eq!(session.kernel_symbol_problem(), None);
    let told = session.symbol_problems();
    assert!(told.iter().all(|problem| problem.what != "symbols of the kernel"), "{told:?}");
}

/// A first lap without an index: the records are there, but their order is unknown.
#[test]
fn a_log_without_its_index() {
    for build in [Build::Win7Sp1X86, Build::Win10Vb, Build::Win11, Build::Win11Ge] {
        let (mut machine, block, caller) = machine_and_block(build);
        let record = |address, size| verifier_synth::PoolRecord {
            address,
            size,
            thread: block + 0x40,
            frames: vec![caller],
            stale: vec![],
        };
        // A second lifetime of a block: it is unknown which of the two records is newer.
        machine.pool_record(record(block, 0x210));
        machine.pool_record(record(block + 0x1000, 0x50));
        let mut assembly = machine.assemble();
        let index = assembly.address("nt!VfPoolTracesIndex");
        assembly.patch(index, &0x7654_3210u32.to_le_bytes());
        let folder = put(&assembly.sample(DumpKind::Complete));
        let session = open(folder.path(), None);
        let kernel = session.kernel().unwrap();
        assert!(kernel.global("VfPoolTracesIndex").is_err());

        let log = PoolLog::read(kernel, None).unwrap();
        assert_eq!((log.ring.index, log.ring.order()), (None, Order::Unknown));
        assert_eq!((log.wrapped, log.unused), (Some(false), log.ring.length - 11));
        // Sorted by slot, the last first.
        let slots: Vec<u32> = log.records.iter().map(|record| record.slot).collect();
        assert_eq!(slots, (1..=11).rev().collect::<Vec<_>>());
        let sizes: Vec<u64> = log.records.iter().map(|record| record.size).collect();
        let written: Vec<u64> = (0x200..0x209).chain([0x210, 0x50]).rev().collect();
        assert_eq!(sizes, written);
        assert_eq!(log.problems[0].what, "order of the pool log");
        assert!(log.problems[0].why.contains("VfPoolTracesIndex"), "{}", log.problems[0].why);
        assert!(!log.problems[0].why.contains("newest"));
        let log = PoolLog::read(kernel, Some(3)).unwrap();
        assert!(log.problems[0].why.contains("the newest 3 is unknown"));
        assert_eq!(log.records.len(), 3);

        // A single record is the newest in any order; of two records it is unknown.
        let leaks = Leaks::read(kernel, |_| true).unwrap();
        let [two, alone] = [block, block + 0x1000].map(|address| {
            *leaks.blocks.iter().find(|one| one.allocation.address == Va(address)).unwrap()
        });
        assert_eq!((two.stack, two.record), (Err(NoStack::OrderUnknown), None));
        assert_eq!(leaks.stack(alone.stack.unwrap()), [Va(caller)]);
        assert_eq!(leaks.reach.written, None);

        let history = History::read(kernel, Va(block)).unwrap();
        assert_eq!((history.order, history.events.len()), (Order::Unknown, 2));
        assert_eq!(history.lifetimes.len(), 1);
        let life = &history.lifetimes[0];
        assert_eq!((life.is_held, life.allocated), (true, None));
        assert_eq!(life.why_unknown, Some(NoStack::OrderUnknown));
        let history = History::read(kernel, Va(block + 0x1000)).unwrap();
        assert_eq!(history.lifetimes[0].allocated, Some(0));
    }
}

/// A ring that has wrapped, with too few blocks to find its index.
#[test]
fn a_wrapped_log_without_an_index() {
    let mut machine = machine(Build::Win10Vb);
    machine.log(Log::Pool).length = 8;
    let folder = saved(&machine.build(DumpKind::Complete));
    let bare = open(folder.path(), None);
    let kernel = bare.kernel().unwrap();
    let why = kernel.global("VfPoolTracesIndex").unwrap_err().to_string();
    assert!(why.contains("the records do not decide which"), "{why}");
    let log = PoolLog::read(kernel, None).unwrap();
    assert_eq!((log.ring.order(), log.wrapped, log.records.len()), (Order::Unknown, Some(true), 8));
    let full = open(folder.path(), Some(folder.path().join("symbols")));
    let ordered = PoolLog::read(full.kernel().unwrap(), None).unwrap();
    assert_eq!((ordered.ring.order(), ordered.ring.index), (Order::NewestFirst, Some(9)));
    let sizes = |log: &PoolLog| {
        let mut sizes: Vec<u64> = log.records.iter().map(|record| record.size).collect();
        sizes.sort_unstable();
        sizes
    };
    assert_eq!(sizes(&log), sizes(&ordered));
}

/// The command lists the records and says that their order is unknown, in every format that has a place for
/// it.
#[cfg(feature = "cli")]
#[test]
fn the_command_shows_a_log_of_unknown_order() {
    let mut machine = machine(Build::Win10Vb);
    machine.log(Log::Pool).length = 8;
    let folder = tempfile::tempdir().unwrap();
    let dump = folder.path().join("memory.dmp");
    std::fs::write(&dump, machine.build(DumpKind::Complete).dump).unwrap();
    let run = |args: &[&str]| {
        let output = crate::common::command().args(args).arg(&dump).output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{args:?}: {output:?}");
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (text(output.stdout), text(output.stderr))
    };
    let (text, said) = run(&["log", "pool"]);
    assert!(text.contains("how many were written and their order are unknown"), "{text}");
    assert!(text.contains("Displaying 0x0000000000000008 entries, order unknown."), "{text}");
    assert!(!text.contains("most recent"));
    assert!(said.contains("order of the pool log"), "{said}");
    let json = |args: &[&str]| serde_json::from_str::<serde_json::Value>(&run(args).0).unwrap();
    let log = json(&["log", "--format", "json", "pool"]);
    assert_eq!((&log["order"], &log["written"]), (&"unknown".into(), &serde_json::Value::Null));
    assert_eq!(log["entries"].as_array().unwrap().len(), 8);
    assert_eq!(log["problems"][0]["what"], "order of the pool log");
    let leaks = json(&["leaks", "--format", "json"]);
    assert_eq!(leaks["log"]["written"], serde_json::Value::Null);
}

/// A search of all of memory can be ended.
#[test]
fn carving_can_be_stopped() {
    let mut machine = Machine::new(Build::Win10Vb);
    machine.level(8);
    let sample = machine.build(DumpKind::Complete);
    let folder = saved(&sample);
    let session = open(folder.path(), None);
    let pages = std::sync::atomic::AtomicU64::new(0);
    session
        .kernel()
        .unwrap()
        .stop_when(Box::new(move || pages.fetch_add(1, std::sync::atomic::Ordering::Relaxed) >= 5));
    let (carved, _) = session.carve_pool(None, None).unwrap();
    assert_eq!(carved.pages_looked_at, 5);
    assert!(carved.problems[0].why.starts_with("reading was stopped"), "{:?}", carved.problems);
}

/// Without a verified driver nothing leads to the tree, and an empty log cannot be found; the output says so.
#[test]
fn nothing_to_find() {
    let mut machine = Machine::new(Build::Win10Vb);
    machine.level(8);
    let sample = machine.build(DumpKind::Complete);
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("memory.dmp"), &sample.dump).unwrap();
    let session = open(folder.path(), None);
    let kernel = session.kernel().unwrap();
    assert_eq!(Settings::read(kernel).unwrap().level.0, 8);
    for name in &GLOBALS[1..] {
        let Err(Error::UnknownGlobal { why, .. }) = kernel.global(name) else { panic!("{name}") };
        assert!(!why.is_empty());
    }
    assert!(Drivers::read(kernel).is_err());
    assert!(PoolLog::read(kernel, None).is_err());
}
