//! What was once found, on stable: every file of `fuzz/regressions/TARGET/`, every seed, and some
//! inputs of a fixed generator, so that a target that rots shows without a fuzzer.

use std::fs;
use std::path::Path;

use verifier_fuzz_targets::{TARGETS, seeds};

#[test]
fn regressions_and_seeds() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../regressions");
    for (name, target) in TARGETS {
        for seed in seeds(name) {
            target(&seed);
        }
        let Ok(files) = fs::read_dir(folder.join(name)) else { continue };
        for file in files {
            let path = file.unwrap().path();
            println!("{}", path.display());
            target(&fs::read(path).unwrap());
        }
    }
}

#[test]
fn some_random_inputs() {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    for (name, target) in TARGETS {
        let seeds = seeds(name);
        for round in 0..25 {
            let mut input = match seeds.len() {
                0 => Vec::new(),
                count => seeds[round % count].clone(),
            };
            input.extend((0..next() % 60).flat_map(|_| next().to_le_bytes()));
            for _ in 0..next() % 4 {
                let at = next() as usize % input.len().max(1);
                if let Some(byte) = input.get_mut(at) {
                    *byte = next() as u8;
                }
            }
            target(&input);
        }
    }
}

/// `SEED_CORPUS=FOLDER cargo test -p verifier-fuzz-targets seed_corpus` writes the seeds for the fuzzer.
#[test]
fn seed_corpus() {
    let Some(folder) = std::env::var_os("SEED_CORPUS") else { return };
    for (name, _) in TARGETS {
        let folder = Path::new(&folder).join(name);
        fs::create_dir_all(&folder).unwrap();
        for (i, seed) in seeds(name).iter().enumerate() {
            fs::write(folder.join(format!("seed-{i}")), seed).unwrap();
        }
    }
}
