//! The shared dumps without any symbols give what they give with the kernel's PDB, which other tests hold
//! against the answer sheets: the same globals, settings, drivers, allocations and records of the pool
//! log. Only names of functions, and what they tell of a record, are missing.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

use std::path::{Path, PathBuf};

use verifier_core::Error;
use verifier_core::kernel::Kernel;
use verifier_core::verifier::log::{EventKind, EventLog, Operation, PoolLog};
use verifier_core::verifier::{Drivers, PoolReport, Settings};
use verifier_host::Session;
use verifier_host::symbols::SymbolPath;

const GLOBALS: [&str; 6] = [
    "MmVerifierData",
    "VfSuspectDriversList",
    "ViTargetDriversAvl",
    "VfPoolTraces",
    "VfPoolTracesIndex",
    "VfPoolTracesLength",
];

fn dump(name: &str) -> Option<PathBuf> {
    let folder =
        PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/dumps")).join(name);
    if folder.is_dir() {
        return Some(folder);
    }
    println!("skipped: ../shared is not here");
    None
}

fn open(folder: &Path, symbols: Option<PathBuf>) -> Session {
    let mut path = SymbolPath::with_default_cache(None);
    if let Some(symbols) = symbols {
        path.push_plain(symbols);
    }
    Session::open(&folder.join("memory.dmp"), path).unwrap()
}

fn compare(bare: &Kernel, full: &Kernel) {
    for name in GLOBALS {
        assert_eq!(bare.global(name), full.global(name), "{name}");
        assert!(
            bare.types().unwrap().remark(name).is_some(),
            "{name} does not say what it is known by"
        );
    }
    assert_eq!(Settings::read(bare).unwrap(), Settings::read(full).unwrap());
    assert_eq!(Drivers::read(bare).unwrap(), Drivers::read(full).unwrap());
    let read = |kernel| PoolReport::read(kernel, |_| true).unwrap();
    assert_eq!(read(bare), read(full));
    let (ours, theirs) = (PoolLog::read(bare, None).unwrap(), PoolLog::read(full, None).unwrap());
    assert_eq!(ours.ring, theirs.ring);
    assert_eq!(ours.all_frames(), theirs.all_frames());
    assert_eq!(ours.records.len(), theirs.records.len());
    for (ours, theirs) in ours.records.iter().zip(&theirs.records) {
        let plain = |record: &verifier_core::verifier::log::PoolRecord| {
            (record.slot, record.address, record.size, record.thread)
        };
        assert_eq!(plain(ours), plain(theirs));
        // Nothing but the names of functions tells an allocation from a free.
        let told = match theirs.operation {
            Operation::Failed => Operation::Failed,
            _ => Operation::Unknown,
        };
        assert_eq!(ours.operation, told);
    }
    // What nothing looks for says so.
    let Err(Error::UnknownGlobal { name, .. }) = EventLog::read(bare, EventKind::Irql, None, None)
    else {
        panic!("the log of IRQL transitions was read");
    };
    assert_eq!(name, "ViTrackIrqlQueue");
}

fn check(name: &str) {
    let Some(folder) = dump(name) else { return };
    let bare = open(&folder, None);
    let missing = bare.missing_kernel_symbols().unwrap();
    assert!(missing.contains("built-in layouts"), "{missing}");
    let full = open(&folder, Some(folder.join("symbols")));
    assert_eq!(full.missing_kernel_symbols(), None);
    let (bare_kernel, full_kernel) = (bare.kernel().unwrap(), full.kernel().unwrap());
    assert!(!bare_kernel.has_own_types() && full_kernel.has_own_types());
    compare(bare_kernel, full_kernel);
    // Symbols that come later take the place of the library's own layouts.
    let pdb = ["ntkrnlmp.pdb", "ntkrpamp.pdb"]
        .map(|pdb| folder.join("symbols").join(pdb))
        .into_iter()
        .find(|folder| folder.is_dir())
        .unwrap();
    let pdb = std::fs::read_dir(&pdb)
        .unwrap()
        .next()
        .unwrap()
        .unwrap()
        .path()
        .join(pdb.file_name().unwrap());
    bare.supply_kernel_symbols(std::fs::read(pdb).unwrap()).unwrap();
    assert!(bare_kernel.has_own_types());
    assert_eq!(
        PoolLog::read(bare_kernel, None).unwrap(),
        PoolLog::read(full_kernel, None).unwrap()
    );
}

macro_rules! cases {
    ($($test:ident: $folder:literal;)*) => {
        $(#[test]
        fn $test() {
            check($folder);
        })*
    };
}

cases! {
    win7_leak: "win7-leak";
    win7_rich: "win7-rich";
    win81_rich: "win81-rich";
    win10_19041_rich: "win10-19041-rich";
    win11_22000_rich: "win11-22000-rich";
    arm64_22000_rich: "arm64-22000-rich";
    win7_x86_pae_rich: "win7-x86-pae-rich";
    win7_x86_leak: "win7-x86-leak";
}
