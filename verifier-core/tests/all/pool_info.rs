//! The pool info trees of newer kernels and contiguous memory, on machines whose bytes are all known.

use crate::common::{assert_reported, open, open_with};
use verifier_core::kernel::Limits;
use verifier_core::verifier::{
    Allocation, AttributedBy, Impossible, PoolInfo, PoolReport, PoolStacks, PoolTag, Source,
};
use verifier_core::{Problem, Va};
use verifier_synth::{
    Assembly, Build, Driver, DriverId, Machine, MachineType, PoolStack, Suspect, UnloadedDriver,
};

const WITH_TREES: [Build; 4] = [Build::Server2022, Build::Win11, Build::Win11Ge, Build::Win11Arm64];
const POOL: u64 = 0xffff_9a8f_5000_0000;
/// The former address of an unloaded image.
const GONE: u64 = 0xffff_f803_2000_0000;

fn report(m: &Assembly) -> PoolReport {
    PoolReport::read(&open(m), |_| true).unwrap()
}

fn tag(text: &[u8; 4]) -> PoolTag {
    PoolTag(u32::from_le_bytes(*text))
}

/// Two verified drivers, one that is not verified, and one that was unloaded.
struct Four {
    machine: Machine,
    leaky: DriverId,
    quiet: DriverId,
    bystander: DriverId,
}

impl Four {
    fn new(build: Build) -> Self {
        let mut machine = Machine::new(build);
        machine.level(8);
        let leaky = machine.driver(Driver::new("leaky.sys"));
        let quiet = machine.driver(Driver::new("quiet.sys"));
        let bystander = machine.driver(Driver::new("bystander.sys"));
        machine.verified(leaky);
        machine.verified(quiet);
        machine.unverified_target(bystander);
        machine.suspect(Suspect { name: "gone.sys".into(), loads: 2, unloads: 2, address: None });
        // It had two addresses; another image is now at one of them.
        let taken = machine.image(bystander).base;
        for start in [GONE, taken] {
            let end = start + 0x8000;
            machine.unloaded_driver(UnloadedDriver {
                name: "GONE.SYS".into(),
                start,
                end,
                time: 1,
            });
        }
        machine.pool_info();
        Self { machine, leaky, quiet, bystander }
    }

    fn at(&self, driver: DriverId, offset: u64) -> u64 {
        self.machine.image(driver).base + offset
    }

    fn nt(&self, name: &str) -> u64 {
        self.machine.kernel_address(name) + 0x10
    }

    fn stack(&mut self, tag: &[u8; 4], hash: u32, frames: Vec<u64>) -> usize {
        let stack = PoolStack { tag: *tag, hash, nonpaged: true, frames, ..PoolStack::default() };
        self.machine.pool_info().stack(stack)
    }

    /// Blocks of leaky.sys, all with one stack, at addresses without other structures.
    fn blocks(&mut self, count: u64) -> usize {
        let frames = vec![self.nt("VerifierExAllocatePoolWithTag"), self.at(self.leaky, 0x1234)];
        let stack = self.stack(b"Leak", 7, frames);
        for i in 0..count {
            self.machine.pool_info().block(POOL + 0x100 * i, 0x80, stack);
        }
        stack
    }
}

type Told = (u64, u64, PoolTag, u64);

fn told(allocations: &[Allocation]) -> Vec<Told> {
    allocations.iter().map(|a| (a.address.0, a.size, a.tag, a.caller.0)).collect()
}

fn attributed_by(allocations: &[Allocation]) -> Vec<Option<AttributedBy>> {
    allocations.iter().map(|a| a.source.attributed_by()).collect()
}

mod builds {
    use super::*;

    /// Blocks of two drivers, of an unloaded driver and without a driver; a full stack, freed blocks.
    fn scenario(build: Build) {
        let mut four = Four::new(build);
        let (leaky, quiet, bystander) = (four.leaky, four.quiet, four.bystander);
        let nt = four.nt("ExAllocatePoolWithTag");
        let verifier = four.nt("VerifierExAllocatePoolWithTag");
        // Fifty frames; the first outside the kernel is not in a verified image.
        let mut deep = vec![verifier, four.at(bystander, 0x2000), four.at(leaky, 0x1234)];
        deep.resize(50, nt);
        deep[49] = four.at(quiet, 0x10);
        let info = four.machine.pool_info();
        let deep = info.stack(PoolStack {
            tag: *b"Deep",
            hash: 0xffff_fff0,
            nonpaged: true,
            frames: deep,
            freed: vec![0x40; 3],
            lost: vec![],
        });
        for (i, address) in [0x3000, 0x1000, 0x2000].into_iter().enumerate() {
            info.block(POOL + address, 0x100 + i as u64, deep);
        }
        // A failed allocation.
        info.block(0, 0x30, deep);
        let quiet_frame = four.at(quiet, 0x777);
        let paged =
            PoolStack { tag: *b"Quie", hash: 1, frames: vec![quiet_frame], ..Default::default() };
        let paged = four.machine.pool_info().stack(paged);
        four.machine.pool_info().block(POOL + 0x10_1800, 0x1_0001, paged);
        let gone = four.stack(b"Gone", 2, vec![nt, GONE + 0x4321]);
        four.machine.pool_info().block(POOL + 0x5000, 0x50, gone);
        let extension = four.machine.driver(Driver::new("VerifierExt.sys"));
        let other = vec![nt, four.at(extension, 0x1000), four.at(bystander, 0x2000), nt];
        let other = four.stack(b"Othr", 3, other);
        four.machine.pool_info().block(POOL + 0x6000, 0x60, other);
        let inside = four.stack(b"Krnl", 4, vec![nt, verifier]);
        four.machine.pool_info().block(POOL + 0x7000, 0x70, inside);
        // No live blocks.
        let done =
            PoolStack { tag: *b"Done", frames: vec![nt], freed: vec![8, 8], ..Default::default() };
        four.machine.pool_info().stack(done);
        let m = four.machine.assemble();

        let kernel = open(&m);
        let report = PoolReport::read(&kernel, |_| true).unwrap();
        assert_eq!(report.problems, [], "{build:?}");
        let [of_leaky, of_quiet, of_gone] = &report.drivers[..] else { panic!("three drivers") };
        let caller = four.at(leaky, 0x1234);
        assert_eq!(
            told(&of_leaky.allocations),
            [
                (POOL + 0x1000, 0x101, tag(b"Deep"), caller),
                (POOL + 0x2000, 0x102, tag(b"Deep"), caller),
                (POOL + 0x3000, 0x100, tag(b"Deep"), caller),
            ],
            "{build:?}"
        );
        assert_eq!(attributed_by(&of_leaky.allocations), [Some(AttributedBy::Image); 3]);
        assert!(of_leaky.allocations.iter().all(|a| a.source.name() == "pool info tree"));
        let quiet_block = (POOL + 0x10_1800, 0x1_0001, tag(b"Quie"), quiet_frame);
        assert_eq!(told(&of_quiet.allocations), [quiet_block]);
        assert_eq!(of_gone.driver.name, "gone.sys");
        assert_eq!(
            told(&of_gone.allocations),
            [(POOL + 0x5000, 0x50, tag(b"Gone"), GONE + 0x4321)]
        );
        assert_eq!(attributed_by(&of_gone.allocations), [Some(AttributedBy::UnloadedImage)]);
        // Without a verified image, the caller is the first frame outside the kernel, else the first frame.
        assert_eq!(
            told(&report.unowned),
            [
                (POOL + 0x6000, 0x60, tag(b"Othr"), four.at(bystander, 0x2000)),
                (POOL + 0x7000, 0x70, tag(b"Krnl"), nt),
            ]
        );
        assert_eq!(attributed_by(&report.unowned), [None, None]);

        let info = &report.pool_info;
        assert_eq!((info.blocks.len(), info.blocks_counted, info.unread()), (7, Some(8), 0));
        assert_eq!(info.failed, 1);
        assert_eq!((info.stacks.len(), info.stacks_counted), (6, Some(6)));
        let links = m.layouts().size("_RTL_BALANCED_LINKS") as u64;
        for (i, block) in [(1, POOL + 0x1000), (0, POOL + 0x3000)] {
            let element = Va(m.address(&format!("pool block:{i}")) + links);
            let found = info.blocks.iter().find(|b| b.address == Va(block)).unwrap();
            assert_eq!(found.element, element);
        }
        let deep = info.stacks.iter().find(|stack| stack.tag == tag(b"Deep")).unwrap();
        assert_eq!(deep.hash, 0xffff_fff0);
        assert_eq!(deep.frames.len(), 50);
        assert_eq!(deep.frames[49], Va(four.at(quiet, 0x10)));
        assert_eq!((deep.allocations, deep.frees, deep.live_count()), (7, 3, 4));
        let live = 0x100 + 0x101 + 0x102;
        assert_eq!((deep.bytes_allocated, deep.bytes_freed), (live + 0x30 + 0xc0, 0xc0));
        assert_eq!((deep.blocks, deep.block_bytes), (3, live));
        assert_eq!(deep.is_nonpaged(), Some(true));
        assert_eq!(info.stacks.iter().find(|s| s.hash == 1).unwrap().is_nonpaged(), Some(false));

        let stacks = PoolStacks::read(&kernel, |_| true).unwrap();
        let order: Vec<_> = stacks
            .stacks
            .iter()
            .map(|owned| (owned.stack.tag, owned.driver.as_ref().map(|(name, _)| name.as_str())))
            .collect();
        assert_eq!(
            order,
            [
                (tag(b"Quie"), Some("quiet.sys")),
                (tag(b"Deep"), Some("leaky.sys")),
                (tag(b"Krnl"), None),
                (tag(b"Othr"), None),
                (tag(b"Gone"), Some("gone.sys")),
                (tag(b"Done"), None),
            ]
        );
        let of_leaky = PoolStacks::read(&kernel, |driver| driver.is_named("leaky")).unwrap();
        assert_eq!(of_leaky.stacks.len(), 1);
        // The report of one driver leaves out blocks without a driver.
        let of_leaky = PoolReport::read(&kernel, |driver| driver.is_named("leaky")).unwrap();
        assert_eq!((of_leaky.drivers.len(), of_leaky.unowned.len()), (1, 0));
        assert_eq!(of_leaky.drivers[0].allocations.len(), 3);
    }

    #[test]
    fn builds_with_trees() {
        for build in WITH_TREES {
            scenario(build);
        }
    }

    #[test]
    fn builds_without_say_so() {
        for build in Build::ALL.into_iter().filter(|build| !WITH_TREES.contains(build)) {
            let mut m = Machine::new(build);
            let driver = m.driver(Driver::new("leaky.sys"));
            m.verified(driver);
            let report = report(&m.assemble());
            assert_eq!(report.problems, [], "{build:?}");
            let why = report.pool_info.empty_because.unwrap();
            assert!(why.starts_with("this kernel has no pool info tree"), "{build:?}: {why}");
        }
    }

    #[test]
    fn a_32_bit_kernel_with_a_tree_is_not_guessed_at() {
        let mut machine = Machine::new(Build::Win10VbX86);
        let driver = machine.driver(Driver::new("leaky.sys"));
        machine.verified(driver);
        machine.kernel_symbol("ViPoolInfoAvl", 0x30_0000);
        let mut m = machine.assemble();
        m.patch(m.address("nt!VfOptionFlags"), &0x1000_u32.to_le_bytes());
        let report = report(&m);
        assert_eq!(report.problems.len(), 1);
        let table = m.address("nt!ViPoolInfoAvl");
        assert_reported(&report.problems, table, "the elements of a 32-bit kernel are not known");
    }

    #[test]
    fn one_block_one_node_and_none() {
        for count in [0, 1, 2] {
            let mut four = Four::new(Build::Win11);
            four.blocks(count);
            let report = report(&four.machine.assemble());
            assert_eq!(report.problems, []);
            assert_eq!(report.drivers[0].allocations.len() as u64, count);
            assert!(report.pool_info.is_on());
        }
    }
}

mod option {
    use super::*;

    #[test]
    fn a_clear_bit_means_tracking_pages() {
        let mut four = Four::new(Build::Win11);
        four.blocks(4);
        let mut m = four.machine.assemble();
        // The trees are being removed: their contents are no longer updated.
        m.patch(m.address("nt!VfOptionFlags"), &0xefff_u32.to_le_bytes());
        let report = report(&m);
        assert_eq!(report.problems, []);
        assert_eq!(report.drivers[0].allocations, []);
        assert!(report.pool_info.empty_because.unwrap().contains("bit 0x1000"));
    }

    #[test]
    fn flags_that_cannot_be_read_leave_it_to_the_tree() {
        for count in [0, 3] {
            let mut four = Four::new(Build::Server2022);
            four.machine.kernel_symbol("VfOptionFlags", 0x60_0000);
            four.blocks(count);
            let mut m = four.machine.assemble();
            let flags = m.address("nt!VfOptionFlags");
            m.remove_page(flags);
            let report = report(&m);
            assert_eq!(report.drivers[0].allocations.len() as u64, count);
            if count == 0 {
                assert_eq!(report.problems, []);
                assert!(report.pool_info.empty_because.unwrap().contains("cannot be read"));
            } else {
                assert_eq!(report.problems.len(), 1);
                assert_reported(&report.problems, flags, "VfOptionFlags");
                assert!(report.pool_info.is_on());
            }
        }
    }

    #[test]
    fn failures_and_tags_are_shown() {
        for build in WITH_TREES {
            let mut four = Four::new(build);
            four.blocks(1);
            let info = four.machine.pool_info();
            (info.insertion_failures, info.deletion_failures, info.stack_failures) = (3, 4, 5);
            if build != Build::Server2022 {
                info.tags = vec![*b"Leak", *b"Two "];
            }
            let m = four.machine.assemble();
            let at = |name: &str| m.address(&format!("nt!{name}"));
            let info = PoolInfo::read(&open(&m)).unwrap();
            assert_reported(
                &info.problems,
                at("ViPoolInfoAllocInsertionFailure"),
                "3 blocks were not",
            );
            assert_reported(
                &info.problems,
                at("ViPoolStackInfoFailureCount"),
                "5 stacks, and so their",
            );
            let of_tags = build != Build::Server2022;
            if of_tags {
                assert_reported(
                    &info.problems,
                    at("DifpPoolTags"),
                    "other tags than Leak, Two  are",
                );
            }
            assert_eq!(info.problems.len(), 2 + usize::from(of_tags));
            assert_eq!(info.insertion_failures, Some(3));
            assert_eq!(info.deletion_failures, Some(4));
            assert_eq!(info.stack_failures, Some(5));
            let want = [tag(b"Leak"), tag(b"Two ")];
            assert_eq!(info.tags, if build == Build::Server2022 { &[][..] } else { &want });
        }
        // More than ten tags mean that the list is not valid.
        let mut four = Four::new(Build::Win11);
        four.blocks(1);
        let mut m = four.machine.assemble();
        m.patch(m.address("nt!DifpPoolTagsSize"), &11u32.to_le_bytes());
        assert_eq!(PoolInfo::read(&open(&m)).unwrap().tags, []);
    }
}

mod damage {
    use super::*;

    const LINKS: &str = "_RTL_BALANCED_LINKS";
    const TABLE: &str = "_VF_AVL_TABLE";
    const COUNT: &str = "RtlTable.NumberGenericTableElements";

    fn with(count: u64) -> (Four, Assembly) {
        let mut four = Four::new(Build::Win11);
        four.blocks(count);
        let m = four.machine.assemble();
        (four, m)
    }

    fn node(m: &Assembly, kind: &str, number: u64) -> u64 {
        m.address(&format!("pool {kind}:{number}"))
    }

    fn element(m: &Assembly, kind: &str, number: u64) -> u64 {
        node(m, kind, number) + m.layouts().size(LINKS) as u64
    }

    fn set(m: &mut Assembly, kind: &str, number: u64, field: &str, value: u64) {
        let at = element(m, kind, number);
        let structure = if kind == "block" { "_VI_POOL_INFO" } else { "_VI_POOL_STACK_INFO" };
        m.patch_field(at, structure, field, value);
    }

    fn numbers(report: &PoolReport) -> Vec<u64> {
        let all = report.allocations();
        all.map(|(_, a)| (a.address.0 - POOL) / 0x100).collect()
    }

    #[test]
    fn a_tree_that_closes_into_a_ring() {
        let (_, mut m) = with(31);
        // The leftmost leaf leads back to the root.
        let (leaf, root) = (node(&m, "block", 0), node(&m, "block", 15));
        m.patch_field(leaf, LINKS, "LeftChild", root);
        let report = report(&m);
        assert_eq!(numbers(&report), (0..31).collect::<Vec<_>>());
        assert_reported(&report.problems, root, "reached twice; 31 of 31 elements were reached");
        assert_eq!(report.problems.len(), 1);
    }

    #[test]
    fn counts_that_are_wrong() {
        for (global, wrong) in [("ViPoolInfoAvl", 0xffff_ffff), ("ViPoolStackInfoAvl", 5)] {
            let (_, mut m) = with(9);
            let table = m.address(&format!("nt!{global}"));
            m.patch_field(table, TABLE, COUNT, wrong);
            let report = report(&m);
            assert_eq!(numbers(&report), (0..9).collect::<Vec<_>>());
            assert_eq!(report.problems.len(), 1, "{:?}", report.problems);
            assert_reported(&report.problems, table, &format!("the table counts {wrong} elements"));
            let unread = if global == "ViPoolInfoAvl" { wrong - 9 } else { 0 };
            assert_eq!(report.pool_info.unread(), unread);
        }
    }

    #[test]
    fn a_stack_that_is_null() {
        let (mut four, _) = with(2);
        four.machine.pool_info().block(POOL + 0x200, 0x20, None);
        four.machine.pool_info().block(POOL + 0x300, 0x20, None);
        let m = four.machine.assemble();
        let report = report(&m);
        assert_eq!(numbers(&report), [0, 1, 2, 3]);
        assert_eq!(told(&report.unowned)[0], (POOL + 0x200, 0x20, PoolTag(0), 0));
        assert_eq!(report.unowned[0].source, Source::PoolInfo { stack: None, attributed_by: None });
        assert_eq!(report.problems.len(), 1);
        let why = "has no stack: null; 2 are like this, the first is shown";
        assert_reported(&report.problems, element(&m, "block", 2), why);
    }

    #[test]
    fn a_stack_that_is_not_in_the_tree() {
        // The tree of stacks is empty; the element itself is undamaged.
        let (_, mut m) = with(3);
        let table = m.address("nt!ViPoolStackInfoAvl");
        m.patch_field(table, TABLE, "RtlTable.BalancedRoot.RightChild", 0);
        m.patch_field(table, TABLE, COUNT, 0);
        let report = report(&m);
        assert_eq!(numbers(&report), [0, 1, 2]);
        assert_eq!(report.drivers[0].allocations.len(), 3, "told by the stack all the same");
        assert!(!report.pool_info.stacks[0].is_in_tree);
        assert_eq!(report.pool_info.stacks[0].blocks, 3);
        assert_eq!(report.problems.len(), 1, "{:?}", report.problems);
        assert_reported(&report.problems, element(&m, "stack", 0), "is not in ViPoolStackInfoAvl");
    }

    #[test]
    fn a_stack_after_a_gap_of_the_tree_is_not_stray() {
        // The tree cannot be walked, which is reported; the elements that were not reached follow from that.
        let (_, mut m) = with(3);
        let (table, nowhere) = (m.address("nt!ViPoolStackInfoAvl"), 0xffff_9a00_0000_1000);
        m.patch_field(table, TABLE, "RtlTable.BalancedRoot.RightChild", nowhere);
        let report = report(&m);
        assert_eq!(report.drivers[0].allocations.len(), 3);
        assert_eq!(report.problems.len(), 1, "{:?}", report.problems);
        assert_reported(&report.problems, nowhere, "0 of 1 elements were reached");
    }

    #[test]
    fn a_pointer_that_does_not_lead_to_a_stack() {
        let (_, mut m) = with(4);
        let (nowhere, elsewhere) = (0xffff_9a00_0000_1000, m.address("nt!PsLoadedModuleList"));
        set(&mut m, "block", 1, "Stack", nowhere);
        set(&mut m, "block", 2, "Stack", elsewhere);
        let report = report(&m);
        assert_eq!(report.drivers[0].allocations.len(), 2);
        let lost = told(&report.unowned);
        assert_eq!(lost, [1, 2].map(|i| (POOL + 0x100 * i, 0x80, PoolTag(0), 0)));
        assert_eq!(report.problems.len(), 1, "{:?}", report.problems);
        assert_reported(&report.problems, nowhere, "2 are like this");
    }

    #[test]
    fn pages_that_are_absent() {
        // 0x48 bytes for each node: several pages of nodes.
        let (_, mut m) = with(400);
        let page = node(&m, "block", 30) & !0xfff;
        let there = |m: &Assembly, i: u64| {
            let (start, end) = (node(m, "block", i), element(m, "block", i) + 0x18);
            start & !0xfff != page && (end - 1) & !0xfff != page
        };
        m.remove_page(page);
        let report = report(&m);
        let found = numbers(&report);
        assert!(found.len() > 10 && found.len() < 400, "{}", found.len());
        assert!(found.iter().all(|&i| there(&m, i)));
        let reached = format!("; {} of 400 elements were reached", found.len());
        let told = report.problems.iter().any(|problem| problem.why.ends_with(&reached));
        assert!(told, "{:?}", report.problems);
        assert_eq!(report.pool_info.unread(), 400 - found.len() as u64);

        // Without the root all blocks are lost, and the report gives their number.
        let (_, mut m) = with(400);
        let root = node(&m, "block", 200);
        m.remove_page(root);
        let report = super::report(&m);
        assert_eq!((numbers(&report).len(), report.pool_info.unread()), (0, 400));
        assert_reported(&report.problems, root, "0 of 400 elements were reached");
    }

    #[test]
    fn a_table_that_is_absent() {
        let mut four = Four::new(Build::Win11);
        four.machine.kernel_symbol("ViPoolInfoAvl", 0x60_0000);
        four.blocks(3);
        let mut m = four.machine.assemble();
        let table = m.address("nt!ViPoolInfoAvl");
        m.remove_page(table);
        let report = report(&m);
        assert!(numbers(&report).is_empty());
        assert_eq!(report.problems.len(), 1);
        assert_eq!(report.problems[0].what, "ViPoolInfoAvl");
        assert_eq!(report.pool_info.blocks_counted, None);
    }

    #[test]
    fn blocks_that_are_not_allocations() {
        let (_, mut m) = with(6);
        // A failed allocation adds a null address: this is neither an allocation nor a fault.
        set(&mut m, "block", 0, "Address", 0);
        let report = report(&m);
        assert_eq!((numbers(&report), report.problems.len()), (vec![1, 2, 3, 4, 5], 0));
        assert_eq!((report.pool_info.failed, report.pool_info.unread()), (1, 0));
    }

    #[test]
    fn a_block_that_is_impossible_is_kept_and_marked() {
        let (_, mut m) = with(6);
        set(&mut m, "block", 2, "Address", 0x1234);
        set(&mut m, "block", 4, "Address", POOL + 0x300);
        set(&mut m, "block", 5, "Size", 1 << 62);
        let report = report(&m);
        let blocks = &report.drivers[0].allocations;
        let marks: Vec<_> = blocks.iter().map(|block| block.impossible).collect();
        let twice = Some(Impossible::Twice);
        let (address, size) = (Some(Impossible::Address), Some(Impossible::Size));
        assert_eq!(marks, [None, None, address, twice, twice, size]);
        let problems = &report.problems;
        assert_reported(problems, element(&m, "block", 2), "0x1234 is outside the kernel's half");
        assert_reported(problems, element(&m, "block", 4), "does not follow");
        assert_reported(problems, element(&m, "block", 4), "is that of the entry at");
        assert_reported(problems, element(&m, "block", 5), "would end past the address space");
        assert_reported(problems, element(&m, "stack", 0), "it counts 0x300 bytes live");
        assert_eq!(report.pool_info.unread(), 0);
    }

    #[test]
    fn counts_of_a_stack_that_contradict() {
        let (_, mut m) = with(3);
        set(&mut m, "stack", 0, "Frees", 9);
        let report = report(&m);
        let at = element(&m, "stack", 0);
        assert_reported(&report.problems, at, "it freed 9 of 3 allocations");
        assert_reported(&report.problems, at, "it counts 0 live, 3 blocks are");
        assert_eq!(report.problems.len(), 2);
        assert_eq!(report.pool_info.stacks[0].live_count(), 0);
        set(&mut m, "stack", 0, "Frees", 0);
        set(&mut m, "stack", 0, "Flags", 0x10);
        let report = super::report(&m);
        assert_reported(&report.problems, at, "its flags are 0x10");
        assert_eq!(report.pool_info.stacks[0].is_nonpaged(), None);
        assert_eq!(report.drivers[0].allocations.len(), 3, "its frames tell all the same");
    }

    #[test]
    fn frames_end_at_the_first_address_outside_the_kernel() {
        let (_, mut m) = with(1);
        let frames = element(&m, "stack", 0) + 0x28;
        m.patch(frames + 8 * 2, &0x1000_0000_0000u64.to_le_bytes());
        m.patch(frames + 8 * 3, &0xffff_f803_1420_0000u64.to_le_bytes());
        let report = report(&m);
        assert_eq!(report.pool_info.stacks[0].frames.len(), 2);
    }

    #[test]
    fn the_limit_is_named() {
        let (_, m) = with(20);
        let mut limits = Limits::default();
        limits.pool_info_nodes = 7;
        let report = PoolReport::read(&open_with(&m, limits), |_| true).unwrap();
        assert!(numbers(&report).len() < 20);
        let why = "limit of 7 reached (Limits::pool_info_nodes)";
        assert!(report.problems.iter().any(|p| p.why.contains(why)), "{:?}", report.problems);
    }
}

mod contiguous {
    use super::*;
    use verifier_synth::Contiguous as Held;

    fn held(build: Build) -> [Held; 3] {
        let base = if build.machine() == MachineType::X86 { 0xb000_0000 } else { POOL };
        [1, 2, 3].map(|i| Held {
            address: base + 0x10_0000 * i,
            size: 0x1000 * i + 8,
            caller: base + 0x77_0000 + i,
        })
    }

    fn machine(build: Build) -> Assembly {
        let mut m = Machine::new(build);
        m.level(8);
        let start = held(build)[0].caller & !0xfff;
        let (name, end) = ("callers.sys".into(), start + 0x1000);
        m.unloaded_driver(UnloadedDriver { name, start, end, time: 1 });
        let driver = m.driver(Driver::new("leaky.sys"));
        let verified = m.verified(driver);
        for one in held(build) {
            verified.contiguous(one);
        }
        m.assemble()
    }

    fn told(contiguous: &[Allocation]) -> Vec<Held> {
        let held = contiguous.iter();
        held.map(|c| Held { address: c.address.0, size: c.size, caller: c.caller.0 }).collect()
    }

    #[test]
    fn every_build() {
        for build in Build::ALL {
            let m = machine(build);
            let report = report(&m);
            assert_eq!(report.problems, [], "{build:?}");
            let pool = &report.drivers[0];
            assert_eq!(told(&pool.contiguous), held(build), "{build:?}");
            assert_eq!(pool.contiguous[1].entry, Va(m.address("contiguous:leaky.sys:1")));
            let counters = pool.driver.counters();
            assert_eq!(counters.get("ContiguousMemoryBytes"), Some(0x6018), "{build:?}");
            assert_eq!(pool.allocations, [], "contiguous memory is not pool");
        }
    }

    #[test]
    fn a_list_that_was_never_set_up() {
        for bytes in [0, 0x1000] {
            let mut m = machine(Build::Win7Sp1);
            let data = m.address("verified:leaky.sys");
            let structure = "_VF_TARGET_VERIFIED_DRIVER_DATA";
            let head = data + m.layouts().offset(structure, "ContiguousMemoryListHead") as u64;
            m.patch(head, &[0; 16]);
            m.patch_field(data, structure, "ContiguousMemoryBytes", bytes);
            let report = report(&m);
            assert_eq!(report.drivers[0].contiguous, []);
            if bytes == 0 {
                assert_eq!(report.problems, []);
            } else {
                let why = "its counter says 0x1000 bytes, its list holds 0x0";
                assert_reported(&report.problems, head, why);
            }
        }
    }

    #[test]
    fn a_list_that_is_damaged() {
        let build = Build::Win10VbX86;
        let mut m = machine(build);
        // The second leads back to the first; the others are reached from the end.
        let (first, second) =
            (m.address("contiguous:leaky.sys:0"), m.address("contiguous:leaky.sys:1"));
        m.patch_pointer(second, first);
        let report = report(&m);
        assert_eq!(told(&report.drivers[0].contiguous), held(build));
        assert_eq!(report.problems.len(), 1);
        assert_reported(&report.problems, second, "closes a ring without the head");
        assert_eq!(report.problems[0].what, "contiguous memory of leaky.sys");
    }

    #[test]
    fn drivers_share_the_limit_of_entries() {
        let mut m = Machine::new(Build::Win11);
        m.level(8);
        for name in ["one.sys", "two.sys"] {
            let driver = m.driver(Driver::new(name));
            let verified = m.verified(driver);
            for one in held(Build::Win11).iter().cycle().take(10) {
                verified.contiguous(*one);
            }
        }
        let mut limits = Limits::default();
        limits.list_entries = 15;
        let kernel = open_with(&m.assemble(), limits);
        let report = PoolReport::read(&kernel, |_| true).unwrap();
        let counts: Vec<_> = report.drivers.iter().map(|pool| pool.contiguous.len()).collect();
        assert_eq!(counts, [10, 5]);
        let told = |p: &&Problem| p.why.contains("Limits::list_entries");
        let problems: Vec<_> = report.problems.iter().filter(told).collect();
        assert_eq!(problems.len(), 1, "{:?}", report.problems);
        assert_eq!(problems[0].what, "contiguous memory of two.sys");
    }

    #[test]
    fn a_size_that_does_not_add_up() {
        let mut m = machine(Build::Win11);
        let node = m.address("contiguous:leaky.sys:2");
        m.patch_field(node, "_VI_CONTIGUOUS_MEMORY", "Size", 0x10);
        let report = report(&m);
        assert_eq!(report.drivers[0].contiguous.len(), 3);
        let why = "its counter says 0x6018 bytes, its list holds 0x3020";
        assert!(report.problems.iter().any(|p| p.why == why), "{:?}", report.problems);
    }
}
