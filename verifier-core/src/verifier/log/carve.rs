//! Records of the pool log found by their content, if nothing says where the ring is or where it starts.

use std::collections::HashMap;
use std::ops::ControlFlow;

use super::operation::Classifier;
use super::record::{CarvedRecord, CarvedRow};
use super::stacks::Stacks;
use super::trace::{Slot, Trace};
use crate::addr::{PAGE_SIZE, Pa, Va};
use crate::error::{Error, Problem};
use crate::kernel::{Kernel, Limit, limit};
use crate::machine::Machine;
use crate::types::Profile;
use crate::verifier::scan::{CarvedPage, Scan};

/// A page with fewer records does not belong to a log.
const FEWEST_RECORDS: usize = 3;
/// Virtual addresses of one page that are tried.
const MOST_PLACES: usize = 8;

/// What was found.
///
/// A page belongs to a log if it holds records at the stride of the build's type (0x40 on x86; 0x80 on 64-bit
/// kernels up to Server 2022, 0x1A8 from 22000 on; both if no type is available) and almost nothing else. Each
/// record has a thread in the kernel, a size, and a stack that starts in an image. If the stride does not divide
/// a page, records may start anywhere on it.
///
/// **Records that cross pages.** If the stride does not divide a page, physical memory does not say where a
/// record continues; the page tables do. The search looks for the pages that it found among all that the kernel
/// maps, and reads a crossing record on from the page that is mapped after its own. On that page records must
/// start where this one ends. So the search also finds pages with too few records to be recognized alone. If no
/// such page exists, the record is cut: it has the frames on its own page, and is lost if there is none.
///
/// **What is lost.** The order: records have no time. They are returned page by page, by virtual address if it is
/// known. The search also finds logs of the past whose pages were not used again.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CarvedLog {
    /// By page and offset, which is not the order of events.
    pub records: Vec<CarvedRecord>,
    stacks: Stacks,
    /// Pages with records.
    pub pages: usize,
    /// Pages that were searched.
    pub pages_looked_at: u64,
    /// What could not be read or is contradictory.
    pub problems: Vec<Problem>,
}

impl CarvedLog {
    /// Searches for records whose address and size `wanted` accepts.
    ///
    /// # Errors
    /// [`Error::MissingType`] if the types that were supplied have no pool log.
    pub fn read(
        kernel: &Kernel,
        scan: &Scan<'_>,
        wanted: impl Fn(Va, u64) -> bool,
    ) -> Result<Self, Error> {
        let traces = traces(kernel)?;
        let mut search = Search::new(kernel, scan, wanted);
        let mut bytes = vec![0u8; PAGE_SIZE as usize];
        let mut problems = Vec::new();
        let pages_looked_at = scan.for_each_page(kernel, WHAT, &mut problems, |page| {
            if !scan.read(kernel, page, 0, &mut bytes) {
                return ControlFlow::Continue(());
            }
            let part = traces.iter().find_map(|trace| {
                start_of_records(kernel, trace, &bytes).map(|start| (trace, start))
            });
            match part {
                Some((trace, start)) => search.take(page, trace, start, &bytes),
                None => ControlFlow::Continue(()),
            }
        });
        search.complete(&mut problems);
        Ok(Self { pages_looked_at, problems, ..search.log })
    }

    /// The records with their stacks, in no order of time.
    pub fn rows(&self) -> impl ExactSizeIterator<Item = CarvedRow<'_>> + Clone {
        self.records.iter().map(|record| CarvedRow { record, frames: self.frames(record) })
    }

    /// The frames of a record, innermost first.
    #[must_use]
    pub fn frames(&self, record: &CarvedRecord) -> &[Va] {
        self.stacks.get(record.stack)
    }

    /// Every frame of every record.
    #[must_use]
    pub fn all_frames(&self) -> &[Va] {
        self.stacks.all()
    }
}

const WHAT: &str = "search for records";

/// The address of a page: physical, or virtual if it does not translate.
type Key = Result<Pa, Va>;

/// A record that continues on the next page.
struct Crossing<'t> {
    page: CarvedPage,
    offset: usize,
    trace: &'t Trace,
}

/// A page that may be the one after another.
struct Next {
    va: Va,
    key: Key,
    /// Its bytes, if it has records and was not found by itself.
    unseen: Option<Vec<u8>>,
}

struct Search<'a, W> {
    kernel: &'a Kernel,
    scan: &'a Scan<'a>,
    wanted: W,
    classifier: Classifier<'a>,
    /// Pages of logs, and where on them records start.
    found: HashMap<Key, usize>,
    crossing: Vec<Crossing<'a>>,
    log: CarvedLog,
}

impl<'a, W: Fn(Va, u64) -> bool> Search<'a, W> {
    fn new(kernel: &'a Kernel, scan: &'a Scan<'a>, wanted: W) -> Self {
        let classifier = Classifier::new(kernel);
        let (found, crossing, log) = (HashMap::new(), Vec::new(), CarvedLog::default());
        Self { kernel, scan, wanted, classifier, found, crossing, log }
    }

    fn key(&self, va: Va) -> Key {
        self.kernel.space().translate(va).ok_or(va)
    }

    /// Takes the records of a page of a log; one that crosses to the next page is kept for later.
    fn take(
        &mut self,
        page: CarvedPage,
        trace: &'a Trace,
        start: usize,
        bytes: &[u8],
    ) -> ControlFlow<String> {
        let key = match page {
            CarvedPage { pa: Some(pa), .. } => Ok(pa),
            CarvedPage { va, .. } => self.key(va.unwrap_or_default()),
        };
        if self.found.insert(key, start).is_some() {
            return ControlFlow::Continue(());
        }
        self.log.pages += 1;
        for offset in (start..bytes.len()).step_by(trace.stride) {
            match bytes.get(offset..offset + trace.stride) {
                Some(raw) => self.push(page, trace, offset, raw)?,
                None => self.crossing.push(Crossing { page, offset, trace }),
            }
        }
        ControlFlow::Continue(())
    }

    /// Adds a record if it is one and is wanted.
    fn push(
        &mut self,
        page: CarvedPage,
        trace: &Trace,
        offset: usize,
        raw: &[u8],
    ) -> ControlFlow<String> {
        if raw.len() < trace.stack.start || !matches!(trace.slot(self.kernel, raw), Slot::Record) {
            return ControlFlow::Continue(());
        }
        let header = trace.header(raw);
        if !(self.wanted)(header.block, header.size) {
            return ControlFlow::Continue(());
        }
        let limit = limit!(self.kernel.limits(), ring_records);
        let CarvedLog { records, stacks, .. } = &mut self.log;
        if limit.is_reached(records.len()) {
            let Limit { most, name } = limit;
            let why = format!("limit of {most} records reached ({name})");
            return ControlFlow::Break(why);
        }
        let decoded = trace.decode(raw, header.block, &mut self.classifier, stacks);
        let is_cut = raw.len() < trace.stride;
        records.push(CarvedRecord::new(page, offset as u32, &header, decoded, is_cut));
        ControlFlow::Continue(())
    }

    /// Takes the records that cross pages.
    fn complete(&mut self, problems: &mut Vec<Problem>) {
        if self.crossing.is_empty() {
            return;
        }
        let places = self.places(problems);
        let mut bytes = vec![0u8; PAGE_SIZE as usize];
        while let Some(crossing) = self.crossing.pop() {
            if let ControlFlow::Break(why) = self.complete_one(&crossing, &places, &mut bytes) {
                problems.push(Problem::new(WHAT, why));
                break;
            }
        }
        let log = &mut self.log;
        for record in &mut log.records {
            let places = record.page.pa.and_then(|pa| places.get(&pa));
            record.page.va = record.page.va.or(places.and_then(|places| places.first().copied()));
        }
        log.records.sort_by_key(|r| (r.page.va.is_none(), r.page.va, r.page.pa, r.offset));
        // Stacks are in the order of records.
        let stacks = std::mem::take(&mut log.stacks);
        for record in &mut log.records {
            record.stack = log.stacks.copy(stacks.get(record.stack));
        }
    }

    /// The virtual addresses of the pages that were found by physical address.
    fn places(&self, problems: &mut Vec<Problem>) -> HashMap<Pa, Vec<Va>> {
        let mut places: HashMap<Pa, Vec<Va>> = HashMap::new();
        let is_physical = |crossing: &Crossing<'_>| crossing.page.va.is_none();
        // A search that was stopped returns what it found so far.
        if !self.crossing.iter().any(is_physical) || self.kernel.is_stopped() {
            return places;
        }
        let what = "search for where records go on";
        Scan::for_each_mapping(self.kernel, what, problems, |pa, va| {
            if self.found.contains_key(&Ok(pa)) {
                let places = places.entry(pa).or_default();
                if places.len() < MOST_PLACES {
                    places.push(va);
                }
            }
        });
        places
    }

    fn complete_one(
        &mut self,
        crossing: &Crossing<'a>,
        places: &HashMap<Pa, Vec<Va>>,
        bytes: &mut [u8],
    ) -> ControlFlow<String> {
        let Crossing { page, offset, trace } = *crossing;
        let known = page.pa.and_then(|pa| places.get(&pa)).map_or(&[][..], Vec::as_slice);
        let places = page.va.as_ref().map_or(known, std::slice::from_ref);
        // On the next page: where the record ends and the next one starts.
        let end = offset + trace.stride - bytes.len();
        let candidates = places.iter().filter_map(|va| {
            let next = self.next(va.add(PAGE_SIZE), trace, end, bytes)?;
            Some((*va, next))
        });
        // A page that was recognized alone is the best evidence.
        let best = candidates.max_by_key(|(_, next)| self.found.contains_key(&next.key));
        let Some((va, next)) = best else {
            let read = self.scan.read(self.kernel, page, 0, bytes);
            let raw = bytes.get(offset..).filter(|_| read).unwrap_or_default();
            return self.push(page, trace, offset, raw);
        };
        let mut raw = vec![0u8; trace.stride];
        if self.kernel.space().read(va.add(offset as u64), &mut raw).is_ok() {
            self.push(page, trace, offset, &raw)?;
        }
        match next.unseen {
            Some(bytes) => {
                let page = CarvedPage { pa: next.key.ok(), va: Some(next.va) };
                self.take(page, trace, end, &bytes)
            }
            None => ControlFlow::Continue(()),
        }
    }

    /// The page at `va`, if records can start at `start` on it.
    fn next(&self, va: Va, trace: &Trace, start: usize, bytes: &mut [u8]) -> Option<Next> {
        let key = self.key(va);
        if let Some(&found) = self.found.get(&key) {
            return (found == start).then_some(Next { va, key, unseen: None });
        }
        self.kernel.space().read(va, bytes).ok()?;
        let (records, others) = count(self.kernel, trace, bytes.get(start..)?);
        if others > 0 {
            return None;
        }
        let is_asked = match self.scan {
            Scan::Virtual(range) => range.contains(&va),
            Scan::Physical(_) | Scan::Mapped => true,
        };
        Some(Next { va, key, unseen: (records > 0 && is_asked).then(|| bytes.to_vec()) })
    }
}

/// The records of the kernel's own build, or of every build if no types were supplied.
fn traces(kernel: &Kernel) -> Result<Vec<Trace>, Error> {
    let error = match kernel.types() {
        Ok(types) => return Trace::resolve(types).map(|trace| vec![trace]),
        Err(error) => error,
    };
    let machine = kernel.space().machine();
    let builds: &[u32] = if machine == Machine::X86 { &[7601] } else { &[7601, 22000] };
    let profiles = builds.iter().filter_map(|&build| Profile::new(machine, build));
    let traces: Vec<Trace> = profiles.filter_map(|types| Trace::resolve(&types).ok()).collect();
    if traces.is_empty() { Err(error) } else { Ok(traces) }
}

/// Where on a page records start, if the page belongs to a log.
fn start_of_records(kernel: &Kernel, trace: &Trace, bytes: &[u8]) -> Option<usize> {
    let at_page_start = bytes.len().is_multiple_of(trace.stride);
    let last = if at_page_start { 0 } else { trace.stride - 1 };
    // Much of memory is zero.
    if bytes.iter().all(|&byte| byte == 0) {
        return None;
    }
    (0..=last).step_by(8).find(|&start| {
        let (records, others) = count(kernel, trace, bytes.get(start..).unwrap_or_default());
        records >= FEWEST_RECORDS && others <= 2 && others * 8 <= records
    })
}

/// How many whole slots are records, and how many are something else; the count ends at the third of those.
fn count(kernel: &Kernel, trace: &Trace, bytes: &[u8]) -> (usize, usize) {
    let (mut records, mut others) = (0, 0);
    for raw in bytes.chunks_exact(trace.stride) {
        match trace.slot(kernel, raw) {
            Slot::Record => records += 1,
            Slot::Other => others += 1,
            Slot::Unused | Slot::Bare | Slot::Absent => {}
        }
        if others > 2 {
            break;
        }
    }
    (records, others)
}
