//! Pages in ranges of page frames: the run table of a complete dump (type 1) and the range list of
//! WinDbg's own dumps (types 8, 9, 0xA).
//!
//! The ranges are kept sorted by first frame, each with the file offset of its first page; a
//! look-up is a bisection. If a frame is stored twice, the copy that was written first is read.

use zerocopy::FromBytes;

use super::header::{DumpKind, Header};
use super::source::ReadAt;
use super::spans::{Span, first_written, next_stored};
use super::truncation::{Declared, Stored, ends_before};
use crate::addr::{PAGE_SIZE, Pfn};
use crate::error::{Error, Problem};
use crate::raw::{PfnRange, RdmpHeader};

/// The file offset of the header of a range dump.
const RDMP_OFFSET: u64 = 0x2000;
/// The file offset of its ranges.
const RDMP_RANGES: u64 = 0x2030;

/// Page frame ranges and the file offset of each.
#[derive(Debug, Clone)]
pub struct RangePages {
    ranges: Vec<Span>,
    pages: u64,
    stored: Stored,
    /// The first page frame that is stored twice.
    stored_twice: Option<u64>,
}

impl RangePages {
    pub(super) fn from_header(header: &Header) -> Result<Self, Error> {
        if header.runs.is_empty() || header.number_of_runs as usize != header.runs.len() {
            return Err(Error::Format {
                offset: if header.is_64bit { 0x88 } else { 0x64 },
                what: "physical memory block",
                why: format!(
                    "{:#x} runs, but the header has room for {}",
                    header.number_of_runs,
                    if header.is_64bit { 42 } else { 86 }
                ),
            });
        }
        let runs = header.runs.iter().map(|run| (run.base_page, run.page_count));
        let mut map = Self::build(runs, header.size());
        let at = if header.is_64bit { 0x90 } else { 0x68 };
        let count = header.physical_pages.filter(|&pages| pages != 0);
        map.stored.declared = count.map(|pages| Declared { pages, at });
        Ok(map)
    }

    pub(super) fn read_rdmp(file: &dyn ReadAt, header: &Header) -> Result<Self, Error> {
        let malformed =
            |offset: u64, why: String| Error::Format { offset, what: "range dump header", why };
        if !header.is_64bit {
            return Err(malformed(0xf88, "32-bit dumps of this kind are not supported".into()));
        }
        let mut bytes = [0u8; size_of::<RdmpHeader>()];
        file.read_at(RDMP_OFFSET, &mut bytes)
            .map_err(|_| ends_before(file, "range dump header"))?;
        let rdmp = RdmpHeader::ref_from_bytes(&bytes)
            .map_err(|_| malformed(RDMP_OFFSET, "short".into()))?;
        if rdmp.marker.get() != 0x40 || &rdmp.signature != b"RDMP" || &rdmp.valid_dump != b"DUMP" {
            return Err(malformed(
                RDMP_OFFSET,
                "the marker 0x40, \"RDMP\", \"DUMP\" is not there".into(),
            ));
        }
        let first_page = rdmp.first_page_offset.get();
        let metadata = rdmp.metadata_size.get();
        if first_page < RDMP_RANGES || metadata.checked_add(0x2020) != Some(first_page) {
            return Err(malformed(
                RDMP_OFFSET + 0x10,
                format!(
                    "metadata of {metadata:#x} bytes and a first page at {first_page:#x} do not \
                     fit together"
                ),
            ));
        }
        // The list may be longer than the rest of a truncated file; the ranges that are there are used.
        let end = first_page.min(file.len());
        let len = usize::try_from(end.saturating_sub(RDMP_RANGES)).unwrap_or(0);
        let mut list = vec![0u8; len - len % size_of::<PfnRange>()];
        file.read_at(RDMP_RANGES, &mut list)
            .map_err(|_| malformed(RDMP_RANGES, "the ranges cannot be read".into()))?;
        let total = match header.kind {
            // The list of a type 0xA dump is bounded by its page count, not by its size.
            DumpKind::RangesFull => Some(rdmp.total_number_of_pages.get()),
            _ => None,
        };
        let mut is_whole = end == first_page;
        let mut seen = 0u64;
        let mut ranges = Vec::new();
        let (raw, _) = <[PfnRange]>::ref_from_prefix(&list)
            .map_err(|_| malformed(RDMP_RANGES, "the ranges cannot be read".into()))?;
        for range in raw {
            let (first, count) = (range.first.get(), range.count.get());
            // A zero entry ends the list; `build` drops ranges that are merely empty.
            if (first, count) == (0, 0) || total.is_some_and(|total| seen >= total) {
                is_whole = true;
                break;
            }
            ranges.push((first, count));
            seen = seen.saturating_add(count);
        }
        let mut map = Self::build(ranges, first_page);
        map.stored.pages = map.stored.pages.filter(|_| is_whole);
        map.stored.declared = total.map(|pages| Declared { pages, at: RDMP_OFFSET + 0x28 });
        Ok(map)
    }

    /// Gives the ranges consecutive file offsets from `offset` on, then sorts them by frame.
    fn build(ranges: impl IntoIterator<Item = (u64, u64)>, mut offset: u64) -> Self {
        let first_page = offset;
        let mut list: Vec<Span> = Vec::new();
        for (first, count) in ranges {
            // A range cannot reach past the largest 64-bit frame number.
            list.push(Span { first, count: count.min(u64::MAX - first), offset });
            // A count that overflows the file offset ends the list: later ranges have no offset.
            match count.checked_mul(PAGE_SIZE).and_then(|bytes| offset.checked_add(bytes)) {
                Some(next) => offset = next,
                None => break,
            }
        }
        list.retain(|range| range.count > 0);
        let stored = list.iter().fold(0u64, |sum, range| sum.saturating_add(range.count));
        let stored_twice = first_overlap(&list);
        let list = first_written(list, PAGE_SIZE);
        let pages = list.iter().fold(0u64, |sum, range| sum.saturating_add(range.count));
        let stored = Stored { first_page, pages: Some(stored), declared: None };
        Self { ranges: list, pages, stored, stored_twice }
    }

    pub(super) fn stored(&self) -> Stored {
        self.stored
    }

    /// A problem if a page frame is stored twice.
    pub(super) fn overlap(&self) -> Option<Problem> {
        let frame = Pfn(self.stored_twice?);
        let why = format!("page frame {frame} is stored twice: its runs of pages overlap");
        Some(Problem::new("page map", why))
    }

    pub(super) fn offset(&self, pfn: u64) -> Option<u64> {
        let index = self.ranges.partition_point(|range| range.first <= pfn).checked_sub(1)?;
        let range = self.ranges.get(index)?;
        let within = pfn - range.first;
        if within >= range.count {
            return None;
        }
        range.offset.checked_add(within.checked_mul(PAGE_SIZE)?)
    }

    pub(super) fn page_count(&self) -> u64 {
        self.pages
    }

    pub(super) fn next_stored(&self, from: u64, file_len: u64) -> Option<u64> {
        next_stored(&self.ranges, from, PAGE_SIZE, file_len)
    }

    pub(super) fn next_frame(&self, from: u64) -> Option<u64> {
        let index =
            self.ranges.partition_point(|range| range.first.saturating_add(range.count) <= from);
        self.ranges.get(index).map(|range| range.first.max(from))
    }
}

/// The first unit that is in two spans.
fn first_overlap(list: &[Span]) -> Option<u64> {
    let mut sorted: Vec<(u64, u64)> = list.iter().map(|span| (span.first, span.count)).collect();
    sorted.sort_unstable();
    let mut end = 0;
    sorted.into_iter().find_map(|(first, count)| {
        let overlaps = first < end;
        end = end.max(first + count);
        overlaps.then_some(first)
    })
}
