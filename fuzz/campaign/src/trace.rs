//! Which bytes an ordinary run reads: recorded below the page map and above the page tables.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use verifier_core::dump::{Dump, FileError, ReadAt};
use verifier_core::error::Fault;
use verifier_core::kernel::{AddressSpace, Hints, Kernel};
use verifier_core::memory::{Memory, PageTables, Residence};
use verifier_core::{Error, Va};

use crate::look::look_at;
use crate::overlay::Overlay;
use crate::subject::Subject;

/// Reads as address (or offset) and length.
type Reads = Arc<Mutex<BTreeSet<(u64, usize)>>>;

fn note(reads: &Reads, at: u64, len: usize) {
    reads.lock().unwrap_or_else(PoisonError::into_inner).insert((at, len));
}

fn take(reads: &Reads) -> BTreeSet<(u64, usize)> {
    std::mem::take(&mut *reads.lock().unwrap_or_else(PoisonError::into_inner))
}

struct File {
    inner: Overlay,
    reads: Reads,
}

impl ReadAt for File {
    fn len(&self) -> u64 {
        self.inner.len()
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<(), FileError> {
        note(&self.reads, offset, buf.len());
        self.inner.read_at(offset, buf)
    }
}

struct Virtual {
    inner: AddressSpace,
    reads: Reads,
}

impl Memory<Va> for Virtual {
    fn read_in_page(&self, at: Va, buf: &mut [u8]) -> Result<Residence, Fault> {
        note(&self.reads, at.0, buf.len());
        self.inner.memory().read_in_page(at, buf)
    }
}

/// A piece of a structure that an ordinary run reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Piece {
    /// Its offset in the file.
    pub offset: usize,
    /// Its address in the kernel's memory.
    pub va: u64,
    /// Its length; a whole page is one of entries or records.
    pub len: usize,
}

/// What an ordinary run reads.
pub struct Trace {
    /// Offset and length of everything that is read of the file outside its pages: headers, page
    /// maps; and of the page tables.
    pub file: Vec<(usize, usize)>,
    /// Everything that is read by virtual address and that the file holds.
    pub pieces: Vec<Piece>,
    /// Bytes in a pointer.
    pub pointer: usize,
}

impl Trace {
    /// Reads a subject whole and takes down what is read.
    ///
    /// # Errors
    /// Those of the library: an ordinary dump opens.
    pub fn record(subject: &Subject) -> Result<Self, Error> {
        let (file_reads, reads) = (Reads::default(), Reads::default());
        let inner = Overlay::whole(Arc::clone(&subject.file));
        let file = File { inner, reads: Arc::clone(&file_reads) };
        let dump = Dump::open(Arc::new(file))?;
        let plain = AddressSpace::of_dump(&dump)?;
        let (machine, paging) = (plain.machine(), plain.paging());
        let pointer = plain.pointer_size();
        let space = AddressSpace::new(
            Arc::new(Virtual { inner: plain, reads: Arc::clone(&reads) }),
            machine,
        );
        let kernel = Kernel::open(space, Hints::from(dump.header()))?;
        subject.supply(&kernel);
        let _ = look_at(&dump, &Arc::new(kernel));

        let physical = Arc::new(dump.physical()?);
        let tables = paging.map(|mode| {
            PageTables::new(Arc::clone(&physical) as _, dump.header().directory_table_base, mode)
        });
        let file_reads = take(&file_reads);
        let whole: &[u8] = &subject.file;
        let place = |va: u64| {
            let pa = tables.as_ref()?.translate(Va(va)).ok()?.pa;
            usize::try_from(physical.map().offset(pa.pfn().0)? + pa.page_offset()).ok()
        };
        let pieces: Vec<Piece> = take(&reads)
            .into_iter()
            .filter_map(|(va, len)| Some(Piece { offset: place(va)?, va, len }))
            .filter(|piece| piece.offset + piece.len <= whole.len())
            .collect();
        let told: BTreeSet<(usize, usize)> =
            pieces.iter().map(|piece| (piece.offset, piece.len)).collect();
        let file = file_reads
            .into_iter()
            .filter_map(|(at, len)| Some((usize::try_from(at).ok()?, len)))
            .filter(|read| !told.contains(read) && read.0 + read.1 <= whole.len())
            .collect();
        Ok(Self { file, pieces, pointer })
    }
}
