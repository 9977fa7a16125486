//! Where results go: not over what is read, not in place of a device or a link.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

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
    let sample = m.build(DumpKind::BitmapKernel);
    for (name, bytes) in &sample.files {
        let path = folder.join("symbols").join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }
    let dump = folder.join("memory.dmp");
    fs::write(&dump, &sample.dump).unwrap();
    dump
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
fn what_is_read_is_not_written_over() {
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
        // Any other file is replaced.
        fs::write(folder.join("old.html"), b"old").unwrap();
        let output = verifier(folder, &[command, "-o", "old.html"]);
        assert!(output.status.success(), "{}", stderr(&output));
        assert!(fs::read(folder.join("old.html")).unwrap().len() > 100);
    }
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
    fs::write(folder.join("there/real.svg"), b"old").unwrap();
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

    // Standard output by its name in the system: a pipe here.
    let output = verifier(folder, &["flamegraph", "-o", "/dev/stdout"]);
    assert!(output.status.success(), "{}", stderr(&output));
    assert!(String::from_utf8(output.stdout).unwrap().contains("<svg"));
}

#[cfg(unix)]
#[test]
fn a_symbol_folder_whose_name_is_no_text() {
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
