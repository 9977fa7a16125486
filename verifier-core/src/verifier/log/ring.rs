//! The ring of every log: an array, an index that runs freely, a length.

use std::fmt::Display;

use crate::addr::{PAGE_SIZE, Va};
use crate::error::{Error, Fault, Problem, STOPPED};
use crate::kernel::{Kernel, Limit, limit};
use crate::memory::Window;

/// Bytes of records between two checks whether the caller stopped the read.
const BLOCK: u64 = 0x8000;
/// Slots up to the newest whose writers may not be done: a slot is reserved before it is filled.
pub(super) const IN_FLIGHT: u32 = 16;
/// Slots that are sampled to find out whether a ring has wrapped.
const LAP_SAMPLES: u32 = 16;
/// The longest record; those of every build are shorter than 0x200 bytes.
const MAX_STRIDE: u64 = 0x1_0000;

/// The order in which a log's records are returned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Order {
    /// The newest first.
    NewestFirst,
    /// By slot, the last one first: the newest slot is unknown, so this is not an order of time.
    Unknown,
}

impl Order {
    /// The name in JSON.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Order::NewestFirst => "newest first",
            Order::Unknown => "unknown",
        }
    }
}

/// A ring of records in the kernel's memory.
///
/// A writer increments the index first (interlocked) and uses the incremented value: slot = (++Index)
/// & (Length - 1). So the newest record is at Index & (Length - 1), older ones below it and then from
/// the end of the array down; slot 1 is the first ever used, slot 0 the last of the first lap. The
/// index is a 32-bit number that wraps without harm. A null array means that the log is off. Source:
/// kernels of Windows 7 to 11 agree on all rings.
///
/// In the first lap slot 0 and the slots above the index were not written. They may hold old bytes: not every
/// array is cleared when it is made. No global says which lap it is; the slots show it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ring {
    what: &'static str,
    /// The array; null if the log is off.
    pub array: Va,
    /// The free-running index: how many records were ever written, modulo 2^32. Without it the records
    /// can be read, but their order is unknown.
    pub index: Option<u32>,
    /// Slots in the array.
    pub length: u32,
    /// Bytes in a slot.
    pub stride: u64,
}

/// What a walk over a ring found besides its records.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RingRecords {
    /// Slots whose bytes could not be read.
    pub missing: u64,
    /// True if the walk ended before the ring did, at a limit or because it was stopped; a walk that `each`
    /// ended is whole.
    pub is_cut: bool,
    /// What could not be read or is contradictory.
    pub problems: Vec<Problem>,
}

impl Ring {
    /// Finds a ring by its globals: a pointer, a `LONG` and a `ULONG`.
    ///
    /// # Errors
    /// If a symbol is missing or a global cannot be read.
    pub(crate) fn locate(
        kernel: &Kernel,
        what: &'static str,
        globals: [&'static str; 3],
        stride: u64,
    ) -> Result<Self, Error> {
        let (ring, no_index) = Self::locate_in_any_order(kernel, what, globals, stride)?;
        no_index.map_or(Ok(ring), Err)
    }

    /// The same, if array and length are enough: if the index cannot be read, the result has the reason.
    ///
    /// # Errors
    /// As [`locate`](Self::locate), but not for the index.
    pub(crate) fn locate_in_any_order(
        kernel: &Kernel,
        what: &'static str,
        [array, index, length]: [&'static str; 3],
        stride: u64,
    ) -> Result<(Self, Option<Error>), Error> {
        let space = kernel.space();
        let number = |name: &'static str| {
            let at = kernel.global(name)?;
            space.memory().read_u32(at).map_err(|fault| Error::read(name, fault))
        };
        let at = kernel.global(array)?;
        let array = space.read_pointer(at).map_err(|fault| Error::read(array, fault))?;
        let length = number(length)?;
        let (index, no_index) = match number(index) {
            Ok(index) => (Some(index), None),
            Err(error) => (None, Some(error)),
        };
        Ok((Self { what, array, index, length, stride }, no_index))
    }

    /// Finds a ring whose array is a global itself, of fixed length.
    ///
    /// # Errors
    /// As [`locate`](Self::locate).
    pub(crate) fn locate_static(
        kernel: &Kernel,
        what: &'static str,
        [array, index]: [&'static str; 2],
        length: u32,
        stride: u64,
    ) -> Result<Self, Error> {
        let array = kernel.global(array)?;
        let at = kernel.global(index)?;
        let written = kernel.space().memory().read_u32(at);
        let index = written.map_err(|fault| Error::read(index, fault))?;
        Ok(Self { what, array, index: Some(index), length, stride })
    }

    /// A ring whose array, index and length the caller knows.
    #[doc(hidden)]
    #[must_use]
    pub fn new(what: &'static str, array: Va, index: u32, length: u32, stride: u64) -> Self {
        Self { what, array, index: Some(index), length, stride }
    }

    /// The order in which [`for_each`](Self::for_each) goes.
    #[must_use]
    pub fn order(&self) -> Order {
        if self.index.is_some() { Order::NewestFirst } else { Order::Unknown }
    }

    /// Calls `each` with every slot and its bytes, in that [`order`](Self::order), until it returns `false`.
    ///
    /// Slots whose pages are absent are skipped. The result reports them, adjoining ones together.
    #[doc(hidden)]
    pub fn for_each(
        &self,
        kernel: &Kernel,
        mut each: impl FnMut(u32, &[u8]) -> bool,
    ) -> RingRecords {
        let mut walk = Walk::new(self, kernel);
        if self.array.is_null() || self.length == 0 {
            return walk.result;
        }
        if self.stride == 0 || self.stride > MAX_STRIDE {
            walk.problem(format!("records of {:#x} bytes", self.stride));
            return walk.result;
        }
        let mut left = kernel.limits().ring_records;
        walk.check_length(limit!(kernel.limits(), ring_records));
        let newest = self.index.map_or(self.length - 1, |index| self.slot(index));
        let per_block = u32::try_from(BLOCK / self.stride).unwrap_or(1).max(1);
        let mut window = Window::new(kernel.space().memory());
        // From the newest down to slot 0, then from the end down to the one above the newest.
        'all: for segment in [0..newest + 1, newest + 1..self.length] {
            let mut end = segment.end;
            while end > segment.start {
                if kernel.is_stopped() {
                    walk.cut(STOPPED.into());
                    break 'all;
                }
                let start = end.saturating_sub(per_block.min(left)).max(segment.start);
                if start == end {
                    walk.result.is_cut = true;
                    break 'all;
                }
                left -= end - start;
                for slot in (start..end).rev() {
                    if !walk.slot(slot, &mut window, &mut each) {
                        break 'all;
                    }
                }
                end = start;
            }
        }
        walk.report_run(None);
        walk.result
    }

    /// The slot of the newest record; `None` if the index says that nothing was written, or if the length is
    /// not a power of two.
    #[must_use]
    pub fn newest(&self) -> Option<u32> {
        let index = self.index.filter(|&index| index != 0 && self.length.is_power_of_two())?;
        Some(self.slot(index))
    }

    /// The slot of the record that the index counts, as kernels compute it; the length is not zero.
    fn slot(&self, index: u32) -> u32 {
        index & self.length.wrapping_sub(1)
    }

    /// Whether records have been overwritten. `None` if the slots that show it cannot be read or
    /// contradict each other, and if the length is not a power of two.
    ///
    /// An index above the length says so. A smaller one may have passed 2^32: then every slot holds a
    /// record. So some of the slots that a first lap has not come to are sampled. A first lap leaves all of
    /// them without a record; if most hold one, the others were damaged. Without an index slot 0 decides,
    /// the last one of the first lap.
    pub(super) fn has_wrapped(
        &self,
        kernel: &Kernel,
        is_record: impl Fn(&[u8]) -> bool,
    ) -> Option<bool> {
        if self.array.is_null() || self.length == 0 || self.index == Some(self.length) {
            return Some(false);
        }
        if !self.length.is_power_of_two() {
            return None;
        }
        // Without an index only the slot past the last one is ahead of it.
        let index = self.index.unwrap_or(self.length - 1);
        if index > self.length {
            return Some(true);
        }
        let stride = usize::try_from(self.stride.min(MAX_STRIDE)).ok()?;
        // Evenly over all of them; the last is slot 0.
        let ahead = self.length - index;
        let samples = ahead.min(LAP_SAMPLES);
        let mut window = Window::new(kernel.space().memory());
        let (mut records, mut others) = (0, 0);
        for sample in 0..samples {
            let further = u64::from(sample) * u64::from(ahead) / u64::from(samples);
            let slot = self.slot(index + 1 + further as u32);
            match window.read(self.at(slot), stride) {
                Ok(bytes) if is_record(bytes) => records += 1,
                Ok(_) => others += 1,
                Err(_) => {}
            }
        }
        match (records, others) {
            (0, 0) => None,
            (0, _) => Some(false),
            _ if records > others => Some(true),
            _ => None,
        }
    }

    /// True of a slot that a first lap has not come to yet.
    pub(super) fn is_ahead(&self, slot: u32) -> bool {
        self.length.is_power_of_two()
            && self.index.is_some_and(|index| index < self.length && (slot > index || slot == 0))
    }

    /// Why a ring that has an array has no records: `unused` of its slots hold none and `missing` cannot be
    /// read.
    pub(super) fn why_empty(&self, unused: u32, missing: u64) -> Option<&'static str> {
        let length = u64::from(self.length);
        if length == 0 {
            Some("its length is zero")
        } else if u64::from(unused) == length {
            Some("nothing was written to it")
        } else if self.is_unreadable(missing) {
            Some("none of its pages can be read")
        } else if u64::from(unused) + missing == length {
            Some("nothing was written to those of its slots that can be read")
        } else {
            None
        }
    }

    /// True of a ring that has slots, if all of them are among the `missing`.
    pub(super) fn is_unreadable(&self, missing: u64) -> bool {
        self.length > 0 && missing == u64::from(self.length)
    }

    /// A problem of the newest slot, which a writer was filling.
    pub(super) fn torn(&self, why: &str) -> Problem {
        let slot = self.newest().unwrap_or(0);
        Problem::at(format!("newest slot ({slot:#x}) of the {}", self.what), self.at(slot), why)
    }

    fn problem(&self, why: String) -> Problem {
        Problem::at(self.what, self.array, why)
    }

    /// A problem of the slots `first` to `last`.
    pub(super) fn of_slots(&self, first: u32, last: u32, why: impl Display) -> Problem {
        let what = if first == last {
            format!("slot {first:#x} of the {}", self.what)
        } else {
            format!("slots {first:#x} to {last:#x} of the {}", self.what)
        };
        Problem::at(what, self.at(first), why)
    }

    /// The address of a slot.
    pub(super) fn at(&self, slot: u32) -> Va {
        self.array.add(u64::from(slot).wrapping_mul(self.stride))
    }

    /// What it is called in messages.
    pub(super) fn what(&self) -> &'static str {
        self.what
    }

    /// Contradictions in the variables of a ring that was allocated: pool is in the kernel's half of the
    /// address space, and an allocation as large as a page begins on one.
    pub(super) fn contradictions(&self, kernel: &Kernel) -> Vec<Problem> {
        let size = u64::from(self.length).saturating_mul(self.stride);
        let why = if self.array.is_null() {
            return Vec::new();
        } else if !kernel.space().is_kernel(self.array) {
            "its array is not in the kernel's half of the address space"
        } else if self.length == 0 {
            "its length is 0, though it has an array"
        } else if size >= PAGE_SIZE && self.array.page_offset() != 0 {
            "its array does not begin on a page, as one of this size does"
        } else {
            return Vec::new();
        };
        vec![self.problem(why.into())]
    }
}

/// Adjoining slots that are missing for one kind of reason: the lowest, the highest, the lowest one's fault.
type Run = (u32, u32, Fault);

/// A walk over the slots of a ring.
struct Walk<'r> {
    ring: &'r Ring,
    result: RingRecords,
    /// Bytes of records that may still come: a log is not longer than the memory that holds it.
    room: u64,
    missing: Option<Run>,
}

impl<'r> Walk<'r> {
    fn new(ring: &'r Ring, kernel: &Kernel) -> Self {
        let room = kernel.space().memory().held().unwrap_or(u64::MAX);
        Self { ring, result: RingRecords::default(), room, missing: None }
    }

    fn problem(&mut self, why: String) {
        self.result.problems.push(self.ring.problem(why));
    }

    /// Ends the walk before the ring.
    #[cold]
    fn cut(&mut self, why: String) {
        self.problem(why);
        self.result.is_cut = true;
    }

    fn check_length(&mut self, Limit { most, name }: Limit) {
        let length = self.ring.length;
        if !length.is_power_of_two() {
            self.problem(format!(
                "length {length:#x} is not a power of two, so the newest slot is uncertain"
            ));
        }
        if u64::from(length) > most {
            let which = if self.ring.index.is_some() { "newest" } else { "last" };
            self.problem(format!(
                "{length:#x} records, of which the {which} {most:#x} are read ({name})"
            ));
        }
    }

    /// Gives one slot to `each`; false to end the walk.
    #[inline]
    fn slot(
        &mut self,
        slot: u32,
        window: &mut Window<'_, Va>,
        each: &mut impl FnMut(u32, &[u8]) -> bool,
    ) -> bool {
        let stride = self.ring.stride;
        match window.read(self.ring.at(slot), stride as usize) {
            Ok(bytes) => {
                // Zeros are not a record, and may be one page of zeros all over.
                if bytes.iter().any(|&byte| byte != 0) {
                    let Some(room) = self.room.checked_sub(stride) else {
                        self.cut(format!(
                            "from slot {slot:#x} on its records are more than all memory that is \
                             held: its pages repeat"
                        ));
                        return false;
                    };
                    self.room = room;
                }
                each(slot, bytes)
            }
            Err(fault) => {
                self.miss(slot, fault);
                true
            }
        }
    }

    #[cold]
    fn miss(&mut self, slot: u32, fault: Fault) {
        self.result.missing += 1;
        match &mut self.missing {
            Some((first, _, of_first)) if *first == slot + 1 && is_alike(of_first, &fault) => {
                (*first, *of_first) = (slot, fault);
            }
            _ => self.report_run(Some((slot, slot, fault))),
        }
    }

    /// Reports the run of missing slots that ended, and begins the `next`.
    fn report_run(&mut self, next: Option<Run>) {
        if let Some((first, last, fault)) = std::mem::replace(&mut self.missing, next) {
            self.result.problems.push(self.ring.of_slots(first, last, fault));
        }
    }
}

/// True of faults of one kind, whatever their addresses.
fn is_alike(one: &Fault, other: &Fault) -> bool {
    std::mem::discriminant(&one.reason) == std::mem::discriminant(&other.reason)
}
