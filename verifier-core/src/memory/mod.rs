//! Memory that is read by address. Everything else in the library reads through this trait.
//!
//! [`Memory`] has one required method, which fills a buffer inside one 4 KiB page. The loop that crosses
//! pages exists once, in [`Memory::read`], so a source never sees a request that crosses a page. A source
//! that has its pages in memory can also lend them ([`Memory::lend`]); a walk over a large array then needs
//! no copy. `Memory<Pa>` is physical memory (a dump, another tool's reader). `Memory<Va>` is the kernel's
//! virtual memory ([`PageTables`] over physical memory, or a source that already translates).
//!
//! Reading takes `&self` and sources are `Send + Sync`, so many threads can share one session.

mod on_thread;
mod paging;
mod sparse;
mod window;

pub use on_thread::OnThread;
pub use paging::{MappedPages, PageTables, PagingMode, Translation};
pub use sparse::{FromFn, SparsePages};
pub(crate) use window::Window;

use std::sync::Arc;

use crate::addr::{Address, PAGE_SIZE, Pa};
use crate::error::Fault;

/// Whether bytes came from a page that is valid in the page tables.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Residence {
    /// Valid, or read physically.
    Valid,
    /// The page is in transition: it was trimmed from the working set and is still in memory.
    Transition,
}

/// Bytes by address.
pub trait Memory<A: Address>: Send + Sync {
    /// Fills `buf` with the bytes that start at `at`; `buf` never crosses a 4 KiB page.
    ///
    /// A source that holds only part of a page (blocks, literals, parts of a file) fills the bytes before the
    /// fault and reports their number in [`Fault::done`]; the rest of `buf` is undefined. A source that holds
    /// a page whole or not at all leaves `done` at 0.
    ///
    /// # Errors
    /// A [`Fault`] with the first byte that cannot be read, and the reason.
    fn read_in_page(&self, at: A, buf: &mut [u8]) -> Result<Residence, Fault>;

    /// Fills `buf` with the bytes that start at `at`, across pages. The bytes read before a fault stay in
    /// `buf`, and [`Fault::done`] is their number. Do not override this method.
    ///
    /// # Errors
    /// The [`Fault`] of the first page that cannot be read.
    fn read(&self, at: A, buf: &mut [u8]) -> Result<Residence, Fault> {
        let mut residence = Residence::Valid;
        let mut done = 0usize;
        let mut rest = buf;
        while !rest.is_empty() {
            let here = A::from_raw(at.raw().wrapping_add(done as u64));
            let left = (PAGE_SIZE - here.raw() % PAGE_SIZE) as usize;
            let (part, after) = rest.split_at_mut(left.min(rest.len()));
            let here_residence = self
                .read_in_page(here, part)
                // A caller's own source can return any value.
                .map_err(|fault| Fault { done: done + fault.done.min(part.len()), ..fault })?;
            residence = residence.max(here_residence);
            done += part.len();
            rest = after;
        }
        Ok(residence)
    }

    /// The whole page at `page` (a multiple of 4 KiB) without a copy, if the source has it in memory as one
    /// piece. `None` does not mean that the page cannot be read.
    fn lend(&self, _page: A) -> Option<&[u8; PAGE_SIZE as usize]> {
        None
    }

    /// The most bytes that the source can hold, or `None` if the source does not know.
    ///
    /// Page tables can show one page at a million addresses. A walk over an array checks what it has read
    /// against this number, so its memory use grows with the source and not with a count in the source.
    fn held(&self) -> Option<u64> {
        None
    }

    /// The first page at or above `page` (a multiple of 4 KiB) that the source may hold, or `None` if there
    /// are no more. A source that does not know returns `page`.
    fn next_held(&self, page: A) -> Option<A> {
        Some(page)
    }

    /// The byte at `at`.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    fn read_u8(&self, at: A) -> Result<u8, Fault> {
        let mut raw = [0; 1];
        self.read(at, &mut raw).map(|_| u8::from_le_bytes(raw))
    }

    /// The little-endian `u16` at `at`.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    fn read_u16(&self, at: A) -> Result<u16, Fault> {
        let mut raw = [0; 2];
        self.read(at, &mut raw).map(|_| u16::from_le_bytes(raw))
    }

    /// The little-endian `u32` at `at`.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    fn read_u32(&self, at: A) -> Result<u32, Fault> {
        let mut raw = [0; 4];
        self.read(at, &mut raw).map(|_| u32::from_le_bytes(raw))
    }

    /// The little-endian `u64` at `at`.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    fn read_u64(&self, at: A) -> Result<u64, Fault> {
        let mut raw = [0; 8];
        self.read(at, &mut raw).map(|_| u64::from_le_bytes(raw))
    }
}

/// Physical memory that can say which of its pages it holds.
pub trait Pages: Memory<Pa> {
    /// The address of the first page at or above `from` that is held, or `None` if there are no more.
    fn next_page(&self, from: Pa) -> Option<Pa>;
}

impl<A: Address, M: Memory<A> + ?Sized> Memory<A> for Arc<M> {
    fn read_in_page(&self, at: A, buf: &mut [u8]) -> Result<Residence, Fault> {
        (**self).read_in_page(at, buf)
    }

    fn lend(&self, page: A) -> Option<&[u8; PAGE_SIZE as usize]> {
        (**self).lend(page)
    }

    fn held(&self) -> Option<u64> {
        (**self).held()
    }

    fn next_held(&self, page: A) -> Option<A> {
        (**self).next_held(page)
    }
}

impl<A: Address, M: Memory<A> + ?Sized> Memory<A> for &M {
    fn read_in_page(&self, at: A, buf: &mut [u8]) -> Result<Residence, Fault> {
        (**self).read_in_page(at, buf)
    }

    fn lend(&self, page: A) -> Option<&[u8; PAGE_SIZE as usize]> {
        (**self).lend(page)
    }

    fn held(&self) -> Option<u64> {
        (**self).held()
    }

    fn next_held(&self, page: A) -> Option<A> {
        (**self).next_held(page)
    }
}
