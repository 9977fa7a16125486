//! A driver whose PDB has lines, found in a folder of symbols.

use crate::common::saved;
use verifier_core::Va;
use verifier_host::Session;
use verifier_host::symbols::SymbolPath;
use verifier_synth::{Build, Linked, leaky, leaky_machine};

#[test]
fn every_call_of_a_driver_has_a_line_in_a_session() {
    for build in [Build::Win10Vb, Build::Win11Arm64, Build::Win7Sp1X86] {
        let folder = saved(&leaky(build));
        let symbols = SymbolPath::parse(folder.path().join("symbols").to_str().unwrap()).unwrap();
        let session = Session::open(&folder.path().join("memory.dmp"), symbols).unwrap();
        let (machine, driver) = leaky_machine(build);
        let kernel = session.kernel().unwrap();
        for call in Linked::leaky(build.machine()).calls() {
            let address = Va(machine.image(driver).base).add(call.returns_to.into());
            session.load_symbols_at([address]);
            let site = kernel.source_of_call(address).unwrap();
            let inlined: Vec<&str> = site.inlined.iter().map(|frame| &*frame.function).collect();
            let functions: Vec<&str> =
                call.lines.iter().map(|line| line.function.as_str()).collect();
            assert_eq!(inlined, functions[..functions.len() - 1], "{build:?} {address}");
        }
    }
}

#[cfg(feature = "cli")]
#[test]
fn the_driver_with_lines_holds_the_blocks_of_its_sources() {
    let files = crate::common::Files::with_lines(Build::Win10Vb);
    assert!(files.clean(&["leaks"], &[]).contains("47 blocks"));
}

/// What the views show of a call in a function that was inlined twice: `CacheInsert` calls `NodeCreate`, which
/// calls `PoolAllocate`, in which the call is.
#[cfg(feature = "cli")]
mod views {
    use serde_json::json;
    use verifier_synth::Build;

    use crate::common::Files;

    const BUILDS: [Build; 3] = [Build::Win10Vb, Build::Win11Arm64, Build::Win7Sp1X86];

    #[test]
    fn leaks_lead_with_the_line_and_show_inlined_functions() {
        for build in BUILDS {
            let text = Files::with_lines(build).clean(&["leaks"], &[]);
            let lines: Vec<&str> = text.lines().collect();
            assert_eq!(
                lines[0], "47 blocks are outstanding, 19,856 bytes (19.4 KiB).",
                "{build:?}"
            );
            assert_eq!(lines[1], "leaky.sys holds 47 blocks, 19,856 bytes.");
            assert_eq!(
                lines[2],
                "Most is from leaky!CacheInsert, 42 blocks, 78.8 % of bytes; its worst line is \
                 pool.h:22 ← cache.c:17 ← cache.c:34, 30 blocks, 77.4 % of bytes."
            );
            assert!(lines[4].starts_with("#1  30 blocks, 15,360 bytes (77.4 %),"), "{text}");
            assert_eq!(lines[5], "    (inlined) leaky!PoolAllocate (C:\\build\\leaky\\pool.h:22)");
            assert_eq!(lines[6], "    (inlined) leaky!NodeCreate (C:\\build\\leaky\\cache.c:17)");
            assert!(lines[7].starts_with("    leaky!CacheInsert+0x"), "{text}");
            assert!(lines[7].ends_with(" (C:\\build\\leaky\\cache.c:34)"), "{text}");
        }
    }

    #[test]
    fn groups_by_line_have_file_line_and_the_lines_around_them() {
        for build in BUILDS {
            let files = Files::with_lines(build);
            let by_line = files.json(&["leaks"], &["--by", "line"]);
            let first = &by_line["groups"][0];
            assert_eq!(first["count"], 30, "{build:?}");
            assert_eq!(
                first["label"],
                "C:\\build\\leaky\\pool.h:22 ← C:\\build\\leaky\\cache.c:17 ← C:\\build\\leaky\\cache.c:34"
            );
            assert_eq!(
                (&first["file"], &first["line"]),
                (&json!("C:\\build\\leaky\\pool.h"), &json!(22))
            );
            let stack = files.json(&["leaks"], &[])["groups"][0]["stack"].clone();
            let frames = stack.as_array().unwrap().iter();
            let frame = frames.into_iter().find(|frame| frame.get("inlined").is_some()).unwrap();
            assert_eq!(
                (&frame["file"], &frame["line"]),
                (&json!("C:\\build\\leaky\\cache.c"), &json!(34))
            );
            let functions = frame["inlined"].as_array().unwrap().iter();
            let functions: Vec<_> =
                functions.map(|one| (one["function"].clone(), one["line"].clone())).collect();
            assert_eq!(
                functions,
                [(json!("PoolAllocate"), json!(22)), (json!("NodeCreate"), json!(17))]
            );
            // The kernel has no lines.
            assert_eq!(stack[0].as_object().unwrap().len(), 2);
        }
    }

    #[test]
    fn the_debugger_shows_lines_if_asked() {
        let files = Files::with_lines(Build::Win10Vb);
        let plain = files.clean(&["kd"], &["-c", "!verifier 80 1"]);
        assert!(plain.contains("\nfffff80318601025 leaky!DriverEntry+0x25\n"), "{plain}");
        let lines = "\n(Inline Function) leaky!PoolAllocate+0x15 [C:\\build\\leaky\\pool.h @ 22]\n\
             fffff80318601025 leaky!DriverEntry+0x25 [C:\\build\\leaky\\entry.c @ 11]\n";
        assert!(files.clean(&["kd"], &["--lines", "-c", "!verifier 80 1"]).contains(lines));
        let switched = files.clean(
            &["kd"],
            &["-c", ".lines -e", "-c", "!verifier 80 1", "-c", ".lines", "-c", "!verifier 80 1"],
        );
        assert_eq!(switched.matches("(Inline Function)").count(), 1);
        assert!(switched.starts_with("Line number information will be loaded\n"), "{switched}");
        assert!(switched.contains("Line number information will not be loaded\n"), "{switched}");
    }

    #[test]
    fn source_code_is_shown_if_the_file_is_on_this_machine() {
        let files = Files::with_lines(Build::Win10Vb);
        let folder = files.folder.path().join("sources");
        std::fs::create_dir(&folder).unwrap();
        let source: String = (1..=40).map(|line| format!("\tline {line};\n")).collect();
        std::fs::write(folder.join("pool.h"), source).unwrap();
        let root = format!("c:/BUILD\\leaky={}", folder.display());
        let text = files.clean(&["leaks"], &["-v", "--top", "1", "--source-root", &root]);
        let place = format!("({}/pool.h:22)", folder.display());
        assert!(text.contains(&place), "{text}");
        let around = "    >    22 |     line 22;\n         23 |     line 23;\n";
        assert!(text.contains(around), "{text}");
        assert!(!files.clean(&["leaks"], &["--source-root", &root]).contains("line 22;"));
        assert!(!files.clean(&["leaks"], &["-v"]).contains("line 22;"));
    }

    #[test]
    fn tables_and_folded_stacks_have_lines() {
        let files = Files::with_lines(Build::Win10Vb);
        let csv = files.clean(&["log", "pool"], &["--last", "1", "--format", "csv"]);
        assert!(csv.contains(",C:\\build\\leaky\\pool.h,22,,complete\n"), "{csv}");
        let folded = files.clean(&["leaks"], &["--format", "folded"]);
        let path = ";leaky!CacheInsert+0x50 (cache.c:34);leaky!NodeCreate (cache.c:17) (inlined);\
             leaky!PoolAllocate (pool.h:22) (inlined);nt!";
        assert!(folded.contains(path), "{folded}");
        let history = files.clean(&["history"], &["--address", "ffff9a8f4d05c010"]);
        assert!(
            history.contains("leaky!DriverEntry+0x25 (C:\\build\\leaky\\pool.h:22)"),
            "{history}"
        );
    }
}
