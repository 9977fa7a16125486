//! What the integration tests share: samples in folders of their own, the command, and files beside the
//! repository.

use std::fs;
use std::path::{Path, PathBuf};
#[cfg(feature = "cli")]
use std::process::{Command, Output, Stdio};

#[cfg(feature = "cli")]
use serde_json::Value;
use tempfile::TempDir;
use verifier_synth::Sample;

/// What the command must print.
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

/// The same into a folder that is removed at the end of the test.
pub(crate) fn saved(sample: &Sample) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    save(folder.path(), sample);
    folder
}

/// The command, without the variables of the environment that it reads.
#[cfg(feature = "cli")]
pub(crate) fn command() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_verifier"));
    for variable in ["_NT_SYMBOL_PATH", "_NT_ALT_SYMBOL_PATH", "_NT_SYMCACHE_PATH"] {
        command.env_remove(variable);
    }
    command.stdin(Stdio::null());
    command
}

/// A sample in a folder of its own, and the command on it.
#[cfg(feature = "cli")]
pub(crate) struct Files {
    pub(crate) folder: TempDir,
}

#[cfg(feature = "cli")]
impl Files {
    pub(crate) fn write(sample: &Sample) -> Self {
        Self { folder: saved(sample) }
    }

    /// A driver whose PDB has lines; [`verifier_synth::leaky_machine`] says which blocks it holds.
    pub(crate) fn with_lines(build: verifier_synth::Build) -> Self {
        Self::write(&verifier_synth::leaky(build))
    }

    pub(crate) fn path(&self, name: &str) -> String {
        self.folder.path().join(name).to_str().unwrap().to_owned()
    }

    /// `words`, the dump and its symbols, `options`.
    pub(crate) fn args(&self, words: &[&str], options: &[&str]) -> Vec<String> {
        let dump = [self.path("memory.dmp"), "--symbols".into(), self.path("symbols")];
        let words = words.iter().map(|word| (*word).to_owned());
        words.chain(dump).chain(options.iter().map(|word| (*word).to_owned())).collect()
    }

    pub(crate) fn output(&self, words: &[&str], options: &[&str]) -> Output {
        command().args(self.args(words, options)).output().unwrap()
    }

    /// What the command prints when it has nothing to warn of.
    #[track_caller]
    pub(crate) fn clean(&self, words: &[&str], options: &[&str]) -> String {
        clean(self.output(words, options))
    }

    #[track_caller]
    pub(crate) fn json(&self, words: &[&str], options: &[&str]) -> Value {
        let text = self.clean(words, &[options, &["--format", "json"]].concat());
        assert_eq!(text.matches('\n').count(), 1, "one line");
        serde_json::from_str(&text).unwrap()
    }
}

/// What a command printed that succeeded without a warning.
#[cfg(feature = "cli")]
#[track_caller]
pub(crate) fn clean(output: Output) -> String {
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    assert_eq!(output.status.code(), Some(0));
    String::from_utf8(output.stdout).unwrap()
}

/// A file or folder beside the repository. If it is absent, the test prints that it is skipped; if
/// `VERIFIER_REQUIRE_SHARED` is set, the test fails.
pub(crate) fn shared(name: &str) -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared").join(name);
    if path.exists() {
        return Some(path);
    }
    assert!(std::env::var_os("VERIFIER_REQUIRE_SHARED").is_none(), "no {}", path.display());
    println!("skipped: {} is absent", path.display());
    None
}
