//! Iterates over the mapped pages, in order of address.

use std::collections::HashSet;

use super::{Entry, PageTables, Translation};
use crate::addr::{PAGE_SIZE, Pa, Va};
use crate::bytes::le;
use crate::memory::Residence;

/// The 4 KiB pages of a range that page tables map. The pages inside large pages come one by one.
///
/// Each table is read once, so the time of the walk depends on the number of tables and pages, not of
/// addresses. If several entries of one level refer to one table, the table is walked for the first entry
/// only; a large page that is mapped again is not walked again. Damaged tables that refer to each other in
/// circles therefore show no page more often than there are tables. The parts of a large page that memory
/// does not hold are skipped. The walk ends after a fixed number of steps, whatever the tables contain.
#[derive(Debug, Clone)]
pub struct MappedPages<'a> {
    tables: &'a PageTables,
    first: u64,
    last: u64,
    steps: u64,
    /// The tables on the path to the next entry, the top table first.
    path: Vec<Table>,
    /// The large page that is being walked.
    large: Option<LargePage>,
    /// Tables and large pages that were walked: a table's address and level, a large page's address and bits.
    walked: HashSet<u64>,
}

/// A table that is being walked.
#[derive(Debug, Clone)]
struct Table {
    level: u8,
    /// The address that its first entry maps.
    start: u64,
    /// The index of the next entry.
    index: u64,
    residence: Residence,
    /// Its bytes up to the first one that cannot be read.
    bytes: Vec<u8>,
}

#[derive(Debug, Clone, Copy)]
struct LargePage {
    va: u64,
    pa: Pa,
    /// Bytes not yet walked.
    left: u64,
    page_size: u64,
    residence: Residence,
}

impl PageTables {
    /// The mapped pages from `first` up to the one that contains `last`, in at most `steps` look-ups of
    /// entries and pages.
    #[must_use]
    pub fn mapped_pages(&self, first: Va, last: Va, steps: u64) -> MappedPages<'_> {
        let mut pages = MappedPages {
            tables: self,
            first: first.page().0,
            last: last.0,
            steps,
            path: Vec::new(),
            large: None,
            walked: HashSet::new(),
        };
        let level = self.mode.levels();
        // The start of the range that the top table maps: the address's upper bits repeat.
        let start = first.0 & !(self.mode.span(level + 1) - 1);
        pages.enter(self.root, level, start, Residence::Valid);
        pages
    }
}

impl MappedPages<'_> {
    /// The number of look-ups left; 0 if the walk ended because the limit was reached.
    #[must_use]
    pub fn steps_left(&self) -> u64 {
        self.steps
    }

    /// Continues with the table at `at`, unless it was already walked at that level.
    fn enter(&mut self, at: u64, level: u8, start: u64, residence: Residence) {
        let mode = self.tables.mode;
        let is_whole = start >= self.first;
        if is_whole && !self.walked.insert(at | u64::from(level)) {
            return;
        }
        let size = mode.entry_size() * mode.entries(level);
        let mut bytes = vec![0; usize::try_from(size).unwrap_or(0)];
        if let Err(fault) = self.tables.physical.read(Pa(at), &mut bytes) {
            bytes.truncate(fault.done);
        }
        let index = if is_whole { 0 } else { mode.index(self.first, level) };
        self.path.push(Table { level, start, index, residence, bytes });
    }

    /// The next entry of the tables, with its level, the address that it maps, and its table's residence.
    fn next_entry(&mut self) -> Option<(u64, u8, u64, Residence)> {
        let mode = self.tables.mode;
        loop {
            let table = self.path.last_mut()?;
            let size = usize::try_from(mode.entry_size()).ok()?;
            let offset = usize::try_from(table.index).ok()?.checked_mul(size)?;
            let entry = le(&table.bytes, offset, size);
            let va = table.start.wrapping_add(table.index * mode.span(table.level));
            table.index += 1;
            match entry {
                Some(_) if va > self.last || !mode.in_range(va) => return None,
                Some(entry) => return Some((entry, table.level, va, table.residence)),
                None => self.path.pop(),
            };
        }
    }

    /// The next page of the large page that is being walked.
    fn next_of_large(&mut self) -> Option<(Va, Translation)> {
        let large = self.large.as_mut()?;
        let held = self.tables.physical.next_held(large.pa).filter(|held| *held >= large.pa);
        let passed = held.map(|held| held.0 - large.pa.0).filter(|passed| *passed < large.left);
        let va = passed.and_then(|passed| large.va.checked_add(passed));
        let (Some(passed), Some(va)) = (passed, va.filter(|va| *va <= self.last)) else {
            self.large = None;
            return None;
        };
        let LargePage { page_size, residence, .. } = *large;
        let pa = large.pa.add(passed);
        // At the end of the address space the page ends too.
        (large.va, large.pa) = (va.saturating_add(PAGE_SIZE), pa.add(PAGE_SIZE));
        large.left -= passed + PAGE_SIZE;
        if large.left == 0 {
            self.large = None;
        }
        Some((Va(va), Translation { pa, page_size, residence }))
    }

    /// Continues with the pages of a large page from [`first`](Self::first) on, unless it was already walked.
    fn enter_large(&mut self, va: u64, page: Translation) {
        let passed = self.first.saturating_sub(va);
        let bits = u64::from(page.page_size.trailing_zeros());
        if passed == 0 && !self.walked.insert(page.pa.0 | bits) {
            return;
        }
        let Translation { pa, page_size, residence } = page;
        let left = page_size.saturating_sub(passed);
        let (va, pa) = (va + passed, pa.add(passed));
        self.large = Some(LargePage { va, pa, left, page_size, residence });
    }
}

impl Iterator for MappedPages<'_> {
    type Item = (Va, Translation);

    fn next(&mut self) -> Option<Self::Item> {
        while self.steps > 0 {
            if let Some(page) = self.next_of_large() {
                self.steps -= 1;
                return Some(page);
            }
            let Some((entry, level, va, above)) = self.next_entry() else {
                self.path.clear();
                return None;
            };
            self.steps -= 1;
            match self.tables.mode.decode(entry, level) {
                Entry::Table { at, residence } => {
                    self.enter(at, level - 1, va, above.max(residence));
                }
                Entry::Page { at, bits, residence } => {
                    let (pa, page_size) = (Pa(at), 1 << bits);
                    let page = Translation { pa, page_size, residence: above.max(residence) };
                    if page_size == PAGE_SIZE {
                        return Some((Va(va), page));
                    }
                    self.enter_large(va, page);
                }
                Entry::NotPresent => {}
            }
        }
        None
    }
}
