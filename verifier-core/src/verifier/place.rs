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
}

/// A page that was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CarvedPage {
    /// Its physical address, where physical memory was looked at.
    pub pa: Option<Pa>,
    /// Its virtual address, where it is known.
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
        let mut next = match self {
            Place::Physical(pages) => pages.next_page(Pa(0)).map(|page| page.0),
            Place::Virtual(range) => Some(range.start.page().0),
        };
        while let Some(here) = next {
            let page = match self {
                Place::Physical(_) => CarvedPage { pa: Some(Pa(here)), va: None },
                Place::Virtual(range) if here >= range.end.0 => break,
                Place::Virtual(_) => CarvedPage { pa: None, va: Some(Va(here)) },
            };
            let flow = if kernel.is_stopped() {
                ControlFlow::Break(STOPPED.into())
            } else if count >= limit {
                ControlFlow::Break(format!("limit of {limit} pages reached (Limits::carved_pages)"))
            } else {
                count += 1;
                each(page)
            };
            if let ControlFlow::Break(why) = flow {
                let why = format!("{why}; what lies behind {here:#x} was not looked at");
                problems.push(Problem { what: what.into(), address: None, why });
                break;
            }
            next = here.checked_add(PAGE_SIZE).and_then(|behind| match self {
                Place::Physical(pages) => pages.next_page(Pa(behind)).map(|page| page.0),
                Place::Virtual(_) => Some(behind),
            });
        }
        count
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
