//! Output files: they never replace the input, a device or a link.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use crate::common::save;
use verifier_synth::{Allocation, Build, Driver, DumpKind, Machine};

/// A dump with one block, and its symbols.
fn sample(folder: &Path) -> PathBuf {
    let mut m = Machine::new(Build::Win81);
    let leaky = m.driver(Driver::new("leaky.sys").pdb("leaky.pdb").symbol("Read", 0x1200));
    m.level(8);
    let caller = m.driver_address(leaky, "Read") + 0x34;
    m.verified(leaky).allocation(Allocation::nonpaged(
        0xffff_9a8f_5000_0000,
        0x2000,
        b"Leak",
        caller,
    ));
    save(folder, &m.build(DumpKind::BitmapKernel))
}

fn verifier(folder: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_verifier"))
        .args(arguments)
        .args(["memory.dmp", "--symbols", "symbols"])
        .current_dir(folder)
        .output()
        .unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn the_input_is_not_overwritten() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let dump = sample(folder);
    let before = fs::read(&dump).unwrap();
    fs::hard_link(&dump, folder.join("hard.dmp")).unwrap();
    fs::write(folder.join("named.pdb"), b"not a PDB, but the user's").unwrap();
    #[cfg(unix)]
    std::os::unix::fs::symlink("memory.dmp", folder.join("soft.dmp")).unwrap();
    let names: &[&str] = if cfg!(unix) {
        &["memory.dmp", "./symbols/../memory.dmp", "hard.dmp", "soft.dmp"]
    } else {
        &["memory.dmp", "./symbols/../memory.dmp"]
    };
    for command in ["report", "flamegraph"] {
        for name in names {
            let output = verifier(folder, &[command, "-o", name]);
            assert_eq!(output.status.code(), Some(2), "{command} -o {name}");
            assert!(stderr(&output).contains("the output is the dump itself"), "{name}");
            assert_eq!(fs::read(folder.join(name)).unwrap(), before, "{command} -o {name}");
        }
        let output = verifier(folder, &[command, "-o", "named.pdb", "--symbols", "named.pdb"]);
        assert_eq!(output.status.code(), Some(2), "{}", stderr(&output));
        assert!(stderr(&output).contains("the output is a symbol file itself"));
        assert_eq!(fs::read(folder.join("named.pdb")).unwrap(), b"not a PDB, but the user's");
    }
}

#[test]
fn only_what_the_program_wrote_itself_is_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    sample(folder);
    for (command, other) in [("report", "flamegraph"), ("flamegraph", "report")] {
        let read = || fs::read(folder.join(command)).unwrap();
        // A new file, the same file again, an empty file.
        for _ in 0..2 {
            assert!(verifier(folder, &[command, "-o", command]).status.success());
            assert!(read().len() > 100);
        }
        fs::write(folder.join(command), b"").unwrap();
        assert!(verifier(folder, &[command, "-o", command]).status.success());
        let own = read();
        for text in [&own[20..], b"the user's notes"] {
            fs::write(folder.join(command), text).unwrap();
            let output = verifier(folder, &[command, "-o", command]);
            assert_eq!(output.status.code(), Some(2), "{}", stderr(&output));
            assert!(stderr(&output).contains(&format!("verifier: {command}: this file is not a ")));
            assert!(stderr(&output).contains("--force"), "{}", stderr(&output));
            assert_eq!(read(), text);
        }
        assert!(verifier(folder, &[command, "-o", command, "--force"]).status.success());
        assert_eq!(read(), own);
        let output = verifier(folder, &[other, "-o", command]);
        assert_eq!(output.status.code(), Some(2), "{}", stderr(&output));
        assert_eq!(read(), own);
    }
}

#[test]
fn no_file_of_a_symbol_folder_is_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    sample(folder);
    fs::create_dir(folder.join("cache")).unwrap();
    for file in ["symbols/leaky.pdb/note.svg", "cache/note.svg"] {
        fs::create_dir_all(folder.join(file).parent().unwrap()).unwrap();
        fs::write(folder.join(file), b"<?xml?>").unwrap();
        let output =
            verifier(folder, &["flamegraph", "-o", file, "--force", "--symbols", "cache*cache"]);
        assert_eq!(output.status.code(), Some(2), "{file}");
        assert!(stderr(&output).contains("would replace a file of the symbol folder"), "{file}");
        assert_eq!(fs::read(folder.join(file)).unwrap(), b"<?xml?>");
    }
    // Dump, symbols and results are often in one folder.
    for _ in 0..2 {
        let output = verifier(folder, &["flamegraph", "-o", "x.svg", "--symbols", "."]);
        assert!(output.status.success(), "{}", stderr(&output));
    }
}

#[test]
fn the_sample_replaces_only_itself() {
    let folder = tempfile::tempdir().unwrap();
    let demo = || {
        let mut command = Command::new(env!("CARGO_BIN_EXE_verifier"));
        command.args(["demo", "-o", "sample"]).current_dir(folder.path()).output().unwrap()
    };
    assert!(demo().status.success());
    assert!(demo().status.success());
    let dump = folder.path().join("sample/memory.dmp");
    fs::write(&dump, b"the user's own").unwrap();
    fs::remove_dir_all(folder.path().join("sample/symbols")).unwrap();
    let output = demo();
    assert_eq!(output.status.code(), Some(2), "{}", stderr(&output));
    assert!(stderr(&output).contains("memory.dmp: this file is not the sample's"));
    assert_eq!(fs::read(&dump).unwrap(), b"the user's own");
    assert!(!folder.path().join("sample/symbols").exists());
}

#[test]
fn a_hyphen_is_standard_output() {
    let folder = tempfile::tempdir().unwrap();
    sample(folder.path());
    for (command, start, end) in
        [("report", "<!doctype html>", "</html>\n"), ("flamegraph", "<?xml", "</svg>")]
    {
        let output = verifier(folder.path(), &[command, "-o", "-"]);
        assert!(output.status.success(), "{}", stderr(&output));
        let text = String::from_utf8(output.stdout.clone()).unwrap();
        assert!(text.starts_with(start) && text.ends_with(end), "{command}");
        assert!(stderr(&output).contains("1 block in 1 "), "{}", stderr(&output));
        assert!(!folder.path().join("-").exists());
    }
}

#[cfg(unix)]
#[test]
fn links_and_pipes_stay() {
    use std::os::unix::fs::{FileTypeExt as _, symlink};
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    sample(folder);
    fs::create_dir(folder.join("there")).unwrap();
    fs::write(folder.join("there/real.svg"), b"").unwrap();
    symlink("there/real.svg", folder.join("second")).unwrap();
    symlink("second", folder.join("link.svg")).unwrap();
    symlink("there/new.svg", folder.join("dangling.svg")).unwrap();
    symlink("circle.svg", folder.join("circle.svg")).unwrap();
    for (link, real) in [("link.svg", "there/real.svg"), ("dangling.svg", "there/new.svg")] {
        let output = verifier(folder, &["flamegraph", "-o", link]);
        assert!(output.status.success(), "{}", stderr(&output));
        assert!(fs::symlink_metadata(folder.join(link)).unwrap().is_symlink(), "{link}");
        assert!(fs::symlink_metadata(folder.join(real)).unwrap().is_file(), "{real}");
        assert!(fs::read_to_string(folder.join(real)).unwrap().contains("<svg"), "{real}");
    }
    assert_eq!(verifier(folder, &["flamegraph", "-o", "circle.svg"]).status.code(), Some(1));

    let pipe = folder.join("pipe");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let reader = std::thread::spawn({
        let pipe = pipe.clone();
        move || fs::read_to_string(pipe).unwrap()
    });
    let output = verifier(folder, &["flamegraph", "-o", "pipe"]);
    assert!(output.status.success(), "{}", stderr(&output));
    assert!(reader.join().unwrap().contains("<svg"));
    assert!(fs::symlink_metadata(&pipe).unwrap().file_type().is_fifo());

    // Standard output by its path: here it is a pipe.
    let output = verifier(folder, &["flamegraph", "-o", "/dev/stdout"]);
    assert!(output.status.success(), "{}", stderr(&output));
    assert!(String::from_utf8(output.stdout).unwrap().contains("<svg"));
}

#[cfg(unix)]
#[test]
fn a_symbol_folder_whose_name_is_not_text() {
    use std::os::unix::ffi::OsStrExt as _;
    let folder = tempfile::tempdir().unwrap();
    let dump = sample(folder.path());
    let strange = folder.path().join(std::ffi::OsStr::from_bytes(b"s\xffy*m"));
    fs::rename(folder.path().join("symbols"), &strange).unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_verifier"))
        .args(["leaks".as_ref(), dump.as_os_str(), "--symbols".as_ref(), strange.as_os_str()])
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
    assert!(String::from_utf8(output.stdout).unwrap().contains("leaky!Read+0x34"));
}
