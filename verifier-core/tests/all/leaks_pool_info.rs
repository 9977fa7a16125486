//! Leaks and history if the kernel keeps blocks and stacks in the pool info trees as well as in the pool log.

use std::sync::Arc;

use verifier_core::Va;
use verifier_core::analysis::{
    Block, GroupBy, Grouping, History, Leaks, NoStack, PoolKind, StackSource, Total,
};
use verifier_core::dump::Dump;
use verifier_core::kernel::{AddressSpace, Hints, Kernel};
use verifier_core::render::{LeaksView, Names, write_leaks_json, write_leaks_text};
use verifier_core::types::Isf;
use verifier_core::verifier::log::Operation;
use verifier_core::verifier::{NO_DRIVER, Source};
use verifier_synth::{
    Allocation, Assembly, Build, Driver, DriverId, DumpKind, Machine, PoolRecord, PoolStack,
};

const POOL: u64 = 0xffff_9a8f_5000_0000;
const THREAD: u64 = 0xffff_9a8f_4fff_0040;

fn kernel(m: &Assembly) -> Kernel {
    let dump = Dump::open(Arc::new(m.dump(DumpKind::BitmapKernel))).unwrap();
    let space = AddressSpace::of_dump(&dump).unwrap();
    let kernel = Kernel::open(space, Hints::from(dump.header())).unwrap();
    for wanted in kernel.wanted_symbols() {
        let Ok(id) = wanted.pdb else { continue };
        for (_, bytes) in m.files.iter().filter(|(path, _)| path.starts_with(&id.name)) {
            kernel.supply_isf(wanted.module, Arc::new(Isf::parse(bytes).unwrap()));
        }
    }
    kernel
}

/// A verified driver of a kernel with trees, with these two stacks.
struct Leaky {
    machine: Machine,
    driver: DriverId,
    read: usize,
    write: usize,
}

impl Leaky {
    fn new(build: Build) -> Self {
        let mut machine = Machine::new(build);
        let driver = Driver::new("leaky.sys").pdb("leaky.pdb");
        let driver = machine.driver(driver.symbol("Read", 0x1200).symbol("Write", 0x1300));
        machine.level(8).verified(driver);
        let mut leaky = Self { machine, driver, read: 0, write: 0 };
        let (read, write) = (leaky.stack("Read"), leaky.stack("Write"));
        let info = leaky.machine.pool_info();
        let stack = |frames, hash, nonpaged| PoolStack {
            tag: *b"Leak",
            hash,
            nonpaged,
            frames,
            ..PoolStack::default()
        };
        leaky.read = info.stack(stack(read, 1, true));
        leaky.write = info.stack(stack(write, 2, false));
        leaky
    }

    fn stack(&self, function: &str) -> Vec<u64> {
        vec![
            self.machine.kernel_address("VerifierExAllocatePoolWithTag") + 0x10,
            self.machine.driver_address(self.driver, function) + 0x20,
            self.machine.kernel_address("IofCallDriver") + 0x10,
        ]
    }

    fn hold(&mut self, number: u64, size: u64, stack: impl Into<Option<usize>>) {
        self.machine.pool_info().block(block(number), size, stack);
    }

    fn record(&mut self, number: u64, frames: Vec<u64>) {
        let (address, stale) = (block(number), Vec::new());
        let record = PoolRecord { address, size: 0x99, thread: THREAD, frames, stale };
        self.machine.pool_record(record);
    }

    fn free(&mut self, number: u64) {
        let free = self.machine.kernel_address("VerifierExFreePoolWithTag") + 0x10;
        self.record(number, vec![free, self.stack("Read")[1]]);
    }

    fn kernel(&self) -> Kernel {
        kernel(&self.machine.assemble())
    }
}

fn block(number: u64) -> u64 {
    POOL + number * 0x1000
}

fn frames(leaks: &Leaks, block: &Block) -> Vec<u64> {
    leaks.stack(block.stack.unwrap()).iter().map(|va| va.0).collect()
}

#[test]
fn the_trees_stack_wins_over_the_logs() {
    for build in [Build::Server2022, Build::Win11, Build::Win11Ge, Build::Win11Arm64] {
        let mut leaky = Leaky::new(build);
        let (read, write) = (leaky.read, leaky.write);
        // Its own record; a record of another lifetime; a free without a logged allocation; no record.
        for number in 0..4 {
            leaky.hold(number, 0x100 + number, if number == 1 { write } else { read });
        }
        leaky.record(0, leaky.stack("Read"));
        leaky.record(1, leaky.stack("Read"));
        leaky.record(2, leaky.stack("Read"));
        leaky.free(2);
        let leaks = Leaks::read(&leaky.kernel(), |_| true).unwrap();
        assert_eq!(leaks.problems, [], "{build:?}");
        assert_eq!(leaks.blocks.len(), 4);
        for (number, one) in leaks.blocks.iter().enumerate() {
            let function = if number == 1 { "Write" } else { "Read" };
            assert_eq!(frames(&leaks, one), leaky.stack(function), "{build:?} {number}");
            assert_eq!(one.stack_source, Some(StackSource::PoolInfo));
            assert_eq!(
                one.requested(),
                Some(0x100 + number as u64),
                "the tree keeps what was asked"
            );
            let kind = if number == 1 { PoolKind::Paged } else { PoolKind::NonPaged };
            assert_eq!(one.kind, kind);
            assert_eq!(leaks.driver(one), "leaky.sys");
        }
        // The log still has the thread; a free is not a record of the allocation.
        assert_eq!(leaks.blocks[0].made().unwrap().thread, Va(THREAD));
        assert_eq!(leaks.blocks[2].record.unwrap().operation, Operation::Free);
        assert_eq!(leaks.blocks[2].made(), None);
        assert_eq!(leaks.blocks[3].record, None);

        let coverage = leaks.coverage();
        let all = Total { count: 4, bytes: 0x406 };
        assert_eq!((coverage.all, coverage.with_stack, coverage.from_tree), (all, all, all));
        assert_eq!(coverage.without, []);
        let tree = leaks.tree.unwrap();
        assert_eq!((tree.blocks, tree.unread, tree.stacks), (4, 0, 2));
        assert_eq!(leaks.drivers[0].counted, 4);
    }
}

#[test]
fn without_a_log_the_tree_is_enough() {
    let mut leaky = Leaky::new(Build::Win11);
    leaky.hold(0, 0x40, leaky.read);
    let mut m = leaky.machine.assemble();
    m.patch_pointer(m.address("nt!VfPoolTraces"), 0);
    m.patch(m.address("nt!VfPoolTracesLength"), &[0; 4]);
    let leaks = Leaks::read(&kernel(&m), |_| true).unwrap();
    assert_eq!(leaks.reach.capacity, 0);
    assert_eq!(frames(&leaks, &leaks.blocks[0]), leaky.stack("Read"));
    assert_eq!(leaks.coverage().with_stack.count, 1);
}

#[test]
fn a_block_without_an_element_uses_the_log() {
    let mut leaky = Leaky::new(Build::Win11);
    leaky.hold(0, 0x40, None);
    leaky.hold(1, 0x40, None);
    leaky.hold(2, 0x40, leaky.read);
    leaky.record(0, leaky.stack("Write"));
    let kernel = leaky.kernel();
    let leaks = Leaks::read(&kernel, |_| true).unwrap();
    let by_address =
        |number| leaks.blocks.iter().find(|b| b.allocation.address == Va(block(number)));
    let logged = by_address(0).unwrap();
    assert_eq!(frames(&leaks, logged), leaky.stack("Write"));
    assert_eq!(logged.stack_source, Some(StackSource::Log));
    assert_eq!(
        leaks.driver(logged),
        NO_DRIVER,
        "the tree says no driver, and the log is not asked"
    );
    assert_eq!(by_address(1).unwrap().stack, Err(NoStack::NotLogged));
    assert_eq!(by_address(1).unwrap().kind, PoolKind::Unknown);
    let coverage = leaks.coverage();
    assert_eq!((coverage.with_stack.count, coverage.from_tree.count), (2, 1));
    assert_eq!(coverage.without, [(NoStack::NotLogged, Total { count: 1, bytes: 0x40 })]);
    assert_eq!(leaks.drivers.len(), 2);
    assert_eq!((leaks.drivers[1].name.as_str(), leaks.drivers[1].counted), (NO_DRIVER, 2));

    // The leaks of one driver leave out blocks without a driver.
    let own = Leaks::read(&kernel, |driver| driver.is_named("leaky")).unwrap();
    assert_eq!((own.drivers.len(), own.blocks.len()), (1, 1));
}

#[test]
fn groups_and_renderings_name_the_source() {
    let mut leaky = Leaky::new(Build::Win11);
    let (read, write) = (leaky.read, leaky.write);
    leaky.hold(0, 0x100, read);
    leaky.hold(1, 0x200, read);
    leaky.hold(2, 0x100, write);
    leaky.hold(3, 0x10, None);
    leaky.record(3, leaky.stack("Write"));
    let kernel = leaky.kernel();
    let leaks = Leaks::read(&kernel, |_| true).unwrap();
    let grouping = Grouping::new(&kernel, &leaks, None);
    let groups = grouping.groups(GroupBy::Stack);
    assert_eq!(groups.iter().map(|group| group.bytes).collect::<Vec<_>>(), [0x300, 0x100, 0x10]);
    let names = Names::new(&kernel);
    let view = LeaksView::grouped(&leaks, GroupBy::Stack, &grouping, names);
    let mut text = Vec::new();
    write_leaks_text(&mut text, &view).unwrap();
    let text = String::from_utf8(text).unwrap();
    assert!(
        text.starts_with(
            "Not complete: pool block at 0xffff9a8f4da81500: block 0xffff9a8f50003000 has no stack: \
             null.\nAt least 4 blocks are outstanding, 1,040 bytes (1.0 KiB).\n"
        ),
        "{text}"
    );
    let first = "#1  2 blocks, 768 bytes (73.8 %), largest 512, tag Leak, leaky.sys, stack of the pool info tree\n";
    assert!(text.contains(first), "{text}");
    let coverage = "At least 4 blocks, in 3 groups by stack. 4 of 4 blocks, 100 % of bytes, have a stack.\n  \
        3 blocks, 1,024 bytes, with the stack of the pool info tree\n";
    assert!(text.contains(coverage), "{text}");
    assert!(
        text.contains("#3  1 block, 16 bytes (1.5 %), tag ...., (no known driver)\n"),
        "{text}"
    );
    let mut json = Vec::new();
    write_leaks_json(&mut json, &view).unwrap();
    let json: serde_json::Value = serde_json::from_slice(&json).unwrap();
    assert_eq!(
        json["coverage"]["with_stack_of"],
        serde_json::json!({"pool_log": 1, "pool_info_tree": 3})
    );
    assert_eq!(json["pool_info"], serde_json::json!({"blocks": 4, "unread": 0, "stacks": 2}));
    let sources: Vec<_> = [0, 2].map(|i| json["groups"][i]["stack_source"].clone()).to_vec();
    assert_eq!(sources, ["pool info tree", "pool log"]);
    let block = &json["groups"][0]["allocations"][0];
    assert_eq!(block["source"], "pool info tree");
    assert_eq!(block["attributed_by"], "a frame in its image");
    assert_eq!((&block["requested"], &block["thread"]), (&256.into(), &serde_json::Value::Null));
    assert_eq!(block["caller_symbol"], "leaky!Read+0x20");
    assert_eq!(block["pool"], "nonpaged");
    assert_eq!(json["groups"][2]["allocations"][0]["attributed_by"], serde_json::Value::Null);
}

#[test]
fn trackers_and_tree_side_by_side() {
    // The tree was enabled while the machine ran: older blocks stay on the pages.
    let mut leaky = Leaky::new(Build::Win11);
    let caller = leaky.stack("Read")[1];
    let old = Allocation::nonpaged(block(9), 0x110, b"Old ", caller);
    let driver = leaky.machine.driver(Driver::new("older.sys"));
    leaky.machine.verified(driver).allocation(old);
    leaky.hold(1, 0x40, leaky.read);
    leaky.record(9, leaky.stack("Read"));
    let leaks = Leaks::read(&leaky.kernel(), |_| true).unwrap();
    assert_eq!(leaks.problems, []);
    let sources: Vec<_> = leaks
        .blocks
        .iter()
        .map(|b| (b.allocation.source.name(), b.stack_source.unwrap()))
        .collect();
    assert_eq!(sources, [("pool info tree", StackSource::PoolInfo), ("tracker", StackSource::Log)]);
    // Equal frames are one stack.
    assert_eq!(leaks.blocks[0].stack, leaks.blocks[1].stack);
    assert_eq!(leaks.blocks[1].requested(), Some(0x99));
}

#[test]
fn history_shows_the_trees_entry() {
    let mut leaky = Leaky::new(Build::Win11Arm64);
    leaky.hold(1, 0x200, leaky.read);
    leaky.hold(2, 0x10, None);
    leaky.hold(3, 0x10, leaky.write);
    leaky.hold(900, 0x10, leaky.write);
    leaky.record(1, leaky.stack("Write"));
    let kernel = leaky.kernel();
    let history = History::read(&kernel, Va(block(1) + 0x80)).unwrap();
    assert_eq!(history.trackers.len(), 1);
    let held = &history.trackers[0];
    assert_eq!((held.driver.as_str(), held.entry.allocation.address), ("leaky.sys", Va(block(1))));
    assert!(matches!(held.entry.allocation.source, Source::PoolInfo { stack: Some(_), .. }));
    let stack: Vec<u64> = held.frames.iter().map(|va| va.0).collect();
    assert_eq!(stack, leaky.stack("Read"));
    assert_eq!(history.events.len(), 1, "the log's record stays beside it");
    let near: Vec<_> =
        history.neighbors.iter().map(|n| (n.address.0, n.driver.as_deref())).collect();
    assert_eq!(near, [(block(2), Some(NO_DRIVER)), (block(3), Some("leaky.sys"))]);

    // Its last byte, which is past the end of the log's record of another size, and the byte after it.
    let last = History::read(&kernel, Va(block(1) + 0x1ff)).unwrap();
    assert_eq!((last.trackers.len(), last.events.len()), (1, 0));
    let after = History::read(&kernel, Va(block(1) + 0x200)).unwrap();
    assert!(after.trackers.is_empty());
    let of_none = History::read(&kernel, Va(block(2))).unwrap();
    assert_eq!(of_none.trackers[0].driver, NO_DRIVER);
    assert!(of_none.trackers[0].frames.is_empty());
}
