//! Hostile symbol files, page tables, names and a hostile symbol server, made by another tool: the command
//! ends in bounded time and memory, and its output is well-formed.

use std::process::Command;

use crate::common::shared;

/// Runs a tool with `arguments`, in which `VERIFIER` and `DUMP` are replaced by the command and a dump's
/// folder.
fn run(tool: &str, arguments: &[&str]) {
    let tool = shared(&format!("tools/damage/{tool}"));
    let (Some(tool), Some(dump)) = (tool, shared("dumps/win10-19041-rich")) else { return };
    if Command::new("python3").arg("--version").output().is_err() {
        println!("skipped: python3 is not installed");
        return;
    }
    let mut command = Command::new("python3");
    command.arg(&tool);
    for argument in arguments {
        match *argument {
            "VERIFIER" => command.arg(env!("CARGO_BIN_EXE_verifier")),
            "DUMP" => command.arg(&dump),
            other => command.arg(other),
        };
    }
    let output = command.output().unwrap();
    let text = [output.stdout, output.stderr].concat();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&text));
}

#[test]
fn every_hostile_input_ends_in_bounds() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path().to_str().unwrap();
    // The tool's own time limit for all lines assumes an idle machine.
    run("hostile_inputs.py", &[folder, "DUMP", "--check", "VERIFIER", "--seconds", "1800"]);
}

#[test]
fn every_hostile_symbol_server_ends_in_bounds() {
    run("hostile_server.py", &["--check", "VERIFIER", "DUMP"]);
}
