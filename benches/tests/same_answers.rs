//! The fast ways give the same answers as the simple ways, on the PDBs of the shared dumps if they are
//! present.

use std::fs;
use std::sync::Arc;

use verifier_benches::inputs::shared_dumps;
use verifier_core::symbols::SymbolTable;
use verifier_core::types::Pdb;

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
