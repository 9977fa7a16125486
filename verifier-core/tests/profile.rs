//! The library's own layouts against type tables of real kernels: every ISF table and every kernel's PDB
//! that is beside the repository, member by member.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout
)]

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use verifier_core::machine::Machine;
use verifier_core::types::{Isf, Pdb, Profile, Shape, TypeSource};

fn shared() -> Option<PathBuf> {
    let folder = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared"));
    if folder.join("isf").is_dir() {
        return Some(folder);
    }
    println!("skipped: ../shared is not here");
    None
}

/// Every structure of the profile is in the table and lies there as the profile says, and structures whose
/// integers are all shown have no other.
fn assert_agrees(profile: &Profile, table: &dyn TypeSource) {
    let what = format!("{} against {}", profile.describe(), table.describe());
    let mut members = 0;
    for ours in profile.structures() {
        let name = &ours.name;
        let theirs = table.structure(name).unwrap();
        let theirs = theirs.unwrap_or_else(|| panic!("{what}: the table has no {name}"));
        assert_eq!(ours.size, theirs.size, "{what}: {name}");
        for member in &ours.members {
            let other = theirs.member(&member.name);
            let other = other.unwrap_or_else(|| panic!("{what}: no {name}.{}", member.name));
            let label = format!("{what}: {name}.{}", member.name);
            assert_eq!(member.offset, other.offset, "{label}");
            match &member.shape {
                Shape::Opaque => {}
                Shape::Named { name, .. } => {
                    let Shape::Named { name: theirs, .. } = &other.shape else { panic!("{label}") };
                    assert_eq!(name, theirs, "{label}");
                }
                shape => {
                    assert_eq!(shape.size(), other.shape.size(), "{label}");
                    assert_eq!(shape.is_integer(), other.shape.is_integer(), "{label}");
                    if let Shape::Array { count, .. } = shape {
                        let Shape::Array { count: theirs, .. } = &other.shape else {
                            panic!("{label}")
                        };
                        assert_eq!(count, theirs, "{label}");
                    }
                }
            }
            members += 1;
        }
        if matches!(name.as_str(), "_MM_DRIVER_VERIFIER_DATA" | "_VF_TARGET_VERIFIED_DRIVER_DATA") {
            let integers = |structure: &verifier_core::types::Structure| -> BTreeSet<String> {
                let integers = structure.members.iter().filter(|member| member.shape.is_integer());
                integers.map(|member| member.name.clone()).collect()
            };
            assert_eq!(integers(ours), integers(&theirs), "{what}: {name}");
        }
    }
    assert!(members > 120, "{what}: only {members} members");
}

#[test]
fn tables() {
    let Some(shared) = shared() else { return };
    let builds = [
        ("03A098BC", 14393),
        ("06564D34", 19041),
        ("06A508F3", 9600),
        ("0B0A8943", 22000),
        ("339E7413", 7601),
        ("5278AFF8", 19041),
    ];
    let mut seen = BTreeSet::new();
    for entry in fs::read_dir(shared.join("isf")).unwrap().flatten() {
        let name = entry.file_name().into_string().unwrap();
        if !name.ends_with(".json.xz") {
            continue;
        }
        let &(key, build) = builds.iter().find(|(key, _)| name.starts_with(key)).unwrap();
        seen.insert(key);
        let mut json = Vec::new();
        let file = fs::File::open(entry.path()).unwrap();
        std::io::copy(&mut lzma_rust2::XzReader::new(file, true), &mut json).unwrap();
        assert_agrees(&Profile::new(Machine::X64, build).unwrap(), &Isf::parse(&json).unwrap());
    }
    assert_eq!(seen.len(), builds.len());
}

#[test]
fn pdbs() {
    let Some(shared) = shared() else { return };
    let mut compared = 0;
    for (folder, machine, build) in [
        ("win7-rich", Machine::X64, 7601),
        ("win7-x86-leak", Machine::X86, 7601),
        ("win7-x86-pae-rich", Machine::X86, 7601),
        ("win81-rich", Machine::X64, 9600),
        ("win10-19041-rich", Machine::X64, 19041),
        ("win11-22000-rich", Machine::X64, 22000),
        ("arm64-22000-rich", Machine::Arm64, 22000),
    ] {
        for name in ["ntkrnlmp.pdb", "ntkrpamp.pdb"] {
            let Ok(keys) =
                fs::read_dir(shared.join("dumps").join(folder).join("symbols").join(name))
            else {
                continue;
            };
            for key in keys.flatten() {
                let bytes = fs::read(key.path().join(name)).unwrap();
                let pdb = Pdb::parse(name, Arc::new(bytes)).unwrap();
                assert_agrees(&Profile::new(machine, build).unwrap(), &pdb);
                compared += 1;
            }
        }
    }
    assert!(compared >= 7, "{compared} PDBs were compared");
}
