//! A sample in a folder, the command on it, and its report.

// Each test file is a crate of its own and uses its part.
#![allow(dead_code)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use verifier_synth::Sample;

pub(crate) fn save(folder: &Path, sample: &Sample) -> PathBuf {
    for (name, bytes) in &sample.files {
        let path = folder.join("symbols").join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }
    let dump = folder.join("memory.dmp");
    fs::write(&dump, &sample.dump).unwrap();
    dump
}

pub(crate) fn verifier(folder: &Path, arguments: &[&str]) -> std::process::Output {
    Command::new(env!("CARGO_BIN_EXE_verifier"))
        .args(arguments)
        .arg(folder.join("memory.dmp"))
        .arg("--symbols")
        .arg(folder.join("symbols"))
        .output()
        .unwrap()
}

pub(crate) fn report(folder: &Path) -> PathBuf {
    let file = folder.join("report.html");
    let output = verifier(folder, &["report", "-o", file.to_str().unwrap()]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    file
}
