//! Memory made of literals and of closures, for tests, examples and embedding programs.

use std::collections::BTreeMap;
use std::marker::PhantomData;

use super::{Memory, Pages, Residence};
use crate::addr::{Address, PAGE_SIZE, Pa};
use crate::error::{Fault, Reason};

/// Blocks of bytes at addresses. All other addresses are absent.
///
/// ```
/// use verifier_core::{Va, memory::{Memory, SparsePages}};
///
/// let memory = SparsePages::new().with(Va(0xffff_8000_0000_0ffe), &[1, 2, 3, 4]);
/// assert_eq!(memory.read_u32(Va(0xffff_8000_0000_0ffe)).unwrap(), 0x0403_0201); // two pages
/// assert!(memory.read_u8(Va(0)).is_err());
/// ```
#[derive(Debug, Clone, Default)]
pub struct SparsePages<A> {
    pages: BTreeMap<u64, Page>,
    address: PhantomData<A>,
}

#[derive(Debug, Clone)]
struct Page {
    bytes: Box<[u8; PAGE_SIZE as usize]>,
    /// One flag for each byte: true if it was written.
    held: Box<[bool; PAGE_SIZE as usize]>,
}

impl<A: Address> SparsePages<A> {
    /// Memory without any bytes.
    #[must_use]
    pub fn new() -> Self {
        Self { pages: BTreeMap::new(), address: PhantomData }
    }

    /// Returns the memory with `bytes` at `at`, replacing earlier bytes there.
    #[must_use]
    pub fn with(mut self, at: A, bytes: &[u8]) -> Self {
        self.write(at, bytes);
        self
    }

    /// Puts `bytes` at `at`, replacing earlier bytes there.
    pub fn write(&mut self, at: A, bytes: &[u8]) {
        for (i, &byte) in bytes.iter().enumerate() {
            let address = at.raw().wrapping_add(i as u64);
            let page = self.pages.entry(address / PAGE_SIZE).or_insert_with(|| Page {
                bytes: Box::new([0; PAGE_SIZE as usize]),
                held: Box::new([false; PAGE_SIZE as usize]),
            });
            let offset = (address % PAGE_SIZE) as usize;
            if let (Some(to), Some(held)) = (page.bytes.get_mut(offset), page.held.get_mut(offset))
            {
                *to = byte;
                *held = true;
            }
        }
    }
}

impl<A: Address> Memory<A> for SparsePages<A> {
    fn read_in_page(&self, at: A, buf: &mut [u8]) -> Result<Residence, Fault> {
        let fault = |done: usize| Fault {
            space: A::SPACE,
            address: at.raw().wrapping_add(done as u64),
            done,
            reason: Reason::NotHeld,
        };
        let page = self.pages.get(&(at.raw() / PAGE_SIZE)).ok_or_else(|| fault(0))?;
        let start = (at.raw() % PAGE_SIZE) as usize;
        let range = start..start + buf.len();
        let held = page.held.get(range.clone()).ok_or_else(|| fault(0))?;
        let whole = held.iter().position(|held| !held).unwrap_or(held.len());
        for (to, from) in buf.iter_mut().zip(page.bytes.get(range).unwrap_or_default()).take(whole)
        {
            *to = *from;
        }
        if whole < held.len() {
            return Err(fault(whole));
        }
        Ok(Residence::Valid)
    }

    fn held(&self) -> Option<u64> {
        Some(self.pages.len() as u64 * PAGE_SIZE)
    }

    fn next_held(&self, page: A) -> Option<A> {
        let first = page.raw().div_ceil(PAGE_SIZE);
        self.pages.range(first..).next().map(|(page, _)| A::from_raw(page * PAGE_SIZE))
    }
}

impl Pages for SparsePages<Pa> {
    fn next_page(&self, from: Pa) -> Option<Pa> {
        self.next_held(from)
    }
}

/// Memory that a closure reads: the shortest way to use another tool's reader.
///
/// The closure gets an address and a buffer that never crosses a 4 KiB page. Its error text is shown to the
/// user ([`Reason::Reader`]).
///
/// ```
/// use verifier_core::{Pa, memory::{FromFn, Memory}};
///
/// let memory = FromFn::new(|at: Pa, buf: &mut [u8]| {
///     if at.0 >= 0x1000 { return Err("past the end".to_string()); }
///     buf.fill(at.0 as u8);
///     Ok(())
/// });
/// assert_eq!(memory.read_u16(Pa(7)).unwrap(), 0x0707);
/// assert!(memory.read_u16(Pa(0xfff)).unwrap_err().to_string().ends_with("past the end (after 0x1 bytes)"));
/// ```
pub struct FromFn<A, F> {
    read: F,
    address: PhantomData<fn(A)>,
}

impl<A, F, E> FromFn<A, F>
where
    A: Address,
    F: Fn(A, &mut [u8]) -> Result<(), E> + Send + Sync,
    E: ToString,
{
    /// Memory that is read by calling `read`.
    pub fn new(read: F) -> Self {
        Self { read, address: PhantomData }
    }
}

impl<A, F, E> Memory<A> for FromFn<A, F>
where
    A: Address,
    F: Fn(A, &mut [u8]) -> Result<(), E> + Send + Sync,
    E: ToString,
{
    fn read_in_page(&self, at: A, buf: &mut [u8]) -> Result<Residence, Fault> {
        (self.read)(at, buf).map(|()| Residence::Valid).map_err(|error| Fault {
            space: A::SPACE,
            address: at.raw(),
            done: 0,
            reason: Reason::Reader(error.to_string().into()),
        })
    }
}
