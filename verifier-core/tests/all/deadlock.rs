//! Deadlock detection: locks, threads, nodes, the reported deadlock, the order of locks; and the results if
//! lists are cut, close into rings or lead nowhere.

use std::sync::{Arc, OnceLock};

use crate::common::{TINY_BASE, kind, open_dump, tiny_kernel};
use proptest::prelude::*;
use verifier_core::analysis::{LockGraph, LockOrder};
use verifier_core::dump::BugCheck;
use verifier_core::error::Error;
use verifier_core::kernel::{AddressSpace, Hints, Kernel, Limits};
use verifier_core::memory::SparsePages;
use verifier_core::types::{Isf, Literals, Shape};
use verifier_core::verifier::deadlock::{Deadlock, LockType};
use verifier_core::{Completeness, Problem, Va};
use verifier_synth::{Assembly, Build, Lock, LockNode, Machine, MachineType, PageState};

fn kernel_with(m: &Assembly, limits: Limits) -> Kernel {
    kernel_by(m, limits, Arc::new(table(m)))
}

/// The kernel's table, parsed once for tests that open many dumps.
fn table(m: &Assembly) -> Isf {
    let (_, json) = m.files.iter().find(|(path, _)| path.starts_with("ntkr")).unwrap();
    Isf::parse(json).unwrap()
}

fn kernel_by(m: &Assembly, limits: Limits, types: Arc<Isf>) -> Kernel {
    let dump = open_dump(m.dump(kind(m)));
    let space = AddressSpace::of_dump(&dump).unwrap();
    let kernel = Kernel::open_with(space, Hints::from(dump.header()), limits).unwrap();
    kernel.supply_types(types);
    kernel
}

pub(super) fn read(m: &Assembly) -> Deadlock {
    Deadlock::read(&kernel_with(m, Limits::default())).unwrap()
}

/// An address in the kernel's half without a structure.
fn place(build: Build, offset: u64) -> u64 {
    let base =
        if build.machine() == MachineType::X86 { 0xb000_0000 } else { 0xffff_b00f_0000_0000 };
    base + offset
}

#[track_caller]
fn assert_reported(problems: &[Problem], what: &str, why: &str) {
    assert!(
        problems.iter().any(|p| p.what.contains(what) && p.why.contains(why)),
        "no {what:?}: {why:?} in {problems:#?}"
    );
}

/// Thread 0 took A and B and released both; thread 1 holds B and wants A. A third lock was tried after A, and
/// a mutex is held recursively.
pub(super) fn two_threads(build: Build) -> Machine {
    let mut m = Machine::new(build);
    let at = |offset| place(build, offset);
    let d = m.deadlock();
    let a = d.lock(Lock {
        address: at(0x1008),
        kind: 5,
        stack: vec![at(0x11), at(0x12)],
        last_acquire: vec![at(0x13)],
        last_release: (0..8).map(|i| at(0x20 + i)).collect(),
        ..Lock::default()
    });
    let b = d.free_lock(at(0x1010), 6);
    let c = d.free_lock(at(0x55_5000), 7);
    let mutex = d.free_lock(at(0x7_0000), 1);
    let thread = d.thread(at(0x10_0040));
    let other = d.thread(at(0x20_0040));
    let root = d.node(LockNode::new(a).stack(&[at(0x31), at(0x32)]));
    let child = LockNode::new(b).below(root).stack(&[at(0x33)]).parent_stack(&[at(0x34)]);
    let child = d.node(child);
    let held =
        d.node(LockNode { sequence: 7, ..LockNode::new(b) }.held_by(thread).stack(&[at(0x35)]));
    d.node(LockNode { only_try: true, out_of_order: true, ..LockNode::new(c).below(root) });
    d.node(LockNode::new(mutex).held_by(other));
    d.own(b, thread).own(mutex, other).uses_eresources(other);
    d.found(a, &[root, child, held]).counter("TotalReleases", 0x1234);
    d.state = 4;
    m
}

mod builds {
    use super::*;

    #[test]
    fn every_field_of_every_build() {
        for build in Build::ALL {
            let at = |offset| Va(place(build, offset));
            let assembly = two_threads(build).assemble();
            let label = |name: &str| Va(assembly.address(&format!("deadlock {name}")));
            let kernel = kernel_with(&assembly, Limits::default());
            assert_eq!(kernel.build(), build.number());
            let d = Deadlock::read(&kernel).unwrap();
            assert_eq!(d.problems, [], "{build:?}");
            assert_eq!(d.address, label("globals"));
            assert_eq!((d.enabled, d.state), (Some(true), Some(4)));
            assert_eq!(d.inactive_because, None);
            assert_eq!(d.counters.get("TotalReleases"), Some(0x1234));
            assert_eq!(d.counters.get("RecursionDepthLimit"), Some(4));
            assert_eq!(d.counters.get("ChildrenCountWatermark"), Some(2));
            assert_eq!(d.counters.get("Instigator"), None, "an address is not a count");
            assert_eq!(d.counters.get("StackLowLimit"), None);
            let has = d.counters.get("StackLimitHits").is_some();
            assert_eq!(has, build.number() > 7601, "since 8.1");

            let [root, child, held, tried, mutexed] =
                [0, 1, 2, 3, 4].map(|i| label(&format!("node:{i}")));
            assert_eq!((d.resources().len(), d.threads().len(), d.nodes().len()), (4, 2, 5));
            let a = d.resource(label("lock:0")).unwrap();
            assert_eq!((a.record, a.lock, a.kind), (label("lock:0"), at(0x1008), LockType(5)));
            assert_eq!((a.owner, a.node_count, a.recursion_count), (Va(0), 1, 0));
            assert_eq!(a.stack, [at(0x11), at(0x12)]);
            assert_eq!(a.last_acquire, [at(0x13)]);
            assert_eq!(a.last_release, (0..8).map(|i| at(0x20 + i)).collect::<Vec<_>>());
            let b = d.resource(label("lock:1")).unwrap();
            assert_eq!((b.owner, b.node_count), (label("thread:0"), 2));
            assert_eq!((b.recursion_count, b.kind), (1, LockType(6)));
            assert_eq!(d.lock_type(at(0x7_0000)), Some(LockType(1)));

            let node = d.node(child).unwrap();
            assert_eq!((node.root, node.parent, node.thread), (b.record, root, Va(0)));
            assert_eq!(
                (node.stack.as_slice(), node.parent_stack.as_slice()),
                (&[at(0x33)][..], &[at(0x34)][..])
            );
            assert!(!node.active && !node.only_try && !node.out_of_order);
            assert_eq!(d.lock_of(node), Some(b.lock));
            let node = d.node(root).unwrap();
            assert_eq!((node.parent, node.children_count), (Va(0), Some(2)));
            assert_eq!(node.children, [child, tried]);
            let node = d.node(held).unwrap();
            assert_eq!((node.active, node.sequence, node.thread), (true, 7, label("thread:0")));
            let node = d.node(tried).unwrap();
            assert!(node.only_try && node.out_of_order && !node.active);

            let thread = d.thread(label("thread:0")).unwrap();
            assert_eq!((thread.thread, thread.node_count), (at(0x10_0040), 1));
            let current = (thread.current_spin_node, thread.current_other_node);
            assert_eq!(current, (held, Va(0)));
            assert_eq!((thread.uses_eresources, thread.paging_count), (Some(false), 0));
            let thread = d.thread(label("thread:1")).unwrap();
            assert_eq!(thread.uses_eresources, Some(true));
            assert_eq!(thread.current_other_node, mutexed);

            assert_eq!(
                (d.instigator, d.participants.as_slice()),
                (at(0x1008), &[root, child, held][..])
            );
            let issue = d.issue.unwrap();
            assert_eq!(
                (issue.code(), issue.lock(), issue.node()),
                (0x1001, Some(at(0x1008)), Some(held))
            );
            assert!(!issue.from_bug_check && issue.what().unwrap().contains("deadlock"));
            let named = d.code_addresses().collect::<Vec<_>>();
            assert!([0x1008, 0x11, 0x13, 0x27, 0x34, 0x35].iter().all(|o| named.contains(&at(*o))));
        }
    }

    #[test]
    fn off_and_disabled() {
        for build in Build::ALL {
            let off = read(&Machine::new(build).assemble());
            assert_eq!((off.address, off.enabled), (Va(0), None));
            assert!(off.inactive_because.unwrap().contains("ViDeadlockGlobals is null"));
            assert_eq!(off.problems, []);

            let mut m = Machine::new(build);
            m.deadlock().disabled();
            let disabled = read(&m.assemble());
            assert_eq!((disabled.enabled, disabled.resources().len()), (Some(false), 0));
            assert!(disabled.inactive_because.unwrap().contains("switched off"));
        }
    }

    #[test]
    fn given_up() {
        for build in [Build::Win81, Build::Win10Rs1, Build::Win7Sp1X86, Build::Win10VbX86] {
            // Known only for kernels of 10 and 11.
            let known = build.number() >= 14393;
            let mut m = two_threads(build);
            m.deadlock().counter("AllocationFailures", 3);
            let failed = read(&m.assemble());
            let why = failed.inactive_because.as_ref();
            assert_eq!(why.is_some_and(|why| why.contains("AllocationFailures is 3")), known);
            assert_eq!(failed.resources().len(), 4, "what was known stays");

            let mut m = two_threads(build);
            m.deadlock().counter("ChildrenCountWatermark", 1025);
            let wide = read(&m.assemble()).inactive_because;
            assert_eq!(wide.is_some_and(|why| why.contains("1025")), known);
            let mut m = two_threads(build);
            m.processors(5);
            let many = read(&m.assemble()).inactive_because;
            assert_eq!(many.is_some_and(|why| why.contains("this one has 5")), known);
            let mut m = two_threads(build);
            m.processors(4).deadlock().counter("ChildrenCountWatermark", 1024);
            assert_eq!(read(&m.assemble()).inactive_because, None);
        }
    }
}

mod issues {
    use super::*;

    const C4: BugCheck = BugCheck { code: 0xc4, parameters: [0x1003, 0x8000_1000, 0x8000_2000, 0] };

    /// A machine that deadlock detection stopped.
    fn stopped(build: Build, bug_check: BugCheck) -> Machine {
        let BugCheck { code, parameters } = bug_check;
        let mut m = Machine::new(build);
        m.bug_check(verifier_synth::BugCheck { code, parameters });
        m
    }

    #[test]
    fn the_bug_check_is_used_if_the_kernels_variable_is_empty() {
        let after = |bug_check| {
            let mut m = stopped(Build::Win10Vb, bug_check);
            m.deadlock();
            m.assemble()
        };
        let issue = read(&after(C4)).issue.unwrap();
        assert!(issue.from_bug_check);
        assert_eq!((issue.words, issue.lock()), (C4.parameters, Some(Va(0x8000_1000))));
        assert_eq!(issue.node(), None, "the third word is another lock");
        for (code, subcode) in [(0xe2, 0x1003), (0xc4, 0x62), (0xc4, 0xfff), (0xc4, 0x100c)] {
            let bug_check = BugCheck { code, parameters: [subcode, 1, 2, 3] };
            assert_eq!(read(&after(bug_check)).issue, None);
        }
        // Detection is off, but it stopped the machine before.
        assert!(read(&stopped(Build::Win10Vb, C4).assemble()).issue.is_some());
    }

    /// Memory without a dump's header, such as a virtual machine's: the bug check is in the kernel's own
    /// variable.
    #[test]
    fn no_header_is_needed_for_it() {
        let mut m = stopped(Build::Win10Vb, C4);
        m.deadlock();
        let assembly = m.assemble();
        let dump = open_dump(assembly.dump(kind(&assembly)));
        let space = AddressSpace::of_dump(&dump).unwrap();
        let hints = Hints { bug_check: None, ..Hints::from(dump.header()) };
        let kernel = Kernel::open(space, hints).unwrap();
        kernel.supply_types(Arc::new(table(&assembly)));
        let issue = Deadlock::read(&kernel).unwrap().issue.unwrap();
        assert_eq!((issue.words, issue.from_bug_check), (C4.parameters, true));
    }

    #[test]
    fn the_kernels_own_words_come_first() {
        for build in [Build::Win11, Build::Win7Sp1X86] {
            let mut m = stopped(build, C4);
            m.deadlock().issue([0x1000, place(build, 0x10), 2, 3]);
            let issue = read(&m.assemble()).issue.unwrap();
            assert_eq!(issue.words, [0x1000, place(build, 0x10), 2, 3]);
            assert!(!issue.from_bug_check);
        }
    }

    #[test]
    fn every_code_has_a_meaning() {
        let what = |code| {
            let mut issue = verifier_core::verifier::deadlock::Issue::default();
            issue.words[0] = code;
            issue.what()
        };
        let words: Vec<&str> = (0x1000..=0x100b).filter_map(what).collect();
        assert_eq!(words.len(), 12);
        assert!((1..12).all(|i| words[i] != words[i - 1]));
        assert_eq!(what(0x100c), None);
    }
}

mod order {
    use super::*;

    fn letters(order: &LockOrder) -> Vec<String> {
        let steps = |thread: &verifier_core::analysis::OrderThread| {
            thread.steps.iter().map(|step| order.letter(step.lock)).collect()
        };
        order.threads.iter().map(steps).collect()
    }

    #[test]
    fn two_threads_in_two_orders() {
        for build in [Build::Win81, Build::Win10VbX86] {
            let assembly = two_threads(build).assemble();
            let d = read(&assembly);
            let order = LockOrder::of(&d).unwrap();
            assert_eq!(letters(&order), ["AB", "BA"]);
            assert_eq!(order.locks, [0x1008, 0x1010].map(|o| Va(place(build, o))));
            let [first, second] = &order.threads[..] else { panic!() };
            assert_eq!((first.thread, first.record), (None, Va(0)), "it released its locks");
            assert_eq!(second.thread, Some(Va(place(build, 0x10_0040))));
            assert_eq!(second.record, Va(assembly.address("deadlock thread:0")));
            let at = |o| Va(place(build, o));
            // The stack with which A was taken before B, which is not the last stack of A.
            assert_eq!(first.steps[0].stack, [at(0x34)]);
            assert_eq!(first.steps[1].stack, [at(0x33)]);
            assert_eq!(second.steps[0].stack, [at(0x35)]);
            assert_eq!((second.steps[1].node, second.steps[1].stack.len()), (None, 0));
        }
    }

    #[test]
    fn three_threads_and_a_lock_between() {
        let build = Build::Win11;
        let mut m = Machine::new(build);
        let d = m.deadlock();
        let locks: Vec<_> = (0..4).map(|i| d.free_lock(place(build, i * 0x2000), 5)).collect();
        let thread = d.thread(place(build, 0x9_0040));
        // A, then M, then B; B, then C; C, then A.
        let a = d.node(LockNode::new(locks[0]));
        let am = d.node(LockNode::new(locks[1]).below(a));
        let amb = d.node(LockNode::new(locks[2]).below(am));
        let b = d.node(LockNode::new(locks[2]));
        let bc = d.node(LockNode::new(locks[3]).below(b));
        let c = d.node(LockNode::new(locks[3]).held_by(thread));
        d.found(locks[0], &[a, am, amb, b, bc, c]);
        let d = read(&m.assemble());
        assert_eq!(d.problems, []);
        let order = LockOrder::of(&d).unwrap();
        assert_eq!(letters(&order), ["ABC", "CD", "DA"]);
        let cycles = LockGraph::of(&d).cycles();
        assert_eq!(cycles, Vec::<Vec<Va>>::new(), "the last lock was not taken: no node closes it");
    }

    #[test]
    fn more_locks_than_letters() {
        let build = Build::Win10Vb;
        let mut m = Machine::new(build);
        let d = m.deadlock();
        let mut nodes = Vec::new();
        let mut first = None;
        for i in 0..32 {
            let lock = d.free_lock(place(build, i * 0x1000), 5);
            first.get_or_insert(lock);
            let node = LockNode::new(lock);
            let node = match nodes.last() {
                Some(&parent) => node.below(parent),
                None => node,
            };
            nodes.push(d.node(node));
        }
        d.found(first.unwrap(), &nodes);
        let order = LockOrder::of(&read(&m.assemble())).unwrap();
        assert_eq!(order.threads.len(), 1);
        assert_eq!(letters(&order)[0], "ABCDEFGHIJKLMNOPQRSTUVWXYZAAABACADAEAFA");
    }

    #[test]
    fn nothing_without_an_instigator() {
        // An abandoned search leaves participants but no lock.
        let mut m = two_threads(Build::Win11);
        m.deadlock().counter("Instigator", 0);
        let d = read(&m.assemble());
        assert_eq!(d.participants.len(), 3);
        assert_eq!(LockOrder::of(&d), None);
    }
}

mod graph {
    use super::*;

    #[test]
    fn edges_and_cycles() {
        for build in [Build::Win7Sp1, Build::Win11Arm64, Build::Win7Sp1X86] {
            let at = |offset| Va(place(build, offset));
            let mut m = two_threads(build);
            let d = m.deadlock();
            let x = d.free_lock(at(0x80_0000).0, 5);
            let y = d.free_lock(at(0x80_1000).0, 5);
            let z = d.free_lock(at(0x80_2000).0, 5);
            let thread = d.thread(at(0x30_0040).0);
            // x → y → z → x; w was tried after z, and taken before x.
            let w = d.free_lock(at(0x80_3000).0, 3);
            let parents = [x, y, z, w].map(|lock| d.node(LockNode::new(lock)));
            d.node(LockNode::new(y).below(parents[0]));
            d.node(LockNode::new(z).below(parents[1]).held_by(thread));
            d.node(LockNode::new(x).below(parents[2]));
            d.node(LockNode::new(x).below(parents[3]));
            d.node(LockNode { only_try: true, ..LockNode::new(w).below(parents[2]) });
            let d = read(&m.assemble());
            assert_eq!(d.problems, []);
            let graph = LockGraph::of(&d);
            assert_eq!(graph.locks.len(), 8);
            assert!(graph.locks.is_sorted_by_key(|lock| lock.lock));
            assert_eq!(graph.lock(at(0x1010)).unwrap().owner, Some(at(0x10_0040)));
            assert_eq!(graph.lock(at(0x1011)), None);
            let edges: Vec<(u64, u64)> = graph
                .edges
                .iter()
                .map(|edge| (edge.held.0 - at(0).0, edge.acquired.0 - at(0).0))
                .collect();
            let expected = [
                (0x1008, 0x1010),
                (0x1008, 0x55_5000),
                (0x80_0000, 0x80_1000),
                (0x80_1000, 0x80_2000),
                (0x80_2000, 0x80_0000),
                (0x80_2000, 0x80_3000),
                (0x80_3000, 0x80_0000),
            ];
            assert_eq!(edges, expected);
            assert_eq!(graph.edges[0].held_stack, [at(0x34)]);
            assert_eq!(graph.edges[0].acquired_stack, [at(0x33)]);
            assert_eq!(graph.edges[3].thread, Some(at(0x30_0040)));
            assert!(graph.edges[5].only_try && !graph.edges[6].only_try);
            let cycle = [0x80_0000, 0x80_1000, 0x80_2000].map(at).to_vec();
            assert_eq!(graph.cycles(), [cycle], "what was only tried for closes nothing");
        }
    }

    #[test]
    fn a_long_chain_is_walked_without_recursion() {
        let build = Build::Win10Vb;
        let mut m = Machine::new(build);
        let d = m.deadlock();
        let locks: Vec<_> = (0..600).map(|i| d.free_lock(place(build, i * 0x40), 5)).collect();
        for pair in locks.windows(2) {
            let parent = d.node(LockNode::new(pair[0]));
            d.node(LockNode::new(pair[1]).below(parent));
        }
        let parent = d.node(LockNode::new(locks[599]));
        d.node(LockNode::new(locks[0]).below(parent));
        let graph = LockGraph::of(&read(&m.assemble()));
        let cycles = graph.cycles();
        assert_eq!((cycles.len(), cycles[0].len()), (1, 600));
    }
}

mod damage {
    use super::*;

    const BUILD: Build = Build::Win10Vb;

    fn label(m: &Assembly, name: &str) -> u64 {
        m.address(&format!("deadlock {name}"))
    }

    fn field(m: &Assembly, structure: &str, path: &str) -> u64 {
        m.layouts().offset(structure, path) as u64
    }

    #[test]
    fn children_that_close_into_a_ring() {
        let mut m = two_threads(BUILD).assemble();
        let at = field(&m, "_VI_DEADLOCK_NODE", "SiblingsList");
        let (child, tried) = (label(&m, "node:1") + at, label(&m, "node:3") + at);
        // root → child → tried → child: the walk never comes back to the head.
        m.patch_pointer(tried, child);
        let d = read(&m);
        assert_reported(&d.problems, "children of deadlock node", "closes a ring without the head");
        assert_eq!((d.nodes().len(), d.resources().len()), (5, 4), "nothing is lost by it");
        assert_eq!(LockOrder::of(&d).unwrap().threads.len(), 2);
    }

    #[test]
    fn a_node_among_another_nodes_children() {
        let mut m = two_threads(BUILD).assemble();
        let child = label(&m, "node:1");
        let held = label(&m, "node:2");
        m.patch_field(child, "_VI_DEADLOCK_NODE", "Parent", held);
        let d = read(&m);
        assert_reported(&d.problems, "deadlock node", &format!("its Parent is {held:#x}"));
        m.patch_field(child, "_VI_DEADLOCK_NODE", "Root", label(&m, "lock:2"));
        assert_reported(&read(&m).problems, "deadlock node", "on the list of lock");
    }

    #[test]
    fn parents_in_a_circle() {
        let mut m = two_threads(BUILD).assemble();
        let (root, child) = (label(&m, "node:0"), label(&m, "node:1"));
        m.patch_field(root, "_VI_DEADLOCK_NODE", "Parent", child);
        let d = read(&m);
        assert_eq!(d.nodes().len(), 5);
        let graph = LockGraph::of(&d);
        assert_eq!(graph.cycles().len(), 1, "as the nodes say");
    }

    /// Locks of one page, and so of one bucket, with records on several pages.
    fn crowded() -> (Machine, Vec<u64>) {
        let mut m = Machine::new(BUILD);
        let d = m.deadlock();
        let addresses: Vec<u64> = (0..60).map(|i| place(BUILD, 0x5000 + i * 8)).collect();
        for &address in &addresses {
            let lock = d.free_lock(address, 5);
            for _ in 0..3 {
                d.node(LockNode::new(lock));
            }
        }
        (m, addresses)
    }

    #[test]
    fn a_bucket_that_is_cut() {
        let (machine, addresses) = crowded();
        let mut m = machine.assemble();
        let pages = |i: u64| {
            let record = label(&m, &format!("lock:{i}"));
            [record >> 12, (record + 0xf7) >> 12]
        };
        let cut = pages(30)[0];
        let (first, last) = (pages(0), pages(59));
        assert!(!first.contains(&cut) && !last.contains(&cut));
        let lost = (0..60).filter(|&i| pages(i).contains(&cut)).count();
        m.remove_page(cut << 12);
        let d = read(&m);
        assert_reported(&d.problems, "database of locks, bucket", "not in the dump");
        assert!(!d.problems.iter().any(|p| p.why.contains("its count is")), "a cut explains it");
        let known: Vec<u64> = d.resources().map(|resource| resource.lock.0).collect();
        assert_eq!(known.len(), 60 - lost, "what is not on that page is found from both ends");
        assert!(known.contains(&addresses[0]) && known.contains(&addresses[59]));
    }

    #[test]
    fn an_entry_of_two_buckets() {
        let mut m = Machine::new(BUILD);
        let d = m.deadlock();
        d.free_lock(place(BUILD, 0x1000), 5);
        d.free_lock(place(BUILD, 0x2000), 5);
        let mut m = m.assemble();
        let at = field(&m, "_VI_DEADLOCK_RESOURCE", "HashChainList");
        let (first, second) = (label(&m, "lock:0") + at, label(&m, "lock:1") + at);
        let entry = u64::from_le_bytes(m.read(first, 8).unwrap().try_into().unwrap());
        m.patch_pointer(first, second);
        m.patch_pointer(second, entry);
        let d = read(&m);
        assert_eq!(d.resources().len(), 2);
        assert_reported(&d.problems, "database of locks, bucket", "in another bucket too");
    }

    #[test]
    fn absent_heads_lose_only_their_page() {
        for build in [Build::Win11, Build::Win10VbX86] {
            let mut m = Machine::new(build);
            let d = m.deadlock();
            // One lock for each of 1023 buckets.
            for i in 0..1023 {
                d.free_lock(place(build, i * 0x1000), 5);
            }
            let mut m = m.assemble();
            let heads = label(&m, "resource heads");
            m.remove_page(heads + 0x1000);
            let d = read(&m);
            let per_page = 0x1000 / (2 * m.layouts().pointer_size());
            // The last page is not full.
            assert_eq!(d.resources().len(), 1023 - per_page.min(1023 - per_page));
            assert_eq!(d.problems.len(), 1, "{:?}", d.problems);
            assert_reported(&d.problems, "database of locks, buckets 0x", "not in the dump");
        }
    }

    #[test]
    fn absent_globals_lose_only_their_own_fields() {
        for build in [Build::Win7Sp1, Build::Win11, Build::Win7Sp1X86] {
            let mut m = two_threads(build).assemble();
            let globals = label(&m, "globals");
            // The last page has counters and participants. The first has the databases.
            m.remove_page(globals + field(&m, "_VI_DEADLOCK_GLOBALS", "Participant"));
            let d = read(&m);
            assert_eq!((d.resources().len(), d.nodes().len()), (4, 5), "{build:?}");
            assert_eq!(d.participants, []);
            assert_reported(&d.problems, "deadlock detection's globals", "not in the dump");
            assert!(d.problems.len() <= 2, "a page is reported once: {:?}", d.problems);
            assert!(d.issue.is_some(), "it is a variable of the kernel's");
        }
    }

    #[test]
    fn participants_are_read_if_the_database_is_lost() {
        let mut m = two_threads(BUILD).assemble();
        let globals = label(&m, "globals");
        m.patch_field(globals, "_VI_DEADLOCK_GLOBALS", "ResourceDatabase", 0);
        let d = read(&m);
        assert_eq!(
            (d.threads().len(), d.nodes().len()),
            (2, 4),
            "the mutex's node is out of reach"
        );
        let counts = |problem: &Problem| problem.why.contains("nodes name it");
        assert!(!d.problems.iter().any(counts), "which says nothing of its thread's count");
        m.patch_field(globals, "_VI_DEADLOCK_GLOBALS", "ThreadDatabase", 0x1000);
        let d = read(&m);
        let order = LockOrder::of(&d).unwrap();
        assert_eq!(order.locks.len(), 2);
        assert_eq!(order.threads[1].thread, Some(Va(place(BUILD, 0x10_0040))));
        assert_reported(&d.problems, "database of locks", "");
        assert_reported(&d.problems, "database of threads", "");
    }

    #[test]
    fn wrong_counts_are_reported() {
        let mut m = two_threads(BUILD);
        m.deadlock().counter("ResourceDatabaseCount", 5).counter("ThreadDatabaseCount", 1);
        let mut m = m.assemble();
        let (lock, thread) = (label(&m, "lock:1"), label(&m, "thread:1"));
        m.patch_field(lock, "_VI_DEADLOCK_RESOURCE", "NodeCount", 0xffff);
        m.patch_field(thread, "_VI_DEADLOCK_THREAD", "NodeCount", 9);
        let d = read(&m);
        assert_reported(&d.problems, "database of locks", "its count is 0x5, its buckets hold 0x4");
        assert_reported(
            &d.problems,
            "database of threads",
            "its count is 0x1, its buckets hold 0x2",
        );
        assert_reported(&d.problems, "nodes of lock", "NodeCount is 0xffff, the list has 0x2");
        assert_reported(
            &d.problems,
            "thread",
            "NodeCount is 0x9, 0x1 nodes name it, 0x1 of them active",
        );
        assert_eq!(d.problems.len(), 4);
        assert_eq!((d.resources().len(), d.nodes().len()), (4, 5));
    }

    /// The offset of a node's flags is not public for every build.
    #[test]
    fn a_thread_whose_nodes_are_not_marked_as_active_is_not_a_contradiction() {
        let mut m = two_threads(BUILD).assemble();
        for node in ["node:2", "node:4"] {
            let node = label(&m, node);
            m.patch_field(node, "_VI_DEADLOCK_NODE", "u1.Whole", 0);
        }
        let d = read(&m);
        assert_eq!(d.nodes().filter(|node| node.active).count(), 0);
        assert_eq!(d.problems, []);
    }

    #[test]
    fn a_variable_whose_page_is_absent_is_a_remark() {
        let mut m = two_threads(BUILD);
        let page = m.kernel_mut().data_rva() + 0x3000;
        m.kernel_symbol("ViDeadlockChildrenCountMaximum", page);
        let d = read(&m.assemble());
        assert_eq!((d.resources().len(), d.inactive_because.as_ref()), (4, None));
        let [remark] = &d.problems[..] else { panic!("{:?}", d.problems) };
        assert_eq!(&*remark.what, "ViDeadlockChildrenCountMaximum");
        assert!(Completeness::of(&d.problems).is_complete());
    }

    #[test]
    fn too_many_participants() {
        let mut m = two_threads(BUILD);
        m.deadlock().counter("NumberOfParticipants", 0x1_0000);
        let d = read(&m.assemble());
        assert_eq!(d.participants.len(), 3);
        assert_reported(&d.problems, "globals", "NumberOfParticipants is 0x10000 of at most 0x20");
        assert_reported(&d.problems, "globals", "participant 31 is null");
    }

    #[test]
    fn a_limit_ends_every_walk() {
        let (machine, _) = crowded();
        let m = machine.assemble();
        for most in [0, 1, 60, 61, 130, 300] {
            let mut limits = Limits::default();
            limits.deadlock_records = most;
            let d = Deadlock::read(&kernel_with(&m, limits)).unwrap();
            assert!(d.resources().len() + d.nodes().len() <= most);
            let told = d.problems.iter().filter(|p| p.why.contains("Limits::deadlock_records"));
            assert_eq!(told.count(), 1, "{:?}", d.problems);
        }
    }

    #[test]
    fn a_page_that_is_not_present_is_distinguished_from_an_absent_one() {
        let mut m = two_threads(BUILD).assemble();
        let held = label(&m, "node:2");
        m.set_page_state(held, PageState::NotPresent);
        let d = read(&m);
        assert!(d.problems.iter().any(|p| p.why.contains("not present")), "{:?}", d.problems);
        assert!(!d.problems.iter().any(|p| p.why.contains("not in the dump")));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        /// Replaces words of the structures by addresses of other structures: walks and joins end within the
        /// limit.
        #[test]
        fn any_pointer_anywhere(changes in prop::collection::vec((any::<prop::sample::Index>(), 0u64..0x20, any::<prop::sample::Index>(), 0u64..0x20), 1..12)) {
            static MACHINE: OnceLock<(Assembly, Arc<Isf>)> = OnceLock::new();
            let (whole, types) = MACHINE.get_or_init(|| {
                let m = two_threads(BUILD).assemble();
                let types = Arc::new(table(&m));
                (m, types)
            });
            let mut m = whole.clone();
            let places: Vec<u64> = m
                .labels()
                .filter(|(name, _)| name.starts_with("deadlock "))
                .map(|(_, va)| va)
                .collect();
            for (at, word, to, distance) in changes {
                let (at, to) = (at.get(&places), to.get(&places));
                m.patch_pointer(at + 8 * word, to + 8 * distance);
            }
            let mut limits = Limits::default();
            limits.deadlock_records = 1 << 12;
            let d = Deadlock::read(&kernel_by(&m, limits, Arc::clone(types))).unwrap();
            prop_assert!(d.resources().len() + d.threads().len() + d.nodes().len() <= 1 << 12);
            let _ = LockOrder::of(&d);
            let _ = LockGraph::of(&d).cycles();
        }
    }
}

mod literals {
    use super::*;

    const GLOBALS: u64 = 0xffff_fa80_0010_0000;

    fn types() -> Literals {
        let list = Shape::Named { name: "_LIST_ENTRY".into(), size: Some(16) };
        let stack = Shape::Array { element: Box::new(Shape::Pointer(8)), size: 16, count: 2 };
        let bit = |position| Shape::Bits { bytes: 4, position, length: 1 };
        Literals::new()
            .with_symbol("ViDeadlockGlobals", 0x1000)
            .with_type(
                "_VI_DEADLOCK_GLOBALS",
                0x40,
                &[
                    ("TotalReleases", 0, Shape::Unsigned(4)),
                    ("ResourceDatabase", 8, Shape::Pointer(8)),
                    ("ThreadDatabase", 0x10, Shape::Pointer(8)),
                    ("Instigator", 0x18, Shape::Pointer(8)),
                    ("NumberOfParticipants", 0x20, Shape::Unsigned(4)),
                    ("Participant", 0x28, stack.clone()),
                ],
            )
            .with_type(
                "_VI_DEADLOCK_RESOURCE",
                0x60,
                &[
                    ("Type", 0, Shape::Unsigned(4)),
                    ("NodeCount", 4, Shape::Unsigned(2)),
                    ("RecursionCount", 6, Shape::Unsigned(2)),
                    ("ResourceAddress", 8, Shape::Pointer(8)),
                    ("ThreadOwner", 0x10, Shape::Pointer(8)),
                    ("ResourceList", 0x18, list.clone()),
                    ("HashChainList", 0x28, list.clone()),
                    ("StackTrace", 0x38, stack.clone()),
                    ("LastAcquireTrace", 0x48, stack.clone()),
                    ("LastReleaseTrace", 0x50, stack.clone()),
                ],
            )
            .with_type(
                "_VI_DEADLOCK_THREAD",
                0x30,
                &[
                    ("Thread", 0, Shape::Pointer(8)),
                    ("CurrentSpinNode", 8, Shape::Pointer(8)),
                    ("CurrentOtherNode", 0x10, Shape::Pointer(8)),
                    ("ListEntry", 0x18, list.clone()),
                    ("NodeCount", 0x28, Shape::Unsigned(4)),
                    ("PagingCount", 0x2c, Shape::Unsigned(4)),
                ],
            )
            .with_type(
                "_VI_DEADLOCK_NODE",
                0x70,
                &[
                    ("Parent", 0, Shape::Pointer(8)),
                    ("ChildrenList", 8, list.clone()),
                    ("SiblingsList", 0x18, list.clone()),
                    ("ResourceList", 0x28, list),
                    ("Root", 0x38, Shape::Pointer(8)),
                    ("ThreadEntry", 0x40, Shape::Pointer(8)),
                    ("Active", 0x48, bit(0)),
                    ("OnlyTryAcquireUsed", 0x48, bit(1)),
                    ("SequenceNumber", 0x48, Shape::Bits { bytes: 4, position: 2, length: 30 }),
                    ("StackTrace", 0x50, stack.clone()),
                    ("ParentStackTrace", 0x60, stack),
                ],
            )
    }

    fn kernel(memory: SparsePages<Va>, types: Literals) -> Kernel {
        let kernel = tiny_kernel(memory, Limits::default());
        kernel.supply_types(Arc::new(types));
        kernel
    }

    fn pointer_to(globals: u64) -> SparsePages<Va> {
        SparsePages::new().with(TINY_BASE.add(0x1000), &globals.to_le_bytes())
    }

    #[test]
    fn a_machine_of_which_nothing_can_be_read() {
        let read = |kernel: &Kernel| Deadlock::read(kernel).unwrap_err();
        let none = tiny_kernel(SparsePages::new(), Limits::default());
        assert!(matches!(read(&none), Error::NoKernelSymbols { .. }));
        let other = kernel(SparsePages::new(), Literals::new().with_symbol("VfPoolTraces", 0));
        assert!(
            matches!(read(&other), Error::MissingSymbol { name } if name == "ViDeadlockGlobals")
        );
        let absent = kernel(SparsePages::new(), types());
        let error = read(&absent);
        assert_eq!(error.address(), Some(TINY_BASE.add(0x1000)));
        assert!(error.to_string().starts_with("ViDeadlockGlobals: "), "{error}");
        let untyped = Literals::new().with_symbol("ViDeadlockGlobals", 0x1000);
        let untyped = kernel(pointer_to(GLOBALS), untyped);
        assert!(matches!(read(&untyped), Error::MissingType { .. }));
    }

    #[test]
    fn off_needs_no_types() {
        let types = Literals::new().with_symbol("ViDeadlockGlobals", 0x1000);
        let d = Deadlock::read(&kernel(pointer_to(0), types)).unwrap();
        assert!(d.inactive_because.unwrap().contains("null"));
    }

    #[test]
    fn no_page_of_the_globals() {
        let d = Deadlock::read(&kernel(pointer_to(GLOBALS), types())).unwrap();
        assert_reported(&d.problems, "deadlock detection's globals", "holds no bytes");
        assert_eq!((d.resources().len(), d.participants.len()), (0, 0));
    }

    /// The layout of XP: flags without a union, no flag for out-of-order releases, no number of buckets. A
    /// node that is a participant is still read, with its lock and its thread.
    #[test]
    fn buckets_without_a_number() {
        let (node, lock, thread) = (GLOBALS + 0x1000, GLOBALS + 0x2000, GLOBALS + 0x3000);
        let words = |words: &[u64]| words.iter().flat_map(|w| w.to_le_bytes()).collect::<Vec<u8>>();
        let list = |at: u64| [at, at];
        let [children, siblings, resources] = [8, 0x18, 0x28].map(|o| list(node + o));
        let memory = pointer_to(GLOBALS)
            .with(
                Va(GLOBALS),
                &words(&[0x77, GLOBALS + 0x9000, 0, 0xffff_f800_1000_0010, 1, node, 0, 0]),
            )
            .with(
                Va(node),
                &words(&[
                    0,
                    children[0],
                    children[1],
                    siblings[0],
                    siblings[1],
                    resources[0],
                    resources[1],
                    lock,
                    thread,
                    0b1111,
                    0x11,
                    0,
                    0x22,
                    0x23,
                ]),
            )
            .with(
                Va(lock),
                &words(&[5, 0xffff_f800_1000_0020, thread, 0, 0, 0, 0, 0x31, 0x32, 0, 0, 0]),
            )
            .with(Va(thread), &words(&[0xffff_fa80_0777_0040, node, 0, 0, 0, 1]));
        let d = Deadlock::read(&kernel(memory, types())).unwrap();
        assert_eq!(d.counters.get("TotalReleases"), Some(0x77));
        assert_reported(
            &d.problems,
            "globals",
            "no ResourceAddressRange, which says how many buckets there are",
        );
        let found = d.node(Va(node)).unwrap();
        assert!(found.active && found.only_try && !found.out_of_order);
        assert_eq!((found.sequence, found.children_count), (3, None));
        assert_eq!((found.stack.as_slice(), found.parent_stack.len()), (&[Va(0x11)][..], 2));
        let order = LockOrder::of(&d).unwrap();
        assert_eq!(order.locks, [Va(0xffff_f800_1000_0020), Va(0xffff_f800_1000_0010)]);
        assert_eq!(order.threads[0].thread, Some(Va(0xffff_fa80_0777_0040)));
        assert_eq!(d.thread(Va(thread)).unwrap().uses_eresources, None);
    }
}

/// Tables and PDBs of real kernels; the structures are written by hand with the published layouts.
#[cfg(feature = "pdb")]
mod real_tables {
    use std::collections::BTreeMap;
    use std::fs;
    use std::io::Read as _;
    use std::path::{Path, PathBuf};

    use verifier_core::types::{Pdb, TypeSource};

    use super::*;
    use crate::common::shared;

    const GLOBALS: u64 = 0xffff_fa80_0010_0000;
    const LOCKS: u64 = 0xffff_fa80_0011_0000;
    const THREADS: u64 = 0xffff_fa80_0012_0000;
    const LOCK: u64 = 0xffff_fa80_0013_0000;
    const NODE: u64 = 0xffff_fa80_0013_1000;
    const THREAD: u64 = 0xffff_fa80_0013_2000;
    const ADDRESS: u64 = 0xffff_f880_0123_4560;
    const KTHREAD: u64 = 0xffff_fa80_0888_0040;

    /// One spin lock that its holder waits for again.
    fn memory(types: &dyn TypeSource) -> SparsePages<Va> {
        let symbol = |name: &str| TINY_BASE.add(types.symbol(name).unwrap().0.into());
        let mut memory = SparsePages::new();
        let mut word = |at: u64, value: u64| memory.write(Va(at), &value.to_le_bytes());
        // Windows 7 does not have StackLimitHits.
        let participants =
            if types.size_of("_VI_DEADLOCK_GLOBALS").unwrap() == 0x8168 { 0x8060 } else { 0x8068 };
        for at in (0..0x8180).step_by(8) {
            word(GLOBALS + at, 0);
        }
        word(GLOBALS + 0x10, LOCKS);
        word(GLOBALS + 0x18, 1);
        word(GLOBALS + 0x4010, THREADS);
        word(GLOBALS + 0x4018, 1);
        word(GLOBALS + participants - 0x10, ADDRESS);
        word(GLOBALS + participants - 8, 1);
        word(GLOBALS + participants, NODE);
        let ring = [(LOCKS, ADDRESS, LOCK + 0x28), (THREADS, KTHREAD, THREAD + 0x18)];
        for (heads, address, entry) in ring {
            for bucket in 0..1023 {
                let head = heads + 16 * bucket;
                let entry = if address / 0x1000 % 1023 == bucket { entry } else { head };
                word(head, entry);
                word(head + 8, entry);
                if entry != head {
                    word(entry, head);
                    word(entry + 8, head);
                }
            }
        }
        word(LOCK, 1 << 32 | 3 << 48 | 5);
        word(LOCK + 8, ADDRESS);
        word(LOCK + 0x10, THREAD);
        word(LOCK + 0x18, NODE + 0x28);
        word(LOCK + 0x20, NODE + 0x28);
        for (i, stack) in [0x38, 0x78, 0xb8].into_iter().enumerate() {
            word(LOCK + stack, 0x100 + i as u64);
            for frame in 1..8 {
                word(LOCK + stack + 8 * frame, 0);
            }
        }
        word(NODE, 0);
        word(NODE + 8, NODE + 8);
        word(NODE + 0x10, NODE + 8);
        word(NODE + 0x18, NODE + 0x18);
        word(NODE + 0x20, NODE + 0x18);
        word(NODE + 0x28, LOCK + 0x18);
        word(NODE + 0x30, LOCK + 0x18);
        word(NODE + 0x38, LOCK);
        word(NODE + 0x40, THREAD);
        word(NODE + 0x48, 9 << 32 | 0x77 << 3 | 0b101);
        for frame in 0..8 {
            word(NODE + 0x50 + 8 * frame, 0x200 + frame);
            word(NODE + 0x90 + 8 * frame, 0x300 + frame);
        }
        word(THREAD, KTHREAD);
        word(THREAD + 8, NODE);
        word(THREAD + 0x10, 0);
        word(THREAD + 0x28, 4 << 32 | 1);
        word(THREAD + 0x30, 1);
        word(symbol("ViDeadlockGlobals").0, GLOBALS);
        for (i, value) in [0x1001, ADDRESS, NODE, 0].into_iter().enumerate() {
            word(symbol("ViDeadlockIssue").0 + 8 * i as u64, value);
        }
        let mut half = |name, value: u32| memory.write(symbol(name), &value.to_le_bytes());
        half("ViDeadlockDetectionEnabled", 1);
        half("ViDeadlockState", 2);
        half("KeNumberProcessors", 4);
        half("ViDeadlockChildrenCountMaximum", 1024);
        memory
    }

    fn check(types: Arc<dyn TypeSource>, name: &str) {
        let kernel = tiny_kernel(memory(&*types), Limits::default());
        kernel.supply_types(types);
        let d = Deadlock::read(&kernel).unwrap();
        assert_eq!(d.problems, [], "{name}");
        assert_eq!((d.enabled, d.state, d.inactive_because.as_ref()), (Some(true), Some(2), None));
        assert_eq!((d.instigator, d.participants.as_slice()), (Va(ADDRESS), &[Va(NODE)][..]));
        assert_eq!(d.issue.unwrap().words, [0x1001, ADDRESS, NODE, 0]);
        let lock = d.resource(Va(LOCK)).unwrap();
        assert_eq!((lock.lock, lock.kind, lock.owner), (Va(ADDRESS), LockType(5), Va(THREAD)));
        assert_eq!((lock.node_count, lock.recursion_count), (1, 3));
        let stacks = [&lock.stack, &lock.last_acquire, &lock.last_release];
        assert_eq!(stacks, [&[Va(0x100)], &[Va(0x101)], &[Va(0x102)]]);
        let node = d.node(Va(NODE)).unwrap();
        assert_eq!((node.root, node.thread, node.parent), (Va(LOCK), Va(THREAD), Va(0)));
        assert!(node.active && !node.only_try && node.out_of_order);
        assert_eq!((node.sequence, node.children_count), (0x77, Some(9)));
        assert_eq!((node.stack[7], node.parent_stack[7]), (Va(0x207), Va(0x307)));
        let thread = d.thread(Va(THREAD)).unwrap();
        assert_eq!((thread.thread, thread.current_spin_node), (Va(KTHREAD), Va(NODE)));
        assert_eq!((thread.node_count, thread.paging_count), (1, 4));
        assert_eq!(thread.uses_eresources, Some(true));
    }

    fn files(folder: &Path) -> impl Iterator<Item = PathBuf> + use<> {
        fs::read_dir(folder).into_iter().flatten().map(|entry| entry.unwrap().path())
    }

    /// The PDBs of the shared dumps' kernels, each once, with their keys.
    fn kernel_pdbs(dumps: &Path) -> BTreeMap<String, PathBuf> {
        let mut pdbs = BTreeMap::new();
        for dump in files(dumps) {
            for key in files(&dump.join("symbols/ntkrnlmp.pdb")) {
                pdbs.insert(key.file_name().unwrap().to_str().unwrap().to_owned(), key);
            }
        }
        pdbs
    }

    #[test]
    fn pdbs() {
        let Some(dumps) = shared("dumps") else { return };
        let pdbs = kernel_pdbs(&dumps);
        for (key, folder) in &pdbs {
            let bytes = fs::read(folder.join("ntkrnlmp.pdb")).unwrap();
            let pdb = Pdb::parse("ntkrnlmp.pdb", Arc::new(bytes)).unwrap();
            check(Arc::new(pdb), key);
        }
        assert!(pdbs.len() >= 4, "{pdbs:?}");
    }

    /// The tables of kernels whose PDB is not available.
    #[test]
    fn isf_tables() {
        let (Some(dumps), Some(tables)) = (shared("dumps"), shared("isf")) else { return };
        let pdbs = kernel_pdbs(&dumps);
        let mut checked = 0;
        for path in files(&tables) {
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            let Some(guid) = name.strip_suffix("-1.json.xz") else { continue };
            if pdbs.keys().any(|key| key.starts_with(guid)) {
                continue;
            }
            let mut json = Vec::new();
            let packed = fs::read(&path).unwrap();
            lzma_rust2::XzReader::new(&*packed, true).read_to_end(&mut json).unwrap();
            check(Arc::new(Isf::parse(&json).unwrap()), &name);
            checked += 1;
        }
        assert!(checked >= 2, "{checked}");
    }
}
