//! How many blocks have a stack.

use std::cmp::Reverse;
use std::collections::HashMap;

use super::{Block, NoStack, StackSource};

/// A count of blocks and their bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Total {
    /// Blocks.
    pub count: u64,
    /// The sum of their sizes.
    pub bytes: u64,
}

impl Total {
    /// Adds one block.
    pub fn add(&mut self, bytes: u64) {
        self.count += 1;
        self.bytes = self.bytes.saturating_add(bytes);
    }

    /// The sum of both.
    pub(crate) fn and(self, other: Total) -> Total {
        Total { count: self.count + other.count, bytes: self.bytes.saturating_add(other.bytes) }
    }
}

/// How many blocks have a stack.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Coverage {
    /// All blocks.
    pub all: Total,
    /// Blocks with a stack.
    pub with_stack: Total,
    /// Of those, blocks with the stack of the pool info tree.
    pub from_tree: Total,
    /// Blocks without a stack whose record may not be their allocation.
    pub uncertain: u64,
    /// Blocks without a stack by reason, the most bytes first.
    pub without: Vec<(NoStack, Total)>,
}

impl Coverage {
    /// The coverage of these blocks.
    pub(super) fn of(blocks: &[Block]) -> Self {
        let mut coverage = Self::default();
        let mut without: HashMap<NoStack, Total> = HashMap::new();
        for block in blocks {
            let bytes = block.allocation.size;
            coverage.all.add(bytes);
            match block.stack {
                Ok(_) => {
                    coverage.with_stack.add(bytes);
                    if block.stack_source == Some(StackSource::PoolInfo) {
                        coverage.from_tree.add(bytes);
                    }
                }
                Err(why) => without.entry(why).or_default().add(bytes),
            }
            coverage.uncertain += u64::from(block.stack == Err(NoStack::Uncertain));
        }
        coverage.without = without.into_iter().collect();
        coverage.without.sort_by_key(|&(why, total)| (Reverse(total.bytes), why));
        coverage
    }

    /// How many blocks have the stack of the pool log.
    #[must_use]
    pub fn from_log(&self) -> u64 {
        self.with_stack.count.saturating_sub(self.from_tree.count)
    }
}
