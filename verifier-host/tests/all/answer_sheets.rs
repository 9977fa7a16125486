//! Compares dumps made by another tool with that tool's own answer sheets, through the library: every field
//! of settings, drivers, outstanding allocations and the pool log. The x64 dumps are read twice: with the
//! kernel's PDB, and with a real kernel's ISF table in its place.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use crate::common::shared;
use serde_json::Value;
use verifier_core::kernel::{Kernel, SymbolSource};
use verifier_core::verifier::log::{EventKind, EventLog, PoolLog};
use verifier_core::verifier::{DriverState, Drivers, PoolReport, Settings};
use verifier_core::{Extent, Va};
use verifier_host::Session;
use verifier_host::symbols::SymbolPath;

fn read_xz(path: &Path) -> Vec<u8> {
    let file = fs::File::open(path).unwrap();
    let mut bytes = Vec::new();
    std::io::copy(&mut lzma_rust2::XzReader::new(file, true), &mut bytes).unwrap();
    bytes
}

/// A number of the sheet, which has JSON's type for numbers.
#[track_caller]
fn number(value: &Value) -> u64 {
    value.as_u64().unwrap_or_else(|| panic!("{value} is not a number"))
}

#[track_caller]
fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_else(|| panic!("{value} is not text"))
}

#[track_caller]
fn list(value: &Value) -> &[Value] {
    value.as_array().unwrap_or_else(|| panic!("{value} is not a list"))
}

/// One dump and its sheet.
struct Case {
    session: Session,
    sheet: Value,
}

impl Case {
    fn open(folder: &Path, symbols: SymbolPath) -> Self {
        let sheet = serde_json::from_slice(&read_xz(&folder.join("expect.json.xz"))).unwrap();
        let session = Session::open(&folder.join("memory.dmp"), symbols).unwrap();
        assert_eq!(session.missing_kernel_symbols(), None);
        Self { session, sheet }
    }

    fn kernel(&self) -> &Kernel {
        self.session.kernel().unwrap()
    }

    /// The name of an address is one of those that the sheet allows. If the sheet has only the number, the
    /// address is not in a module.
    #[track_caller]
    fn assert_named(&self, va: Va, names: &Value) {
        let got = self.kernel().symbolize(va).map(|name| name.to_string());
        let names: Vec<&str> = list(names).iter().map(text).collect();
        match &got {
            Some(got) => assert!(names.contains(&got.as_str()), "{va}: {got} is not in {names:?}"),
            None => assert!(names[0].starts_with("0x"), "{va} has no name, {names:?} expected"),
        }
    }

    fn machine(&self) {
        let header = self.session.dump().unwrap().header();
        assert_eq!(u64::from(header.build), number(&self.sheet["build"]));
        assert_eq!(u64::from(header.kind.raw()), number(&self.sheet["kind"]));
        assert_eq!(header.directory_table_base.0, number(&self.sheet["dtb"]));
        assert_eq!(
            self.session.dump().unwrap().physical().unwrap().map().page_count(),
            number(&self.sheet["pages"])
        );
        let kernel = self.kernel();
        assert_eq!(kernel.base().0, number(&self.sheet["nt_base"]));
        let modules: Vec<&str> =
            kernel.modules().loaded().iter().map(|module| module.name.as_str()).collect();
        let expected: Vec<&str> = list(&self.sheet["modules"]).iter().map(text).collect();
        assert_eq!(modules, expected);
        assert_eq!(kernel.problems(), []);
    }

    fn settings(&self) {
        let settings = Settings::read(self.kernel()).unwrap();
        assert_eq!(u64::from(settings.level.0), number(&self.sheet["level"]));
        for (name, value) in self.sheet["summary"].as_object().unwrap() {
            let got = match name.as_str() {
                "Level" => Some(settings.level.0.into()),
                name => settings.statistics.get(name),
            };
            assert_eq!(got, Some(number(value)), "{name}");
        }
        assert_eq!(settings.problems, []);
    }

    fn drivers(&self) {
        let drivers = Drivers::read(self.kernel()).unwrap();
        let names = |list: &mut dyn Iterator<Item = &str>| -> BTreeSet<String> {
            list.map(String::from).collect()
        };
        let sheet = list(&self.sheet["drivers"]);
        assert_eq!(
            names(&mut drivers.drivers.iter().map(|driver| driver.name.as_str())),
            names(&mut sheet.iter().map(|driver| text(&driver["name"]))),
        );
        for expected in sheet {
            let name = text(&expected["name"]);
            let driver = drivers.drivers.iter().find(|driver| driver.name == name).unwrap();
            let (loads, unloads) = (number(&expected["loads"]), number(&expected["unloads"]));
            assert_eq!((u64::from(driver.loads), u64::from(driver.unloads)), (loads, unloads));
            let state = match loads.cmp(&unloads) {
                std::cmp::Ordering::Greater => DriverState::Loaded,
                _ if loads > 0 => DriverState::Unloaded,
                _ => DriverState::NeverLoaded,
            };
            assert_eq!(driver.state(), state, "{name}");
            assert!(driver.images.len() <= 1, "{name} has {} images", driver.images.len());
            let image = driver.images.first();
            for (field, got) in [
                ("suspect_entry", driver.suspect_entry.map(|va| va.0)),
                ("base", image.map(|image| image.base.0)),
                ("size", image.map(|image| image.size)),
                ("target_driver", image.map(|image| image.address.0)),
                ("verified_data", image.map(|image| image.verified_data.0)),
            ] {
                // A driver that was never loaded has only an entry.
                assert_eq!(got, expected.get(field).map(number), "{name}.{field}");
            }
            let counters = driver.counters();
            for (counter, value) in
                expected.get("counters").and_then(Value::as_object).into_iter().flatten()
            {
                assert_eq!(counters.get(counter), Some(number(value)), "{name}.{counter}");
            }
        }
        assert_eq!(drivers.problems, []);
    }

    fn pool(&self) {
        let report = PoolReport::read(self.kernel(), |_| true).unwrap();
        let callers = report.drivers.iter().flat_map(|pool| &pool.allocations).map(|a| a.caller);
        self.session.load_symbols_at(callers);
        let mut expected = BTreeMap::new();
        for driver in list(&self.sheet["drivers"]) {
            for allocation in list(&driver["allocations"]) {
                let address = number(&allocation["address"]);
                let previous = expected.insert(address, (text(&driver["name"]), allocation));
                assert!(previous.is_none(), "the sheet has {address:#x} twice");
            }
        }
        if let Some(tree) = self.sheet.get("pool_info") {
            return self.pool_info(&report, list(tree));
        }
        for pool in &report.drivers {
            for allocation in &pool.allocations {
                let (driver, sheet) = expected
                    .remove(&allocation.address.0)
                    .unwrap_or_else(|| panic!("{allocation:?} is in no sheet, or was told twice"));
                assert_eq!(driver, pool.driver.name, "{allocation:?}");
                assert_eq!(allocation.size, number(&sheet["size"]), "{allocation:?}");
                assert_eq!(allocation.tag.to_string(), text(&sheet["tag"]), "{allocation:?}");
                assert_eq!(allocation.caller.0, number(&sheet["caller"]), "{allocation:?}");
                self.assert_named(allocation.caller, &sheet["caller_symbol"]);
            }
        }
        assert!(expected.is_empty(), "not found: {expected:?}");
        assert_eq!(report.problems, []);
    }

    /// Blocks in the pool info tree: the sheet does not name their drivers.
    fn pool_info(&self, report: &PoolReport, expected: &[Value]) {
        let found = report
            .allocations()
            .map(|(_, one)| (one.address.0, one.size, one.tag.to_string()))
            .collect::<BTreeSet<_>>();
        let expected = expected.iter().map(|block| {
            let tag = text(&block["tag"]).to_owned();
            (number(&block["address"]), number(&block["size"]), tag)
        });
        assert_eq!(found, expected.collect());
        let problems = report.problems.iter().filter(|one| one.leaves != Extent::Complete);
        assert_eq!(problems.count(), 0, "{:?}", report.problems);
    }

    fn pool_log(&self) {
        let log = PoolLog::read(self.kernel(), None).unwrap();
        assert_eq!(u64::from(log.ring.length), number(&self.sheet["pool_log"]["length"]));
        let sheet = list(&self.sheet["pool_log"]["entries"]);
        assert_eq!(log.records.len(), sheet.len());
        assert_eq!(log.empty_because, None);
        // Names of functions distinguish allocations from frees, so they are needed before the records are
        // compared; the kernel's names have been there since opening.
        self.session.load_symbols_at(log.all_frames().iter().copied());
        let mut named = BTreeSet::new();
        for (i, (record, expected)) in log.records.iter().zip(sheet).enumerate() {
            let got = [record.address.0, record.size, record.thread.0];
            let want = ["address", "size", "thread"].map(|field| number(&expected[field]));
            assert_eq!(got, want, "record {i}");
            let frames: Vec<u64> = log.frames(record).iter().map(|va| va.0).collect();
            let want: Vec<u64> = list(&expected["frames"]).iter().map(number).collect();
            assert_eq!(frames, want, "record {i}");
            let operation =
                match (number(&expected["address"]), expected["free"].as_bool().unwrap()) {
                    (0, _) => "failed",
                    (_, true) => "free",
                    (_, false) => "allocate",
                };
            assert_eq!(record.operation.name(), operation, "record {i}");
            named.extend(log.frames(record).iter().map(|va| va.0));
        }
        for frame in named {
            self.assert_named(Va(frame), &self.sheet["symbols"][format!("{frame:#x}")]);
        }
        assert_eq!(log.problems, []);
        // The same with fewer records.
        let newest = PoolLog::read(self.kernel(), Some(7)).unwrap();
        assert_eq!(newest.records, log.records[..7]);
    }

    /// The logs other than the pool log, if the sheet has them.
    fn event_logs(&self) {
        for (kind, key) in [
            (EventKind::Irql, "irql_log"),
            (EventKind::Fault, "fault_log"),
            (EventKind::Region, "critical_region_log"),
            (EventKind::Irp, "irp_log"),
        ] {
            let Some(sheet) = self.sheet[key].as_array() else { continue };
            let log = EventLog::read(self.kernel(), kind, None, None).unwrap();
            assert_eq!(log.problems, [], "{key}");
            assert_eq!(log.records.len(), sheet.len(), "{key}");
            for (record, entry) in log.records.iter().zip(sheet) {
                for (field, value) in log.values(record) {
                    if let Some(expected) = entry.get(field.name) {
                        assert_eq!(value, Some(number(expected)), "{key} {}", field.name);
                    }
                }
                assert_eq!(log.frames(record).len() as u64, number(&entry["frames"]), "{key}");
            }
        }
    }

    fn all(&self) {
        self.machine();
        self.settings();
        self.drivers();
        self.pool();
        self.pool_log();
        self.event_logs();
    }
}

fn with_pdbs(name: &str) {
    let Some(dumps) = shared("dumps") else { return };
    let folder = dumps.join(name);
    let mut symbols = SymbolPath::with_default_cache(None);
    symbols.push_plain(folder.join("symbols"));
    let case = Case::open(&folder, symbols);
    let kernel = case.kernel();
    let source = kernel.symbol_source(kernel.kernel_module().unwrap()).unwrap();
    assert_eq!(source.0, SymbolSource::Pdb);
    case.all();
}

/// The other modules' PDBs from the dump's own store, the kernel's types and names from a table.
fn with_isf(name: &str) {
    let (Some(dumps), Some(isf)) = (shared("dumps"), shared("isf")) else { return };
    let folder = dumps.join(name);
    let mut symbols = SymbolPath::with_default_cache(None);
    let mut left_out = false;
    for pdb in fs::read_dir(folder.join("symbols")).unwrap() {
        let pdb = pdb.unwrap();
        if pdb.file_name().to_str().unwrap().starts_with("ntkr") {
            left_out = true;
            continue;
        }
        for key in fs::read_dir(pdb.path()).unwrap() {
            symbols.push_plain(key.unwrap().path());
        }
    }
    assert!(left_out, "the store has no kernel's PDB");
    symbols.push_plain(isf);
    let case = Case::open(&folder, symbols);
    let kernel = case.kernel();
    let source = kernel.symbol_source(kernel.kernel_module().unwrap()).unwrap();
    assert_eq!(source.0, SymbolSource::Isf);
    case.all();
}

macro_rules! cases {
    ($($test:ident: $check:ident($folder:literal);)*) => {
        $(#[test]
        fn $test() {
            $check($folder);
        })*
    };
}

cases! {
    win7_leak: with_pdbs("win7-leak");
    win7_rich: with_pdbs("win7-rich");
    win81_rich: with_pdbs("win81-rich");
    win10_19041_rich: with_pdbs("win10-19041-rich");
    win11_22000_rich: with_pdbs("win11-22000-rich");
    arm64_22000_rich: with_pdbs("arm64-22000-rich");
    win7_x86_pae_rich: with_pdbs("win7-x86-pae-rich");
    win7_x86_leak: with_pdbs("win7-x86-leak");
    win11_22000_live_1e5: with_pdbs("win11-22000-live-1e5");
    win11_26100_rich: with_pdbs("win11-26100-rich");
    win7_leak_isf: with_isf("win7-leak");
    win7_rich_isf: with_isf("win7-rich");
    win81_rich_isf: with_isf("win81-rich");
    win10_19041_rich_isf: with_isf("win10-19041-rich");
    win11_22000_rich_isf: with_isf("win11-22000-rich");
}

#[test]
fn every_dump_has_a_test() {
    let Some(dumps) = shared("dumps") else { return };
    let folders: BTreeSet<String> = fs::read_dir(dumps)
        .unwrap()
        .map(|entry| entry.unwrap())
        .filter(|entry| entry.path().is_dir())
        .map(|entry| entry.file_name().into_string().unwrap().replace('-', "_"))
        .collect();
    let tested = [
        "arm64_22000_rich",
        "win10_19041_rich",
        "win11_22000_live_1e5",
        "win11_22000_rich",
        "win11_26100_rich",
        "win7_leak",
        "win7_rich",
        "win7_x86_leak",
        "win7_x86_pae_rich",
        "win81_rich",
    ];
    assert_eq!(folders, BTreeSet::from(tested.map(String::from)));
}
