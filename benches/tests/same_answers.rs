//! The fast ways give the same answers as the simple ways, on the PDBs of the shared dumps if they are
//! present.

use std::fs;
use std::sync::Arc;

use pdb_addr2line::pdb;
use verifier_benches::inputs::shared_dumps;
use verifier_benches::large_pdb::enlarged;
use verifier_core::Rva;
use verifier_core::symbols::{SymbolLookup as _, SymbolTable};
use verifier_core::types::Pdb;
use verifier_synth::{Linked, MachineType};

const CODE: std::ops::Range<u32> = 0x1000..0x1500;

#[test]
fn lines_and_inlined_functions_equal_those_of_pdb_addr2line() {
    for machine in [MachineType::X64, MachineType::X86, MachineType::Arm64] {
        let bytes = Linked::leaky(machine).pdb;
        let pdb = Pdb::parse("leaky.pdb", Arc::new(bytes)).unwrap();
        let source = pdb::PDB::open(std::io::Cursor::new(bytes)).unwrap();
        let data = pdb_addr2line::ContextPdbData::try_from_pdb(source).unwrap();
        let context = data.make_context().unwrap();
        let mut compared = 0;
        for rva in CODE {
            let Some(theirs) = context.find_frames(rva).unwrap() else { continue };
            let Some(ours) = pdb.source_site(Rva(rva)) else { continue };
            let inlined = ours.inlined.iter().map(|frame| (&frame.file, frame.line));
            let ours: Vec<_> = inlined.chain([(&ours.file, ours.line)]).collect();
            let theirs = theirs.frames.iter().map(|frame| (frame.file.as_deref(), frame.line));
            let ours = ours.into_iter().map(|(file, line)| (Some(&**file), Some(line)));
            assert!(ours.eq(theirs), "{machine:?}+{rva:#x}");
            compared += 1;
        }
        assert!(compared > 1000, "{machine:?}: {compared}");
    }
}

#[test]
fn an_enlarged_pdb_has_the_lines_and_names_of_the_small_one() {
    let small = Linked::leaky(MachineType::X64).pdb;
    let large = enlarged(small, 20 << 20);
    assert!((20 << 20..21 << 20).contains(&large.len()), "{}", large.len());
    let small = Pdb::parse("", Arc::new(small)).unwrap();
    let large = Pdb::open("", Arc::new(large)).unwrap();
    for rva in CODE.map(Rva) {
        assert_eq!(large.source_site(rva), small.source_site(rva), "{rva:?}");
        assert_eq!(large.resolve(rva), small.resolve(rva), "{rva:?}");
    }
}

#[test]
fn a_table_of_placed_names_equals_a_collected_one() {
    let Some(dumps) = shared_dumps() else {
        eprintln!("skipped: ../shared/dumps is not present");
        return;
    };
    for dump in fs::read_dir(dumps).unwrap().flatten().filter(|dump| dump.path().is_dir()) {
        for pdb in fs::read_dir(dump.path().join("symbols")).unwrap().flatten() {
            let key = fs::read_dir(pdb.path()).unwrap().next().unwrap().unwrap();
            let path = key.path().join(pdb.file_name());
            let pdb = Pdb::parse("", Arc::new(fs::read(&path).unwrap())).unwrap();
            let table = pdb.symbol_table().unwrap();
            let mut plain = SymbolTable::builder(pdb.machine_image_type() == Some(0x14c));
            pdb.for_each_symbol(&mut |rva, name, kind| plain.add(rva, name, kind)).unwrap();
            let plain = plain.finish();
            assert!(table.iter().eq(plain.iter()), "{}", path.display());
            for (_, name, _) in plain.iter().step_by(7) {
                let first = plain.iter().find(|(_, other, _)| *other == name).map(|(rva, ..)| rva);
                assert_eq!(table.find(name), first, "{name}");
                if plain.len() > 1000 {
                    break;
                }
            }
            assert_eq!(table.find("NoSuchName"), None);
        }
    }
}
