//! The command on files other than full crash dumps: cores of virtual machines, raw images, small dumps; and
//! the ways to a small dump's symbols.

use std::fs;
use std::path::PathBuf;
use std::process::Output;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use crate::common::{command, put_all, shared};
use serde_json::Value;
use tempfile::TempDir;
use verifier_core::verifier::{Drivers, Settings};
use verifier_core::{Error as CoreError, Pa};
use verifier_host::symbols::{SymbolPath, pdb_of_image};
use verifier_host::{Error, Progress, Session, SessionOptions};
use verifier_synth::{
    Allocation, Assembly, BugCheck, Build, DebuggerKeys, Driver, DumpKind, Image, Machine,
    MachineType, PoolRecord,
};

/// Files in their own folder, and the command on them.
struct Files {
    folder: TempDir,
}

impl Files {
    fn new(assembly: &Assembly) -> Self {
        let folder = tempfile::tempdir().unwrap();
        put_all(&folder.path().join("symbols"), &assembly.files);
        Self { folder }
    }

    fn put(&self, name: &str, bytes: &[u8]) -> String {
        let path = self.folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, bytes).unwrap();
        path.to_str().unwrap().to_owned()
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn run(&self, args: &[&str]) -> Output {
        command().args(args).current_dir(self.folder.path()).output().unwrap()
    }

    #[track_caller]
    fn clean(&self, args: &[&str]) -> String {
        let output = self.run(args);
        assert_eq!(String::from_utf8_lossy(&output.stderr), "", "{args:?}");
        assert_eq!(output.status.code(), Some(0), "{args:?}");
        String::from_utf8(output.stdout).unwrap()
    }

    #[track_caller]
    fn json(&self, args: &[&str]) -> Value {
        serde_json::from_str(&self.clean(&[args, &["--format", "json"]].concat())).unwrap()
    }

    /// The error message of a command that fails.
    #[track_caller]
    fn refused(&self, args: &[&str]) -> String {
        let output = self.run(args);
        assert_eq!(output.status.code(), Some(1), "{args:?}");
        assert_eq!(String::from_utf8_lossy(&output.stdout), "", "{args:?}");
        String::from_utf8(output.stderr).unwrap()
    }
}

/// The block that the driver holds.
fn held(build: Build) -> u64 {
    if build.machine() == MachineType::X86 { 0x8500_0000 } else { 0xffff_9a8f_5000_0000 }
}

fn machine(build: Build) -> Machine {
    let mut m = Machine::new(build);
    let held = held(build);
    let leaky = m.driver(Driver::new("leaky.sys").pdb("leaky.pdb").symbol("LeakyRead", 0x1200));
    let caller = m.driver_address(leaky, "LeakyRead") + 0x34;
    m.level(8);
    m.verified(leaky).allocation(Allocation::nonpaged(held, 0x210, b"Leak", caller));
    m.pool_record(PoolRecord {
        address: held,
        size: 0x200,
        thread: held - 0x40,
        frames: vec![caller],
        stale: vec![],
    });
    m
}

/// Cancels at the nth check and all later ones.
struct CancelAt(AtomicUsize);

impl Progress for CancelAt {
    fn begin(&self, _what: &str, _total: Option<u64>) {}
    fn advance(&self, _done: u64) {}
    fn end(&self) {}
    fn is_canceled(&self) -> bool {
        self.0.fetch_update(Relaxed, Relaxed, |left| left.checked_sub(1)).is_err()
    }
}

#[test]
fn opening_can_be_canceled() {
    let assembly = machine(Build::Win10Vb).assemble();
    let files = Files::new(&assembly);
    files.put("memory.raw", &assembly.dump(DumpKind::Raw));
    files.put("memory.dmp", &assembly.dump(DumpKind::Complete));
    let open = |name: &str, after| {
        let mut options = SessionOptions::default();
        options.raw = name.ends_with(".raw");
        options.progress = Some(Box::new(CancelAt(AtomicUsize::new(after))));
        Session::open_with(&files.path(name), SymbolPath::with_default_cache(None), options)
            .unwrap()
    };
    // The search for the kernel and, if there is none, the search for globals.
    assert!(open("memory.raw", usize::MAX).kernel().is_ok());
    let error = open("memory.raw", 2).kernel().err().unwrap();
    assert!(matches!(error, Error::Core(CoreError::Stopped { .. })), "{error}");
    let global = |after| {
        let session = open("memory.dmp", after);
        session.kernel().unwrap().global("VfSuspectDriversList")
    };
    assert!(global(usize::MAX).is_ok());
    let error = global(2).unwrap_err().to_string();
    assert!(error.contains("reading was stopped"), "{error}");
    // A view also checks.
    let session = open("memory.dmp", 1 << 20);
    let kernel = session.kernel().unwrap();
    assert!(!kernel.is_stopped());
    while !session.progress().is_canceled() {}
    assert!(kernel.is_stopped());
}

#[test]
fn a_header_that_leads_nowhere_does_not_hide_the_kernel() {
    let whole = machine(Build::Win10Vb).assemble();
    let files = Files::new(&whole);
    let path = files.put("whole.dmp", &whole.dump(DumpKind::BitmapKernel));
    let expected = files.json(&["pool", &path, "--symbols", "symbols"]);
    let mut assembly = whole.clone();
    // The header has the tables, but neither the list nor the block.
    assembly.header.ps_loaded_module_list = None;
    assembly.header.kd_debugger_data_block = None;
    let path = files.put("lists.dmp", &assembly.dump(DumpKind::BitmapKernel));
    assert_eq!(files.json(&["pool", &path, "--symbols", "symbols"]), expected);
    let info = files.json(&["info", &path, "--symbols", "symbols"]);
    assert_eq!(info["page_tables"]["from"], "the dump's header");
    // The header does not have the tables either.
    assembly.header.dtb = 0x4547_4150_4547_4150;
    let path = files.put("tables.dmp", &assembly.dump(DumpKind::BitmapKernel));
    assert_eq!(files.json(&["pool", &path, "--symbols", "symbols"]), expected);
    let info = files.json(&["info", &path, "--symbols", "symbols"]);
    assert_eq!(info["page_tables"]["from"], "found by the entry that maps the tables");
    // Tables that lead elsewhere are a remark: the header's other addresses confirm that the found kernel is
    // the right one.
    assembly.header = whole.header.clone();
    assembly.header.dtb = 0x5000;
    let path = files.put("wrong.dmp", &assembly.dump(DumpKind::BitmapKernel));
    let told = |text: &str, leaves: &str| {
        let info = files.json(&["info", &path, "--symbols", "symbols"]);
        let problem = &info["problems"][0];
        assert_eq!((&problem["what"], &problem["leaves"]), (&"dump header".into(), &leaves.into()));
        assert!(problem["why"].as_str().unwrap().contains(text), "{problem}");
        let pool = files.json(&["pool", &path, "--symbols", "symbols"]);
        assert_eq!(pool["drivers"], expected["drivers"]);
    };
    told("DirectoryTableBase 0x5000 does not lead to the kernel", "complete");
    // Without these addresses, it may be another kernel.
    assembly.header.ps_loaded_module_list = Some(0xffff_f800_0000_0000);
    assembly.header.kd_debugger_data_block = None;
    files.put("wrong.dmp", &assembly.dump(DumpKind::BitmapKernel));
    told("DirectoryTableBase 0x5000 does not lead to the kernel", "at least");
    assembly.header.dtb = whole.header.dtb;
    files.put("wrong.dmp", &assembly.dump(DumpKind::BitmapKernel));
    told("its addresses do not lead to the list of loaded modules", "at least");
    let path = files.path("tables.dmp").to_str().unwrap().to_owned();
    // Tables that the user gives are not replaced.
    let error = files.refused(&["pool", &path, "--symbols", "symbols", "--dtb", "0x5000"]);
    assert!(error.contains("is unknown"), "{error}");
}

#[test]
fn each_view_of_a_file_that_was_cut_short_begins_with_what_is_missing() {
    let assembly = machine(Build::Win10Vb).assemble();
    let files = Files::new(&assembly);
    let cut = |name: &str, kind| {
        let mut bytes = assembly.dump(kind);
        bytes.truncate(bytes.len() - 16);
        files.put(name, &bytes)
    };
    let first = |args: &[&str]| {
        let output = files.run(&[args, &["--symbols", "symbols"]].concat());
        let text = String::from_utf8(output.stdout).unwrap();
        text.lines().next().unwrap_or_default().to_owned()
    };
    let is_first = |path: &str, args: &[&str]| {
        let line = first(args);
        let end = format!(" pages) are missing at the end of {path}; copy the file again.");
        assert!(line.starts_with("Truncated: 16 bytes (1 of "), "{args:?}: {line}");
        assert!(line.ends_with(&end), "{args:?}: {line}");
    };
    for kind in DumpKind::WITH_HEADER.into_iter().chain([DumpKind::Elf]) {
        let path = cut("any.dmp", kind);
        is_first(&path, &["settings", &path]);
    }
    let path = cut("cut.dmp", DumpKind::BitmapKernel);
    for args in [
        "info",
        "settings",
        "drivers",
        "pool",
        "pool --by-stack",
        "pool --carve",
        "log pool",
        "log pool --carve",
        "log irql",
        "log watched",
        "deadlock",
        "history --address 0x85000000",
        "leaks",
        "kd -c !verifier",
    ] {
        let mut args: Vec<&str> = args.split(' ').collect();
        args.push(&path);
        is_first(&path, &args);
    }
    let whole = files.put("whole.dmp", &assembly.dump(DumpKind::BitmapKernel));
    for (old, new) in [(&path, &whole), (&whole, &path)] {
        is_first(&path, &["diff", old, new]);
    }
    assert!(first(&["settings", &whole]).starts_with("Level"));
    // With a document, it is on standard error.
    let picture = files.path("leaks.svg").to_str().unwrap().to_owned();
    for args in [
        &["info", "--format", "json"][..],
        &["log", "pool", "--format", "csv"],
        &["leaks", "--format", "markdown"],
        &["leaks", "--format", "folded"],
        &["deadlock", "--format", "dot"],
        &["flamegraph", "-o", &picture],
    ] {
        let output = files.run(&[args, &[&path, "--symbols", "symbols"]].concat());
        let [out, err] = [output.stdout, output.stderr].map(|b| String::from_utf8(b).unwrap());
        assert!(!out.contains("Truncated: "), "{args:?}: {out}");
        assert!(err.contains("verifier: warning: Truncated: 16 bytes"), "{args:?}: {err}");
    }
    // A file without a kernel says so, too.
    let bytes = assembly.dump(DumpKind::BitmapKernel);
    let path = files.put("start.dmp", &bytes[..0x8000]);
    let output = files.run(&["leaks", &path, "--format", "json"]);
    assert_eq!(output.status.code(), Some(1));
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(
        error.lines().last().unwrap().contains("are missing at the end of the file"),
        "{error}"
    );
    let info = files.run(&["info", &path, "--format", "json"]);
    let info: Value = serde_json::from_slice(&info.stdout).unwrap();
    assert_eq!(info["missing_at_end"], bytes.len() - 0x8000);
    assert_eq!(info["problems"][0]["what"], "file");
}

#[test]
fn without_tree_list_and_symbols_the_blocks_are_found_and_marked() {
    for build in [Build::Win7Sp1X86, Build::Win7Sp1, Build::Win10Vb, Build::Win11, Build::Win11Ge] {
        let pool = if build == Build::Win7Sp1X86 { 0 } else { 0xffff_b00f_0000_0000 };
        let mut m = machine(build);
        let quiet = m.driver(Driver::new("quiet.sys").symbol("QuietRead", 0x1100));
        let caller = m.driver_address(quiet, "QuietRead") + 0x34;
        m.verified(quiet)
            .allocation(Allocation::nonpaged(pool + 0x8600_0000, 0x210, b"Leak", caller))
            .allocation(Allocation::paged(pool + 0x8600_1000, 0x50, b"Peak", caller));
        let mut assembly = m.assemble();
        let files = Files::new(&assembly);
        let path = files.put("whole.dmp", &assembly.dump(DumpKind::Complete));
        let whole = files.json(&["pool", &path, "--symbols", "symbols"]);
        let held = |document: &Value| {
            let drivers = document["drivers"].as_array().unwrap();
            let quiet = drivers.iter().find(|driver| driver["name"] == "quiet.sys").unwrap();
            let mut blocks = quiet["allocations"].as_array().unwrap().clone();
            // Names of functions are only in the symbols.
            blocks.iter_mut().for_each(|block| block["caller_symbol"] = Value::Null);
            blocks
        };
        let mut expected = held(&whole);
        for block in &mut expected {
            assert_eq!(block["source"], "tracker");
            block["source"] = "carved".into();
        }
        for (global, bytes) in [("nt!ViTargetDriversAvl", 0x28), ("nt!VfSuspectDriversList", 8)] {
            assembly.patch(assembly.address(global), &[0xa5; 0x28][..bytes]);
        }
        let path = files.put("overwritten.dmp", &assembly.dump(DumpKind::Complete));
        let output = files.run(&["pool", &path, "--symbols", "none", "--format", "json"]);
        let bare: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!((held(&bare), expected.len()), (expected, 2), "{build:?}");
        let text = files.run(&["pool", &path, "--symbols", "none"]);
        let text = String::from_utf8(text.stdout).unwrap();
        assert!(text.contains("quiet.sys: 2 outstanding allocations, 608 bytes (carved)\n"));
        let table = files.run(&["pool", &path, "--symbols", "none", "--format", "csv"]);
        let table = String::from_utf8(table.stdout).unwrap();
        assert_eq!(table.matches("quiet.sys,").count(), 2, "{table}");
        assert!(table.contains(",carved,,at least\n"), "{table}");
        let kd = files.run(&["kd", &path, "--symbols", "none", "-c", "!verifier 3 quiet.sys"]);
        let kd = String::from_utf8(kd.stdout).unwrap();
        assert!(kd.contains("Leak") && kd.contains("Peak"), "{kd}");
    }
}

#[test]
fn the_debugger_data_are_found_by_their_mark() {
    for build in [Build::Win7Sp1X86, Build::Win10Vb] {
        let mut assembly = machine(build).assemble();
        assembly.header.kd_debugger_data_block = None;
        // A block that names another image does not count.
        let block = assembly.address("nt!KdDebuggerDataBlock");
        assembly.patch(block - 0x100, b"KDBG\x40\x03\0\0\0\0\x40\x05\0\0\0\0");
        let files = Files::new(&assembly);
        // Without symbols, nothing else gives the address of the level.
        let path = files.put("memory.dmp", &assembly.dump(DumpKind::Complete));
        let output = files.run(&["settings", &path, "--symbols", "none", "--format", "json"]);
        let settings: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(settings["level"], 8, "{build:?}");
        let info = files.json(&["info", &path, "--symbols", "symbols"]);
        let data = &info["kernel"]["debugger_data"];
        assert_eq!(data["address"], format!("{block:#x}"));
        assert_eq!(data["remark"], "the header does not say where it is");
    }
}

#[test]
fn the_debugger_data_lead_to_a_kernel_whose_list_is_broken() {
    let mut assembly = machine(Build::Win10Vb).assemble();
    let head = assembly.address("nt!PsLoadedModuleList");
    assembly.patch_pointer(head, 0x10);
    let files = Files::new(&assembly);
    let path = files.put("list.dmp", &assembly.dump(DumpKind::BitmapKernel));
    let output = files.run(&["settings", &path, "--symbols", "symbols", "--format", "json"]);
    assert_eq!(output.status.code(), Some(0));
    let settings: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(settings["level"], 8);
    let info = files.run(&["info", &path, "--symbols", "symbols", "--format", "json"]);
    let info: Value = serde_json::from_slice(&info.stdout).unwrap();
    assert!(info["problems"].to_string().contains("list of loaded modules"), "{info}");
}

#[test]
fn a_core_of_a_virtual_machine() {
    let assembly = machine(Build::Win10Vb).assemble();
    let files = Files::new(&assembly);
    files.put("whole.dmp", &assembly.dump(DumpKind::Complete));
    files.put("vm.core", &assembly.dump(DumpKind::Elf));
    let info = files.json(&["info", "vm.core", "--symbols", "symbols"]);
    assert_eq!(info["kind_name"], "ELF core of a virtual machine, by QEMU");
    assert_eq!((&info["build"], &info["machine"]), (&19041.into(), &"x64".into()));
    assert_eq!(info["page_tables"]["from"], "CR3 of processor 0");
    assert_eq!(info["page_tables"]["base"], format!("{:#x}", assembly.header.dtb));
    assert_eq!(info["pages"], assembly.space().memory().len());
    assert_eq!(info["kernel"]["modules_from"], "PsLoadedModuleList");
    // It has no header. The kernel noted its bug check in memory.
    assert!(info.get("directory_table_base").is_none());
    assert_eq!(info["bug_check"]["code"], assembly.header.bug_check.unwrap().code);
    let globals = info["verifier"]["globals"].as_array().unwrap();
    assert_eq!(globals[0]["name"], "MmVerifierData");
    assert_eq!(globals[0]["address"], format!("{:#x}", assembly.address("nt!MmVerifierData")));
    assert_eq!(globals[0]["from"], "ISF table");
    let text = files.clean(&["info", "vm.core", "--symbols", "symbols"]);
    assert!(text.contains("(x64, 4 levels; CR3 of processor 0)"), "{text}");
    let whole = files.json(&["info", "whole.dmp", "--symbols", "symbols"]);
    assert_eq!(whole["page_tables"]["from"], "the dump's header");
    for view in [&["pool"][..], &["drivers"], &["settings"], &["log", "pool"], &["leaks"]] {
        let [core, dump] = ["vm.core", "whole.dmp"]
            .map(|file| files.clean(&[view, &[file, "--symbols", "symbols"]].concat()));
        assert_eq!(core, dump, "{view:?}");
    }
    // The kernel's note of the bug check says what a dump's header says.
    let [core, dump] = ["vm.core", "whole.dmp"]
        .map(|file| files.clean(&["kd", file, "-c", ".bugcheck", "--symbols", "symbols"]));
    assert_eq!(core, dump);
}

/// Without a header, the reason why deadlock detection stopped the machine is in the kernel's own memory.
#[test]
fn a_deadlock_without_a_dumps_header() {
    let mut m = Machine::new(Build::Win10Vb);
    let parameters = [0x1003, 0xffff_9a8f_5000_0010, 0xffff_9a8f_5000_0020, 0];
    m.bug_check(BugCheck { code: 0xc4, parameters }).deadlock();
    let assembly = m.assemble();
    let files = Files::new(&assembly);
    let mut issues = Vec::new();
    for (name, kind, raw) in [
        ("whole.dmp", DumpKind::Complete, &[][..]),
        ("vm.core", DumpKind::Elf, &[]),
        ("memory.raw", DumpKind::Raw, &["--raw"]),
    ] {
        files.put(name, &assembly.dump(kind));
        let args = [&["deadlock", name, "--symbols", "symbols"], raw].concat();
        issues.push(files.json(&args)["issue"].clone());
    }
    assert_eq!((&issues[0]["code"], &issues[0]["from"]), (&0x1003.into(), &"bug check".into()));
    assert_eq!((&issues[1], &issues[2]), (&issues[0], &issues[0]));
}

#[test]
fn raw_memory() {
    let keys =
        DebuggerKeys { wait_never: 0x00c3_71a5_88f0_1923, wait_always: 0x8f17_2b00_41d2_6ee5 };
    let mut machine = machine(Build::Win10Vb);
    machine.encode_debugger_data(keys);
    // Kernels before 10 do not export it, so the symbols lead to it.
    machine.kernel_mut().exports.clear();
    let assembly = machine.assemble();
    let files = Files::new(&assembly);
    files.put("memory.raw", &assembly.dump(DumpKind::Raw));
    files.put("whole.dmp", &assembly.dump(DumpKind::Complete));
    let error = files.refused(&["pool", "memory.raw"]);
    assert!(error.contains("must be opened as one (--raw)"), "{error}");
    let args = ["memory.raw", "--raw", "--symbols", "symbols"];
    let info = files.json(&[&["info"][..], &args].concat());
    assert_eq!(info["kind_name"], "raw physical memory");
    assert_eq!(info["page_tables"]["from"], "found by the entry that maps the tables");
    assert_eq!(info["build"], 19041);
    let data = &info["kernel"]["debugger_data"];
    assert!(data["address"].as_str().unwrap().starts_with("0xfffff"), "{data}");
    assert_eq!(data["remark"], "was encoded");
    assert_eq!(info["kernel"]["modules"].as_array().unwrap().len(), 3);
    assert_eq!(info["problems"], Value::Array(vec![]));
    let want = files.clean(&["pool", "whole.dmp", "--symbols", "symbols"]);
    assert!(want.contains("leaky!LeakyRead+0x34"), "{want}");
    assert_eq!(files.clean(&[&["pool"][..], &args].concat()), want);
    let dtb = format!("{:x}", assembly.header.dtb);
    assert_eq!(files.clean(&[&["pool", "--dtb", &dtb][..], &args].concat()), want);
    let error = files.refused(&[&["pool", "--dtb", "0x1000"][..], &args].concat());
    assert!(error.contains("no kernel's image is mapped by page tables at 0x1000"), "{error}");
    // You can give other tables than the header's for a crash dump; here this address has none.
    let error = files.refused(&["pool", "whole.dmp", "--dtb", "0x1000", "--symbols", "symbols"]);
    assert!(error.contains("level 4"), "{error}");
    let other = files.clean(&["pool", "whole.dmp", "--dtb", &dtb, "--symbols", "symbols"]);
    assert_eq!(other, want);
    // Without symbols only the kernel is known, and the reason is shown.
    let info = files.run(&["info", "memory.raw", "--raw", "--format", "json"]);
    let info: Value = serde_json::from_slice(&info.stdout).unwrap();
    assert_eq!(info["kernel"]["modules_from"], "the kernel's image alone");
    assert!(info["problems"].to_string().contains("only the kernel's symbols say where it is"));
}

#[test]
fn a_session_over_raw_memory() {
    let assembly = machine(Build::Win7Sp1X86).assemble();
    let files = Files::new(&assembly);
    files.put("memory.raw", &assembly.dump(DumpKind::Raw));
    let mut options = SessionOptions::default();
    options.raw = true;
    options.directory_table_base = Some(Pa(assembly.header.dtb));
    let mut symbols = SymbolPath::new();
    symbols.push_plain(files.path("symbols"));
    let session = Session::open_with(&files.path("memory.raw"), symbols, options).unwrap();
    assert!(session.dump().is_none() && session.memory_file().is_some());
    assert_eq!(session.tables().unwrap().from, "given");
    let kernel = session.kernel().unwrap();
    assert_eq!(kernel.build(), 7601);
    assert_eq!(Settings::read(kernel).unwrap().level.0, 8);
}

/// The CodeView record of the kernel, if a small dump has it.
fn with_record(assembly: &Assembly) -> Vec<u8> {
    let base = assembly.small_dump_content(&[]).drivers[0].base;
    assembly.small_dump(&[(base + 0x1000, 0x200)])
}

#[test]
fn a_small_dump() {
    let assembly = machine(Build::Win10Vb).assemble();
    let files = Files::new(&assembly);
    files.put("small.dmp", &with_record(&assembly));
    let args = ["small.dmp", "--symbols", "symbols"];
    let output = files.run(&[&["info"][..], &args, &["--format", "json"]].concat());
    let info: Value = serde_json::from_slice(&output.stdout).unwrap();
    let small = &info["small_dump"];
    assert_eq!((&small["is_complete"], &small["call_stack_bytes"]), (&true.into(), &0x318.into()));
    assert!(small["remark"].as_str().unwrap().contains("never Verifier's drivers"));
    assert_eq!(info["page_tables"], Value::Null);
    assert_eq!(info["verifier"]["level"], 8);
    assert_eq!(info["kernel"]["modules_from"], "the dump's own list of drivers");
    let modules = info["kernel"]["modules"].as_array().unwrap();
    assert_eq!(modules.len(), 3);
    assert_eq!(modules[2]["name"], "leaky.sys");
    assert_eq!(modules[2]["time_date_stamp"], 0x4ce7_951a);
    assert!(modules[2]["check_sum"].is_u64());
    let from = |name: &str| {
        let globals = info["verifier"]["globals"].as_array().unwrap();
        let one = globals.iter().find(|global| global["name"] == name).unwrap();
        one["from"].as_str().unwrap().to_owned()
    };
    assert_eq!(from("MmVerifierData"), "ISF table");
    assert_eq!(from("VfPoolTraces"), "not held by a small dump");
    let text = String::from_utf8(files.run(&[&["info"][..], &args].concat()).stdout).unwrap();
    assert_eq!(text.matches("never Verifier's").count(), 1, "{text}");
    let output = files.run(&[&["settings"][..], &args].concat());
    assert_eq!(output.status.code(), Some(0));
    assert!(String::from_utf8_lossy(&output.stdout).contains("Level 0x00000008"));
    // Every other view: one line, which says what such a dump never holds.
    let views: [&[&str]; 9] = [
        &["drivers"],
        &["pool"],
        &["log", "pool"],
        &["log", "irql"],
        &["leaks"],
        &["deadlock"],
        &["history", "--address", "0x85000000"],
        &["kd", "-c", "!verifier 80"],
        &["flamegraph", "-o", "x.svg"],
    ];
    for symbols in [&args[..], &args[..1]] {
        for view in views {
            let error = files.refused(&[view, symbols].concat());
            assert_eq!(error.lines().count(), 1, "{view:?}: {error}");
            assert!(error.contains("a small (triage) dump holds no physical memory"), "{error}");
        }
    }
    assert!(!files.path("x.svg").exists());
}

#[test]
fn a_small_dumps_symbols_by_a_named_file() {
    let assembly = machine(Build::Win11).assemble();
    let mut other = machine(Build::Win11);
    other.kernel_symbol("PsLoadedModuleList", 0xc0_0000);
    let other = other.assemble();
    let files = Files::new(&assembly);
    files.put("small.dmp", &assembly.small_dump(&[]));
    let table = |assembly: &Assembly| {
        assembly.files.iter().find(|(name, _)| name.contains("ntkrnl")).unwrap().1.clone()
    };
    let right = files.put("right.json", &table(&assembly));
    let wrong = files.put("wrong.json", &table(&other));
    let store = files.put("store/other-1.json", &table(&other));
    let store = store.strip_suffix("other-1.json").unwrap();
    // Its image does not name its PDB, but the addresses select one of those in a folder.
    let types = |symbols: &[&str]| {
        let info = files.run(&[&["info", "small.dmp"], symbols].concat());
        String::from_utf8(info.stdout).unwrap()
    };
    assert!(types(&["--symbols", "symbols"]).contains("ISF table"));
    let info = types(&["--symbols", store]);
    assert!(info.contains("of 1 kernels' symbols on the path each: they put"), "{info}");
    assert!(info.contains("built-in layouts"), "{info}");
    assert!(types(&["--symbols", store, "--symbols", "symbols"]).contains("ISF table"));
    let info = types(&["--symbols", &wrong]);
    assert!(info.contains("they are of another build"), "{info}");
    assert!(info.contains("built-in layouts"), "{info}");
    assert!(types(&["--symbols", &right]).contains("ISF table"));
    let out = files.run(&["settings", "small.dmp", "--symbols", &wrong, "--symbols", &right]);
    assert!(String::from_utf8_lossy(&out.stdout).contains("Level 0x00000008"), "{out:?}");
    // The same bytes, passed by the caller.
    let open = || Session::open(&files.path("small.dmp"), SymbolPath::new()).unwrap();
    let error = open().supply_kernel_symbols(table(&other)).unwrap_err();
    assert!(matches!(error, Error::Core(CoreError::Symbols { .. })), "{error}");
    let session = open();
    session.supply_kernel_symbols(table(&assembly)).unwrap();
    assert_eq!(Settings::read(session.kernel().unwrap()).unwrap().level.0, 8);
}

#[test]
fn without_the_page_that_names_the_pdb_a_store_is_searched_by_addresses() {
    let mut assembly = machine(Build::Win10Vb).assemble();
    let files = Files::new(&assembly);
    let path = files.put("whole.dmp", &assembly.dump(DumpKind::BitmapKernel));
    let whole = files.json(&["log", "pool", &path, "--symbols", "symbols"]);
    let table = assembly.files.iter().find(|(name, _)| name.contains("ntkrnl")).unwrap().1.clone();
    let base = u64::from_str_radix(
        &files.json(&["info", &path])["kernel"]["base"].as_str().unwrap()[2..],
        16,
    );
    let base = base.unwrap();
    assembly.remove_page(base);
    let path = files.put("absent.dmp", &assembly.dump(DumpKind::BitmapKernel));
    for place in [
        "ntkrnlmp.pdb/0123456789ABCDEF0123456789ABCDEF-1.json",
        "symbols/windows/ntkrnlmp.pdb/0123456789ABCDEF0123456789ABCDEF-1.json",
        "anything.json",
    ] {
        let name = format!("by address/{}/{place}", place.len());
        let file = files.put(&name, &table);
        let store = file.strip_suffix(place).unwrap();
        let args = ["log", "pool", &path, "--symbols", store, "--symbols", "symbols"];
        assert_eq!(files.json(&args), whole, "{place}");
        let info = files.json(&["info", &path, "--symbols", store]);
        assert!(info["kernel"]["types"].as_str().unwrap().contains("ISF"), "{place}");
    }
}

/// The image as a file: sections have the same offsets as in memory.
fn image_file(image: &Image, assembly: &Assembly) -> Vec<u8> {
    let mut bytes = vec![0; image.size as usize];
    for (rva, part) in image.render(assembly.header.machine) {
        bytes[rva as usize..rva as usize + part.len()].copy_from_slice(&part);
    }
    bytes
}

#[test]
fn a_small_dumps_symbols_by_the_images_file() {
    for build in [Build::Win10Vb, Build::Win7Sp1X86] {
        let mut machine = machine(build);
        let kernel = machine.kernel_mut().clone();
        let assembly = machine.assemble();
        let files = Files::new(&assembly);
        files.put("small.dmp", &assembly.small_dump(&[]));
        let bytes = image_file(&kernel, &assembly);
        let id = pdb_of_image(&bytes).unwrap();
        assert_eq!(Some(id.name), kernel.pdb.as_ref().map(|pdb| pdb.name.clone()));
        let key = format!("{:08X}{:x}", kernel.time_date_stamp, kernel.size);
        files.put(&format!("symbols/ntoskrnl.exe/{key}/ntoskrnl.exe"), &bytes);
        let out = files.run(&["settings", "small.dmp", "--symbols", "symbols"]);
        assert!(String::from_utf8_lossy(&out.stdout).contains("Level 0x00000008"), "{out:?}");
        // A file that is not an image, or ends early, does not help.
        assert_eq!(pdb_of_image(&assembly.small_dump(&[])), None);
        for end in (0..0x2000).step_by(7) {
            let _ = pdb_of_image(&bytes[..end]);
        }
        assert_eq!(pdb_of_image(&bytes[..0x1000]), None);
    }
}

#[test]
fn a_real_small_dump() {
    let Some(path) = shared("real/triage_x64.dmp") else { return };
    let Some(table) = shared("isf/5278AFF86C341677D7D7835C85B7B844-1.json.xz") else { return };
    let mut symbols = SymbolPath::with_default_cache(None);
    symbols.push_plain(&table);
    let session = Session::open(&path, symbols).unwrap();
    let kernel = session.kernel().unwrap();
    assert_eq!(kernel.modules().loaded().len(), 151);
    let settings = Settings::read(kernel).unwrap();
    assert_eq!((settings.level.0, settings.problems.len()), (0, 1));
    assert!(matches!(Drivers::read(kernel), Err(CoreError::NotInSmallDump { .. })));
    let info = session.info();
    let stack = info.small_dump.unwrap();
    assert_eq!(stack.call_stack.map(|at| at.0), Some(0xffff_8504_2989_0ee8));
    assert_eq!(info.kernel.unwrap().build_lab.unwrap(), "19041.1.amd64fre.vb_release.191206-1406");
}

#[test]
fn the_pdb_of_a_real_image() {
    let Some(path) = shared("real/hevd_x86/HEVD.sys") else { return };
    let id = pdb_of_image(&fs::read(path).unwrap()).unwrap();
    assert_eq!((id.name.as_str(), id.age), ("HEVD.pdb", 1));
    assert_eq!(id.guid_hex(), "34310FD1C9B84DD1BC1F4663925B999F");
}
