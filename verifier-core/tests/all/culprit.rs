//! The culprit of a bug check: each parameter by its kind, and the driver that the strongest of them leads to.

use crate::common::{is_wide, open, tiny_kernel_after};
use verifier_core::Va;
use verifier_core::analysis::{BlockState, BugCheckReport, LeadsBy};
use verifier_core::kernel::{Kernel, Limits};
use verifier_core::memory::SparsePages;
use verifier_synth::{
    Allocation, Assembly, BugCheck, Build, Driver, Machine, MachineType, PoolRecord, UnloadedDriver,
};

const BUILDS: [Build; 4] = [Build::Win7Sp1X86, Build::Win10Vb, Build::Win11, Build::Win11Arm64];

/// A machine with the verified drivers quiet.sys and leaky.sys.
struct Crash {
    build: Build,
    assembly: Assembly,
    /// An address in `leaky!LeakyTouch`, `leaky!LeakyOpen` and `quiet!QuietFree`.
    touch: u64,
    open: u64,
    free: u64,
    /// A block that leaky.sys holds, and one that it allocated and quiet.sys freed.
    held: u64,
    freed: u64,
    /// Unused memory.
    spare: u64,
    /// `KiBugCheckDriver`, an address in the kernel.
    note: u64,
}

impl Crash {
    fn new(build: Build) -> Self {
        let wide = is_wide(build);
        let first = if wide { 0xffff_9a8f_5000_0000 } else { 0x8500_0000 };
        let (held, freed) = (first + 0xfc0, first + 0x4000);
        let mut m = Machine::new(build);
        let quiet = m.driver(Driver::new("quiet.sys").symbol("QuietFree", 0x1100));
        let leaky = Driver::new("leaky.sys").pdb("leaky.pdb").symbol("LeakyOpen", 0x1200);
        let leaky = m.driver(leaky.symbol("LeakyTouch", 0x1400));
        let open = m.driver_address(leaky, "LeakyOpen") + 0x34;
        let touch = m.driver_address(leaky, "LeakyTouch") + 0x2b;
        let free = m.driver_address(quiet, "QuietFree") + 0x10;
        m.level(8).verified(quiet);
        m.verified(leaky).allocation(Allocation::nonpaged(held, 0x40, b"Leak", open));
        let allocate = m.kernel_address("VeAllocatePoolWithTagPriority") + 0x20;
        let release = m.kernel_address("VerifierExFreePoolWithTag") + 0x10;
        let thread = first + 0x8000;
        for (address, size, frames) in [
            (freed, 0x100, vec![allocate, open]),
            (freed, 0x100, vec![release, free]),
            (held, 0x40, vec![allocate, open]),
        ] {
            m.pool_record(PoolRecord { address, size, thread, frames, stale: Vec::new() });
        }
        m.unloaded_driver(UnloadedDriver {
            name: "gone.sys".into(),
            start: first + 0x10_0000,
            end: first + 0x11_0000,
            time: 7,
        });
        let last = m.kernel_mut().size - 0x1000;
        m.kernel_symbol("KiBugCheckDriver", last);
        let note = m.kernel_address("KiBugCheckDriver");
        let mut assembly = m.assemble();
        assembly.patch_pointer(note, 0);
        let spare = first + 0x20_0000;
        Self { build, assembly, touch, open, free, held, freed, spare, note }
    }

    fn pointer(&mut self, at: u64, value: u64) {
        self.assembly.patch_pointer(at, value);
    }

    fn name(&mut self, at: u64, name: &str) {
        let units: Vec<u8> = name.encode_utf16().flat_map(u16::to_le_bytes).collect();
        let length = units.len() as u16;
        self.assembly.patch(at, &[length.to_le_bytes(), (length + 2).to_le_bytes()].concat());
        let pointer_size = if is_wide(self.build) { 8 } else { 4 };
        self.pointer(at + pointer_size, at + 0x80);
        self.assembly.patch(at + 0x80, &units);
    }

    /// The kernel notes a driver.
    fn note(&mut self, name: &str) {
        let at = self.spare + 0x2000;
        self.name(at, name);
        self.pointer(self.note, at);
    }

    fn kernel(&mut self, code: u32, parameters: [u64; 4]) -> Kernel {
        self.assembly.header.bug_check = Some(BugCheck { code, parameters });
        open(&self.assembly)
    }

    fn report(&mut self, code: u32, parameters: [u64; 4]) -> BugCheckReport {
        BugCheckReport::read(&self.kernel(code, parameters)).expect("a bug check")
    }

    /// A driver object of quiet.sys, a device object of it, and an IRP that is at the device.
    fn objects(&mut self) -> [u64; 3] {
        let wide = is_wide(self.build);
        let at = |wide_offset, narrow| if wide { wide_offset } else { narrow };
        let (driver, device, irp) = (self.spare, self.spare + 0x400, self.spare + 0x800);
        self.assembly.patch(driver, &[4, 0]);
        self.pointer(driver + at(0x18, 0xc), self.free & !0xfff);
        self.name(driver + at(0x38, 0x1c), "\\Driver\\quiet");
        self.assembly.patch(device, &[3, 0]);
        self.pointer(device + 8, driver);
        self.assembly.patch(irp, &[6, 0]);
        self.assembly.patch(irp + at(0x42, 0x22), &[3, 2]);
        let location = irp + 0x200;
        self.pointer(irp + at(0xb8, 0x60), location);
        self.assembly.patch(location, &[3]);
        self.pointer(location + at(0x28, 0x14), device);
        [driver, device, irp]
    }
}

/// Driver, code, certainty.
#[track_caller]
fn blamed(report: &BugCheckReport) -> (&str, Option<u64>, bool) {
    let culprit = report.culprit.as_ref().unwrap_or_else(|| panic!("{:?}", report.why_unknown));
    (&culprit.driver, culprit.code.map(|code| code.address.0), culprit.is_certain)
}

#[test]
fn code_in_a_parameter_is_the_culprit() {
    for build in BUILDS {
        let mut crash = Crash::new(build);
        let (touch, held) = (crash.touch, crash.held);
        let report = crash.report(0xd6, [held + 0x48, 1, touch, 0]);
        assert_eq!(blamed(&report), ("leaky.sys", Some(touch), true), "{build:?}");
        assert!(!report.culprit.as_ref().unwrap().code.unwrap().is_return);
        let because = &report.culprit.as_ref().unwrap().because;
        assert_eq!(
            because,
            "parameter 3 (address of the access, if known) is an address in its code"
        );
        // The address that was accessed is past the end of a block.
        let block = report.parameters[0].block.as_ref().expect("a block");
        assert_eq!((block.address, block.size, block.past_end), (Va(held), 0x40, Some(8)));
        assert_eq!(report.parameters[1].text.as_deref(), Some("write"));
        // What a call returns to has the line of the call.
        let report = crash.report(0xc9, [0x302, touch, 0, 1]);
        assert!(report.culprit.as_ref().unwrap().code.unwrap().is_return);
        assert_eq!(report.parameters[3].text.as_deref(), Some("APC_LEVEL"));
    }
}

#[test]
fn a_block_has_its_owner_and_its_free() {
    for build in BUILDS {
        let mut crash = Crash::new(build);
        let (held, freed, open, free) = (crash.held, crash.freed, crash.open, crash.free);
        let report = crash.report(0xc1, [held, held + 0x40, 0, 0x24]);
        assert_eq!(blamed(&report), ("leaky.sys", Some(open), false), "{build:?}");
        let block = report.parameters[0].block.as_ref().expect("a block");
        assert_eq!(
            (block.state, block.driver.as_deref()),
            (BlockState::Outstanding, Some("leaky.sys"))
        );
        assert_eq!(block.tag.unwrap().to_string(), "Leak");
        let corruption = report.parameters[1].block.as_ref().expect("the same block");
        assert_eq!((corruption.address, corruption.past_end), (Va(held), Some(0)));
        // A block that quiet.sys freed, by an address in it and by its pool header.
        let header = freed - if is_wide(build) { 0x10 } else { 8 };
        for (code, parameters, number) in
            [(0xc1, [freed + 0x10, 0, 0, 0x20], 0), (0xc4, [0x13, 0, header, 0], 2)]
        {
            let report = crash.report(code, parameters);
            assert_eq!(blamed(&report), ("quiet.sys", Some(free), false), "{build:?} {code:#x}");
            let fact = &report.parameters[number];
            assert_eq!(fact.by, Some(LeadsBy::FreedBlock));
            let block = fact.block.as_ref().expect("a block");
            assert_eq!((block.state, block.allocated_by), (BlockState::Freed, Some(Va(open))));
            assert_eq!(
                (block.driver.as_deref(), block.freed_by),
                (Some("leaky.sys"), Some(Va(free)))
            );
        }
        let report = crash.report(0xc1, [held + 0x8_0000, 0, 0, 0x20]);
        assert_eq!(report.culprit, None);
        let why = report.parameters[0].why_unknown.as_ref().unwrap();
        assert!(why.starts_with("no outstanding block holds this address"), "{why}");
    }
}

#[test]
fn objects_have_their_drivers() {
    for build in BUILDS {
        let mut crash = Crash::new(build);
        let [driver, device, irp] = crash.objects();
        let report = crash.report(0xc4, [0x1013, driver, 0, 0]);
        assert_eq!(report.parameters[1].text.as_deref(), Some("\\Driver\\quiet (quiet.sys)"));
        assert_eq!(blamed(&report), ("quiet.sys", None, false), "{build:?}");
        let report = crash.report(0xc9, [0x5, device, 0, 2]);
        assert_eq!(report.parameters[1].text.as_deref(), Some("of \\Driver\\quiet (quiet.sys)"));
        assert_eq!(blamed(&report), ("quiet.sys", None, false), "{build:?}");
        let report = crash.report(0xc9, [0x1, irp, 0, 0]);
        let text = report.parameters[1].text.as_deref();
        assert_eq!(text, Some("IRP_MJ_READ, at \\Driver\\quiet (quiet.sys)"), "{build:?}");
        assert_eq!(report.parameters[1].by, Some(LeadsBy::Irp));
        // Other memory is not taken for an object.
        let report = crash.report(0xc9, [0x4, irp, 0, 0]);
        let why = report.parameters[1].why_unknown.as_deref();
        assert_eq!(why, Some("there is no device object: its Type is 0x6, not 3"));
        assert_eq!(report.culprit, None);
        // An IRP whose location is past its stack was not sent yet.
        let at = if is_wide(build) { 0x43 } else { 0x23 };
        crash.assembly.patch(irp + at, &[4]);
        let report = crash.report(0xc9, [0x1, irp, 0, 0]);
        assert!(report.parameters[1].text.as_ref().unwrap().starts_with("not sent"));
    }
}

#[test]
fn the_driver_that_the_kernel_noted_is_the_culprit() {
    for build in BUILDS {
        let mut crash = Crash::new(build);
        let touch = crash.touch;
        crash.note("leaky.sys");
        let report = crash.report(0xce, [1, 0, touch, 0]);
        assert_eq!(blamed(&report), ("leaky.sys", Some(touch), true), "{build:?}");
        let because = &report.culprit.as_ref().unwrap().because;
        assert_eq!(because, "the kernel noted it in KiBugCheckDriver");
        // So it is for bug checks that Verifier has nothing to do with.
        let report = crash.report(0xd1, [0; 4]);
        assert_eq!(blamed(&report), ("leaky.sys", None, true), "{build:?}");
        // Verifier's own image reports violations, and does not commit them.
        crash.note("VerifierExt.sys");
        let report = crash.report(0xce, [1, 0, 0, 0]);
        assert_eq!(report.culprit, None);
        let why = report.why_unknown.unwrap();
        assert!(why.contains("the kernel noted only VerifierExt.sys"), "{why}");
    }
}

#[test]
fn an_unloaded_driver_is_the_culprit_of_what_it_left_behind() {
    let mut crash = Crash::new(Build::Win10Vb);
    let (gone, touch) = (crash.spare - 0x10_0000 + 0x1234, crash.touch);
    let report = crash.report(0xd4, [gone, 2, 0, touch]);
    assert_eq!(blamed(&report), ("gone.sys", Some(gone), true));
    assert_eq!(report.parameters[0].by, Some(LeadsBy::UnloadedImage));
}

/// With the type of the tracking structure (19041) and without it.
#[test]
fn the_stack_that_locked_pages_names_the_culprit() {
    for build in [Build::Win10Vb, Build::Win11, Build::Win7Sp1X86] {
        let mut crash = Crash::new(build);
        let (spare, touch) = (crash.spare, crash.touch);
        let kernel = crash.note;
        let (at, step) = if is_wide(build) { (0x48, 8) } else { (0x24, 4) };
        crash.pointer(spare + at, kernel);
        crash.pointer(spare + at + step, touch);
        crash.assembly.patch(spare + 0x200, &[0]);
        let report = crash.report(0xcb, [spare, 0, spare + 0x400, 4]);
        assert_eq!(blamed(&report), ("leaky.sys", Some(touch), true), "{build:?}");
        assert_eq!(report.parameters[0].by, Some(LeadsBy::LockedPages));
        // Up to Server 2003 the parameter is the code itself.
        let report = crash.report(0xcb, [touch, 0, spare + 0x400, 4]);
        assert_eq!(blamed(&report), ("leaky.sys", Some(touch), true), "{build:?}");
    }
}

/// A violated rule has no parameter that leads to a driver: its stack does.
#[test]
fn the_first_driver_on_the_stack_is_likely_the_culprit() {
    for build in BUILDS {
        let mut crash = Crash::new(build);
        let (stack, touch) = (crash.spare + 0x3100, crash.touch);
        let step = if is_wide(build) { 8 } else { 4 };
        let kernel = crash.note;
        // A value that does not follow a call is left over.
        for (i, value) in [kernel, crash.open, touch, crash.free].into_iter().enumerate() {
            crash.pointer(stack + step * i as u64, value);
        }
        let (machine, call): (_, &[u8]) = match crash.assembly.header.machine {
            MachineType::Arm64 => (0x100, &[0x10, 0, 0, 0x94]),
            MachineType::X86 => (0xc4, &[0xe8, 1, 2, 3, 4]),
            _ => (0x98, &[0xe8, 1, 2, 3, 4]),
        };
        crash.assembly.patch(touch - call.len() as u64, call);
        let mut context = vec![0u8; machine];
        context.extend(stack.to_le_bytes());
        crash.assembly.header.context = Some(context);
        let report = crash.report(0xc4, [0x20011, crash.note, 0, 0]);
        assert_eq!(blamed(&report), ("leaky.sys", Some(touch), false), "{build:?}");
        // Nothing is blamed for a crash that Verifier has nothing to do with.
        let report = crash.report(0xe2, [0; 4]);
        assert_eq!(report.culprit, None);
        assert!(report.why_unknown.unwrap().starts_with("this bug check is not one of"));
    }
}

#[test]
fn without_any_trace_the_reasons_are_said() {
    let mut crash = Crash::new(Build::Win11);
    let report = crash.report(0xc4, [0x91, 0, 0, 0]);
    assert_eq!(report.culprit, None);
    assert_eq!(
        report.why_unknown.as_deref(),
        Some(
            "no parameter leads to a driver; the kernel did not note a driver (KiBugCheckDriver is \
             null); the stack pointer at the crash is unknown"
        )
    );
    // Without symbols, the variable is unknown.
    let bug_check = verifier_core::dump::BugCheck { code: 0xc4, parameters: [0x91, 0, 0, 0] };
    let kernel = tiny_kernel_after(SparsePages::new(), Some(bug_check), Limits::default());
    let why = BugCheckReport::read(&kernel).unwrap().why_unknown.unwrap();
    assert!(why.contains("no symbols for the kernel"), "{why}");
    let live = crash.report(0x1e5, [0, 0x1b8, 1, 1]);
    assert_eq!(live.why_unknown.as_deref(), Some("the machine did not crash"));
}
