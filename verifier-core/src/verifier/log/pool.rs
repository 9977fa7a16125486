//! The pool log: recent allocations and frees, `_VF_POOL_TRACE` records behind `VfPoolTraces`.
//!
//! A record is {Address, Size, Thread, StackTrace[]}, with 13 frames up to Windows 10 and Server
//! 2022 and 50 from 22000 on: the stride and the number of frames come from the types. The stack ends
//! at the first null; frames behind it are left over from an earlier lap. Slots that were never used
//! are zero on most builds; up to 19041 the array is not cleared when it is made, so in the first lap
//! slots that it has not come to do not count, whatever lies there.
//!
//! `Address` null with a size is an allocation that failed. Nothing in a record tells an allocation
//! from a free: see [`classify`]. Sizes differ in kind too: an allocation logs what was asked for, a
//! free the size of the block.

use std::collections::HashMap;

use super::ring::Ring;
use super::stacks::{Stack, Stacks};
use crate::addr::Va;
use crate::bytes::le;
use crate::error::{Error, Problem};
use crate::kernel::{Kernel, SymbolSource};
use crate::verifier::Drivers;
use crate::verifier::owner::is_kernel_or_verifier;

/// Records for which room is made at once, where the log is as long: the length that kernels choose.
/// With 50 frames each that is 29 MiB, of which the system gives what is written to.
const MOST_EXPECTED: usize = 0x1_0000;
/// Leading frames that are looked at for the operation.
const FRAMES_TO_CLASSIFY: usize = 8;

/// What a record of the pool log is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Operation {
    /// A block was allocated (or mapped, or described by an MDL).
    Allocate,
    /// A block was freed.
    Free,
    /// An allocation failed: the address is null.
    Failed,
    /// The stack does not say.
    Unknown,
}

impl Operation {
    /// The name in JSON and CSV.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Operation::Allocate => "allocate",
            Operation::Free => "free",
            Operation::Failed => "failed",
            Operation::Unknown => "unknown",
        }
    }
}

/// A record of the pool log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PoolRecord {
    /// The slot it lies in.
    pub slot: u32,
    /// `Address`: the block, an MDL, a mapping.
    pub address: Va,
    /// `Size`.
    pub size: u64,
    /// `Thread`: the `_ETHREAD`.
    pub thread: Va,
    /// What happened.
    pub operation: Operation,
    stack: Stack,
}

/// The pool log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PoolLog {
    /// Where it lies.
    pub ring: Ring,
    /// Records, in the ring's order: newest first, if its index is known.
    pub records: Vec<PoolRecord>,
    stacks: Stacks,
    /// Slots that hold no record.
    pub unused: u32,
    /// Slots whose pages could not be read.
    pub missing: u64,
    /// The address that blocks had to hold, where one was asked for.
    pub about: Option<Va>,
    /// Whether reading ended before the log did: at a limit, or because it was stopped.
    pub is_cut: bool,
    /// Whether records have been overwritten; `None` where nothing that can be read tells.
    pub wrapped: Option<bool>,
    /// Why there is nothing, where there is nothing: it is off, nothing was written, it is absent.
    pub empty_because: Option<&'static str>,
    /// What could not be read or does not fit.
    pub problems: Vec<Problem>,
}

impl PoolLog {
    /// Reads the newest `last` records, or all. Where the log's index is not known, neither is which are
    /// the newest ([`Ring::order`]): then the records are given all the same, as they lie, and a problem
    /// says so.
    ///
    /// # Errors
    /// Where the kernel's symbols are missing or do not have the log, or its globals but the index cannot
    /// be read.
    pub fn read(kernel: &Kernel, last: Option<usize>) -> Result<Self, Error> {
        Self::read_where(kernel, last, |_, _| true)
    }

    /// Reads the newest `last` records, or all, of which the block holds `address` where one is given.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub fn read_about(
        kernel: &Kernel,
        last: Option<usize>,
        address: Option<Va>,
    ) -> Result<Self, Error> {
        let log = Self::read_where(kernel, last, |start, size| {
            address.is_none_or(|address| address.is_in(start, size))
        })?;
        Ok(Self { about: address, ..log })
    }

    /// Reads the newest `last` records whose address and size `wanted` accepts.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub fn read_where(
        kernel: &Kernel,
        last: Option<usize>,
        wanted: impl Fn(Va, u64) -> bool,
    ) -> Result<Self, Error> {
        let types = kernel.types()?;
        let trace = "_VF_POOL_TRACE";
        let address = types.field(trace, "Address")?;
        let size = types.field(trace, "Size")?;
        let thread = types.field(trace, "Thread")?;
        let stack = types.field(trace, "StackTrace")?;
        let (frame_count, frame_size) = stack.elements().ok_or_else(|| Error::MissingField {
            type_name: trace.into(),
            path: "StackTrace[]".into(),
        })?;
        let stack_start = usize::try_from(stack.offset).unwrap_or(usize::MAX);
        let stride = types.size_of(trace)?;
        let (ring, no_index) = Ring::locate_in_any_order(
            kernel,
            "pool log",
            ["VfPoolTraces", "VfPoolTracesIndex", "VfPoolTracesLength"],
            stride,
        )?;
        let mut log = Self {
            empty_because: ring.array.is_null().then_some(
                "the pool log is off: VfPoolTraces is null (pool tracking was never enabled)",
            ),
            ring,
            records: Vec::new(),
            stacks: Stacks::default(),
            unused: 0,
            missing: 0,
            about: None,
            is_cut: false,
            wrapped: None,
            problems: Vec::new(),
        };
        let last = last.unwrap_or(usize::MAX);
        let space = kernel.space();
        let length = log.ring.length as usize;
        let (records, stacks, unused) = (&mut log.records, &mut log.stacks, &mut log.unused);
        // A slot's address, size and thread; `None` where all are zero.
        let record_at = |bytes: &[u8]| {
            let block = Va(address.get(bytes).unwrap_or(0));
            let size = size.get(bytes).unwrap_or(0);
            let thread = Va(thread.get(bytes).unwrap_or(0));
            let is_written = !block.is_null() || size != 0 || !thread.is_null();
            is_written.then_some((block, size, thread))
        };
        let looks_written = |bytes: &[u8]| {
            let Some((_, _, thread)) = record_at(bytes) else { return false };
            let first = Va(le(bytes, stack_start, frame_size).unwrap_or(0));
            space.is_kernel(thread)
                && thread.0.is_multiple_of(space.pointer_size() as u64)
                && (first.is_null() || space.is_kernel(first))
        };
        let wrapped = log.ring.has_wrapped(kernel, looks_written);
        let ring = log.ring.clone();
        // What a first lap has not come to may be left from before the array was made. Where nothing
        // tells whether this is the first lap, what looks like a record is taken for one.
        let counts = |slot: u32, bytes: &[u8]| match ring.index {
            Some(_) => !ring.is_ahead(slot) || (wrapped != Some(false) && looks_written(bytes)),
            None => looks_written(bytes),
        };
        let newest = log.ring.newest();
        let mut torn = None;
        let mut classifier = Classifier::new(kernel);
        let result = log.ring.for_each(kernel, |slot, bytes| {
            if records.len() >= last {
                return false;
            }
            let record = record_at(bytes).filter(|_| counts(slot, bytes));
            if newest == Some(slot) {
                torn = match record {
                    None => Some("reserved, and nothing was written to it yet"),
                    Some((_, _, Va(0))) => Some("written in part: its thread is null"),
                    Some(_) => None,
                };
            }
            let Some((block, size, thread)) = record else {
                *unused += 1;
                return true;
            };
            if !wanted(block, size) {
                return true;
            }
            if records.is_empty() {
                let expected = last.min(length).min(MOST_EXPECTED);
                records.reserve(expected);
                stacks.reserve(expected.saturating_mul(frame_count).min(MOST_EXPECTED * 50));
            }
            let raw = bytes.get(stack_start..).unwrap_or_default();
            let stack = stacks.push(raw, frame_count, frame_size);
            records.push(PoolRecord {
                slot,
                address: block,
                size,
                thread,
                operation: if block.is_null() {
                    Operation::Failed
                } else {
                    classifier.operation(stacks.get(stack))
                },
                stack,
            });
            true
        });
        log.problems = result.problems;
        log.missing = result.missing;
        log.is_cut = result.is_cut;
        if let Some(why) = torn {
            log.problems.insert(0, log.ring.torn(why));
        }
        log.wrapped = wrapped;
        if let Some(error) = no_index.filter(|_| !log.ring.array.is_null()) {
            let newest = match last {
                usize::MAX => String::new(),
                last => format!(", and which are the newest {last} is not known"),
            };
            let why =
                format!("unknown: {error}; records are given by slot, the last first{newest}");
            log.problems.insert(0, Problem::at("order of the pool log", log.ring.array, why));
        }
        if !log.ring.array.is_null() {
            log.empty_because = log.ring.why_empty(log.unused, log.missing);
        }
        log.problems.extend(Drivers::module_problems(kernel));
        kernel.report_into(&mut log.problems);
        Ok(log)
    }

    /// True where the log is there and none of its pages can be read.
    #[must_use]
    pub fn is_unreadable(&self) -> bool {
        self.ring.is_unreadable(self.missing)
    }

    /// The frames of a record, innermost first.
    #[must_use]
    pub fn frames(&self, record: &PoolRecord) -> &[Va] {
        self.stacks.get(record.stack)
    }

    /// Every frame of every record.
    #[must_use]
    pub fn all_frames(&self) -> &[Va] {
        self.stacks.all()
    }

    /// The same without a copy: those of the first record, then those of the next.
    #[must_use]
    pub fn into_frames(self) -> Vec<Va> {
        self.stacks.into_all()
    }
}

/// Tells operations from stacks. The same few addresses stand on top of thousands of stacks: most are
/// found where their number leads, without hashing.
pub(super) struct Classifier<'k> {
    kernel: &'k Kernel,
    known: HashMap<Va, FrameSays>,
    recent: Box<[(Va, FrameSays); 256]>,
}

impl<'k> Classifier<'k> {
    pub(super) fn new(kernel: &'k Kernel) -> Self {
        // No frame of a stack is null.
        let recent = Box::new([(Va(0), FrameSays::Nothing); 256]);
        Self { kernel, known: HashMap::new(), recent }
    }

    pub(super) fn operation(&mut self, stack: &[Va]) -> Operation {
        for &frame in stack.iter().take(FRAMES_TO_CLASSIFY) {
            match self.says(frame) {
                FrameSays::Operation(operation) => return operation,
                FrameSays::Nothing => {}
                FrameSays::Outside => break,
            }
        }
        Operation::Unknown
    }

    fn says(&mut self, frame: Va) -> FrameSays {
        let kernel = self.kernel;
        let at = frame.0.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56;
        let Some(slot) = self.recent.get_mut(at as usize) else { return FrameSays::Nothing };
        if slot.0 != frame {
            let says = self.known.entry(frame).or_insert_with(|| frame_operation(kernel, frame));
            *slot = (frame, *says);
        }
        slot.1
    }
}

#[derive(Clone, Copy)]
enum FrameSays {
    Operation(Operation),
    /// A frame of the kernel or of Verifier without a telling name.
    Nothing,
    /// The stack has left the kernel and Verifier.
    Outside,
}

fn frame_operation(kernel: &Kernel, frame: Va) -> FrameSays {
    if !is_kernel_or_verifier(kernel, frame) {
        return FrameSays::Outside;
    }
    let Some((module, _)) = kernel.modules().find(frame) else { return FrameSays::Outside };
    // The nearest export below an internal function names another function.
    if matches!(kernel.symbol_source(module), None | Some((SymbolSource::Exports, _))) {
        return FrameSays::Nothing;
    }
    let name = kernel.symbolize(frame).and_then(|symbol| symbol.name);
    match name.as_deref().map_or(Operation::Unknown, classify) {
        Operation::Unknown => FrameSays::Nothing,
        operation => FrameSays::Operation(operation),
    }
}

/// What the name of a kernel or Verifier function says of a record.
///
/// The rule for a record: its address null, it failed. Else its frames are looked at from the
/// innermost one, as long as they lie in the kernel or in `VerifierExt`, at most eight; the first
/// whose name this function knows decides. A stack that starts in a driver (the two innermost frames
/// are skipped when it is captured, on some paths that is all of Verifier) says nothing.
///
/// Free: `Free` with `Pool`, `Heap`, `Mdl`, `Contiguous`, `NonCached` or `WorkItem` in the name
/// (`VerifierExFreePoolWithTag`, `VfFreePoolNotification`, `ExFreeHeapPool`), and unmappings.
/// Allocate: `Alloc` with the same (`VeAllocatePoolWithTagPriority`, `VfHandlePoolAlloc`,
/// `IovAllocateMdl`), pages for MDLs, mappings of I/O space and locked pages, `CreateMdl`.
#[must_use]
pub fn classify(function: &str) -> Operation {
    let has = |part: &str| function.contains(part);
    let kind = ["Pool", "Heap", "Mdl", "Contiguous", "NonCached", "WorkItem", "Irp"];
    let about_memory = kind.iter().any(|part| has(part));
    if (has("Free") && about_memory) || has("UnmapIoSpace") || has("UnmapLockedPages") {
        Operation::Free
    } else if (has("Alloc") && about_memory)
        || has("MapIoSpace")
        || has("MapLockedPages")
        || has("CreateMdl")
    {
        Operation::Allocate
    } else {
        Operation::Unknown
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_tell_the_operation() {
        for name in [
            "VeAllocatePoolWithTagPriority",
            "VerifierExAllocatePoolEx",
            "VfAllocPoolNotification",
            "VfHandlePoolAlloc",
            "IovAllocateMdl",
            "ExAllocatePoolWithTagPriority_internal_wrapper",
            "IovAllocateWorkItem",
            "VerifierMmAllocatePagesForMdl",
            "VerifierMmMapIoSpace",
        ] {
            assert_eq!(classify(name), Operation::Allocate, "{name}");
        }
        for name in [
            "VerifierExFreePool",
            "VerifierExFreePoolWithTag",
            "VfFreePoolNotification",
            "VfPtFreePoolNotification",
            "ExFreeHeapPool",
        ] {
            assert_eq!(classify(name), Operation::Free, "{name}");
        }
        for name in ["IofCallDriver", "KiSystemServiceCopyEnd", "ExFreeToNPagedLookasideList"] {
            assert_eq!(classify(name), Operation::Unknown, "{name}");
        }
    }
}
