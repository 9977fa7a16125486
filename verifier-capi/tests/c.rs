//! The interface as C sees it: the header is fresh, the examples compile without a warning and print
//! what the command prints, misuse is reported, and valgrind finds nothing.

#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stdout)]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::{env, fs};

use verifier_synth::{
    Allocation, BugCheck, Build, Driver, DumpKind, Log, Machine, RingRecord, Sample, Unload,
    walkthrough, walkthrough_machine,
};

const HERE: &str = env!("CARGO_MANIFEST_DIR");

#[test]
fn the_header_is_fresh() {
    let config = cbindgen::Config::from_file(Path::new(HERE).join("cbindgen.toml")).unwrap();
    let bindings =
        cbindgen::Builder::new().with_crate(HERE).with_config(config).generate().unwrap();
    let mut fresh = Vec::new();
    bindings.write(&mut fresh);
    let fresh = String::from_utf8(fresh).unwrap();
    let path = Path::new(HERE).join("include/verifier.h");
    if env::var_os("BLESS").is_some() {
        fs::write(&path, &fresh).unwrap();
    }
    let kept = fs::read_to_string(&path).unwrap_or_default().replace("\r\n", "\n");
    assert!(kept == fresh, "run BLESS=1 cargo test -p verifier-capi");
}

/// Whether a program is there to run. `./test` says which are not; with VERIFIER_REQUIRE_C_TOOLS all must.
fn has(program: &str) -> bool {
    let found = Command::new(program).arg("--version").output().is_ok();
    assert!(
        found || env::var_os("VERIFIER_REQUIRE_C_TOOLS").is_none(),
        "VERIFIER_REQUIRE_C_TOOLS is set and {program} is not installed"
    );
    found
}

/// Where cargo has put the libraries: beside this test.
fn libraries() -> PathBuf {
    env::current_exe().unwrap().parent().unwrap().to_owned()
}

fn compile(source: &str, into: &Path, how: &[&str]) -> PathBuf {
    let program = into.join(Path::new(source).file_stem().unwrap());
    let done = Command::new("gcc")
        .args(["-std=gnu11", "-Wall", "-Wextra", "-Werror", "-g", "-pthread", "-I"])
        .arg(Path::new(HERE).join("include"))
        .arg(Path::new(HERE).join(source))
        .args(how)
        .arg("-o")
        .arg(&program)
        .output()
        .unwrap();
    assert!(done.status.success(), "{source}: {}", String::from_utf8_lossy(&done.stderr));
    program
}

/// Linked with the shared library, which on Linux is found when the program starts under the name that
/// says its interface, and under no other.
fn shared(source: &str, into: &Path) -> PathBuf {
    let folder = libraries();
    let found = if cfg!(target_os = "linux") { into } else { &folder };
    #[cfg(target_os = "linux")]
    {
        let name = format!("libverifier_capi.so.{}", verifier_capi::VERIFIER_ABI_VERSION);
        std::os::unix::fs::symlink(folder.join("libverifier_capi.so"), into.join(name)).unwrap();
    }
    let rpath = format!("-Wl,-rpath,{}", found.display());
    compile(source, into, &["-L", folder.to_str().unwrap(), "-lverifier_capi", &rpath])
}

/// Linked with the static library.
fn static_(source: &str, into: &Path) -> PathBuf {
    let library = libraries().join("libverifier_capi.a");
    compile(source, into, &[library.to_str().unwrap(), "-lpthread", "-ldl", "-lm"])
}

fn write(sample: &Sample, into: &Path) -> (PathBuf, PathBuf) {
    let (dump, symbols) = (into.join("memory.dmp"), into.join("symbols"));
    fs::write(&dump, &sample.dump).unwrap();
    for (path, bytes) in &sample.files {
        let path = symbols.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }
    (dump, symbols)
}

/// Runs a program, under valgrind if it is installed; the program must end well and leak nothing.
fn run(program: &Path, arguments: &[&Path]) -> String {
    let done: Output = if has("valgrind") {
        Command::new("valgrind")
            .args(["--quiet", "--error-exitcode=99", "--leak-check=full"])
            .args(["--show-leak-kinds=all", "--errors-for-leak-kinds=all"])
            .arg(program)
            .args(arguments)
            .output()
            .unwrap()
    } else {
        Command::new(program).args(arguments).output().unwrap()
    };
    let (out, err) = (String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr));
    assert!(done.status.success(), "{}: {out}{err}", program.display());
    out.into_owned()
}

const STACK: &str = "    fffff80001927cc6 nt!VeAllocatePoolWithTagPriority+0x2b6
    fffff80001927d3d nt!VerifierExAllocatePoolEx+0x1d
    fffff8800447d634 myfault!MyfaultDeviceControl+0x358
    fffff8800447d727 myfault!MyfaultDispatch+0xb7
    fffff80001932750 nt!IovCallDriver+0xa0
    fffff800017a7a97 nt!IopXxxControlFile+0x607
    fffff800017a82f6 nt!NtDeviceIoControlFile+0x56
    fffff8000148bed3 nt!KiSystemServiceCopyEnd+0x13
";

#[test]
fn leaks_are_printed_by_c() {
    if !has("gcc") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let (dump, symbols) = write(&walkthrough(), folder.path());
    let out = run(&shared("examples/leaks.c", folder.path()), &[&dump, &symbols]);
    let want = format!(
        "10 blocks, 10280960 bytes, tag Leak, myfault.sys\n{STACK}\
         allocate fffffa8005400000 of fa000 bytes\n{STACK}"
    );
    assert_eq!(out, want);
}

/// Physical memory through a callback in C, and the static library.
#[test]
fn a_callback_in_c_is_the_memory() {
    if !has("gcc") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let machine = walkthrough_machine().assemble();
    let (image, symbols) = write(&machine.sample(DumpKind::Raw), folder.path());
    let program = static_("examples/callback.c", folder.path());
    let dtb = format!("{:#x}", machine.space().dtb());
    let list = format!("{:#x}", machine.address("nt!PsLoadedModuleList"));
    let out = run(&program, &[&image, dtb.as_ref(), list.as_ref(), &symbols]);
    assert_eq!(out.lines().count(), 10, "{out}");
    let first = "myfault.sys Leak fffffa8005400000 0xfb000 myfault!MyfaultDeviceControl+0x358";
    assert_eq!(out.lines().next(), Some(first));
}

/// A limit, a deadline and a cancellation leave no answer that passes for a whole one.
#[test]
fn calls_end_when_the_caller_says_so() {
    if !has("gcc") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let machine = walkthrough_machine().assemble();
    let (dump, symbols) = write(&machine.sample(DumpKind::Summary), folder.path());
    let image = folder.path().join("image.raw");
    fs::write(&image, machine.dump(DumpKind::Raw)).unwrap();
    let program = static_("tests/stop.c", folder.path());
    let dtb = format!("{:#x}", machine.space().dtb());
    let list = format!("{:#x}", machine.address("nt!PsLoadedModuleList"));
    let out = run(&program, &[&image, dtb.as_ref(), list.as_ref(), &symbols, &dump]);
    assert_eq!(out, "stop: done\n");
}

#[test]
fn c_says_which_driver_was_unloaded_with_its_memory() {
    if !has("gcc") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let mut machine = Machine::new(Build::Win10Vb);
    let leaky = machine.driver(Driver::new("leaky.sys").symbol("LeakyOpen", 0x1200));
    let caller = machine.driver_address(leaky, "LeakyOpen");
    machine.level(8).verified(leaky).allocation(Allocation::nonpaged(
        0xffff_9a8f_5000_0000,
        0x40,
        b"Leak",
        caller,
    ));
    machine.unloaded_with_allocations(leaky, Unload::OffTree);
    let (dump, symbols) = write(&machine.build(DumpKind::BitmapKernel), folder.path());
    let program = shared("examples/leaks.c", folder.path());
    let done = Command::new(program).args([&dump, &symbols]).output().unwrap();
    let out = String::from_utf8_lossy(&done.stdout);
    let line = "leaky.sys was unloaded before it freed 1 blocks; 1 could be read, of 64 bytes";
    assert_eq!(out.lines().next(), Some(line), "{out}");
}

/// An answer that is not complete is not printed as nothing.
#[test]
fn c_says_that_an_answer_is_not_complete() {
    if !has("gcc") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let mut sample = walkthrough();
    sample.dump.truncate(sample.dump.len() - 0x5000);
    let (dump, symbols) = write(&sample, folder.path());
    let program = shared("examples/leaks.c", folder.path());
    let done = Command::new(program).args([&dump, &symbols]).output().unwrap();
    let out = String::from_utf8_lossy(&done.stdout);
    assert!(out.contains("at least: ") && out.contains("  because of "), "{out}");
    assert!(!out.contains("no outstanding allocation"), "{out}");
}

/// Memory that does not change is read less often; a log of IRQL transitions by its fields.
#[test]
fn a_reader_may_say_that_its_memory_does_not_change() {
    if !has("gcc") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let mut machine = walkthrough_machine();
    for (thread, processor) in [(0xffff_fa80_044c_0000, 0), (0xffff_fa80_044c_eb60, 3)] {
        let fields = vec![
            ("Thread", thread),
            ("OldIrql", 2),
            ("NewIrql", 1),
            ("Processor", processor),
            ("TickCount", 77),
        ];
        let frames = vec![0xffff_f800_0192_7cc6, 0xffff_f880_0447_d634];
        machine.log(Log::Irql).push(RingRecord { fields, frames, stale: Vec::new() });
    }
    machine.bug_check(BugCheck { code: 0xc6, parameters: [0xffff_fa80_0540_0000, 7, 0, 0] });
    let machine = machine.assemble();
    let (image, symbols) = write(&machine.sample(DumpKind::Raw), folder.path());
    let program = static_("tests/reader.c", folder.path());
    let dtb = format!("{:#x}", machine.space().dtb());
    let list = format!("{:#x}", machine.address("nt!PsLoadedModuleList"));
    let out = run(&program, &[&image, dtb.as_ref(), list.as_ref(), &symbols]);
    assert_eq!(out, "reader: done\n");
}

#[test]
fn misuse_is_reported_and_threads_share_a_session() {
    if !has("gcc") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let mut machine = walkthrough_machine();
    machine.bug_check(BugCheck { code: 0xc6, parameters: [0xffff_fa80_0540_0000, 1, 0, 0] });
    let (dump, symbols) = write(&machine.build(DumpKind::Summary), folder.path());
    let empty = folder.path().join("empty");
    fs::create_dir(&empty).unwrap();
    let out = run(&shared("tests/misuse.c", folder.path()), &[&dump, &symbols, &empty]);
    assert_eq!(out, "misuse: done\n");
}

/// C++ reads the same header.
#[test]
fn the_header_is_cpp_too() {
    if !has("g++") {
        return;
    }
    let done = Command::new("g++")
        .args(["-std=c++17", "-Wall", "-Wextra", "-Werror", "-fsyntax-only", "-x", "c++"])
        .arg(Path::new(HERE).join("include/verifier.h"))
        .output()
        .unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
}
