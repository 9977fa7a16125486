//! What is damaged: a dump and the symbols for it, parsed once.

use std::fs;
use std::io;
use std::path::Path;
use std::sync::Arc;

use verifier_core::dump::{Dump, ReadAt};
use verifier_core::kernel::{AddressSpace, Hints, Kernel, SymbolSource};
use verifier_core::symbols::{SymbolKind, SymbolTable};
use verifier_core::types::{Isf, Pdb};
use verifier_fuzz_targets::rich_machine;
use verifier_host::Silent;
use verifier_host::symbols::{FileBytes, SymbolPath};
use verifier_synth::{Build, DumpKind, MachineType, Paging};

/// Symbols of one image.
enum Symbols {
    Pdb(Arc<Pdb>),
    Isf(Arc<Isf>, Arc<SymbolTable>),
}

/// A dump to damage.
pub struct Subject {
    /// Its name in reports.
    pub name: String,
    /// The bytes of the file.
    pub file: Arc<[u8]>,
    /// Symbols by GUID, the kernel's first.
    symbols: Vec<([u8; 16], Symbols)>,
}

impl Subject {
    /// Opens a file of these bytes with the symbols, as far as its images ask for them. The kernel's
    /// are supplied, too, if its image does not name its PDB.
    ///
    /// # Errors
    /// Those of the library.
    pub fn open(&self, file: Arc<dyn ReadAt>) -> Result<(Dump, Kernel), verifier_core::Error> {
        let dump = Dump::open(file)?;
        let kernel = Kernel::open(AddressSpace::of_dump(&dump)?, Hints::of_dump(&dump))?;
        self.supply(&kernel);
        Ok((dump, kernel))
    }

    /// Supplies the symbols to a kernel.
    pub(crate) fn supply(&self, kernel: &Kernel) {
        let own = kernel.kernel_module();
        for wanted in kernel.wanted_symbols() {
            let found = match &wanted.pdb {
                Ok(id) => self.symbols.iter().find(|(guid, _)| *guid == id.guid),
                Err(_) if Some(wanted.module) == own => self.symbols.first(),
                Err(_) => None,
            };
            match found {
                // A damaged PDB would have been refused before.
                Some((_, Symbols::Pdb(pdb))) => {
                    let _ = kernel.supply_pdb(wanted.module, Arc::clone(pdb));
                }
                Some((_, Symbols::Isf(isf, table))) => {
                    let table = Arc::clone(table);
                    kernel.supply_table(wanted.module, SymbolSource::Isf, table);
                    if Some(wanted.module) == own {
                        kernel.supply_types(Arc::<Isf>::clone(isf));
                    }
                }
                None => {}
            }
        }
    }
}

/// A dump file, with the symbols in the folder `symbols` beside it; or that file in a folder.
///
/// # Errors
/// If the file cannot be read or is not a dump.
pub fn given(path: &Path) -> io::Result<Subject> {
    let path = if path.is_dir() { path.join("memory.dmp") } else { path.to_path_buf() };
    let folder = path.parent().unwrap_or(Path::new("."));
    let name = folder.file_name().unwrap_or(folder.as_os_str()).to_string_lossy().into_owned();
    let file: Arc<[u8]> = fs::read(&path)?.into();
    let mut subject = Subject { name, file, symbols: Vec::new() };
    let mut places = SymbolPath::with_default_cache(None);
    places.push_plain(folder.join("symbols"));
    let whole = crate::Overlay::whole(Arc::clone(&subject.file));
    let (_, kernel) = subject.open(Arc::new(whole)).map_err(io::Error::other)?;
    let mut wanted = kernel.wanted_symbols();
    wanted.sort_by_key(|wanted| Some(wanted.module) != kernel.kernel_module());
    let identity = |bytes: &FileBytes| bytes.pdb("").ok().map(|pdb| (pdb.id().guid, pdb.id().age));
    for id in wanted.into_iter().filter_map(|wanted| wanted.pdb.ok()) {
        let symbols = if let Ok(found) = places.locate_pdb(&id, &identity, &Silent).into_result() {
            let pdb = found.bytes.pdb(&id.name).map_err(io::Error::other)?;
            Symbols::Pdb(Arc::new(pdb))
        } else if let Ok(found) = places.locate_isf(&id).into_result() {
            from_isf(&found.bytes.read().map_err(io::Error::other)?).map_err(io::Error::other)?
        } else {
            continue;
        };
        subject.symbols.push((id.guid, symbols));
    }
    Ok(subject)
}

fn from_isf(json: &[u8]) -> Result<Symbols, verifier_core::Error> {
    let isf = Isf::parse(json)?;
    let mut table = SymbolTable::builder(isf.machine_image_type() == Some(0x14c));
    for (name, rva) in isf.symbols() {
        table.add(rva, name, SymbolKind::Public);
    }
    Ok(Symbols::Isf(Arc::new(isf), Arc::new(table.finish())))
}

/// A dump of every kind, of several builds, of every way of paging.
#[must_use]
pub fn synthetic() -> Vec<Subject> {
    let mut subjects = Vec::new();
    for (build, kinds) in [
        (Build::Win7Sp1, &[DumpKind::Complete, DumpKind::Summary][..]),
        (Build::Win7Sp1X86, &[DumpKind::Complete, DumpKind::Summary]),
        (Build::Win10Vb, &DumpKind::WITH_HEADER),
        (Build::Win11Arm64, &[DumpKind::BitmapFull]),
    ] {
        for &kind in kinds {
            let machine = rich_machine(build);
            subjects.push(made(format!("made {build:?} {kind:?}"), machine.build(kind)));
        }
    }
    for (build, paging) in [(Build::Win10Vb, Paging::X64La57), (Build::Win7Sp1X86, Paging::X86)] {
        let kind = match build.machine() {
            MachineType::X86 => DumpKind::Complete,
            _ => DumpKind::BitmapFull,
        };
        let sample = rich_machine(build).paging(paging).build(kind);
        subjects.push(made(format!("made {build:?} {paging:?}"), sample));
    }
    subjects
}

fn made(name: String, sample: verifier_synth::Sample) -> Subject {
    let mut symbols: Vec<([u8; 16], Symbols)> = Vec::new();
    for (path, json) in &sample.files {
        let parsed = from_isf(json).ok();
        if let Some(Symbols::Isf(isf, table)) = parsed
            && let Some(guid) = isf.pdb_id().map(|id| id.guid)
        {
            let place = if path.starts_with("ntk") { 0 } else { symbols.len() };
            symbols.insert(place, (guid, Symbols::Isf(isf, table)));
        }
    }
    Subject { name, file: sample.dump.into(), symbols }
}
