//! What the integration tests share: the way from a built dump to a session, and assertions.

#[cfg(feature = "render")]
pub(crate) mod wrapper;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use verifier_core::dump::{BugCheck, Dump};
use verifier_core::kernel::{AddressSpace, Hints, Kernel, Limits};
use verifier_core::machine::Machine;
use verifier_core::memory::SparsePages;
use verifier_core::types::Isf;
use verifier_core::verifier::log::EventKind;
use verifier_core::{Completeness, Extent, Problem, Va};
use verifier_synth::{Assembly, Build, DumpKind, Log, MachineType, Sample};

/// A file or folder beside the repository. If it is absent, the test prints that it is skipped; if
/// `VERIFIER_REQUIRE_SHARED` is set, the test fails.
pub(crate) fn shared(name: &str) -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared").join(name);
    if path.exists() {
        return Some(path);
    }
    assert!(std::env::var_os("VERIFIER_REQUIRE_SHARED").is_none(), "no {}", path.display());
    println!("skipped: {} is absent", path.display());
    None
}

/// Opens a file's header.
pub(crate) fn open_dump(bytes: Vec<u8>) -> Dump {
    Dump::open(Arc::new(bytes)).expect("the header is whole")
}

/// A session over a dump, without symbols.
pub(crate) fn kernel_of(bytes: Vec<u8>) -> Kernel {
    kernel_with(bytes, Limits::default())
}

fn kernel_with(bytes: Vec<u8>, limits: Limits) -> Kernel {
    let dump = open_dump(bytes);
    let space = AddressSpace::of_dump(&dump).expect("the page map is whole");
    Kernel::open_with(space, Hints::from(dump.header()), limits).expect("a module list")
}

/// Supplies each table of `files` to the module that wants it; returns how many it supplied.
pub(crate) fn supply(kernel: &Kernel, files: &[(String, Vec<u8>)]) -> usize {
    let mut supplied = 0;
    for wanted in kernel.wanted_symbols() {
        let Ok(id) = &wanted.pdb else { continue };
        let path = format!("{}/{}.json", id.name, id.isf_stem());
        if let Some((_, text)) = files.iter().find(|(name, _)| *name == path) {
            kernel.supply_isf(wanted.module, Arc::new(Isf::parse(text).expect("a table")));
            supplied += 1;
        }
        #[cfg(feature = "pdb")]
        if let path = format!("{0}/{1}/{0}", id.name, id.store_key())
            && let Some((_, bytes)) = files.iter().find(|(name, _)| *name == path)
        {
            let pdb =
                verifier_core::types::Pdb::parse(&id.name, Arc::new(bytes.clone())).expect("a PDB");
            kernel.supply_pdb(wanted.module, Arc::new(pdb)).expect("symbols");
            supplied += 1;
        }
    }
    supplied
}

/// A session with the sample's symbols.
pub(crate) fn session(sample: Sample) -> Kernel {
    session_with(sample, Limits::default())
}

fn session_with(sample: Sample, limits: Limits) -> Kernel {
    let kernel = kernel_with(sample.dump, limits);
    assert!(supply(&kernel, &sample.files) > 0, "no table fits");
    kernel
}

pub(crate) fn is_wide(build: Build) -> bool {
    build.machine() != MachineType::X86
}

/// The kind of dump that a machine is written to. Each kind with a page map has builds of its own.
pub(crate) fn kind(m: &Assembly) -> DumpKind {
    match (m.header.machine, m.header.build) {
        (MachineType::X86, 10240..) => DumpKind::Complete,
        (MachineType::X86, _) | (_, 7601) => DumpKind::Summary,
        _ => DumpKind::BitmapKernel,
    }
}

/// A session over a machine, with its symbols.
pub(crate) fn open(m: &Assembly) -> Kernel {
    open_with(m, Limits::default())
}

pub(crate) fn open_with(m: &Assembly, limits: Limits) -> Kernel {
    session_with(m.sample(kind(m)), limits)
}

/// A problem at the address says `why`.
#[track_caller]
pub(crate) fn assert_reported(problems: &[Problem], address: u64, why: &str) {
    assert!(
        problems.iter().any(|p| p.address == Some(Va(address)) && p.why.contains(why)),
        "no {why:?} at {address:#x} in {problems:#?}"
    );
}

/// How much of an answer these problems leave.
pub(crate) fn extent<'a>(problems: impl IntoIterator<Item = &'a Problem>) -> Extent {
    Completeness::of(problems).extent
}

/// The address of [`tiny_kernel`]'s module list.
pub(crate) const TINY_HEAD: Va = Va(0xffff_f800_0000_1000);
/// The base of [`tiny_kernel`]'s only module.
pub(crate) const TINY_BASE: Va = Va(0xffff_f800_1000_0000);

/// An x64 session over literal memory, with an added module list of one entry.
pub(crate) fn tiny_kernel(memory: SparsePages<Va>, limits: Limits) -> Kernel {
    tiny_kernel_after(memory, None, limits)
}

/// The same session after a bug check.
pub(crate) fn tiny_kernel_after(
    memory: SparsePages<Va>,
    bug_check: Option<BugCheck>,
    limits: Limits,
) -> Kernel {
    let entry = TINY_HEAD.add(0x100);
    let mut loader = [0u8; 0x68];
    loader[..8].copy_from_slice(&TINY_HEAD.0.to_le_bytes());
    loader[8..16].copy_from_slice(&TINY_HEAD.0.to_le_bytes());
    loader[0x30..0x38].copy_from_slice(&TINY_BASE.0.to_le_bytes());
    loader[0x40..0x44].copy_from_slice(&0x10_0000u32.to_le_bytes());
    let memory = memory
        .with(TINY_HEAD, &entry.0.to_le_bytes())
        .with(TINY_HEAD.add(8), &entry.0.to_le_bytes())
        .with(entry, &loader);
    let space = AddressSpace::new(Arc::new(memory), Machine::X64);
    let hints = Hints { ps_loaded_module_list: Some(TINY_HEAD), bug_check, ..Hints::default() };
    Kernel::open_with(space, hints, limits).expect("one module")
}

/// The logs that are rings of allocated records, with the names that the builder of dumps has for them.
pub(crate) const RINGS: [(EventKind, Log); 5] = [
    (EventKind::Irql, Log::Irql),
    (EventKind::Fault, Log::Fault),
    (EventKind::Region, Log::CriticalRegion),
    (EventKind::Irp, Log::Irp),
    (EventKind::Pending, Log::ForcedPending),
];
