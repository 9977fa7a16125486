//! An outstanding allocation, and where it is from.

use crate::addr::Va;
use crate::verifier::owner::ToldBy;
use crate::verifier::tag::PoolTag;

/// Where an allocation is from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Source {
    /// A tracking page of its driver.
    Tracker,
    /// The same, of a driver or on a page that no tree and no list leads to: it was found by what it is.
    Carved,
    /// `ViPoolInfoAvl`.
    PoolInfo {
        /// Its stack: index in [`PoolInfo::stacks`](super::PoolInfo::stacks); `None` where that cannot be read.
        stack: Option<u32>,
        /// How its driver was told, where it was.
        told_by: Option<ToldBy>,
    },
}

impl Source {
    /// The words in JSON and text.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Source::Tracker => "tracker",
            Source::Carved => "carved",
            Source::PoolInfo { .. } => "pool info tree",
        }
    }

    /// How the driver was told, where the source does not say it.
    #[must_use]
    pub fn told_by(self) -> Option<ToldBy> {
        match self {
            Source::Tracker | Source::Carved => None,
            Source::PoolInfo { told_by, .. } => told_by,
        }
    }
}

/// An outstanding allocation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Allocation {
    /// `VirtualAddress`: the block.
    pub address: Va,
    /// `NumberOfBytes`; of the pool info tree the size that was asked for.
    pub size: u64,
    /// `Tag`. Zero for a block of the tree whose stack cannot be read.
    pub tag: PoolTag,
    /// `CallingAddress`: where the driver asked for it. Of the tree a frame of the stack, null where there
    /// is none.
    pub caller: Va,
    /// Where the entry itself, or the element of the tree, lies.
    pub entry: Va,
    /// Where it is from.
    pub source: Source,
}
