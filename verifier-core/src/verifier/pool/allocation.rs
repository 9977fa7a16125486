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
    /// The driver's list of contiguous memory, which is not pool: it has no tag.
    Contiguous,
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
            Source::Contiguous => "contiguous",
            Source::PoolInfo { .. } => "pool info tree",
        }
    }

    /// How the driver was told, where the source does not say it.
    #[must_use]
    pub fn told_by(self) -> Option<ToldBy> {
        match self {
            Source::Tracker | Source::Carved | Source::Contiguous => None,
            Source::PoolInfo { told_by, .. } => told_by,
        }
    }
}

/// What keeps an allocation from being as its entry says. The entry is damaged, or another one is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Impossible {
    /// Its address is outside the kernel's half of the address space.
    Address,
    /// It would end past the address space, or is larger than all that its driver holds.
    Size,
    /// Another entry has the same address.
    Twice,
    /// It overlaps the block of another entry.
    Overlap,
    /// No image, loaded or unloaded, holds its caller.
    Caller,
}

impl Impossible {
    /// The words in JSON, CSV and text.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Impossible::Address => "address outside the kernel",
            Impossible::Size => "size too large",
            Impossible::Twice => "same block as another entry",
            Impossible::Overlap => "overlaps another block",
            Impossible::Caller => "caller in no image",
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
    /// `Tag`. Zero for a block of the tree whose stack cannot be read, and for contiguous memory; see
    /// [`pool_tag`](Self::pool_tag).
    pub tag: PoolTag,
    /// `CallingAddress`: where the driver asked for it. Of the tree a frame of the stack, null where there
    /// is none.
    pub caller: Va,
    /// Where the entry itself lies: a slot of a page, an element of the tree, a node of the list.
    pub entry: Va,
    /// Where it is from.
    pub source: Source,
    /// Why it cannot be as its entry says, if something contradicts the entry.
    pub impossible: Option<Impossible>,
}

impl Allocation {
    /// Its tag; `None` for what is not pool.
    #[must_use]
    pub fn pool_tag(&self) -> Option<PoolTag> {
        (self.source != Source::Contiguous).then_some(self.tag)
    }
}
