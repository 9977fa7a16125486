//! Types from PDBs: fixtures whose layout C fixes, kernels' PDBs compared with ISF tables of the same
//! kernels, and damaged files.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Once};

use crate::common::shared;
use proptest::prelude::*;
use verifier_core::Rva;
use verifier_core::symbols::{SymbolKind, SymbolLookup as _, SymbolTable};
use verifier_core::types::{Isf, Pdb, Shape, TypeSource};

const SHAPES: &[u8] = include_bytes!("../fixtures/pdb/shapes.pdb");
const CLASSES: &[u8] = include_bytes!("../fixtures/pdb/classes.pdb");
const DECORATED: &[u8] = include_bytes!("../fixtures/pdb/decorated.pdb");
/// With lines and inlined functions.
const LINES: &[u8] = include_bytes!("../../../verifier-synth/leaky/x64/leaky.pdb");
/// Without procedures, so names are looked up through its indexes.
const PUBLIC: &[u8] = include_bytes!("../../../fuzz/targets/fixtures/public.pdb");

fn pdb(bytes: &[u8]) -> Pdb {
    Pdb::parse("fixture.pdb", Arc::new(bytes.to_vec())).unwrap()
}

mod shapes {
    use super::*;

    #[track_caller]
    fn at(name: &str, path: &str) -> (u64, Shape) {
        let field = pdb(SHAPES).field(name, path).unwrap();
        (field.offset, field.shape)
    }

    #[test]
    fn unnamed_structures_and_unions() {
        use Shape::{Signed, Unsigned};
        let pdb = pdb(SHAPES);
        assert_eq!(pdb.size_of("nested"), Ok(32));
        // C writes `nested.high_high`; a PDB has the members of unnamed members at their own offsets.
        for (path, offset, shape) in [
            ("head", 0, Unsigned(4)),
            ("whole", 8, Unsigned(8)),
            ("low", 8, Unsigned(4)),
            ("high", 12, Unsigned(4)),
            ("high_low", 12, Unsigned(2)),
            ("high_high", 14, Unsigned(2)),
            ("named.first", 16, Unsigned(1)),
            ("named.u.second", 18, Unsigned(2)),
            ("tail.a", 20, Signed(4)),
            ("tail.b", 24, Signed(2)),
        ] {
            assert_eq!(at("nested", path), (offset, shape), "{path}");
        }
        let bytes = Shape::Array { element: Box::new(Unsigned(1)), size: 2, count: 2 };
        assert_eq!(at("nested", "named.u.bytes"), (18, bytes));
        assert_eq!(at("nested", "tail").1, Shape::Named { name: "inner".into(), size: Some(8) });
        for path in ["nothing", "named.nothing", "head.low", "", "named."] {
            assert!(pdb.field("nested", path).is_err(), "{path}");
        }
        assert_eq!(pdb.structure("nothing"), Ok(None));
    }

    #[test]
    fn bit_fields() {
        for (path, offset, bytes, position, length) in [
            ("one", 0, 4, 0, 1),
            ("five", 0, 4, 1, 5),
            ("rest", 0, 4, 6, 26),
            ("low", 8, 8, 0, 40),
            ("high", 8, 8, 40, 24),
            ("small", 16, 1, 0, 3),
        ] {
            assert_eq!(
                at("bits", path),
                (offset, Shape::Bits { bytes, position, length }),
                "{path}"
            );
        }
        let mut record = [0u8; 24];
        record[..4].copy_from_slice(&(1u32 | 21 << 1 | 0x3ab_cdef << 6).to_le_bytes());
        record[8..16].copy_from_slice(&(0x12_3456_789a_u64 | 0xab_cdef << 40).to_le_bytes());
        let pdb = pdb(SHAPES);
        let get = |path| pdb.field("bits", path).unwrap().get(&record);
        assert_eq!(
            ["one", "five", "rest", "low", "high"].map(get),
            [1, 21, 0x3ab_cdef, 0x12_3456_789a, 0xab_cdef].map(Some)
        );
    }

    #[test]
    fn arrays() {
        let array = |element: Shape, count: u64| {
            let size = element.size().unwrap() * count;
            Shape::Array { element: Box::new(element), size, count }
        };
        let (byte, word, dword) = (Shape::Unsigned(1), Shape::Unsigned(2), Shape::Unsigned(4));
        let inner = Shape::Named { name: "inner".into(), size: Some(8) };
        assert_eq!(at("arrays", "flat"), (0, array(byte.clone(), 7)));
        assert_eq!(at("arrays", "grid"), (8, array(array(dword, 5), 3)));
        assert_eq!(at("arrays", "cube"), (68, array(array(array(word, 4), 3), 2)));
        assert_eq!(at("arrays", "inners"), (116, array(inner, 6)));
        assert_eq!(at("arrays", "pointers"), (168, array(Shape::Pointer(8), 9)));
        assert_eq!(at("arrays", "big"), (240, array(byte, 0x1_2345)));
        let elements = |path| pdb(SHAPES).field("arrays", path).unwrap().elements();
        assert_eq!(elements("pointers"), Some((9, 8)));
        assert_eq!(elements("inners"), Some((6, 8)));
    }

    #[test]
    fn scalars() {
        use Shape::{Float, Pointer, Signed, Unsigned};
        let expected = [
            // In CodeView, plain `signed char` is a character, like `UCHAR`.
            ("u8_", 1, Unsigned(1)),
            ("i16", 2, Signed(2)),
            ("u16_", 4, Unsigned(2)),
            ("i32", 8, Signed(4)),
            ("u32_", 12, Unsigned(4)),
            ("l32", 16, Signed(4)),
            ("ul32", 20, Unsigned(4)),
            ("i64", 24, Signed(8)),
            ("u64_", 32, Unsigned(8)),
            ("f32", 40, Float(4)),
            ("f64", 48, Float(8)),
            ("boolean", 56, Unsigned(1)),
            ("wide", 58, Unsigned(2)),
            ("color", 60, Unsigned(4)),
            ("qualified", 64, Unsigned(4)),
            ("forward", 72, Pointer(8)),
            ("function", 80, Pointer(8)),
        ];
        for (path, offset, shape) in expected {
            assert_eq!(at("scalars", path), (offset, shape), "{path}");
        }
        assert_eq!(at("scalars", "i8").0, 0);
        assert_eq!(pdb(SHAPES).size_of("scalars"), Ok(88));
    }

    #[test]
    fn a_list_of_members_that_continues() {
        let pdb = pdb(SHAPES);
        let large = pdb.structure("large").unwrap().unwrap();
        assert_eq!((large.size, large.members.len()), (1500 * 4 + 8, 1501));
        for (i, member) in large.members[..1500].iter().enumerate() {
            let number = format!("member_with_quite_a_long_name_{}{:02}", 1 + i / 100, i % 100);
            assert_eq!((&member.name, member.offset), (&number, 4 * i as u64));
        }
        assert_eq!(pdb.field("large", "last").unwrap().offset, 6000);
    }

    /// Some writers of PDBs store an array's size as a signed number, which the PDB reader does not support.
    #[test]
    fn an_unreadable_record_costs_only_one_field() {
        // LF_ULONG and the size of `arrays.big`.
        let size = [0x04, 0x80, 0x45, 0x23, 0x01, 0x00];
        let mut bytes = SHAPES.to_vec();
        let places: Vec<usize> =
            (0..bytes.len() - size.len()).filter(|&i| bytes[i..].starts_with(&size)).collect();
        assert_eq!(places.len(), 1, "{places:x?}");
        // Changes LF_ULONG to LF_QUADWORD.
        bytes[places[0]] = 0x09;
        silence();
        let damaged = pdb(&bytes);
        assert_eq!(damaged.field("arrays", "big").unwrap().offset, 240);
        assert_eq!(damaged.field("arrays", "big").unwrap().shape, Shape::Opaque);
        assert_eq!(damaged.structure("nested"), pdb(SHAPES).structure("nested"));
    }
}

mod names {
    use super::*;

    #[test]
    fn static_procedures() {
        let table = pdb(SHAPES).symbol_table().unwrap();
        for name in ["hidden", "shown", "entry"] {
            let rva = table.find(name).unwrap_or_else(|| panic!("no {name}"));
            assert_eq!(table.resolve(rva), Some((name.into(), 0)));
            assert_eq!(table.resolve(Rva(rva.0 + 1)), Some((name.into(), 1)));
        }
        let kinds: BTreeSet<_> =
            table.iter().filter(|(_, name, _)| *name == "hidden").map(|symbol| symbol.2).collect();
        assert_eq!(kinds, BTreeSet::from([SymbolKind::Procedure]), "no public symbol has it");
        assert_eq!(pdb(SHAPES).symbol("bits"), table.find("bits"));
    }

    #[test]
    fn mangled() {
        let pdb = pdb(CLASSES);
        let table = pdb.symbol_table().unwrap();
        for (public, plain) in [
            ("?push@queue@device@@UEAAHHPEAU12@@Z", "device::queue::push"),
            ("?created@queue@device@@2HA", "device::queue::created"),
            ("?first@@3Uqueue@device@@A", "first"),
        ] {
            let public = table.find(public).unwrap_or_else(|| panic!("no {public}"));
            assert_eq!(table.resolve(public).unwrap().0, plain);
        }
        assert_eq!(pdb.machine_image_type(), Some(0x8664));
        assert_eq!(
            pdb.field("device::queue", "depth").unwrap().offset,
            8,
            "after the table of methods"
        );
    }

    #[test]
    fn decorated() {
        let pdb = pdb(DECORATED);
        let table = pdb.symbol_table().unwrap();
        assert_eq!(pdb.machine_image_type(), Some(0x14c));
        for name in ["cdecl_one", "stdcall_two", "fastcall_three", "hidden", "global_data"] {
            let rva = table.find(name).unwrap_or_else(|| panic!("no {name}"));
            assert_eq!(table.resolve(rva), Some((name.into(), 0)));
            assert_eq!(pdb.symbol(name), Some(rva));
        }
        for name in ["_cdecl_one", "_stdcall_two@8", "@fastcall_three@12"] {
            assert_eq!(table.find(name), None);
        }
        let mut raw = BTreeSet::new();
        pdb.for_each_symbol(&mut |_, name, _| {
            raw.insert(name.to_owned());
        })
        .unwrap();
        for name in ["_cdecl_one", "_stdcall_two@8", "@fastcall_three@12", "_global_data"] {
            assert!(raw.contains(name), "{name} is not in {raw:?}");
        }
        let next = Shape::Array { element: Box::new(Shape::Pointer(4)), size: 8, count: 2 };
        assert_eq!(pdb.field("pointers", "next").unwrap().shape, next);
        assert_eq!(pdb.size_of("pointers"), Ok(32));
    }
}

mod kernels {
    use super::*;

    /// Types that the views and walks read.
    const TYPES: [&str; 22] = [
        "_MM_DRIVER_VERIFIER_DATA",
        "_VF_SUSPECT_DRIVER_ENTRY",
        "_VF_TARGET_DRIVER",
        "_VF_TARGET_VERIFIED_DRIVER_DATA",
        "_VF_AVL_TREE",
        "_VF_AVL_TABLE",
        "_VF_AVL_TREE_NODE",
        "_VF_AVL_TREE_NODE_EX",
        "_RTL_AVL_TABLE",
        "_RTL_BALANCED_LINKS",
        "_VI_POOL_PAGE_HEADER",
        "_VI_POOL_ENTRY",
        "_VI_POOL_ENTRY_INUSE",
        "_VF_POOL_TRACE",
        "_VI_TRACK_IRQL",
        "_VI_FAULT_TRACE",
        "_VF_KE_CRITICAL_REGION_TRACE",
        "_IOV_IRP_TRACE",
        "_SLIST_HEADER",
        "_UNICODE_STRING",
        "_LIST_ENTRY",
        "_VI_DEADLOCK_GLOBALS",
    ];

    /// Size, count and bits, which both sources must agree on; the name of an integer type does not matter.
    fn plain(shape: &Shape) -> (Option<u64>, Option<u64>, Option<(u8, u8)>) {
        match shape {
            Shape::Array { size, count, .. } => (Some(*size), Some(*count), None),
            Shape::Bits { bytes, position, length } => {
                (Some((*bytes).into()), None, Some((*position, *length)))
            }
            other => (other.size(), None, None),
        }
    }

    /// Every kernel's PDB and its key in the store.
    fn kernel_pdbs(folder: &Path) -> Vec<(PathBuf, String)> {
        let mut found = Vec::new();
        for dump in fs::read_dir(folder).unwrap().flatten() {
            for pdb in ["ntkrnlmp.pdb", "ntkrpamp.pdb"] {
                let Ok(keys) = fs::read_dir(dump.path().join("symbols").join(pdb)) else {
                    continue;
                };
                for key in keys.flatten() {
                    found.push((key.path().join(pdb), key.file_name().into_string().unwrap()));
                }
            }
        }
        found.sort();
        found
    }

    #[test]
    fn names_found_through_the_indexes_match_the_whole_table() {
        let Some(dumps) = shared("dumps") else { return };
        let mut seen = BTreeSet::new();
        for (path, key) in kernel_pdbs(&dumps) {
            if !seen.insert(key) {
                continue;
            }
            let bytes = Arc::new(fs::read(&path).unwrap());
            let whole = Pdb::parse("", bytes.clone()).unwrap().symbol_table().unwrap();
            let mut pdb = Pdb::parse("", bytes.clone()).unwrap();
            assert_eq!(pdb.len(), whole.len());
            for (number, (Rva(rva), name, _)) in whole.iter().step_by(5).enumerate() {
                // Only the first few hundred look-ups use the indexes.
                if number % 100 == 0 {
                    pdb = Pdb::parse("", bytes.clone()).unwrap();
                }
                for rva in [rva.wrapping_sub(1), rva, rva + 1].map(Rva) {
                    assert_eq!(pdb.resolve(rva), whole.resolve(rva), "{rva:?} of {path:?}");
                }
                assert_eq!(pdb.find(name), whole.find(name), "{name} of {path:?}");
            }
            for rva in [0, 0x1000, u32::MAX].map(Rva) {
                assert_eq!(pdb.resolve(rva), whole.resolve(rva), "{rva:?} of {path:?}");
            }
            assert_eq!(pdb.find("NoSuchName"), None);
            assert_eq!(pdb.structure("_NO_SUCH_TYPE").unwrap(), None);
        }
        assert!(seen.len() >= 5, "{seen:?}");
    }

    #[test]
    fn pdbs_and_tables_of_one_kernel_agree() {
        let (Some(dumps), Some(tables)) = (shared("dumps"), shared("isf")) else { return };
        let mut seen = BTreeSet::new();
        let mut compared = 0;
        for (path, key) in kernel_pdbs(&dumps) {
            let table = tables.join(format!("{}-1.json.xz", &key[..32]));
            if !table.is_file() || !seen.insert(key) {
                // x86 kernels have no table, and two dumps share a kernel.
                continue;
            }
            let mut json = Vec::new();
            let mut reader = lzma_rust2::XzReader::new(fs::File::open(&table).unwrap(), true);
            std::io::copy(&mut reader, &mut json).unwrap();
            let isf = Isf::parse(&json).unwrap();
            let pdb = Pdb::parse("kernel", Arc::new(fs::read(&path).unwrap())).unwrap();
            assert_eq!(pdb.id().guid, isf.pdb_id().unwrap().guid);
            for name in TYPES {
                let (Some(a), Some(b)) =
                    (pdb.structure(name).unwrap(), isf.structure(name).unwrap())
                else {
                    assert_eq!(pdb.structure(name).unwrap(), None, "{name}: no table has it");
                    assert_eq!(isf.structure(name).unwrap(), None, "{name}: no PDB has it");
                    continue;
                };
                assert_eq!(a.size, b.size, "{name} of {path:?}");
                let names = |members: &[verifier_core::types::Member]| -> BTreeSet<String> {
                    members.iter().map(|member| member.name.clone()).collect()
                };
                assert_eq!(names(&a.members), names(&b.members), "{name} of {path:?}");
                for member in &a.members {
                    let other = b.member(&member.name).unwrap();
                    assert_eq!(member.offset, other.offset, "{name}.{} of {path:?}", member.name);
                    let (x, y) = (plain(&member.shape), plain(&other.shape));
                    assert_eq!(x, y, "{name}.{} of {path:?}", member.name);
                    assert_eq!(
                        member.shape.is_integer(),
                        other.shape.is_integer(),
                        "{name}.{}",
                        member.name
                    );
                    compared += 1;
                }
            }
            for name in
                ["VfPoolTraces", "VfSuspectDriversList", "ViTargetDriversAvl", "MmVerifierData"]
            {
                assert_eq!(pdb.symbol(name), isf.symbol(name), "{name}");
                assert!(pdb.symbol(name).is_some(), "{name}");
            }
        }
        assert!(seen.len() >= 4, "{seen:?}");
        assert!(compared > 4 * 100, "{compared} members");
    }
}

/// Counts in a PDB for which the reader would allocate memory.
mod counts {
    use super::*;

    /// The offset of a fixture's type stream, found by its header's version, size and first type index.
    fn type_stream() -> usize {
        let start = [0x0131_ca0bu32, 56, 0x1000].map(u32::to_le_bytes).concat();
        SHAPES.windows(start.len()).position(|bytes| bytes == start).unwrap()
    }

    #[test]
    fn a_range_of_type_indexes_larger_than_the_stream_is_refused() {
        let mut bytes = SHAPES.to_vec();
        let end = type_stream() + 12;
        bytes[end..end + 4].fill(0xff);
        let error = pdb(&bytes).structure("nested").unwrap_err().to_string();
        assert!(error.contains("more types than the stream has room for"), "{error}");
    }

    #[test]
    fn a_member_that_is_an_endless_argument_list_is_opaque() {
        let mut bytes = SHAPES.to_vec();
        let half = |bytes: &[u8], at| u16::from_le_bytes([bytes[at], bytes[at + 1]]);
        let mut at = type_stream() + 56;
        let mut lists = 0;
        // Every pointer becomes a list.
        while half(&bytes, at) != 0 && at < type_stream() + 0x1000 {
            if half(&bytes, at + 2) == 0x1002 {
                bytes[at + 2..at + 4].copy_from_slice(&0x1201u16.to_le_bytes());
                bytes[at + 4..at + 8].fill(0xff);
                lists += 1;
            }
            at += 2 + usize::from(half(&bytes, at));
        }
        assert!(lists > 0);
        let pdb = pdb(&bytes);
        let structure = pdb.structure("scalars").unwrap().unwrap();
        for name in ["forward", "function"] {
            assert_eq!(structure.member(name).unwrap().shape, Shape::Opaque, "{name}");
        }
    }
}

mod isf {
    use super::*;

    fn table(entries: &str) -> Result<Isf, verifier_core::Error> {
        Isf::parse(format!("{{{entries}}}").as_bytes())
    }

    #[test]
    fn fields_are_read_when_they_are_requested() {
        let table = table(
            r#""base_types": {"pointer": {"size": 4}, "c\u0068ar": {"size": 1, "kind": "char"}},
            "user_types": {
                "good": {"size": 6, "fields": {
                    "p": {"offset": 2, "type": {"kind": "pointer"}},
                    "c": {"offset": 0, "type": {"kind": "base", "name": "char"}},
                    "n": {"offset": 6, "type": {"kind": "struct", "name": "bad"}}}},
                "bad": {"size": 9, "fields": {"x": {"offset": "none"}}},
                "empty": {"size": 3}}"#,
        );
        let table = table.unwrap();
        let good = table.structure("good").unwrap().unwrap();
        let members: Vec<_> =
            good.members.iter().map(|m| (m.name.as_str(), m.offset, m.shape.clone())).collect();
        let bad = Shape::Named { name: "bad".into(), size: Some(9) };
        assert_eq!(
            members,
            [("c", 0, Shape::Unsigned(1)), ("p", 2, Shape::Pointer(4)), ("n", 6, bad)]
        );
        assert!(Arc::ptr_eq(&good, &table.structure("good").unwrap().unwrap()));
        let error = table.structure("bad").unwrap_err().to_string();
        assert!(error.contains("invalid type: string \"none\""), "{error}");
        assert_eq!(table.structure("empty").unwrap().unwrap().members, []);
        assert_eq!(table.structure("none"), Ok(None));
    }

    #[test]
    fn a_table_of_more_entries_than_any_kernel_has_is_refused() {
        let mut text = String::from("\"enums\": {\"a\": {}");
        for i in 0..1 << 20 {
            text.push_str(&format!(",\"{i:x}\":{{}}"));
        }
        let error = table(&(text + "}")).unwrap_err().to_string();
        assert!(error.contains("more than 1048576 entries"), "{error}");
    }

    #[test]
    fn the_names_of_a_table_are_cut_and_counted() {
        let long = "n".repeat(1 << 20);
        let many = |count: usize| {
            let names = (0..count).map(|i| format!("\"{long}{i}\": {{\"address\": {i}}}"));
            table(&format!("\"symbols\": {{{}}}", names.collect::<Vec<_>>().join(",")))
        };
        let few = many(3).unwrap();
        assert!(few.symbols().all(|(name, _)| name.len() == 4096));
        let kept = format!("\"symbols\": {{\"{}\": {{\"address\": 4096}}}}", &long[..5000]);
        let mut symbols = SymbolTable::builder(false);
        for (name, rva) in table(&kept).unwrap().symbols() {
            symbols.add(rva, name, SymbolKind::Public);
        }
        let symbols = symbols.finish();
        assert_eq!(symbols.resolve(Rva(0x1000)).unwrap().0.len(), 512);
        let names: String =
            (0..9000).map(|i| format!(",\"{i:04}{}\":{{}}", &long[..4000])).collect();
        let error = table(&format!("\"enums\": {{{}}}", &names[1..])).unwrap_err().to_string();
        assert!(error.contains("more than 33554432 bytes of names"), "{error}");
    }

    #[test]
    fn a_structure_with_more_fields_than_any_of_a_kernel_is_refused() {
        let field = r#""x": {"offset": 0, "type": {"kind": "pointer"}},"#;
        let fields = field.repeat((1 << 22) / field.len() + 1);
        let text = format!(
            r#""user_types": {{"large": {{"size": 1, "fields": {{{}}}}}}}"#,
            fields.trim_end_matches(',')
        );
        let error = table(&text).unwrap().structure("large").unwrap_err();
        assert!(matches!(error, verifier_core::Error::Limit { name: "MAX_FIELDS", .. }), "{error}");
    }
}

/// Hides the output of assertions that fail in the PDB crate, as the tests below expect. Files of other
/// crates have absolute paths.
fn silence() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            let foreign = info.location().is_some_and(|at| Path::new(at.file()).is_absolute());
            if !foreign {
                before(info);
            }
        }));
    });
}

/// Calls everything that a caller can call on a PDB.
fn exercise(bytes: Vec<u8>) {
    let Ok(pdb) = Pdb::parse("damaged.pdb", Arc::new(bytes)) else { return };
    let _ = (pdb.id(), pdb.machine_image_type(), pdb.describe());
    for (name, path) in
        [("nested", "high_high"), ("arrays", "cube"), ("large", "last"), ("bits", "low")]
    {
        if let Ok(field) = pdb.field(name, path) {
            let _ = (field.get(&[0xff; 64]), field.elements());
        }
        let _ = pdb.size_of(name);
    }
    let _ = (pdb.len(), pdb.find("entry"), pdb.find("no such name"));
    for rva in (0..0x8000).step_by(0x11) {
        let _ = (pdb.resolve(Rva(rva)), pdb.source_site(Rva(rva)));
    }
    if let Ok(table) = pdb.symbol_table() {
        let _ = (table.find("entry"), table.resolve(Rva(0x1234)));
        for (rva, _, _) in table.iter().take(100) {
            let _ = table.resolve(rva);
        }
    }
}

fn fixture(which: usize) -> Vec<u8> {
    [SHAPES, CLASSES, DECORATED, PUBLIC, LINES][which].to_vec()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn cut_short(which in 0usize..5, keep in 0.0f64..1.0) {
        silence();
        let mut bytes = fixture(which);
        bytes.truncate((bytes.len() as f64 * keep) as usize);
        exercise(bytes);
    }

    #[test]
    fn bytes_changed(
        which in 0usize..5,
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..60),
    ) {
        silence();
        let mut bytes = fixture(which);
        for (at, value) in changes {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        exercise(bytes);
    }
}
