//! The output of `verifier info` and `.bugcheck` for Verifier's bug checks. For a driver that was unloaded
//! while it held pool, it ends with the driver's blocks.

use crate::common::{Files, command, saved};
use serde_json::Value;
use verifier_synth::{
    Allocation, BugCheck, Build, Driver, DumpKind, Machine, Sample, Suspect, Unload,
};

const BLOCKS: [u64; 2] = [0xffff_9a8f_5000_0000, 0xffff_9a8f_5000_1000];

#[track_caller]
fn clean(sample: &Sample, subcommand: &str, options: &[&str]) -> String {
    Files::write(sample).clean(&[subcommand], options)
}

fn unloaded(unload: Unload) -> Sample {
    let mut m = Machine::new(Build::Win10Vb);
    let leaky = m.driver(Driver::new("leaky.sys").pdb("leaky.pdb").symbol("LeakyOpen", 0x1200));
    let caller = m.driver_address(leaky, "LeakyOpen") + 0x34;
    let entry = Suspect { name: "leaky.sys".into(), loads: 1, unloads: 1, address: None };
    let verified = m.level(8).verified_as(leaky, entry);
    for block in BLOCKS {
        verified.allocation(Allocation::nonpaged(block, 0x40, b"Leak", caller));
    }
    m.unloaded_with_allocations(leaky, unload);
    m.build(DumpKind::BitmapKernel)
}

#[test]
fn info_ends_with_the_blocks_that_were_not_freed() {
    for unload in [Unload::Listed, Unload::OffTree, Unload::OffTreeAndList] {
        let sample = unloaded(unload);
        let text = clean(&sample, "info", &[]);
        let end = "\nNot freed by leaky.sys when it was unloaded: 2 blocks, 128 bytes\n  \
                   0xffff9a8f50000000           64  Leak  leaky!LeakyOpen+0x34\n  \
                   0xffff9a8f50001000           64  Leak  leaky!LeakyOpen+0x34\n";
        assert!(text.ends_with(end), "{unload:?}: {text}");
        assert!(text.contains(
            "DRIVER_VERIFIER_DETECTED_VIOLATION: a driver was unloaded without freeing its pool\n"
        ));
        assert!(text.contains("4  0x2  allocations not freed\n"), "{text}");

        let info: Value =
            serde_json::from_str(&clean(&sample, "info", &["--format", "json"])).unwrap();
        assert_eq!(info["bug_check"]["code"], 0xc4);
        assert_eq!(info["bug_check"]["name"], "DRIVER_VERIFIER_DETECTED_VIOLATION");
        assert_eq!(info["bug_check"]["parameter_names"][0], "subcode");
        assert_eq!(info["bug_check"]["driver"], "leaky.sys");
        let leak = &info["unload_leak"];
        assert_eq!((&leak["driver"], &leak["counted"]), (&"leaky.sys".into(), &2.into()));
        assert_eq!(leak["allocations"][1]["address"], "0xffff9a8f50001000");
        assert_eq!(leak["allocations"][1]["caller_symbol"], "leaky!LeakyOpen+0x34");
        assert_eq!(info["problems"], serde_json::json!([]));
    }
}

#[test]
fn views_show_a_driver_that_is_off_the_lists() {
    let sample = unloaded(Unload::OffTreeAndList);
    let drivers: Value =
        serde_json::from_str(&clean(&sample, "drivers", &["--format", "json"])).unwrap();
    let leaky = &drivers["drivers"][0];
    assert_eq!((&leaky["name"], &leaky["state"]), (&"leaky.sys".into(), &"unloaded".into()));
    assert_eq!(leaky["from_bug_check"], true);
    assert_eq!(leaky["target_driver"], Value::Null);
    assert!(clean(&sample, "pool", &[]).starts_with("leaky.sys: 2 outstanding allocations"));
    let line = "Bug check 0xc4/0x62: leaky.sys was unloaded before it freed 2 blocks, 128 bytes";
    assert!(clean(&sample, "leaks", &[]).starts_with(&format!("{line}.\n")));
    let markdown = clean(&sample, "leaks", &["--format", "markdown"]);
    assert!(markdown.contains(&format!("\n**{line}**\n")), "{markdown}");
    let (folder, at) = (saved(&sample), tempfile::tempdir().unwrap());
    let (dump, page) = (folder.path().join("memory.dmp"), at.path().join("report.html"));
    let symbols = folder.path().join("symbols");
    let mut report = command();
    report.arg("report").arg(dump).arg("--symbols").arg(symbols).arg("-o").arg(&page);
    assert!(report.output().unwrap().status.success());
    let report = std::fs::read_to_string(page).unwrap();
    assert!(report.contains(&format!("<p class=\"headline\">{line}.</p>")));
    let text = clean(&sample, "kd", &["-c", "!verifier 3 leaky.sys"]);
    assert!(text.contains("\nnt!_VF_TARGET_VERIFIED_DRIVER_DATA 0x"), "{text}");
    assert!(text.contains("0xffff9a8f50001000  0x00000040  Leak"), "{text}");
}

#[test]
fn bugcheck_names_its_parameters() {
    let mut m = Machine::new(Build::Win7Sp1X86);
    m.bug_check(BugCheck { code: 0xc4, parameters: [0xd2, 0x9655_d4a8, 0x9655_d468, 0xb0] });
    let text = clean(&m.build(DumpKind::Summary), "kd", &["-c", ".bugcheck"]);
    assert_eq!(
        text,
        "Bugcheck code 000000C4\nArguments 000000d2 9655d4a8 9655d468 000000b0\n\n\
         DRIVER_VERIFIER_DETECTED_VIOLATION (c4)\n\
         a driver freed a block that holds an ERESOURCE in use.\nArguments:\n\
         Arg1: 000000d2, subcode\nArg2: 9655d4a8, ERESOURCE address\n\
         Arg3: 9655d468, block address: unknown: no outstanding block holds this address; the pool log is \
         off\nArg4: 000000b0, block size: 176\n\nCULPRIT:  unknown: no parameter leads to a driver; the \
         kernel's symbols have no global KiBugCheckDriver; the stack pointer at the crash is unknown.\n"
    );
    let mut m = Machine::new(Build::Win11);
    m.bug_check(BugCheck { code: 0xe6, parameters: [0x77, 1, 2, 3] });
    let text = clean(&m.build(DumpKind::BitmapKernel), "info", &[]);
    assert!(text.contains("DRIVER_VERIFIER_DMA_VIOLATION: unknown subcode 0x77\n"), "{text}");
    assert!(!text.contains("Not freed"));
    // A bug check that is not Verifier's is shown as before.
    m.bug_check(BugCheck { code: 0xe2, parameters: [0; 4] });
    let text = clean(&m.build(DumpKind::BitmapKernel), "kd", &["-c", ".bugcheck"]);
    assert_eq!(text.lines().count(), 2);
}

/// A rule's text is shown as text, with any characters; text that cannot be read is reported.
#[test]
fn the_violated_condition_is_shown() {
    const TEXT: &[u8] = b"KeSetEvent \x1b[31m should only be called at IRQL <= DISPATCH_LEVEL.\0";
    const SHOWN: &str =
        "KeSetEvent \u{fffd}[31m should only be called at IRQL <= DISPATCH_LEVEL.\n";
    for build in [Build::Win11, Build::Win10VbX86] {
        let kind = if build == Build::Win11 { DumpKind::BitmapKernel } else { DumpKind::Summary };
        let mut m = Machine::new(build);
        let rules = m.driver(Driver::new("VerifierExt.sys").symbol("RuleText", 0x1200));
        let at = m.driver_address(rules, "RuleText");
        m.bug_check(BugCheck { code: 0xc4, parameters: [0x20016, at, 0, 0] });
        let mut m = m.assemble();
        m.patch(at, TEXT);
        let sample = m.sample(kind);
        let text = clean(&sample, "info", &[]);
        assert!(text.contains(&format!("  violated condition: {SHOWN}")), "{text}");
        assert!(text.contains("  3  0x0  rule state, if not null\n"), "{text}");
        let text = clean(&sample, "kd", &["-c", ".bugcheck"]);
        assert!(text.contains(&format!("\n\nDV_VIOLATED_CONDITION:  {SHOWN}")), "{text}");
        let json = clean(&sample, "info", &["--format", "json"]);
        assert!(!json.contains('\u{1b}'));
        let info: Value = serde_json::from_str(&json).unwrap();
        assert_eq!(
            info["bug_check"]["violated_condition"],
            "KeSetEvent \u{1b}[31m should only be called at IRQL <= DISPATCH_LEVEL."
        );
        m.remove_page(at);
        let folder = saved(&m.sample(kind));
        let output = command()
            .args(["kd", "-c", ".bugcheck", "--symbols"])
            .arg(folder.path().join("symbols"))
            .arg(folder.path().join("memory.dmp"))
            .output()
            .unwrap();
        let complaint = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.success() && complaint.contains("violated condition"), "{complaint}");
    }
}

/// Without symbols, neither list nor tree is known, but the driver's own signature leads to its blocks.
#[test]
fn the_driver_and_its_blocks_are_shown_without_symbols() {
    let sample = Sample { files: Vec::new(), ..unloaded(Unload::OffTreeAndList) };
    let folder = saved(&sample);
    let output = command().arg("info").arg(folder.path().join("memory.dmp")).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success() && text.contains("  driver leaky.sys\n"), "{text}");
    assert!(text.contains("Not freed by leaky.sys when it was unloaded: 2 blocks"), "{text}");
}

/// The header of a raw image is absent, and that of a dump may hold no bug check: the kernel's own note of it
/// serves for every view.
#[test]
fn a_bug_check_that_only_memory_has_is_shown_everywhere() {
    let mut m = Machine::new(Build::Win10Vb);
    let bug_check = BugCheck { code: 0xc4, parameters: [0xd2, 0x11, 0x22, 0x33] };
    let driver = m.driver(Driver::new("quiet.sys").pdb("quiet.pdb"));
    m.level(8).bug_check(bug_check).verified(driver);
    let mut assembly = m.assemble();
    let raw = assembly.sample(DumpKind::Raw);
    assembly.header.bug_check = Some(BugCheck { code: 0, parameters: [0; 4] });
    let unset = assembly.sample(DumpKind::BitmapKernel);
    for (sample, options) in [(&unset, &[][..]), (&raw, &["--raw"])] {
        let info = clean(sample, "info", &[options, &["--format", "json"]].concat());
        let info: Value = serde_json::from_str(&info).unwrap();
        assert_eq!(info["bug_check"]["code"], 0xc4);
        assert_eq!(info["bug_check"]["parameters"][3], "0x33");
        let text = clean(sample, "info", options);
        assert!(text.contains("Bug check       0xc4 (0xd2, 0x11, 0x22, 0x33)\n"), "{text}");
        assert!(text.contains("  4  0x33  block size: 51\n"), "{text}");
        let text = clean(sample, "kd", &[options, &["-c", ".bugcheck"]].concat());
        assert!(text.starts_with("Bugcheck code 000000C4\n"), "{text}");
        let leaks = clean(sample, "leaks", &[options, &["--format", "markdown"]].concat());
        assert!(leaks.contains("· bug check 0xc4"), "{leaks}");
        let folder = tempfile::tempdir().unwrap();
        let at = folder.path().join("report.html");
        clean(sample, "report", &[options, &["-o", at.to_str().unwrap()]].concat());
        let page = std::fs::read_to_string(at).unwrap();
        assert!(page.contains("0xc4 (0xd2, 0x11, 0x22, 0x33)"));
    }
}

/// DumpIt fills the fields that it does not know with "MATT", "MOON" and others: that is not a bug check.
#[test]
fn the_filler_of_dumpit_is_not_a_bug_check() {
    let mut m = Machine::new(Build::Win10Vb);
    let code = u32::from_le_bytes(*b"MATT");
    let moon = u64::from(u32::from_le_bytes(*b"MOON"));
    let mut assembly = m.level(8).bug_check(BugCheck { code: 0, parameters: [0; 4] }).assemble();
    assembly.header.bug_check = Some(BugCheck { code, parameters: [moon, 0, moon, 0] });
    let sample = assembly.sample(DumpKind::BitmapKernel);
    let text = clean(&sample, "info", &[]);
    assert!(text.contains("Bug check       none"), "{text}");
    let info = clean(&sample, "info", &["--format", "json"]);
    let info: Value = serde_json::from_str(&info).unwrap();
    assert_eq!(info["bug_check"]["code"], 0);
}

/// A machine whose driver leaky.sys holds a block, after a bug check that is about it.
fn crash(bug_check: impl Fn(u64, u64) -> BugCheck) -> Sample {
    let mut m = Machine::new(Build::Win10Vb);
    let leaky = Driver::new("leaky.sys").pdb("leaky.pdb").symbol("LeakyOpen", 0x1200);
    let leaky = m.driver(leaky.symbol("LeakyTouch", 0x1400));
    let caller = m.driver_address(leaky, "LeakyOpen") + 0x34;
    let touch = m.driver_address(leaky, "LeakyTouch") + 0x2b;
    let block = Allocation::nonpaged(BLOCKS[0], 0x40, b"Leak", caller);
    m.level(8).verified(leaky).allocation(block);
    m.bug_check(bug_check(BLOCKS[0], touch));
    m.build(DumpKind::BitmapKernel)
}

/// The driver and the function to blame are in the first five lines, and in every other form.
#[test]
fn info_begins_with_the_culprit() {
    type Of = fn(u64, u64) -> BugCheck;
    const TOUCH: &str = "leaky!LeakyTouch+0x2b";
    const OPEN: &str = "leaky!LeakyOpen+0x34";
    let cases: [(Of, &str, bool); 4] = [
        (
            |block, _| BugCheck { code: 0xc1, parameters: [block, block + 0x40, 0, 0x24] },
            OPEN,
            false,
        ),
        (|block, at| BugCheck { code: 0xd6, parameters: [block + 0x48, 1, at, 0] }, TOUCH, true),
        (|_, at| BugCheck { code: 0xcb, parameters: [at, 0, 0, 4] }, TOUCH, true),
        (|_, at| BugCheck { code: 0xc9, parameters: [0x302, at, 0, 1] }, TOUCH, true),
    ];
    for (of, function, certain) in cases {
        let sample = crash(of);
        let text = clean(&sample, "info", &[]);
        let first: Vec<&str> = text.lines().take(5).collect();
        assert!(
            first.iter().any(|line| line.contains("leaky.sys") && line.contains(function)),
            "{text}"
        );
        let info = clean(&sample, "info", &["--format", "json"]);
        let info: Value = serde_json::from_str(&info).unwrap();
        let culprit = &info["bug_check"]["culprit"];
        assert_eq!(culprit["driver"], "leaky.sys");
        assert_eq!((&culprit["symbol"], &culprit["certain"]), (&function.into(), &certain.into()));
        let sentence = info["bug_check"]["sentence"].as_str().unwrap();
        assert!(sentence.starts_with(&format!("leaky.sys, {function}, is ")), "{sentence}");
        let text = clean(&sample, "kd", &["-c", ".bugcheck"]);
        assert!(text.ends_with(&format!("\nCULPRIT:  {sentence}.\n")), "{text}");
    }
    let unload = unloaded(Unload::OffTreeAndList);
    let text = clean(&unload, "info", &[]);
    let first: Vec<&str> = text.lines().take(5).collect();
    assert!(first.join("\n").contains("leaky.sys is to blame: parameter 2"), "{text}");
}

#[test]
fn each_parameter_is_shown_by_its_kind() {
    let sample = crash(|block, _| BugCheck { code: 0xc4, parameters: [0x12, 2, 0x200, block + 8] });
    let info: Value = serde_json::from_str(&clean(&sample, "info", &["--format", "json"])).unwrap();
    let facts = info["bug_check"]["facts"].as_array().unwrap();
    let shown: Vec<_> = facts.iter().map(|fact| (&fact["kind"], &fact["text"])).collect();
    assert_eq!(shown[0], (&"subcode".into(), &Value::Null));
    assert_eq!(shown[1], (&"irql".into(), &"DISPATCH_LEVEL".into()));
    assert_eq!(shown[2], (&"pool_type".into(), &"NonPagedPoolNx".into()));
    assert_eq!(
        shown[3],
        (
            &"pool".into(),
            &"block Leak at 0xffff9a8f50000000, 64 bytes of leaky.sys, outstanding, allocated by \
              leaky!LeakyOpen+0x34"
                .into()
        )
    );
    assert_eq!(facts[3]["block_tag"], "Leak");
    assert_eq!(facts[3]["leads_by"], "block");
}

#[test]
fn a_rule_is_shown_by_its_number_and_its_name() {
    let mut m = Machine::new(Build::Win11);
    let rules = m.driver(Driver::new("VerifierExt.sys").symbol("RuleText", 0x1200));
    let at = m.driver_address(rules, "RuleText");
    m.bug_check(BugCheck { code: 0xc4, parameters: [0x20005, at, 0, 0] });
    let mut m = m.assemble();
    m.patch(at, b"ExAcquireFastMutex was called at DISPATCH_LEVEL.\0");
    let sample = m.sample(DumpKind::BitmapKernel);
    let text = clean(&sample, "kd", &["-c", "!ruleinfo 0x20005 fffff800`12345678"]);
    for line in [
        "RULE_ID: 0x20005",
        "RULE_NAME: IrqlExApcLte1",
        "MSDN_LINK: https://learn.microsoft.com/windows-hardware/drivers/devtest/wdm-irqlexapclte1",
        "VIOLATED_CONDITION: ExAcquireFastMutex was called at DISPATCH_LEVEL.",
        "RULE_STATE: 0xfffff80012345678",
    ] {
        assert!(text.contains(&format!("\n{line}\n")), "{line}: {text}");
    }
    // Without a dump.
    let flags = |rule: &str, format: &str| {
        let output =
            command().args(["flags", "--rule", rule, "--format", format]).output().unwrap();
        (output.status.code(), String::from_utf8([output.stdout, output.stderr].concat()).unwrap())
    };
    let (code, text) = flags("0x20005", "text");
    assert!(text.starts_with("IrqlExApcLte1 (0x20005): ExAcquireFastMutex and"), "{text}");
    assert!(text.contains("Checked by      DDI compliance checking (0x20000)\n"), "{text}");
    assert_eq!((code, &flags("irqlexapclte1", "text").1), (Some(0), &text));
    let document: Value = serde_json::from_str(&flags("0x91001", "json").1).unwrap();
    assert_eq!(document["rule"]["name"], "NdisOidComplete");
    let (code, text) = flags("0x20013", "text");
    assert_eq!(code, Some(2));
    let nearest = "0x20010 IrqlKeApcLte2, 0x20011 IrqlKeDispatchLte, 0x20015 IrqlKeReleaseSpinLock";
    assert!(text.contains(nearest), "{text}");
    let (_, text) = flags("0x62", "text");
    assert!(
        text.contains("is not a rule, but a check of bug check 0xc4: a driver was unloaded"),
        "{text}"
    );
    assert!(flags("Irql", "text").1.contains("no rule is called \"Irql\""));
}
