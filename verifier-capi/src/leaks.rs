//! Outstanding allocations in groups, with the stacks that made them.

use std::ffi::{CString, c_char};
use std::ptr;

use verifier_core::Va;
use verifier_core::analysis::{Group, GroupBy, Grouping, Leaks};
use verifier_core::kernel::Kernel;
use verifier_host::{LeakFilter, Silent};

use crate::allocation::{VerifierAllocation, name, tag};
use crate::pointer::{Record, c_string, text};
use crate::session::VerifierSession;
use crate::status::{Failure, VerifierStatus};
use crate::view::{Reach, Rows, VerifierView, fill, nth, view};

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
    /// The driver's file name, "(no known driver)" if it is unknown.
    pub driver: *const c_char,
    /// Why they have no stack, NULL if they have one.
    pub why_no_stack: *const c_char,
    /// Frames of their stack.
    pub frames: usize,
    /// Their pool tag; empty for contiguous memory.
    pub tag: [c_char; 5],
}

impl Record for VerifierGroup {}

struct LeakRows {
    leaks: Leaks,
    drivers: Vec<CString>,
    /// The groups, each with the reason if it has no stack.
    groups: Vec<(Group, Option<CString>)>,
    /// The driver that was unloaded before it freed its memory.
    unloaded: Option<CString>,
}

impl Rows for LeakRows {
    fn kind() -> &'static str {
        "groups of allocations"
    }

    fn count(&self) -> usize {
        self.groups.len()
    }

    fn frames(&self, index: usize) -> Result<&[Va], Failure> {
        let (group, _) = nth(&self.groups, index)?;
        Ok(group.frames(&self.leaks).unwrap_or_default())
    }

    fn reach(&self) -> Result<Reach<'_>, Failure> {
        let reach = &self.leaks.reach;
        let (capacity, written, missing) = (reach.capacity, reach.written, reach.missing);
        Ok(Reach { capacity, written, missing, empty_because: None })
    }
}

/// Outstanding allocations joined with the pool log, in groups of one driver, tag and stack, the most
/// bytes first. `driver` is as for `verifier_pool`. Records: VerifierGroup; their stacks:
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
        // SAFETY: the caller guarantees this for the time of the call.
        let name = unsafe { text(driver, "driver") }?;
        let filter = LeakFilter { driver: name.map(Into::into), ..LeakFilter::default() };
        let leaks = session.host.leaks_with(filter, &Silent)?.leaks;
        let addresses: Vec<Va> = leaks.addresses().collect();
        let groups = Grouping::new(kernel, &leaks, None).groups(GroupBy::StackAndTag);
        let why = |group: &Group| {
            let why = group.stack.and_then(Result::err);
            why.map(|why| c_string(&leaks.why(why)))
        };
        let groups = groups.into_iter().map(|group| (why(&group), group));
        let groups = groups.map(|(why, group)| (group, why)).collect();
        let drivers = leaks.drivers.iter().map(|driver| c_string(&driver.name)).collect();
        let (problems, extent) = (leaks.problems.clone(), leaks.completeness().extent);
        let unloaded = leaks.unload_leak.as_ref().map(|leak| c_string(&leak.driver));
        let rows = LeakRows { leaks, drivers, groups, unloaded };
        Ok(VerifierView::new(rows, kernel, addresses, &problems).of_extent(extent))
    };
    // SAFETY: the caller guarantees what `view` requires.
    unsafe { self::view(session, view, read) }
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
        let LeakRows { leaks, drivers, groups, .. } = view.rows()?;
        let (group, why) = nth(groups, index)?;
        Ok(VerifierGroup {
            count: group.blocks.len(),
            bytes: group.bytes,
            largest: group.largest,
            // Grouped by stack: one driver and one tag.
            driver: group.driver.map_or(ptr::null(), |driver| name(drivers, driver)),
            why_no_stack: why.as_ref().map_or(ptr::null(), |why| why.as_ptr()),
            frames: group.frames(leaks).unwrap_or_default().len(),
            tag: group.tag.map_or([0; 5], tag),
        })
    };
    // SAFETY: the caller guarantees what `fill` requires.
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
        let LeakRows { leaks, drivers, groups, .. } = view.rows()?;
        let (group, _) = nth(groups, group)?;
        let block = nth(&group.blocks, index)?;
        let block = nth(&leaks.blocks, *block)?;
        Ok(VerifierAllocation::of(view, name(drivers, block.driver), &block.allocation))
    };
    // SAFETY: the caller guarantees what `fill` requires.
    unsafe { fill(view, record, size, make) }
}
/// A driver that was unloaded before it freed its memory: bug check 0xC4/0x62.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct VerifierUnloadLeak {
    /// Its file name.
    pub driver: *const c_char,
    /// Its _VF_TARGET_VERIFIED_DRIVER_DATA.
    pub verified_data: u64,
    /// How many blocks the bug check says.
    pub counted: u64,
    /// How many of them could be read.
    pub count: u64,
    /// The sum of their bytes.
    pub bytes: u64,
}

impl Record for VerifierUnloadLeak {}

/// The driver that was unloaded before it freed its memory, of a view of leaks, whichever driver that is
/// of; VERIFIER_STATUS_NOT_FOUND unless the bug check is about such a driver.
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
        let LeakRows { leaks, unloaded, .. } = view.rows()?;
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
    // SAFETY: the caller guarantees what `fill` requires.
    unsafe { fill(view, record, size, make) }
}
