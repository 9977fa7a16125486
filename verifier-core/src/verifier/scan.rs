//! What a search looks at: physical memory, or virtual addresses.

use std::collections::HashMap;
use std::ops::{ControlFlow, Range};

use crate::addr::{PAGE_SIZE, Pa, Va};
use crate::error::{Problem, STOPPED};
use crate::kernel::{Kernel, Limit, limit};
use crate::memory::Pages;

/// What a search looks at.
#[derive(Clone)]
pub enum Scan<'a> {
    /// All of physical memory.
    Physical(&'a dyn Pages),
    /// A range of the kernel's virtual addresses.
    Virtual(Range<Va>),
    /// Every page that the kernel's page tables map, in the order of addresses. A page that is mapped more
    /// than once comes once, at its first address. Memory that does not translate has no such pages.
    Mapped,
}

/// A page that was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct CarvedPage {
    /// Its physical address, if physical memory was searched.
    pub pa: Option<Pa>,
    /// Its virtual address, if it is known. A page that is mapped more than once has the first.
    pub va: Option<Va>,
}

impl Scan<'_> {
    /// Calls `each` with every page until `each` ends it, for at most `Limits::carved_pages` pages. Returns
    /// the number of pages.
    pub(super) fn for_each_page(
        &self,
        kernel: &Kernel,
        what: &str,
        problems: &mut Vec<Problem>,
        mut each: impl FnMut(CarvedPage) -> ControlFlow<String>,
    ) -> u64 {
        let limit = limit!(kernel.limits(), carved_pages);
        let mut count = 0;
        let mut visit = |page: CarvedPage| {
            let flow = if kernel.is_stopped() {
                ControlFlow::Break(STOPPED.into())
            } else if count >= limit.most {
                let Limit { most, name } = limit;
                ControlFlow::Break(format!("limit of {most} pages reached ({name})"))
            } else {
                count += 1;
                each(page)
            };
            flow.map_break(|why| {
                let here = page.va.map(|va| va.0).or(page.pa.map(|pa| pa.0)).unwrap_or(0);
                format!("{why}; pages after {here:#x} were not searched")
            })
        };
        let flow = match self {
            Scan::Physical(pages) => {
                let after = |page: &Pa| page.0.checked_add(PAGE_SIZE).map(Pa);
                let next = |page: &Pa| pages.next_page(after(page)?);
                let mut all = std::iter::successors(pages.next_page(Pa(0)), next);
                all.try_for_each(|pa| visit(CarvedPage { pa: Some(pa), va: None }))
            }
            Scan::Virtual(range) => (range.start.page().0..range.end.0)
                .step_by(PAGE_SIZE as usize)
                .try_for_each(|va| visit(CarvedPage { pa: None, va: Some(Va(va)) })),
            Scan::Mapped => {
                let mut seen = Frames::default();
                mappings(kernel, |page| match page.pa {
                    Some(pa) if !seen.insert(pa) => ControlFlow::Continue(()),
                    _ => visit(page),
                })
            }
        };
        if let ControlFlow::Break(why) = flow {
            problems.push(Problem::new(what, why));
        }
        count
    }

    /// Calls `each` with every address at which the kernel's page tables map a page.
    pub(super) fn for_each_mapping(
        kernel: &Kernel,
        what: &str,
        problems: &mut Vec<Problem>,
        mut each: impl FnMut(Pa, Va),
    ) {
        let flow = mappings(kernel, |page| {
            if kernel.is_stopped() {
                return ControlFlow::Break(STOPPED.into());
            }
            if let CarvedPage { pa: Some(pa), va: Some(va) } = page {
                each(pa, va);
            }
            ControlFlow::Continue(())
        });
        if let ControlFlow::Break(why) = flow {
            problems.push(Problem::new(what, why));
        }
    }

    /// Fills `buf` from `offset` of a page on. False if it cannot be read.
    pub(super) fn read(
        &self,
        kernel: &Kernel,
        page: CarvedPage,
        offset: u64,
        buf: &mut [u8],
    ) -> bool {
        match (self, page) {
            (Scan::Physical(pages), CarvedPage { pa: Some(pa), .. }) => {
                pages.read(pa.add(offset), buf).is_ok()
            }
            (_, CarvedPage { va: Some(va), .. }) => {
                kernel.space().read(va.add(offset), buf).is_ok()
            }
            _ => false,
        }
    }
}

/// Calls `each` with every page that the kernel's page tables map, in the order of addresses, until `each`
/// ends it or the look-ups are used up.
fn mappings(
    kernel: &Kernel,
    mut each: impl FnMut(CarvedPage) -> ControlFlow<String>,
) -> ControlFlow<String> {
    let Limit { most, name } = limit!(kernel.limits(), search_pages);
    let Some(mut all) = kernel.space().mapped_pages(most) else {
        return ControlFlow::Continue(());
    };
    all.by_ref().try_for_each(|(va, page)| each(CarvedPage { pa: Some(page.pa), va: Some(va) }))?;
    match all.steps_left() {
        0 => ControlFlow::Break(format!(
            "limit of {most} look-ups reached ({name}); not all mapped pages were \
             searched"
        )),
        _ => ControlFlow::Continue(()),
    }
}

/// Page frames, 64 in a word: memory is mostly mapped in runs.
#[derive(Default)]
struct Frames(HashMap<u64, u64>);

impl Frames {
    /// Adds the frame of an address. False if it was added before.
    fn insert(&mut self, pa: Pa) -> bool {
        let frame = pa.pfn().0;
        let (word, bit) = (self.0.entry(frame / 64).or_default(), 1 << (frame % 64));
        let is_new = *word & bit == 0;
        *word |= bit;
        is_new
    }
}
