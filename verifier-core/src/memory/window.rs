//! A walk over an array of records, page by page. Each page is looked up once. Records inside one page are
//! lent from it, and the few that cross a page edge are copied together.
//!
//! If the source lends its pages ([`Memory::lend`]), they come without a copy; otherwise they are read whole.
//! Some sources hold only parts of pages (blocks of a small dump, literals). If such a page cannot be read
//! whole, each record is read alone.

use super::Memory;
use crate::addr::{Address, PAGE_SIZE};
use crate::error::{Fault, Reason};

const PAGE: usize = PAGE_SIZE as usize;

/// The last two pages of a walk: neighboring pages never share a slot.
pub(crate) struct Window<'m, A> {
    memory: &'m dyn Memory<A>,
    even: Slot<'m>,
    odd: Slot<'m>,
    /// False after a page was readable but not lent. Such a source is not asked again, because page tables
    /// would be walked twice for each page.
    lends: bool,
    /// A record that crosses pages, or one from a page that is held in part.
    joint: Vec<u8>,
}

#[derive(Default)]
struct Slot<'m> {
    /// The number of the page that was looked up last.
    page: Option<u64>,
    lent: Option<&'m [u8; PAGE]>,
    copy: Option<Box<[u8; PAGE]>>,
    /// Why the page could not be lent or read.
    fault: Option<Fault>,
}

impl<'m> Slot<'m> {
    /// Loads the page with that number; returns whether the source may lend other pages.
    fn load<A: Address>(&mut self, memory: &'m dyn Memory<A>, number: u64, lends: bool) -> bool {
        self.page = Some(number);
        self.fault = None;
        let page = A::from_raw(number * PAGE_SIZE);
        self.lent = if lends { memory.lend(page) } else { None };
        if let Some(bytes) = self.lent {
            // Touches each cache line from the start of the page: the processor prefetches in this direction,
            // and records are mostly walked in the other.
            let lines = bytes.iter().step_by(64);
            std::hint::black_box(lines.fold(0u8, |all, byte| all ^ byte));
        }
        if self.lent.is_none() {
            let copy = self.copy.get_or_insert_with(|| Box::new([0; PAGE]));
            self.fault = memory.read(page, copy.as_mut_slice()).err();
        }
        lends && (self.lent.is_some() || self.fault.is_some())
    }

    fn bytes(&self) -> Option<&[u8; PAGE]> {
        match (self.lent, &self.fault) {
            (Some(bytes), _) => Some(bytes),
            (None, Some(_)) => None,
            (None, None) => self.copy.as_deref(),
        }
    }
}

impl<'m, A: Address> Window<'m, A> {
    pub(crate) fn new(memory: &'m dyn Memory<A>) -> Self {
        Self { memory, even: Slot::default(), odd: Slot::default(), lends: true, joint: Vec::new() }
    }

    /// The `len` bytes at `at`.
    ///
    /// # Errors
    /// The fault of the first byte that cannot be read.
    pub(crate) fn read(&mut self, at: A, len: usize) -> Result<&[u8], Fault> {
        let offset = (at.raw() % PAGE_SIZE) as usize;
        // Looked up twice, because a borrow that is returned on only one path does not end on the other.
        if offset + len > PAGE || self.slot(at.raw()).bytes().is_none() {
            return self.join(at, len);
        }
        let bytes = self.slot(at.raw()).bytes();
        Ok(bytes.and_then(|bytes| bytes.get(offset..offset + len)).unwrap_or_default())
    }

    /// The slot for the page that contains the address, with that page loaded.
    fn slot(&mut self, address: u64) -> &Slot<'m> {
        let number = address / PAGE_SIZE;
        let slot = if number & 1 == 0 { &mut self.even } else { &mut self.odd };
        if slot.page != Some(number) {
            self.lends = slot.load(self.memory, number, self.lends);
        }
        slot
    }

    /// Copies a record together from its pages, or from the part of its page that is held.
    fn join(&mut self, at: A, len: usize) -> Result<&[u8], Fault> {
        let mut joint = std::mem::take(&mut self.joint);
        joint.resize(len, 0);
        let whole = self.fill(at.raw(), &mut joint);
        self.joint = joint;
        whole.map(|()| self.joint.as_slice())
    }

    fn fill(&mut self, at: u64, buf: &mut [u8]) -> Result<(), Fault> {
        let mut rest = buf;
        let mut done = 0usize;
        while !rest.is_empty() {
            let here = at.wrapping_add(done as u64);
            let offset = (here % PAGE_SIZE) as usize;
            let (part, after) = rest.split_at_mut((PAGE - offset).min(rest.len()));
            let slot = self.slot(here);
            match (
                slot.bytes().and_then(|bytes| bytes.get(offset..offset + part.len())),
                &slot.fault,
            ) {
                (Some(bytes), _) => part.copy_from_slice(bytes),
                (None, Some(fault)) if !may_hold_parts(&fault.reason) => {
                    return Err(Fault { address: here, done, ..fault.clone() });
                }
                (None, _) => {
                    self.memory.read(A::from_raw(here), part).map_err(|fault| Fault {
                        done: done + fault.done.min(part.len()),
                        ..fault
                    })?;
                }
            }
            done += part.len();
            rest = after;
        }
        Ok(())
    }
}

/// True if the source may hold some bytes of a page that cannot be read whole.
fn may_hold_parts(reason: &Reason) -> bool {
    matches!(reason, Reason::NotHeld | Reason::FileEnds { .. } | Reason::Truncated { .. })
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;
    use crate::addr::Va;
    use crate::memory::{Residence, SparsePages};

    /// Pages 1 to 3, each byte the low byte of its address. Lends the pages that a test names.
    struct Pages {
        bytes: Vec<[u8; PAGE]>,
        lends: [bool; 3],
    }

    impl Pages {
        fn new(lends: [bool; 3]) -> Self {
            let page = std::array::from_fn(|i| (i % 251) as u8);
            Self { bytes: vec![page; 3], lends }
        }

        fn index(at: Va) -> Option<usize> {
            (at.0 / PAGE_SIZE).checked_sub(1).map(|index| index as usize).filter(|&index| index < 3)
        }
    }

    impl Memory<Va> for Pages {
        fn read_in_page(&self, at: Va, buf: &mut [u8]) -> Result<Residence, Fault> {
            let fault =
                Fault { space: Va::SPACE, address: at.0, done: 0, reason: Reason::OutOfRange };
            let page = &self.bytes[Self::index(at).ok_or(fault)?];
            let offset = at.page_offset() as usize;
            buf.copy_from_slice(&page[offset..offset + buf.len()]);
            Ok(Residence::Valid)
        }

        fn lend(&self, page: Va) -> Option<&[u8; PAGE]> {
            let index = Self::index(page)?;
            self.lends[index].then(|| &self.bytes[index])
        }
    }

    /// A window reads the same bytes as the memory, whether pages are lent or read, and in any order.
    #[test]
    fn reads_what_the_memory_reads() {
        for lends in [[true; 3], [false; 3], [true, false, true], [false, true, true]] {
            let memory = Pages::new(lends);
            let mut window = Window::new(&memory);
            for len in [1usize, 8, 424, 0x1000, 0x1800] {
                for step in (0..0x5000u64).step_by(97) {
                    for at in [Va(step), Va(0x5000 - step)] {
                        let mut expected = vec![0; len];
                        let direct = memory.read(at, &mut expected);
                        match (window.read(at, len), direct) {
                            (Ok(bytes), Ok(_)) => assert_eq!(bytes, expected, "{at} {len}"),
                            (Err(fault), Err(other)) => assert_eq!(fault, other, "{at} {len}"),
                            (got, direct) => {
                                panic!("{at} {len}: {got:?}, {direct:?}")
                            }
                        }
                    }
                }
            }
        }
    }

    /// A source that does not lend is asked once to lend, and each page is read once.
    #[test]
    fn a_page_that_is_not_lent_is_read_once() {
        struct Counting([AtomicU32; 2]);
        impl Memory<Va> for Counting {
            fn read_in_page(&self, _: Va, _: &mut [u8]) -> Result<Residence, Fault> {
                self.0[0].fetch_add(1, Ordering::Relaxed);
                Ok(Residence::Valid)
            }
            fn lend(&self, _: Va) -> Option<&[u8; PAGE]> {
                self.0[1].fetch_add(1, Ordering::Relaxed);
                None
            }
        }
        let memory = Counting(Default::default());
        let mut window = Window::new(&memory);
        for at in (0..0x8000u64 - 0x80).rev().step_by(0x80) {
            window.read(Va(at), 0x80).unwrap();
        }
        let counts = memory.0.each_ref().map(|count| count.load(Ordering::Relaxed));
        assert_eq!(counts, [8, 1]);
    }

    #[test]
    fn records_of_a_partly_held_page_are_read() {
        let memory = SparsePages::new().with(Va(0x1f80), &[7; 0x100]);
        let mut window = Window::new(&memory);
        assert_eq!(window.read(Va(0x1f80), 0x80).unwrap(), [7; 0x80]);
        assert_eq!(window.read(Va(0x1fc0), 0x80).unwrap(), [7; 0x80]);
        let fault = window.read(Va(0x2040), 0x80).unwrap_err();
        assert_eq!((fault.address, fault.done), (0x2080, 0x40));
    }
}
