//! What the integration tests share: samples in folders of their own, the command, and files that are
//! beside the repository, not in it.

use std::fs;
use std::path::{Path, PathBuf};
#[cfg(feature = "cli")]
use std::process::{Command, Stdio};

use tempfile::TempDir;
use verifier_synth::Sample;

/// What the command has to print.
pub(crate) fn golden(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name);
    fs::read_to_string(path).unwrap()
}

/// Writes files below a folder.
pub(crate) fn put_all(folder: &Path, files: &[(String, Vec<u8>)]) {
    for (name, bytes) in files {
        let path = folder.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }
}

/// Writes a sample into a folder: `memory.dmp`, whose path is returned, and `symbols`.
pub(crate) fn save(folder: &Path, sample: &Sample) -> PathBuf {
    put_all(&folder.join("symbols"), &sample.files);
    let dump = folder.join("memory.dmp");
    fs::write(&dump, &sample.dump).unwrap();
    dump
}

/// The same into a folder that is gone at the end of the test.
pub(crate) fn saved(sample: &Sample) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    save(folder.path(), sample);
    folder
}

/// The command, with nothing in its environment that it could look at but what a test gives it.
#[cfg(feature = "cli")]
pub(crate) fn command() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_verifier"));
    for variable in ["_NT_SYMBOL_PATH", "_NT_ALT_SYMBOL_PATH", "_NT_SYMCACHE_PATH"] {
        command.env_remove(variable);
    }
    command.stdin(Stdio::null());
    command
}

/// A file or folder beside the repository. Where it is not there the test has nothing to do, which it
/// says; where `VERIFIER_REQUIRE_SHARED` is set, that is a failure.
pub(crate) fn shared(name: &str) -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared").join(name);
    if path.exists() {
        return Some(path);
    }
    assert!(std::env::var_os("VERIFIER_REQUIRE_SHARED").is_none(), "no {}", path.display());
    println!("skipped: {} is not there", path.display());
    None
}
