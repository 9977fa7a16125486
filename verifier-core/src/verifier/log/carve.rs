//! Records of the pool log found by what they are: where nothing says where the ring is, or where it
//! starts.
//!
//! A page is taken for a part of a log where records stand on it at the stride of the build's type
//! (0x40 on x86; 0x80 on 64-bit kernels up to Server 2022, 0x1A8 from 22000 on; both where no type is
//! at hand), each with a thread in the kernel, a size, and a stack that starts in an image, and next to
//! nothing else. Where the stride does not divide a page, records may start anywhere on it.
//!
//! **What is lost.** The order: records have no time, and a physical page does not say which part of the
//! ring it is. They are given page by page, as they lie. A record that ends on the next page is cut:
//! it has the frames that lie on its own; one of whose stack nothing lies on its page is lost. Logs of the past, whose pages have not been used again, are
//! found as well.

use std::ops::ControlFlow;

use super::pool::{Classifier, Operation};
use super::stacks::{Stack, Stacks};
use super::trace::{Slot, Trace};
use crate::addr::{PAGE_SIZE, Va};
use crate::error::{Error, Problem};
use crate::kernel::Kernel;
use crate::machine::Machine;
use crate::types::Profile;
use crate::verifier::place::{CarvedPage, Place};

/// Records without which a page is no part of a log.
const FEWEST_RECORDS: usize = 3;

/// A record that was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CarvedRecord {
    /// The page it starts on.
    pub page: CarvedPage,
    /// Where on the page it starts.
    pub offset: u32,
    /// `Address`: the block, an MDL, a mapping.
    pub address: Va,
    /// `Size`.
    pub size: u64,
    /// `Thread`: the `_ETHREAD`.
    pub thread: Va,
    /// What happened.
    pub operation: Operation,
    /// True where it ends on another page, so that frames may be missing.
    pub is_cut: bool,
    stack: Stack,
}

/// What was found.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CarvedLog {
    /// In the order of pages and places, which is not the order of events.
    pub records: Vec<CarvedRecord>,
    stacks: Stacks,
    /// Pages with records.
    pub pages: usize,
    /// Pages that were looked at.
    pub pages_looked_at: u64,
    /// What could not be read or does not fit.
    pub problems: Vec<Problem>,
}

impl CarvedLog {
    /// Looks for records whose block, told by address and size, `wanted` accepts.
    ///
    /// # Errors
    /// [`Error::MissingType`] where the types that were supplied have no pool log.
    pub fn read(
        kernel: &Kernel,
        place: &Place<'_>,
        wanted: impl Fn(Va, u64) -> bool,
    ) -> Result<Self, Error> {
        let traces = traces(kernel)?;
        let mut log = Self::default();
        let mut classifier = Classifier::new(kernel);
        let limit = kernel.limits().ring_records as usize;
        let mut bytes = vec![0u8; PAGE_SIZE as usize];
        let Self { records, stacks, pages, problems, .. } = &mut log;
        let looked_at = place.for_each_page(kernel, "search for records", problems, |page| {
            if !place.read(kernel, page, 0, &mut bytes) {
                return ControlFlow::Continue(());
            }
            let Some((trace, start)) = traces.iter().find_map(|trace| {
                start_of_records(kernel, trace, &bytes).map(|start| (trace, start))
            }) else {
                return ControlFlow::Continue(());
            };
            *pages += 1;
            for offset in (start..bytes.len()).step_by(trace.stride) {
                let raw = bytes.get(offset..).unwrap_or_default();
                let raw = raw.get(..trace.stride).unwrap_or(raw);
                if raw.len() < trace.stack || !matches!(trace.slot(kernel, raw), Slot::Record) {
                    continue;
                }
                let address = Va(trace.address.get(raw).unwrap_or(0));
                let size = trace.size.get(raw).unwrap_or(0);
                if !wanted(address, size) {
                    continue;
                }
                if records.len() >= limit {
                    let why = format!("limit of {limit} records reached (Limits::ring_records)");
                    return ControlFlow::Break(why);
                }
                let frames = raw.get(trace.stack..).unwrap_or_default();
                let stack = stacks.push(frames, trace.frames, trace.frame_size);
                let operation = if address.is_null() {
                    Operation::Failed
                } else {
                    classifier.operation(stacks.get(stack))
                };
                records.push(CarvedRecord {
                    page,
                    offset: offset as u32,
                    address,
                    size,
                    thread: Va(trace.thread.get(raw).unwrap_or(0)),
                    operation,
                    is_cut: raw.len() < trace.stride,
                    stack,
                });
            }
            ControlFlow::Continue(())
        });
        log.pages_looked_at = looked_at;
        Ok(log)
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

/// The records of the kernel's own build, or of every build where that is not known.
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

/// Where on a page records start, where it is a part of a log.
fn start_of_records(kernel: &Kernel, trace: &Trace, bytes: &[u8]) -> Option<usize> {
    let at_page_start = bytes.len().is_multiple_of(trace.stride);
    let last = if at_page_start { 0 } else { trace.stride - 1 };
    // Much of memory is zero.
    if bytes.iter().all(|&byte| byte == 0) {
        return None;
    }
    (0..=last).step_by(8).find(|&start| {
        let mut records = 0usize;
        let mut others = 0usize;
        for raw in bytes.get(start..).unwrap_or_default().chunks_exact(trace.stride) {
            match trace.slot(kernel, raw) {
                Slot::Record => records += 1,
                Slot::Other => others += 1,
                Slot::Unused | Slot::Bare | Slot::Absent => {}
            }
            if others > 2 {
                return false;
            }
        }
        records >= FEWEST_RECORDS && others * 8 <= records
    })
}
