//! `!deadlock` and `verifier deadlock` as processes: text compared with published output, JSON with its
//! contract, DOT, and the text if there is nothing to show.
//!
//! `golden/deadlock-xp.txt` and `deadlock-xp-1.txt` are the output of XP as published (`ntkrnlpa` is `nt`
//! here). `deadlock-81.txt` and `deadlock-81-3.txt` are the output of 8.1: the addresses of Verifier's own
//! records are names in braces, the separator rows (and a blank next to one) are restored, and three lines
//! are changed in which published addresses and displacements contradict each other.

use std::fs;
use std::io::Write as _;
use std::process::{Command, Output, Stdio};

use crate::common::{Files, command, golden, shared};
use serde_json::Value;
use verifier_synth::{
    Assembly, BugCheck, Build, Driver, DumpKind, Lock, LockNode, Machine, MachineType,
};

/// A machine in its own folder.
struct Subject {
    files: Files,
    assembly: Assembly,
}

impl Subject {
    fn write(machine: &Machine) -> Self {
        Self::of(machine.assemble(), machine.build_of())
    }

    fn of(assembly: Assembly, build: Build) -> Self {
        let kind = match build.machine() {
            MachineType::X86 => DumpKind::Complete,
            _ => DumpKind::BitmapKernel,
        };
        Self { files: Files::write(&assembly.sample(kind)), assembly }
    }

    fn output(&self, name: &str, options: &[&str]) -> Output {
        self.files.output(&[name], options)
    }

    #[track_caller]
    fn clean(&self, name: &str, options: &[&str]) -> String {
        self.files.clean(&[name], options)
    }

    #[track_caller]
    fn json(&self) -> Value {
        serde_json::from_slice(&self.output("deadlock", &["--format", "json"]).stdout).unwrap()
    }

    /// A golden file with the addresses of records in place of their names.
    fn golden(&self, name: &str) -> String {
        let mut text = golden(name);
        for (name, label) in [
            ("{NODE0}", "node:0"),
            ("{NODE1}", "node:1"),
            ("{NODE2}", "node:2"),
            ("{ENTRY}", "thread:0"),
        ] {
            let address = self.assembly.address(&format!("deadlock {label}"));
            text = text.replace(name, &format!("{address:08x}"));
        }
        text
    }
}

/// The machine of the publication of 8.1: `AlphaLock` then `BravoLock`, and the reverse order.
fn alpha_bravo() -> Machine {
    let mut m = Machine::new(Build::Win10VbX86);
    m.kernel_mut().size = 0x60_0000;
    m.kernel_base(0x81c0_0000);
    let kernel = [
        ("IovCallDriver", 0x820c_4b4d, 0x2cc),
        ("IofCallDriver", 0x81ca_3772, 0x62),
        ("IopSynchronousServiceTail", 0x81eb_165e, 0x16e),
        ("IopXxxControlFile", 0x81eb_5518, 0x3e8),
        ("NtDeviceIoControlFile", 0x81eb_4516, 0x2a),
        ("KiSystemServicePostCall", 0x81d2_7e17, 0),
    ];
    for (name, frame, displacement) in kernel {
        m.kernel_symbol(name, frame - displacement - 0x81c0_0000);
    }
    m.driver(
        Driver::new("MyTestDriver.sys")
            .base(0x97dd_5000)
            .pdb("MyTestDriver.pdb")
            .symbol("Dispatch_SystemControl", 0x1040)
            .symbol("Dispatch_DeviceControl", 0x10a0)
            .symbol("SystemControlIrpWorker", 0x1590)
            .symbol("DeviceControlIrpWorker", 0x1610)
            .symbol("BravoLock", 0x3008)
            .symbol("AlphaLock", 0x300c),
    );
    let stack = |first: u64, second: u64| {
        let mut frames = vec![first, second];
        frames.extend(kernel.map(|(_, frame, _)| u64::from(frame)));
        frames
    };
    let d = m.deadlock();
    let spin = |address| Lock { address, kind: 5, ..Lock::default() };
    let (alpha, bravo) = (d.lock(spin(0x97dd_800c)), d.lock(spin(0x97dd_8008)));
    let thread = d.thread(0xc4ae_2040);
    let first = d.node(LockNode::new(alpha).stack(&stack(0x97dd_65b7, 0x97dd_605a)));
    let second = LockNode::new(bravo)
        .below(first)
        .stack(&stack(0x97dd_65c5, 0x97dd_605a))
        // Not the stack of the last time; `1` shows this stack, `3` does not.
        .parent_stack(&[0x97dd_65b0]);
    let second = d.node(second);
    let held = LockNode::new(bravo).held_by(thread).stack(&stack(0x97dd_666f, 0x97dd_60ba));
    let held = d.node(held);
    d.own(bravo, thread).found(alpha, &[first, second, held]);
    m
}

/// The machines of the two publications of XP, which differ in their addresses.
fn dummy(threads: [u64; 2], lock: u64) -> Machine {
    let mut m = Machine::new(Build::Win7Sp1X86);
    m.kernel_symbol("KiRetireDpcList", 0x9_0000);
    let kernel = m.kernel_address("KiRetireDpcList") + 0x5d;
    let names = [
        "DummyActivateVcComplete",
        "dummyOpenVcChannels",
        "DummyAllocateRecvBufferComplete",
        "DummyAllocateComplete",
        "dummyQueueRecvBuffers",
        "dummyRxInterruptOnCompletion",
        "DummyHandleInterrupt",
    ];
    let mut driver = Driver::new("dummy.sys").size(0x1_0000).pdb("dummy.pdb");
    for (i, name) in names.iter().enumerate() {
        driver = driver.symbol(name, 0x1000 + 0x800 * i as u32);
    }
    let driver = m.driver(driver.symbol("GlobalLock", 0x8010));
    let ndis = m.driver(
        Driver::new("NDIS.sys")
            .pdb("NDIS.pdb")
            .symbol("ndisMQueuedAllocateSharedHandler", 0x1000)
            .symbol("ndisWorkerThread", 0x1800)
            .symbol("ndisMDpcX", 0x2000),
    );
    let at = |name: &str, displacement: u64| m.driver_address(driver, name) + displacement;
    let ndis = |name: &str, displacement: u64| m.driver_address(ndis, name) + displacement;
    let outer = [
        at("dummyOpenVcChannels", 0x2e1),
        at("DummyAllocateRecvBufferComplete", 0x436),
        at("DummyAllocateComplete", 0x55),
    ];
    let mut took_a = vec![at("DummyActivateVcComplete", 0x63)];
    took_a.extend(outer);
    took_a.push(ndis("ndisMQueuedAllocateSharedHandler", 0xc9));
    took_a.push(ndis("ndisWorkerThread", 0xee));
    let mut took_b = vec![at("dummyQueueRecvBuffers", 0x2d), at("DummyActivateVcComplete", 0x90)];
    took_b.extend(outer);
    let other_b = [
        at("dummyRxInterruptOnCompletion", 0x25d),
        at("DummyHandleInterrupt", 0x32f),
        ndis("ndisMDpcX", 0x3c),
        kernel,
    ];
    let global = at("GlobalLock", 0);
    let d = m.deadlock();
    let (a, b) = (d.free_lock(lock, 5), d.free_lock(global, 5));
    let [first, second] = threads.map(|thread| d.thread(thread));
    let root = d.node(LockNode::new(a).held_by(first).stack(&[global]));
    let below = LockNode::new(b).below(root).held_by(first).stack(&took_b).parent_stack(&took_a);
    let below = d.node(below);
    let held = d.node(LockNode::new(b).held_by(second).stack(&other_b));
    d.found(a, &[root, below, held]);
    m
}

mod published {
    use super::*;

    #[test]
    fn of_81() {
        let files = Subject::write(&alpha_bravo());
        assert_eq!(files.clean("kd", &["-c", "!deadlock"]), files.golden("deadlock-81.txt"));
        let three = files.golden("deadlock-81-3.txt");
        assert_eq!(files.clean("kd", &["-c", "!deadlock 3"]), three);
        let text = files.clean("deadlock", &[]);
        assert!(text.starts_with(&three), "{text}");
    }

    #[test]
    fn of_xp() {
        let files = Subject::write(&dummy([0x8d3b_a030, 0x8d15_c030], 0xbba2_af30));
        let out = files.clean("kd", &["--style", "win7", "-c", "!deadlock"]);
        assert_eq!(out, golden("deadlock-xp.txt"));
        let files = Subject::write(&dummy([0x8d14_f750, 0x8d90_3030], 0xb790_6f30));
        let out = files.clean("kd", &["--style", "win7", "-c", "!deadlock 1"]);
        assert_eq!(out, golden("deadlock-xp-1.txt"));
    }

    #[test]
    fn the_golden_files_are_the_facts() {
        let Some(facts) = shared("facts/transcripts.md") else { return };
        let facts = fs::read_to_string(facts).unwrap();
        let xp = ["deadlock-xp.txt", "deadlock-xp-1.txt"].map(golden);
        assert!(facts.contains(&xp[0]) && facts.contains(&xp[1].replace("nt!", "ntkrnlpa!")));
        let node = ["{NODE0}", "{NODE1}", "{NODE2}", "{ENTRY}"];
        let mut modern = ["deadlock-81.txt", "deadlock-81-3.txt"].map(golden).concat();
        for (name, address) in node.iter().zip(["8685acd8", "86833578", "86858ce0", "86833a08"]) {
            modern = modern.replace(name, address);
        }
        let other: Vec<&str> = modern
            .lines()
            .filter(|line| !line.starts_with("===") && !facts.lines().any(|fact| fact == *line))
            .collect();
        assert_eq!(other.len(), 3, "{other:#?}");
    }
}

mod ours {
    use super::*;

    #[test]
    fn one_in_the_modern_style_and_three_in_the_old() {
        let files = Subject::write(&alpha_bravo());
        let one = files.clean("kd", &["-c", "!deadlock 1"]);
        assert!(!one.contains("Node:") && !one.contains("ThreadEntry"), "{one}");
        assert!(
            one.contains("    Stack:   97dd65b0 MyTestDriver!SystemControlIrpWorker+0x00000020 \n")
        );
        assert!(one.contains("Thread 1: c4ae2040 took locks in the following order:\n"));
        let three = files.clean("kd", &["--style", "win7", "-c", "!deadlock 3"]);
        let node = files.assembly.address("deadlock node:0");
        assert!(
            three.contains(&format!(
                "Thread 0 (TERMINATED) took locks in the following order:\n\n    \
                 Lock A -- MyTestDriver!AlphaLock (Spinlock)\n    Node:    {node:08x}\n    \
                 Stack:   MyTestDriver!SystemControlIrpWorker+0x27\n"
            )),
            "{three}"
        );
    }

    #[test]
    fn numbers_of_64_bits() {
        let mut m = Machine::new(Build::Win11);
        let d = m.deadlock();
        let (a, b) = (d.free_lock(0xffff_9a8f_1234_5000, 3), d.free_lock(0xffff_9a8f_1234_6000, 9));
        let root = d.node(LockNode::new(a));
        let below = d.node(LockNode::new(b).below(root));
        let held = d.node(LockNode::new(b));
        d.found(a, &[root, below, held]);
        let files = Subject::write(&m);
        let out = files.clean("kd", &["-c", "!deadlock"]);
        let node = files.assembly.address("deadlock node:2");
        let issue =
            format!("issue: 0000000000001001 ffff9a8f12345000 {node:016x} 0000000000000000 \n");
        assert!(out.starts_with(&issue), "{out}");
        assert!(out.contains("\nLock A =   ffff9a8f12345000 - Type 'Fast mutex'.\n"));
        assert!(out.contains("\nLock B =   ffff9a8f12346000 - Type 'Unknown (9)'.\n"));
        let out = files.clean("kd", &["-c", "!deadlock 3"]);
        assert!(out.contains("    Stack:   << not known >>\n"), "{out}");
    }

    #[test]
    fn the_order_of_all_locks() {
        let mut m = alpha_bravo();
        let d = m.deadlock();
        let (x, y) = (d.free_lock(0x9000_1000, 1), d.free_lock(0x9000_2000, 3));
        let roots = [x, y].map(|lock| d.node(LockNode::new(lock)));
        d.node(LockNode::new(y).below(roots[0]).stack(&[0x81d2_7e17, 0x97dd_65b7]));
        d.node(LockNode { only_try: true, ..LockNode::new(x).below(roots[1]) });
        let files = Subject::write(&m);
        let text = files.clean("deadlock", &[]);
        let rest = text.split_once("use kb to display it >>\n").unwrap().1;
        assert_eq!(
            rest,
            "\nLocks known: 4; threads that hold some: 1; nodes: 7.\n\
             \nLocks that were taken while another was held:\n  \
             0x90001000 (mutex)\n    then 0x90002000 (fast mutex)\n    \
             at   0x97dd65b7 MyTestDriver!SystemControlIrpWorker+0x27\n  \
             0x90002000 (fast mutex)\n    then 0x90001000 (mutex), only tried for\n  \
             0x97dd800c MyTestDriver!AlphaLock (spinlock)\n    \
             then 0x97dd8008 MyTestDriver!BravoLock (spinlock)\n    \
             at   0x97dd65c5 MyTestDriver!SystemControlIrpWorker+0x35\n"
        );
        // After it has also waited for the lock, both orders are there.
        let parent = roots[1];
        m.deadlock().node(LockNode::new(x).below(parent));
        let text = Subject::write(&m).clean("deadlock", &[]);
        assert!(text.contains("then 0x90001000 (mutex), in 2 ways\n"), "{text}");
        let cycles = "\nTaken in more than one order, so that threads can deadlock:\n  \
                      0x90001000, 0x90002000\n";
        assert!(text.ends_with(cycles), "{text}");
    }

    #[test]
    fn nothing_was_found() {
        let build = Build::Win10Vb;
        let files = Subject::write(&Machine::new(build));
        let off =
            "\nNo deadlock was found.\nDeadlock detection is off: ViDeadlockGlobals is null.\n";
        assert_eq!(files.clean("kd", &["-c", "!deadlock"]), off);
        assert_eq!(files.clean("kd", &["--style", "win7", "-c", "!deadlock 3"]), off);
        assert_eq!(files.clean("deadlock", &[]), off);

        let mut m = Machine::new(build);
        m.processors(8).deadlock();
        let out = Subject::write(&m).clean("kd", &["-c", "!deadlock"]);
        assert_eq!(
            out,
            "\nNo deadlock was found.\nThis kernel follows locks on machines with at most 4 \
             processors, and this one has 8.\n"
        );
        let mut m = Machine::new(build);
        m.deadlock().free_lock(0xffff_9a8f_1234_5000, 5);
        let out = Subject::write(&m).clean("kd", &["-c", "!deadlock"]);
        let known = "Locks known: 1; threads that hold some: 0; nodes: 0.\n";
        assert_eq!(out, format!("\nNo deadlock was found.\n{known}"));
    }

    #[test]
    fn another_issue() {
        let mut m = Machine::new(Build::Win7Sp1X86);
        let parameters = [0x1007, 0x8500_1000, 0x8500_2000, 0];
        m.bug_check(BugCheck { code: 0xc4, parameters });
        m.deadlock().free_lock(0x8500_1000, 1);
        let out = Subject::write(&m).clean("kd", &["-c", "!deadlock"]);
        assert_eq!(
            out,
            "issue: 00001007 85001000 85002000 00000000 \n\
             \nVerifier reported 0x1007: a lock was released that the thread does not hold.\n\
             Lock =   85001000 - Type 'Mutex'.\n\
             Locks known: 1; threads that hold some: 0; nodes: 0.\n"
        );
        m.bug_check(BugCheck { code: 0xc4, parameters: [0x1001, 0x8500_1000, 0x8500_2000, 0] });
        let output = Subject::write(&m).output("kd", &["-c", "!deadlock"]);
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(text.contains("The locks that lead to it are not known anymore.\n"), "{text}");
    }

    #[test]
    fn help_and_usage() {
        let files = Subject::write(&Machine::new(Build::Win7Sp1));
        let help = files.clean("kd", &["-c", "!deadlock -?"]);
        assert!(help.lines().count() == 3 && help.starts_with("!deadlock "), "{help}");
        for command in ["!deadlock 2", "!deadlock 4", "!deadlock x", "!deadlock 1 3"] {
            let output = files.output("kd", &["-c", command]);
            assert_eq!(output.status.code(), Some(2), "{command}");
        }
        assert_eq!(files.output("deadlock", &["--format", "csv"]).status.code(), Some(2));
    }

    #[test]
    fn problems_are_printed_once() {
        let mut m = alpha_bravo();
        m.deadlock().counter("ResourceDatabaseCount", 9);
        let files = Subject::write(&m);
        for (command, options) in [
            ("kd", vec!["-c", "!deadlock"]),
            ("deadlock", vec![]),
            ("deadlock", vec!["--format", "dot"]),
        ] {
            let output = files.output(command, &options);
            let complaints = String::from_utf8(output.stderr).unwrap();
            assert_eq!(complaints.lines().count(), 1, "{complaints}");
            assert!(complaints.contains("database of locks at 0x"), "{complaints}");
            assert!(complaints.contains("its count is 0x9, its buckets hold 0x2"));
            assert_eq!(output.status.code(), Some(0));
        }
        let output = files.output("deadlock", &["--format", "json"]);
        assert_eq!(output.stderr, b"");
        assert_eq!(files.json()["problems"][0]["what"], "database of locks");
    }
}

mod json {
    use super::*;

    fn keys(value: &Value) -> Vec<&str> {
        value.as_object().unwrap().keys().map(String::as_str).collect()
    }

    #[test]
    fn the_contract() {
        let files = Subject::write(&alpha_bravo());
        let at = |label: &str| {
            Value::from(format!("{:#x}", files.assembly.address(&format!("deadlock {label}"))))
        };
        let json = files.json();
        let mut names = keys(&json);
        names.sort_unstable();
        assert_eq!(
            names,
            [
                "address",
                "complete",
                "counters",
                "cycles",
                "edges",
                "enabled",
                "extent",
                "found",
                "inactive_because",
                "incomplete_because",
                "issue",
                "nodes",
                "problems",
                "resources",
                "state",
                "threads"
            ]
        );
        assert_eq!(json["address"], at("globals"));
        assert_eq!((&json["enabled"], &json["state"]), (&Value::from(true), &Value::from(0)));
        assert_eq!(json["inactive_because"], Value::Null);
        assert_eq!(json["counters"]["searched_nodes_limit"], 1000);
        assert_eq!(json["counters"]["abc_acb_skipped"], 0);
        let issue = &json["issue"];
        assert_eq!(
            (issue["code"].as_u64(), &issue["from"]),
            (Some(0x1001), &"ViDeadlockIssue".into())
        );
        assert_eq!(issue["parameters"][1], "0x97dd800c");
        assert_eq!(issue["parameters"][2], at("node:2"));

        let found = &json["found"];
        assert_eq!(found["instigator"], "0x97dd800c");
        assert_eq!(
            found["participants"],
            Value::from(vec![at("node:0"), at("node:1"), at("node:2")])
        );
        assert_eq!(found["locks"], Value::from(vec!["0x97dd800c", "0x97dd8008"]));
        let [first, second] = &found["threads"].as_array().unwrap()[..] else { panic!() };
        assert_eq!((&first["thread"], &first["thread_entry"]), (&Value::Null, &Value::Null));
        assert_eq!(second["thread"], "0xc4ae2040");
        assert_eq!(second["thread_entry"], at("thread:0"));
        assert_eq!(first["locks"][0]["symbol"], "MyTestDriver!AlphaLock");
        let frame = &first["locks"][0]["frames"][0];
        assert_eq!(
            (&frame["address"], &frame["symbol"]),
            (&"0x97dd65b0".into(), &"MyTestDriver!SystemControlIrpWorker+0x20".into())
        );
        assert_eq!(
            (&second["locks"][1]["node"], &second["locks"][1]["lock"]),
            (&Value::Null, &"0x97dd800c".into())
        );

        let resources = json["resources"].as_array().unwrap();
        assert_eq!(resources.len(), 2);
        let bravo = resources.iter().find(|r| r["address"] == at("lock:1")).unwrap();
        assert_eq!((&bravo["type"], &bravo["type_name"]), (&5.into(), &"spinlock".into()));
        assert_eq!(
            (&bravo["thread_owner"], &bravo["thread"]),
            (&at("thread:0"), &"0xc4ae2040".into())
        );
        assert_eq!((&bravo["node_count"], &bravo["recursion_count"]), (&2.into(), &1.into()));
        assert_eq!(bravo["last_release_trace"], Value::Array(vec![]));
        let nodes = json["nodes"].as_array().unwrap();
        let child = nodes.iter().find(|node| node["address"] == at("node:1")).unwrap();
        assert_eq!((&child["root"], &child["parent"]), (&at("lock:1"), &at("node:0")));
        assert_eq!(
            (&child["resource_address"], &child["active"]),
            (&"0x97dd8008".into(), &false.into())
        );
        assert_eq!(child["stack_trace"].as_array().unwrap().len(), 8);
        assert_eq!(child["parent_stack_trace"][0]["address"], "0x97dd65b0");
        let root = nodes.iter().find(|node| node["address"] == at("node:0")).unwrap();
        assert_eq!(
            (&root["children"], &root["children_count"]),
            (&Value::from(vec![at("node:1")]), &1.into())
        );
        let [thread] = &json["threads"].as_array().unwrap()[..] else { panic!() };
        assert_eq!(
            (&thread["current_spin_node"], &thread["current_other_node"]),
            (&at("node:2"), &Value::Null)
        );
        let [edge] = &json["edges"].as_array().unwrap()[..] else { panic!() };
        assert_eq!(
            (&edge["held_symbol"], &edge["acquired_symbol"]),
            (&"MyTestDriver!AlphaLock".into(), &"MyTestDriver!BravoLock".into())
        );
        assert_eq!(
            (&edge["node"], &edge["thread"], &edge["only_try"]),
            (&at("node:1"), &Value::Null, &false.into())
        );
        assert_eq!(
            (&json["cycles"], &json["problems"]),
            (&Value::Array(vec![]), &Value::Array(vec![]))
        );
    }

    #[test]
    fn off() {
        let json = Subject::write(&Machine::new(Build::Win81)).json();
        assert_eq!(
            (&json["address"], &json["enabled"], &json["found"]),
            (&Value::Null, &Value::Null, &Value::Null)
        );
        assert!(json["inactive_because"].as_str().unwrap().contains("is null"));
        assert_eq!(json["resources"], Value::Array(vec![]));
    }
}

mod dot {
    use super::*;

    /// Runs Graphviz on the graph, if it is installed.
    fn draw(graph: &str) {
        let dot =
            Command::new("dot").arg("-Tsvg").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
        let Ok(mut dot) = dot else {
            println!("not drawn: Graphviz is not installed");
            return;
        };
        dot.stdin.take().unwrap().write_all(graph.as_bytes()).unwrap();
        let output = dot.wait_with_output().unwrap();
        assert!(output.status.success(), "{graph}");
        assert!(String::from_utf8_lossy(&output.stdout).contains("</svg>"));
    }

    #[test]
    fn the_graph() {
        let files = Subject::write(&alpha_bravo());
        let graph = files.clean("deadlock", &["--format", "dot"]);
        assert_eq!(
            graph,
            "digraph locks {\n  node [shape=box, fontname=\"monospace\"];\n  \
             edge [fontname=\"monospace\"];\n  \
             \"0x97dd8008\" [label=\"MyTestDriver!BravoLock\\n0x97dd8008\\nspinlock\\nheld by 0xc4ae2040\", color=red];\n  \
             \"0x97dd800c\" [label=\"MyTestDriver!AlphaLock\\n0x97dd800c\\nspinlock\", color=red];\n  \
             \"0x97dd800c\" -> \"0x97dd8008\" [label=\"MyTestDriver!SystemControlIrpWorker+0x35\", color=red];\n  \
             \"0x97dd8008\" -> \"0x97dd800c\" [label=\"wanted\", color=red, style=dotted];\n}\n"
        );
        draw(&graph);
    }

    #[test]
    fn names_cannot_leave_their_quotes() {
        let mut m = Machine::new(Build::Win10Vb);
        let evil = "a\"]; evil -> \\\"x\\";
        let driver = m.driver(Driver::new("evil.sys").pdb("evil.pdb").symbol(evil, 0x1000));
        let lock = m.driver_address(driver, evil);
        m.deadlock().free_lock(lock, 5);
        let graph = Subject::write(&m).clean("deadlock", &["--format", "dot"]);
        let line = graph.lines().find(|line| line.contains("evil!")).unwrap();
        assert!(line.contains(r#"label="evil!a\"]; evil -> \\\"x\\\n0x"#), "{line}");
        // Quotes that are not escaped come in pairs around one label and the node's name.
        let plain = line.replace("\\\\", "").replace("\\\"", "");
        assert_eq!(plain.matches('"').count(), 4, "{line}");
        draw(&graph);
    }
}

/// The shared dumps have detection off, or lack the page that would say so.
#[test]
fn shared_dumps() {
    let Some(folder) = shared("dumps") else { return };
    for dump in fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.is_dir())
    {
        let output = command()
            .arg("deadlock")
            .arg(dump.join("memory.dmp"))
            .arg("--symbols")
            .arg(dump.join("symbols"))
            .output()
            .unwrap();
        let (out, complaints) =
            (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        if dump.ends_with("win11-26100-rich") {
            assert!(out.contains("Deadlock detected (2 locks in 2 threads):"), "{out}");
            // The only variable whose page is absent; it does not contain locks.
            assert_eq!(complaints.lines().count(), 1, "{complaints}");
            assert!(complaints.contains("ViDeadlockChildrenCountMaximum"), "{complaints}");
        } else if output.status.success() {
            assert!(out.contains("ViDeadlockGlobals is null"), "{dump:?}: {out}");
            assert_eq!(complaints, "");
        } else {
            assert_eq!((output.status.code(), &*out), (Some(1), ""));
            assert!(complaints.starts_with("verifier: ViDeadlockGlobals: virtual address 0x"));
            assert!(complaints.contains("not present"), "{dump:?}: {complaints}");
        }
    }
}
