//! `_VF_POOL_TRACE`: what the bytes of a slot of the pool log are, where nothing but the bytes says so.

use crate::addr::Va;
use crate::bytes::le;
use crate::error::Error;
use crate::kernel::Kernel;
use crate::types::{Field, TypeSource};

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
    pub(in crate::verifier) address: Field,
    pub(in crate::verifier) size: Field,
    pub(in crate::verifier) thread: Field,
    pub(in crate::verifier) stack: usize,
    pub(in crate::verifier) frames: usize,
    pub(in crate::verifier) frame_size: usize,
    pub(in crate::verifier) stride: usize,
}

impl Trace {
    pub(in crate::verifier) fn resolve(types: &dyn TypeSource) -> Result<Self, Error> {
        let name = "_VF_POOL_TRACE";
        let stack = types.field(name, "StackTrace")?;
        let missing =
            || Error::MissingField { type_name: name.into(), path: "StackTrace[]".into() };
        let (frames, frame_size) = stack.elements().ok_or_else(missing)?;
        let stride = types.size_of(name)?;
        if !(0x20..=0x1000).contains(&stride) || frame_size == 0 {
            return Err(missing());
        }
        Ok(Self {
            address: types.field(name, "Address")?,
            size: types.field(name, "Size")?,
            thread: types.field(name, "Thread")?,
            stack: stack.offset as usize,
            frames,
            frame_size,
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
            first: Va(le(record, self.stack, self.frame_size).unwrap_or(0)),
        }
    }

    /// The frames of a record up to the first null.
    pub(in crate::verifier) fn stack<'b>(&self, record: &'b [u8]) -> impl Iterator<Item = Va> + 'b {
        let size = self.frame_size;
        let raw = record.get(self.stack..).unwrap_or_default();
        raw.chunks_exact(size)
            .take(self.frames)
            .map(move |frame| Va(le(frame, 0, size).unwrap_or(0)))
            .take_while(|frame| !frame.is_null())
    }

    /// True of the bytes of a record whose stack starts in an image.
    pub(super) fn is_record(&self, kernel: &Kernel, record: &[u8]) -> bool {
        self.slot(kernel, record) == Slot::Record
    }

    /// What the bytes of a slot are.
    pub(in crate::verifier) fn slot(&self, kernel: &Kernel, record: &[u8]) -> Slot {
        let space = kernel.space();
        let header = self.header(record);
        let Header { size, thread, .. } = header;
        let first = self.stack(record).next();
        if !header.is_written() {
            return if first.is_none() { Slot::Unused } else { Slot::Other };
        }
        // Threads are aligned to 8 bytes at least; nobody asks for a tebibyte.
        if !space.is_kernel(thread) || thread.0 % 8 != 0 || size == 0 || size >= 1 << 40 {
            return Slot::Other;
        }
        match first {
            None => Slot::Bare,
            Some(frame) => {
                let modules = kernel.modules();
                let in_image =
                    modules.find(frame).is_some() || modules.find_unloaded(frame).is_some();
                if in_image { Slot::Record } else { Slot::Other }
            }
        }
    }
}
