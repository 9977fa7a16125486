//! Allocations and frees of the pool log, by the function that allocated.

use std::cmp::Reverse;
use std::collections::HashMap;

use super::group::function;
use crate::addr::Va;
use crate::kernel::Kernel;
use crate::verifier::is_kernel_or_verifier;
use crate::verifier::log::{Operation, Order, PoolLog, PoolRecord};

/// What one function allocated while the log was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct FunctionChurn {
    /// The start of the first function of the stack that is outside the kernel and Verifier, or the frame
    /// itself if no symbol names it; `None` if all frames are inside.
    pub function: Option<Va>,
    /// Allocations.
    pub allocations: u64,
    /// The sum of the sizes that they asked for.
    pub bytes: u64,
    /// Of the allocations, how many the log shows being freed.
    pub freed: u64,
    /// Allocations that failed.
    pub failed: u64,
    /// How long the freed blocks lived; `None` if none was freed.
    pub lifetime: Option<Lifespan>,
}

/// How long blocks lived, in records of the log from the allocation to the free: a record has no time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Lifespan {
    /// The shortest life.
    pub shortest: u32,
    /// The median; the lower one of two.
    pub median: u32,
    /// The longest life.
    pub longest: u32,
}

/// Allocations and frees of the pool log, by the function that allocated.
///
/// A free belongs to the newest allocation of its block before it. Frees of blocks whose allocation is not in
/// the log are counted without a function. A record of unknown operation counts as an allocation, as in all
/// views; impossible records do not count.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Churn {
    /// The functions, the most freed blocks first.
    pub functions: Vec<FunctionChurn>,
    /// Frees whose allocation is not in the log.
    pub unmatched_frees: u64,
}

/// The lives of the blocks of one function.
struct Tally {
    of: FunctionChurn,
    lives: Vec<u32>,
}

impl Churn {
    /// Pairs the allocations of a log with the frees that followed. `None` if the order of the records is
    /// unknown.
    #[must_use]
    pub fn of_log(kernel: &Kernel, log: &PoolLog) -> Option<Self> {
        if log.ring.order() != Order::NewestFirst {
            return None;
        }
        let mut churn = Self::default();
        let mut functions = Functions::new(kernel);
        let mut tallies: Vec<Tally> = Vec::new();
        let mut places: HashMap<Option<Va>, usize> = HashMap::new();
        // The slot and the place of the function of each block that is held.
        let mut open: HashMap<Va, (u32, usize)> = HashMap::new();
        for record in log.records.iter().rev().filter(|record| record.impossible.is_none()) {
            if record.operation == Operation::Free {
                let Some((slot, place)) = open.remove(&record.address) else {
                    churn.unmatched_frees += 1;
                    continue;
                };
                let life = newer(record, slot, log.ring.length);
                if let Some(tally) = tallies.get_mut(place) {
                    tally.of.freed += 1;
                    tally.lives.push(life);
                }
                continue;
            }
            let function = functions.of_stack(log.frames(record));
            let place = *places.entry(function).or_insert(tallies.len());
            if place == tallies.len() {
                tallies.push(Tally::new(function));
            }
            let Some(Tally { of, .. }) = tallies.get_mut(place) else { continue };
            if record.operation == Operation::Failed {
                of.failed += 1;
                continue;
            }
            of.allocations += 1;
            of.bytes = of.bytes.saturating_add(record.size);
            open.insert(record.address, (record.slot, place));
        }
        churn.functions = tallies.into_iter().map(Tally::finish).collect();
        churn.functions.sort_by_key(|of| (Reverse(of.freed), Reverse(of.allocations), of.function));
        Some(churn)
    }
}

impl Tally {
    fn new(function: Option<Va>) -> Self {
        let of = FunctionChurn {
            function,
            allocations: 0,
            bytes: 0,
            freed: 0,
            failed: 0,
            lifetime: None,
        };
        Self { of, lives: Vec::new() }
    }

    fn finish(mut self) -> FunctionChurn {
        self.lives.sort_unstable();
        let middle = self.lives.len().saturating_sub(1) / 2;
        let lifetime = match (self.lives.first(), self.lives.get(middle), self.lives.last()) {
            (Some(&shortest), Some(&median), Some(&longest)) => {
                Some(Lifespan { shortest, median, longest })
            }
            _ => None,
        };
        FunctionChurn { lifetime, ..self.of }
    }
}

/// How many records `record` is newer than the one in `slot`.
fn newer(record: &PoolRecord, slot: u32, length: u32) -> u32 {
    if record.slot >= slot { record.slot - slot } else { record.slot + length.saturating_sub(slot) }
}

/// Functions of stacks, each frame resolved once.
struct Functions<'k> {
    kernel: &'k Kernel,
    /// The function of a frame; `None` for a frame of the kernel or of Verifier.
    known: HashMap<Va, Option<Va>>,
}

impl<'k> Functions<'k> {
    fn new(kernel: &'k Kernel) -> Self {
        Self { kernel, known: HashMap::new() }
    }

    fn of_stack(&mut self, frames: &[Va]) -> Option<Va> {
        frames.iter().find_map(|&va| {
            *self.known.entry(va).or_insert_with(|| {
                let is_outside = !is_kernel_or_verifier(self.kernel, va);
                is_outside.then(|| function(self.kernel, va))
            })
        })
    }
}
