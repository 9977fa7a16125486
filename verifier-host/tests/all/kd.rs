//! Compares `!verifier` with published transcripts. `golden/win7-f.txt` is the output of `!verifier 0xf` on
//! Windows 7 x64 as Microsoft published it (digits that the publication lost are restored, entries that it
//! elides are left out, options are indented as in the walk-through). `golden/vista-4.txt` and
//! `golden/vista-40.txt` are the output of `!verifier 4` and `!verifier 40` on Vista x86 (a row that the
//! publication lost is restored, frames are indented alike). The machines below have the data of these
//! transcripts. `golden/logs-win7.txt` and `golden/logs-modern.txt` have every log's layout in both styles;
//! most of it is not published anywhere.

use crate::common::{golden, saved};
use tempfile::TempDir;
use verifier_core::render::text::Style;
use verifier_host::kd::run_kd_command;
use verifier_host::symbols::SymbolPath;
use verifier_host::{Error, Session};
use verifier_synth::{
    Allocation, Build, Driver, DumpKind, Log, Machine, RingRecord, Sample, Suspect, WatchedIrp,
};

/// A session over a sample; the files exist as long as the session.
struct Open {
    session: Session,
    _folder: TempDir,
}

impl Open {
    fn new(sample: &Sample) -> Self {
        let folder = saved(sample);
        let symbols = folder.path().join("symbols");
        let path = SymbolPath::parse(symbols.to_str().unwrap()).unwrap();
        let session = Session::open(&folder.path().join("memory.dmp"), path).unwrap();
        Self { session, _folder: folder }
    }

    /// The text of a command and the number of its problems.
    fn run(&self, command: &str, style: Style) -> (String, usize) {
        let mut out = Vec::new();
        let problems = run_kd_command(&mut out, &self.session, command, style).unwrap();
        (String::from_utf8(out).unwrap(), problems.len())
    }

    fn usage(&self, command: &str) -> String {
        match run_kd_command(&mut Vec::new(), &self.session, command, Style::Modern) {
            Err(Error::Usage(text)) => text,
            other => panic!("{command}: {other:?}"),
        }
    }
}

/// The machine of `golden/win7-f.txt`.
fn windows_7() -> Machine {
    const NT: u64 = 0xffff_f800_02a0_5000;
    const USBPORT: u64 = 0xffff_f880_0420_1000;
    let mut m = Machine::new(Build::Win7Sp1);
    m.kernel_base(NT);
    for (name, frame, displacement) in [
        ("IopTimerDispatch", 0xffff_f800_02a5_b5bf, 0x132),
        ("KiProcessTimerDpcTable", 0xffff_f800_02a7_c29e, 0x66),
        ("KiProcessExpiredTimerList", 0xffff_f800_02a7_bdd6, 0xc6),
        ("KiTimerExpiration", 0xffff_f800_02a7_c4be, 0x1beu64),
    ] {
        m.kernel_symbol(name, (frame - displacement - NT) as u32);
    }
    let videoprt = Driver::new("videoprt.sys").base(0xffff_f880_02c5_e000).size(0x2_5000);
    let videoprt = m.driver(videoprt);
    let mut usbport = Driver::new("USBPORT.SYS").base(USBPORT).size(0x5_6000).pdb("usbport.pdb");
    for (name, frame, displacement) in [
        ("USBPORT_DM_IoTimerDpc", 0xffff_f880_0420_f2ca, 0x9a),
        ("USBPORT_AcquireEpListLock", 0xffff_f880_0420_5f3a, 0x2e),
        ("USBPORT_Core_TimeoutAllTransfers", 0xffff_f880_0421_72df, 0x1f),
        ("MPf_CheckController", 0xffff_f880_0420_1694, 0x4cu64),
    ] {
        usbport = usbport.symbol(name, (frame - displacement - USBPORT) as u32);
    }
    let usbport = m.driver(usbport);

    m.level(0x9bb);
    for (name, value) in [
        ("AcquireSpinLocks", 0x362),
        ("Trims", 0xa34a),
        ("AllocationsAttempted", 0x7b058),
        ("AllocationsSucceeded", 0x7b058),
        ("AllocationsSucceededSpecialPool", 0x7b058),
        ("CurrentPagedPoolAllocations", 0x1a),
        ("PagedBytes", 0x950),
        ("PeakPagedPoolAllocations", 0x1b),
        ("PeakPagedBytes", 0xac4),
        ("CurrentNonPagedPoolAllocations", 0xe3),
        ("NonPagedBytes", 0x46110),
        ("PeakNonPagedPoolAllocations", 0x10f),
        ("PeakNonPagedBytes", 0x48e40),
    ] {
        m.statistic(name, value);
    }
    let blocks = [
        (0xffff_f980_0157_efc0, 0x3c, 0xffff_f880_02c6_2963),
        (0xffff_f980_0146_afc0, 0x34, 0xffff_f880_02c6_2963),
        (0xffff_f980_015b_afe0, 0x18, 0xffff_f880_02c6_28f7),
    ];
    let usb_blocks = [
        (0xffff_f980_03a3_8fc0, 0x38, 0xffff_f880_0421_5e34),
        (0xffff_f980_03a2_cfc0, 0x38, 0xffff_f880_0421_5e34),
        (0xffff_f980_0415_efc0, 0x38, 0xffff_f880_0421_5e34),
    ];
    for (driver, name, entry, blocks, tag, counters) in [
        (
            videoprt,
            "videoprt.sys",
            0xffff_fa80_03b6_f670,
            blocks,
            b"Vprt",
            [2, 0x13, 0xa0, 0x854, 6, 0x14, 0x8c0, 0x9c8],
        ),
        (
            usbport,
            "usbport.sys",
            0xffff_fa80_03b6_f620,
            usb_blocks,
            b"usbp",
            [0xe1, 7, 0x46070, 0xfc, 0x10d, 0xa, 0x48da0, 0x254],
        ),
    ] {
        let suspect = Suspect { name: name.into(), loads: 1, unloads: 0, address: Some(entry) };
        let verified = m.verified_as(driver, suspect);
        for (address, size, caller) in blocks {
            verified.allocation(Allocation::nonpaged(address, size, tag, caller));
        }
        for (name, value) in [
            "CurrentNonPagedPoolAllocations",
            "CurrentPagedPoolAllocations",
            "NonPagedBytes",
            "PagedBytes",
            "PeakNonPagedPoolAllocations",
            "PeakPagedPoolAllocations",
            "PeakNonPagedBytes",
            "PeakPagedBytes",
        ]
        .into_iter()
        .zip(counters)
        {
            verified.counter(name, value);
        }
    }

    const DPC: u64 = 0xffff_f800_02a5_b5bf;
    const TABLE: u64 = 0xffff_f800_02a7_c29e;
    const LIST: u64 = 0xffff_f800_02a7_bdd6;
    const TIMER: u64 = 0xffff_f800_02a7_c4be;
    let ring = m.log(Log::Irql);
    ring.length = 0x100;
    // Oldest first; the record before the four shown ones is not shown.
    let shown = [
        [0xffff_f880_0420_167c, 0xffff_f880_0420_f26a, DPC, TABLE, LIST],
        [0xffff_f880_0420_1694, 0xffff_f880_0420_f26a, DPC, TABLE, LIST],
        [0xffff_f880_0420_5f3a, 0xffff_f880_0421_72df, 0xffff_f880_0420_f2ca, DPC, TABLE],
        [0xffff_f880_0420_f2ca, DPC, TABLE, LIST, TIMER],
    ];
    for frames in [shown[3]].into_iter().chain(shown) {
        ring.push(RingRecord {
            fields: vec![
                ("Thread", 0xffff_f800_02bf_8c40),
                ("OldIrql", 2),
                ("NewIrql", 2),
                ("TickCount", 0x495e),
            ],
            frames: frames.to_vec(),
            stale: Vec::new(),
        });
    }
    m
}

#[test]
fn f_of_windows_7() {
    let open = Open::new(&windows_7().build(DumpKind::Complete));
    let (text, problems) = open.run("!verifier 0xf", Style::Win7);
    // The publication elides most of the blocks that the counters count; videoprt.sys has no symbols.
    assert_eq!(problems, 3);
    let (text, warning) = text.split_once("*** WARNING: ").unwrap();
    assert_eq!(text, golden("win7-f.txt"));
    assert!(warning.starts_with("Not complete: allocations of "), "{warning}");
    // With an image, the list has only that driver; the logs are the same.
    let (one, _) = open.run("!verifier f videoprt", Style::Win7);
    assert!(one.contains("videoprt.sys") && !one.contains("usbport.sys"), "{one}");
    assert!(one.contains(&text[text.find("Track irql").unwrap()..]), "{one}");
    // 8 alone prints only the log, with four entries by default.
    let (eight, problems) = open.run("!verifier 8", Style::Win7);
    assert!(text.ends_with(&eight) && eight.starts_with("Displaying most recent"), "{eight}");
    assert_eq!(problems, 0);
    assert_eq!(eight.matches("Thread:").count(), 4);
    assert_eq!(open.run("!verifier 8 5", Style::Win7).0.matches("Thread:").count(), 5);
    assert_eq!(open.run("!verifier 8 0n2", Style::Modern).0.matches("Thread:").count(), 2);
}

/// The stacks of a transcript: addresses and their names.
fn stacks(text: &str) -> Vec<Vec<(u64, String, String, u64)>> {
    let mut stacks = vec![Vec::new()];
    for line in text.lines() {
        let frame = line.trim().split_once(' ').and_then(|(address, name)| {
            let (module, rest) = name.split_once('!')?;
            let (symbol, displacement) = rest.split_once("+0x")?;
            let number = |text| u64::from_str_radix(text, 16).ok();
            Some((number(address)?, module.to_owned(), symbol.to_owned(), number(displacement)?))
        });
        match frame {
            Some(frame) => stacks.last_mut().unwrap().push(frame),
            None if !stacks.last().unwrap().is_empty() => stacks.push(Vec::new()),
            None => {}
        }
    }
    stacks.retain(|stack| !stack.is_empty());
    stacks
}

/// A Windows 7 x86 in which every frame of a transcript has its published name.
fn machine_of(text: &str) -> Machine {
    const NT: u64 = 0x8140_0000;
    let mut m = Machine::new(Build::Win7Sp1X86);
    // It would be nearer to one of the frames than the routine in the transcript.
    m.kernel_base(NT).without_kernel_symbol("IopXxxControlFile");
    let frames: Vec<_> = stacks(text).concat();
    let mut modules: Vec<&str> = frames.iter().map(|(_, module, ..)| module.as_str()).collect();
    modules.sort_unstable();
    modules.dedup();
    for module in modules {
        let symbols: Vec<_> = frames
            .iter()
            .filter(|frame| frame.1 == module)
            .map(|(address, _, name, displacement)| (name, address - displacement, *address))
            .collect();
        if module == "nt" {
            for (name, at, _) in symbols {
                m.kernel_symbol(name, (at - NT) as u32);
            }
            continue;
        }
        let base = symbols.iter().map(|(_, at, _)| at).min().unwrap() & !0xfff;
        let end = symbols.iter().map(|(_, _, frame)| frame).max().unwrap();
        let size = (end - base).next_multiple_of(0x1000) + 0x6000;
        let mut driver = Driver::new(&format!("{module}.sys"))
            .base(base - 0x1000)
            .size(size as u32 + 0x1000)
            .pdb(&format!("{module}.pdb"));
        let mut named = Vec::new();
        for (name, at, _) in symbols {
            if !named.contains(&name) {
                named.push(name);
                driver = driver.symbol(name, (at - (base - 0x1000)) as u32);
            }
        }
        m.driver(driver);
    }
    m
}

fn addresses(stack: &[(u64, String, String, u64)]) -> Vec<u64> {
    stack.iter().map(|frame| frame.0).collect()
}

/// A fault log whose newest two records are those of the transcript. Vista's log had longer records after a
/// head, so the positions of the entries are those of Windows 7.
#[test]
fn four_of_vista() {
    let text = golden("vista-4.txt");
    let [newest, older] = &stacks(&text)[..] else { panic!() };
    let mut m = machine_of(&text);
    // A driver that was loaded and unloaded, so it is certain that nothing is outstanding.
    m.level(8).suspect(Suspect { name: "gone.sys".into(), loads: 1, unloads: 1, address: None });
    let ring = m.log(Log::Fault);
    (ring.length, ring.address, ring.index_before) = (0x80, Some(0x8354_a000), 0x75);
    for i in 0..0x80 {
        let (thread, stack) = if i == 0x7f { (0xc263_8220, newest) } else { (0x8436_d770, older) };
        ring.push(RingRecord {
            fields: vec![("Thread", thread)],
            frames: addresses(stack),
            stale: Vec::new(),
        });
    }
    let open = Open::new(&m.build(DumpKind::Complete));
    let want = text.replace("8354B258", "8354B074").replace("8354B230", "8354B050");
    let (four, problems) = open.run("!verifier 4 2", Style::Win7);
    assert_eq!((four, problems), (want, 0));
    // Four entries by default.
    assert_eq!(open.run("!verifier 4", Style::Win7).0.matches("Entry @").count(), 4);
    assert_eq!(open.run("!verifier 0x4 10", Style::Win7).0.matches("Entry @").count(), 0x10);
    assert_eq!(open.run("!verifier 4", Style::Modern).0.matches("Thread:").count(), 4);
    // After other output, in a box.
    let (all, _) = open.run("!verifier 5", Style::Win7);
    let four = open.run("!verifier 4", Style::Win7).0;
    assert!(all.ends_with(&format!("{} \n\n{four}", "-".repeat(47))), "{all}");
}

#[test]
fn forty_of_vista() {
    let text = golden("vista-40.txt");
    let [stack] = &stacks(&text)[..] else { panic!() };
    let mut m = machine_of(&text);
    let ring = m.log(Log::ForcedPending);
    ring.length = 0x40;
    ring.push(RingRecord {
        fields: vec![("Irp", 0x8f84_ef00), ("Thread", 0x8436_d770)],
        frames: addresses(stack),
        stale: Vec::new(),
    });
    let open = Open::new(&m.build(DumpKind::Complete));
    let (forty, problems) = open.run("!verifier 40", Style::Win7);
    assert_eq!((&forty, problems), (&text, 0));
    assert_eq!(open.run("!verifier 40 8f84ef00", Style::Win7).0, forty);
    assert!(!open.run("!verifier 40 8f84ef08", Style::Win7).0.contains("IRP:"));
    assert!(!open.run("!verifier 40 0", Style::Win7).0.contains("IRP:"));
}

/// A 19041 with six records in each log, to fix our own choices: the separator of records, and the default
/// number of records. The newest records have the highest addresses.
fn windows_10() -> Machine {
    const POOL: u64 = 0xffff_a000_0600_0000;
    let mut m = Machine::new(Build::Win10Vb);
    let leaky = m.driver(Driver::new("leaky.sys").pdb("leaky.pdb").symbol("LeakyRead", 0x1200));
    let caller = m.driver_address(leaky, "LeakyRead") + 0x34;
    m.level(0x20b).verified(leaky);
    let call = |m: &Machine, name: &str| m.kernel_address(name) + 0x10;
    let frames = vec![call(&m, "IovCallDriver"), caller];
    for i in 0..6 {
        let thread = ("Thread", POOL + 0x1_0040 + i * 0x1000);
        let irp = ("Irp", POOL + 0x200 + i * 0x100);
        let (irql, tick) = ([("OldIrql", 0), ("NewIrql", 2)], ("TickCount", 0x1234 + i));
        for (log, fields) in [
            (Log::Fault, vec![thread]),
            (Log::Irql, vec![thread, irql[0], irql[1], ("Processor", 1), tick]),
            (Log::ForcedPending, vec![irp, thread]),
            (Log::Pool, vec![("Address", POOL + 0x1000 + i * 0x100), ("Size", 0x20), thread]),
            (Log::Irp, vec![irp, thread, ("KernelApcDisable", 0xffff), ("Irql", 1)]),
            (Log::CriticalRegion, vec![thread]),
        ] {
            let ring = m.log(log);
            ring.length = 0x100;
            ring.push(RingRecord { fields, frames: frames.clone(), stale: Vec::new() });
        }
        m.watched_irp(WatchedIrp {
            irp: irp.1,
            due_tick_count: 0x52 + i as u32,
            inserted: true,
            stack_location: 3,
            timeout_ticks: 0x12c,
        });
    }
    m
}

/// On x86 a large quantity is in the range of addresses.
#[test]
fn quantities_and_addresses_are_distinguished() {
    const THREAD: u64 = 0x8436_d770;
    let mut m = Machine::new(Build::Win10VbX86);
    for log in [Log::Fault, Log::Irql, Log::CriticalRegion] {
        let ring = m.log(log);
        ring.length = 0x100;
        let fields = vec![("Thread", THREAD)];
        ring.push(RingRecord { fields, frames: Vec::new(), stale: Vec::new() });
    }
    let open = Open::new(&m.build(DumpKind::Summary));
    for style in [Style::Win7, Style::Modern] {
        for (command, shown) in [
            ("!verifier 4 ffffffff", 1),
            ("!verifier 8 ffffffff", 1),
            ("!verifier 8 8436d778", 1),
            ("!verifier 200 8436d770", 1),
            ("!verifier 200 8436d778", 0),
        ] {
            let (text, problems) = open.run(command, style);
            assert_eq!(
                (text.matches("Thread:").count(), problems),
                (shown, 0),
                "{command}: {text}"
            );
        }
    }
}

#[test]
fn each_log_alone() {
    let open = Open::new(&windows_10().build(DumpKind::BitmapKernel));
    for (style, name) in [(Style::Win7, "logs-win7.txt"), (Style::Modern, "logs-modern.txt")] {
        let mut text = String::new();
        for flag in ["4", "8", "40", "80", "100", "200", "400"] {
            let command = format!("!verifier {flag}");
            let (out, problems) = open.run(&command, style);
            assert_eq!(problems, 0, "{command}");
            text.push_str(&format!("kd> {command}\n{out}\n"));
        }
        assert_eq!(text, golden(name), "{style:?}");
    }
    // By the address of an IRP, a thread, a block.
    for (command, count) in [
        ("!verifier 100 ffffa000`06000200", 1),
        ("!verifier 100 ffffa00006000208", 0),
        ("!verifier 200 ffffa00006010040", 1),
        ("!verifier 400 ffffa00006000200", 1),
        ("!verifier 400 ffffa00006000201", 0),
        ("!verifier 80 ffffa00006001010", 1),
    ] {
        let (out, _) = open.run(command, Style::Modern);
        // Each record has a stack, except those of 400.
        let stacks = out.matches("leaky!LeakyRead").count();
        let found = if command.contains(" 400 ") { out.matches("Irp:").count() } else { stacks };
        assert_eq!(found, count, "{command}: {out}");
    }
}

/// Two images of one entry have a section each, with their own counters and blocks.
#[test]
fn a_section_for_each_image() {
    const BLOCKS: u64 = 0xffff_9a8f_5000_0000;
    let mut m = Machine::new(Build::Win10Vb);
    m.level(8);
    for (name, count) in [("a.sys", 2), ("b.sys", 1)] {
        let driver = m.driver(Driver::new(name));
        let caller = m.image(driver).base + 0x1200;
        let verified = m.verified(driver);
        for i in 0..count {
            let block = BLOCKS + count * 0x1_0000 + i * 0x100;
            verified.allocation(Allocation::nonpaged(block, 0x40 * count, b"Leak", caller));
        }
        verified.counter("PeakNonPagedBytes", 0x1000 * count);
    }
    let mut m = m.assemble();
    let (data, entry) = (m.address("verified:b.sys"), m.address("suspect:a.sys"));
    m.patch_field(data, "_VF_TARGET_VERIFIED_DRIVER_DATA", "SuspectDriverEntry", entry);
    // One pattern for both names.
    let suspect = "_VF_SUSPECT_DRIVER_ENTRY";
    let text = m.layouts().offset(suspect, "BaseName") as u64 + 8;
    let text = u64::from_le_bytes(m.read(entry + text, 8).unwrap().try_into().unwrap());
    m.patch(text, b"?");
    m.patch_field(entry, suspect, "Loads", 2);
    m.patch_field(m.address("suspect:b.sys"), suspect, "Loads", 0);
    let targets = ["target:a.sys", "target:b.sys"].map(|label| m.address(label));
    let open = Open::new(&m.sample(DumpKind::BitmapKernel));
    let (text, problems) = open.run("!verifier 3 ?.sys", Style::Modern);
    // Neither driver has symbols.
    assert_eq!(problems, 2);
    let heads: Vec<usize> = targets
        .iter()
        .map(|target| text.find(&format!("nt!_VF_TARGET_DRIVER {target:#x}: ?.sys ")).unwrap())
        .collect();
    let [a, b] = [&text[heads[0]..heads[1]], &text[heads[1]..]];
    for (section, bytes, peak, blocks) in [
        (a, "0x00000100", "0x00002000", [BLOCKS + 0x2_0000, BLOCKS + 0x2_0100].as_slice()),
        (b, "0x00000040", "0x00001000", &[BLOCKS + 0x1_0000]),
    ] {
        assert!(section.contains(&format!("Current Pool Bytes:       ( {bytes} /")), "{section}");
        assert!(section.contains(&format!("Peak Pool Bytes:          ( {peak} /")), "{section}");
        let shown: Vec<&str> = section.lines().filter(|line| line.contains("  Leak  ")).collect();
        let told: Vec<String> = blocks.iter().map(|block| format!("      {block:#x}  ")).collect();
        assert_eq!(shown.len(), told.len(), "{section}");
        assert!(shown.iter().zip(&told).all(|(line, block)| line.starts_with(block)), "{section}");
        assert!(section.ends_with("displayed with public symbols.\n\n"), "{section}");
    }
}

#[test]
fn flags_together_print_everything() {
    let open = Open::new(&windows_10().build(DumpKind::BitmapKernel));
    for style in [Style::Win7, Style::Modern] {
        let (summary, _) = open.run("!verifier", style);
        let (all, problems) = open.run("!verifier 7cf", style);
        assert_eq!(problems, 0);
        assert!(all.starts_with(&summary));
        let mut at = 0;
        for title in [
            "leaky.sys",
            "Fault injection trace log",
            "Track irql trace log",
            "Force pending I/O requests log",
            "Pool allocate/free log",
            "IRP log",
            "Critical region log",
            "Canceled IRPs being watched",
        ] {
            let found = all[at..].find(title).unwrap_or_else(|| panic!("{title}: {all}"));
            at += found;
        }
        // 2 without 1 has no effect.
        assert_eq!(open.run("!verifier 2", style).0, summary);
        // For output that no public source shows, one line says so, and the rest is printed.
        let (most, _) = open.run("!verifier 838", style);
        assert!(most.starts_with(&summary) && most.contains("Track irql trace log"));
        for flag in ["10", "20", "800"] {
            assert!(most.contains(&format!("\n!verifier {flag}: ")), "{most}");
            let (alone, _) = open.run(&format!("!verifier {flag}"), style);
            assert!(alone.lines().count() == 1 && alone.contains("no public source"), "{alone}");
        }
    }
}

#[test]
fn a_missing_log_does_not_end_the_command() {
    let mut m = windows_10().assemble();
    // The pages of one log are absent, another log was never created.
    m.remove_page(m.address("ring:VfKeCriticalRegionTraces"));
    m.patch_pointer(m.address("nt!IovIrpTraces"), 0);
    let open = Open::new(&m.sample(DumpKind::BitmapKernel));
    let (text, problems) = open.run("!verifier 308", Style::Modern);
    assert!(text.contains("The IRP log is empty: the log is off"), "{text}");
    assert!(text.contains("Time stamp:"), "{text}");
    assert!(problems >= 1);
}

#[test]
fn syntax_and_what_a_dump_cannot_do() {
    let open = Open::new(&windows_10().build(DumpKind::BitmapKernel));
    let (help, _) = open.run("!verifier ?", Style::Modern);
    assert!(help.starts_with("!verifier [Flags [Image]]\n"), "{help}");
    assert_eq!(open.run("!verifier -?", Style::Modern).0, help);
    // Names match in any case, as in a published session.
    for (named, plain) in
        [("!Verifier 3 LEAKY", "!verifier 3 leaky"), ("LM", "lm"), (".BugCheck", ".bugcheck")]
    {
        assert_eq!(open.run(named, Style::Modern), open.run(plain, Style::Modern));
    }
    assert!(open.usage("!verifier -disable").contains("a dump is not changed"));
    assert!(open.usage("!verifier 4 1 2").ends_with("takes one quantity"));
    assert!(open.usage("!verifier 80 1 2").ends_with("takes one quantity or address"));
    assert!(open.usage("!verifier 3 a.sys b.sys").contains("one image"));
    assert!(open.usage("!verifier 1001").contains("1000 is not a flag"));
    assert!(open.usage("!verifier three").contains("is not a number"));
}
