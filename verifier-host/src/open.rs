//! From a file to the kernel in it.

use std::sync::Arc;

use verifier_core::dump::{DumpKind, Header, MemoryFile};
use verifier_core::kernel::{AddressSpace, Hints, Kernel, Limits, TableSource, find_kernel};
use verifier_core::{Error, Pa};

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
) -> (Result<Arc<Kernel>, Error>, Option<TablesInUse>) {
    let Some(dump) = file.dump() else {
        return match search(file, base, Hints::default(), limits) {
            Ok((kernel, tables)) => (Ok(kernel), Some(tables)),
            Err(error) => (Err(error), None),
        };
    };
    let header = dump.header();
    let hints = Hints::of_dump(dump);
    let told = |space: Result<AddressSpace, Error>| {
        space
            .and_then(|space| Kernel::open_with(space, hints.clone(), limits.clone()))
            .map(Arc::new)
    };
    if header.kind == DumpKind::Triage {
        return (told(AddressSpace::of_dump(dump)), None);
    }
    let tables = match base {
        Some(base) => TablesInUse { base, from: TableSource::Given.to_string() },
        None => {
            TablesInUse { base: header.directory_table_base, from: "the dump's header".to_string() }
        }
    };
    let kernel = told(match (base, header.machine()) {
        (Some(base), Some(machine)) => dump.physical().map(|physical| {
            let header = Header { directory_table_base: base, ..header.clone() };
            AddressSpace::of_physical(Arc::new(physical), &header, machine)
        }),
        _ => AddressSpace::of_dump(dump),
    });
    let Err(error) = kernel else { return (kernel, Some(tables)) };
    // What the header says leads nowhere: its page tables may be right, or the machine's at least.
    let anew = search(file, Some(tables.base), hints.clone(), limits)
        .map(|(kernel, _)| (kernel, tables.clone()))
        .or_else(|error| match base {
            Some(_) => Err(error),
            None => search(file, None, hints, limits),
        });
    match anew {
        Ok((kernel, tables)) => (Ok(kernel), Some(tables)),
        Err(_) => (Err(error), Some(tables)),
    }
}

/// The kernel that a search finds in the file's physical memory.
fn search(
    file: &MemoryFile,
    base: Option<Pa>,
    hints: Hints,
    limits: &Limits,
) -> Result<(Arc<Kernel>, TablesInUse), Error> {
    let found = find_kernel(&file.unlabeled()?, base, limits)?;
    let tables =
        TablesInUse { base: found.directory_table_base, from: found.tables_from.to_string() };
    let hints = Hints { kernel_base: found.hints.kernel_base, ..hints };
    let kernel = Kernel::open_with(found.space, hints, limits.clone())?;
    Ok((Arc::new(kernel), tables))
}
