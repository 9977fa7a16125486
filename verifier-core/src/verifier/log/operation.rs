//! What happened to a block: the names of the kernel's frames say it; the record does not.

use std::collections::HashMap;

use crate::addr::Va;
use crate::describe::names;
use crate::kernel::{Kernel, SymbolSource};
use crate::verifier::drivers::is_kernel_or_verifier;

/// Leading frames that are read for the operation.
pub(super) const FRAMES_TO_CLASSIFY: usize = 8;

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

names! {
    /// The name in JSON and CSV.
    Operation {
        Allocate => "allocate",
        Free => "free",
        Failed => "failed",
        Unknown => "unknown",
    }
}

/// Finds operations by stacks. The same few addresses are on top of thousands of stacks, so a small table by
/// address answers for most of them without hashing.
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
        self.first_known(stack).map_or(Operation::Unknown, |(operation, _)| operation)
    }

    /// False if the stack says that the record is not of a mapping of locked pages: only such a mapping may
    /// have an address of user space.
    pub(super) fn may_map(&mut self, stack: &[Va]) -> bool {
        self.first_known(stack).is_none_or(|(_, maps)| maps)
    }

    /// What the first frame with a known name says: the operation, and whether it maps locked pages.
    fn first_known(&mut self, stack: &[Va]) -> Option<(Operation, bool)> {
        for &frame in stack.iter().take(FRAMES_TO_CLASSIFY) {
            match self.says(frame) {
                FrameSays::Operation { operation, maps } => return Some((operation, maps)),
                FrameSays::Nothing => {}
                FrameSays::Outside => break,
            }
        }
        None
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
    Operation {
        operation: Operation,
        /// Whether it maps or unmaps locked pages.
        maps: bool,
    },
    /// A frame of the kernel or of Verifier without a known name.
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
    let name = name.as_deref().unwrap_or_default();
    match classify(name) {
        Operation::Unknown => FrameSays::Nothing,
        operation => FrameSays::Operation { operation, maps: name.contains("apLockedPages") },
    }
}

/// What the name of a kernel or Verifier function says of a record.
///
/// The rule for a record: if its address is null, the allocation failed. Otherwise its frames are read from the
/// innermost one, as long as they are in the kernel or in `VerifierExt`, at most eight; the first
/// whose name this function knows decides. A stack that starts in a driver (the two innermost frames
/// are skipped when it is captured, which on some paths is all of Verifier) says nothing.
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
    fn the_name_of_a_function_shows_the_operation() {
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
