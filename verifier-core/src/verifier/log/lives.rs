//! Whether the index of the pool log fits the records: a block is allocated, freed, allocated again.
//!
//! An index that is wrong cuts the ring in the wrong place, and so joins the newest records to the oldest:
//! each block with records on both sides of the seam may then be allocated twice, or freed twice, without
//! the other in between. Such pairs also exist in a log that is right (not every free of every kind of
//! block is logged), but they are not all around one place. So the log is contradicted only if most of the
//! pairs vanish once the ring is cut elsewhere, and if they are much more frequent there.
//!
//! Of a long log a sample of addresses is enough, each with all its records.

use super::operation::Operation;
use crate::addr::Va;

/// About as many records are compared; a longer log is sampled.
const SAMPLE: u32 = 0x1000;
/// At most as many records are compared.
const MOST_RECORDS: usize = 0x1_0000;
/// Pairs that must vanish for the index to be wrong.
const FEWEST_PAIRS: i64 = 5;

/// A record of a sampled block. Its age is the number of slots that are newer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Life {
    block: Va,
    age: u32,
    is_free: bool,
}

/// The records of sampled blocks.
pub(super) struct Lives {
    mask: u64,
    records: Vec<Life>,
}

/// Contradictory pairs of records, and where the ring would have to be cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct WrongIndex {
    /// Pairs that contradict the index.
    pub(super) pairs: i64,
    /// Pairs that would contradict it if the record of that age were the newest.
    pub(super) best: i64,
    pub(super) age: u32,
}

impl Lives {
    pub(super) fn new(length: u32) -> Self {
        let one_of = length.div_ceil(SAMPLE).next_power_of_two();
        Self { mask: u64::from(one_of) - 1, records: Vec::new() }
    }

    /// True of a block whose records are wanted.
    #[inline]
    pub(super) fn wants(&self, block: Va) -> bool {
        let mixed = block.0.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
        mixed & self.mask == 0 && !block.is_null() && self.records.len() < MOST_RECORDS
    }

    pub(super) fn push(&mut self, block: Va, age: u32, operation: Operation) {
        let is_free = match operation {
            Operation::Allocate => false,
            Operation::Free => true,
            Operation::Failed | Operation::Unknown => return,
        };
        self.records.push(Life { block, age, is_free });
    }

    /// Whether the index is wrong. Every slot of the log was read and holds a record.
    pub(super) fn wrong_index(mut self) -> Option<WrongIndex> {
        if self.records.len() >= MOST_RECORDS {
            return None;
        }
        self.records.sort_unstable();
        // Neighbors of one block: the younger and the older record, and whether they contradict each other.
        let pairs: Vec<(u32, u32, bool)> = self
            .records
            .windows(2)
            .filter_map(|both| match both {
                [one, next] if one.block == next.block => {
                    Some((one.age, next.age, one.is_free == next.is_free))
                }
                _ => None,
            })
            .collect();
        let wrong = pairs.iter().filter(|pair| pair.2).count() as i64;
        if wrong < FEWEST_PAIRS {
            return None;
        }
        let (gain, age) = best_cut(self.steps(&pairs))?;
        // How frequent wrong pairs are across that cut, and elsewhere.
        let across = pairs.iter().filter(|&&(young, old, _)| young < age && age <= old);
        let (here, wrong_here) =
            across.fold((0i64, 0i64), |(all, wrong), pair| (all + 1, wrong + i64::from(pair.2)));
        let elsewhere = pairs.len() as i64 - here;
        let is_crowd = wrong_here.saturating_mul(elsewhere)
            >= 4 * (wrong - wrong_here + 1).saturating_mul(here);
        (gain >= FEWEST_PAIRS && gain * 2 >= wrong && is_crowd).then_some(WrongIndex {
            pairs: wrong,
            best: wrong - gain,
            age,
        })
    }

    /// Where the gain of cutting the ring before a record of some age changes, and by how much. Cut inside a
    /// wrong pair it vanishes. But then the newest and the oldest record of each block become a pair, if
    /// both are on the same side of the seam.
    fn steps(&self, pairs: &[(u32, u32, bool)]) -> Vec<(u32, i64)> {
        let mut steps = Vec::new();
        for &(young, old, _) in pairs.iter().filter(|pair| pair.2) {
            steps.extend([(young + 1, 1), (old + 1, -1)]);
        }
        for records in self.records.chunk_by(|one, next| one.block == next.block) {
            if let [newest, .., oldest] = records
                && newest.is_free == oldest.is_free
            {
                steps.extend([(newest.age + 1, -1), (oldest.age + 1, 1)]);
            }
        }
        steps.sort_unstable();
        steps
    }
}

/// The highest gain, and an age of it.
fn best_cut(steps: Vec<(u32, i64)>) -> Option<(i64, u32)> {
    let mut gain = 0;
    let mut best = None;
    for same in steps.chunk_by(|one, next| one.0 == next.0) {
        let &(age, _) = same.first()?;
        gain += same.iter().map(|step| step.1).sum::<i64>();
        if best.is_none_or(|(most, _)| gain > most) {
            best = Some((gain, age));
        }
    }
    best
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    /// Blocks that are allocated and freed in turn, some with long lives; as many records as slots.
    fn log(slots: u32) -> Vec<(Va, bool)> {
        let mut is_held = [false; 97];
        (0..slots)
            .map(|i| {
                let mixed = (u64::from(i) + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
                let block = ((mixed ^ (mixed >> 29)).wrapping_mul(0xbf58_476d) >> 20) as usize % 97;
                let was_held = std::mem::replace(is_held.get_mut(block).unwrap(), true);
                *is_held.get_mut(block).unwrap() = !was_held;
                (Va(0xffff_8000_0000_0000 + block as u64 * 0x100), was_held)
            })
            .collect()
    }

    /// What is found if the newest record is taken to be `by` slots from where it is.
    fn moved(log: &[(Va, bool)], by: usize) -> Option<WrongIndex> {
        let mut lives = Lives::new(log.len() as u32);
        let (newer, older) = log.split_at(log.len() - by);
        for (age, &(block, is_free)) in newer.iter().rev().chain(older.iter().rev()).enumerate() {
            if lives.wants(block) {
                let operation = if is_free { Operation::Free } else { Operation::Allocate };
                lives.push(block, age as u32, operation);
            }
        }
        lives.wrong_index()
    }

    #[test]
    fn an_index_that_is_wrong_is_found_and_where_the_newest_record_is() {
        let log = log(0x400);
        assert_eq!(moved(&log, 0), None);
        for by in [0x80, 0x200, 0x300] {
            let wrong = moved(&log, by).unwrap();
            assert!(wrong.pairs >= 10 && wrong.best == 0, "{by:#x}: {wrong:?}");
            assert!(wrong.age.abs_diff(0x400 - by as u32) <= 16, "{by:#x}: {wrong:?}");
        }
    }

    /// Frees that are not logged, at random or of a kind of block, make wrong pairs all over.
    #[test]
    fn frees_that_are_not_logged_do_not_make_the_index_wrong() {
        let log = log(0x1000);
        for (one_of, step) in [(2, 1), (5, 1), (50, 7), (100, 3)] {
            let kept = log
                .iter()
                .enumerate()
                .filter(|(i, (_, is_free))| !is_free || (i.wrapping_mul(step) >> 2) % one_of != 0);
            let kept: Vec<(Va, bool)> = kept.map(|(_, &record)| record).collect();
            assert_eq!(moved(&kept, 0), None, "one of {one_of}");
        }
        let without: Vec<(Va, bool)> = log
            .iter()
            .filter(|(block, is_free)| !is_free || block.0 & 0xf00 != 0)
            .copied()
            .collect();
        assert_eq!(moved(&without, 0), None);
    }
}
