//! Statistics, drivers, allocations and groups of them as C structs.

use std::ffi::{CString, c_char};
use std::ptr;

use verifier_core::verifier::{Allocation, DriverState, Impossible, PoolTag, Source};

use crate::handle::get;
use crate::pointer::{Record, put, text};
use crate::status::{Failure, VerifierStatus, guard};
use crate::view::{Rows, VerifierView, fill, nth};

/// One of Verifier's statistics.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct VerifierStatistic {
    /// The field of _MM_DRIVER_VERIFIER_DATA.
    pub name: *const c_char,
    /// Its value.
    pub value: u64,
}

impl Record for VerifierStatistic {}

/// The state of a configured driver.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VerifierDriverState {
    /// Loaded more often than unloaded.
    Loaded = 0,
    /// Unloaded as often as loaded.
    Unloaded = 1,
    /// Not loaded since it was configured.
    NeverLoaded = 2,
}

/// A driver that is configured for Verifier. Its counters: `verifier_driver_counter`.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct VerifierDriver {
    /// Its file name.
    pub name: *const c_char,
    /// Its state.
    pub state: VerifierDriverState,
    /// The number of times that it was loaded.
    pub loads: u32,
    /// The number of times that it was unloaded.
    pub unloads: u32,
    /// The number of its verified images; the next two fields are those of the first image.
    pub images: u32,
    /// The base address of its image, 0 if there is none.
    pub base: u64,
    /// The size of its image in bytes.
    pub size: u64,
}

impl Record for VerifierDriver {}

/// Where Verifier keeps an allocation.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VerifierSource {
    /// Its driver's tracking pages.
    Tracker = 0,
    /// The pool info tree of newer kernels, which does not have the driver: the block's stack determines it.
    PoolInfo = 1,
    /// Tracking pages that were found by their shape, because neither tree nor list leads to them.
    Carved = 2,
    /// A place that this interface does not name yet.
    Other = 3,
    /// The driver's list of contiguous memory, which is not pool and has no tag.
    Contiguous = 4,
}

/// Why an allocation cannot be as its entry says. This entry or another one is damaged.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VerifierImpossible {
    /// Nothing contradicts the entry.
    Nothing = 0,
    /// Its address is outside the kernel's half of the address space.
    Address = 1,
    /// It would end past the address space, or is larger than all memory that its driver holds.
    Size = 2,
    /// Another entry has the same address.
    Twice = 3,
    /// It overlaps the block of another entry.
    Overlap = 4,
    /// Its caller is not in any image, loaded or unloaded.
    Caller = 5,
    /// A reason that this interface does not name yet.
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
    /// Its size in bytes.
    pub size: u64,
    /// The address from which the driver allocated it, 0 if unknown.
    pub caller: u64,
    /// The name of that address, NULL if it is not in a module.
    pub caller_symbol: *const c_char,
    /// The driver's file name, "(no known driver)" if it is unknown.
    pub driver: *const c_char,
    /// Where Verifier keeps it.
    pub source: VerifierSource,
    /// The pool tag, four characters and NUL; a character that is not printable becomes a dot.
    pub tag: [c_char; 5],
    /// Why it cannot be as its entry says, if something contradicts the entry.
    pub impossible: VerifierImpossible,
}

impl Record for VerifierAllocation {}

/// Outstanding allocations of one driver, tag and stack.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct VerifierGroup {
    /// The number of allocations.
    pub count: usize,
    /// The sum of their sizes in bytes.
    pub bytes: u64,
    /// The size of the largest in bytes.
    pub largest: u64,
    /// The driver's file name, "(no known driver)" if it is unknown.
    pub driver: *const c_char,
    /// Why they have no stack, NULL if they have one.
    pub why_no_stack: *const c_char,
    /// The number of frames of their stack.
    pub frames: usize,
    /// Their pool tag; empty for contiguous memory.
    pub tag: [c_char; 5],
}

impl Record for VerifierGroup {}

pub(crate) fn tag(tag: PoolTag) -> [c_char; 5] {
    let [a, b, c, d] = tag.chars().map(|char| char as u8 as c_char);
    [a, b, c, d, 0]
}

fn name(names: &[CString], index: usize) -> *const c_char {
    names.get(index).map_or(ptr::null(), |name| name.as_ptr())
}

impl VerifierView {
    fn allocation(
        &self,
        drivers: &[CString],
        driver: usize,
        allocation: &Allocation,
    ) -> VerifierAllocation {
        VerifierAllocation {
            address: allocation.address.0,
            size: allocation.size,
            caller: allocation.caller.0,
            caller_symbol: self.name(allocation.caller),
            driver: name(drivers, driver),
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

/// A driver that was unloaded before it freed its memory: bug check 0xC4/0x62.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct VerifierUnloadLeak {
    /// Its file name.
    pub driver: *const c_char,
    /// Its _VF_TARGET_VERIFIED_DRIVER_DATA.
    pub verified_data: u64,
    /// The number of blocks in the bug check's parameters.
    pub counted: u64,
    /// The number of blocks that could be read.
    pub count: u64,
    /// The sum of their sizes in bytes.
    pub bytes: u64,
}

impl Record for VerifierUnloadLeak {}

/// The driver that was unloaded before it freed its memory, from a view of leaks of any driver.
/// VERIFIER_STATUS_NOT_FOUND if the bug check is not about such a driver.
///
/// # Safety
///
/// `record` is NULL or points at `size` bytes that may be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn verifier_unload_leak(
    view: *const VerifierView,
    record: *mut VerifierUnloadLeak,
    size: usize,
) -> VerifierStatus {
    let make = |view: &VerifierView| {
        let Rows::Leaks { leaks, unloaded, .. } = &view.rows else {
            return Err(view.other("groups of allocations"));
        };
        let (Some(leak), Some(driver)) = (&leaks.unload_leak, unloaded) else {
            return Err(Failure::at_the_end());
        };
        Ok(VerifierUnloadLeak {
            driver: driver.as_ptr(),
            verified_data: leak.verified_data.0,
            counted: leak.counted,
            count: leak.allocations.len() as u64,
            bytes: leak.bytes(),
        })
    };
    // SAFETY: the caller's guarantee is the one that `fill` requires.
    unsafe { fill(view, record, size, make) }
}

/// A record of `verifier_statistics`.
///
/// # Safety
///
/// `record` is NULL or points at `size` bytes that may be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn verifier_statistic_at(
    view: *const VerifierView,
    index: usize,
    record: *mut VerifierStatistic,
    size: usize,
) -> VerifierStatus {
    let make = |view: &VerifierView| {
        let Rows::Statistics(rows) = &view.rows else { return Err(view.other("statistics")) };
        let (name, value) = nth(rows, index)?;
        Ok(VerifierStatistic { name: name.as_ptr(), value: *value })
    };
    // SAFETY: the caller's guarantee is the one that `fill` requires.
    unsafe { fill(view, record, size, make) }
}

/// A record of `verifier_drivers`.
///
/// # Safety
///
/// `record` is NULL or points at `size` bytes that may be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn verifier_driver_at(
    view: *const VerifierView,
    index: usize,
    record: *mut VerifierDriver,
    size: usize,
) -> VerifierStatus {
    let make = |view: &VerifierView| {
        let Rows::Drivers(rows) = &view.rows else { return Err(view.other("drivers")) };
        let (name, driver) = nth(rows, index)?;
        let first = driver.images.first();
        Ok(VerifierDriver {
            name: name.as_ptr(),
            state: match driver.state() {
                DriverState::Loaded => VerifierDriverState::Loaded,
                DriverState::Unloaded => VerifierDriverState::Unloaded,
                DriverState::NeverLoaded => VerifierDriverState::NeverLoaded,
            },
            loads: driver.loads,
            unloads: driver.unloads,
            images: u32::try_from(driver.images.len()).unwrap_or(u32::MAX),
            base: first.map_or(0, |image| image.base.0),
            size: first.map_or(0, |image| image.size),
        })
    };
    // SAFETY: the caller's guarantee is the one that `fill` requires.
    unsafe { fill(view, record, size, make) }
}

/// A counter of a driver by its C name, such as "CurrentPagedPoolAllocations"
/// (_VF_TARGET_VERIFIED_DRIVER_DATA), summed over the driver's images. Not found if the build does not
/// have it.
///
/// # Safety
///
/// `name` is NULL or a string that ends with NUL; `value` is NULL or may be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn verifier_driver_counter(
    view: *const VerifierView,
    index: usize,
    name: *const c_char,
    value: *mut u64,
) -> VerifierStatus {
    let make = |view: &VerifierView| {
        let Rows::Drivers(rows) = &view.rows else { return Err(view.other("drivers")) };
        // SAFETY: the caller's guarantee, for the time of this call.
        let name = unsafe { text(name, "name") }?;
        let name = name.ok_or_else(|| Failure::argument("name is NULL"))?;
        let (driver_name, driver) = nth(rows, index)?;
        driver.counters().get(name).ok_or_else(|| {
            let driver = driver_name.to_string_lossy();
            Failure::not_found(format!("{driver} has no counter {name} in this build"))
        })
    };
    guard(|| {
        let found = make(&*get(view, "view")?)?;
        // SAFETY: the caller's guarantee for `value`.
        unsafe { put(value, found, "value") }
    })
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
        let Rows::Allocations { drivers, rows } = &view.rows else {
            return Err(view.other("allocations"));
        };
        let (driver, allocation) = nth(rows, index)?;
        Ok(view.allocation(drivers, *driver, allocation))
    };
    // SAFETY: the caller's guarantee is the one that `fill` requires.
    unsafe { fill(view, record, size, make) }
}

/// A record of `verifier_leaks`.
///
/// # Safety
///
/// `record` is NULL or points at `size` bytes that may be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn verifier_group_at(
    view: *const VerifierView,
    index: usize,
    record: *mut VerifierGroup,
    size: usize,
) -> VerifierStatus {
    let make = |view: &VerifierView| {
        let Rows::Leaks { drivers, groups, .. } = &view.rows else {
            return Err(view.other("groups of allocations"));
        };
        let (group, why) = nth(groups, index)?;
        Ok(VerifierGroup {
            count: group.blocks.len(),
            bytes: group.bytes,
            largest: group.largest,
            // Grouped by stack: one driver and one tag.
            driver: group.driver.map_or(ptr::null(), |driver| name(drivers, driver)),
            why_no_stack: why.as_ref().map_or(ptr::null(), |why| why.as_ptr()),
            frames: view.frames(index)?.len(),
            tag: group.tag.map_or([0; 5], tag),
        })
    };
    // SAFETY: the caller's guarantee is the one that `fill` requires.
    unsafe { fill(view, record, size, make) }
}

/// An allocation of a group of `verifier_leaks`, by its number within the group.
///
/// # Safety
///
/// `record` is NULL or points at `size` bytes that may be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn verifier_group_block_at(
    view: *const VerifierView,
    group: usize,
    index: usize,
    record: *mut VerifierAllocation,
    size: usize,
) -> VerifierStatus {
    let make = |view: &VerifierView| {
        let Rows::Leaks { leaks, drivers, groups, .. } = &view.rows else {
            return Err(view.other("groups of allocations"));
        };
        let (group, _) = nth(groups, group)?;
        let block = nth(&group.blocks, index)?;
        let block = nth(&leaks.blocks, *block)?;
        Ok(view.allocation(drivers, block.driver, &block.allocation))
    };
    // SAFETY: the caller's guarantee is the one that `fill` requires.
    unsafe { fill(view, record, size, make) }
}
