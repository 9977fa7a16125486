//! Crash dump files and other files of memory. You give a file's bytes, and this module finds the file
//! offset of each physical page.
//!
//! [`Dump::open`] reads only the header, so `info` works on a damaged file. [`Dump::physical`] reads the
//! page map (runs, bitmap or ranges) and returns a [`Memory`] of [`Pa`]. A map with an entry for each page
//! is never built: a run table or range list is searched by bisection, a bitmap through ranks, one number
//! for each 64 pages.
//!
//! | `DumpType` | written by | page map |
//! |---|---|---|
//! | 1 | complete dumps, LiveKD, DumpIt | runs in the header |
//! | 2 | Windows 7 and before, kernel dump | bitmap after the header |
//! | 4 | small (triage) dump | none: blocks of virtual memory ([`Triage`]) |
//! | 5, 6 | Windows 8 and later, complete / kernel, active and live | bitmap at 0x2000 |
//! | 8, 9, 0xA | WinDbg `.dump /k`, `/ka`, `/f` | ranges at 0x2030 |
//!
//! [`MemoryFile`] also opens core files of virtual machines ([`ElfCore`]) and raw images, in which the
//! kernel must be searched for ([`find_kernel`](crate::kernel::find_kernel)).
//!
//! In real files, fields that were never set have the filler `PAGE`, and the directory table base has low
//! bits set. A file can be shorter than its header says: it still opens, [`MemoryFile::truncation`] says
//! what is missing, and pages past the end of the file are absent ([`Reason::Truncated`]).

mod elf;
mod header;
mod memory_file;
mod pages;
mod ranges;
mod source;
mod spans;
mod triage;
mod truncation;

use std::sync::{Arc, OnceLock};

pub use elf::ElfCore;
pub use header::{BugCheck, DumpKind, Header, PhysicalRun};
pub use memory_file::{MemoryFile, Unlabeled};
pub use pages::BitmapPages;
pub use ranges::RangePages;
pub use source::{FileError, ReadAt};
pub use spans::FileSpans;
pub use triage::{CallStack, Triage, TriageDriver, TriageUnloaded};
pub use truncation::Truncation;

use self::truncation::Stored;
use crate::addr::{PAGE_SIZE, Pa, Space};
use crate::error::{Error, Fault, Problem, Reason, TRIAGE_HOLDS};
use crate::memory::{Memory, Pages, Residence};

/// A crash dump file whose header has been read.
#[derive(Clone)]
pub struct Dump {
    file: Arc<dyn ReadAt>,
    header: Arc<Header>,
    /// The page map, after the first read.
    map: Arc<OnceLock<Arc<PageMap>>>,
}

impl Dump {
    /// Reads the header.
    ///
    /// # Errors
    /// [`Error::Format`] if the file is too short for a header or has another signature.
    pub fn open(file: Arc<dyn ReadAt>) -> Result<Self, Error> {
        let header = Arc::new(Header::read(&*file)?);
        Ok(Self { file, header, map: Arc::default() })
    }

    /// The header.
    #[must_use]
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// The length of the file in bytes.
    #[must_use]
    pub fn file_len(&self) -> u64 {
        self.file.len()
    }

    /// Reads the contents of a small dump, which has no physical memory.
    ///
    /// # Errors
    /// [`Error::Format`] if the file ends before its triage header; [`Error::Unsupported`] for any
    /// other kind of dump.
    pub fn triage(&self) -> Result<Triage, Error> {
        match self.header.kind {
            DumpKind::Triage => Triage::read(&self.file, &self.header),
            other => {
                Err(Error::Unsupported { what: format!("this is not a small dump but a {other}") })
            }
        }
    }

    /// Reads the page map and returns the dump's physical memory.
    ///
    /// # Errors
    /// [`Error::Format`] if the page map is malformed, [`Error::Unsupported`] if this kind of dump does
    /// not have one.
    pub fn physical(&self) -> Result<PhysicalPages, Error> {
        Ok(PhysicalPages { file: Arc::clone(&self.file), map: Arc::clone(self.map()?) })
    }

    fn map(&self) -> Result<&Arc<PageMap>, Error> {
        if let Some(map) = self.map.get() {
            return Ok(map);
        }
        let map = Arc::new(PageMap::read(&*self.file, &self.header)?);
        Ok(self.map.get_or_init(|| map))
    }

    /// What is missing at the end of the file, if it was cut short. The expected length follows from the
    /// page map and the header's count of pages, or from the size that a small dump states.
    #[must_use]
    pub fn truncation(&self) -> Option<Truncation> {
        if self.header.kind == DumpKind::Triage {
            return self.triage().ok()?.truncation;
        }
        self.stored()?.truncation(self.file.len())
    }

    fn stored(&self) -> Option<Stored> {
        match self.map() {
            Ok(map) => Some(map.stored()),
            Err(_) if self.header.kind.has_bitmap() => {
                BitmapPages::declared(&*self.file, &self.header)
            }
            Err(_) => None,
        }
    }

    /// Problems of the file as a whole: a missing end, counts that contradict each other, impossible header
    /// values.
    #[must_use]
    pub fn problems(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        problems.extend(self.truncation().map(|truncation| truncation.problem(&*self.file)));
        problems.extend(self.header.problems());
        match self.header.kind {
            DumpKind::Triage => {
                problems.extend(self.triage().map(|triage| triage.problems).unwrap_or_default());
            }
            _ => problems.extend(self.map().into_iter().flat_map(|map| map.problems(&*self.file))),
        }
        problems
    }
}

impl std::fmt::Debug for Dump {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Dump").field("header", &self.header).finish_non_exhaustive()
    }
}

/// The file offsets of a dump's pages.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum PageMap {
    /// Runs or ranges of page frames (types 1, 8, 9, 0xA).
    Ranges(RangePages),
    /// One bit for each page frame (types 2, 5, 6).
    Bitmap(BitmapPages),
}

impl PageMap {
    fn read(file: &dyn ReadAt, header: &Header) -> Result<Self, Error> {
        match header.kind {
            DumpKind::Full => RangePages::from_header(header).map(PageMap::Ranges),
            DumpKind::Summary | DumpKind::BitmapFull | DumpKind::BitmapKernel => {
                BitmapPages::read(file, header).map(PageMap::Bitmap)
            }
            DumpKind::RangesKernel | DumpKind::RangesKernelUser | DumpKind::RangesFull => {
                RangePages::read_rdmp(file, header).map(PageMap::Ranges)
            }
            DumpKind::Triage => Err(Error::Unsupported { what: TRIAGE_HOLDS.into() }),
            DumpKind::Unknown(raw) => Err(Error::Format {
                offset: header.dump_type_offset(),
                what: "dump header",
                why: format!("DumpType {raw:#x} is unknown (known are 1, 2, 4, 5, 6, 8, 9, 0xa)"),
            }),
        }
    }

    fn stored(&self) -> Stored {
        match self {
            PageMap::Ranges(ranges) => ranges.stored(),
            PageMap::Bitmap(bitmap) => bitmap.stored(),
        }
    }

    fn problems(&self, file: &dyn ReadAt) -> Vec<Problem> {
        let overlap = match self {
            PageMap::Ranges(ranges) => ranges.overlap(),
            PageMap::Bitmap(_) => None,
        };
        self.stored().contradiction(file).into_iter().chain(overlap).collect()
    }

    /// The file offset of a page frame, if the map has it.
    #[must_use]
    pub fn offset(&self, pfn: u64) -> Option<u64> {
        match self {
            PageMap::Ranges(ranges) => ranges.offset(pfn),
            PageMap::Bitmap(bitmap) => bitmap.offset(pfn),
        }
    }

    /// The number of pages in the map.
    #[must_use]
    pub fn page_count(&self) -> u64 {
        match self {
            PageMap::Ranges(ranges) => ranges.page_count(),
            PageMap::Bitmap(bitmap) => bitmap.page_count(),
        }
    }

    /// The first page frame at or above `from` that the map has.
    ///
    /// Walking a map with this takes one step for each page that the map has, and none for other frames.
    #[must_use]
    pub fn next_frame(&self, from: u64) -> Option<u64> {
        match self {
            PageMap::Ranges(ranges) => ranges.next_frame(from),
            PageMap::Bitmap(bitmap) => bitmap.next_frame(from),
        }
    }

    /// Like [`next_frame`](Self::next_frame), but skips pages that are not whole in a file of this length.
    fn next_stored(&self, from: u64, file_len: u64) -> Option<u64> {
        match self {
            PageMap::Ranges(ranges) => ranges.next_stored(from, file_len),
            // Pages are stored in the order of their frames: after a missing page, all others are missing.
            PageMap::Bitmap(bitmap) => bitmap.next_frame(from).filter(|&frame| {
                let end = bitmap.offset(frame).and_then(|offset| offset.checked_add(PAGE_SIZE));
                end.is_some_and(|end| end <= file_len)
            }),
        }
    }
}

/// The physical memory of a dump: a page map over the file's bytes.
#[derive(Clone)]
pub struct PhysicalPages {
    file: Arc<dyn ReadAt>,
    map: Arc<PageMap>,
}

impl PhysicalPages {
    /// The page map.
    #[must_use]
    pub fn map(&self) -> &PageMap {
        &self.map
    }
}

impl std::fmt::Debug for PhysicalPages {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PhysicalPages").field("pages", &self.map.page_count()).finish()
    }
}

impl Memory<Pa> for PhysicalPages {
    fn read_in_page(&self, at: Pa, buf: &mut [u8]) -> Result<Residence, Fault> {
        let pfn = at.pfn();
        let fault = |reason| Fault { space: Space::Physical, address: at.0, done: 0, reason };
        let Some(page) = self.map.offset(pfn.0) else {
            return Err(fault(Reason::Absent { pfn }));
        };
        let truncated = || fault(Reason::Truncated { pfn, offset: page });
        // A page that is only partly in the file is absent as a whole. Otherwise the result of a read would
        // depend on the offset of a structure in its page.
        let end = page.checked_add(PAGE_SIZE).ok_or_else(truncated)?;
        if end > self.file.len() {
            return Err(truncated());
        }
        match self.file.read_at(page + at.page_offset(), buf) {
            Ok(()) => Ok(Residence::Valid),
            Err(FileError::PastEnd) => Err(truncated()),
            Err(FileError::Io(text)) => Err(fault(Reason::Reader(text))),
        }
    }

    fn lend(&self, page: Pa) -> Option<&[u8; PAGE_SIZE as usize]> {
        let bytes = self.file.lend(self.map.offset(page.pfn().0)?, PAGE_SIZE as usize)?;
        bytes.try_into().ok()
    }

    fn held(&self) -> Option<u64> {
        Some(self.map.page_count().saturating_mul(PAGE_SIZE).min(self.file.len()))
    }

    fn next_held(&self, page: Pa) -> Option<Pa> {
        let frame = self.map.next_stored(page.0.div_ceil(PAGE_SIZE), self.file.len())?;
        frame.checked_mul(PAGE_SIZE).map(Pa)
    }
}

impl Pages for PhysicalPages {
    fn next_page(&self, from: Pa) -> Option<Pa> {
        self.next_held(from)
    }
}
