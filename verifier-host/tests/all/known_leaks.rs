//! Leaks that are known or ignored, and limits of what is left: `--baseline`, `--ignore`, `--fail-on`,
//! `--fail-on-bytes`.

use std::fs;
use std::process::Output;

use verifier_synth::{Allocation, Build, Driver, DumpKind, Machine};

use crate::common::Files;
use crate::leak_outputs::{leaky, leaky_of};

fn files() -> Files {
    Files::write(&leaky().build(DumpKind::BitmapKernel))
}

/// The same driver in a later build and boot: functions and blocks are elsewhere, one function holds one block
/// more, and the other none.
fn later() -> Files {
    let mut m = Machine::new(Build::Win81);
    let leaky = m.driver(
        Driver::new("LEAKY.sys")
            .pdb("leaky.pdb")
            .symbol("LeakyRead", 0x1400)
            .symbol("LeakyOpen", 0x1700),
    );
    m.level(8);
    let read = m.driver_address(leaky, "LeakyRead") + 0x3c;
    let verified = m.verified(leaky);
    for number in 0..3 {
        let block = 0xffff_9a8f_6000_0000 + number * 0x10_000;
        verified.allocation(Allocation::nonpaged(block, 0x2000, b"Leak", read));
    }
    Files::write(&m.build(DumpKind::BitmapKernel))
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[track_caller]
fn assert_code(files: &Files, options: &[&str], code: i32, why: &str) {
    let output = files.output(&["leaks"], options);
    assert_eq!(output.status.code(), Some(code), "{options:?}: {}", stderr(&output));
    assert!(stderr(&output).contains(why), "{options:?}: {}", stderr(&output));
}

#[test]
fn a_limit_of_bytes_is_reached_at_its_size() {
    let files = files();
    assert_code(&files, &["--fail-on-bytes", "16464"], 3, "16464 bytes are outstanding");
    assert_code(&files, &["--fail-on-bytes", "16K"], 3, "--fail-on-bytes 16384");
    assert_code(&files, &["--fail-on-bytes", "16465"], 0, "");
    assert_code(&files, &["--fail-on-bytes", "1M", "--fail-on", "3"], 3, "3 allocations are");
    assert_code(&files, &["--fail-on-bytes", "1", "--fail-on", "4"], 3, "16464 bytes are");
    assert_code(&files, &["--fail-on-bytes", "0"], 2, "always reached");
    assert_code(&files, &["--fail-on-bytes", "much"], 2, "not a number of bytes");
    assert_code(&files, &["--allow-incomplete"], 2, "is for --fail-on and --fail-on-bytes");
    assert_code(
        &files,
        &["--fail-on-bytes", "1", "--driver", "leaky", "--tag", "Open"],
        3,
        "80 bytes",
    );
}

#[test]
fn a_limit_of_bytes_cannot_be_judged_if_blocks_are_missing() {
    let mut assembly = leaky().assemble();
    let page = assembly.address("trackers:leaky.sys:0");
    assembly.remove_page(page);
    let files = Files::write(&assembly.sample(DumpKind::BitmapKernel));
    let why = "cannot tell whether 100 allocations or 1048576 bytes are outstanding";
    assert_code(&files, &["--fail-on-bytes", "1M", "--fail-on", "100"], 4, why);
    assert_code(&files, &["--fail-on-bytes", "1M", "--allow-incomplete"], 0, "");
}

#[test]
fn growth_in_bytes_is_a_limit_of_diff() {
    let old = files();
    let new = Files::write(&leaky_of(3).build(DumpKind::BitmapKernel));
    for (options, code) in [
        (["--fail-on-bytes", "0x2000"].as_slice(), 3),
        (&["--fail-on-bytes", "0x2001"], 0),
        (&["--fail-on-bytes", "1", "--ignore", "tag:L*"], 0),
        (&["--fail-on-bytes", "1M", "--fail-on", "1"], 3),
    ] {
        let output = new.output(&["diff", &old.path("memory.dmp")], options);
        assert_eq!(output.status.code(), Some(code), "{}{}", stdout(&output), stderr(&output));
    }
}

#[test]
fn what_a_baseline_lists_is_known_in_the_next_build_and_boot() {
    let (old, new) = (files(), later());
    let file = old.path("known.json");
    old.clean(&["leaks"], &["--write-baseline", &file]);
    let text = fs::read_to_string(&file).unwrap();
    assert_eq!(
        text,
        "{\"verifier_baseline\":1,\"known\":[\n\
         {\"driver\":\"leaky.sys\",\"function\":\"leaky!LeakyOpen\",\"tag\":\"Open\",\"count\":1,\"bytes\":80},\n\
         {\"driver\":\"leaky.sys\",\"function\":\"leaky!LeakyRead\",\"tag\":\"Leak\",\"count\":2,\"bytes\":16384}\n\
         ]}\n"
    );
    assert_code(&old, &["--baseline", &file, "--fail-on", "1"], 0, "");
    assert_code(&old, &["--baseline", &file, "--fail-on-bytes", "1"], 0, "");
    let why = "1 allocations are new, and 2 allocations are known; --fail-on 1";
    assert_code(&new, &["--baseline", &file, "--fail-on", "1"], 3, why);
    assert_code(
        &new,
        &["--baseline", &file, "--fail-on", "2", "--fail-on-bytes", "8K"],
        3,
        "8192 bytes",
    );
    assert_code(&new, &["--baseline", &file, "--fail-on", "2"], 0, "");

    let line = format!("Baseline {file}: 2 blocks known, 1 new.");
    let gone = "No longer outstanding: leaky.sys, leaky!LeakyOpen, tag Open (1 block).";
    for format in ["text", "markdown"] {
        let text = new.clean(&["leaks"], &["--baseline", &file, "--format", format]);
        assert!(text.contains(gone), "{text}");
        assert!(text.contains(&line) && text.contains("2 known"), "{text}");
    }
    let csv = new.output(&["leaks"], &["--baseline", &file, "--format", "csv"]);
    assert!(stderr(&csv).contains(&line[..line.len() - 1]), "{}", stderr(&csv));
    let json = new.json(&["leaks"], &["--baseline", &file]);
    assert_eq!(json["groups"][0]["known"], 2);
    assert_eq!(json["groups"][0]["allocations"][2]["known"], false);
    assert_eq!(json["baseline"]["known"]["count"], 2);
    assert_eq!(json["baseline"]["new"]["bytes"], 0x2000);
    assert_eq!(json["baseline"]["no_longer_outstanding"][0]["function"], "leaky!LeakyOpen");
    // A baseline can be brought up to date, and the result is known whole.
    new.clean(&["leaks"], &["--baseline", &file, "--write-baseline", &file]);
    assert_code(&new, &["--baseline", &file, "--fail-on", "1"], 0, "");
    assert!(!fs::read_to_string(&file).unwrap().contains("LeakyOpen"));
}

#[test]
fn groups_with_new_blocks_come_first() {
    let files = files();
    let file = files.path("known.json");
    files.clean(&["leaks"], &["--write-baseline", &file, "--tag", "Leak"]);
    let json = files.json(&["leaks"], &["--baseline", &file]);
    assert_eq!(json["groups"][0]["tag"], "Open", "the smaller one is new");
    assert_eq!(json["groups"][1]["known"], 2);
}

/// "No longer outstanding" would be wrong if a filter or damage hides blocks.
#[test]
fn what_may_be_hidden_is_not_said_to_be_gone() {
    let files = files();
    let file = files.path("known.json");
    files.clean(&["leaks"], &["--write-baseline", &file]);
    let gone = |files: &Files, options: &[&str]| {
        let options = [&["--baseline", &file, "--format", "json"], options].concat();
        let output = files.output(&["leaks"], &options);
        let json: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        json["baseline"]["no_longer_outstanding"].clone()
    };
    assert_eq!(gone(&files, &[]), serde_json::json!([]));
    assert_eq!(gone(&files, &["--tag", "Leak"]), serde_json::Value::Null);
    assert_eq!(gone(&files, &["--ignore", "tag:Leak"]), serde_json::Value::Null);
    let mut assembly = leaky().assemble();
    let page = assembly.address("trackers:leaky.sys:0");
    assembly.remove_page(page);
    let damaged = Files::write(&assembly.sample(DumpKind::BitmapKernel));
    assert_eq!(gone(&damaged, &[]), serde_json::Value::Null);
    // The counters say that there are three blocks, all of which may be known.
    assert_code(&damaged, &["--baseline", &file, "--fail-on", "1"], 4, "cannot tell");
    fs::write(&file, fs::read_to_string(&file).unwrap().replace("\"count\":2", "\"count\":1"))
        .unwrap();
    assert_code(&damaged, &["--baseline", &file, "--fail-on", "1"], 3, "the counters say 3");
    assert_code(&damaged, &["--write-baseline", &file], 0, "because the answer is not complete");
}

#[test]
fn a_baseline_that_is_wrong_is_an_error_of_usage_and_names_the_place() {
    let files = files();
    let file = files.path("known.json");
    fs::write(&file, "{\"verifier_baseline\":1,\"known\":[\n{\"driver\":1}]}").unwrap();
    assert_code(&files, &["--baseline", &file], 2, &format!("{file}: it is not a baseline: "));
    assert_code(&files, &["--baseline", &file], 2, "at line 2 column 11");
    fs::write(&file, b"\xff").unwrap();
    assert_code(&files, &["--baseline", &file], 2, "it is not UTF-8");
    assert_code(&files, &["--baseline", &files.path("absent")], 1, "absent: ");
    let output = format!("json={file}");
    let why = "the output is the baseline itself";
    assert_code(&files, &["--baseline", &file, "--output", &output], 2, why);
    let new = files.path("new.json");
    let output = format!("json={new}");
    assert_code(&files, &["--write-baseline", &new, "--output", &output], 2, "names the file of");
    let dump = files.path("memory.dmp");
    assert_code(&files, &["--write-baseline", &dump], 2, "the output is the dump itself");
}

#[test]
fn ignored_leaks_are_left_out_and_listed() {
    let files = files();
    for (pattern, left) in [
        ("tag:Leak", 1),
        ("tag:leak", 3),
        ("tag:L*", 1),
        ("LEAKY!leakyread", 1),
        ("leaky!*", 0),
        ("*!*Open", 2),
        ("leaky", 0),
        ("Leaky.sys", 0),
        ("other.sys", 3),
    ] {
        let json = files.json(&["leaks"], &["--ignore", pattern]);
        assert_eq!(json["coverage"]["allocations"], left, "{pattern}");
        assert_eq!(json["filter"]["ignored"][0]["pattern"], pattern);
        assert_eq!(json["filter"]["ignored"][0]["count"], 3 - left, "{pattern}");
        assert_eq!(json["filter"]["allocations"], 3);
    }
    // The first pattern that names a block takes it.
    let options = ["--ignore", "tag:Leak", "--ignore", "leaky.sys", "--ignore", "tag:x"];
    let text = files.clean(&["leaks"], &options);
    let line = "ignored: tag:Leak (2 blocks, 16,384 bytes), leaky.sys (1 block, 80 bytes), \
                tag:x (no block); 0 of 3 blocks.";
    assert!(text.contains("No outstanding allocation besides those that are ignored"), "{text}");
    assert!(text.contains(line), "{text}");
    assert_code(&files, &["--fail-on", "1", "--ignore", "leaky.sys"], 0, "");
    assert_code(&files, &["--fail-on", "2", "--ignore", "tag:Open"], 3, "2 allocations");
    assert_code(&files, &["--ignore", "tag:"], 2, "it names nothing");
    // What is ignored is not in a new baseline.
    let file = files.path("known.json");
    files.clean(&["leaks"], &["--ignore", "tag:Leak", "--write-baseline", &file]);
    assert!(!fs::read_to_string(&file).unwrap().contains("LeakyRead"));
}

#[test]
fn a_module_without_symbols_is_ignored_by_all_its_functions() {
    let mut sample = leaky().build(DumpKind::BitmapKernel);
    sample.files.retain(|(name, _)| !name.contains("leaky"));
    let files = Files::write(&sample);
    let file = files.path("known.json");
    assert_code(&files, &["--ignore", "leaky!*", "--fail-on", "1"], 0, "leaky.pdb is missing");
    assert_code(&files, &["--ignore", "leaky!Leaky*", "--fail-on", "1"], 3, "");
    // The driver and the tag are still known.
    assert_code(&files, &["--write-baseline", &file], 0, "");
    assert!(fs::read_to_string(&file).unwrap().contains("\"function\":\"leaky\",\"tag\":\"Leak\""));
    assert_code(&files, &["--baseline", &file, "--fail-on", "1"], 0, "");
}
