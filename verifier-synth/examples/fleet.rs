//! Writes the dumps of many machines with planted leaks into a folder, with their symbols and `planted.json`,
//! which lists the leaks of each machine: `cargo run -p verifier-synth --example fleet -- FOLDER N`.
//!
//! Drivers have different addresses on each machine. Builds differ too, and with them the offsets of calls in
//! a function. So one leak has different addresses everywhere, and different offsets on each build.

use std::path::Path;
use std::{env, fs, io};

use serde_json::json;
use verifier_synth::{Allocation, Build, Driver, DumpKind, Machine, PoolRecord};

/// Driver, tag, the routine that leaks, the size of a block, and n: every n-th machine has the leak.
const LEAKS: [(&str, &[u8; 4], &str, u64, usize); 3] = [
    ("leaky.sys", b"Leak", "LeakyRead", 0x210, 2),
    ("leaky.sys", b"Lctx", "LeakyOpen", 0x50, 5),
    ("filter.sys", b"Fltx", "FilterSend", 0x1100, 3),
];

const BUILDS: [Build; 4] = [Build::Win7Sp1, Build::Win10Rs1, Build::Win10Vb, Build::Win11];

fn main() -> io::Result<()> {
    let usage = || io::Error::other("usage: fleet FOLDER N");
    let folder = env::args().nth(1).ok_or_else(usage)?;
    let count = env::args().nth(2).and_then(|n| n.parse().ok()).ok_or_else(usage)?;
    let folder = Path::new(&folder);
    fs::create_dir_all(folder)?;
    let mut planted = serde_json::Map::new();
    for number in 0..count {
        let name = format!("machine-{number:03}.dmp");
        let build = BUILDS[number % BUILDS.len()];
        let (machine, leaks) = machine(build, number);
        let kind = match build {
            Build::Win7Sp1 => DumpKind::Summary,
            _ => DumpKind::BitmapKernel,
        };
        let sample = machine.build(kind);
        fs::write(folder.join(&name), &sample.dump)?;
        for (path, bytes) in &sample.files {
            let path = folder.join("symbols").join(path);
            fs::create_dir_all(path.parent().unwrap_or(folder))?;
            fs::write(path, bytes)?;
        }
        planted.insert(name, json!(leaks));
    }
    let planted = serde_json::to_vec_pretty(&planted).map_err(io::Error::other)?;
    fs::write(folder.join("planted.json"), planted)
}

fn machine(build: Build, number: usize) -> (Machine, Vec<serde_json::Value>) {
    let mut m = Machine::new(build);
    m.level(8);
    let mut leaks = Vec::new();
    let of_build = BUILDS.iter().position(|&one| one == build).unwrap_or(0) as u64;
    let (in_routine, in_hook) = (0x34 + 0x10 * of_build, 0x2b6 + of_build);
    let mut block = 0xffff_9a8f_5000_0000 + number as u64 * 0x100_0000;
    for (index, file) in ["leaky.sys", "filter.sys", "quiet.sys"].into_iter().enumerate() {
        let base = 0xffff_f880_0400_0000 + (number as u64 * 7 + index as u64) * 0x10_0000;
        let mut driver = Driver::new(file).base(base).pdb(&file.replace(".sys", ".pdb"));
        for (at, (_, _, routine, ..)) in LEAKS.iter().filter(|leak| leak.0 == file).enumerate() {
            driver = driver.symbol(routine, 0x1200 + 0x100 * at as u32);
        }
        let id = m.driver(driver);
        m.verified(id);
        for (_, tag, routine, size, every) in LEAKS.iter().filter(|leak| leak.0 == file) {
            if !number.is_multiple_of(*every) {
                continue;
            }
            let caller = m.driver_address(id, routine) + in_routine;
            let hook = m.kernel_address("VeAllocatePoolWithTagPriority") + in_hook;
            let held = 1 + number as u64 % 4;
            for _ in 0..held {
                m.verified(id).allocation(Allocation::nonpaged(block, *size, tag, caller));
                let frames = vec![hook, caller];
                let size = size - 0x10;
                let thread = (block & !0xffff_ffff) | 0x1040;
                m.pool_record(PoolRecord {
                    address: block,
                    size,
                    thread,
                    frames,
                    ..PoolRecord::default()
                });
                block += 0x1_0000;
            }
            let module = file.trim_end_matches(".sys");
            leaks.push(json!({
                "driver": file,
                "tag": String::from_utf8_lossy(*tag),
                "stack": [
                    format!("nt!VeAllocatePoolWithTagPriority+{in_hook:#x}"),
                    format!("{module}!{routine}+{in_routine:#x}"),
                ],
                "count": held,
                "bytes": held * size,
            }));
        }
    }
    (m, leaks)
}
