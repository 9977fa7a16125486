//! An outstanding allocation, and its source.

use super::tag::PoolTag;
use crate::addr::Va;
use crate::describe::names;

/// How the driver of a stack was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum AttributedBy {
    /// A frame is in an image that Verifier verifies for the driver.
    Image,
    /// A frame is where an image of the driver's name was before it was unloaded.
    UnloadedImage,
}

names! {
    /// The words in JSON and text.
    AttributedBy {
        Image => "a frame in its image",
        UnloadedImage => "a frame in its unloaded image",
    }
}

/// Where an allocation is from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Source {
    /// A tracking page of its driver.
    Tracker,
    /// A tracking page too, but no tree or list leads to the driver or to the page: a search recognized it.
    Carved,
    /// The driver's list of contiguous memory, which is not pool: it has no tag.
    Contiguous,
    /// `ViPoolInfoAvl`.
    PoolInfo {
        /// Its stack: index in [`PoolInfo::stacks`](super::PoolInfo::stacks); `None` if that cannot be read.
        stack: Option<u32>,
        /// How its driver was found, if it was.
        attributed_by: Option<AttributedBy>,
    },
}

impl Source {
    /// Every name.
    pub const NAMES: [&'static str; 4] = ["tracker", "carved", "contiguous", "pool info tree"];

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

    /// How the driver was found, if the source itself does not name it.
    #[must_use]
    pub fn attributed_by(self) -> Option<AttributedBy> {
        match self {
            Source::Tracker | Source::Carved | Source::Contiguous => None,
            Source::PoolInfo { attributed_by, .. } => attributed_by,
        }
    }
}

/// Why an allocation cannot be as its entry says: this entry is damaged, or another one.
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

names! {
    /// The words in JSON, CSV and text.
    Impossible {
        Address => "address outside the kernel",
        Size => "size too large",
        Twice => "same block as another entry",
        Overlap => "overlaps another block",
        Caller => "caller in no image",
    }
}

/// An outstanding allocation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Allocation {
    /// `VirtualAddress`: the block.
    pub address: Va,
    /// `NumberOfBytes`; in the pool info tree the size that was asked for.
    pub size: u64,
    /// `Tag`. Zero for a block of the tree whose stack cannot be read, and for contiguous memory (see
    /// [`pool_tag`](Self::pool_tag)).
    pub tag: PoolTag,
    /// `CallingAddress`: where the driver asked for it. In the tree a frame of the stack, null if there is
    /// none.
    pub caller: Va,
    /// Where the entry itself is: a slot of a page, an element of the tree, a node of the list.
    pub entry: Va,
    /// Where it is from.
    pub source: Source,
    /// Why it cannot be as its entry says, if something contradicts the entry.
    pub impossible: Option<Impossible>,
}

impl Allocation {
    /// Its tag; `None` if it is not pool.
    #[must_use]
    pub fn pool_tag(&self) -> Option<PoolTag> {
        (self.source != Source::Contiguous).then_some(self.tag)
    }
}
