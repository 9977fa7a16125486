//! The command on the sample in a folder, and its report.

use std::path::{Path, PathBuf};

use crate::common::command;

pub(crate) fn verifier(folder: &Path, arguments: &[&str]) -> std::process::Output {
    command()
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
