//! Damage at known places, one at a time, by another tool. If any other data in the dump contradict the
//! damaged bytes, the command must report a problem.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Mutex;
use std::thread;

use crate::common::shared;

#[test]
fn no_damage_that_the_dump_contradicts_is_silent() {
    let (Some(tool), Some(dumps)) = (shared("tools/damage/directed.py"), shared("dumps")) else {
        return;
    };
    if Command::new("python3").arg("--version").output().is_err() {
        println!("skipped: python3 is not installed");
        return;
    }
    let folders = fs::read_dir(dumps).unwrap().map(|entry| entry.unwrap().path());
    let folders: Vec<PathBuf> = folders.filter(|path| path.join("memory.dmp").exists()).collect();
    let left = Mutex::new(folders);
    let failed = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                while let Some(folder) = { left.lock().unwrap().pop() } {
                    let output = Command::new("python3")
                        .arg(&tool)
                        .arg(env!("CARGO_BIN_EXE_verifier"))
                        .arg(&folder)
                        .arg("--brief")
                        .output()
                        .unwrap();
                    if !output.status.success() {
                        let text = [output.stdout, output.stderr].concat();
                        let text = String::from_utf8_lossy(&text).into_owned();
                        failed.lock().unwrap().push(format!("{}:\n{text}", folder.display()));
                    }
                }
            });
        }
    });
    let failed = failed.into_inner().unwrap();
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}
