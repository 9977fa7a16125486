//! Where data are searched for: physical memory, or a range of virtual addresses.

use std::ops::{ControlFlow, Range};

use crate::addr::{PAGE_SIZE, Pa, Va};
use crate::error::Problem;
use crate::kernel::{Kernel, STOPPED};
use crate::memory::Pages;

/// Where pages are looked for.
#[derive(Clone)]
pub enum Place<'a> {
    /// In all of physical memory.
    Physical(&'a dyn Pages),
    /// In a range of the kernel's virtual addresses.
    Virtual(Range<Va>),
    /// In every page that the kernel's page tables map, in the order of addresses. A page that is mapped
    /// more than once comes as often. Where the kernel's memory does not translate there is none.
    Mapped,
}

/// A page that was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CarvedPage {
    /// Its physical address, where physical memory was looked at.
    pub pa: Option<Pa>,
    /// Its virtual address, where it is known. A page that is mapped more than once has the first.
    pub va: Option<Va>,
}

impl Place<'_> {
    /// Calls `each` with every page until it breaks off, at most `Limits::carved_pages` of them, and
    /// gives how many they were.
    pub(super) fn for_each_page(
        &self,
        kernel: &Kernel,
        what: &str,
        problems: &mut Vec<Problem>,
        mut each: impl FnMut(CarvedPage) -> ControlFlow<String>,
    ) -> u64 {
        let limit = kernel.limits().carved_pages;
        let mut count = 0;
        for page in self.pages(kernel) {
            let flow = if kernel.is_stopped() {
                ControlFlow::Break(STOPPED.into())
            } else if count >= limit {
                ControlFlow::Break(format!("limit of {limit} pages reached (Limits::carved_pages)"))
            } else {
                count += 1;
                each(page)
            };
            if let ControlFlow::Break(why) = flow {
                let here = page.va.map(|va| va.0).or(page.pa.map(|pa| pa.0)).unwrap_or(0);
                let why = format!("{why}; what lies behind {here:#x} was not looked at");
                problems.push(Problem { what: what.into(), address: None, why });
                break;
            }
        }
        count
    }

    fn pages<'a>(&'a self, kernel: &'a Kernel) -> Box<dyn Iterator<Item = CarvedPage> + 'a> {
        match self {
            Place::Physical(pages) => {
                let behind = |page: &Pa| page.0.checked_add(PAGE_SIZE).map(Pa);
                let next = move |page: &Pa| pages.next_page(behind(page)?);
                let all = std::iter::successors(pages.next_page(Pa(0)), next);
                Box::new(all.map(|pa| CarvedPage { pa: Some(pa), va: None }))
            }
            Place::Virtual(range) => {
                let all = (range.start.page().0..range.end.0).step_by(PAGE_SIZE as usize);
                Box::new(all.map(|va| CarvedPage { pa: None, va: Some(Va(va)) }))
            }
            Place::Mapped => {
                let steps = kernel.limits().search_pages;
                let all = kernel.space().mapped_pages(steps).into_iter().flatten();
                Box::new(all.map(|(va, page)| CarvedPage { pa: Some(page.pa), va: Some(va) }))
            }
        }
    }

    /// Fills `buf` from `offset` of a page on; false where it cannot be read.
    pub(super) fn read(
        &self,
        kernel: &Kernel,
        page: CarvedPage,
        offset: u64,
        buf: &mut [u8],
    ) -> bool {
        match (self, page) {
            (Place::Physical(pages), CarvedPage { pa: Some(pa), .. }) => {
                pages.read(pa.add(offset), buf).is_ok()
            }
            (_, CarvedPage { va: Some(va), .. }) => {
                kernel.space().read(va.add(offset), buf).is_ok()
            }
            _ => false,
        }
    }
}
