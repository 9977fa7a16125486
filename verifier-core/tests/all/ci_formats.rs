//! Leaks in the forms of build servers: SARIF, JUnit, annotations of GitHub. The tests of the Python package
//! compare SARIF with its schema.

use std::collections::HashMap;

use quick_xml::events::Event;
use quick_xml::{Reader, XmlVersion};
use serde_json::{Value, json};
use verifier_core::Problem;
use verifier_core::analysis::{Baseline, GroupBy, Grouping, Leaks};
use verifier_core::kernel::Kernel;
use verifier_core::render::{
    LeaksView, Severity, write_baseline, write_leaks_github, write_leaks_junit, write_leaks_sarif,
};
use verifier_core::symbols::SourceRoots;
use verifier_synth::{Allocation, Build, Driver, DumpKind, Machine, leaky};

use crate::common::session;
use crate::common::wrapper::{Wrapper, leaks, rendered};

/// A driver whose PDB has lines, relative to the root of its sources.
fn with_lines() -> Kernel {
    let kernel = session(leaky(Build::Win10Vb));
    kernel.supply_source_roots(SourceRoots::new([("C:\\build".into(), "drivers".into())]));
    kernel
}

fn by_function<'a>(kernel: &'a Kernel, leaks: &'a Leaks) -> LeaksView<'a> {
    LeaksView::new(kernel, leaks, GroupBy::Function)
}

fn github(view: &LeaksView<'_>) -> Vec<String> {
    rendered(|out| write_leaks_github(out, view)).lines().map(str::to_owned).collect()
}

fn sarif(view: &LeaksView<'_>) -> Value {
    let run = &serde_json::from_str::<Value>(&rendered(|out| write_leaks_sarif(out, view)))
        .unwrap()["runs"][0];
    run.clone()
}

/// An element of a report, with its text.
#[derive(Debug, Default)]
struct Element {
    name: String,
    attributes: HashMap<String, String>,
    text: String,
}

/// The elements of a report, by a parser of XML.
fn junit(view: &LeaksView<'_>) -> Vec<Element> {
    let text = rendered(|out| write_leaks_junit(out, view));
    let mut reader = Reader::from_str(&text);
    let (mut all, mut open): (Vec<Element>, Vec<usize>) = (Vec::new(), Vec::new());
    loop {
        let event = reader.read_event().unwrap();
        match &event {
            Event::Start(start) | Event::Empty(start) => {
                let attribute = |one: quick_xml::events::attributes::Attribute<'_>| {
                    let key = String::from_utf8(one.key.0.to_vec()).unwrap();
                    (key, one.normalized_value(XmlVersion::Explicit1_0).unwrap().into_owned())
                };
                all.push(Element {
                    name: String::from_utf8(start.name().0.to_vec()).unwrap(),
                    attributes: start.attributes().map(|one| attribute(one.unwrap())).collect(),
                    text: String::new(),
                });
                if matches!(event, Event::Start(_)) {
                    open.push(all.len() - 1);
                }
            }
            Event::End(_) => {
                open.pop().unwrap();
            }
            Event::Text(part) => {
                if let Some(&last) = open.last() {
                    all[last].text.push_str(&part.decode().unwrap());
                }
            }
            Event::GeneralRef(name) => {
                let name = String::from_utf8(name.to_vec()).unwrap();
                let text = quick_xml::escape::unescape(&format!("&{name};")).unwrap().into_owned();
                all[*open.last().unwrap()].text.push_str(&text);
            }
            Event::Eof => break,
            _ => {}
        }
    }
    assert!(open.is_empty());
    let suites: Vec<&Element> = all.iter().filter(|one| one.name == "testsuite").collect();
    for (count, element) in [
        ("tests", "testcase"),
        ("failures", "failure"),
        ("errors", "error"),
        ("skipped", "skipped"),
    ] {
        let number = all.iter().filter(|one| one.name == element).count();
        let of_suites =
            suites.iter().map(|suite| suite.attributes[count].parse::<usize>().unwrap());
        assert_eq!(of_suites.sum::<usize>(), number, "{count}");
        assert_eq!(all[0].attributes[count], number.to_string(), "{count}");
    }
    all
}

fn named<'e>(elements: &'e [Element], name: &str) -> Vec<&'e Element> {
    elements.iter().filter(|one| one.name == name).collect()
}

#[test]
fn an_annotation_is_at_the_innermost_line_of_the_code_of_a_group() {
    let kernel = with_lines();
    let leaks = leaks(&kernel);
    let lines = github(&LeaksView::new(&kernel, &leaks, GroupBy::Stack));
    assert_eq!(lines.len(), 5);
    assert_eq!(
        lines[1],
        "::error file=drivers/leaky/pool.h,line=22,title=Outstanding pool%3A 1 block%2C 4%2C096 bytes::\
         leaky!SessionOpen: 1 block, 4,096 bytes, tag Leak, leaky.sys%0A\
         nt!VeAllocatePoolWithTagPriority+0x2b6%0Ant!VerifierExAllocatePoolEx+0x1d%0A\
         (inlined) leaky!PoolAllocate (drivers/leaky/pool.h:22)%0A\
         (inlined) leaky!wire::Session::Open (drivers/leaky/session.cpp:19)%0A\
         leaky!SessionOpen+0x1e (drivers/leaky/session.cpp:41)%0A\
         leaky!DriverEntry+0x76 (drivers/leaky/entry.c:23)%0Ant!KiStartSystemThread+0x16"
    );
}

#[test]
fn an_annotation_without_a_line_has_no_file() {
    let mut w = Wrapper::new();
    w.hold(0..2);
    w.allocate(0, "ReadRequest");
    let kernel = w.kernel();
    let leaks = leaks(&kernel);
    let view = by_function(&kernel, &leaks);
    assert_eq!(
        github(&view),
        ["::error title=Outstanding pool%3A 2 blocks%2C 544 bytes::\
          wrap!WrapAlloc: 2 blocks, 544 bytes, tag Wrap, wrap.sys%0A\
          1 block, 272 bytes:%0Ant!VerifierExAllocatePoolWithTag+0x10%0Awrap!WrapAlloc+0x20%0A\
          wrap!ReadRequest+0x20%0Ant!IofCallDriver+0x10%0Ant!NtDeviceIoControlFile+0x10%0A\
          1 block with other stacks, or without one"]
    );
}

#[test]
fn annotations_that_are_not_shown_are_counted_by_one() {
    let kernel = with_lines();
    let leaks = leaks(&kernel);
    let mut view = by_function(&kernel, &leaks);
    view.top = Some(1);
    view.severity = Severity::Warning;
    let lines = github(&view);
    assert!(lines[0].starts_with("::warning file="), "{lines:?}");
    assert_eq!(lines[1..], ["::notice title=3 more groups are not shown::5 blocks, 4,208 bytes"]);
}

#[test]
fn junit_has_a_suite_for_each_driver_and_a_test_for_each_group() {
    let kernel = with_lines();
    let leaks = leaks(&kernel);
    let report = junit(&LeaksView::new(&kernel, &leaks, GroupBy::Stack));
    let suites = named(&report, "testsuite");
    assert_eq!(suites.len(), 1);
    assert_eq!(suites[0].attributes["name"], "leaky.sys");
    let tests = named(&report, "testcase");
    let names: Vec<&str> = tests.iter().map(|test| &*test.attributes["name"]).collect();
    // Two calls in one function: the tests of one name are numbered.
    assert!(names.contains(&"leaky!CacheInsert"), "{names:?}");
    assert!(names.contains(&"leaky!CacheInsert (2)"), "{names:?}");
    for (test, failure) in tests.iter().zip(named(&report, "failure")) {
        assert_eq!(test.attributes["classname"], "leaky.sys");
        assert!(test.attributes["file"].starts_with("drivers/leaky/"));
        assert_eq!(test.attributes["line"], "22");
        assert_eq!(failure.attributes["type"], "outstanding-pool");
        assert!(failure.text.starts_with("nt!VeAllocatePoolWithTagPriority+0x2b6\nnt!Verifier"));
    }
}

#[test]
fn below_a_limit_tests_pass_with_their_stacks_as_output() {
    let kernel = with_lines();
    let leaks = leaks(&kernel);
    let mut view = LeaksView::new(&kernel, &leaks, GroupBy::Stack);
    view.severity = Severity::Warning;
    let report = junit(&view);
    assert!(named(&report, "failure").is_empty());
    let outputs = named(&report, "system-out");
    assert!(
        outputs[0].text.contains("30 blocks, 15,360 bytes, tag Leak, leaky.sys\nnt!VeAllocate")
    );
    assert_eq!(sarif(&view)["results"][0]["level"], "warning");
}

/// A machine whose driver holds nothing.
fn nothing() -> Machine {
    let mut m = Machine::new(Build::Win10Vb);
    let clean = m.driver(Driver::new("clean.sys"));
    m.level(8);
    m.verified(clean);
    m
}

#[test]
fn no_leak_is_a_test_that_passes_and_a_run_without_results() {
    let kernel = session(nothing().build(DumpKind::BitmapKernel));
    let leaks = leaks(&kernel);
    let view = by_function(&kernel, &leaks);
    let report = junit(&view);
    let tests = named(&report, "testcase");
    assert_eq!((tests.len(), &*tests[0].attributes["name"]), (1, "no outstanding allocation"));
    assert!(named(&report, "failure").is_empty() && named(&report, "error").is_empty());
    assert_eq!(github(&view), ["::notice title=Driver Verifier::No outstanding allocation"]);
    let run = sarif(&view);
    assert_eq!(run["results"], json!([]));
    assert_eq!(run["invocations"][0]["executionSuccessful"], true);
}

#[test]
fn an_answer_that_is_not_complete_does_not_pass() {
    let kernel = session(nothing().build(DumpKind::BitmapKernel));
    let mut leaks = leaks(&kernel);
    leaks.problems.push(Problem::new("list, of drivers", "its head: null"));
    let view = by_function(&kernel, &leaks);
    let report = junit(&view);
    let errors = named(&report, "error");
    assert_eq!(errors[0].attributes["message"], "Unknown: list, of drivers: its head: null");
    assert_eq!(named(&report, "testcase").len(), 1, "no test says that there is no leak");
    assert_eq!(
        github(&view),
        [
            "::warning title=The answer is not complete::Unknown: list, of drivers: its head: null",
            "::notice title=Driver Verifier::What is outstanding is unknown: no block was found, and \
             more may exist",
        ]
    );
    let run = sarif(&view);
    let invocation = &run["invocations"][0];
    assert_eq!(invocation["executionSuccessful"], false);
    assert_eq!(invocation["toolExecutionNotifications"][0]["level"], "warning");
    let text = &invocation["toolExecutionNotifications"][0]["message"]["text"];
    assert_eq!(text, "list, of drivers: its head: null");
    assert_eq!(run["properties"]["extent"], "unknown");
}

#[test]
fn sarif_has_the_line_the_function_and_the_stack_of_a_leak() {
    let kernel = with_lines();
    let leaks = leaks(&kernel);
    let run = sarif(&LeaksView::new(&kernel, &leaks, GroupBy::Stack));
    let results = run["results"].as_array().unwrap();
    assert_eq!(results.len(), 5);
    let session = &results[1];
    assert_eq!(session["ruleId"], "outstanding-pool");
    assert_eq!(session["level"], "error");
    let text = "leaky!SessionOpen: 1 block, 4,096 bytes, tag Leak, leaky.sys";
    assert_eq!(session["message"]["text"], text);
    assert_eq!(
        session["locations"][0],
        json!({
            "physicalLocation": {
                "artifactLocation": {"uri": "drivers/leaky/pool.h", "uriBaseId": "%SRCROOT%"},
                "region": {"startLine": 22},
            },
            "logicalLocations": [{
                "name": "SessionOpen", "fullyQualifiedName": "leaky!SessionOpen", "kind": "function",
            }],
        })
    );
    let frames = session["stacks"][0]["frames"].as_array().unwrap();
    let frame = |index: usize| {
        let location = &frames[index]["location"];
        let place = &location["physicalLocation"];
        let line = place["region"]["startLine"].as_u64();
        (location["message"]["text"].as_str().unwrap(), line)
    };
    assert_eq!(frame(1), ("nt!VerifierExAllocatePoolEx+0x1d", None));
    assert_eq!(frame(2), ("leaky!PoolAllocate (inlined)", Some(22)));
    assert_eq!(frame(3), ("leaky!wire::Session::Open (inlined)", Some(19)));
    assert_eq!(frame(4), ("leaky!SessionOpen+0x1e", Some(41)));
    assert_eq!(
        session["partialFingerprints"],
        json!({"driverFunctionTag/v1": "leaky.sys|leaky!SessionOpen|Leak"})
    );
    let properties = json!({
        "count": 1, "bytes": 4096, "largest": 4096, "driver": "leaky.sys", "tag": "Leak",
    });
    assert_eq!(session["properties"], properties);
}

/// Blocks of one tag have five stacks here.
#[test]
fn a_group_of_different_stacks_shows_those_with_the_most_bytes() {
    let kernel = with_lines();
    let leaks = leaks(&kernel);
    let view = LeaksView::new(&kernel, &leaks, GroupBy::Tag);
    let run = sarif(&view);
    let stacks = run["results"][0]["stacks"].as_array().unwrap();
    let text = |stack: &Value| stack["message"]["text"].as_str().unwrap().to_owned();
    assert_eq!(
        stacks.iter().map(text).collect::<Vec<_>>(),
        [
            "The stack of 30 blocks, 15,360 bytes",
            "The stack of 1 block, 4,096 bytes",
            "The stack of 12 blocks, 288 bytes",
        ]
    );
    let line = &github(&view)[0];
    assert!(line.contains("%0A30 blocks, 15,360 bytes:%0Ant!VeAllocate"), "{line}");
    assert!(line.ends_with("%0A4 blocks with other stacks, or without one"), "{line}");
    assert_eq!(junit(&view)[2].attributes["name"], "Leak");
}

#[test]
fn without_a_line_the_place_is_the_image_and_mixed_groups_have_no_function() {
    let mut w = Wrapper::new();
    w.hold(0..2);
    w.allocate(0, "ReadRequest");
    let kernel = w.kernel();
    let leaks = leaks(&kernel);
    let run = sarif(&LeaksView::new(&kernel, &leaks, GroupBy::Frame));
    let place = &run["results"][0]["locations"][0]["physicalLocation"];
    assert_eq!(*place, json!({"artifactLocation": {"uri": "wrap.sys"}}));
    let run = sarif(&LeaksView::new(&kernel, &leaks, GroupBy::Driver));
    let result = &run["results"][0];
    assert_eq!(result["message"]["text"], "wrap.sys: 2 blocks, 544 bytes, tag Wrap, wrap.sys");
    let place = json!([{"physicalLocation": {"artifactLocation": {"uri": "wrap.sys"}}}]);
    assert_eq!(result["locations"], place);
    assert_eq!(result["partialFingerprints"]["driverFunctionTag/v1"], "driver wrap.sys");
}

#[test]
fn fingerprints_are_the_same_in_another_build_and_boot() {
    let fingerprints = |pdb: &str, read: u32| {
        let mut w = Wrapper::built(pdb, read);
        w.hold(0..1);
        w.allocate(0, "ReadRequest");
        let kernel = w.kernel();
        let leaks = leaks(&kernel);
        let run = sarif(&LeaksView::new(&kernel, &leaks, GroupBy::Stack));
        run["results"][0]["partialFingerprints"].clone()
    };
    assert_eq!(fingerprints("wrap.pdb", 0x1200), fingerprints("wrap2.pdb", 0x1400));
}

/// What is known is a note, a notice and a skipped test; what is new keeps its weight.
#[test]
fn known_leaks_do_not_fail() {
    let kernel = with_lines();
    let mut leaks = leaks(&kernel);
    let grouping = Grouping::new(&kernel, &leaks, None);
    let all = rendered(|out| write_baseline(out, &Baseline::of(&kernel, &leaks, &grouping)));
    // The cache may hold 40 of its 42 blocks, and the session none.
    let less = |line: &str| match line.contains("SessionOpen") {
        true => line.replace("\"count\":1", "\"count\":0"),
        false => line.replace("\"count\":42", "\"count\":40"),
    };
    let some: Vec<String> = all.lines().map(less).collect();
    let baseline = Baseline::parse(&some.join("\n")).unwrap();
    let known = baseline.known_blocks(&kernel, &leaks, &grouping);
    leaks.mark_known(known, Some("known.json".into()));
    let view = by_function(&kernel, &leaks);
    let run = sarif(&view);
    let results = run["results"].as_array().unwrap();
    let states: Vec<(&str, &str)> = results
        .iter()
        .map(|one| (one["level"].as_str().unwrap(), one["baselineState"].as_str().unwrap()))
        .collect();
    let note = ("note", "unchanged");
    assert_eq!(states, [("error", "updated"), ("error", "new"), note, note]);
    let text = results[0]["message"]["text"].as_str().unwrap();
    assert!(text.ends_with(", tag Leak, leaky.sys, 40 known, 2 new"), "{text}");
    let report = junit(&view);
    assert_eq!((named(&report, "failure").len(), named(&report, "skipped").len()), (2, 2));
    let properties = named(&report, "property");
    assert_eq!(properties[0].attributes["value"], "Baseline known.json: 44 blocks known, 3 new");
    let lines = github(&view);
    let kinds: Vec<&str> = lines.iter().map(|line| line.split(' ').next().unwrap()).collect();
    assert_eq!(kinds, ["::notice", "::error", "::error", "::notice", "::notice"]);
}

/// Names out of a dump are text in every form.
#[test]
fn hostile_names_are_text() {
    let mut m = Machine::new(Build::Win10Vb);
    let name = "a\u{1b}[2J<b>&\"]]>\u{ffff}\u{202e}{0}[x](y),:%.sys";
    let evil = m.driver(Driver::new(name).symbol("Leak<&>\u{7}", 0x1200));
    m.level(8);
    let caller = m.driver_address(evil, "Leak<&>\u{7}") + 0x10;
    let block = 0xffff_9a8f_5000_0000;
    m.verified(evil).allocation(Allocation::nonpaged(block, 0x100, b"<&>\"", caller));
    let kernel = session(m.build(DumpKind::BitmapKernel));
    let leaks = leaks(&kernel);
    assert_eq!(leaks.blocks.len(), 1, "{:?}", leaks.problems);
    for by in [GroupBy::Stack, GroupBy::Tag, GroupBy::Driver] {
        let view = LeaksView::new(&kernel, &leaks, by);
        let report = junit(&view);
        // The first test says that the answer is not complete: such a name is a problem.
        let class = &named(&report, "testcase")[1].attributes["classname"];
        assert!(class.contains("<b>&\"]]>\u{fffd}\u{fffd}"), "{class:?}");
        let lines = github(&view);
        assert_eq!(lines.len(), 2);
        assert!(lines[1].starts_with("::error title=Outstanding pool%3A 1 block"), "{lines:?}");
        assert!(lines.iter().all(|line| !line.contains(['\u{1b}', '\u{202e}'])), "{lines:?}");
        let text = sarif(&view)["results"][0]["message"]["text"].as_str().unwrap().to_owned();
        assert!(!text.contains("](") || text.contains("\\]("), "{text}");
        assert!(!text.contains("{0}") || text.contains("{{0}}"), "{text}");
    }
}
