//! Ranges of an address space and the file offset of each. Ranges may overlap.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::marker::PhantomData;
use std::sync::Arc;

use super::source::{FileError, ReadAt};
use super::truncation::Truncation;
use crate::addr::{Address, PAGE_SIZE, Pa, Space};
use crate::error::{Fault, Reason};
use crate::memory::{Memory, Pages, Residence};

/// `count` units from `first` on, whose bytes begin at `offset` in the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) first: u64,
    pub(super) count: u64,
    pub(super) offset: u64,
}

/// The spans sorted by their first unit. A unit that is in several spans is cut out of all but the one that
/// was written first. A unit takes `unit` bytes of the file. A span must not reach past 2^64.
///
/// This is one sweep over the ends of the spans with a heap of the open spans, so the cost depends on the
/// number of spans, not on how they overlap.
pub(super) fn first_written(list: Vec<Span>, unit: u64) -> Vec<Span> {
    let is_sorted = |pair: &[Span]| match pair {
        [a, b] => a.first + a.count <= b.first,
        _ => true,
    };
    if list.windows(2).all(is_sorted) {
        return list;
    }
    let mut by_first: Vec<usize> = (0..list.len()).collect();
    by_first.sort_by_key(|&i| list.get(i).map(|span| span.first));
    let mut starts = by_first.into_iter().peekable();
    // Open spans, the one written first on top.
    let mut open: BinaryHeap<Reverse<usize>> = BinaryHeap::new();
    let mut cut = Vec::with_capacity(list.len());
    let mut here = 0u64;
    loop {
        while let Some(&Reverse(top)) = open.peek()
            && list.get(top).is_none_or(|span| span.first + span.count <= here)
        {
            open.pop();
        }
        let next_start = starts.peek().and_then(|&i| list.get(i)).map(|span| span.first);
        match (open.peek().and_then(|&Reverse(top)| list.get(top)), next_start) {
            (Some(span), next) => {
                let end = (span.first + span.count).min(next.unwrap_or(u64::MAX).max(here));
                if end > here {
                    let within = here - span.first;
                    cut.push(Span {
                        first: here,
                        count: end - here,
                        offset: span.offset.saturating_add(within.saturating_mul(unit)),
                    });
                    here = end;
                }
            }
            (None, Some(next)) => here = here.max(next),
            (None, None) => break,
        }
        while let Some(&start) = starts.peek()
            && list.get(start).is_some_and(|span| span.first <= here)
        {
            open.push(Reverse(start));
            starts.next();
        }
    }
    cut
}

/// The first unit at or above `from` that is in a span and whole in the file.
///
/// A header may declare a terabyte that is not in the file: a walk over pages skips it in one step.
pub(super) fn next_stored(spans: &[Span], from: u64, unit: u64, file_len: u64) -> Option<u64> {
    let before = spans.partition_point(|span| span.first.saturating_add(span.count) <= from);
    spans.get(before..)?.iter().find_map(|span| {
        let stored = span.count.min(file_len.saturating_sub(span.offset) / unit);
        (span.first.saturating_add(stored) > from.max(span.first)).then(|| span.first.max(from))
    })
}

/// Memory that is in a file in ranges of any length at any offset: the segments of an ELF core, the blocks
/// of a small dump, a raw image.
///
/// If bytes are stored twice, the copy that was written first is read. Bytes past the end of the file are
/// absent ([`Reason::Truncated`], [`Reason::FileEnds`]).
#[derive(Clone)]
pub struct FileSpans<A> {
    file: Arc<dyn ReadAt>,
    spans: Vec<Span>,
    address: PhantomData<A>,
}

impl<A: Address> FileSpans<A> {
    /// Takes ranges in the order in which they were written; parts past 2^64 are left out.
    pub(super) fn new(file: Arc<dyn ReadAt>, mut spans: Vec<Span>) -> Self {
        for span in &mut spans {
            span.count = span.count.min(u64::MAX - span.first);
        }
        spans.retain(|span| span.count > 0);
        Self { file, spans: first_written(spans, 1), address: PhantomData }
    }

    /// The ranges, each with its first address and its length in bytes, in ascending order.
    pub fn stretches(&self) -> impl Iterator<Item = (A, u64)> + '_ {
        self.spans.iter().map(|span| (A::from_raw(span.first), span.count))
    }

    /// Bytes in all ranges.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.spans.iter().fold(0, |sum, span| sum.saturating_add(span.count))
    }

    /// The file.
    pub(super) fn file(&self) -> &dyn ReadAt {
        &*self.file
    }

    /// What is missing of the ranges at the end of the file.
    pub(super) fn truncation(&self) -> Option<Truncation> {
        let len = self.file.len();
        let ends = self.spans.iter().map(|span| span.offset.saturating_add(span.count));
        let found = Truncation::new(len, ends.max()?)?;
        let stored = |span: &Span| span.count.min(len.saturating_sub(span.offset));
        let pages = |bytes: u64| bytes.div_ceil(PAGE_SIZE);
        let missing = self.spans.iter().map(|span| pages(span.count - stored(span)));
        Some(Truncation {
            missing_pages: missing.fold(0, u64::saturating_add),
            pages: pages(self.bytes()),
            ..found
        })
    }

    /// The file offset of the byte at `at`, and the number of bytes from there to the end of its range.
    fn place(&self, at: u64) -> Option<(u64, u64)> {
        let after = self.spans.partition_point(|span| span.first <= at);
        let span = self.spans.get(after.checked_sub(1)?)?;
        let within = at - span.first;
        let left = span.count.checked_sub(within).filter(|&left| left > 0)?;
        Some((span.offset.checked_add(within)?, left))
    }
}

impl FileSpans<Pa> {
    /// A file of physical memory from address 0 on, without a header.
    pub fn raw(file: Arc<dyn ReadAt>) -> Self {
        let span = Span { first: 0, count: file.len(), offset: 0 };
        Self::new(file, vec![span])
    }
}

impl Pages for FileSpans<Pa> {
    fn next_page(&self, from: Pa) -> Option<Pa> {
        self.next_held(from)
    }
}

impl<A: Address> Memory<A> for FileSpans<A> {
    fn read_in_page(&self, at: A, buf: &mut [u8]) -> Result<Residence, Fault> {
        let mut rest = buf;
        let mut done = 0usize;
        while !rest.is_empty() {
            let here = A::from_raw(at.raw().wrapping_add(done as u64));
            let fault = |reason| Fault { space: A::SPACE, address: here.raw(), done, reason };
            let pfn = Pa(here.raw()).pfn();
            let (offset, left) = self.place(here.raw()).ok_or_else(|| {
                fault(match A::SPACE {
                    Space::Physical => Reason::Absent { pfn },
                    Space::Virtual => Reason::NotHeld,
                })
            })?;
            let take = usize::try_from(left).unwrap_or(usize::MAX).min(rest.len());
            let (part, after) = rest.split_at_mut(take);
            self.file.read_at(offset, part).map_err(|error| {
                fault(match (error, A::SPACE) {
                    (FileError::PastEnd, Space::Physical) => Reason::Truncated { pfn, offset },
                    (FileError::PastEnd, Space::Virtual) => Reason::FileEnds { offset },
                    (FileError::Io(text), _) => Reason::Reader(text),
                })
            })?;
            done += take;
            rest = after;
        }
        Ok(Residence::Valid)
    }

    fn lend(&self, page: A) -> Option<&[u8; PAGE_SIZE as usize]> {
        let (offset, left) = self.place(page.raw())?;
        if left < PAGE_SIZE {
            return None;
        }
        self.file.lend(offset, PAGE_SIZE as usize)?.try_into().ok()
    }

    fn held(&self) -> Option<u64> {
        // Several ranges may refer to the same bytes of the file.
        Some(self.bytes().min(self.file.len()))
    }

    fn next_held(&self, page: A) -> Option<A> {
        let first = page.raw().checked_next_multiple_of(PAGE_SIZE)?;
        let at = next_stored(&self.spans, first, 1, self.file.len())?;
        Some(A::from_raw(at - at % PAGE_SIZE))
    }
}

impl<A: Address> std::fmt::Debug for FileSpans<A> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "FileSpans({} stretches of {} memory)", self.spans.len(), A::SPACE)
    }
}
