//! The filters of outstanding allocations, shown with the result so that nobody takes a part for the whole.

use super::leaks::Total;
use super::pool_kind::PoolKind;

/// Filters, and what they left out. A filter that is `None` was not set.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Filter {
    /// The only driver whose blocks were read.
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
    /// Leaks that are left out, by the patterns that name them.
    pub ignored: Vec<Ignored>,
    /// All blocks; only those of the driver if one is named.
    pub all: Total,
    /// Blocks that were left out because their pool is unknown; they pass all other filters.
    pub undetermined: u64,
    /// How many of the blocks' stacks have lost frames to [`skip`](Self::skip).
    pub stacks_skipped: usize,
    /// How many stacks the blocks have.
    pub stacks: usize,
}

/// Blocks that a pattern left out.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Ignored {
    /// The pattern.
    pub pattern: String,
    /// The blocks that it names, without those of the patterns before it.
    pub total: Total,
}

impl Filter {
    /// True if blocks of the drivers that were read may be left out.
    #[must_use]
    pub fn is_narrow(&self) -> bool {
        self.tag.is_some()
            || self.min_size.is_some()
            || self.max_size.is_some()
            || self.pool.is_some()
            || !self.ignored.is_empty()
    }
}
