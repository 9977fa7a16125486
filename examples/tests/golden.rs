//! Each example's output on the sample machine. `BLESS=1 cargo test -p verifier-examples` writes the files.

use std::path::Path;
use std::{env, fs};

use verifier_core::{Pa, Va, kernel::Hints, machine::Machine};
use verifier_examples::{embed, literals, outstanding};
use verifier_synth::{DumpKind, walkthrough, walkthrough_machine};

fn check(name: &str, output: &[u8]) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name);
    if env::var_os("BLESS").is_some() {
        fs::write(&path, output).unwrap();
    }
    let golden = fs::read_to_string(&path).unwrap().replace("\r\n", "\n");
    assert_eq!(String::from_utf8_lossy(output), golden, "{}", path.display());
}

#[test]
fn outstanding_lists_the_leak() {
    let folder = tempfile::tempdir().unwrap();
    let sample = walkthrough();
    let dump = folder.path().join("memory.dmp");
    fs::write(&dump, &sample.dump).unwrap();
    let symbols = folder.path().join("symbols");
    for (path, bytes) in &sample.files {
        let path = symbols.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }
    let mut out = Vec::new();
    outstanding::print(&mut out, &dump, symbols.to_str().unwrap()).unwrap();
    check("outstanding.txt", &out);
}

#[test]
fn literals_need_no_dump() {
    let mut out = Vec::new();
    literals::print(&mut out).unwrap();
    check("literals.txt", &out);
}

#[test]
fn embed_reads_through_a_closure() {
    let machine = walkthrough_machine().assemble();
    let raw = machine.dump(DumpKind::Raw);
    let hints = Hints {
        build: Some(7601),
        ps_loaded_module_list: Some(Va(machine.address("nt!PsLoadedModuleList"))),
        kd_debugger_data_block: Some(Va(machine.address("nt!KdDebuggerDataBlock"))),
        ..Hints::default()
    };
    let read = move |at: u64, buf: &mut [u8]| {
        let bytes = raw.get(at as usize..).and_then(|rest| rest.get(..buf.len()));
        buf.copy_from_slice(bytes.ok_or("past the end")?);
        Ok(())
    };
    let isf = machine.files.iter().find(|(path, _)| path.starts_with("ntkrnlmp.pdb/")).unwrap();
    let mut out = Vec::new();
    let known = (Pa(machine.space().dtb()), Machine::X64, hints);
    embed::print(&mut out, Box::new(read), known, &isf.1).unwrap();
    check("embed.txt", &out);
}

/// Newcomers read the examples first, so they must be short.
#[test]
fn each_takes_thirty_lines_at_most() {
    for name in ["outstanding", "literals", "embed"] {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("src").join(format!("{name}.rs"));
        let text = fs::read_to_string(path).unwrap();
        let code = text.lines().filter(|line| !line.starts_with("//!") && !line.is_empty()).count();
        assert!(code <= 30, "{name}.rs has {code} lines");
    }
}
