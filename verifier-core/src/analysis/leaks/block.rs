//! An outstanding allocation with what the log and the pool info tree say about it.

use super::NoStack;
use crate::addr::Va;
use crate::analysis::pool_kind::PoolKind;
use crate::describe::names;
use crate::verifier::log::Operation;
use crate::verifier::{Allocation, Source};

/// A stack of [`Leaks`](super::Leaks): blocks with equal frames have the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StackId(pub(in crate::analysis) u32);

/// The source of a block's stack.
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

/// What the log says about a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct RecordOf {
    /// The record's slot.
    pub slot: u32,
    /// [`Operation::Allocate`], or [`Operation::Unknown`] if its frames do not say; [`Operation::Free`] if the
    /// newest record of the block is a free.
    pub operation: Operation,
    /// `Size`: for an allocation, the size that the driver requested.
    pub size: u64,
    /// `Thread`.
    pub thread: Va,
}

/// An outstanding allocation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Block {
    /// Its driver: index in [`Leaks::drivers`](super::Leaks::drivers).
    pub driver: usize,
    /// The tracking entry.
    pub allocation: Allocation,
    /// Paged or nonpaged, if that is known.
    pub kind: PoolKind,
    /// The newest record of its address.
    pub record: Option<RecordOf>,
    /// Its stack, or why it has none.
    pub stack: Result<StackId, NoStack>,
    /// The source of the stack.
    pub stack_source: Option<StackSource>,
    /// Whether a baseline lists it ([`Leaks::mark_known`](super::Leaks::mark_known)).
    pub is_known: bool,
}

impl Block {
    /// The size that was requested, if it is known: from the tree, the list of contiguous memory, or the log's
    /// record of the allocation.
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
