//! `DumpType` 1: the pages of the runs, one after the other, after the header.

use super::HeaderInfo;
use crate::physical::{PAGE_SIZE, PhysicalMemory};

/// Runs of consecutive frames. The smallest gaps are filled with zero pages until the runs fit in the header.
fn runs_of(memory: &PhysicalMemory, limit: usize) -> Vec<(u64, u64)> {
    let mut runs: Vec<(u64, u64)> = Vec::new();
    for (pfn, _) in memory.pages() {
        match runs.last_mut() {
            Some((base, count)) if *base + *count == pfn => *count += 1,
            _ => runs.push((pfn, 1)),
        }
    }
    while runs.len() > limit {
        let gap = |i: usize| runs[i + 1].0 - (runs[i].0 + runs[i].1);
        let least = (0..runs.len() - 1).min_by_key(|&i| gap(i)).expect("more than one run");
        let next = runs.remove(least + 1);
        runs[least].1 = next.0 + next.1 - runs[least].0;
    }
    runs
}

pub(super) fn write(header: &HeaderInfo, memory: &PhysicalMemory) -> Vec<u8> {
    let runs = runs_of(memory, if header.size() == 0x2000 { 42 } else { 86 });
    let pages: u64 = runs.iter().map(|run| run.1).sum();
    let length = header.size() as u64 + pages * PAGE_SIZE as u64;
    let mut file = header.render(1, Some(&runs), length);
    for (base, count) in runs {
        for pfn in base..base + count {
            file.extend_from_slice(memory.page(pfn).unwrap_or(&[0; PAGE_SIZE]));
        }
    }
    file
}
