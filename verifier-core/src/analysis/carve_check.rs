//! Carved allocations compared with those that the lists lead to.

use std::collections::HashMap;

use crate::addr::Va;
use crate::verifier::{Allocation, CarvedPool, PoolReport, Source};

/// Carved allocations compared with those of the lists.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Comparison {
    /// Allocations that both have.
    pub both: usize,
    /// Allocations of the lists that were not carved, with their driver.
    pub only_listed: Vec<(String, Allocation)>,
    /// Carved allocations that no list leads to: index of the owner and of the allocation.
    pub only_carved: Vec<(usize, usize)>,
}

impl CarvedPool {
    /// Compares carved allocations with those that the lists lead to.
    #[must_use]
    pub fn compare(&self, listed: &PoolReport) -> Comparison {
        type Key = (Va, u64, Va);
        let mut carved: HashMap<Key, Vec<(usize, usize)>> = HashMap::new();
        for (i, owner) in self.owners.iter().enumerate() {
            for (j, allocation) in owner.allocations.iter().enumerate() {
                let key = (allocation.address, allocation.size, allocation.caller);
                carved.entry(key).or_default().push((i, j));
            }
        }
        let mut comparison = Comparison::default();
        for pool in &listed.drivers {
            // Allocations with the source `Carved` are in no list.
            let in_lists = pool.allocations.iter().filter(|one| one.source != Source::Carved);
            for allocation in in_lists {
                let key = (allocation.address, allocation.size, allocation.caller);
                match carved.get_mut(&key).and_then(Vec::pop) {
                    Some(_) => comparison.both += 1,
                    None => comparison.only_listed.push((pool.driver.name.clone(), *allocation)),
                }
            }
        }
        comparison.only_carved = carved.into_values().flatten().collect();
        comparison.only_carved.sort_unstable();
        comparison
    }
}
