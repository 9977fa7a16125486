//! From a file to the kernel in it.

use std::sync::Arc;

use verifier_core::dump::{DumpKind, MemoryFile};
use verifier_core::kernel::{AddressSpace, Hints, Kernel, Limits, TableSource, find_kernel_until};
use verifier_core::{Error, Pa};

/// Which page tables a session reads through.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TablesInUse {
    /// The directory table base.
    pub base: Pa,
    /// Where it is from, in words.
    pub from: String,
}

/// The kernel in a file, and by which page tables it was found. A search for it ends when `stop` says so.
pub(crate) fn open_kernel(
    file: &MemoryFile,
    base: Option<Pa>,
    limits: &Limits,
    stop: &dyn Fn() -> bool,
) -> (Result<Arc<Kernel>, Error>, Option<TablesInUse>) {
    let Some(dump) = file.dump() else {
        return match search(file, base, Hints::default(), limits, stop) {
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
            let mut header = header.clone();
            header.directory_table_base = base;
            AddressSpace::of_physical(Arc::new(physical), &header, machine).cached()
        }),
        _ => AddressSpace::of_dump(dump),
    });
    let Err(error) = kernel else { return (kernel, Some(tables)) };
    // What the header says leads nowhere: its page tables may be right, or the machine's at least.
    let anew = search(file, Some(tables.base), hints.clone(), limits, stop)
        .map(|(kernel, _)| (kernel, tables.clone()))
        .or_else(|error| match base {
            Some(_) => Err(error),
            None => search(file, None, hints, limits, stop),
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
    stop: &dyn Fn() -> bool,
) -> Result<(Arc<Kernel>, TablesInUse), Error> {
    let found = find_kernel_until(&file.unlabeled()?, base, limits, stop)?;
    let tables =
        TablesInUse { base: found.directory_table_base, from: found.tables_from.to_string() };
    let Hints { kernel_base, is_uncertain, .. } = found.hints;
    let hints = Hints { kernel_base, is_uncertain, ..hints };
    let kernel = Kernel::open_with(found.space, hints, limits.clone())?;
    Ok((Arc::new(kernel), tables))
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use verifier_core::dump::{FileError, ReadAt};
    use verifier_synth::{Build, DumpKind, Machine};

    use super::*;

    /// A file that counts how often it is read.
    struct Counted(Vec<u8>, AtomicUsize);

    impl ReadAt for Counted {
        fn len(&self) -> u64 {
            self.0.len() as u64
        }

        fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<(), FileError> {
            self.1.fetch_add(1, Ordering::Relaxed);
            self.0.read_at(offset, buf)
        }
    }

    /// A dump's pages do not move, whoever says where the page tables are: what was found once is not
    /// looked up again.
    #[test]
    fn given_tables_are_remembered_as_the_headers_are() {
        let sample = Machine::new(Build::Win10Vb).build(DumpKind::BitmapKernel);
        let reads = |is_given: bool| {
            let source = Arc::new(Counted(sample.dump.clone(), AtomicUsize::new(0)));
            let file = MemoryFile::open(source.clone()).unwrap();
            let base = file.dump().unwrap().header().directory_table_base;
            let given = is_given.then_some(base);
            let (kernel, tables) = open_kernel(&file, given, &Limits::default(), &|| false);
            assert_eq!(tables.unwrap().base, base);
            let kernel = kernel.unwrap();
            let read = || kernel.space().read(kernel.base(), &mut [0; 16]).unwrap();
            read();
            let before = source.1.load(Ordering::Relaxed);
            read();
            source.1.load(Ordering::Relaxed) - before
        };
        assert_eq!((reads(false), reads(true)), (1, 1));
    }
}
