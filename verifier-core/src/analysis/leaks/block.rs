//! An outstanding allocation with what the log and the pool info tree say of it.

use super::NoStack;
use crate::addr::Va;
use crate::analysis::pool_kind::PoolKind;
use crate::describe::names;
use crate::verifier::log::Operation;
use crate::verifier::{Allocation, Source};

/// A stack of [`Leaks`](super::Leaks): blocks with equal frames have the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StackId(pub(in crate::analysis) u32);

/// Where a block's stack is from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum StackSource {
    /// The newest record of its address in the pool log.
    Log,
    /// The pool info tree.
    PoolInfo,
}

names! {
    /// The words in JSON and text.
    StackSource {
        Log => "pool log",
        PoolInfo => "pool info tree",
    }
}

/// What the log says of a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RecordOf {
    /// The record's slot.
    pub slot: u32,
    /// [`Operation::Allocate`], or [`Operation::Unknown`] where its frames do not say; of a block
    /// whose newest record is a free, [`Operation::Free`].
    pub operation: Operation,
    /// `Size`: for an allocation what the driver asked for.
    pub size: u64,
    /// `Thread`.
    pub thread: Va,
}

/// An outstanding allocation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Block {
    /// Whose it is: index in [`Leaks::drivers`](super::Leaks::drivers).
    pub driver: usize,
    /// The tracking entry.
    pub allocation: Allocation,
    /// Paged or nonpaged, where it can be told.
    pub kind: PoolKind,
    /// The newest record of its address.
    pub record: Option<RecordOf>,
    /// Its stack, or why it has none.
    pub stack: Result<StackId, NoStack>,
    /// Where the stack is from.
    pub stack_source: Option<StackSource>,
}

impl Block {
    /// What was asked for, if it is known: the tree and the list of contiguous memory keep it, the log does
    /// if it has the allocation.
    #[must_use]
    pub fn requested(&self) -> Option<u64> {
        match self.allocation.source {
            Source::PoolInfo { .. } | Source::Contiguous => Some(self.allocation.size),
            Source::Tracker | Source::Carved => self.made().map(|record| record.size),
        }
    }

    /// True for contiguous memory, which is not from a pool.
    #[must_use]
    pub fn is_contiguous(&self) -> bool {
        self.allocation.source == Source::Contiguous
    }

    /// The record of its allocation.
    #[must_use]
    pub fn made(&self) -> Option<RecordOf> {
        self.record.filter(|record| self.stack.is_ok() && record.operation != Operation::Free)
    }
}
