//! Which outstanding allocations a baseline knows.

use super::{Leaks, Total};
use crate::analysis::leak_key::LeakKey;

/// What a baseline says about outstanding allocations. [`Block::is_known`](super::Block::is_known) says of
/// each block whether it is known.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct KnownLeaks {
    /// The name of the baseline's file, set by the caller that opened it.
    pub file: Option<String>,
    /// The blocks that are known.
    pub known: Total,
    /// The others.
    pub new: Total,
    /// How many blocks more the baseline knows, which are not outstanding or could not be read.
    pub unused: u64,
    /// Leaks of the drivers that were read, of which no block is outstanding anymore. `None` if that is
    /// unknown, because the answer is not complete or a filter left blocks out.
    pub gone: Option<Vec<(LeakKey, Total)>>,
}

/// Which blocks a baseline knows.
#[derive(Debug)]
pub struct KnownBlocks {
    /// For each block of [`Leaks::blocks`](super::Leaks::blocks).
    pub(in crate::analysis) is_known: Vec<bool>,
    pub(in crate::analysis) known: KnownLeaks,
}

impl Leaks {
    /// Marks the blocks that a baseline knows; `found` must be of these leaks.
    pub fn mark_known(&mut self, found: KnownBlocks, file: Option<String>) {
        let KnownBlocks { is_known, mut known } = found;
        for (block, is_known) in self.blocks.iter_mut().zip(is_known) {
            block.is_known = is_known;
            let total = if is_known { &mut known.known } else { &mut known.new };
            total.add(block.allocation.size);
        }
        known.file = file;
        let is_narrow = self.filter.as_ref().is_some_and(|filter| filter.is_narrow());
        if is_narrow || !self.completeness().is_complete() {
            known.gone = None;
        }
        let is_read =
            |driver: &str| self.drivers.iter().any(|holder| holder.name.to_lowercase() == driver);
        known.gone.iter_mut().for_each(|gone| gone.retain(|(key, _)| is_read(&key.driver)));
        self.baseline = Some(Box::new(known));
    }

    /// The blocks that are not known: all, without a baseline.
    #[must_use]
    pub fn new_blocks(&self) -> Total {
        let mut total = Total::default();
        let new = self.blocks.iter().filter(|block| !block.is_known);
        new.for_each(|block| total.add(block.allocation.size));
        total
    }
}
