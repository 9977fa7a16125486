//! One damaged field at a time in the data that lead to drivers and modules. Other data in memory contradict
//! it, so there is a problem with its address, and the data that were read are still shown.

use crate::common::{assert_reported, open};
use verifier_core::kernel::Kernel;
use verifier_core::verifier::log::PoolLog;
use verifier_core::verifier::{Drivers, PoolReport, Settings};
use verifier_core::{Completeness, Problem, Va};
use verifier_synth::{
    Allocation, Assembly, Build, Driver, Machine, MachineType, PoolRecord, Suspect,
};

const BUILDS: [Build; 4] = [Build::Win7Sp1X86, Build::Win7Sp1, Build::Win10Vb, Build::Win11];
const SUSPECT: &str = "_VF_SUSPECT_DRIVER_ENTRY";
const DATA: &str = "_VF_TARGET_VERIFIED_DRIVER_DATA";
const BLOCKS: u64 = 5;
/// A user address.
const USER: u64 = 0x40_0000;

/// Three drivers, two of which hold blocks, and one that never loaded.
fn machine(build: Build) -> Assembly {
    let pool =
        if build.machine() == MachineType::X86 { 0xb000_0000 } else { 0xffff_b00f_0000_0000 };
    let mut m = Machine::new(build);
    m.level(8);
    for (number, name) in ["leaky.sys", "quiet.sys", "third.sys"].into_iter().enumerate() {
        let pdb = name.replace(".sys", ".pdb");
        let driver = m.driver(Driver::new(name).pdb(&pdb).symbol("Read", 0x1200));
        let caller = m.driver_address(driver, "Read") + 0x34;
        let verified = m.verified(driver);
        for i in (0..BLOCKS).filter(|_| number < 2) {
            let address = pool + number as u64 * 0x10_0000 + i * 0x40;
            verified.allocation(Allocation::nonpaged(address, 0x40, b"Leak", caller));
        }
        let frames = vec![caller];
        m.pool_record(PoolRecord {
            address: pool,
            size: 0x40,
            thread: pool,
            frames,
            stale: vec![],
        });
    }
    m.suspect(Suspect { name: "absent.sys".into(), loads: 0, unloads: 0, address: None });
    m.assemble()
}

fn pointer(m: &Assembly, at: u64) -> u64 {
    let bytes = m.read(at, m.layouts().pointer_size()).unwrap();
    bytes.iter().rev().fold(0, |number, &byte| number << 8 | u64::from(byte))
}

fn assert_contradicted(problems: &[Problem], at: u64, why: &str) {
    assert_reported(problems, at, why);
    assert!(!Completeness::of(problems).is_complete());
}

/// The number of blocks of each driver.
fn held(report: &PoolReport) -> Vec<(&str, usize)> {
    let mut held: Vec<_> =
        report.drivers.iter().map(|pool| (&*pool.driver.name, pool.allocations.len())).collect();
    held.sort_unstable();
    held
}

const ALL: [(&str, usize); 4] =
    [("absent.sys", 0), ("leaky.sys", 5), ("quiet.sys", 5), ("third.sys", 0)];

/// Damages a machine of each build, and gives the pool report to `check`.
fn each(damage: impl Fn(&mut Assembly), check: impl Fn(&Assembly, &PoolReport)) {
    for build in BUILDS {
        let mut m = machine(build);
        damage(&mut m);
        check(&m, &PoolReport::read(&open(&m), |_| true).unwrap());
    }
}

#[test]
fn an_undamaged_machine_contradicts_nothing() {
    for build in BUILDS {
        let m = machine(build);
        let kernel = open(&m);
        let report = PoolReport::read(&kernel, |_| true).unwrap();
        assert_eq!((report.problems.as_slice(), held(&report)), (&[][..], ALL.to_vec()));
        assert_eq!(Settings::read(&kernel).unwrap().problems, []);
        assert_eq!(PoolLog::read(&kernel, None).unwrap().problems, []);
        for module in 0..kernel.modules().loaded().len() {
            assert_eq!(kernel.image_problems(module), [], "{build:?}");
        }
    }
}

mod list_and_tree {
    use super::*;

    fn head(m: &Assembly) -> u64 {
        m.address("nt!VfSuspectDriversList")
    }

    fn zero_tree(m: &mut Assembly) {
        let (tree, size) = (m.address("nt!ViTargetDriversAvl"), m.layouts().size("_VF_AVL_TREE"));
        m.patch(tree, &vec![0; size]);
    }

    #[test]
    fn a_null_head_is_not_an_empty_list_if_verifier_is_on() {
        each(
            |m| {
                let (head, size) = (head(m), m.layouts().pointer_size());
                m.patch(head, &vec![0; 2 * size]);
            },
            |m, report| {
                assert_contradicted(
                    &report.problems,
                    head(m),
                    "the link to 0x0 leads out of the kernel",
                );
                assert_eq!(held(report), ALL[1..]);
            },
        );
    }

    #[test]
    fn if_list_and_tree_are_both_lost_the_counted_blocks_are_searched_for() {
        each(
            |m| {
                let (head, size) = (head(m), m.layouts().pointer_size() as u64);
                m.patch_pointer(head, head);
                m.patch_pointer(head + size, head);
                zero_tree(m);
            },
            |_, report| {
                assert_eq!(held(report), ALL[1..3]);
                assert!(!Completeness::of(&report.problems).is_complete());
            },
        );
    }

    #[test]
    fn a_skipped_entry_is_found_on_the_way_back() {
        each(
            |m| {
                let first = pointer(m, head(m));
                let second = pointer(m, first);
                let third = pointer(m, second);
                m.patch_pointer(first, third);
            },
            |m, report| {
                assert_contradicted(&report.problems, pointer(m, head(m)), "is not confirmed");
                assert_eq!(held(report), ALL);
            },
        );
    }

    #[test]
    fn a_list_that_ends_early_is_found_on_the_way_back() {
        each(
            |m| {
                let first = pointer(m, head(m));
                m.patch_pointer(first, head(m));
            },
            |m, report| {
                assert_contradicted(&report.problems, pointer(m, head(m)), "is not confirmed");
                assert_eq!(held(report), ALL);
            },
        );
    }

    #[test]
    fn a_tree_without_a_table_has_no_nodes() {
        each(
            |m| {
                let tables = m.layouts().offset("_VF_AVL_TREE", "Tables") as u64;
                m.patch_pointer(m.address("nt!ViTargetDriversAvl") + tables, 0);
            },
            |m, report| {
                let tree = m.address("nt!ViTargetDriversAvl");
                assert_contradicted(&report.problems, tree, "it has no table, but NodeCount is 3");
            },
        );
    }

    #[test]
    fn node_count_and_parents_agree_with_the_tree() {
        each(
            |m| {
                let tree = m.address("nt!ViTargetDriversAvl");
                m.patch_field(tree, "_VF_AVL_TREE", "NodeCount", 7);
            },
            |m, report| {
                let tree = m.address("nt!ViTargetDriversAvl");
                assert_contradicted(
                    &report.problems,
                    tree,
                    "NodeCount is 7, but the tree holds 3 nodes",
                );
            },
        );
        each(
            |m| {
                let node = m.address("node:leaky.sys");
                m.patch_field(node, "_RTL_BALANCED_LINKS", "Parent", node);
            },
            |m, report| {
                let node = m.address("node:leaky.sys");
                assert_contradicted(&report.problems, node, "its parent is");
                assert_eq!(held(report), ALL);
            },
        );
    }
}

mod drivers {
    use super::*;

    fn suspect(field: &'static str, value: u64, why: &str) {
        each(
            |m| m.patch_field(m.address("suspect:leaky.sys"), SUSPECT, field, value),
            |m, report| {
                assert_contradicted(&report.problems, m.address("suspect:leaky.sys"), why);
                assert_eq!(held(report), ALL);
            },
        );
    }

    #[test]
    fn loads_and_unloads_agree_with_the_images() {
        suspect("Loads", 0x7fff_ffff, "but 1 verified images belong to it");
        suspect("Loads", 0, "it was loaded 0 times");
        suspect("Unloads", 3, "it was unloaded 3 times, but loaded 1 times");
    }

    #[test]
    fn a_name_that_cannot_be_one_is_the_modules() {
        for (field, value, why) in [
            ("BaseName.Length", 0, "\"\" is not a file name"),
            ("BaseName.Length", 0x13, "a length of 0x13 bytes"),
            ("BaseName.Length", 0x40, "a length of 0x40 bytes"),
            ("BaseName.Buffer", USER, "its buffer 0x400000 is outside the kernel"),
        ] {
            each(
                |m| m.patch_field(m.address("suspect:leaky.sys"), SUSPECT, field, value),
                |m, report| {
                    let entry = m.address("suspect:leaky.sys");
                    let name = entry + m.layouts().offset(SUSPECT, "BaseName") as u64;
                    let at = if value == 0 { entry } else { name };
                    assert_contradicted(&report.problems, at, why);
                    assert_eq!(held(report), ALL);
                },
            );
        }
    }

    #[test]
    fn another_file_name_contradicts_the_module() {
        each(
            |m| {
                let name = m.layouts().offset(SUSPECT, "BaseName") + m.layouts().pointer_size();
                let text = pointer(m, m.address("suspect:leaky.sys") + name as u64);
                m.patch(text, b"s");
            },
            |m, report| {
                let target = m.address("target:leaky.sys");
                assert_contradicted(&report.problems, target, "is leaky.sys");
                assert!(held(report).contains(&("seaky.sys", 5)));
            },
        );
    }

    #[test]
    fn data_that_point_at_the_entry_of_another_driver_stay_with_their_image() {
        for other in ["suspect:quiet.sys", ""] {
            each(
                |m| {
                    let entry = if other.is_empty() { 0 } else { m.address(other) };
                    m.patch_field(
                        m.address("verified:leaky.sys"),
                        DATA,
                        "SuspectDriverEntry",
                        entry,
                    );
                },
                |m, report| {
                    let target = m.address("target:leaky.sys");
                    assert_contradicted(
                        &report.problems,
                        target,
                        "the module at its base is leaky.sys",
                    );
                    assert_eq!(held(report), ALL);
                },
            );
        }
    }

    #[test]
    fn two_nodes_never_share_data() {
        each(
            |m| {
                let (target, data) =
                    (m.address("target:leaky.sys"), m.address("verified:quiet.sys"));
                m.patch_field(target, "_VF_TARGET_DRIVER", "VerifiedData", data);
            },
            |m, report| {
                let target = m.address("target:leaky.sys");
                assert_contradicted(
                    &report.problems,
                    target,
                    "it leads to the data of the image at",
                );
                // Its own data are found by their signature.
                assert_eq!(held(report), ALL);
            },
        );
    }

    #[test]
    fn an_image_is_where_its_module_is() {
        for (base, why) in [
            (Some(USER), "its base 0x400000 is outside the kernel"),
            (None, "where no loaded module begins"),
        ] {
            each(
                |m| {
                    let target = m.address("target:leaky.sys");
                    let base = base.unwrap_or(pointer(m, target) + 0x1000);
                    m.patch_pointer(target, base);
                },
                |m, report| {
                    assert_contradicted(&report.problems, m.address("target:leaky.sys"), why);
                    assert_eq!(held(report), ALL);
                },
            );
        }
    }

    #[test]
    fn a_peak_is_not_below_the_value() {
        for field in ["PeakNonPagedPoolAllocations", "PeakNonPagedBytes"] {
            each(
                |m| m.patch_field(m.address("verified:leaky.sys"), DATA, field, 0),
                |m, report| {
                    let data = m.address("verified:leaky.sys");
                    assert_contradicted(
                        &report.problems,
                        data,
                        &format!("its {field}, 0, is below"),
                    );
                },
            );
        }
    }

    #[test]
    fn drivers_settings_and_pool_say_that_the_sums_differ() {
        for build in BUILDS {
            let mut m = machine(build);
            m.patch_field(m.address("verified:leaky.sys"), DATA, "NonPagedBytes", 0x1140);
            let kernel = open(&m);
            let total = m.address("nt!MmVerifierData");
            let why = "640 in MmVerifierData, but the counters of 3 verified images add up to 4736";
            for problems in [
                Drivers::read(&kernel).unwrap().problems,
                Settings::read(&kernel).unwrap().problems,
                PoolReport::read(&kernel, |_| true).unwrap().problems,
            ] {
                assert_contradicted(&problems, total, why);
            }
        }
    }
}

mod modules {
    use super::*;

    /// The offsets of base, size, full name and base name in an entry.
    fn fields(m: &Assembly) -> [u64; 4] {
        match m.layouts().pointer_size() {
            4 => [0x18, 0x20, 0x24, 0x2c],
            _ => [0x30, 0x40, 0x48, 0x58],
        }
    }

    fn names(kernel: &Kernel) -> Vec<&str> {
        kernel.modules().loaded().iter().map(|module| &*module.name).collect()
    }

    /// Damages the entry of leaky.sys, and passes the session to `check`.
    fn entry(damage: impl Fn(&mut Assembly, u64, [u64; 4]), check: impl Fn(&Assembly, &Kernel)) {
        for build in BUILDS {
            let mut m = machine(build);
            let at = m.address("module:leaky.sys");
            let fields = fields(&m);
            damage(&mut m, at, fields);
            check(&m, &open(&m));
        }
    }

    #[test]
    fn sizes_are_not_null_and_ranges_do_not_overlap() {
        entry(
            |m, at, [_, size, ..]| m.patch(at + size, &[0; 4]),
            |m, kernel| {
                assert_contradicted(
                    kernel.problems(),
                    m.address("module:leaky.sys"),
                    "its size is 0",
                );
            },
        );
        entry(
            |m, at, [_, size, ..]| m.patch(at + size, &0x7fff_ffffu32.to_le_bytes()),
            |m, kernel| {
                let at = m.address("module:leaky.sys");
                assert_contradicted(kernel.problems(), at, "overlap quiet.sys and 1 more");
            },
        );
    }

    #[test]
    fn a_name_that_cannot_be_one_is_the_end_of_the_path() {
        entry(
            |m, at, [.., name]| {
                let base = m.address("nt!ViTargetDriversAvl") & !0xfff;
                let pointer = m.layouts().pointer_size() as u64;
                m.patch_pointer(at + name + pointer, base);
            },
            |m, kernel| {
                let at = m.address("module:leaky.sys");
                assert_contradicted(kernel.problems(), at, "is not a file name; FullDllName is");
                assert!(names(kernel).contains(&"leaky.sys"));
            },
        );
    }

    #[test]
    fn the_list_is_read_both_ways() {
        for build in BUILDS {
            let whole = machine(build);
            let expected = open(&whole);
            let mut m = whole.clone();
            let (hal, quiet) = (m.address("module:hal.dll"), m.address("module:quiet.sys"));
            m.patch_pointer(hal, quiet);
            let kernel = open(&m);
            assert_contradicted(kernel.problems(), hal, "is not confirmed");
            assert_eq!(names(&kernel), names(&expected), "{build:?}");
        }
    }

    #[test]
    fn pool_and_log_miss_the_module_of_a_verified_image() {
        for build in BUILDS {
            let mut m = machine(build);
            let pointer = m.layouts().pointer_size() as u64;
            let (hal, quiet) = (m.address("module:hal.dll"), m.address("module:quiet.sys"));
            m.patch_pointer(hal, quiet);
            m.patch_pointer(quiet + pointer, hal);
            let kernel = open(&m);
            assert_eq!(kernel.problems(), []);
            let target = m.address("target:leaky.sys");
            for problems in [
                PoolReport::read(&kernel, |_| true).unwrap().problems,
                PoolLog::read(&kernel, None).unwrap().problems,
            ] {
                assert_contradicted(&problems, target, "where no loaded module begins");
            }
        }
    }

    fn problems_of(kernel: &Kernel, name: &str) -> Vec<Problem> {
        let index = names(kernel).iter().position(|one| *one == name).unwrap();
        kernel.image_problems(index)
    }

    fn base(m: &Assembly, name: &str) -> u64 {
        pointer(m, m.address(&format!("target:{name}")))
    }

    #[test]
    fn an_image_has_a_header_of_the_size_that_the_list_says() {
        for build in BUILDS {
            let mut m = machine(build);
            let at = m.address("module:leaky.sys") + fields(&m)[1];
            m.patch(at, &0x5000u32.to_le_bytes());
            let base = base(&m, "leaky.sys");
            let problems = problems_of(&open(&m), "leaky.sys");
            assert_contradicted(
                &problems,
                base,
                "its header has a size of 0x9000, the module list has 0x5000",
            );
            m.patch(base, &[0; 0x400]);
            let problems = problems_of(&open(&m), "leaky.sys");
            // Only names are missing.
            assert!(Completeness::of(&problems).is_complete());
            assert_eq!((problems[0].address, problems.len()), (Some(Va(base)), 1));
        }
    }

    /// The offset of an image's CodeView record.
    fn record(m: &Assembly, name: &str) -> u64 {
        let base = base(m, name);
        let page =
            |i: u64| (base + 0x1000 * i, m.read(base + 0x1000 * i, 0x1000).unwrap_or_default());
        let find = |(at, bytes): (u64, Vec<u8>)| {
            Some(at + bytes.windows(4).position(|bytes| bytes == b"RSDS")? as u64)
        };
        (0..9).map(page).find_map(find).unwrap()
    }

    #[test]
    fn a_record_is_codeview_and_no_other_images() {
        for build in BUILDS {
            let mut m = machine(build);
            let (leaky, quiet) = (record(&m, "leaky.sys"), record(&m, "quiet.sys"));
            let other = m.read(quiet, 0x18 + 10).unwrap();
            m.patch(leaky, b"XXXX");
            let problems = problems_of(&open(&m), "leaky.sys");
            assert_eq!(problems[0].address, Some(Va(leaky)));
            assert!(problems[0].why.contains("not with \"RSDS\""), "{problems:?}");
            m.patch(leaky, &other);
            let kernel = open(&m);
            let base = base(&m, "leaky.sys");
            assert_contradicted(
                &problems_of(&kernel, "leaky.sys"),
                base,
                "which is the PDB of quiet.sys too",
            );
            assert_eq!(problems_of(&kernel, "quiet.sys"), []);
        }
    }
}

mod reads {
    use super::*;

    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use crate::common::{open_dump, supply};
    use verifier_core::Fault;
    use verifier_core::analysis::Leaks;
    use verifier_core::kernel::{AddressSpace, Hints};
    use verifier_core::memory::{Memory, Residence};
    use verifier_core::verifier::log::{EventKind, EventLog};
    use verifier_synth::DumpKind;

    /// Memory that counts the reads of one address.
    struct Counting {
        inner: AddressSpace,
        address: Va,
        reads: Arc<AtomicUsize>,
    }

    impl Memory<Va> for Counting {
        fn read_in_page(&self, at: Va, buf: &mut [u8]) -> Result<Residence, Fault> {
            if self.address.is_in(at, buf.len() as u64) {
                self.reads.fetch_add(1, Ordering::Relaxed);
            }
            self.inner.memory().read_in_page(at, buf)
        }
    }

    /// How often `view` reads the head of the tree of verified images.
    fn reads_of_tree(m: &Assembly, view: impl Fn(&Kernel)) -> usize {
        let sample = m.sample(DumpKind::BitmapKernel);
        let dump = open_dump(sample.dump);
        let inner = AddressSpace::of_dump(&dump).unwrap();
        let machine = inner.machine();
        let tables = m.layouts().offset("_VF_AVL_TREE", "Tables") as u64;
        let address = Va(m.address("nt!ViTargetDriversAvl") + tables);
        let reads = Arc::new(AtomicUsize::new(0));
        let memory = Counting { inner, address, reads: Arc::clone(&reads) };
        let space = AddressSpace::new(Arc::new(memory), machine);
        let kernel = Kernel::open(space, Hints::of_dump(&dump)).unwrap();
        supply(&kernel, &sample.files);
        view(&kernel);
        reads.load(Ordering::Relaxed)
    }

    #[test]
    fn list_and_tree_are_read_once_for_all_logs() {
        let m = machine(Build::Win10Vb);
        let drivers = reads_of_tree(&m, |kernel| drop(Drivers::read(kernel)));
        assert!(drivers > 0);
        let logs = |kernel: &Kernel| {
            PoolLog::read(kernel, None).unwrap();
            EventLog::read(kernel, EventKind::Irql, None, None).unwrap();
            PoolLog::read(kernel, None).unwrap();
        };
        assert_eq!(reads_of_tree(&m, logs), drivers);
        assert_eq!(reads_of_tree(&m, |kernel| drop(Leaks::read(kernel, |_| true))), drivers);
    }
}
