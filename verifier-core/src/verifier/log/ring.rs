//! The ring behind every log: an array, an index that runs freely, a length.
//!
//! A writer increments the index first (interlocked) and uses the incremented value: slot = (++Index)
//! & (Length - 1). So the newest record is at Index & (Length - 1), older ones below it and then from
//! the end of the array down; slot 1 is the first ever used, slot 0 the last of the first lap. The
//! index is a 32-bit number that wraps without harm. A null array means that the log is off. Source:
//! kernels of Windows 7 to 11 agree on all rings.

use crate::addr::Va;
use crate::error::{Error, Fault, Problem};
use crate::kernel::Kernel;
use crate::memory::Window;

/// Bytes of records between two looks at whether to go on.
const BLOCK: u64 = 0x8000;
/// The longest record; those of every build are shorter than 0x200 bytes.
const MAX_STRIDE: u64 = 0x1_0000;

/// A ring of records in the kernel's memory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ring {
    what: &'static str,
    /// The array; null where the log is off.
    pub array: Va,
    /// The free-running index: how many records were ever written, modulo 2^32.
    pub index: u32,
    /// Slots in the array.
    pub length: u32,
    /// Bytes in a slot.
    pub stride: u64,
}

/// What a ring gave besides its records.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RingRecords {
    /// Slots whose bytes could not be read.
    pub missing: u64,
    /// What could not be read or does not fit.
    pub problems: Vec<Problem>,
}

impl Ring {
    /// Finds a ring by its globals: a pointer, a `LONG` and a `ULONG`.
    ///
    /// # Errors
    /// Where a symbol is missing or a global cannot be read.
    pub fn locate(
        kernel: &Kernel,
        what: &'static str,
        [array, index, length]: [&'static str; 3],
        stride: u64,
    ) -> Result<Self, Error> {
        let space = kernel.space();
        let number = |name: &'static str| {
            let at = kernel.global(name)?;
            space.memory().read_u32(at).map_err(|fault| Error::read(name, fault))
        };
        let at = kernel.global(array)?;
        Ok(Self {
            what,
            array: space.read_pointer(at).map_err(|fault| Error::read(array, fault))?,
            index: number(index)?,
            length: number(length)?,
            stride,
        })
    }

    /// Finds a ring whose array is a global itself, of fixed length.
    ///
    /// # Errors
    /// As [`locate`](Self::locate).
    pub fn locate_static(
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
        Ok(Self { what, array, index, length, stride })
    }

    /// A ring whose place the caller knows.
    #[must_use]
    pub fn new(what: &'static str, array: Va, index: u32, length: u32, stride: u64) -> Self {
        Self { what, array, index, length, stride }
    }

    /// Calls `each` with every slot and its bytes, newest first, until it returns `false`.
    ///
    /// Slots whose pages are absent are skipped and told in the result, adjoining ones together.
    pub fn for_each(
        &self,
        kernel: &Kernel,
        mut each: impl FnMut(u32, &[u8]) -> bool,
    ) -> RingRecords {
        let mut result = RingRecords::default();
        if self.array.is_null() || self.length == 0 {
            return result;
        }
        if self.stride == 0 || self.stride > MAX_STRIDE {
            result.problems.push(self.problem(format!("records of {:#x} bytes", self.stride)));
            return result;
        }
        if !self.length.is_power_of_two() {
            result.problems.push(self.problem(format!(
                "its length {:#x} is no power of two: which slot is the newest is not certain",
                self.length
            )));
        }
        let mut length = self.length;
        let limit = kernel.limits().ring_records;
        if length > limit {
            result.problems.push(self.problem(format!(
                "{length:#x} records, of which the first {limit:#x} are read (Limits::ring_records)"
            )));
            length = limit;
        }
        let newest = if self.length.is_power_of_two() {
            (self.index & (self.length - 1)).min(length - 1)
        } else {
            self.index % length
        };
        // A log is not longer than the memory that it lies in.
        let mut room = kernel.space().memory().held().unwrap_or(u64::MAX);
        let per_block = u32::try_from(BLOCK / self.stride).unwrap_or(1).max(1);
        let stride = self.stride as usize;
        let mut window = Window::new(kernel.space().memory());
        // Adjoining slots that are missing for one reason are told as one.
        let mut run: Option<(u32, u32, Fault)> = None;
        // From the newest down to slot 0, then from the end down to the one above the newest.
        'all: for segment in [0..newest + 1, newest + 1..length] {
            let mut end = segment.end;
            while end > segment.start {
                if kernel.is_stopped() {
                    result.problems.push(self.problem("reading was stopped".into()));
                    break 'all;
                }
                let start = end.saturating_sub(per_block).max(segment.start);
                for slot in (start..end).rev() {
                    match window.read(self.array.add(u64::from(slot) * self.stride), stride) {
                        Ok(bytes) => {
                            // Zeros are no record, and may be one page of zeros all over.
                            if bytes.iter().any(|&byte| byte != 0) {
                                let Some(left) = room.checked_sub(self.stride) else {
                                    result.problems.push(self.problem(format!(
                                        "from slot {slot:#x} on its records are more than all \
                                         memory that is held: its pages repeat"
                                    )));
                                    break 'all;
                                };
                                room = left;
                            }
                            if !each(slot, bytes) {
                                break 'all;
                            }
                        }
                        Err(fault) => {
                            result.missing += 1;
                            match &mut run {
                                Some((first, _, _)) if *first == slot + 1 => *first = slot,
                                _ => self.tell(&mut result, run.replace((slot, slot, fault))),
                            }
                        }
                    }
                }
                end = start;
            }
        }
        self.tell(&mut result, run);
        result
    }

    /// The slot of the newest record; `None` where nothing was written, as far as the index tells.
    #[must_use]
    pub fn newest(&self) -> Option<u32> {
        (self.index != 0).then(|| self.slot(self.index)).flatten()
    }

    /// The slot of the record that the index counts.
    fn slot(&self, index: u32) -> Option<u32> {
        index.checked_rem(self.length)
    }

    /// Whether records have been overwritten: the index says so, or the slot that is written next
    /// holds a record though the index is small (it counts modulo 2^32). `None` where that slot cannot
    /// be read.
    pub(super) fn has_wrapped(
        &self,
        kernel: &Kernel,
        is_record: impl Fn(u32, &[u8]) -> bool,
    ) -> Option<bool> {
        if self.array.is_null() || self.length == 0 || self.index == self.length {
            return Some(false);
        }
        if self.index > self.length {
            return Some(true);
        }
        let next = self.slot(self.index.wrapping_add(1))?;
        let mut bytes = vec![0u8; usize::try_from(self.stride.min(MAX_STRIDE)).ok()?];
        let at = self.array.add(u64::from(next) * self.stride);
        kernel.space().read(at, &mut bytes).ok()?;
        Some(is_record(next, &bytes))
    }

    /// Why a ring that is there gave no record: of its slots `unused` hold none and `missing` cannot be
    /// read.
    pub(super) fn why_empty(&self, unused: u32, missing: u64) -> Option<&'static str> {
        let length = u64::from(self.length);
        if length == 0 {
            Some("its length is zero")
        } else if u64::from(unused) == length {
            Some("nothing was written to it")
        } else if missing == length {
            Some("none of its pages can be read")
        } else if u64::from(unused) + missing == length {
            Some("nothing was written to those of its slots that can be read")
        } else {
            None
        }
    }

    /// A problem of the newest slot, which a writer was at.
    pub(super) fn torn(&self, why: &str) -> Problem {
        let slot = self.newest().unwrap_or(0);
        let at = self.array.add(u64::from(slot) * self.stride);
        Problem::at(format!("newest slot ({slot:#x}) of the {}", self.what), at, why)
    }

    fn problem(&self, why: String) -> Problem {
        Problem::at(self.what, self.array, why)
    }

    /// Tells a run of missing slots, `run` being its lowest and highest.
    fn tell(&self, result: &mut RingRecords, run: Option<(u32, u32, Fault)>) {
        let Some((first, last, fault)) = run else { return };
        let what = if first == last {
            format!("slot {first:#x} of the {}", self.what)
        } else {
            format!("slots {first:#x} to {last:#x} of the {}", self.what)
        };
        let at = self.array.add(u64::from(first) * self.stride);
        result.problems.push(Problem::at(what, at, fault));
    }
}
