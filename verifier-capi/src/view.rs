//! The contents of a view, and functions for all views.

use std::collections::HashMap;
use std::ffi::{CString, c_char};
use std::ptr;

use verifier_core::analysis::{Group, GroupBy, Grouping, Leaks};
use verifier_core::kernel::Kernel;
use verifier_core::verifier::log::{EventLog, PoolLog};
use verifier_core::verifier::{Allocation, Driver, Drivers, NO_DRIVER, Settings};
use verifier_core::{Completeness, Extent, Problem, Va};
use verifier_host::{LeakFilter, Silent};

use crate::bug_check::BugCheckRow;
use crate::handle::{Handle, Table, free, get, put_new};
use crate::history::HistoryRow;
use crate::module::ModuleRow;
use crate::pointer::{Record, c_string, put, put_record, text};
use crate::session::VerifierSession;
use crate::status::{Failure, VerifierPlace, VerifierStatus, guard};

/// A complete list of records of one kind. The function that created it names the `_at` function that reads
/// it.
pub struct VerifierView {
    pub(crate) rows: Rows,
    names: HashMap<Va, CString>,
    /// Why a log has no records, if it has none.
    empty_because: Option<CString>,
    problems: Vec<CProblem>,
    extent: Extent,
}

/// A problem for C.
struct CProblem {
    what: CString,
    why: CString,
    address: Option<Va>,
    leaves: Extent,
}

impl From<&Problem> for CProblem {
    fn from(problem: &Problem) -> Self {
        let (what, why) = (c_string(&problem.what), c_string(&problem.why));
        Self { what, why, address: problem.address, leaves: problem.leaves }
    }
}

impl Handle for VerifierView {
    const KIND: &'static str = "view";

    fn table() -> &'static Table<Self> {
        static VIEWS: Table<VerifierView> = Table::new();
        &VIEWS
    }
}

pub(crate) enum Rows {
    Statistics(Vec<(CString, u64)>),
    Drivers(Vec<(CString, Driver)>),
    Allocations {
        drivers: Vec<CString>,
        rows: Vec<(usize, Allocation)>,
    },
    Log(PoolLog),
    Events {
        log: EventLog,
        fields: Vec<CString>,
    },
    History(Vec<HistoryRow>),
    Modules(Vec<ModuleRow>),
    BugCheck(BugCheckRow),
    Leaks {
        leaks: Leaks,
        drivers: Vec<CString>,
        groups: Vec<(Group, Option<CString>)>,
        /// The driver that was unloaded before it freed its memory.
        unloaded: Option<CString>,
    },
}

impl VerifierView {
    pub(crate) fn new(
        rows: Rows,
        kernel: &Kernel,
        named: impl IntoIterator<Item = Va>,
        problems: &[Problem],
    ) -> Self {
        let mut names = HashMap::new();
        for va in named {
            // A log has only a few thousand different addresses.
            if !names.contains_key(&va)
                && let Some(name) = kernel.symbolize(va)
            {
                names.insert(va, c_string(&name.to_string()));
            }
        }
        let extent = Completeness::of(problems).extent;
        let problems = problems.iter().map(CProblem::from).collect();
        Self { rows, names, empty_because: None, problems, extent }
    }

    /// The view with the extent of an answer that states its own.
    pub(crate) fn of_extent(self, extent: Extent) -> Self {
        Self { extent, ..self }
    }

    /// The view with the reason why a log has no records.
    pub(crate) fn empty_because(self, why: Option<&str>) -> Self {
        Self { empty_because: why.map(c_string), ..self }
    }

    /// The name of an address, NULL if it is not in a module.
    pub(crate) fn name(&self, va: Va) -> *const c_char {
        self.names.get(&va).map_or(ptr::null(), |name| name.as_ptr())
    }

    fn count(&self) -> usize {
        match &self.rows {
            Rows::Statistics(rows) => rows.len(),
            Rows::Drivers(rows) => rows.len(),
            Rows::Allocations { rows, .. } => rows.len(),
            Rows::Log(log) => log.records.len(),
            Rows::Events { log, .. } => log.records.len(),
            Rows::History(rows) => rows.len(),
            Rows::Modules(rows) => rows.len(),
            Rows::BugCheck(_) => 1,
            Rows::Leaks { groups, .. } => groups.len(),
        }
    }

    /// The failure for a record of another kind.
    pub(crate) fn other(&self, wanted: &str) -> Failure {
        let held = match self.rows {
            Rows::Statistics(_) => "statistics",
            Rows::Drivers(_) => "drivers",
            Rows::Allocations { .. } => "allocations",
            Rows::Log(_) => "log entries",
            Rows::Events { .. } => "events",
            Rows::History(_) => "the history of an address",
            Rows::Modules(_) => "modules",
            Rows::BugCheck(_) => "a bug check",
            Rows::Leaks { .. } => "groups of allocations",
        };
        Failure::argument(format!("the view holds {held}, not {wanted}"))
    }
}

/// Creates a view of a session.
///
/// # Safety
///
/// `view` is NULL or points at a pointer that may be written.
pub(crate) unsafe fn view(
    session: *const VerifierSession,
    view: *mut *mut VerifierView,
    read: impl FnOnce(&VerifierSession, &Kernel) -> Result<VerifierView, Failure>,
) -> VerifierStatus {
    guard(|| {
        let make = || {
            let session = get(session, "session")?;
            session.stop.during(|| {
                read(&session, session.host.kernel()?).map_err(|why| why.explained(&session.host))
            })
        };
        // SAFETY: the caller's guarantee for `view`.
        unsafe { put_new(view, "view", make) }
    })
}

/// Verifier's level: the flags of `verifier /flags`.
///
/// # Safety
///
/// `level` is NULL or may be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn verifier_level(
    session: *const VerifierSession,
    level: *mut u32,
) -> VerifierStatus {
    guard(|| {
        let session = get(session, "session")?;
        let settings = session.stop.during(|| {
            Settings::read(session.host.kernel()?)
                .map_err(|why| Failure::from(why).explained(&session.host))
        })?;
        // SAFETY: the caller's guarantee for `level`.
        unsafe { put(level, settings.level.0, "level") }
    })
}

/// Verifier's statistics: every integer of _MM_DRIVER_VERIFIER_DATA that the build has.
/// Records: VerifierStatistic.
///
/// # Safety
///
/// `view` is NULL or may be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn verifier_statistics(
    session: *const VerifierSession,
    view: *mut *mut VerifierView,
) -> VerifierStatus {
    let read = |session: &VerifierSession, kernel: &Kernel| {
        let (settings, _) = session.host.settings()?;
        let counters = settings.statistics.0.iter();
        let rows = counters.map(|counter| (c_string(&counter.name), counter.value)).collect();
        Ok(VerifierView::new(Rows::Statistics(rows), kernel, [], &settings.problems))
    };
    // SAFETY: the caller's guarantee is the one that `view` requires.
    unsafe { self::view(session, view, read) }
}

/// The drivers that are configured for Verifier. Records: VerifierDriver.
///
/// # Safety
///
/// `view` is NULL or may be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn verifier_drivers(
    session: *const VerifierSession,
    view: *mut *mut VerifierView,
) -> VerifierStatus {
    let read = |session: &VerifierSession, kernel: &Kernel| {
        let Drivers { drivers, problems } = session.host.drivers()?;
        let rows = drivers.into_iter().map(|driver| (c_string(&driver.name), driver)).collect();
        Ok(VerifierView::new(Rows::Drivers(rows), kernel, [], &problems))
    };
    // SAFETY: the caller's guarantee is the one that `view` requires.
    unsafe { self::view(session, view, read) }
}

/// The pool allocations that drivers still hold, without contiguous memory. `driver` is a file name such as
/// "myfault.sys", or NULL for all drivers; blocks without a known driver are last. Records:
/// VerifierAllocation.
///
/// # Safety
///
/// `driver` is NULL or a string that ends with NUL; `view` is NULL or may be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn verifier_pool(
    session: *const VerifierSession,
    driver: *const c_char,
    view: *mut *mut VerifierView,
) -> VerifierStatus {
    let read = |session: &VerifierSession, kernel: &Kernel| {
        // SAFETY: the caller's guarantee, for the time of this call.
        let name = unsafe { text(driver, "driver") }?;
        let report = session.host.pool(name)?;
        let callers: Vec<Va> = report.callers().collect();
        let (mut drivers, mut rows) = (Vec::new(), Vec::new());
        let pools = report.drivers.into_iter().map(|pool| (pool.driver.name, pool.allocations));
        let unowned = (NO_DRIVER.into(), report.unowned);
        for (index, (name, allocations)) in pools.chain([unowned]).enumerate() {
            drivers.push(c_string(&name));
            rows.extend(allocations.into_iter().map(|allocation| (index, allocation)));
        }
        let rows = Rows::Allocations { drivers, rows };
        Ok(VerifierView::new(rows, kernel, callers, &report.problems))
    };
    // SAFETY: the caller's guarantee is the one that `view` requires.
    unsafe { self::view(session, view, read) }
}

/// Outstanding allocations joined with the pool log, in groups of one driver, tag and stack, those with the
/// most bytes first. `driver` is as for `verifier_pool`. Records: VerifierGroup; their stacks:
/// `verifier_frame_at`; their allocations: `verifier_group_block_at`; how far the log reaches:
/// `verifier_reach`.
///
/// # Safety
///
/// `driver` is NULL or a string that ends with NUL; `view` is NULL or may be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn verifier_leaks(
    session: *const VerifierSession,
    driver: *const c_char,
    view: *mut *mut VerifierView,
) -> VerifierStatus {
    let read = |session: &VerifierSession, kernel: &Kernel| {
        // SAFETY: the caller's guarantee, for the time of this call.
        let name = unsafe { text(driver, "driver") }?;
        let filter = LeakFilter { driver: name.map(Into::into), ..LeakFilter::default() };
        let leaks = session.host.leaks(filter, &Silent)?.leaks;
        let addresses: Vec<Va> = leaks.addresses().collect();
        let groups = Grouping::new(kernel, &leaks, None).groups(GroupBy::Stack);
        let why = |group: &Group| {
            let why = group.stack.and_then(Result::err);
            why.map(|why| c_string(&leaks.why(why)))
        };
        let groups = groups.into_iter().map(|group| (why(&group), group));
        let groups = groups.map(|(why, group)| (group, why)).collect();
        let drivers = leaks.drivers.iter().map(|driver| c_string(&driver.name)).collect();
        let (problems, extent) = (leaks.problems.clone(), leaks.completeness().extent);
        let unloaded = leaks.unload_leak.as_ref().map(|leak| c_string(&leak.driver));
        let rows = Rows::Leaks { leaks, drivers, groups, unloaded };
        Ok(VerifierView::new(rows, kernel, addresses, &problems).of_extent(extent))
    };
    // SAFETY: the caller's guarantee is the one that `view` requires.
    unsafe { self::view(session, view, read) }
}

/// The number of records in a view; 0 for a handle that is not open.
#[unsafe(no_mangle)]
pub extern "C" fn verifier_view_count(view: *const VerifierView) -> usize {
    get(view, "view").map_or(0, |view| view.count())
}

/// How far back a log reaches.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct VerifierReach {
    /// The number of records that fit in the log.
    pub capacity: u32,
    /// Records ever written, modulo 2^32; 0 if unknown.
    pub written: u32,
    /// Records whose pages could not be read.
    pub missing: u64,
    /// Why the log has no records: it is off, nothing was written, its pages are absent. NULL if it has
    /// records, and for a view of leaks.
    pub empty_because: *const c_char,
    /// 1 if the log's index is known; else 0, and the order of its records is unknown.
    pub is_ordered: u32,
}

impl Record for VerifierReach {
    const LEAST: usize = std::mem::offset_of!(Self, is_ordered);
}

/// How far back the log of a view reaches, for a view of a log or of leaks.
///
/// # Safety
///
/// `reach` is NULL or points at `size` bytes that may be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn verifier_reach(
    view: *const VerifierView,
    reach: *mut VerifierReach,
    size: usize,
) -> VerifierStatus {
    let make = |view: &VerifierView| {
        let (capacity, written, missing) = match &view.rows {
            Rows::Log(log) => (log.ring.length, log.ring.index, log.missing),
            Rows::Events { log, .. } => (log.ring.length, log.ring.index, log.missing),
            Rows::Leaks { leaks, .. } => {
                (leaks.reach.capacity, leaks.reach.written, leaks.reach.missing)
            }
            _ => return Err(view.other("a log")),
        };
        let empty_because = view.empty_because.as_ref().map_or(ptr::null(), |why| why.as_ptr());
        let (written, is_ordered) = (written.unwrap_or(0), written.is_some().into());
        Ok(VerifierReach { capacity, written, missing, empty_because, is_ordered })
    };
    // SAFETY: the caller's guarantee is the one that `fill` requires.
    unsafe { fill(view, reach, size, make) }
}

/// Data that a view could not read or that do not fit.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct VerifierProblem {
    /// The affected data.
    pub what: *const c_char,
    /// The problem.
    pub why: *const c_char,
    /// The kind of `address`: virtual, or none.
    pub place: VerifierPlace,
    /// The address of the problem; 0 if there is none.
    pub address: u64,
    /// The extent that the answer has despite this problem; a remark leaves it complete. The other problems
    /// are the reasons why the view is not complete.
    pub leaves: VerifierExtent,
}

impl Record for VerifierProblem {
    const LEAST: usize = std::mem::offset_of!(Self, leaves);
}

/// How far an answer can be trusted.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VerifierExtent {
    /// All the requested data was read, and nothing contradicts it: a view without records means that there
    /// is nothing.
    Complete = 0,
    /// The records were read, but more may exist, and some may be wrong.
    AtLeast = 1,
    /// Nothing supports the answer: a view without records means nothing.
    Unknown = 2,
}

impl From<Extent> for VerifierExtent {
    fn from(extent: Extent) -> Self {
        match extent {
            Extent::Complete => Self::Complete,
            Extent::AtLeast => Self::AtLeast,
            Extent::Unknown => Self::Unknown,
        }
    }
}

/// The extent of a view; VERIFIER_EXTENT_UNKNOWN for a handle that is not open. If it is not complete, the
/// reasons are the problems whose `leaves` is not VERIFIER_EXTENT_COMPLETE.
#[unsafe(no_mangle)]
pub extern "C" fn verifier_view_extent(view: *const VerifierView) -> VerifierExtent {
    get(view, "view").map_or(Extent::Unknown, |view| view.extent).into()
}

/// The number of problems of a view; 0 for a handle that is not open.
#[unsafe(no_mangle)]
pub extern "C" fn verifier_view_problem_count(view: *const VerifierView) -> usize {
    get(view, "view").map_or(0, |view| view.problems.len())
}

/// A problem of a view.
///
/// # Safety
///
/// `problem` is NULL or points at `size` bytes that may be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn verifier_view_problem_at(
    view: *const VerifierView,
    index: usize,
    problem: *mut VerifierProblem,
    size: usize,
) -> VerifierStatus {
    let make = |view: &VerifierView| {
        let problem_of = nth(&view.problems, index)?;
        let (place, address) = VerifierPlace::of(problem_of.address);
        Ok(VerifierProblem {
            what: problem_of.what.as_ptr(),
            why: problem_of.why.as_ptr(),
            place,
            address,
            leaves: problem_of.leaves.into(),
        })
    };
    // SAFETY: the caller's guarantee is the one that `fill` requires.
    unsafe { fill(view, problem, size, make) }
}

/// Frees a view, and with it the strings of its records. Does nothing for NULL.
#[unsafe(no_mangle)]
pub extern "C" fn verifier_view_free(view: *mut VerifierView) {
    guard(|| free(view, "view"));
}

/// An element by its number.
pub(crate) fn nth<T>(all: &[T], index: usize) -> Result<&T, Failure> {
    all.get(index).ok_or_else(Failure::at_the_end)
}

/// Fills a record of a view.
///
/// # Safety
///
/// `record` is NULL or points at `size` bytes that may be written.
pub(crate) unsafe fn fill<T: Record>(
    view: *const VerifierView,
    record: *mut T,
    size: usize,
    make: impl FnOnce(&VerifierView) -> Result<T, Failure>,
) -> VerifierStatus {
    guard(|| {
        let made = make(&*get(view, "view")?)?;
        // SAFETY: the caller's guarantee for `record`.
        unsafe { put_record(record, size, &made, "record") }
    })
}
