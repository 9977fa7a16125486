//! The `verifier` command as a process: its text compared with published output, its JSON and CSV with their
//! contract, its exit codes and its warnings.
//!
//! `golden/walkthrough-3.txt`, `golden/walkthrough-80.txt` and `golden/flags-8.txt` are the three outputs of
//! the walk-through. `golden/x86-modern.txt` is the text that a debugger of 2021 printed for a 32-bit Windows
//! 7 (without its prompt, with the padding of a column restored, and with `{TARGET}` in place of one
//! address). `golden/walkthrough-modern.txt` has the walk-through's data in that form.

use std::fs;
use std::io::Read;
use std::path::Path;
use std::process::{Output, Stdio};

use crate::common::{Files, command, golden, shared};
use serde_json::Value;
use verifier_synth::{Allocation, Build, Driver, DumpKind, Machine, PdbId, PoolRecord, Suspect};

const BLOCK: &str = "fffffa8005400000";

fn run(args: &[&str]) -> Output {
    command().args(args).output().unwrap()
}

#[track_caller]
fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[track_caller]
fn clean(args: &[&str]) -> String {
    crate::common::clean(run(args))
}

/// Its warnings and its exit code.
#[track_caller]
fn refused(args: &[&str]) -> (String, i32) {
    let output = run(args);
    assert_eq!(text(&output.stdout), "", "{args:?}");
    (text(&output.stderr), output.status.code().unwrap())
}

fn walkthrough_files() -> Files {
    Files::write(&verifier_synth::walkthrough())
}

/// The address of the first driver's `_VF_TARGET_DRIVER`, in `digits` digits.
fn target(files: &Files, digits: usize) -> String {
    let json = files.json(&["drivers"], &[]);
    let hex = json["drivers"][0]["target_driver"].as_str().unwrap().to_owned();
    format!("0x{:0>digits$}", hex.strip_prefix("0x").unwrap())
}

mod walkthrough {
    use super::*;

    #[test]
    fn demo_prints_the_two_blocks() {
        let out = clean(&["demo"]);
        let three = format!("kd> !verifier 3 myfault.sys\n{}\n", golden("walkthrough-3.txt"));
        let eighty = format!("kd> !verifier 80 {BLOCK}\n{}\n", golden("walkthrough-80.txt"));
        let rest = out.strip_prefix(&three).unwrap_or_else(|| panic!("not first:\n{three}\n{out}"));
        let rest =
            rest.strip_prefix(&eighty).unwrap_or_else(|| panic!("not next:\n{eighty}\n{rest}"));
        assert!(rest.contains("verifier demo -o DIR"), "{rest}");
        assert!(rest.contains("verifier kd MEMORY.DMP --symbols"), "{rest}");
    }

    #[test]
    fn the_golden_files_are_the_facts() {
        let Some(facts) = shared("facts/walkthrough.md") else { return };
        let facts = fs::read_to_string(facts).unwrap();
        let blocks: Vec<&str> =
            facts.split("```").skip(1).step_by(2).map(|b| b.trim_start_matches('\n')).collect();
        let golden = ["flags-8.txt", "walkthrough-3.txt", "walkthrough-80.txt"].map(golden);
        assert_eq!(blocks, golden);
    }

    #[test]
    fn demo_keeps_the_sample() {
        let folder = tempfile::tempdir().unwrap();
        let at = folder.path().join("new/sample");
        let out = clean(&["demo", "-o", at.to_str().unwrap()]);
        assert!(out.contains(&golden("walkthrough-3.txt")));
        let (dump, symbols) = (at.join("memory.dmp"), at.join("symbols"));
        assert!(dump.is_file() && symbols.join("myfault.pdb").is_dir());
        let mut names: Vec<String> = fs::read_dir(&at)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        assert_eq!(names, ["memory.dmp", "symbols"], "nothing temporary is left");
        // The command that it suggests works unchanged.
        for line in out.lines().filter(|line| line.contains(dump.to_str().unwrap())) {
            let words: Vec<&str> = line.split_whitespace().skip(1).collect();
            if line.trim_start().starts_with("verifier ") {
                clean(&words);
            }
        }
        // The same again over existing files.
        clean(&["demo", "-o", at.to_str().unwrap()]);
    }

    #[test]
    fn kd_in_both_styles() {
        let files = walkthrough_files();
        let three = ["-c", "!verifier 3 myfault.sys"];
        let win7 = files.clean(&["kd"], &[&three[..], &["--style", "win7"]].concat());
        assert_eq!(win7, golden("walkthrough-3.txt"));
        let modern = golden("walkthrough-modern.txt").replace("{TARGET}", &target(&files, 16));
        assert_eq!(files.clean(&["kd"], &three), modern);
        assert_eq!(files.clean(&["kd"], &["-c", "!verifier 3 MYFAULT"]), modern);
        assert_eq!(files.clean(&["kd"], &["--no-mmap", "-c", "!verifier 3 myfault.sys"]), modern);
        let search = format!("!verifier 80 {BLOCK}");
        assert_eq!(files.clean(&["kd"], &["-c", &search]), golden("walkthrough-80.txt"));
        // An address inside the block finds it too.
        let inside = files.clean(&["kd"], &["-c", "!verifier 0x80 fffffa80`05400010"]);
        let told = format!("searching for address 0x{BLOCK}");
        assert_eq!(
            inside,
            golden("walkthrough-80.txt").replace(&told, "searching for address 0xfffffa8005400010")
        );
    }

    #[test]
    fn several_commands_in_one_call() {
        let files = walkthrough_files();
        let out = files.clean(&["kd"], &["-c", ".bugcheck", "-c", "lm", "-c", "!verifier 80 2"]);
        assert!(out.contains("Bugcheck code 000000E2"), "{out}");
        let nt = out.lines().find(|line| line.ends_with("ntoskrnl.exe")).unwrap();
        assert!(nt.starts_with("fffff800`0140c000 fffff800`019f6000   nt "), "{nt}");
        assert_eq!(out.matches("Pool block ").count(), 2, "{out}");
    }
}

mod x86 {
    use super::*;

    /// The target of the published output: `Sample.sys`, one paged block of 0x70 bytes.
    fn machine() -> Machine {
        let mut m = Machine::new(Build::Win7Sp1X86);
        let pdb = PdbId::from_name("Sample.pdb");
        let driver = Driver::new("Sample.sys").base(0xa05c_0000).pdb_id(pdb);
        let sample = m.driver(driver.symbol("DriverEntry", 0x1020).symbol("Unload", 0x1080));
        m.level(8).statistic("AllocationsAttempted", 3).statistic("AllocationsSucceeded", 3);
        let suspect = Suspect { name: "Sample.sys".into(), loads: 1, unloads: 1, address: None };
        let block = Allocation::paged(0x8649_1d10, 0x70, b"abcd", 0xa05c_1047);
        m.verified_as(sample, suspect).allocation(block);
        m.pool_record(PoolRecord {
            address: 0x8649_1d10,
            size: 0x6c,
            thread: 0x8561_d4c0,
            frames: vec![0xa05c_1047, 0x0001_0000],
            stale: Vec::new(),
        });
        m
    }

    #[test]
    fn modern_text() {
        for kind in [DumpKind::Complete, DumpKind::Summary] {
            let files = Files::write(&machine().build(kind));
            let modern = golden("x86-modern.txt").replace("{TARGET}", &target(&files, 8));
            assert_eq!(files.clean(&["kd"], &["-c", "!verifier 3 Sample.sys"]), modern);
            assert_eq!(files.clean(&["kd"], &["-c", "!verifier 3"]), modern);
        }
    }

    #[test]
    fn numbers_have_eight_digits() {
        let files = Files::write(&machine().build(DumpKind::Complete));
        let out = files.clean(&["kd"], &["-c", "!verifier 80 86491d10"]);
        assert!(out.contains("Parsing 0x00010000 log entries, searching for address 0x86491d10."));
        assert!(
            out.contains(
                "Pool block 86491d10, Size 0000006c, Thread 8561d4c0\n\
                 a05c1047 Sample!DriverEntry+0x27\n\
                 00010000\n"
            ),
            "{out}"
        );
    }
}

mod flags {
    use super::*;

    #[test]
    fn the_walkthroughs_table() {
        assert_eq!(clean(&["flags", "8", "--driver", "myfault.sys"]), golden("flags-8.txt"));
        assert_eq!(clean(&["flags", "0x8", "--driver", "myfault.sys"]), golden("flags-8.txt"));
    }

    #[test]
    fn names_make_a_level() {
        let out = clean(&[
            "flags",
            "--names",
            "Pool-Tracking,special pool",
            "--driver",
            "a.sys",
            "--driver",
            "b.sys",
        ]);
        let (first, table) = out.split_once('\n').unwrap();
        assert_eq!(first, "verifier /flags 0x9 /driver a.sys b.sys");
        assert!(table.contains(
            "\nSpecial pool: Enabled\nPool tracking: Enabled\nForce IRQL checking: Disabled\n"
        ));
        assert!(table.ends_with("\nVerified drivers:\n\na.sys\nb.sys\n"), "{table}");
        let (complaint, code) = refused(&["flags", "--names", "no such flag"]);
        assert_eq!(code, 2);
        assert!(
            complaint.contains("no such flag") && complaint.contains("Pool tracking"),
            "{complaint}"
        );
    }

    /// Bit 6 has a name in our list, and is reserved in the debugger's list.
    #[test]
    fn enhanced_io_verification() {
        let named = clean(&["flags", "--names", "enhanced i/o verification"]);
        assert!(named.starts_with("verifier /flags 0x40\n"), "{named}");
        assert!(clean(&["flags", "0x40"]).contains("\nEnhanced I/O verification: Enabled\n"));
        let mut m = Machine::new(Build::Win10Vb);
        m.level(0x48);
        let files = Files::write(&m.build(DumpKind::BitmapKernel));
        let settings = files.clean(&["settings"], &[]);
        assert!(settings.contains("  0x00000040  Enhanced I/O verification\n"), "{settings}");
        assert!(!settings.contains("not among the flags"), "{settings}");
        let modern = files.clean(&["kd"], &["-c", "!verifier"]);
        assert!(modern.contains("    [X] (0x00000040) Unused or reserved flag\n"), "{modern}");
        assert!(!modern.contains("Enhanced"), "{modern}");
        let win7 = files.clean(&["kd"], &["--style", "win7", "-c", "!verifier"]);
        let options = "enabled options are:\n      All pool allocations checked on unload\n\n";
        assert!(win7.contains(options), "{win7}");
    }

    #[test]
    fn json() {
        let json: Value =
            serde_json::from_str(&clean(&["flags", "0x9bb", "--format", "json"])).unwrap();
        assert_eq!(json["level"], 2491);
        assert_eq!(json["flags"][0], serde_json::json!({"bit": 1, "name": "Special pool"}));
        let bits: Vec<u64> =
            json["flags"].as_array().unwrap().iter().map(|f| f["bit"].as_u64().unwrap()).collect();
        assert_eq!(bits.iter().sum::<u64>(), 0x9bb);
        assert_eq!(json["problems"], serde_json::json!([]));
    }
}

mod exit_codes {
    use super::*;

    #[test]
    fn usage_is_2() {
        let files = walkthrough_files();
        let dump = files.path("memory.dmp");
        for args in [
            &[][..],
            &["no-such-command"],
            &["pool"],
            &["pool", &dump, "--format", "xml"],
            &["log", "no-such-log", &dump],
            &["history", &dump],
            &["history", &dump, "--address", "nowhere"],
            &["flags"],
            &["flags", "8", "--names", "Pool tracking"],
            &["flags", "eight"],
            &["kd", &dump],
        ] {
            let (complaint, code) = refused(args);
            assert_eq!(code, 2, "{args:?}");
            assert!(!complaint.is_empty());
        }
        for (words, options, why) in [
            (&["pool"][..], &["--driver", "other.sys"][..], "other.sys"),
            (&["kd"], &["-c", "!nothing"], "!nothing"),
            (&["kd"], &["-c", "!verifier zz"], "zz"),
            (&["kd"], &["-c", "!verifier 1003"], "1000"),
            (&["kd"], &["-c", "!verifier -disable"], "live machine"),
        ] {
            let output = files.output(words, options);
            let complaint = text(&output.stderr);
            assert_eq!(output.status.code(), Some(2), "{words:?} {options:?}: {complaint}");
            assert!(complaint.starts_with("verifier: ") && complaint.contains(why), "{complaint}");
        }
    }

    /// Each command of `kd` runs even if an earlier one failed; the worst exit code counts.
    #[test]
    fn one_command_that_fails_does_not_end_the_others() {
        let files = walkthrough_files();
        let alone = files.clean(&["kd"], &["-c", "lm"]);
        for (command, code) in [("!nothing", 2), ("!verifier zz", 2)] {
            let both = files.output(&["kd"], &["-c", command, "-c", "lm"]);
            assert_eq!((text(&both.stdout), both.status.code()), (alone.clone(), Some(code)));
            let twice = files.output(&["kd"], &["-c", command, "-c", "lm", "-c", "!other"]);
            assert_eq!((text(&twice.stdout), twice.status.code()), (alone.clone(), Some(2)));
            assert_eq!(text(&twice.stderr).lines().count(), 2, "{:?}", text(&twice.stderr));
        }
        // 1 for data that cannot be read: without symbols, deadlock detection cannot be shown.
        let dump = files.path("memory.dmp");
        let unread = run(&["kd", &dump, "-c", "!deadlock", "-c", "lm"]);
        assert_eq!(unread.status.code(), Some(1), "{:?}", text(&unread.stderr));
        assert!(text(&unread.stdout).contains("myfault"), "{:?}", text(&unread.stdout));
        let worst = run(&["kd", &dump, "-c", "!deadlock", "-c", "!nothing", "-c", "!deadlock"]);
        assert_eq!(worst.status.code(), Some(2));
    }

    #[test]
    fn data_that_cannot_be_read_is_1() {
        let files = walkthrough_files();
        let absent = files.path("absent.dmp");
        let (complaint, code) = refused(&["info", &absent]);
        assert_eq!((code, complaint.lines().count()), (1, 1), "{complaint}");
        assert!(complaint.contains(&absent), "{complaint}");
        for (name, bytes, why) in [
            ("empty.dmp", &b""[..], "header"),
            ("text.dmp", &[b'x'; 0x3000], "PAGEDU64"),
            ("user.dmp", &[b"MDMP\x93\xa7\0\0".as_slice(), &[0; 0x3000]].concat(), "user-mode"),
        ] {
            fs::write(files.path(name), bytes).unwrap();
            for subcommand in ["info", "settings", "drivers", "pool"] {
                let (complaint, code) = refused(&[subcommand, &files.path(name)]);
                assert_eq!(code, 1, "{complaint}");
                assert!(complaint.contains(why), "{complaint}");
            }
        }
    }

    #[test]
    fn help_and_version_are_0() {
        assert!(clean(&["--help"]).contains("history"));
        assert!(clean(&["--version"]).starts_with("verifier "));
        assert!(clean(&["log", "--help"]).contains("--last"));
        assert!(clean(&["pool", "--help"]).contains("--carve"));
    }
}

mod missing_symbols {
    use super::*;

    #[test]
    fn the_file_and_the_place_are_named() {
        let files = walkthrough_files();
        let dump = files.path("memory.dmp");
        let empty = files.path("empty");
        fs::create_dir(&empty).unwrap();
        let guid = PdbId::from_name("ntkrnl Win7Sp1").guid_text();
        for (words, result) in [
            (&["settings"][..], "Pool tracking"),
            (&["drivers"], "myfault.sys"),
            (&["pool"], "myfault.sys: 10 outstanding allocations"),
            (&["pool", "--carve"], "myfault.sys: 10 carved allocations"),
            (&["log", "pool"], "Displaying most recent"),
            (&["log", "pool", "--carve"], "12 records"),
        ] {
            let output = run(&[words, &[dump.as_str(), "--symbols", empty.as_str()][..]].concat());
            // The library's own layouts are used.
            assert_eq!(output.status.code(), Some(0), "{words:?}");
            assert!(text(&output.stdout).contains(result), "{words:?}");
            let complaint = text(&output.stderr);
            let first = complaint.lines().next().unwrap();
            for part in [
                "ntkrnlmp.pdb",
                &guid,
                "age 1",
                "ntoskrnl.exe",
                &empty,
                "no such file",
                "built-in layouts of x64 build 7601",
            ] {
                assert!(first.contains(part), "{part} is not in {first}");
            }
            assert_eq!(complaint.matches("ntoskrnl.exe").count(), 1, "told twice: {complaint}");
        }
        let (complaint, code) = refused(&["log", "irql", &dump]);
        assert_eq!(code, 1);
        assert!(complaint.contains("--symbols PATH, or _NT_SYMBOL_PATH"), "{complaint}");
        assert!(complaint.contains("ViTrackIrqlQueue was not found"), "{complaint}");
        // The header and the modules are there without symbols.
        let output = run(&["info", &dump, "--symbols", &empty]);
        assert_eq!(output.status.code(), Some(0));
        let info = text(&output.stdout);
        assert!(info.contains("7601, x64") && info.contains("myfault.sys"), "{info}");
        assert!(info.contains(&guid), "{info}");
    }

    #[test]
    fn the_environment_is_used_if_no_path_is_given() {
        let files = walkthrough_files();
        let output = command()
            .args(["drivers", &files.path("memory.dmp")])
            .env("_NT_SYMBOL_PATH", files.path("symbols"))
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(0));
        assert!(text(&output.stdout).contains("myfault.sys"));
    }

    #[test]
    fn every_document_says_which_are_missing() {
        let files = walkthrough_files();
        let dump = files.path("memory.dmp");
        let block = "fffffa8005400000";
        let problems = |words: &[&str], symbols: &str| -> Vec<String> {
            let mut words = words.to_vec();
            words.extend([&*dump, "--symbols", symbols, "--format", "json"]);
            let output = run(&words);
            assert_eq!(output.status.code(), Some(0), "{words:?}");
            let document: Value = serde_json::from_slice(&output.stdout).unwrap();
            let problems = document["problems"].as_array().unwrap();
            let what = problems.iter().map(|problem| problem["what"].as_str().unwrap().to_owned());
            what.filter(|what| what.starts_with("symbols of ")).collect()
        };
        let views: [&[&str]; 9] = [
            &["settings"],
            &["drivers"],
            &["pool"],
            &["pool", "--carve"],
            &["log", "pool"],
            &["log", "pool", "--carve"],
            &["leaks"],
            &["history", "--address", block],
            &["log", "watched"],
        ];
        let (all, empty) = (files.path("symbols"), files.path("empty"));
        fs::create_dir(&empty).unwrap();
        for view in views {
            assert!(!problems(view, &all).contains(&"symbols of the kernel".into()), "{view:?}");
        }
        for view in views.iter().filter(|view| view[1..] != ["watched"]) {
            let said = problems(view, &empty);
            assert_eq!(said[0], "symbols of the kernel", "{view:?}");
            assert_eq!(
                said.contains(&"symbols of myfault.sys".into()),
                !matches!(view[0], "settings" | "drivers"),
                "{view:?}: {said:?}"
            );
        }
    }

    #[test]
    fn a_driver_without_symbols_is_an_offset() {
        let files = walkthrough_files();
        fs::remove_dir_all(files.path("symbols/myfault.pdb")).unwrap();
        let output = files.output(&["pool"], &[]);
        assert_eq!(output.status.code(), Some(0));
        assert_eq!(text(&output.stdout).matches("  myfault+0x1634\n").count(), 10);
        let complaint = text(&output.stderr);
        assert_eq!(complaint.lines().count(), 1, "{complaint}");
        assert!(complaint.contains("myfault.pdb"), "{complaint}");
    }
}

mod documents {
    use super::*;

    /// Keys of an object, in its order.
    #[track_caller]
    fn keys(value: &Value) -> Vec<&str> {
        let mut keys: Vec<&str> = value.as_object().unwrap().keys().map(String::as_str).collect();
        keys.sort_unstable();
        keys
    }

    #[track_caller]
    fn assert_address(value: &Value) {
        let text = value.as_str().unwrap_or_else(|| panic!("{value} is not an address"));
        let digits = text.strip_prefix("0x").unwrap_or_else(|| panic!("{text}"));
        assert_eq!(format!("{:x}", u64::from_str_radix(digits, 16).unwrap()), digits);
    }

    #[track_caller]
    fn assert_counters(value: &Value) {
        for (name, value) in value.as_object().unwrap() {
            assert!(value.is_u64(), "{name} is {value}");
            assert!(
                name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_' || b.is_ascii_digit()),
                "{name}"
            );
        }
    }

    /// The keys of a document, with those that every document has.
    fn with_verdict<'a>(own: &[&'a str]) -> Vec<&'a str> {
        let mut keys = [own, &["complete", "extent", "incomplete_because", "problems"]].concat();
        keys.sort_unstable();
        keys
    }

    #[test]
    fn settings() {
        let json = walkthrough_files().json(&["settings"], &[]);
        assert_eq!(
            keys(&json),
            with_verdict(&["address", "flags", "level", "modes", "statistics"])
        );
        assert_eq!(json["level"], 8);
        assert_eq!(json["flags"], serde_json::json!([{"bit": 8, "name": "Pool tracking"}]));
        assert_address(&json["address"]);
        assert_counters(&json["statistics"]);
        for (name, value) in [
            ("raise_irqls", 0),
            ("allocations_attempted", 11),
            ("allocations_succeeded", 11),
            ("allocations_succeeded_special_pool", 10),
            ("allocations_with_no_tag", 1),
            ("current_non_paged_pool_allocations", 10),
            ("peak_paged_pool_allocations", 1),
            ("non_paged_bytes", 0x9c_e000),
            ("peak_paged_bytes", 0x80),
            ("un_tracked_pool", 0),
            ("loads", 1),
        ] {
            assert_eq!(json["statistics"][name], value, "{name}");
        }
        assert_eq!(
            keys(&json["modes"]),
            [
                "excluded_drivers",
                "fault_injection",
                "option_flags",
                "options",
                "rule_classes",
                "verify_all_drivers",
                "verify_mode",
                "xdv_excluded_drivers"
            ]
        );
        // Windows 7 does not have rule classes.
        assert_eq!(json["modes"]["rule_classes"], Value::Null);
        assert_eq!(json["modes"]["fault_injection"]["pool_tags"], "");
        assert_eq!(json["statistics"]["level"], Value::Null, "it is outside of them");
        assert_eq!(json["problems"], serde_json::json!([]));
        assert_eq!((&json["complete"], &json["extent"]), (&true.into(), &"complete".into()));
    }

    #[test]
    fn drivers() {
        let json = walkthrough_files().json(&["drivers"], &[]);
        assert_eq!(keys(&json), with_verdict(&["drivers"]));
        assert_eq!(json["drivers"].as_array().unwrap().len(), 1);
        let driver = &json["drivers"][0];
        for key in ["base", "suspect_entry", "target_driver", "verified_data"] {
            assert_address(&driver[key]);
        }
        for (key, value) in [
            ("name", Value::from("myfault.sys")),
            ("state", "loaded".into()),
            ("loads", 1.into()),
            ("unloads", 0.into()),
            ("base", "0xfffff8800447c000".into()),
            ("size", 0x8000.into()),
            ("suspect_entry", "0xfffffa80031b5830".into()),
        ] {
            assert_eq!(driver[key], value, "{key}");
        }
        assert_counters(&driver["counters"]);
        assert_eq!(driver["counters"]["peak_paged_bytes"], 0x80);
    }

    #[test]
    fn states() {
        let mut m = Machine::new(Build::Win10Vb);
        m.level(8);
        for (name, loads, unloads) in [("never.sys", 0, 0), ("gone.sys", 2, 2)] {
            m.suspect(Suspect { name: name.into(), loads, unloads, address: None });
        }
        let files = Files::write(&m.build(DumpKind::BitmapKernel));
        let json = files.json(&["drivers"], &[]);
        let states: Vec<&str> = json["drivers"]
            .as_array()
            .unwrap()
            .iter()
            .map(|driver| driver["state"].as_str().unwrap())
            .collect();
        assert_eq!(states, ["never loaded", "unloaded"]);
        assert_eq!(json["drivers"][0]["base"], Value::Null);
        assert_eq!(json["drivers"][0]["counters"], Value::Null);
        // An empty pool log, or none: the output says so, and it is not an error.
        assert!(files.clean(&["log", "pool"], &[]).contains("nothing was written to it"));
        let files = Files::write(&m.level(0).build(DumpKind::BitmapKernel));
        let log = files.json(&["log", "pool"], &[]);
        assert_eq!((&log["capacity"], &log["entries"]), (&Value::from(0), &serde_json::json!([])));
        assert!(files.clean(&["log", "pool"], &[]).contains("The log is empty"));
    }

    #[test]
    fn pool() {
        let files = walkthrough_files();
        let json = files.json(&["pool"], &[]);
        assert_eq!(keys(&json), with_verdict(&["drivers", "pool_info", "unowned"]));
        assert_eq!(keys(&json["drivers"][0]), ["allocations", "contiguous", "name"]);
        assert_eq!(json["drivers"][0]["name"], "myfault.sys");
        let allocations = json["drivers"][0]["allocations"].as_array().unwrap();
        assert_eq!(allocations.len(), 10);
        assert_eq!(
            allocations[0],
            serde_json::json!({
                "address": format!("0x{BLOCK}"),
                "size": 0xf_b000,
                "tag": "Leak",
                "caller": "0xfffff8800447d634",
                "caller_symbol": "myfault!MyfaultDeviceControl+0x358",
                "file": null,
                "line": null,
                "source": "tracker",
                "attributed_by": null,
                "impossible": null,
            })
        );
        assert_eq!(files.json(&["pool"], &["--driver", "Myfault"]), json);
    }

    #[test]
    fn log_pool() {
        let files = walkthrough_files();
        let json = files.json(&["log", "pool"], &[]);
        assert_eq!(json["kind"], "pool");
        assert_eq!(
            (json["capacity"].as_u64(), json["written"].as_u64()),
            (Some(0x1_0000), Some(12))
        );
        assert_eq!(json["problems"], serde_json::json!([]));
        let entries = json["entries"].as_array().unwrap();
        assert_eq!(entries.len(), 12);
        for entry in entries {
            let of_record = [
                "address",
                "file",
                "frames",
                "impossible",
                "line",
                "operation",
                "size",
                "slot",
                "thread",
            ];
            assert_eq!(keys(entry), of_record);
            assert_address(&entry["address"]);
            assert_address(&entry["thread"]);
            assert!(entry["size"].is_u64() && entry["slot"].is_u64());
            for frame in entry["frames"].as_array().unwrap() {
                assert_eq!(keys(frame), ["address", "symbol"]);
                assert_address(&frame["address"]);
                assert!(frame["symbol"].is_string() || frame["symbol"].is_null());
            }
        }
        let operations: Vec<&str> =
            entries.iter().map(|entry| entry["operation"].as_str().unwrap()).collect();
        assert_eq!(operations[..10], ["allocate"; 10]);
        assert_eq!(operations[10..], ["free", "allocate"]);
        assert_eq!(entries[0]["frames"].as_array().unwrap().len(), 8, "no stale frame");
    }

    #[test]
    fn last_and_address() {
        let files = walkthrough_files();
        let all = files.json(&["log", "pool"], &[])["entries"].as_array().unwrap().clone();
        let entries = |options: &[&str]| files.json(&["log", "pool"], options)["entries"].clone();
        assert_eq!(entries(&["--last", "3"]), Value::from(&all[..3]));
        assert_eq!(entries(&["--last", "0"]), serde_json::json!([]));
        assert_eq!(entries(&["--last", "1000"]), Value::from(&all[..]));
        // The last byte of the block, the byte after it, and an address of another block.
        assert_eq!(entries(&["--address", "fffffa80`054f9fff"]), Value::from(&all[..1]));
        assert_eq!(entries(&["--address", "0xfffffa80054fa000"]), serde_json::json!([]));
        assert_eq!(entries(&["--address", "0xFFFFFA80052FB000"]), Value::from(&all[1..2]));
        // Both options: the newest of the records that contain the address.
        let paged = "fffff8a001234f80";
        assert_eq!(entries(&["--address", paged]), Value::from(&all[10..]));
        assert_eq!(entries(&["--address", paged, "--last", "1"]), Value::from(&all[10..11]));
        let text = files.clean(&["log", "pool"], &["--address", paged]);
        assert_eq!(text.matches("Pool block fffff8a001234f80").count(), 2);
    }

    #[test]
    fn history() {
        let files = walkthrough_files();
        let options = ["--address", "fffffa80`05400010"];
        let json = files.json(&["history"], &options);
        assert_eq!(json["address"], "0xfffffa8005400010");
        let held = &json["outstanding"][0];
        assert_eq!((&held["driver"], &held["size"]), (&"myfault.sys".into(), &0xf_b000.into()));
        assert_eq!(held["address"], format!("0x{BLOCK}"));
        assert_eq!(json["events"].as_array().unwrap().len(), 1);
        assert_eq!(json["events"][0]["operation"], "allocate");
        let text = files.clean(&["history"], &options);
        assert!(
            text.starts_with("0xfffffa8005400010 is in an outstanding allocation of myfault.sys")
        );
        assert!(text.contains("\nfffff8800447d634 myfault!MyfaultDeviceControl+0x358\n"), "{text}");
        // A freed block: no driver holds it, and its two records are there.
        let json = files.json(&["history"], &["--address", "fffff8a001234f80"]);
        assert_eq!(json["outstanding"], serde_json::json!([]));
        let operations =
            [0, 1].map(|i| json["events"][i]["operation"].as_str().unwrap().to_owned());
        assert_eq!(operations, ["free", "allocate"]);
        // An unknown address is not an error.
        let text = files.clean(&["history"], &["--address", "fffff8a000000000"]);
        assert!(text.contains("is not in an outstanding allocation."), "{text}");
    }

    #[test]
    fn info() {
        let json = walkthrough_files().json(&["info"], &[]);
        assert_eq!((&json["build"], &json["kind"]), (&7601.into(), &2.into()));
        assert_eq!(json["machine"], "x64");
        assert_eq!(json["bug_check"]["code"], 0xe2);
        assert_address(&json["directory_table_base"]);
        let modules = json["kernel"]["modules"].as_array().unwrap();
        assert!(modules.iter().any(|module| module["name"] == "myfault.sys"));
        assert!(modules.iter().all(|module| module["missing"].is_null()));
        assert_eq!(json["kernel"]["unloaded_modules"][0]["name"], "crashdmp.sys");
        assert_eq!(json["verifier"]["pool_log_capacity"], 0x1_0000);
    }

    #[test]
    fn csv() {
        let files = walkthrough_files();
        let csv = |words: &[&str], options: &[&str]| {
            files.clean(words, &[options, &["--format", "csv"]].concat())
        };
        let counters = "current_paged_pool_allocations,current_non_paged_pool_allocations,\
                        peak_paged_pool_allocations,peak_non_paged_pool_allocations,paged_bytes,\
                        non_paged_bytes,peak_paged_bytes,peak_non_paged_bytes,locked_bytes,\
                        peak_locked_bytes,mapped_locked_bytes,peak_mapped_locked_bytes,\
                        mapped_io_space_bytes,peak_mapped_io_space_bytes,pages_for_mdl_bytes,\
                        peak_pages_for_mdl_bytes,contiguous_memory_bytes,\
                        peak_contiguous_memory_bytes";
        for (words, options, header, rows) in [
            (&["settings"][..], &[][..], "name,value".to_owned(), None),
            (&["drivers"], &[], format!("name,state,loads,unloads,base,size,{counters}"), Some(1)),
            (
                &["pool"],
                &[],
                "driver,address,size,tag,caller,caller_symbol,file,line,source,impossible".into(),
                Some(10),
            ),
            (
                &["log", "pool"],
                &[],
                "slot,address,size,thread,operation,stack,file,line,impossible".into(),
                Some(12),
            ),
            (
                &["history"],
                &["--address", BLOCK],
                "slot,address,size,thread,operation,stack,file,line,impossible".into(),
                Some(1),
            ),
        ] {
            let out = csv(words, options);
            let mut lines = out.lines();
            assert_eq!(lines.next(), Some(&*format!("{header},extent")), "{words:?}");
            if let Some(rows) = rows {
                assert_eq!(lines.count(), rows, "{words:?}");
            }
        }
        assert_eq!(
            csv(&["pool"], &[]).lines().nth(1),
            Some(
                "myfault.sys,0xfffffa8005400000,1028096,Leak,0xfffff8800447d634,\
                 myfault!MyfaultDeviceControl+0x358,,,tracker,,complete"
            )
        );
        assert!(csv(&["settings"], &[]).contains("\nlevel,8,complete\n"));
        let stack =
            "allocate,nt!VeAllocatePoolWithTagPriority+0x2b6 < nt!VerifierExAllocatePoolEx+0x1d < ";
        assert!(csv(&["log", "pool"], &[]).lines().nth(1).unwrap().contains(stack));
    }
}

mod output {
    use super::*;

    /// A log that does not fit into a pipe's buffer.
    fn long_log() -> Files {
        let mut m = Machine::new(Build::Win10Vb);
        m.level(8);
        let caller = m.kernel_address("VfFreePoolNotification") + 0x31;
        for i in 0..4000 {
            m.pool_record(PoolRecord {
                address: 0xffff_9a8f_5000_0000 + 0x100 * i,
                size: 0x80,
                thread: 0xffff_9a8f_4000_0080,
                frames: vec![caller; 13],
                stale: Vec::new(),
            });
        }
        Files::write(&m.build(DumpKind::BitmapKernel))
    }

    #[test]
    fn a_reader_that_closes_the_pipe_is_not_an_error() {
        let files = long_log();
        for format in ["text", "json", "csv"] {
            let mut child = command()
                .args(files.args(&["log", "pool"], &["--format", format]))
                .stdout(Stdio::piped())
                .stderr(Stdio::piped())
                .spawn()
                .unwrap();
            let mut pipe = child.stdout.take().unwrap();
            let mut first = [0; 64];
            pipe.read_exact(&mut first).unwrap();
            drop(pipe);
            let output = child.wait_with_output().unwrap();
            assert_eq!(text(&output.stderr), "", "{format}");
            assert_eq!(output.status.code(), Some(0), "{format}");
        }
        // An earlier command's failure still counts.
        let mut child = command()
            .args(files.args(&["kd"], &["-c", "!nothing", "-c", "!verifier 80"]))
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdout.take().unwrap().read_exact(&mut [0; 64]).unwrap();
        let output = child.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{}", text(&output.stderr));
        let whole = files.clean(&["log", "pool"], &[]);
        assert!(whole.len() > 1 << 20, "{} bytes fit a pipe", whole.len());
    }

    /// If a reader closes the table early, the exit code is the same, and there is no warning about the pipe.
    #[test]
    fn a_reader_that_closes_the_pipe_does_not_hide_the_limit() {
        let mut m = Machine::new(Build::Win10Vb);
        let driver = m.driver(Driver::new("leaky.sys"));
        m.level(8);
        let quiet = Files::write(&m.build(DumpKind::BitmapKernel));
        let caller = m.kernel_address("IofCallDriver") + 0x10;
        let verified = m.verified(driver);
        for i in 0..8000 {
            let address = 0xffff_9a8f_5000_0000 + 0x4000 * i;
            verified.allocation(Allocation::nonpaged(address, 0x10 + 2 * i, b"Leak", caller));
        }
        let files = Files::write(&m.build(DumpKind::BitmapKernel));
        let (old, by) = (quiet.path("memory.dmp"), ["--by", "size", "--format", "csv"]);
        for (words, limit, code) in [
            (&["leaks"][..], None, 0),
            (&["leaks"], Some("1"), 3),
            (&["diff", &old], None, 0),
            (&["diff", &old], Some("1"), 3),
        ] {
            let limit: Vec<&str> = limit.into_iter().flat_map(|n| ["--fail-on", n]).collect();
            let mut child = command()
                .args(files.args(words, &[&by[..], &limit].concat()))
                .stdout(Stdio::piped())
                .stderr(Stdio::piped())
                .spawn()
                .unwrap();
            let mut pipe = child.stdout.take().unwrap();
            pipe.read_exact(&mut [0; 64]).unwrap();
            drop(pipe);
            let output = child.wait_with_output().unwrap();
            let complaints = text(&output.stderr);
            assert_eq!(output.status.code(), Some(code), "{words:?} {limit:?}: {complaints}");
            assert!(!complaints.contains("output"), "{complaints}");
        }
        let whole = files.clean(&["leaks"], &by);
        assert!(whole.len() > 1 << 18, "{} bytes fit a pipe", whole.len());
    }

    #[test]
    fn control_characters_stay_off_the_terminal() {
        const NAME: &str = "ev\u{1b}]0;pwned\u{7}\u{1b}[2J\u{9b}3m\u{7f}\ril.sys";
        let mut m = Machine::new(Build::Win10Vb);
        m.level(8);
        let driver = m.driver(Driver::new(NAME).pdb("ev\u{1b}[31mil.pdb"));
        let caller = m.image(driver).base + 0x1200;
        let block = Allocation::nonpaged(0xffff_9a8f_5000_0000, 0x100, b"\x1b[2J", caller);
        // Counters that do not fit are a problem, which names the driver.
        m.verified(driver)
            .allocation(block)
            .counter("CurrentNonPagedPoolAllocations", 7)
            .counter("PeakNonPagedPoolAllocations", 7);
        m.pool_record(PoolRecord {
            address: block.address,
            size: 0xf0,
            thread: 0xffff_9a8f_4000_0080,
            frames: vec![caller],
            stale: Vec::new(),
        });
        let mut sample = m.build(DumpKind::BitmapKernel);
        // No symbols for the driver, so there is a warning about its PDB.
        sample.files.retain(|(name, _)| name.starts_with("ntkrnl"));
        let files = Files::write(&sample);
        let visible = |text: &str, what: &str| {
            let control = text.chars().find(|&c| c.is_control() && c != '\n');
            assert_eq!(control, None, "{what}: {text:?}");
        };
        let address = ["--address", "ffff9a8f50000000"];
        for (words, options) in [
            (&["info"][..], &[][..]),
            (&["settings"], &[]),
            (&["drivers"], &[]),
            (&["pool"], &[]),
            (&["log", "pool"], &[]),
            (&["history"], &address[..]),
            (&["kd"], &["-c", "!verifier 3"]),
            (&["kd"], &["--style", "win7", "-c", "!verifier 3"]),
            (&["kd"], &["-c", "!verifier 80", "-c", "lm"]),
        ] {
            let output = files.output(words, options);
            assert_eq!(output.status.code(), Some(0), "{words:?} {options:?}");
            visible(&text(&output.stdout), &format!("{words:?} {options:?}"));
            visible(&text(&output.stderr), &format!("complaints of {words:?} {options:?}"));
        }
        let output = files.output(&["pool"], &[]);
        assert!(text(&output.stdout).contains("il.sys"), "the rest of the name is there");
        let complaints = text(&output.stderr);
        assert!(
            complaints.contains("counters say 7") && complaints.contains(".pdb"),
            "{complaints}"
        );
        // A program gets the name unchanged.
        let json = files.json(&["pool"], &[]);
        assert_eq!(json["drivers"][0]["name"], NAME);
        // The problems: the name in the module list and in the list of configured drivers; the counters; the
        // driver's missing symbols.
        let problems = json["problems"].as_array().unwrap();
        let with = |text: &str| {
            problems.iter().filter(|one| one["why"].as_str().unwrap().contains(text)).count()
        };
        assert_eq!((with("is not a file name"), with("counters say 7"), with(".pdb")), (2, 1, 1));
    }

    #[test]
    fn a_name_is_not_a_formula_in_csv() {
        let mut m = Machine::new(Build::Win10Vb);
        let driver = m.driver(Driver::new("=cmd,\"a\".sys"));
        m.verified(driver).allocation(Allocation::nonpaged(
            0xffff_9a8f_5000_0000,
            0x100,
            b"+a-b",
            0,
        ));
        let files = Files::write(&m.build(DumpKind::BitmapKernel));
        // A file cannot have such a name, so the answer is not complete.
        let csv = files.clean(&["pool"], &["--format", "csv"]);
        assert_eq!(
            csv.lines().nth(1),
            Some(
                "\"'=cmd,\"\"a\"\".sys\",0xffff9a8f50000000,256,'+a-b,0x0,,,,tracker,caller in no image,at least"
            ),
            "{csv}"
        );
    }

    #[test]
    fn a_dump_and_its_copy_say_the_same() {
        let files = walkthrough_files();
        let copy = tempfile::tempdir().unwrap();
        let copied: &Path = copy.path();
        fs::copy(files.path("memory.dmp"), copied.join("copy.dmp")).unwrap();
        let (dump, symbols) = (copied.join("copy.dmp"), files.path("symbols"));
        let args = ["log", "pool", dump.to_str().unwrap(), "--symbols", &symbols];
        assert_eq!(clean(&args), files.clean(&["log", "pool"], &[]));
    }
}
