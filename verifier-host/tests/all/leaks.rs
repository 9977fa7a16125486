//! `verifier leaks` and `verifier diff` as processes: the shared dumps compared with their answer sheets,
//! exit codes, filters, and a full ring of deep stacks.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::Output;

use crate::common::{command, save, shared};
use serde_json::Value;
use verifier_synth::{Allocation, Build, Driver, DumpKind, Log, Machine, PoolRecord};

fn verifier(arguments: &[&str]) -> Output {
    command().args(arguments).output().unwrap()
}

fn on(folder: &Path, arguments: &[&str]) -> Output {
    let (dump, symbols) = (folder.join("memory.dmp"), folder.join("symbols"));
    let mut all = arguments.to_vec();
    all.extend([dump.to_str().unwrap(), "--symbols", symbols.to_str().unwrap()]);
    verifier(&all)
}

fn stdout(output: &Output) -> &str {
    std::str::from_utf8(&output.stdout).unwrap()
}

fn json(output: &Output) -> Value {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// The shared dumps with their answer sheets. If they are absent, prints a line and returns none.
fn dumps() -> Vec<(PathBuf, Value)> {
    let Some(folder) = shared("dumps") else { return Vec::new() };
    let mut found = Vec::new();
    for folder in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
        let Ok(packed) = fs::read(folder.join("expect.json.xz")) else { continue };
        let mut text = String::new();
        lzma_rust2::XzReader::new(&*packed, true).read_to_string(&mut text).unwrap();
        found.push((folder, serde_json::from_str(&text).unwrap()));
    }
    found
}

fn address(value: &Value) -> u64 {
    let text = value.as_str().unwrap();
    u64::from_str_radix(text.strip_prefix("0x").unwrap(), 16).unwrap()
}

#[test]
fn shared_dumps_equal_their_answer_sheets() {
    for (folder, want) in dumps() {
        let name = folder.file_name().unwrap().to_string_lossy().into_owned();
        let mut live = HashMap::new();
        for driver in want["drivers"].as_array().unwrap() {
            // The sheet also has contiguous memory in a separate list.
            let both = ["allocations", "contiguous"].map(|list| driver[list].as_array());
            for block in both.into_iter().flatten().flatten() {
                live.insert(block["address"].as_u64().unwrap(), block["size"].as_u64().unwrap());
            }
        }
        // Newest first: the first record of an address decides.
        let mut stacks: HashMap<u64, Option<Vec<u64>>> = HashMap::new();
        for record in want["pool_log"]["entries"].as_array().unwrap() {
            let frames = || record["frames"].as_array().unwrap().iter();
            stacks.entry(record["address"].as_u64().unwrap()).or_insert_with(|| {
                (record["free"] == false).then(|| frames().map(|f| f.as_u64().unwrap()).collect())
            });
        }
        // If the kernel keeps blocks in a tree, each has its own stack there; drivers' pages have no stacks.
        if let Some(blocks) = want["pool_info"].as_array() {
            stacks.clear();
            for block in blocks {
                let number = |value: &Value| value.as_u64().unwrap();
                live.insert(number(&block["address"]), number(&block["size"]));
                let frames = block["frames"].as_array().unwrap().iter().map(number);
                stacks.insert(number(&block["address"]), Some(frames.collect()));
            }
        }
        let got = json(&on(&folder, &["leaks", "--format", "json"]));
        let mut seen = HashSet::new();
        let (mut with_stack, mut bytes_with_stack) = (0, 0);
        let mut before = u64::MAX;
        let groups = |got: &Value| {
            let both = ["groups", "contiguous"].map(|list| got[list].as_array().unwrap().clone());
            let mut all = both.concat();
            // The command sorts both together.
            all.sort_by_key(|group| std::cmp::Reverse(group["bytes"].as_u64()));
            all
        };
        for group in groups(&got) {
            let blocks = group["allocations"].as_array().unwrap();
            assert_eq!(group["count"], blocks.len(), "{name}");
            let bytes = group["bytes"].as_u64().unwrap();
            assert!(bytes <= before, "{name}: the most bytes first");
            before = bytes;
            let stack: Option<Vec<u64>> = group["stack"]
                .as_array()
                .map(|stack| stack.iter().map(|frame| address(&frame["address"])).collect());
            assert_eq!(stack.is_none(), group["why_no_stack"].is_string(), "{name}");
            for block in blocks {
                let block = address(&block["address"]);
                assert!(seen.insert(block), "{name}: {block:#x} twice");
                assert_eq!(stack, stacks.get(&block).cloned().flatten(), "{name}: {block:#x}");
                if stack.is_none() {
                    let why = group["why_no_stack"].as_str().unwrap();
                    let is_free = stacks.contains_key(&block);
                    assert_eq!(why == "its newest record is a free", is_free, "{name}: {why}");
                } else {
                    with_stack += 1;
                    bytes_with_stack += live[&block];
                }
            }
        }
        assert_eq!(seen, live.keys().copied().collect(), "{name}");
        let coverage = &got["coverage"];
        assert_eq!(coverage["allocations"], live.len(), "{name}");
        assert_eq!(coverage["with_stack"], with_stack, "{name}");
        assert_eq!(coverage["bytes"], live.values().sum::<u64>(), "{name}");
        assert_eq!(coverage["bytes_with_stack"], bytes_with_stack, "{name}");
        assert_eq!(coverage["uncertain"], 0, "{name}");

        // Every other grouping has the same blocks.
        for by in ["frame", "caller", "tag", "driver", "size"] {
            let got = json(&on(&folder, &["leaks", "--format", "json", "--by", by]));
            let counts = groups(&got).into_iter().map(|group| group["count"].as_u64().unwrap());
            assert_eq!(counts.sum::<u64>(), live.len() as u64, "{name} by {by}");
        }
        // A dump compared with itself has no growth.
        let dump = folder.join("memory.dmp");
        let same =
            on(&folder, &["diff", "--by", "stack", "--format", "json", dump.to_str().unwrap()]);
        let same = json(&same);
        assert_eq!((&same["same_boot"], &same["groups"]), (&true.into(), &Value::Array(vec![])));
        assert_eq!(same["why"], "both are one file");
        assert_eq!(same["unchanged"], groups(&got).len(), "{name}");
    }
}

fn small() -> Machine {
    let mut m = Machine::new(Build::Win81);
    let leaky = m.driver(
        Driver::new("leaky.sys")
            .pdb("leaky.pdb")
            .symbol("LeakyRead", 0x1200)
            .symbol("LeakyOpen", 0x1300),
    );
    m.level(8);
    let (read, open) =
        (m.driver_address(leaky, "LeakyRead") + 0x34, m.driver_address(leaky, "LeakyOpen") + 0x10);
    let block = 0xffff_9a8f_5000_0000;
    m.verified(leaky)
        .allocation(Allocation::nonpaged(block, 0x2000, b"Leak", read))
        .allocation(Allocation::nonpaged(block + 0x10_000, 0x2000, b"Leak", read))
        // If that build has paged pool.
        .allocation(Allocation::paged(0xffff_b880_0002_0000, 0x50, b"Open", open));
    m
}

#[test]
fn fail_on_and_filters() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    save(folder, &small().build(DumpKind::BitmapKernel));
    let code = |arguments: &[&str]| on(folder, arguments).status.code();
    assert_eq!(code(&["leaks"]), Some(0));
    assert_eq!(code(&["leaks", "--fail-on", "3"]), Some(3));
    assert_eq!(code(&["leaks", "--fail-on", "4"]), Some(0));
    assert_eq!(code(&["leaks", "--fail-on", "2", "--tag", "Open"]), Some(0));
    assert_eq!(code(&["leaks", "--fail-on", "2", "--tag", "L*"]), Some(3));
    assert_eq!(code(&["leaks", "--fail-on", "0"]), Some(2));
    assert_eq!(code(&["leaks", "--skip", "("]), Some(2));
    assert_eq!(code(&["leaks", "--driver", "nosuch"]), Some(2));
    // A filter that no block can pass, or a mistyped one, is an error, not a clean run.
    assert_eq!(code(&["leaks", "--fail-on", "1", "--tag", "Leaky"]), Some(2));
    assert_eq!(code(&["leaks", "--fail-on", "1", "--tag", ""]), Some(2));
    assert_eq!(code(&["leaks", "--tag", "L*e*a*k"]), Some(0));
    assert_eq!(code(&["leaks", "--min-size", "8K", "--max-size", "4K"]), Some(2));
    assert_eq!(code(&["diff", "memory.dmp", "--tag", "Leaky"]), Some(1), "no such file first");
    let mistyped =
        on(folder, &["leaks", "--format", "markdown", "--fail-on", "1", "--tag", "leak"]);
    assert_eq!(mistyped.status.code(), Some(0));
    assert!(
        stdout(&mistyped).starts_with(
            "### Driver Verifier: no outstanding allocation matches tag leak (3 without filters)\n"
        ),
        "{}",
        stdout(&mistyped)
    );
    let csv = on(folder, &["leaks", "--format", "csv", "--tag", "Leak"]);
    assert_eq!(stdout(&csv).lines().count(), 2);
    assert!(String::from_utf8_lossy(&csv.stderr).contains("Filtered: tag Leak; 2 of 3 blocks"));
    // Only stacks can be folded, and only folded output has a weight.
    assert_eq!(code(&["leaks", "--format", "folded", "--by", "tag"]), Some(2));
    assert_eq!(code(&["leaks", "--weight", "count"]), Some(2));
    assert_eq!(code(&["leaks", "--format", "folded", "--weight", "count"]), Some(0));
    let count = |arguments: &[&str]| {
        let all: Vec<&str> = [&["leaks", "--format", "json"], arguments].concat();
        json(&on(folder, &all))["coverage"]["allocations"].as_u64().unwrap()
    };
    assert_eq!(count(&["--min-size", "8K"]), 2);
    assert_eq!(count(&["--max-size", "0x1fff"]), 1);
    assert_eq!(count(&["--driver", "LEAKY"]), 3);
    let failed = on(folder, &["leaks", "--format", "markdown", "--fail-on", "1"]);
    assert_eq!(failed.status.code(), Some(3));
    assert!(
        stdout(&failed).starts_with("### Driver Verifier: 3 blocks outstanding, 16,464 bytes\n")
    );
    assert!(
        stdout(&failed)
            .contains("| 1 | 2 | 16,384 | 8,192 | `Leak` | `leaky.sys` | `leaky!LeakyRead+0x34` |")
    );
    assert!(String::from_utf8_lossy(&failed.stderr).contains("3 allocations are outstanding"));
}

/// Only the counters distinguish nonpaged from paged blocks.
#[test]
fn blocks_of_unknown_pool_are_not_a_clean_run() {
    for (folder, _) in dumps() {
        let args = |limit: &str| {
            let args = ["leaks", "--pool-type", "paged", "--format", "json", "--fail-on", limit];
            on(&folder, &args)
        };
        let output = args("1000000");
        let json = json(&output);
        let read = json["coverage"]["allocations"].as_u64().unwrap();
        let filter = &json["filter"];
        let undetermined = filter["undetermined"].as_u64().unwrap();
        assert!(read + undetermined <= filter["allocations"].as_u64().unwrap());
        if undetermined == 0 {
            continue;
        }
        assert_eq!(args(&(read + undetermined + 1).to_string()).status.code(), Some(0));
        let output = args(&(read + undetermined).to_string());
        assert_eq!(output.status.code(), Some(3), "{}", folder.display());
        assert!(String::from_utf8_lossy(&output.stderr).contains("their pool is unknown"));
    }
}

/// The same blocks with less of the log are not growth.
#[test]
fn a_dump_that_was_cut_short_has_no_growth() {
    for (folder, _) in dumps() {
        let dump = fs::read(folder.join("memory.dmp")).unwrap();
        let whole = json(&on(&folder, &["leaks", "--format", "json"]));
        let short = tempfile::NamedTempFile::new().unwrap();
        fs::write(short.path(), &dump[..dump.len() * 6 / 10]).unwrap();
        let symbols = folder.join("symbols");
        let diff = |arguments: &[&str]| {
            let (old, new) = (folder.join("memory.dmp"), short.path());
            let mut all = vec!["diff", old.to_str().unwrap(), new.to_str().unwrap()];
            all.extend(["--symbols", symbols.to_str().unwrap(), "--format", "json"]);
            all.extend(arguments);
            verifier(&all)
        };
        for by in ["stack", "frame", "function", "caller"] {
            for skip in [&[][..], &["--skip", "Allocate"]] {
                let all = [&["--boot", "other", "--by", by, "--fail-on", "1"], skip].concat();
                let output = diff(&all);
                let diff: Value = serde_json::from_slice(&output.stdout).unwrap();
                // No growth is known, and the later dump may hide some.
                assert_eq!(output.status.code(), Some(4), "{}: {diff}", folder.display());
                assert_eq!(diff["complete"], false);
                if diff["new"]["count"] == 0 {
                    // The pool info tree is in the missing part.
                    assert!(whole["pool_info"].is_object(), "{}", folder.display());
                    continue;
                }
                // Contiguous memory may be in the missing part.
                let (lost, groups): (Vec<&Value>, Vec<&Value>) = diff["groups"]
                    .as_array()
                    .unwrap()
                    .iter()
                    .partition(|group| group["contiguous"] == true);
                let shrank = lost.iter().map(|group| group["growth"]["count"].as_i64().unwrap());
                let held = whole["coverage"]["allocations"].as_i64().unwrap();
                assert_eq!(diff["new"]["count"], held + shrank.sum::<i64>());
                assert_ne!(diff["old"]["with_stack"], diff["new"]["with_stack"]);
                assert!(groups.is_empty(), "{all:?}: {groups:?}");
            }
        }
    }
}

#[test]
fn missing_symbols_are_one_line() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let mut sample = small().build(DumpKind::BitmapKernel);
    sample.files.retain(|(name, _)| !name.contains("leaky"));
    save(folder, &sample);
    let text = on(folder, &["leaks"]);
    let error = String::from_utf8_lossy(&text.stderr);
    assert_eq!(
        error.trim(),
        "verifier: symbols of leaky.sys at 0xfffff80318600000: leaky.pdb is missing; `verifier info` \
         shows where it was looked for"
    );
    let markdown = on(folder, &["leaks", "--format", "markdown"]);
    assert!(stdout(&markdown).contains("\nNo symbols for `leaky.sys`:"), "{}", stdout(&markdown));
    assert!(stdout(&on(folder, &["info"])).contains("leaky.pdb"));
}

#[test]
fn a_damaged_dump_is_not_a_clean_run() {
    let mut assembly = small().assemble();
    let page = assembly.address("trackers:leaky.sys:0");
    assembly.remove_page(page);
    let folder = tempfile::tempdir().unwrap();
    save(folder.path(), &assembly.sample(DumpKind::BitmapKernel));
    let output = on(folder.path(), &["leaks", "--format", "markdown", "--fail-on", "1"]);
    assert_eq!(output.status.code(), Some(3));
    let unknown = "### Driver Verifier: what is outstanding is unknown";
    assert!(stdout(&output).starts_with(unknown), "{}", stdout(&output));
    assert!(String::from_utf8_lossy(&output.stderr).contains("counters say 3"));
}

/// A full ring of deep stacks: every block has the stack of its own allocation.
#[test]
fn full_ring_of_deep_stacks() {
    const SLOTS: u64 = 4096;
    const HELD: u64 = 1250;
    let mut m = Machine::new(Build::Win11);
    let mut driver = Driver::new("deep.sys").pdb("deep.pdb").size(0x8_0000);
    for i in 0..4000u32 {
        driver = driver.symbol(&format!("Function{i}"), 0x1000 + i * 0x40);
    }
    let deep = m.driver(driver);
    m.level(8);
    let base = m.image(deep).base + 0x1000;
    let allocate = m.kernel_address("VerifierExAllocatePoolWithTag") + 0x1d;
    let free = m.kernel_address("VerifierExFreePoolWithTag") + 0x1d;
    let block = |i: u64| 0xffff_9a8f_5000_0000 + i * 0x1000;
    let caller = |i: u64| base + (i % 500) * 0x40 + 0x10;
    let frames = |first: u64, i: u64| {
        let outer = (1..49).map(|depth| base + ((i % 2000) + depth * 41) % 4000 * 0x40 + 0x18);
        [first, caller(i)].into_iter().chain(outer).collect::<Vec<u64>>()
    };
    for i in 0..SLOTS {
        // Blocks above the held ones are freed by the next record.
        let (number, first) = if i < HELD {
            (i, allocate)
        } else {
            (HELD + i / 2, [allocate, free][(i % 2) as usize])
        };
        m.pool_record(PoolRecord {
            address: block(number),
            size: 0x100,
            thread: 0xffff_9a8f_4fff_0040,
            frames: frames(first, number),
            stale: vec![],
        });
    }
    m.log(Log::Pool).length = SLOTS as u32;
    let verified = m.verified(deep);
    for i in 0..HELD {
        verified.allocation(Allocation::nonpaged(block(i), 0x110, b"Deep", caller(i)));
    }
    let folder = tempfile::tempdir().unwrap();
    save(folder.path(), &m.build(DumpKind::BitmapKernel));
    let text = on(folder.path(), &["leaks"]);
    let first = "1,250 of 1,250 blocks, 100 % of bytes, have a stack.";
    assert!(stdout(&text).contains(first), "{}", stdout(&text));
    let by_stack = json(&on(folder.path(), &["leaks", "--format", "json"]));
    let groups = by_stack["groups"].as_array().unwrap();
    // Blocks 2,000 apart would have equal stacks, so these are all different.
    assert_eq!(groups.len() as u64, HELD);
    for group in groups {
        assert_eq!(group["stack"].as_array().unwrap().len(), 50);
        assert_eq!(group["stack"][0]["symbol"], "nt!VerifierExAllocatePoolWithTag+0x1d");
    }
    let by_frame = json(&on(folder.path(), &["leaks", "--by", "frame", "--format", "json"]));
    assert_eq!(by_frame["groups"].as_array().unwrap().len(), 500, "each caller is a frame's");
}
