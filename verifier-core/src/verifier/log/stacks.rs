//! The stacks of a log's records, one after the other: no allocation for each record.

use crate::addr::Va;
use crate::types::StackField;

/// Where a record's frames are in [`Stacks`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stack {
    start: u32,
    end: u32,
}

/// The frames of all records.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Stacks(Vec<Va>);

impl Stacks {
    pub(super) fn reserve(&mut self, frames: usize) {
        self.0.reserve(frames);
    }

    /// Adds a record's stack.
    #[inline]
    pub(super) fn push(&mut self, field: &StackField, record: &[u8]) -> Stack {
        let start = self.0.len();
        let &StackField { count, size, .. } = field;
        if size == 8 {
            // All frames are copied, and the same pass finds out whether one is null: the top bit of
            // !x & (x - 1) is set for null alone. Without a test for each frame the pass runs as wide as
            // the machine allows; most stacks of a busy log are full.
            let (quads, _) = field.raw(record).as_chunks::<8>();
            let quads = quads.get(..count).unwrap_or(quads);
            let mut null = 0u64;
            self.0.extend(quads.iter().map(|quad| {
                let frame = u64::from_le_bytes(*quad);
                null |= !frame & frame.wrapping_sub(1);
                Va(frame)
            }));
            if null >> 63 == 1 {
                let stack = self.0.get(start..).unwrap_or_default();
                let end = stack.iter().position(|frame| frame.is_null()).unwrap_or(stack.len());
                self.0.truncate(start + end);
            }
        } else {
            self.0.extend(field.frames(record));
        }
        self.since(start)
    }

    /// Adds a stack of another set.
    pub(super) fn copy(&mut self, frames: &[Va]) -> Stack {
        let start = self.0.len();
        self.0.extend_from_slice(frames);
        self.since(start)
    }

    fn since(&self, start: usize) -> Stack {
        let at = |frames| u32::try_from(frames).unwrap_or(u32::MAX);
        Stack { start: at(start), end: at(self.0.len()) }
    }

    pub(super) fn get(&self, stack: Stack) -> &[Va] {
        self.0.get(stack.start as usize..stack.end as usize).unwrap_or_default()
    }

    pub(super) fn all(&self) -> &[Va] {
        &self.0
    }
}
