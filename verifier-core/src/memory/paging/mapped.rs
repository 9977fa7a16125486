//! Which pages are mapped, in order.

use super::{PageTables, Translation};
use crate::addr::{PAGE_SIZE, Va};
use crate::error::Reason;

/// The 4 KiB pages of a range that page tables map, those within large pages one by one.
///
/// What a table leaves out is passed over in one step, so the walk takes as long as there are pages
/// and tables, not addresses. Tables of hostile memory may refer to each other without end: the walk
/// ends after a number of steps.
#[derive(Debug, Clone)]
pub struct MappedPages<'a> {
    tables: &'a PageTables,
    next: u64,
    last: u64,
    steps: u64,
}

impl PageTables {
    /// The mapped pages from `first` on, up to the one that holds `last`, in at most `steps` look-ups.
    #[must_use]
    pub fn mapped_pages(&self, first: Va, last: Va, steps: u64) -> MappedPages<'_> {
        MappedPages { tables: self, next: first.page().0, last: last.0, steps }
    }
}

impl MappedPages<'_> {
    /// How many look-ups are left; 0 where the walk ended because of that.
    #[must_use]
    pub fn steps_left(&self) -> u64 {
        self.steps
    }

    /// Goes on behind the stretch of `span` bytes that holds the address.
    fn pass(&mut self, span: u64) {
        match (self.next & !(span - 1)).checked_add(span) {
            Some(next) => self.next = next,
            None => (self.next, self.last) = (1, 0),
        }
    }
}

impl Iterator for MappedPages<'_> {
    type Item = (Va, Translation);

    fn next(&mut self) -> Option<Self::Item> {
        while self.next <= self.last && self.steps > 0 {
            self.steps -= 1;
            let here = Va(self.next);
            match self.tables.translate(here) {
                Ok(found) => {
                    self.pass(PAGE_SIZE);
                    return Some((here, found));
                }
                Err(fault) => match fault.reason {
                    Reason::NotPresent { level, .. } => self.pass(self.tables.mode().span(level)),
                    // The whole table is out of reach.
                    Reason::Table { level, .. } if level < self.tables.mode().levels() => {
                        self.pass(self.tables.mode().span(level + 1));
                    }
                    _ => return None,
                },
            }
        }
        None
    }
}
