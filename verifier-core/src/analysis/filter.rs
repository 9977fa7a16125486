//! What outstanding allocations were filtered by, so that nobody takes the rest for all.

use super::leaks::Total;
use super::pool_kind::PoolKind;

/// Filters, and what they left out. What is `None` filtered nothing.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Filter {
    /// The driver whose blocks alone were read.
    pub driver: Option<String>,
    /// The pool tag, perhaps with `?` and `*`.
    pub tag: Option<String>,
    /// The smallest size.
    pub min_size: Option<u64>,
    /// The largest size.
    pub max_size: Option<u64>,
    /// The pool.
    pub pool: Option<PoolKind>,
    /// Which functions are wrappers, whose frames are dropped.
    pub skip: Option<String>,
    /// All blocks: those of the driver, where one is named.
    pub all: Total,
    /// Blocks that were left out for nothing tells their pool; all else of them fits.
    pub undetermined: u64,
    /// How many of the blocks' stacks have lost frames to [`skip`](Self::skip).
    pub stacks_skipped: usize,
    /// How many stacks the blocks have.
    pub stacks: usize,
}

impl Filter {
    /// True where blocks of the drivers that were read may be left out.
    #[must_use]
    pub fn is_narrow(&self) -> bool {
        self.tag.is_some()
            || self.min_size.is_some()
            || self.max_size.is_some()
            || self.pool.is_some()
    }
}
