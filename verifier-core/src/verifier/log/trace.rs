//! `_VF_POOL_TRACE`: what the bytes of a slot of the pool log hold, if nothing but the bytes says so; and the one
//! decoder of its records, for those of the ring and for those that were carved.

use super::operation::{Classifier, FRAMES_TO_CLASSIFY, Operation};
use super::stacks::{Stack, Stacks};
use crate::addr::Va;
use crate::error::Error;
use crate::kernel::Kernel;
use crate::types::{Field, StackField, TypeSource};

/// What a slot holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::verifier) enum Slot {
    /// Zeros.
    Unused,
    /// A record whose stack starts in an image.
    Record,
    /// A record without a stack, which may be anything else.
    Bare,
    /// Something else.
    Other,
    /// Its page is absent.
    Absent,
}

/// The numbers of a slot, and its first frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::verifier) struct Header {
    pub(in crate::verifier) block: Va,
    pub(in crate::verifier) size: u64,
    pub(in crate::verifier) thread: Va,
    pub(in crate::verifier) first: Va,
}

impl Header {
    /// False of a slot that was never used.
    #[inline]
    pub(in crate::verifier) fn is_written(&self) -> bool {
        !self.block.is_null() || self.size != 0 || !self.thread.is_null()
    }
}

/// Fields of `_VF_POOL_TRACE`, resolved once.
pub(in crate::verifier) struct Trace {
    address: Field,
    size: Field,
    thread: Field,
    pub(in crate::verifier) stack: StackField,
    pub(in crate::verifier) stride: usize,
}

impl Trace {
    pub(in crate::verifier) fn resolve(types: &dyn TypeSource) -> Result<Self, Error> {
        let name = "_VF_POOL_TRACE";
        let stack = StackField::resolve(types, name, "StackTrace")?;
        let stride = types.size_of(name)?;
        if !(0x20..=0x1000).contains(&stride) {
            let path = "StackTrace[]".into();
            return Err(Error::MissingField { type_name: name.into(), path });
        }
        Ok(Self {
            address: types.field(name, "Address")?,
            size: types.field(name, "Size")?,
            thread: types.field(name, "Thread")?,
            stack,
            stride: stride as usize,
        })
    }

    /// The numbers of a slot, and its first frame.
    #[inline]
    pub(in crate::verifier) fn header(&self, record: &[u8]) -> Header {
        let number = |field: &Field| field.get(record).unwrap_or(0);
        Header {
            block: Va(number(&self.address)),
            size: number(&self.size),
            thread: Va(number(&self.thread)),
            first: self.stack.first(record),
        }
    }

    /// Adds the stack of a record to `stacks`, and finds out what happened to its block.
    pub(super) fn decode(
        &self,
        record: &[u8],
        block: Va,
        classifier: &mut Classifier<'_>,
        stacks: &mut Stacks,
    ) -> (Operation, Stack) {
        let stack = stacks.push(&self.stack, record);
        let operation = match block.is_null() {
            true => Operation::Failed,
            false => classifier.operation(stacks.get(stack)),
        };
        (operation, stack)
    }

    /// The frames by which an operation is classified; nulls after the last one.
    pub(super) fn top(&self, record: &[u8]) -> [Va; FRAMES_TO_CLASSIFY] {
        let mut top = [Va(0); FRAMES_TO_CLASSIFY];
        for (to, frame) in top.iter_mut().zip(self.stack.frames(record)) {
            *to = frame;
        }
        top
    }

    /// True of the bytes of a record whose stack starts in an image.
    pub(super) fn is_record(&self, kernel: &Kernel, record: &[u8]) -> bool {
        self.slot(kernel, record) == Slot::Record
    }

    /// What the bytes of a slot are.
    pub(in crate::verifier) fn slot(&self, kernel: &Kernel, record: &[u8]) -> Slot {
        let space = kernel.space();
        let header = self.header(record);
        let Header { size, thread, first, .. } = header;
        if !header.is_written() {
            return if first.is_null() { Slot::Unused } else { Slot::Other };
        }
        // Threads are aligned to 8 bytes at least; nobody asks for a tebibyte.
        if !space.is_kernel(thread) || thread.0 % 8 != 0 || size == 0 || size >= 1 << 40 {
            return Slot::Other;
        }
        if first.is_null() {
            return Slot::Bare;
        }
        let modules = kernel.modules();
        let in_image = modules.find(first).is_some() || modules.find_unloaded(first).is_some();
        if in_image { Slot::Record } else { Slot::Other }
    }
}
