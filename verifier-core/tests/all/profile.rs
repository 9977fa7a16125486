//! Compares the library's own layouts with type tables of real kernels, member by member: every ISF table and
//! every kernel's PDB next to the repository.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use crate::common::shared;
use verifier_core::machine::Machine;
use verifier_core::types::{Isf, Profile, Shape, TypeSource};

/// Every structure of the profile, except `other`, is in the table with the same layout. Structures whose
/// integers are all shown have no other integers.
fn assert_agrees(profile: &Profile, table: &dyn TypeSource, other: &[&str]) {
    let what = format!("{} against {}", profile.describe(), table.describe());
    let mut members = 0;
    for ours in profile.structures().filter(|ours| !other.contains(&ours.name.as_str())) {
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
    let Some(tables) = shared("isf") else { return };
    let builds = [
        ("03A098BC", 14393),
        ("06564D34", 19041),
        ("06A508F3", 9600),
        ("0B0A8943", 22000),
        ("339E7413", 7601),
        ("5278AFF8", 19041),
        ("D417CF71", 26100),
    ];
    let mut seen = BTreeSet::new();
    for entry in fs::read_dir(tables).unwrap().flatten() {
        let name = entry.file_name().into_string().unwrap();
        if !name.ends_with(".json.xz") {
            continue;
        }
        let &(key, build) = builds.iter().find(|(key, _)| name.starts_with(key)).unwrap();
        seen.insert(key);
        let mut json = Vec::new();
        let file = fs::File::open(entry.path()).unwrap();
        std::io::copy(&mut lzma_rust2::XzReader::new(file, true), &mut json).unwrap();
        let profile = Profile::new(Machine::X64, build).unwrap();
        assert_agrees(&profile, &Isf::parse(&json).unwrap(), &[]);
    }
    assert_eq!(seen.len(), builds.len());
}

#[cfg(feature = "pdb")]
#[test]
fn pdbs() {
    let Some(dumps) = shared("dumps") else { return };
    let mut compared = 0;
    for (folder, machine, build) in [
        ("win7-rich", Machine::X64, 7601),
        ("win7-x86-leak", Machine::X86, 7601),
        ("win7-x86-pae-rich", Machine::X86, 7601),
        ("win81-rich", Machine::X64, 9600),
        ("win10-19041-rich", Machine::X64, 19041),
        ("win11-22000-rich", Machine::X64, 22000),
        ("arm64-22000-rich", Machine::Arm64, 22000),
        ("win11-22000-live-1e5", Machine::X64, 22000),
        ("win11-26100-rich", Machine::X64, 26100),
    ] {
        // The PDB of the ARM64 folder has the types of an x64 kernel, whose cache lines are shorter.
        let other: &[&str] = if machine == Machine::Arm64 { &["_VF_AVL_TABLE"] } else { &[] };
        for name in ["ntkrnlmp.pdb", "ntkrpamp.pdb"] {
            let Ok(keys) = fs::read_dir(dumps.join(folder).join("symbols").join(name)) else {
                continue;
            };
            for key in keys.flatten() {
                let bytes = fs::read(key.path().join(name)).unwrap();
                let pdb =
                    verifier_core::types::Pdb::parse(name, std::sync::Arc::new(bytes)).unwrap();
                assert_agrees(&Profile::new(machine, build).unwrap(), &pdb, other);
                compared += 1;
            }
        }
    }
    assert!(compared >= 9, "{compared} PDBs were compared");
}

/// A structure of the written tables: machine, size, members by name and offset, and its builds.
struct Written {
    name: String,
    machine: Machine,
    size: u64,
    members: Vec<(String, u64)>,
    builds: BTreeSet<u32>,
}

/// The build of a label: `vol2:win7_sp1_x64_24000`, `ISF 10.0.19041`.
fn build(label: &str) -> Option<u32> {
    if let Some(version) = label.strip_prefix("ISF ") {
        return version.rsplit('.').next()?.parse().ok();
    }
    let profile = label.strip_prefix("vol2:")?;
    let named = [
        ("xp_", 2600),
        ("win2003_", 3790),
        ("vista_sp0", 6000),
        ("vista_sp1", 6001),
        ("vista_sp2", 6002),
        ("win7_sp0", 7600),
        ("win7_sp1", 7601),
        ("win8_", 9200),
        ("win81_", 9600),
        ("win10_x64_1AC738FB", 10586),
        ("win10_x86_44B89EEA", 10586),
        ("win10_x64_DD08DD42", 14393),
        ("win10_x86_9619274A", 14393),
    ];
    if let Some((_, build)) = named.iter().find(|(start, _)| profile.starts_with(start)) {
        return Some(*build);
    }
    let rest = profile.strip_prefix("win10_x64").or_else(|| profile.strip_prefix("win10_x86"))?;
    let digits = rest.trim_start_matches('_').split('_').next().unwrap_or_default();
    if digits.is_empty() { Some(10240) } else { digits.parse().ok() }
}

/// Layouts by version, written down from type tables (`facts/layouts-by-version.md`).
fn written(text: &str) -> Vec<Written> {
    let mut all: Vec<Written> = Vec::new();
    let mut name = String::new();
    let number = |hex: &str| u64::from_str_radix(hex.trim_start_matches("0x"), 16).unwrap();
    for line in text.lines() {
        if let Some(of) = line.strip_prefix("## ") {
            name = of.trim().into();
        } else if let Some(head) = line.strip_prefix(" [x") {
            let (machine, rest) = head.split_once("] size ").unwrap();
            let (size, labels) = rest.split_once(" in: ").unwrap();
            let machine = if machine == "64" { Machine::X64 } else { Machine::X86 };
            let labels = labels.split(", ").map(|label| build(label.trim()));
            all.push(Written {
                name: name.clone(),
                machine,
                size: number(size.split_whitespace().next().unwrap()),
                members: Vec::new(),
                builds: labels.flatten().collect(),
            });
        } else if let (Some(member), Some(last)) = (line.strip_prefix("    +"), all.last_mut()) {
            let mut words = member.split_whitespace();
            let (offset, name) = (words.next().unwrap(), words.next().unwrap());
            last.members.push((name.into(), number(offset)));
        }
    }
    all
}

#[test]
fn layouts_by_version_as_written_down() {
    let Some(path) = shared("facts/layouts-by-version.md") else { return };
    let text = fs::read_to_string(path).unwrap();
    let written = written(&text);
    let mut compared: BTreeSet<(String, u32)> = BTreeSet::new();
    let mut members = 0;
    for machine in [Machine::X64, Machine::X86] {
        let builds: BTreeSet<u32> = written
            .iter()
            .filter(|one| one.machine == machine)
            .flat_map(|one| one.builds.iter().copied())
            .collect();
        for build in builds {
            let Some(profile) = Profile::new(machine, build) else { continue };
            for ours in profile.structures() {
                // Service packs of one build number may differ; one of them must equal ours.
                let theirs: Vec<&Written> = written
                    .iter()
                    .filter(|one| {
                        one.name == ours.name
                            && one.machine == machine
                            && one.builds.contains(&build)
                    })
                    .collect();
                if theirs.is_empty() {
                    continue;
                }
                let agrees = |one: &&&Written| {
                    one.size == ours.size
                        && ours.members.iter().all(|member| {
                            let at = (member.name.clone(), member.offset);
                            one.members.contains(&at)
                        })
                };
                assert!(
                    theirs.iter().any(|one| agrees(&one)),
                    "{} of {}: size {:#x}, {:?}",
                    ours.name,
                    profile.describe(),
                    ours.size,
                    ours.members.iter().map(|m| (&m.name, m.offset)).collect::<Vec<_>>()
                );
                members += ours.members.len();
                compared.insert((format!("{machine}"), build));
            }
        }
    }
    let of = |machine: &str| -> Vec<u32> {
        compared.iter().filter(|(one, _)| one == machine).map(|(_, build)| *build).collect()
    };
    println!("{members} members; x64 {:?}; x86 {:?}", of("x64"), of("x86"));
    for build in [3790, 6000, 6001, 6002, 7600, 7601, 9200, 9600, 10240, 14393, 17763, 19041, 22000]
    {
        assert!(of("x64").contains(&build), "x64 {build}");
    }
    for build in [2600, 3790, 6000, 6001, 6002, 7600, 7601, 9200, 9600, 10240, 19041] {
        assert!(of("x86").contains(&build), "x86 {build}");
    }
}

/// Layouts of one build, written down from its type table (`facts/layouts-26100.md`): size, and members by
/// offset, of each structure.
fn written_26100(text: &str) -> BTreeMap<String, (u64, Vec<(String, u64)>)> {
    let number = |hex: &str| u64::from_str_radix(hex.trim_start_matches("0x"), 16).unwrap();
    let (mut all, mut name) = (BTreeMap::new(), String::new());
    for line in text.lines() {
        if let Some((head, size)) = line.strip_prefix("## ").and_then(|l| l.split_once("  size ")) {
            name = head.into();
            all.insert(name.clone(), (number(size), Vec::new()));
        } else if let Some(member) = line.strip_prefix("    +") {
            let mut words = member.split_whitespace();
            let (offset, member) = (words.next().unwrap(), words.next().unwrap());
            all.get_mut(&name).unwrap().1.push((member.to_string(), number(offset)));
        }
    }
    all
}

#[test]
fn layouts_of_26100_as_written_down() {
    let Some(path) = shared("facts/layouts-26100.md") else { return };
    let written = written_26100(&fs::read_to_string(path).unwrap());
    let profile = Profile::new(Machine::X64, 26100).unwrap();
    let mut compared = 0;
    for ours in profile.structures() {
        let name = &ours.name;
        let (size, members) =
            written.get(name).unwrap_or_else(|| panic!("26100 is not known to have {name}"));
        assert_eq!(ours.size, *size, "{name}");
        for member in &ours.members {
            let at = (member.name.clone(), member.offset);
            assert!(members.contains(&at), "{name}: {at:?}");
        }
        compared += 1;
    }
    assert!(compared >= 15, "{compared} structures were compared");
}
