//! The answer in three lines: how much is outstanding, which drivers hold it, which function made most of it.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::hash::Hash;

use super::group::function;
use super::grouping::{Grouping, line_of};
use super::leaks::{Leaks, Total};
use crate::addr::Va;
use crate::kernel::Kernel;

/// Who holds outstanding allocations.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Summary {
    /// All blocks.
    pub all: Total,
    /// Drivers that hold blocks, by their indexes in [`Leaks::drivers`], the most bytes first.
    pub drivers: Vec<(usize, Total)>,
    /// The function that made the blocks with the most bytes; `None` if no block has a line of code outside
    /// the kernel and Verifier.
    pub worst: Option<Worst>,
}

/// The function that made the blocks with the most bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Worst {
    /// The start of the function; the line of code itself if no symbol names it.
    pub function: Va,
    /// The blocks of all lines of the function.
    pub total: Total,
    /// The line of code of the function that made the most bytes, as a return address. Calls on one line of
    /// source code, inlined into the same lines, count together.
    pub site: Va,
    /// The blocks of that line.
    pub at_site: Total,
}

impl Summary {
    /// The summary of `leaks` as `grouping` shortens their stacks.
    #[must_use]
    pub fn new(kernel: &Kernel, leaks: &Leaks, grouping: &Grouping<'_>) -> Self {
        let mut all = Total::default();
        let mut drivers: HashMap<usize, Total> = HashMap::new();
        let mut sites: HashMap<Va, Total> = HashMap::new();
        for block in &leaks.blocks {
            let size = block.allocation.size;
            all.add(size);
            drivers.entry(block.driver).or_default().add(size);
            if let Some(site) = grouping.site(block) {
                sites.entry(site).or_default().add(size);
            }
        }
        let functions = sums(sites.iter().map(|(&va, &total)| (function(kernel, va), total)));
        let worst = most(&functions).map(|(start, total)| {
            let own = sites.into_iter().filter(|&(va, _)| function(kernel, va) == start);
            let (site, at_site) = worst_line(kernel, own.collect());
            Worst { function: start, total, site, at_site }
        });
        let mut drivers: Vec<(usize, Total)> = drivers.into_iter().collect();
        drivers.sort_by_key(|&(driver, total)| (Reverse(total.bytes), driver));
        Self { all, drivers, worst }
    }
}

/// The line with the most bytes, as its lowest address.
fn worst_line(kernel: &Kernel, mut sites: Vec<(Va, Total)>) -> (Va, Total) {
    sites.sort_by_key(|&(va, _)| va);
    let mut lines = HashMap::new();
    let mut first = |va| {
        let line = kernel.source_of_call(va).map(|site| line_of(&site));
        line.map_or(va, |line| *lines.entry(line).or_insert(va))
    };
    let totals = sums(sites.iter().map(|&(va, total)| (first(va), total)));
    most(&totals).unwrap_or_default()
}

fn sums<K: Hash + Eq>(parts: impl Iterator<Item = (K, Total)>) -> HashMap<K, Total> {
    let mut sums: HashMap<K, Total> = HashMap::new();
    for (key, total) in parts {
        let sum = sums.entry(key).or_default();
        *sum = sum.and(total);
    }
    sums
}

/// The key with the most bytes; the lowest key if several have as many.
fn most<K: Ord + Copy>(sums: &HashMap<K, Total>) -> Option<(K, Total)> {
    let most = sums.iter().max_by_key(|&(&key, total)| (total.bytes, total.count, Reverse(key)))?;
    Some((*most.0, *most.1))
}
