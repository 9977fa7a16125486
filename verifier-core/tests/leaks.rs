//! Outstanding allocations joined with the pool log, grouped, compared and rendered, on machines made up
//! for it.

#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use std::sync::Arc;

use std::sync::atomic::{AtomicU32, Ordering};

use verifier_core::Va;
use verifier_core::analysis::{
    Boot, Diff, Group, GroupBy, GroupKey, Grouping, History, Leaks, NoStack, PoolKind, Side,
};
use verifier_core::dump::Dump;
use verifier_core::kernel::{AddressSpace, Hints, Kernel};
use verifier_core::render::{
    DiffView, LeaksView, Names, Weight, write_diff_csv, write_diff_json, write_diff_markdown,
    write_diff_text, write_leaks_csv, write_leaks_folded, write_leaks_json, write_leaks_markdown,
    write_leaks_text,
};
use verifier_core::types::Isf;
use verifier_core::verifier::log::Operation;
use verifier_synth::{
    Allocation, Assembly, Build, Driver, DriverId, DumpKind, Log, Machine, PoolRecord, Sample,
};

const POOL: u64 = 0xffff_9a8f_5000_0000;
const THREAD: u64 = 0xffff_9a8f_4fff_0040;

fn kernel(sample: &Sample) -> Kernel {
    let dump = Dump::open(Arc::new(sample.dump.clone())).unwrap();
    let space = AddressSpace::of_dump(&dump).unwrap();
    let kernel = Kernel::open(space, Hints::from(dump.header())).unwrap();
    for wanted in kernel.wanted_symbols() {
        let Ok(id) = wanted.pdb else { continue };
        for (_, bytes) in sample.files.iter().filter(|(path, _)| path.starts_with(&id.name)) {
            kernel.supply_isf(wanted.module, Arc::new(Isf::parse(bytes).unwrap()));
        }
    }
    kernel
}

/// A driver whose allocations all go through one function, for two callers.
struct Wrapper {
    machine: Machine,
    driver: DriverId,
}

impl Wrapper {
    fn new() -> Self {
        let mut machine = Machine::new(Build::Win10Vb);
        let driver = Driver::new("wrap.sys")
            .pdb("wrap.pdb")
            .symbol("WrapAlloc", 0x1100)
            .symbol("ReadRequest", 0x1200)
            .symbol("WriteRequest", 0x1300);
        let driver = machine.driver(driver);
        machine.level(8);
        Self { machine, driver }
    }

    fn at(&self, name: &str) -> u64 {
        self.machine.driver_address(self.driver, name) + 0x20
    }

    fn nt(&self, name: &str) -> u64 {
        self.machine.kernel_address(name) + 0x10
    }

    fn stack(&self, request: &str) -> Vec<u64> {
        vec![
            self.nt("VerifierExAllocatePoolWithTag"),
            self.at("WrapAlloc"),
            self.at(request),
            self.nt("IofCallDriver"),
            self.nt("NtDeviceIoControlFile"),
        ]
    }

    fn block(&self, number: u64) -> u64 {
        POOL + number * 0x1000
    }

    fn hold(&mut self, blocks: impl IntoIterator<Item = u64>) {
        let caller = self.at("WrapAlloc");
        let blocks: Vec<u64> = blocks.into_iter().map(|number| self.block(number)).collect();
        let verified = self.machine.verified(self.driver);
        for address in blocks {
            verified.allocation(Allocation::nonpaged(address, 0x110, b"Wrap", caller));
        }
    }

    fn record(&mut self, number: u64, frames: Vec<u64>) {
        let address = self.block(number);
        let stale = Vec::new();
        self.machine.pool_record(PoolRecord {
            address,
            size: 0x100,
            thread: THREAD,
            frames,
            stale,
        });
    }

    fn allocate(&mut self, number: u64, request: &str) {
        self.record(number, self.stack(request));
    }

    fn free(&mut self, number: u64) {
        let frames = vec![self.nt("VerifierExFreePoolWithTag"), self.at("ReadRequest")];
        self.record(number, frames);
    }

    fn kernel(&self) -> Kernel {
        kernel(&self.machine.build(DumpKind::BitmapKernel))
    }

    fn kernel_of(&self, damage: impl FnOnce(&mut Assembly)) -> Kernel {
        let mut assembly = self.machine.assemble();
        damage(&mut assembly);
        kernel(&assembly.sample(DumpKind::BitmapKernel))
    }
}

fn leaks(kernel: &Kernel) -> Leaks {
    Leaks::read(kernel, |_| true).unwrap()
}

fn whys(leaks: &Leaks) -> Vec<Option<NoStack>> {
    leaks.blocks.iter().map(|block| block.stack.err()).collect()
}

#[test]
fn the_newest_record_of_the_address_decides() {
    let mut w = Wrapper::new();
    w.hold(0..5);
    w.allocate(0, "ReadRequest");
    w.free(0);
    w.allocate(0, "WriteRequest");
    w.allocate(1, "ReadRequest");
    w.free(1);
    // A record within block 2, not of it.
    w.machine.pool_record(PoolRecord {
        address: w.block(2) + 0x10,
        size: 0x10,
        thread: THREAD,
        frames: w.stack("ReadRequest"),
        stale: vec![],
    });
    w.record(3, vec![]);
    // The two innermost frames are skipped when a stack is captured: here that is all of Verifier.
    w.record(4, w.stack("ReadRequest")[1..].to_vec());
    let kernel = w.kernel();
    let leaks = leaks(&kernel);
    assert_eq!(
        whys(&leaks),
        [None, Some(NoStack::Freed), Some(NoStack::NotLogged), Some(NoStack::NoFrames), None]
    );
    let stack = |index: usize| {
        let frames = leaks.stack(leaks.blocks[index].stack.unwrap());
        frames.iter().map(|va| va.0).collect::<Vec<_>>()
    };
    assert_eq!(stack(0), w.stack("WriteRequest"));
    assert_eq!(stack(4), w.stack("ReadRequest")[1..]);
    // It does not say what it is, but holds the caller of the entry.
    assert_eq!(leaks.blocks[4].record.unwrap().operation, Operation::Unknown);
    let coverage = leaks.coverage();
    assert_eq!((coverage.all.count, coverage.with_stack.count, coverage.uncertain), (5, 2, 0));
    assert_eq!(coverage.all.bytes, 5 * 0x110);
    assert_eq!(leaks.blocks[0].kind, PoolKind::NonPaged);
    assert!(leaks.problems.is_empty(), "{:?}", leaks.problems);
}

#[test]
fn a_record_that_nothing_ties_to_the_block_is_told() {
    let mut w = Wrapper::new();
    w.hold(0..1);
    w.record(0, vec![w.at("WriteRequest")]);
    let leaks = leaks(&w.kernel());
    assert_eq!(leaks.blocks[0].stack, Err(NoStack::Uncertain));
    assert_eq!(leaks.coverage().uncertain, 1);
}

#[test]
fn why_there_is_no_stack() {
    // Off.
    let mut w = Wrapper::new();
    w.hold(0..1);
    let off = leaks(&w.kernel_of(|m| {
        let at = m.address("nt!VfPoolTraces");
        m.patch_pointer(at, 0);
    }));
    assert_eq!(whys(&off), [Some(NoStack::LogOff)]);

    // Wrapped.
    let mut w = Wrapper::new();
    w.hold(0..1);
    w.machine.log(Log::Pool).length = 16;
    w.allocate(0, "ReadRequest");
    for number in 1..=16 {
        w.allocate(number, "ReadRequest");
    }
    let wrapped = leaks(&w.kernel());
    assert_eq!(whys(&wrapped), [Some(NoStack::Overwritten)]);
    assert_eq!(
        wrapped.why(NoStack::Overwritten),
        "overwritten: the log has wrapped and reaches back 16 records"
    );

    // A page of the log is absent: slots 0 to 31 of 64.
    let mut w = Wrapper::new();
    w.hold(0..2);
    w.machine.log(Log::Pool).length = 64;
    for number in 0..40 {
        w.allocate(number % 39, "ReadRequest");
    }
    let absent = leaks(&w.kernel_of(|m| {
        let ring = m.address("ring:VfPoolTraces");
        m.remove_page(ring);
    }));
    // Block 0 has a record in slot 40; block 1 had its one in slot 2.
    assert_eq!(whys(&absent), [None, Some(NoStack::PageAbsent)]);
    assert!(absent.why(NoStack::PageAbsent).contains("32 slots"), "{absent:?}");
    assert!(!absent.problems.is_empty());

    // Stopped once the blocks were read.
    let mut w = Wrapper::new();
    w.hold(0..1);
    w.allocate(0, "ReadRequest");
    let kernel = w.kernel();
    let asked = AtomicU32::new(0);
    kernel.stop_when(Box::new(move || asked.fetch_add(1, Ordering::Relaxed) >= 1));
    let stopped = leaks(&kernel);
    assert_eq!(whys(&stopped), [Some(NoStack::NotRead)]);
    assert!(stopped.why(NoStack::NotRead).contains("none of the 0 records"));
}

#[test]
fn skip_tells_the_callers_of_a_wrapper_apart() {
    let mut w = Wrapper::new();
    w.hold(0..10);
    for number in 0..10 {
        w.allocate(number, if number < 7 { "ReadRequest" } else { "WriteRequest" });
    }
    let kernel = w.kernel();
    let leaks = leaks(&kernel);
    let names = Names::new(&kernel);
    let skip = |va: Va| names.get(va).is_some_and(|name| name.starts_with("wrap!WrapAlloc"));
    let plain = Grouping::new(&kernel, &leaks, None);
    let skipping = Grouping::new(&kernel, &leaks, Some(&skip));
    let counts =
        |groups: &[Group]| groups.iter().map(|group| group.blocks.len()).collect::<Vec<_>>();
    // One line, one caller for all; with the wrapper out of the way two.
    for by in [GroupBy::Frame, GroupBy::Caller] {
        assert_eq!(counts(&plain.groups(by)), [10], "{by:?}");
        assert_eq!(counts(&skipping.groups(by)), [7, 3], "{by:?}");
    }
    let groups = skipping.groups(GroupBy::Frame);
    assert_eq!(groups[0].key, GroupKey::Frame(Some(Va(w.at("ReadRequest")))));
    assert_eq!(groups[1].key, GroupKey::Frame(Some(Va(w.at("WriteRequest")))));
    let stacks = skipping.groups(GroupBy::Stack);
    let first: Vec<u64> = stacks[0].frames(&leaks).unwrap().iter().map(|va| va.0).collect();
    assert_eq!(first, w.stack("ReadRequest")[2..], "the kernel's frames go with the wrapper's");
    assert_eq!(stacks[0].bytes, 7 * 0x110);

    // Everything skipped is nothing skipped.
    let all = |_: Va| true;
    let whole = Grouping::new(&kernel, &leaks, Some(&all)).groups(GroupBy::Stack);
    assert_eq!(whole[0].frames(&leaks).unwrap().len(), 5);
    // Sizes, tags, drivers.
    for by in [GroupBy::Size, GroupBy::Tag, GroupBy::Driver] {
        let groups = plain.groups(by);
        assert_eq!(counts(&groups), [10], "{by:?}");
        assert_eq!(groups[0].stack, None, "{by:?}: different stacks");
    }
}

fn rendered(write: impl FnOnce(&mut Vec<u8>) -> std::io::Result<()>) -> String {
    let mut out = Vec::new();
    write(&mut out).unwrap();
    String::from_utf8(out).unwrap()
}

#[test]
fn every_format() {
    let mut w = Wrapper::new();
    w.hold(0..4);
    w.allocate(0, "ReadRequest");
    w.allocate(1, "ReadRequest");
    w.allocate(2, "WriteRequest");
    let kernel = w.kernel();
    let leaks = leaks(&kernel);
    let names = Names::new(&kernel);
    let groups = Grouping::new(&kernel, &leaks, None).groups(GroupBy::Stack);
    let view = LeaksView {
        leaks: &leaks,
        by: GroupBy::Stack,
        groups: &groups,
        top: Some(2),
        names: &names,
    };

    assert_eq!(
        rendered(|out| write_leaks_markdown(out, &view)),
        "### Driver Verifier: 4 blocks (1,088 bytes) outstanding

3 of 4 blocks, 75.0 % of bytes, have a stack.
- 1 block (272 bytes) without a stack: not logged: none of the 3 records is of this block, and the log has not wrapped

| # | Blocks | Bytes | Largest | Tag | Driver | Where |
|--:|--:|--:|--:|---|---|---|
| 1 | 2 | 544 | 272 | `Wrap` | `wrap.sys` | `wrap!WrapAlloc+0x20` |
| 2 | 1 | 272 | 272 | `Wrap` | `wrap.sys` | `wrap!WrapAlloc+0x20` |

1 more groups are not shown: 1 block, 272 bytes.

<details><summary>Stack of group 1: 2 blocks, 544 bytes</summary>

```text
nt!VerifierExAllocatePoolWithTag+0x10
wrap!WrapAlloc+0x20
wrap!ReadRequest+0x20
nt!IofCallDriver+0x10
nt!NtDeviceIoControlFile+0x10
```

</details>

<details><summary>Stack of group 2: 1 block, 272 bytes</summary>

```text
nt!VerifierExAllocatePoolWithTag+0x10
wrap!WrapAlloc+0x20
wrap!WriteRequest+0x20
nt!IofCallDriver+0x10
nt!NtDeviceIoControlFile+0x10
```

</details>
"
    );
    assert_eq!(
        rendered(|out| write_leaks_csv(out, &view)),
        "count,bytes,largest,tag,driver,label,why_no_stack,stack,examples,stack_source
2,544,272,Wrap,wrap.sys,wrap!WrapAlloc+0x20,,nt!VerifierExAllocatePoolWithTag+0x10 < \
         wrap!WrapAlloc+0x20 < wrap!ReadRequest+0x20 < nt!IofCallDriver+0x10 < \
         nt!NtDeviceIoControlFile+0x10,0xffff9a8f50000000 0xffff9a8f50001000,pool log
1,272,272,Wrap,wrap.sys,wrap!WrapAlloc+0x20,,nt!VerifierExAllocatePoolWithTag+0x10 < \
         wrap!WrapAlloc+0x20 < wrap!WriteRequest+0x20 < nt!IofCallDriver+0x10 < \
         nt!NtDeviceIoControlFile+0x10,0xffff9a8f50002000,pool log
"
    );
    let all = LeaksView { top: None, ..view };
    let folded =
        "wrap.sys;(no stack, not logged: none of the 3 records is of this block, and the log \
         has not wrapped);wrap!WrapAlloc+0x20;(tag Wrap) 1
wrap.sys;nt!NtDeviceIoControlFile+0x10;nt!IofCallDriver+0x10;wrap!ReadRequest+0x20;\
         wrap!WrapAlloc+0x20;nt!VerifierExAllocatePoolWithTag+0x10;(tag Wrap) 2
wrap.sys;nt!NtDeviceIoControlFile+0x10;nt!IofCallDriver+0x10;wrap!WriteRequest+0x20;\
         wrap!WrapAlloc+0x20;nt!VerifierExAllocatePoolWithTag+0x10;(tag Wrap) 1
";
    assert_eq!(rendered(|out| write_leaks_folded(out, &all, Weight::Count)), folded);

    let text = rendered(|out| write_leaks_text(out, &all));
    assert!(text.starts_with("3 of 4 blocks, 75.0 % of bytes, have a stack.\n"), "{text}");
    assert!(text.contains("    caller: wrap!WrapAlloc+0x20\n"), "{text}");
    let json: serde_json::Value =
        serde_json::from_str(&rendered(|out| write_leaks_json(out, &view))).unwrap();
    assert_eq!(json["coverage"]["allocations"], 4);
    assert_eq!(json["coverage"]["with_stack"], 3);
    assert_eq!(json["coverage"]["without_stack"][0]["count"], 1);
    assert_eq!(json["omitted"]["groups"], 1);
    let group = &json["groups"][0];
    assert_eq!((&group["count"], &group["bytes"]), (&2.into(), &544.into()));
    assert_eq!(group["stack"][1]["symbol"], "wrap!WrapAlloc+0x20");
    assert_eq!(group["allocations"][1]["address"], "0xffff9a8f50001000");
    assert_eq!(group["allocations"][1]["driver"], "wrap.sys");
    assert_eq!(group["allocations"][1]["requested"], 0x100);
}

#[test]
fn nothing_outstanding() {
    let mut w = Wrapper::new();
    w.hold([]);
    w.allocate(0, "ReadRequest");
    let kernel = w.kernel();
    let leaks = leaks(&kernel);
    let names = Names::new(&kernel);
    let view =
        LeaksView { leaks: &leaks, by: GroupBy::Stack, groups: &[], top: None, names: &names };
    assert_eq!(rendered(|out| write_leaks_text(out, &view)), "No outstanding allocation.\n");
    assert_eq!(
        rendered(|out| write_leaks_markdown(out, &view)),
        "### Driver Verifier: no outstanding allocation\n"
    );
    assert_eq!(rendered(|out| write_leaks_folded(out, &view, Weight::Bytes)), "");
}

/// Block numbers held by reads and by writes.
fn boot(base: Option<u64>, reads: &[u64], writes: &[u64]) -> Kernel {
    let mut w = Wrapper::new();
    if let Some(base) = base {
        w.machine.kernel_base(base);
    }
    w.hold(reads.iter().chain(writes).copied());
    for &number in reads {
        w.allocate(number, "ReadRequest");
    }
    for &number in writes {
        w.allocate(number, "WriteRequest");
    }
    w.kernel()
}

fn diff<R>(
    old: &Kernel,
    new: &Kernel,
    times: (u64, u64),
    look: impl FnOnce(&Diff, DiffView<'_>) -> R,
) -> R {
    let boot = Boot::compare((old, Some(times.0)), (new, Some(times.1)));
    let (old_leaks, new_leaks) = (leaks(old), leaks(new));
    let old_grouping = Grouping::new(old, &old_leaks, None);
    let new_grouping = Grouping::new(new, &new_leaks, None);
    let diff = Diff::new(
        boot,
        Side { kernel: old, leaks: &old_leaks, grouping: &old_grouping },
        Side { kernel: new, leaks: &new_leaks, grouping: &new_grouping },
        GroupBy::Stack,
    );
    look(&diff, DiffView { diff: &diff, old: &old_leaks, new: &new_leaks, top: None })
}

const SECOND: u64 = 10_000_000;

#[test]
fn growth_within_one_boot() {
    let old = boot(None, &[0, 1, 2], &[10, 11]);
    // Two reads more; one write was freed and another one made: no growth there.
    let new = boot(None, &[0, 1, 2, 3, 4], &[10, 12]);
    diff(&old, &new, (1000 * SECOND, 1001 * SECOND), |diff, view| {
        assert!(diff.boot.is_same, "{:?}", diff.boot);
        assert_eq!((diff.groups.len(), diff.unchanged), (1, 1));
        let group = &diff.groups[0];
        assert_eq!(group.growth(), (2, 2 * 0x110));
        assert_eq!(group.appeared, [Va(POOL + 0x3000), Va(POOL + 0x4000)]);
        assert!(group.gone.is_empty());
        assert_eq!(&*group.key.stack.as_ref().unwrap()[2], "wrap!ReadRequest+0x20");
        assert_eq!(diff.growth().count, 2);
        let markdown = rendered(|out| write_diff_markdown(out, &view));
        assert!(markdown.contains("| +2 | +544 | 1,360 | `Wrap` | `wrap.sys` |"), "{markdown}");
        let csv = rendered(|out| write_diff_csv(out, &view));
        assert!(csv.contains("\n2,544,3,816,5,1360,Wrap,wrap.sys,"), "{csv}");
        let text = rendered(|out| write_diff_text(out, &view));
        assert!(text.contains("+2 blocks, +544 bytes (now 5 blocks, 1,360 bytes)"), "{text}");
        let json: serde_json::Value =
            serde_json::from_str(&rendered(|out| write_diff_json(out, &view))).unwrap();
        assert_eq!(json["same_boot"], true);
        assert_eq!(json["groups"][0]["growth"]["count"], 2);
    });
}

#[test]
fn a_block_keeps_its_stack_when_the_log_has_forgotten_it() {
    let old = boot(None, &[0, 1], &[]);
    let mut later = Wrapper::new();
    later.hold([0, 1, 2]);
    later.allocate(2, "ReadRequest");
    let new = later.kernel();
    diff(&old, &new, (1000 * SECOND, 1000 * SECOND), |diff, _| {
        assert_eq!((diff.groups.len(), diff.unchanged), (1, 0), "{:?}", diff.groups);
        let group = &diff.groups[0];
        assert_eq!((group.old.count, group.new.count), (2, 3));
        assert_eq!(group.appeared, [Va(POOL + 0x2000)]);
    });
}

#[test]
fn growth_across_boots() {
    let old = boot(None, &[0, 1, 2], &[10, 11]);
    let new = boot(Some(0xffff_f803_5540_0000), &[100, 101, 102], &[110, 111, 112, 113]);
    diff(&old, &new, (1000 * SECOND, 9000 * SECOND), |diff, _| {
        assert!(!diff.boot.is_same);
        assert_eq!((diff.groups.len(), diff.unchanged), (1, 1), "{:?}", diff.groups);
        assert_eq!(diff.groups[0].growth(), (2, 2 * 0x110));
        assert_eq!(&*diff.groups[0].key.stack.as_ref().unwrap()[2], "wrap!WriteRequest+0x20");
    });
    // One base and other times: another boot all the same.
    let again = boot(None, &[0, 1, 2], &[10, 11]);
    diff(&old, &again, (1000 * SECOND, 1003 * SECOND), |diff, _| {
        assert!(!diff.boot.is_same);
        assert!(diff.groups.is_empty());
        assert_eq!(diff.unchanged, 2);
    });
}

#[test]
fn who_freed_it() {
    let mut w = Wrapper::new();
    let caller = w.at("WrapAlloc");
    let stale = Allocation::nonpaged(w.block(0), 0x110, b"Gone", caller);
    let other = Allocation::nonpaged(w.block(7), 0x9000, b"Othr", caller);
    let near = Allocation::nonpaged(w.block(1), 0x40, b"Near", caller);
    w.machine.verified(w.driver).freed(stale).freed(other).allocation(near);
    w.allocate(0, "WriteRequest");
    w.free(0);
    w.allocate(0, "ReadRequest");
    w.free(0);
    let kernel = w.kernel();
    let history = History::read(&kernel, Va(w.block(0) + 0x44)).unwrap();
    assert!(history.trackers.is_empty());
    assert_eq!(history.events.len(), 4);
    assert_eq!(history.freed_by().unwrap().record.operation, Operation::Free);
    let lives: Vec<_> = history.lifetimes.iter().map(|life| (life.allocated, life.freed)).collect();
    assert_eq!(lives, [(Some(1), Some(0)), (Some(3), Some(2))]);
    // The freed entry of about that size tells the tag; its address is gone.
    let tags: Vec<_> =
        history.freed_entries.iter().map(|freed| freed.entry.allocation.tag.to_string()).collect();
    assert_eq!(tags, ["Gone"]);
    assert_eq!(history.freed_entries[0].entry.allocation.address, Va(0));
    assert_eq!(history.neighbors.len(), 1);
    assert_eq!(history.neighbors[0].address, Va(w.block(1)));
    assert_eq!(history.neighbors[0].driver.as_deref(), Some("wrap.sys"));

    let held = History::read(&kernel, Va(w.block(1))).unwrap();
    assert_eq!(held.trackers.len(), 1);
    assert!(held.freed_by().is_none());
    assert_eq!(held.neighbors[0].newest, Some(Operation::Free));
}
