//! Walks end on any bytes, broken lists give the entries that can be reached, and the kernel is found and
//! named.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use proptest::prelude::*;
use verifier_core::dump::Dump;
use verifier_core::internals::{
    AvlLayout, SlistForm, first_entry, walk_avl, walk_list, walk_slist,
};
use verifier_core::kernel::{AddressSpace, Hints, Kernel, Limits};
use verifier_core::machine::Machine;
use verifier_core::memory::{FromFn, SparsePages};
use verifier_core::types::{Isf, Literals, Shape};
use verifier_core::{Error, Extent, Va};
use verifier_synth::{Build, DebuggerKeys, Driver, DumpKind, Machine as Synth, UnloadedDriver};

const AT: u64 = 0xffff_fa80_0000_0000;

fn space(memory: SparsePages<Va>) -> AddressSpace {
    AddressSpace::new(Arc::new(memory), Machine::X64)
}

fn avl_layout() -> AvlLayout {
    let types = Literals::new()
        .with_type(
            "_RTL_BALANCED_LINKS",
            0x20,
            &[("LeftChild", 8, Shape::Pointer(8)), ("RightChild", 0x10, Shape::Pointer(8))],
        )
        .with_type(
            "_RTL_AVL_TABLE",
            0x68,
            &[
                (
                    "BalancedRoot",
                    0,
                    Shape::Named { name: "_RTL_BALANCED_LINKS".into(), size: Some(0x20) },
                ),
                ("NumberGenericTableElements", 0x2c, Shape::Unsigned(4)),
            ],
        );
    AvlLayout::from_types(&types).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    /// Pointers to any of 64 cells, or out of them: every walk ends within its limit.
    #[test]
    fn walks_end_on_any_bytes(cells in prop::collection::vec(0u64..80, 64), small in 1usize..40) {
        let cells = Arc::new(cells);
        let memory = FromFn::new(move |at: Va, buf: &mut [u8]| {
            for (i, byte) in buf.iter_mut().enumerate() {
                let offset = at.0.wrapping_sub(AT) + i as u64;
                let Some(&cell) = cells.get((offset / 8) as usize) else {
                    return Err("no such cell");
                };
                let value = match cell {
                    0..64 => AT + cell * 8,
                    64..72 => 0,
                    _ => cell,
                };
                *byte = value.to_le_bytes()[(offset % 8) as usize];
            }
            Ok(())
        });
        let space = AddressSpace::new(Arc::new(memory), Machine::X64);
        let mut limits = Limits::default();
        limits.list_entries = small;
        limits.tree_nodes = small;
        let list = walk_list(&space, Va(AT), "list", &limits);
        prop_assert!(list.entries.len() <= small);
        let slist = walk_slist(&space, Va(AT + 8), "slist", &limits);
        prop_assert!(slist.entries.len() <= small);
        let tree = walk_avl(&space, Va(AT), &avl_layout(), "tree", &limits);
        prop_assert!(tree.entries.len() <= small);
        for walk in [list, slist, tree] {
            let mut sorted = walk.entries.clone();
            sorted.sort_unstable();
            sorted.dedup();
            prop_assert_eq!(sorted.len(), walk.entries.len(), "an element twice");
        }
    }

    #[test]
    fn whole_lists_come_back_in_order(count in 0usize..40) {
        let node = |i: usize| if i == 0 { AT } else { AT + 0x1000 + i as u64 * 0x40 };
        let mut memory = SparsePages::new();
        for i in 0..=count {
            let next = node((i + 1) % (count + 1));
            let previous = node((i + count) % (count + 1));
            memory.write(Va(node(i)), &next.to_le_bytes());
            memory.write(Va(node(i) + 8), &previous.to_le_bytes());
        }
        let walk = walk_list(&space(memory), Va(AT), "list", &Limits::default());
        prop_assert_eq!(walk.broken, None);
        let expected: Vec<Va> = (1..=count).map(|i| Va(node(i))).collect();
        prop_assert_eq!(walk.entries, expected);
    }
}

#[test]
fn a_torn_list_is_walked_from_both_ends() {
    let node = |i: u64| AT + 0x1000 * i;
    let mut memory = SparsePages::new();
    // Seven nodes; the page of the fourth is absent.
    for i in (0..8u64).filter(|&i| i != 4) {
        memory.write(Va(node(i)), &node((i + 1) % 8).to_le_bytes());
        memory.write(Va(node(i) + 8), &node((i + 7) % 8).to_le_bytes());
    }
    let walk = walk_list(&space(memory), Va(node(0)), "list", &Limits::default());
    assert_eq!(walk.entries, [1, 2, 3, 5, 6, 7].map(|i| Va(node(i))));
    let Some(Error::Read { fault, .. }) = walk.broken else { panic!("{:?}", walk.broken) };
    assert_eq!(fault.address, node(4));
}

/// Nodes 0 to 7 in a ring, node 0 being the head, with links that are changed: (node, link, to).
fn ring(changes: &[(u64, u64, u64)]) -> (Vec<u64>, Option<Error>) {
    let node = |i: u64| AT + 0x1000 * i;
    let mut memory = SparsePages::new();
    for i in 0..8u64 {
        memory.write(Va(node(i)), &node((i + 1) % 8).to_le_bytes());
        memory.write(Va(node(i) + 8), &node((i + 7) % 8).to_le_bytes());
    }
    // A ring of other nodes, which never comes back to the head.
    for i in 8..12u64 {
        memory.write(Va(node(i)), &node(8 + (i + 1) % 4).to_le_bytes());
        memory.write(Va(node(i) + 8), &node(8 + (i + 3) % 4).to_le_bytes());
    }
    for &(at, link, to) in changes {
        memory.write(Va(node(at) + 8 * link), &node(to).to_le_bytes());
    }
    let walk = walk_list(&space(memory), Va(node(0)), "list", &Limits::default());
    (walk.entries.iter().map(|at| (at.0 - AT) / 0x1000).collect(), walk.broken)
}

#[test]
fn each_link_of_a_list_is_confirmed_by_the_next_entry() {
    let all = [1, 2, 3, 4, 5, 6, 7];
    assert_eq!(ring(&[]), (all.to_vec(), None));
    // A skipped entry, an early end, a wrong Blink, an entry that leads to itself, a head that leads to
    // itself.
    for (changes, at) in [
        (&[(2, 0, 5)][..], 2),
        (&[(3, 0, 0)], 3),
        (&[(4, 1, 1)], 3),
        (&[(4, 0, 4)], 4),
        (&[(0, 0, 0)], 0),
        (&[(0, 1, 0)], 7),
    ] {
        let (mut entries, broken) = ring(changes);
        let Some(Error::Malformed { address, .. }) = broken else {
            panic!("{changes:?} {broken:?}")
        };
        assert_eq!(address, Va(AT + 0x1000 * at), "{changes:?}");
        entries.sort_unstable();
        assert_eq!(entries, all, "{changes:?}");
    }
}

#[test]
fn a_link_into_another_list_adds_none_of_its_entries() {
    assert_eq!(ring(&[(3, 0, 9)]).0, [1, 2, 3, 4, 5, 6, 7]);
    assert_eq!(ring(&[(3, 1, 9)]).0, [1, 2, 3, 4, 5, 6, 7]);
    assert_eq!(ring(&[(3, 0, 9), (6, 1, 9)]).0, [1, 2, 3, 6, 7]);
}

#[test]
fn slist_heads_of_each_form() {
    let entry = AT + 0x5550;
    let with = |low: u64, high: u64| {
        let mut memory = SparsePages::new();
        memory.write(Va(AT), &[low.to_le_bytes(), high.to_le_bytes()].concat());
        memory.write(Va(entry), &0u64.to_le_bytes());
        space(memory)
    };
    let header8 = 2 | ((entry >> 4) & ((1 << 39) - 1)) << 25;
    let cases = [
        (SlistForm::Header16, with(0x0002_0002, entry)),
        (SlistForm::ByHeaderType, with(0x0002_0002, entry | 3)),
        (SlistForm::ByHeaderType, with(header8, 0xe000_0000_0000_0000)),
        (SlistForm::Header8, with(header8, 0)),
    ];
    for (form, space) in cases {
        let first = first_entry(&space, Va(AT), form).unwrap();
        assert_eq!(first, Va(entry), "{form:?}");
        let walk = walk_slist(&space, first, "slist", &Limits::default());
        assert_eq!((walk.entries, walk.broken), (vec![Va(entry)], None));
    }
}

#[test]
fn an_avl_count_that_differs_is_reported() {
    let mut memory = SparsePages::new();
    memory.write(Va(AT), &[0; 0x68]);
    memory.write(Va(AT + 0x10), &(AT + 0x200).to_le_bytes());
    memory.write(Va(AT + 0x2c), &3u32.to_le_bytes());
    for (node, left, right) in [(0x200u64, 0x240u64, 0u64), (0x240, 0, 0)] {
        let address = |offset: u64| if offset == 0 { 0 } else { AT + offset };
        memory.write(Va(AT + node), &[0; 0x20]);
        memory.write(Va(AT + node + 8), &address(left).to_le_bytes());
        memory.write(Va(AT + node + 16), &address(right).to_le_bytes());
    }
    let walk = walk_avl(&space(memory), Va(AT), &avl_layout(), "tree", &Limits::default());
    assert_eq!(walk.entries, [Va(AT + 0x260), Va(AT + 0x220)]);
    assert!(walk.broken.unwrap().to_string().contains("counts 3 elements, the tree holds 2"));
}

/// A dump's kernel, and its ISF table.
fn open(sample: &verifier_synth::Sample) -> (Kernel, Arc<Isf>) {
    let dump = Dump::open(Arc::new(sample.dump.clone())).unwrap();
    let kernel =
        Kernel::open(AddressSpace::of_dump(&dump).unwrap(), Hints::from(dump.header())).unwrap();
    let wanted = kernel.wanted(kernel.kernel_module().unwrap()).unwrap();
    let id = wanted.pdb.unwrap();
    let path = format!("{}/{}.json", id.name, id.isf_stem());
    let (_, json) = sample.files.iter().find(|(name, _)| *name == path).expect("its table");
    (kernel, Arc::new(Isf::parse(json).unwrap()))
}

#[test]
fn encoded_debugger_data_is_decoded_with_the_symbols() {
    let mut machine = Synth::new(Build::Win10Vb);
    machine.encode_debugger_data(DebuggerKeys {
        wait_never: 0x9d3c_51a7_0e42_66b1,
        wait_always: 0x2b7e_1516_28ae_d2a6,
    });
    machine.unloaded_driver(UnloadedDriver {
        name: "gone.sys".into(),
        start: 0xffff_f880_0550_0000,
        end: 0xffff_f880_0551_0000,
        time: 1,
    });
    let (kernel, isf) = open(&machine.build(DumpKind::BitmapFull));
    assert!(kernel.modules().unloaded().is_empty());
    let error = kernel.debugger_data().unwrap_err().to_string();
    assert!(error.contains("KDBG"), "{error}");
    kernel.supply_isf(kernel.kernel_module().unwrap(), isf);
    let data = kernel.debugger_data().unwrap();
    assert!(data.was_encoded);
    assert_eq!(data.kernel_base, kernel.base());
    assert_eq!(data.mm_verifier_data, kernel.global("MmVerifierData").unwrap());
    // The data in the block are then read, too.
    let names: Vec<_> = kernel.modules().unloaded().iter().map(|m| m.name.as_str()).collect();
    assert_eq!(names, ["gone.sys"]);
}

#[test]
fn addresses_are_named_by_module_symbol_and_unloaded_driver() {
    let mut machine = Synth::new(Build::Win7Sp1);
    machine.driver(
        Driver::new("leaky.sys").base(0xffff_f880_0440_0000).size(0x8000).export("LeakIt", 0x1200),
    );
    machine.unloaded_driver(UnloadedDriver {
        name: "gone.sys".into(),
        start: 0xffff_f880_0550_0000,
        end: 0xffff_f880_0551_0000,
        time: 0x01d0_0000_0000_0000,
    });
    let (kernel, isf) = open(&machine.build(DumpKind::Summary));
    let name = |va: u64| kernel.symbolize(Va(va)).map(|name| name.to_string());
    assert_eq!(name(0xffff_f880_0440_1200).as_deref(), Some("leaky!LeakIt"));
    assert_eq!(name(0xffff_f880_0440_1234).as_deref(), Some("leaky!LeakIt+0x34"));
    assert_eq!(name(0xffff_f880_0440_0010).as_deref(), Some("leaky+0x10"));
    assert_eq!(name(0xffff_f880_0550_0042).as_deref(), Some("<Unloaded_gone.sys>+0x42"));
    assert_eq!(name(0xffff_f880_0551_0000), None);
    let at = kernel.base().0 + u64::from(isf.symbols().next().unwrap().1.0);
    kernel.supply_isf(kernel.kernel_module().unwrap(), isf);
    assert!(name(at).unwrap().starts_with("nt!"));
}

#[test]
fn missing_symbols_are_reported_by_name_and_guid() {
    let machine = Synth::new(Build::Win11);
    let (kernel, _) = open(&machine.build(DumpKind::BitmapKernel));
    let wanted = kernel.wanted_symbols();
    assert_eq!(wanted.len(), kernel.modules().loaded().len());
    let Err(Error::NoKernelSymbols { .. }) = kernel.types().map(|_| ()) else { panic!() };
    let text = kernel.types().map(|_| ()).unwrap_err().to_string();
    let id = wanted[0].pdb.as_ref().unwrap();
    assert!(text.contains(&id.name) && text.contains(&id.guid_hex()), "{text}");
}

#[test]
fn without_a_module_list_the_error_says_so() {
    let space = space(SparsePages::new());
    let hints = Hints { ps_loaded_module_list: Some(Va(AT)), ..Hints::default() };
    let error = Kernel::open(space.clone(), hints).unwrap_err();
    let Error::Read { fault, .. } = &error else { panic!("{error}") };
    assert_eq!(fault.address, AT);
    let error = error.to_string();
    assert!(error.contains("list of loaded modules") && error.contains("0xfffffa8000000000"));
    let error = Kernel::open(space, Hints::default()).unwrap_err().to_string();
    assert!(error.contains("is unknown"), "{error}");
}

#[test]
fn hints_that_the_kernels_memory_contradicts_are_remarks() {
    let dump = Dump::open(Arc::new(Synth::new(Build::Win10Vb).build(DumpKind::BitmapFull).dump));
    let dump = dump.unwrap();
    let open = |hints: Hints| Kernel::open(AddressSpace::of_dump(&dump).unwrap(), hints).unwrap();
    let right = Hints::of_dump(&dump);
    let whole = open(right.clone());
    assert_eq!(whole.problems(), []);
    let head = right.ps_loaded_module_list.unwrap();
    for (hints, text) in [
        (
            Hints { build: Some(7601), ..right.clone() },
            "the header or the caller says 7601, but NtBuildLab begins with 19041, which is used"
                .to_string(),
        ),
        (
            Hints { ps_loaded_module_list: Some(head.add(0x40)), ..right.clone() },
            format!("the debugger data block at {}", right.kd_debugger_data_block.unwrap()),
        ),
    ] {
        let kernel = open(hints);
        let [problem] = kernel.problems() else { panic!("{:?}", kernel.problems()) };
        assert!(problem.why.contains(&text), "{problem}");
        assert_eq!(problem.leaves, Extent::Complete);
        assert_eq!((kernel.build(), kernel.base()), (19041, whole.base()));
        assert_eq!(kernel.modules().loaded(), whole.modules().loaded());
    }
    // An update that only enables features has its own build number.
    assert_eq!(open(Hints { build: Some(19045), ..right }).problems(), []);
}

#[test]
fn an_x86_module_entry_at_the_end_of_a_page_is_read() {
    let (list, entry, base) = (0x8200_0000u64, 0x8100_0fccu64, 0x8280_0000u32);
    let mut bytes = vec![0u8; 0x34];
    bytes[..4].copy_from_slice(&(list as u32).to_le_bytes());
    bytes[4..8].copy_from_slice(&(list as u32).to_le_bytes());
    bytes[0x18..0x1c].copy_from_slice(&base.to_le_bytes());
    bytes[0x20..0x24].copy_from_slice(&0x1000u32.to_le_bytes());
    let links = [(entry as u32).to_le_bytes(), (entry as u32).to_le_bytes()].concat();
    let memory = SparsePages::new().with(Va(list), &links).with(Va(entry), &bytes);
    let space = AddressSpace::new(Arc::new(memory), Machine::X86);
    let hints = Hints { ps_loaded_module_list: Some(Va(list)), ..Hints::default() };
    assert_eq!(Kernel::open(space, hints).unwrap().base(), Va(base.into()));
}

/// Requests to a kernel's images: names, and the wanted files.
fn asked(kernel: &Kernel) -> (Vec<Option<String>>, Vec<String>, usize) {
    let name = |at: u64| kernel.symbolize(Va(at)).map(|name| name.to_string());
    let names = [0xffff_f880_0440_1200, 0xffff_f880_0440_1410, 0xffff_f880_0550_0042].map(name);
    let wanted = kernel.wanted_symbols().iter().map(ToString::to_string).collect();
    (names.to_vec(), wanted, kernel.modules().unloaded().len())
}

#[test]
fn an_interrupted_read_is_not_kept() {
    let mut machine = Synth::new(Build::Win10Vb);
    machine.encode_debugger_data(DebuggerKeys {
        wait_never: 0x9d3c_51a7_0e42_66b1,
        wait_always: 0x2b7e_1516_28ae_d2a6,
    });
    machine.driver(
        Driver::new("leaky.sys")
            .base(0xffff_f880_0440_0000)
            .size(0x8000)
            .export("LeakIt", 0x1200)
            .export("LeakMore", 0x1400),
    );
    machine.unloaded_driver(UnloadedDriver {
        name: "gone.sys".into(),
        start: 0xffff_f880_0550_0000,
        end: 0xffff_f880_0551_0000,
        time: 1,
    });
    let sample = machine.build(DumpKind::BitmapFull);
    let (_, isf) = open(&sample);
    let dump = Dump::open(Arc::new(sample.dump.clone())).unwrap();
    // Reads that are left until the caller stops.
    let left = Arc::new(AtomicU64::new(u64::MAX));
    let fresh = || {
        left.store(u64::MAX, Ordering::Relaxed);
        let (space, still) = (AddressSpace::of_dump(&dump).unwrap(), Arc::clone(&left));
        let memory = FromFn::new(move |at: Va, buf: &mut [u8]| {
            match still.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |n| n.checked_sub(1)) {
                Ok(_) => space.read(at, buf).map(|_| ()).map_err(|fault| fault.to_string()),
                Err(_) => Err("it was interrupted".into()),
            }
        });
        let space = AddressSpace::new(Arc::new(memory), Machine::X64);
        let kernel = Kernel::open(space, Hints::from(dump.header())).unwrap();
        let still = Arc::clone(&left);
        kernel.stop_when(Box::new(move || still.load(Ordering::Relaxed) == 0));
        kernel
    };
    let look = |kernel: &Kernel| {
        kernel.supply_isf(kernel.kernel_module().unwrap(), Arc::clone(&isf));
        asked(kernel)
    };
    let kernel = fresh();
    let whole = look(&kernel);
    assert_eq!(whole.0[0].as_deref(), Some("leaky!LeakIt"));
    assert_eq!(whole.0[1].as_deref(), Some("leaky!LeakMore+0x10"));
    assert_eq!(whole.0[2].as_deref(), Some("<Unloaded_gone.sys>+0x42"));
    let reads = u64::MAX - left.load(Ordering::Relaxed);
    let (mut broken, mut after) = (0, 0);
    loop {
        let kernel = fresh();
        left.store(after, Ordering::Relaxed);
        broken += u64::from(look(&kernel) != whole);
        let was_stopped = left.swap(u64::MAX, Ordering::Relaxed) == 0;
        assert!(kernel.debugger_data().is_ok(), "after {after} reads");
        assert_eq!(asked(&kernel), whole, "after {after} reads");
        if !was_stopped {
            break;
        }
        after += 1;
    }
    assert!(broken > 20 && after < reads, "{broken} of {after} looks were broken off");
}
