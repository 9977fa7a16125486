//! `verifier log` of the smaller logs, as text, JSON and CSV: by number, by address, wrapped, empty; and the
//! modes of `verifier settings`.

use crate::common::Files;
use serde_json::{Value, json};
use verifier_synth::{Assembly, Build, DumpKind, Log, Machine, RingRecord, WatchedIrp};

const POOL: u64 = 0xffff_a000_0600_0000;

/// The exit code, what the command prints, and its warnings.
fn end(files: &Files, words: &[&str], options: &[&str]) -> (Option<i32>, String, String) {
    let output = files.output(words, options);
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

/// The same of a command that succeeds.
fn run(files: &Files, words: &[&str], options: &[&str]) -> (String, String) {
    let (code, out, complaints) = end(files, words, options);
    assert_eq!(code, Some(0), "{words:?}");
    (out, complaints)
}

fn write(m: &Assembly) -> Files {
    Files::write(&m.sample(DumpKind::BitmapKernel))
}

fn machine() -> Machine {
    let mut m = Machine::new(Build::Win11);
    for i in 1..=20 {
        m.suppressed_bug_checks().push(&[0xc4, 0x60 + i, POOL + i, 0, 0]);
    }
    m.workarounds().push(&[1, POOL + 0x1000, 0]);
    m.workarounds().push(&[7, POOL + 0x2000, POOL]);
    for i in 1..=2u64 {
        m.watched_irp(WatchedIrp {
            irp: POOL + i * 0x100,
            due_tick_count: 0x52,
            inserted: true,
            stack_location: 0xff,
            timeout_ticks: 300,
        });
    }
    m
}

#[test]
fn suppressed_bug_checks() {
    let files = write(&machine().assemble());
    let log = files.json(&["log", "suppressed"], &["--last", "2"]);
    assert_eq!(log["kind"], "suppressed");
    assert_eq!((&log["capacity"], &log["written"]), (&json!(16), &json!(20)));
    assert_eq!((&log["wrapped"], &log["empty_because"]), (&json!(true), &Value::Null));
    assert_eq!(
        log["entries"][0],
        json!({
            "slot": 4, "code": 0xc4, "parameter1": "0x74", "parameter2": "0xffffa00006000014",
            "parameter3": "0x0", "parameter4": "0x0", "impossible": null, "frames": [],
            "file": null, "line": null,
        })
    );
    assert_eq!(log["entries"].as_array().unwrap().len(), 2);
    let about = files.json(&["log", "suppressed"], &["--address", "ffffa000`06000010"]);
    assert_eq!(about["entries"].as_array().unwrap().len(), 1);
    let text = files.clean(&["log", "suppressed"], &["--last", "1"]);
    assert_eq!(
        text,
        "The suppressed bug check log has room for 0x10 records; 0x14 were written (modulo 2^32), \
         it has wrapped.\n\
         Displaying most recent 0x0000000000000001 entries from the suppressed bug check log.\n\
         There are up to 0x10 entries in the log.\n\n\
         Bug check:          00000000000000c4\nParameter 1:        0000000000000074\n\
         Parameter 2:        ffffa00006000014\nParameter 3:        0000000000000000\n\
         Parameter 4:        0000000000000000\n"
    );
    let csv = files.clean(&["log", "suppressed"], &["--last", "1", "--format", "csv"]);
    assert_eq!(
        csv,
        "slot,code,parameter1,parameter2,parameter3,parameter4,stack,file,line,impossible,extent\n\
         4,196,0x74,0xffffa00006000014,0x0,0x0,,,,,complete\n"
    );
}

#[test]
fn workarounds() {
    let files = write(&machine().assemble());
    let log = files.json(&["log", "workaround"], &[]);
    assert_eq!((&log["wrapped"], &log["unused"]), (&json!(false), &json!(14)));
    let types: Vec<_> =
        log["entries"].as_array().unwrap().iter().map(|entry| &entry["type"]).collect();
    assert_eq!(types, [7, 1]);
    let text = files.clean(&["log", "workaround"], &[]);
    assert!(text.contains("it has not wrapped"), "{text}");
    // The meaning of a type is shown if it is known.
    assert!(text.contains("Type:               0000000000000001 (allocation of no bytes)\n"));
    assert!(text.contains("Type:               0000000000000007\n"), "{text}");
}

#[test]
fn watched_irps() {
    let files = write(&machine().assemble());
    let log = files.json(&["log", "watched"], &[]);
    assert_eq!((&log["kind"], &log["length"]), (&json!("watched"), &json!(2)));
    let entry = &log["entries"][1];
    assert_eq!(
        (&entry["irp"], &entry["due_tick_count"]),
        (&json!("0xffffa00006000200"), &json!(0x52))
    );
    assert_eq!(entry["tracked_stack_location"], -1);
    let one =
        files.clean(&["log", "watched"], &["--address", "ffffa00006000200", "--format", "csv"]);
    assert_eq!(one.lines().count(), 2);
    assert!(one.ends_with(",0xffffa00006000200,82,1,-1,300,complete\n"), "{one}");
    let text = files.clean(&["log", "watched"], &["--last", "1"]);
    assert!(text.contains("Irp:                ffffa00006000100\n"), "{text}");
    let none = write(&Machine::new(Build::Win11).assemble());
    assert_eq!(
        none.clean(&["log", "watched"], &[]),
        "The list of watched IRPs is empty: no canceled IRP is watched.\n"
    );
}

#[test]
fn each_log_says_why_it_is_empty_and_what_it_could_not_read() {
    let kinds = ["pool", "irql", "fault", "region", "irp", "pending", "suppressed", "workaround"];
    let off = write(&Machine::new(Build::Win10Vb).assemble());
    for kind in kinds {
        let log = off.json(&["log", kind], &[]);
        let why = log["empty_because"].as_str().unwrap();
        assert_eq!(log["wrapped"], false, "{kind}");
        let text = off.clean(&["log", kind], &[]);
        assert!(text.contains(&format!("is empty: {why}.\n")), "{text}");
    }
    // A torn newest entry, on a page next to an absent one.
    let mut m = Machine::new(Build::Win10Vb);
    let ring = m.log(Log::Irp);
    ring.length = 0x40;
    for i in 0..0x42u64 {
        let fields = vec![("Irp", POOL + i * 0x100), ("Thread", POOL)];
        ring.push(RingRecord { fields, frames: vec![], stale: vec![] });
    }
    let mut m = m.assemble();
    let array = m.address("ring:IovIrpTraces");
    m.patch_field(array + 2 * 0x80, "_IOV_IRP_TRACE", "Thread", 0);
    m.remove_page(array + 0x1000);
    let files = write(&m);
    let (text, complaints) = run(&files, &["log", "irp"], &[]);
    assert_eq!(text.matches("Irp:").count(), 0x20);
    assert!(complaints.contains("newest slot (0x2) of the IRP log"), "{complaints}");
    assert!(complaints.contains("slots 0x20 to 0x3f of the IRP log"), "{complaints}");
    let log = files.json(&["log", "irp"], &[]);
    assert_eq!(
        (&log["wrapped"], &log["problems"][0]["why"]),
        (&json!(true), &json!("written in part: its thread is null"))
    );
}

#[test]
fn settings_name_the_modes() {
    let mut m = Machine::new(Build::Win11);
    m.level(0x9bb).excluded("good.sys");
    let mut m = m.assemble();
    m.patch(m.address("nt!VfRuleClasses"), &0x10_0012_0012_09bbu64.to_le_bytes());
    m.patch(m.address("nt!VfOptionFlags"), &0x1004u32.to_le_bytes());
    m.patch(m.address("nt!VfFaultInjectionProbability"), &600u32.to_le_bytes());
    let files = write(&m);
    let text = files.clean(&["settings"], &[]);
    for line in [
        "            34  WDF verification\n",
        "            53  unknown\n",
        "    0x00000004  unknown\n",
        "    0x00001000  20348 and later: pool is tracked in trees instead of per driver\n",
        "  Excluded drivers: good.sys\n",
        "600 in 10000\n",
        "    all pool tags\n",
    ] {
        assert!(text.contains(line), "{line:?} in {text}");
    }
    let modes = &files.json(&["settings"], &[])["modes"];
    assert_eq!(modes["rule_classes"][10], json!({"class": 34, "name": "WDF verification"}));
    assert_eq!(modes["rule_classes"][12], json!({"class": 53, "name": null}));
    assert_eq!(modes["options"][0], json!({"bit": 4, "meaning": null}));
    assert_eq!(modes["excluded_drivers"], json!(["good.sys"]));
    let csv = files.clean(&["settings"], &["--format", "csv"]);
    assert!(csv.contains("\nrule_classes,4503676937963963,complete\n"), "{csv}");
    assert!(csv.contains("\nfault_probability,600,complete\n"), "{csv}");
}

/// If no page of an existing log is there, the answer says so, and differs from that of an empty log.
#[test]
fn a_log_of_which_no_page_is_there() {
    let mut m = machine();
    for i in 0..4u64 {
        let fields = vec![("Thread", POOL + i * 0x40)];
        m.log(Log::Irql).push(RingRecord { fields, frames: vec![POOL], stale: Vec::new() });
        m.pool_record(verifier_synth::PoolRecord {
            address: POOL + i * 0x40,
            size: 0x40,
            thread: POOL,
            frames: vec![POOL],
            stale: Vec::new(),
        });
    }
    m.log(Log::Irql).length = 16;
    m.log(Log::Pool).length = 8;
    let mut m = m.assemble();
    for ring in ["ring:ViTrackIrqlQueue", "ring:VfPoolTraces"] {
        let ring = m.address(ring);
        m.remove_page(ring);
    }
    let files = write(&m);
    for (kind, what) in [("irql", "IRQL transition log"), ("pool", "pool log")] {
        let (code, out, complaints) = end(&files, &["log", kind], &[]);
        assert_eq!(code, Some(1), "{complaints}");
        assert!(out.contains("none of its pages can be read"), "{out}");
        let last = format!("the {what} cannot be read: none of its pages is there");
        assert!(complaints.contains(&last), "{complaints}");
        let (code, out, _) = end(&files, &["log", kind], &["--format", "json"]);
        assert_eq!(code, Some(1));
        let log: Value = serde_json::from_str(&out).unwrap();
        assert_eq!(log["entries"], json!([]));
        assert!(!log["problems"].as_array().unwrap().is_empty());
    }
}

#[test]
fn an_address_without_records() {
    let files = write(&machine().assemble());
    let about = |kind| run(&files, &["log", kind], &["--address", "ffffa00000001000"]).0;
    let text = about("suppressed");
    assert!(
        text.ends_with("No entry of the suppressed bug check log is about 0xffffa00000001000.\n"),
        "{text}"
    );
    assert_eq!(about("watched"), "No watched IRP is 0xffffa00000001000.\n");
}
