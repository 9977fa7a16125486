//! Pool allocations.

use std::ffi::{CString, c_char};
use std::ptr;

use verifier_core::Va;
use verifier_core::kernel::Kernel;
use verifier_core::render::rows::AllocationRow;
use verifier_core::verifier::{Allocation, Impossible, NO_DRIVER, PoolTag, Source};

use crate::pointer::{Record, c_string, text};
use crate::session::VerifierSession;
use crate::status::{Failure, VerifierStatus};
use crate::view::{Rows, Take, VerifierView, field_of, fill, nth, view};

/// Where Verifier keeps an allocation.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VerifierSource {
    /// Its driver's tracking pages.
    Tracker = 0,
    /// The pool info tree of newer kernels, which does not have the driver: the block's stack gives it.
    PoolInfo = 1,
    /// Tracking pages that no tree and no list leads to: a search found them by their content.
    Carved = 2,
    /// In a place that this interface does not name yet.
    Other = 3,
    /// The driver's list of contiguous memory, which is not pool and has no tag.
    Contiguous = 4,
}

/// Why an allocation cannot be as its entry says. This entry is damaged, or another one is.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VerifierImpossible {
    /// Nothing.
    Nothing = 0,
    /// Its address is outside the kernel's half of the address space.
    Address = 1,
    /// It would end past the address space, or is larger than all that its driver holds.
    Size = 2,
    /// Another entry has the same address.
    Twice = 3,
    /// It overlaps the block of another entry.
    Overlap = 4,
    /// No image, loaded or unloaded, holds its caller.
    Caller = 5,
    /// Something that this interface does not name yet.
    SomethingElse = 6,
}

impl VerifierImpossible {
    fn of(why: Option<Impossible>) -> Self {
        match why {
            None => VerifierImpossible::Nothing,
            Some(Impossible::Address) => VerifierImpossible::Address,
            Some(Impossible::Size) => VerifierImpossible::Size,
            Some(Impossible::Twice) => VerifierImpossible::Twice,
            Some(Impossible::Overlap) => VerifierImpossible::Overlap,
            Some(Impossible::Caller) => VerifierImpossible::Caller,
            Some(_) => VerifierImpossible::SomethingElse,
        }
    }
}

/// A pool allocation that its driver still holds.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct VerifierAllocation {
    /// The block.
    pub address: u64,
    /// Its bytes.
    pub size: u64,
    /// The address from which the driver asked for it, 0 if that is unknown.
    pub caller: u64,
    /// The name of that address, NULL if no module holds it.
    pub caller_symbol: *const c_char,
    /// The driver's file name, "(no known driver)" if it is unknown.
    pub driver: *const c_char,
    /// Where it is kept.
    pub source: VerifierSource,
    /// The pool tag, four characters and NUL; one that is not printable is a dot.
    pub tag: [c_char; 5],
    /// Why it cannot be as its entry says, if something contradicts the entry.
    pub impossible: VerifierImpossible,
}

impl Record for VerifierAllocation {}

pub(crate) fn tag(tag: PoolTag) -> [c_char; 5] {
    let [a, b, c, d] = tag.chars().map(|char| char as u8 as c_char);
    [a, b, c, d, 0]
}

/// A string of a view's by its number.
pub(crate) fn name(names: &[CString], index: usize) -> *const c_char {
    names.get(index).map_or(ptr::null(), |name| name.as_ptr())
}

impl VerifierAllocation {
    /// An allocation of a view, and its driver's name.
    pub(crate) fn of(view: &VerifierView, driver: *const c_char, allocation: &Allocation) -> Self {
        Self {
            address: allocation.address.0,
            size: allocation.size,
            caller: allocation.caller.0,
            caller_symbol: view.name(allocation.caller),
            driver,
            source: match allocation.source {
                Source::Tracker => VerifierSource::Tracker,
                Source::Carved => VerifierSource::Carved,
                Source::PoolInfo { .. } => VerifierSource::PoolInfo,
                Source::Contiguous => VerifierSource::Contiguous,
                _ => VerifierSource::Other,
            },
            tag: allocation.pool_tag().map_or([0; 5], tag),
            impossible: VerifierImpossible::of(allocation.impossible),
        }
    }
}

/// Allocations, each with the number of its driver.
struct Allocations {
    drivers: Vec<CString>,
    rows: Vec<(usize, Allocation)>,
}

impl Rows for Allocations {
    fn kind() -> &'static str {
        "allocations"
    }

    fn count(&self) -> usize {
        self.rows.len()
    }

    fn field(&self, index: usize, field: usize, take: Take<'_>) -> Result<(), Failure> {
        let (driver, allocation) = nth(&self.rows, index)?;
        let of = self.drivers.get(*driver).and_then(|name| name.to_str().ok());
        field_of(&AllocationRow::table(), &AllocationRow { allocation, of }, field, take)
    }
}

/// The pool allocations that drivers still hold, but for contiguous memory. `driver` is a file name
/// such as "myfault.sys", NULL for all; blocks of no known driver are the last. Records:
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
        // SAFETY: the caller guarantees this for the time of the call.
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
        let rows = Allocations { drivers, rows };
        Ok(VerifierView::new(rows, kernel, callers, &report.problems))
    };
    // SAFETY: the caller guarantees what `view` requires.
    unsafe { self::view(session, view, read) }
}

/// A record of `verifier_pool`.
///
/// # Safety
///
/// `record` is NULL or points at `size` bytes that may be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn verifier_allocation_at(
    view: *const VerifierView,
    index: usize,
    record: *mut VerifierAllocation,
    size: usize,
) -> VerifierStatus {
    let make = |view: &VerifierView| {
        let Allocations { drivers, rows } = view.rows()?;
        let (driver, allocation) = nth(rows, index)?;
        Ok(VerifierAllocation::of(view, name(drivers, *driver), allocation))
    };
    // SAFETY: the caller guarantees what `fill` requires.
    unsafe { fill(view, record, size, make) }
}
