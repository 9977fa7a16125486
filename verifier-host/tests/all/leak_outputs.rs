//! `verifier leaks --output FORMAT=FILE`: several results of one reading.

use std::fs;

use verifier_synth::{Allocation, Build, Driver, DumpKind, Machine};

use crate::common::{Files, clean};

/// A driver with two blocks of one tag and one of another.
pub(crate) fn leaky() -> Machine {
    leaky_of(2)
}

/// The same with so many blocks of the first tag.
pub(crate) fn leaky_of(count: u64) -> Machine {
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
    let verified = m.verified(leaky);
    for number in 0..count {
        let block = block + number * 0x10_000;
        verified.allocation(Allocation::nonpaged(block, 0x2000, b"Leak", read));
    }
    verified.allocation(Allocation::nonpaged(block + 0x8000, 0x50, b"Open", open));
    m
}

fn files() -> Files {
    Files::write(&leaky().build(DumpKind::BitmapKernel))
}

const FORMATS: [&str; 9] =
    ["text", "json", "csv", "markdown", "folded", "flamegraph", "sarif", "junit", "github"];

#[test]
fn each_output_equals_what_its_format_writes_to_standard_output() {
    let files = files();
    let outputs: Vec<String> =
        FORMATS.iter().map(|format| format!("{format}={}", files.path(format))).collect();
    let options: Vec<&str> = outputs.iter().flat_map(|output| ["--output", output]).collect();
    let text = files.clean(&["leaks"], &options);
    for format in FORMATS {
        let alone = files.output(&["leaks"], &["--format", format]).stdout;
        assert_eq!(fs::read(files.path(format)).unwrap(), alone, "{format}");
        assert!(!alone.is_empty());
    }
    // All of them are files, so the text is on standard output as ever.
    assert_eq!(text.as_bytes(), fs::read(files.path("text")).unwrap());
}

#[test]
fn an_output_can_be_standard_output_in_place_of_the_text() {
    let files = files();
    let file = format!("csv={}", files.path("new/leaks.csv"));
    let json = files.clean(&["leaks"], &["--output", "json=-", "--output", &file]);
    assert_eq!(json, files.clean(&["leaks"], &["--format", "json"]));
    assert!(fs::read_to_string(files.path("new/leaks.csv")).unwrap().starts_with("count,"));
    for (options, why) in [
        (["--output", "json=-", "--output", "csv=-"].as_slice(), "only one result can go to"),
        (&["--output", "json=-", "--format", "text"], "only one result can go to"),
        (&["--output", "csv=a", "--output", "json=a"], "a: --output names it twice"),
        (&["--output", "csv"], "it is not FORMAT=FILE"),
        (&["--output", "xls=a"], "\"xls\" is none of text, json,"),
        (&["--output", "csv=a", "--weight", "count"], "--weight is for folded"),
    ] {
        let output = files.output(&["leaks"], options);
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{options:?}: {error}");
        assert!(error.contains(why), "{error}");
        assert!(output.stdout.is_empty(), "{options:?}");
    }
}

#[test]
fn stacks_are_folded_by_stack_however_the_others_are_grouped() {
    let files = files();
    let folded = format!("folded={}", files.path("folded"));
    let csv =
        files.output(&["leaks"], &["--by", "driver", "--output", &folded, "--output", "csv=-"]);
    assert_eq!(String::from_utf8(csv.stdout).unwrap().lines().count(), 2, "one driver");
    let lines = fs::read_to_string(files.path("folded")).unwrap();
    assert_eq!(lines, clean_folded(&files));
    assert_eq!(lines.lines().count(), 2, "{lines}");
}

fn clean_folded(files: &Files) -> String {
    String::from_utf8(files.output(&["leaks"], &["--format", "folded"]).stdout).unwrap()
}

#[test]
fn no_output_replaces_the_dump_or_a_symbol_file() {
    let files = files();
    let dump = files.path("memory.dmp");
    let before = fs::read(&dump).unwrap();
    fs::write(files.path("symbols/note.json"), "{}").unwrap();
    for (file, why) in [
        ("memory.dmp", "the output is the dump itself"),
        ("symbols/note.json", "would replace a file of the symbol folder"),
    ] {
        let output = format!("json={}", files.path(file));
        let output = files.output(&["leaks"], &["--output", "csv=-", "--output", &output]);
        assert_eq!(output.status.code(), Some(2), "{file}");
        assert!(String::from_utf8_lossy(&output.stderr).contains(why), "{file}");
    }
    assert_eq!(fs::read(&dump).unwrap(), before);
    assert_eq!(fs::read(files.path("symbols/note.json")).unwrap(), b"{}");
    // Results that are recognized by their start are replaced there, too.
    for format in FORMATS {
        if ["text", "folded"].contains(&format) {
            continue;
        }
        let output = format!("{format}={}", files.path(&format!("symbols/result.{format}")));
        for _ in 0..2 {
            clean(files.output(&["leaks"], &["--output", &output]));
        }
    }
}

#[test]
fn every_output_is_written_although_one_cannot_be() {
    let files = files();
    fs::create_dir(files.path("folder")).unwrap();
    let outputs = ["csv=folder", "json=a.json", "markdown=folder"].map(|output| {
        let (format, file) = output.split_once('=').unwrap();
        format!("{format}={}", files.path(file))
    });
    let options = ["--output", &outputs[0], "--output", &outputs[1]];
    let output = files.output(&["leaks"], &options);
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("folder: "));
    assert!(fs::read_to_string(files.path("a.json")).unwrap().starts_with('{'));
    assert!(String::from_utf8_lossy(&output.stdout).contains("3 blocks"));
    // The limit decides only if all results are there.
    let options = ["--output", &outputs[2], "--fail-on", "1"];
    assert_eq!(files.output(&["leaks"], &options).status.code(), Some(1));
}
