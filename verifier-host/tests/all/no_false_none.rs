//! `leaks --fail-on 1` never ends with "nothing leaked" for a dump with leaks, however it was damaged: cut
//! short, or with blank pages, with the symbols and without.

use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};

use crate::common::{command, shared};

/// Cuts of a dump, evenly spaced.
const CUTS: usize = 40;
/// Damaged copies with three blank pages each.
const BLANKED: u64 = 25;
const PAGE: usize = 4096;

/// SplitMix64, for the same pages each time.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % limit as u64) as usize
    }
}

/// The damaged copies of a dump, each with a description of the damage.
fn damaged(dump: &[u8]) -> impl Iterator<Item = (String, Vec<u8>)> + '_ {
    let cuts = (0..CUTS).map(|part| {
        let length = dump.len() * part / CUTS;
        (format!("cut to {part}/{CUTS}"), dump[..length].to_vec())
    });
    let blanked = (0..BLANKED).map(|seed| {
        let mut random = Random(seed);
        let mut bytes = dump.to_vec();
        let mut pages: Vec<usize> = (0..3).map(|_| random.below(dump.len() / PAGE)).collect();
        pages.sort_unstable();
        for page in &pages {
            let range: Range<usize> = page * PAGE..(page + 1) * PAGE;
            bytes[range].fill(0);
        }
        (format!("pages {pages:x?} of the file blanked"), bytes)
    });
    cuts.chain(blanked)
}

fn folders() -> Vec<PathBuf> {
    let Some(dumps) = shared("dumps") else { return Vec::new() };
    let entries = fs::read_dir(dumps).unwrap().map(|entry| entry.unwrap().path());
    entries.filter(|path| path.join("memory.dmp").exists()).collect()
}

/// The dumps for which the command said "none", and its output.
fn false_none(symbols: impl Fn(&Path) -> PathBuf) -> Vec<String> {
    let scratch = tempfile::tempdir().unwrap();
    let mut wrong = Vec::new();
    for folder in folders() {
        let dump = fs::read(folder.join("memory.dmp")).unwrap();
        for (damage, bytes) in damaged(&dump) {
            let path = scratch.path().join("memory.dmp");
            fs::write(&path, bytes).unwrap();
            let output = command()
                .arg("leaks")
                .arg(&path)
                .arg("--symbols")
                .arg(symbols(&folder))
                .args(["--fail-on", "1", "--top", "1"])
                .output()
                .unwrap();
            let text = String::from_utf8_lossy(&output.stdout).into_owned();
            let code = output.status.code().expect("it ends by itself");
            if code == 0 || text.contains("No outstanding allocation") {
                wrong.push(format!("{}, {damage}: exit {code}: {text}", folder.display()));
            }
            assert!(matches!(code, 0 | 1 | 3 | 4), "{}, {damage}: {code}", folder.display());
        }
    }
    wrong
}

#[test]
fn a_damaged_dump_with_leaks_never_passes_for_a_clean_one() {
    let wrong = false_none(|folder| folder.join("symbols"));
    assert!(wrong.is_empty(), "{} of them:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn a_damaged_dump_never_passes_without_symbols() {
    let none = tempfile::tempdir().unwrap();
    let wrong = false_none(|_| none.path().to_path_buf());
    assert!(wrong.is_empty(), "{} of them:\n{}", wrong.len(), wrong.join("\n"));
}
