//! From a file to the kernel in it.

use std::sync::Arc;

use verifier_core::Pa;
use verifier_core::dump::{DumpKind, MemoryFile};
use verifier_core::kernel::{
    AddressSpace, Hints, Kernel, Landmarks, Limits, TableSource, find_kernel,
};

/// Which page tables a session reads through.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TablesInUse {
    /// The directory table base.
    pub base: Pa,
    /// Where it is from, in words.
    pub from: String,
}

/// The kernel in a file, and by which page tables it was found.
pub(crate) fn open_kernel(
    file: &MemoryFile,
    base: Option<Pa>,
    limits: &Limits,
) -> (Result<Arc<Kernel>, verifier_core::Error>, Option<TablesInUse>) {
    let in_use = |base, from: &dyn ToString| Some(TablesInUse { base, from: from.to_string() });
    let Some(dump) = file.dump() else {
        let found = file
            .unlabeled()
            .ok_or_else(|| verifier_core::Error::Unsupported { what: "no memory".into() })
            .and_then(|memory| find_kernel(&memory, base, limits));
        return match found {
            Ok(found) => {
                let tables = in_use(found.directory_table_base, &found.tables_from);
                let kernel = Kernel::open_with(found.space, found.hints, limits.clone());
                (kernel.map(Arc::new), tables)
            }
            Err(error) => (Err(error), None),
        };
    };
    let header = dump.header();
    let (space, tables) = match (base, header.machine()) {
        _ if header.kind == DumpKind::Triage => (AddressSpace::of_dump(dump), None),
        (Some(base), Some(machine)) => {
            let space = dump.physical().map(|physical| {
                let landmarks = Landmarks::from(header);
                let pae = header.pae_enabled;
                AddressSpace::of_tables(Arc::new(physical), base, machine, pae, &landmarks)
            });
            (space, in_use(base, &TableSource::Given))
        }
        _ => {
            (AddressSpace::of_dump(dump), in_use(header.directory_table_base, &"the dump's header"))
        }
    };
    let kernel = space
        .and_then(|space| Kernel::open_with(space, Hints::of_dump(dump), limits.clone()))
        .map(Arc::new);
    (kernel, tables)
}
