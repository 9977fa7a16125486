//! The records of each view as C structs.

use std::ffi::{CString, c_char};
use std::ptr;

use verifier_core::Va;
use verifier_core::verifier::log::Operation;
use verifier_core::verifier::{Allocation, DriverState, PoolTag, Source};

use crate::pointer::{as_ref, put, text};
use crate::status::{Failure, VerifierStatus, guard};
use crate::view::{Rows, VerifierView, nth};

/// One of Verifier's statistics.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct VerifierStatistic {
    /// The field of _MM_DRIVER_VERIFIER_DATA.
    pub name: *const c_char,
    /// Its value.
    pub value: u64,
}

/// What became of a configured driver.
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
    /// What became of it.
    pub state: VerifierDriverState,
    /// How often it was loaded.
    pub loads: u32,
    /// How often it was unloaded.
    pub unloads: u32,
    /// How many images of it are verified; the next two are the first one's.
    pub images: u32,
    /// Where its image is loaded, 0 where none is.
    pub base: u64,
    /// Bytes of its image.
    pub size: u64,
}

/// Where Verifier keeps an allocation.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VerifierSource {
    /// Its driver's tracking pages.
    Tracker = 0,
    /// The pool info tree of newer kernels, which knows no driver: it is told by the block's stack.
    PoolInfo = 1,
    /// In a place that this interface has no name for yet.
    Other = 2,
}

/// A pool allocation that its driver still holds.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct VerifierAllocation {
    /// The block.
    pub address: u64,
    /// Its bytes.
    pub size: u64,
    /// The address from which the driver asked for it, 0 where that is not known.
    pub caller: u64,
    /// The name of that address, NULL where no module holds it.
    pub caller_symbol: *const c_char,
    /// The driver's file name, "(no known driver)" where it cannot be told.
    pub driver: *const c_char,
    /// Where it is kept.
    pub source: VerifierSource,
    /// The pool tag, four characters and NUL; one that is not printable is a dot.
    pub tag: [c_char; 5],
}

/// What a record of the pool log is about.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VerifierOperation {
    /// A block was allocated.
    Allocate = 0,
    /// A block was freed.
    Free = 1,
    /// An allocation failed: the address is 0.
    Failed = 2,
    /// The stack does not say.
    Unknown = 3,
}

/// A record of the pool log.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct VerifierLogEntry {
    /// The block.
    pub address: u64,
    /// Its bytes.
    pub size: u64,
    /// The thread's _ETHREAD.
    pub thread: u64,
    /// What happened to the block.
    pub operation: VerifierOperation,
    /// The record's number in the ring.
    pub slot: u32,
    /// Frames of its stack.
    pub frames: usize,
}

/// A frame of a stack.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct VerifierFrame {
    /// The return address.
    pub address: u64,
    /// `module!name+0x1f`, `module+0x1234` where no symbol is known, NULL where no module holds it.
    pub symbol: *const c_char,
}

/// Outstanding allocations of one driver, tag and stack.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct VerifierGroup {
    /// How many.
    pub count: usize,
    /// The sum of their bytes.
    pub bytes: u64,
    /// The largest one's bytes.
    pub largest: u64,
    /// The driver's file name, "(no known driver)" where it cannot be told.
    pub driver: *const c_char,
    /// Why they have no stack, NULL where they have one.
    pub why_no_stack: *const c_char,
    /// Frames of their stack.
    pub frames: usize,
    /// Their pool tag.
    pub tag: [c_char; 5],
}

/// Fills a record of a view.
///
/// # Safety
///
/// `view` is NULL or a view that is not freed during the call; `record` is NULL or may be written.
unsafe fn fill<T>(
    view: *const VerifierView,
    record: *mut T,
    make: impl FnOnce(&VerifierView) -> Result<T, Failure>,
) -> VerifierStatus {
    guard(|| {
        // SAFETY: the caller's word, for the time of this call.
        let view = unsafe { as_ref(view, "view") }?;
        let made = make(view)?;
        // SAFETY: the caller's word for `record`.
        unsafe { put(record, made, "record") }
    })
}

fn tag(tag: PoolTag) -> [c_char; 5] {
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
                Source::PoolInfo { .. } => VerifierSource::PoolInfo,
                _ => VerifierSource::Other,
            },
            tag: tag(allocation.tag),
        }
    }

    fn frames(&self, index: usize) -> Result<&[Va], Failure> {
        match &self.rows {
            Rows::Log(log) => Ok(log.frames(nth(&log.records, index, "log entries")?)),
            Rows::Leaks { leaks, groups, .. } => {
                Ok(nth(groups, index, "groups")?.0.frames(leaks).unwrap_or_default())
            }
            _ => Err(self.other("stacks")),
        }
    }
}

/// A record of `verifier_statistics`.
///
/// # Safety
///
/// `view` is NULL or a view; `record` is NULL or may be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn verifier_statistic_at(
    view: *const VerifierView,
    index: usize,
    record: *mut VerifierStatistic,
) -> VerifierStatus {
    let make = |view: &VerifierView| {
        let Rows::Statistics(rows) = &view.rows else { return Err(view.other("statistics")) };
        let (name, value) = nth(rows, index, "statistics")?;
        Ok(VerifierStatistic { name: name.as_ptr(), value: *value })
    };
    // SAFETY: the caller's word is the one that `fill` asks for.
    unsafe { fill(view, record, make) }
}

/// A record of `verifier_drivers`.
///
/// # Safety
///
/// `view` is NULL or a view; `record` is NULL or may be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn verifier_driver_at(
    view: *const VerifierView,
    index: usize,
    record: *mut VerifierDriver,
) -> VerifierStatus {
    let make = |view: &VerifierView| {
        let Rows::Drivers(rows) = &view.rows else { return Err(view.other("drivers")) };
        let (name, driver) = nth(rows, index, "drivers")?;
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
    // SAFETY: the caller's word is the one that `fill` asks for.
    unsafe { fill(view, record, make) }
}

/// A counter of a driver by its C name, such as "CurrentPagedPoolAllocations"
/// (_VF_TARGET_VERIFIED_DRIVER_DATA), summed over the driver's images; not found where the build does
/// not have it.
///
/// # Safety
///
/// `view` is NULL or a view; `name` is NULL or a string that ends with NUL; `value` is NULL or may be
/// written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn verifier_driver_counter(
    view: *const VerifierView,
    index: usize,
    name: *const c_char,
    value: *mut u64,
) -> VerifierStatus {
    let make = |view: &VerifierView| {
        let Rows::Drivers(rows) = &view.rows else { return Err(view.other("drivers")) };
        // SAFETY: the caller's word, for the time of this call.
        let name = unsafe { text(name, "name") }?;
        let name = name.ok_or_else(|| Failure::argument("name is NULL"))?;
        let (driver_name, driver) = nth(rows, index, "drivers")?;
        driver.counters().get(name).ok_or_else(|| {
            let driver = driver_name.to_string_lossy();
            Failure::not_found(format!("{driver} has no counter {name} in this build"))
        })
    };
    // SAFETY: the caller's word is the one that `fill` asks for.
    unsafe { fill(view, value, make) }
}

/// A record of `verifier_pool`.
///
/// # Safety
///
/// `view` is NULL or a view; `record` is NULL or may be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn verifier_allocation_at(
    view: *const VerifierView,
    index: usize,
    record: *mut VerifierAllocation,
) -> VerifierStatus {
    let make = |view: &VerifierView| {
        let Rows::Allocations { drivers, rows } = &view.rows else {
            return Err(view.other("allocations"));
        };
        let (driver, allocation) = nth(rows, index, "allocations")?;
        Ok(view.allocation(drivers, *driver, allocation))
    };
    // SAFETY: the caller's word is the one that `fill` asks for.
    unsafe { fill(view, record, make) }
}

/// A record of `verifier_pool_log`.
///
/// # Safety
///
/// `view` is NULL or a view; `record` is NULL or may be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn verifier_log_entry_at(
    view: *const VerifierView,
    index: usize,
    record: *mut VerifierLogEntry,
) -> VerifierStatus {
    let make = |view: &VerifierView| {
        let Rows::Log(log) = &view.rows else { return Err(view.other("log entries")) };
        let entry = nth(&log.records, index, "log entries")?;
        Ok(VerifierLogEntry {
            address: entry.address.0,
            size: entry.size,
            thread: entry.thread.0,
            operation: match entry.operation {
                Operation::Allocate => VerifierOperation::Allocate,
                Operation::Free => VerifierOperation::Free,
                Operation::Failed => VerifierOperation::Failed,
                _ => VerifierOperation::Unknown,
            },
            slot: entry.slot,
            frames: log.frames(entry).len(),
        })
    };
    // SAFETY: the caller's word is the one that `fill` asks for.
    unsafe { fill(view, record, make) }
}

/// A record of `verifier_leaks`.
///
/// # Safety
///
/// `view` is NULL or a view; `record` is NULL or may be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn verifier_group_at(
    view: *const VerifierView,
    index: usize,
    record: *mut VerifierGroup,
) -> VerifierStatus {
    let make = |view: &VerifierView| {
        let Rows::Leaks { drivers, groups, .. } = &view.rows else {
            return Err(view.other("groups of allocations"));
        };
        let (group, why) = nth(groups, index, "groups")?;
        Ok(VerifierGroup {
            count: group.blocks.len(),
            bytes: group.bytes,
            largest: group.largest,
            // Grouped by stack: one driver and one tag.
            driver: group.driver.map_or(ptr::null(), |driver| name(drivers, driver)),
            why_no_stack: why.as_ref().map_or(ptr::null(), |why| why.as_ptr()),
            frames: view.frames(index)?.len(),
            tag: tag(group.tag.unwrap_or(PoolTag(0))),
        })
    };
    // SAFETY: the caller's word is the one that `fill` asks for.
    unsafe { fill(view, record, make) }
}

/// An allocation of a group of `verifier_leaks`, by its number within the group.
///
/// # Safety
///
/// `view` is NULL or a view; `record` is NULL or may be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn verifier_group_block_at(
    view: *const VerifierView,
    group: usize,
    index: usize,
    record: *mut VerifierAllocation,
) -> VerifierStatus {
    let make = |view: &VerifierView| {
        let Rows::Leaks { leaks, drivers, groups } = &view.rows else {
            return Err(view.other("groups of allocations"));
        };
        let (group, _) = nth(groups, group, "groups")?;
        let block = nth(&group.blocks, index, "allocations in the group")?;
        let block = nth(&leaks.blocks, *block, "allocations")?;
        Ok(view.allocation(drivers, block.driver, &block.allocation))
    };
    // SAFETY: the caller's word is the one that `fill` asks for.
    unsafe { fill(view, record, make) }
}

/// A frame of the stack of a log entry or a group, innermost first.
///
/// # Safety
///
/// `view` is NULL or a view; `record` is NULL or may be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn verifier_frame_at(
    view: *const VerifierView,
    index: usize,
    frame: usize,
    record: *mut VerifierFrame,
) -> VerifierStatus {
    let make = |view: &VerifierView| {
        let address = *nth(view.frames(index)?, frame, "frames")?;
        Ok(VerifierFrame { address: address.0, symbol: view.name(address) })
    };
    // SAFETY: the caller's word is the one that `fill` asks for.
    unsafe { fill(view, record, make) }
}
