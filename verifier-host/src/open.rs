//! From a file to the kernel in it.

use std::sync::Arc;

use verifier_core::Pa;
use verifier_core::dump::{DumpKind, MemoryFile};
use verifier_core::kernel::{AddressSpace, Hints, Kernel, Limits, TableSource, find_kernel_until};

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
) -> (Result<Arc<Kernel>, verifier_core::Error>, Option<TablesInUse>) {
    let in_use = |base, from: &dyn ToString| Some(TablesInUse { base, from: from.to_string() });
    let Some(dump) = file.dump() else {
        let found = file
            .unlabeled()
            .ok_or_else(|| verifier_core::Error::Unsupported { what: "no memory".into() })
            .and_then(|memory| find_kernel_until(&memory, base, limits, stop));
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
                let (pae, head) = (header.pae_enabled, header.ps_loaded_module_list);
                AddressSpace::of_tables(Arc::new(physical), base, machine, pae, head).cached()
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
