//! Symbols with values that no kernel has: views end, and show the data that they can read.

use std::sync::Arc;

use verifier_core::addr::Rva;
use verifier_core::analysis::{History, Leaks};
use verifier_core::dump::Dump;
use verifier_core::kernel::{AddressSpace, Hints, Kernel};
use verifier_core::types::{Isf, Shape, Structure, TypeSource};
use verifier_core::verifier::PoolReport;
use verifier_core::{Error, Va};
use verifier_synth::{Allocation, Assembly, Build, Driver, DumpKind, Machine, PoolRecord};

const DATA: &str = "_VF_TARGET_VERIFIED_DRIVER_DATA";
const SUSPECT: &str = "_VF_SUSPECT_DRIVER_ENTRY";
const BLOCK: u64 = 0xffff_9a8f_5000_0000;
const COUNTERS: [&str; 2] = ["CurrentPagedPoolAllocations", "CurrentNonPagedPoolAllocations"];

/// The kernel's own types; `change` edits or removes each structure.
struct Changed<F>(Isf, F);

impl<F: Fn(&mut Structure) -> bool + Send + Sync> TypeSource for Changed<F> {
    fn structure(&self, name: &str) -> Result<Option<Arc<Structure>>, Error> {
        let Some(structure) = self.0.structure(name)? else { return Ok(None) };
        let mut structure = Structure::clone(&structure);
        Ok((self.1)(&mut structure).then(|| Arc::new(structure)))
    }

    fn symbol(&self, name: &str) -> Option<Rva> {
        self.0.symbol(name)
    }

    fn describe(&self) -> String {
        "changed types".into()
    }
}

/// A driver of two images, each with one block. Its types are changed by `change`.
fn kernel(change: impl Fn(&mut Structure) -> bool + Send + Sync + 'static) -> Kernel {
    let mut m = Machine::new(Build::Win10Vb);
    m.level(8);
    for (name, block) in [("one.sys", BLOCK), ("two.sys", BLOCK + 0x1000)] {
        let driver = m.driver(Driver::new(name).symbol("Read", 0x1300));
        let caller = m.driver_address(driver, "Read") + 0x10;
        m.verified(driver).allocation(Allocation::nonpaged(block, 0x210, b"Leak", caller));
        let frames = vec![m.kernel_address("VerifierExAllocatePoolWithTag") + 0x10, caller];
        let thread = BLOCK - 0x40;
        m.pool_record(PoolRecord { address: block, size: 0x200, thread, frames, stale: vec![] });
    }
    let mut m: Assembly = m.assemble();
    m.patch_field(
        m.address("verified:two.sys"),
        DATA,
        "SuspectDriverEntry",
        m.address("suspect:one.sys"),
    );
    // One pattern for both names.
    let entry = m.address("suspect:one.sys");
    let text = m.layouts().offset(SUSPECT, "BaseName") as u64 + 8;
    let text = u64::from_le_bytes(m.read(entry + text, 8).unwrap().try_into().unwrap());
    m.patch(text, b"?\0?\0?\0");
    m.patch_field(entry, SUSPECT, "Loads", 2);
    m.patch_field(m.address("suspect:two.sys"), SUSPECT, "Loads", 0);
    let dump = Dump::open(Arc::new(m.dump(DumpKind::BitmapKernel))).unwrap();
    let space = AddressSpace::of_dump(&dump).unwrap();
    let kernel = Kernel::open(space, Hints::from(dump.header())).unwrap();
    let (_, table) = m.files.iter().find(|(name, _)| name.starts_with("ntkr")).unwrap();
    let isf = Arc::new(Isf::parse(table).unwrap());
    kernel.supply_types(Arc::new(Changed(Isf::parse(table).unwrap(), change)));
    kernel.supply_isf(kernel.kernel_module().unwrap(), isf);
    kernel
}

#[test]
fn counters_that_do_not_fit_64_bits_together() {
    // Both are moved to the signature and the bytes before it: eight bytes with a large value.
    let kernel = kernel(|structure| {
        // The statistics of all drivers together have counters with the same names.
        let Some(signature) = structure.member("Signature").map(|member| member.offset) else {
            return true;
        };
        for member in &mut structure.members {
            if COUNTERS.contains(&&*member.name) {
                (member.offset, member.shape) = (signature - 4, Shape::Unsigned(8));
            }
        }
        true
    });
    let report = PoolReport::read(&kernel, |_| true).unwrap();
    let driver = &report.drivers[0].driver;
    assert_eq!(driver.images.len(), 2);
    let count = driver.images[0].counters.get(COUNTERS[0]).unwrap();
    assert!(count.checked_mul(2).is_none(), "{count:#x} doubled overflows");
    assert_eq!(driver.counters().get(COUNTERS[0]), Some(u64::MAX));
    let expected = format!("its counters say {}, its pages hold 1", u64::MAX);
    assert!(report.problems.iter().any(|p| p.why == expected), "{:?}", report.problems);
    let leaks = Leaks::read(&kernel, |_| true).unwrap();
    assert_eq!((leaks.blocks.len(), leaks.drivers[0].counted), (2, u64::MAX));
}

#[test]
fn the_log_is_read_if_tracking_entries_have_no_type() {
    let kernel = kernel(|structure| !structure.name.starts_with("_VI_POOL_ENTRY"));
    assert!(PoolReport::read(&kernel, |_| true).is_err());
    let history = History::read(&kernel, Va(BLOCK + 0x10)).unwrap();
    assert_eq!(history.events.len(), 1);
    assert!(history.trackers.is_empty());
    let expected =
        |p: &verifier_core::Problem| p.what == "tracking entries" && p.why.contains("no type");
    assert!(history.problems.iter().any(expected), "{:?}", history.problems);
}
