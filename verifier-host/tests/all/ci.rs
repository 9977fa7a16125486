//! The recipes for build servers: the script of `examples/ci`, and the shell of `docs/ci.md`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;
use verifier_synth::{Build, DumpKind};

use crate::common::{Files, command};
use crate::leak_outputs::leaky;

fn in_repository(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(file)
}

/// Runs bash in a folder, with the command on its path. `None` if there is none, which is printed.
fn bash(folder: &Path, arguments: &[&str], variables: &[(&str, &str)]) -> Option<Output> {
    if cfg!(windows) {
        // Its bash may be that of another system, with paths of its own.
        println!("skipped: Windows");
        return None;
    }
    let own = Path::new(env!("CARGO_BIN_EXE_verifier")).parent().unwrap().to_path_buf();
    let others = std::env::var_os("PATH").unwrap_or_default();
    let path = std::env::join_paths([own].into_iter().chain(std::env::split_paths(&others)));
    let mut bash = Command::new("bash");
    for variable in ["_NT_SYMBOL_PATH", "GITHUB_STEP_SUMMARY"] {
        bash.env_remove(variable);
    }
    let bash = bash.args(arguments).current_dir(folder).env("PATH", path.unwrap());
    match bash.envs(variables.iter().copied()).stdin(Stdio::null()).output() {
        Ok(output) => Some(output),
        Err(why) => {
            println!("skipped: bash: {why}");
            None
        }
    }
}

fn script(files: &Files, variables: &[(&str, &str)]) -> Option<Output> {
    let script = in_repository("examples/ci/check_leaks.sh");
    bash(files.folder.path(), &[script.to_str().unwrap(), "memory.dmp", "symbols"], variables)
}

fn read(files: &Files, name: &str) -> String {
    fs::read_to_string(files.path(name)).unwrap()
}

#[test]
fn the_script_fails_a_build_that_leaks_and_leaves_every_report() {
    let files = Files::with_lines(Build::Win10Vb);
    let variables = [("LEAKS_SOURCE_ROOT", "C:\\build\\leaky=")];
    let Some(output) = script(&files, &variables) else { return };
    assert_eq!(output.status.code(), Some(3), "{output:?}");
    assert!(String::from_utf8_lossy(&output.stderr).contains("Drivers leak: see leaks/leaks.md."));
    assert!(read(&files, "leaks/leaks.md").starts_with("### Driver Verifier: 47 blocks"));
    assert!(read(&files, "leaks/leaks.json").contains("\"complete\":true"));
    assert!(read(&files, "leaks/leaks.xml").contains("file=\"pool.h\" line=\"22\""));
    let sarif: Value = serde_json::from_str(&read(&files, "leaks/leaks.sarif")).unwrap();
    let place = &sarif["runs"][0]["results"][0]["locations"][0]["physicalLocation"];
    assert_eq!(place["artifactLocation"]["uri"], "pool.h");
    assert_eq!(place["region"]["startLine"], 22);
    // Without GitHub, the text is in the log.
    assert!(String::from_utf8_lossy(&output.stdout).contains("47 blocks"));

    // The leaks are accepted, and the next build passes.
    let known = files.path("known.json");
    files.clean(&["leaks"], &["--write-baseline", &known]);
    let output = script(&files, &[("LEAKS_BASELINE", &known)]).unwrap();
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert!(String::from_utf8_lossy(&output.stdout).ends_with("No new leak.\n"));
    assert!(read(&files, "leaks/leaks.xml").contains("failures=\"0\""));
}

#[test]
fn in_a_github_workflow_the_log_has_annotations_and_the_summary_grows() {
    let files = Files::with_lines(Build::Win10Vb);
    let summary = files.path("summary.md");
    fs::write(&summary, "## Before\n").unwrap();
    let variables =
        [("GITHUB_STEP_SUMMARY", &*summary), ("LEAKS_SOURCE_ROOT", "C:\\build\\leaky=src")];
    let Some(output) = script(&files, &variables) else { return };
    assert_eq!(output.status.code(), Some(3), "{output:?}");
    let log = String::from_utf8(output.stdout).unwrap();
    assert!(log.lines().all(|line| line.starts_with("::")), "{log}");
    assert!(log.contains("::error file=src/queue.c,line=22,title="), "{log}");
    let summary = read(&files, "summary.md");
    assert!(summary.starts_with("## Before\n### Driver Verifier: 47 blocks"), "{summary}");
}

#[test]
fn the_script_does_not_pass_what_it_cannot_tell_or_read() {
    let mut assembly = leaky().assemble();
    let page = assembly.address("trackers:leaky.sys:0");
    assembly.remove_page(page);
    let files = Files::write(&assembly.sample(DumpKind::BitmapKernel));
    let Some(output) = script(&files, &[("LEAKS_LIMIT", "100")]) else { return };
    assert_eq!(output.status.code(), Some(4), "{output:?}");
    assert!(String::from_utf8_lossy(&output.stderr).contains("take a complete one"));
    assert!(read(&files, "leaks/leaks.xml").contains("<error type=\"incomplete-answer\""));
    let output = script(&files, &[("LEAKS_LIMIT", "none")]).unwrap();
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    fs::write(files.path("memory.dmp"), b"not a dump").unwrap();
    let output = script(&files, &[]).unwrap();
    assert_eq!(output.status.code(), Some(1), "{output:?}");
}

/// Each block of shell in the document is a script that runs as it is.
#[test]
fn the_shell_of_the_document_runs() {
    let document = fs::read_to_string(in_repository("docs/ci.md")).unwrap();
    let blocks: Vec<&str> =
        document.split("```sh\n").skip(1).map(|rest| rest.split_once("```").unwrap().0).collect();
    let files = Files::write(&leaky().build(DumpKind::BitmapKernel));
    let mut codes = Vec::new();
    for block in &blocks {
        let Some(output) = bash(files.folder.path(), &["-c", block], &[]) else { return };
        codes.push((output.status.code().unwrap(), String::from_utf8(output.stderr).unwrap()));
    }
    let codes: Vec<i32> = codes.iter().map(|(code, _)| *code).collect();
    // The limit of 1 block is reached, a baseline is written, 64K are not reached.
    assert_eq!(codes, [3, 0, 0], "{codes:?}");
    // The baseline that the document shows is one.
    let known = document.split("```json\n").nth(1).unwrap().split_once("```").unwrap().0;
    fs::write(files.path("shown.json"), known).unwrap();
    let text = files.clean(&["leaks"], &["--baseline", &files.path("shown.json")]);
    assert!(text.contains("2 blocks known, 1 new"), "{text}");
}

/// Options that the recipes name exist.
#[test]
fn every_option_of_the_recipes_exists() {
    let help = command().args(["leaks", "--help"]).output().unwrap();
    let help = String::from_utf8(help.stdout).unwrap();
    for file in ["docs/ci.md", "examples/ci/check_leaks.sh"] {
        let text = fs::read_to_string(in_repository(file)).unwrap();
        let words = text.split(|c: char| !c.is_ascii_lowercase() && c != '-');
        let options = words.filter(|word| word.starts_with("--") && word.len() > 3);
        for option in options.filter(|option| !["--locked", "--path"].contains(option)) {
            assert!(help.contains(option), "{file}: {option}");
        }
    }
    for file in ["examples/ci/github.yml", "examples/ci/azure-pipelines.yml"] {
        let text = fs::read_to_string(in_repository(file)).unwrap();
        assert!(text.contains("examples/ci/check_leaks.sh") && text.contains("leaks/leaks."));
    }
}
