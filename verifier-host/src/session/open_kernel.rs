//! From a file to the kernel in it.

use std::sync::Arc;

use verifier_core::dump::{Dump, DumpKind, Header, MemoryFile};
use verifier_core::kernel::{
    AddressSpace, FoundKernel, Hints, Kernel, Landmarks, Limits, TableSource, find_kernel_until,
};
use verifier_core::{Error, Pa, Problem};

/// The page tables that a session reads through.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct TablesInUse {
    /// The directory table base.
    pub base: Pa,
    /// How it was found, in words.
    pub from: String,
}

/// The kernel in a file, and the page tables by which it was found. A search for it ends when `stop` returns
/// true. If the file was cut short, the error says so.
pub(crate) fn open_kernel(
    file: &MemoryFile,
    base: Option<Pa>,
    limits: &Limits,
    stop: &dyn Fn() -> bool,
) -> (Result<Arc<Kernel>, Error>, Option<TablesInUse>) {
    let search = Search { file, limits, stop };
    let (kernel, tables) = match file.dump() {
        Some(dump) => search.dump(dump, base),
        None => {
            let hints = Hints { problems: file.problems(), ..Hints::default() };
            match search.kernel(base, hints, |_| None) {
                Ok((kernel, tables)) => (Ok(kernel), Some(tables)),
                Err(error) => (Err(error), None),
            }
        }
    };
    let kernel = kernel.map_err(|error| match file.truncation() {
        Some(truncation) => error.with_remark(&truncation.describe("the file")),
        None => error,
    });
    (kernel, tables)
}

/// A search for the kernel in a file.
struct Search<'a> {
    file: &'a MemoryFile,
    limits: &'a Limits,
    stop: &'a dyn Fn() -> bool,
}

impl Search<'_> {
    /// The kernel to which a dump's header leads, else the one that a search finds.
    fn dump(
        &self,
        dump: &Dump,
        base: Option<Pa>,
    ) -> (Result<Arc<Kernel>, Error>, Option<TablesInUse>) {
        let header = dump.header();
        let hints = Hints::of_dump(dump);
        let open = |space: Result<AddressSpace, Error>| {
            space
                .and_then(|space| Kernel::open_with(space, hints.clone(), self.limits.clone()))
                .map(Arc::new)
        };
        if header.kind == DumpKind::Triage {
            return (open(AddressSpace::of_dump(dump)), None);
        }
        let tables = match base {
            Some(base) => TablesInUse { base, from: TableSource::Given.to_string() },
            None => TablesInUse {
                base: header.directory_table_base,
                from: "the dump's header".to_string(),
            },
        };
        let kernel = open(match (base, header.machine()) {
            (Some(base), Some(machine)) => dump.physical().map(|physical| {
                let mut header = header.clone();
                header.directory_table_base = base;
                AddressSpace::of_physical(Arc::new(physical), &header, machine).cached()
            }),
            _ => AddressSpace::of_dump(dump),
        });
        let Err(error) = kernel else { return (kernel, Some(tables)) };
        // The header leads nowhere: its page tables may be right, or at least its machine.
        let problem = |found: &FoundKernel| match base {
            Some(_) => None,
            None => header_problem(header, &error, found),
        };
        let anew = self
            .kernel(Some(tables.base), hints.clone(), problem)
            .map(|(kernel, _)| (kernel, tables.clone()))
            .or_else(|error| match base {
                Some(_) => Err(error),
                None => self.kernel(None, hints.clone(), problem),
            });
        match anew {
            Ok((kernel, tables)) => (Ok(kernel), Some(tables)),
            Err(_) => (Err(error), Some(tables)),
        }
    }

    /// The kernel that a search finds in the file's physical memory. `problem` says what contradicts it.
    fn kernel(
        &self,
        base: Option<Pa>,
        mut hints: Hints,
        problem: impl Fn(&FoundKernel) -> Option<Problem>,
    ) -> Result<(Arc<Kernel>, TablesInUse), Error> {
        let found = find_kernel_until(&self.file.unlabeled()?, base, self.limits, self.stop)?;
        hints.problems.extend(problem(&found));
        hints.kernel_base = found.hints.kernel_base;
        hints.is_uncertain = found.hints.is_uncertain;
        let tables =
            TablesInUse { base: found.directory_table_base, from: found.tables_from.to_string() };
        // A file does not change.
        let kernel = Kernel::open_with(found.space.cached(), hints, self.limits.clone())?;
        Ok((Arc::new(kernel), tables))
    }
}

/// Says that the header does not lead to the kernel that a search found. It is the header's own kernel if the
/// header's other addresses are right. Fields that were never set are not a problem.
fn header_problem(header: &Header, error: &Error, found: &FoundKernel) -> Option<Problem> {
    let landmarks = Landmarks::from(header);
    let base = found.directory_table_base;
    let has_landmarks =
        landmarks.ps_loaded_module_list.or(landmarks.kd_debugger_data_block).is_some();
    if !header.has_tables() || (base == header.directory_table_base && !has_landmarks) {
        return None;
    }
    let why = if base == header.directory_table_base {
        format!(
            "its addresses do not lead to the list of loaded modules ({error}); the kernel's image was \
             searched for"
        )
    } else {
        format!(
            "DirectoryTableBase {} does not lead to the kernel ({error}); page tables at {base} serve, {}",
            header.directory_table_base, found.tables_from
        )
    };
    let problem = Problem::new("dump header", why);
    Some(if landmarks.hold_in(&found.space) { problem.remark() } else { problem })
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

    /// A dump's pages do not move, whether the header or the caller gives the page tables: an address is
    /// translated once.
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
