//! What the records of a pool log say about their order, without its index.
//!
//! The newest record of an outstanding block is its allocation, whose stack holds the caller that a tracking
//! entry or the pool info tree remembers. The newest record of any other block is a free. Allocations and
//! frees differ in their innermost frames, which alternate.

use std::collections::{BTreeMap, HashMap};

use super::trees::BlockTree;
use crate::addr::Va;
use crate::kernel::Kernel;
use crate::types::TypeSource;
use crate::verifier::drivers::{Recovered, Target};
use crate::verifier::log::{Header, Trace};
use crate::verifier::tracking::{PageBudget, Trackers};

/// Slots that are read between two checks whether to go on.
pub(super) const SLOTS_BETWEEN_LOOKS: u64 = 64;

/// Where outstanding blocks are found.
pub(super) struct Outstanding<'a> {
    /// Verified images.
    pub(super) images: &'a [Target],
    /// Finds their tracking pages if the lists of these are broken.
    pub(super) recovered: &'a Recovered<'a>,
    /// The pool info tree, if it has blocks.
    pub(super) tree: Option<&'a BlockTree<'a>>,
}

impl Outstanding<'_> {
    /// The callers of outstanding allocations by block.
    pub(super) fn callers(&self, kernel: &Kernel, types: &dyn TypeSource) -> HashMap<Va, Va> {
        let of_tree = self.tree.map(|tree| tree.callers(self.images));
        let mut callers = of_tree.unwrap_or_default();
        let Ok(trackers) = Trackers::resolve(types, kernel.space().machine()) else {
            return callers;
        };
        let pages = |data| self.recovered.pages_of(data);
        let mut budget = PageBudget::of(kernel);
        for (_, image) in self.images {
            let tracker = trackers.read(kernel, "", image.verified_data, &pages, &mut budget);
            callers.extend(tracker.in_use().map(|block| (block.address, block.caller)));
        }
        callers
    }
}

/// The records of one block: their slots, and whether each may be the newest.
pub(super) type Block = Vec<(u64, bool)>;

/// The candidate under which clearly fewer blocks have a wrong newest record than under any other, with the
/// numbers of blocks whose newest record is right and wrong.
pub(super) fn judge(
    candidates: &BTreeMap<u64, Va>,
    blocks: &[Block],
    mask: u64,
    stop: &dyn Fn() -> bool,
) -> Result<(Va, usize, usize), String> {
    let against = |newest: u64| {
        let age = |slot: u64| newest.wrapping_sub(slot) & mask;
        let wrong = |block: &&Block| {
            block.iter().min_by_key(|(slot, _)| age(*slot)).is_some_and(|&(_, right)| !right)
        };
        blocks.iter().filter(wrong).count()
    };
    let mut scores: Vec<(usize, Va)> =
        candidates.iter().take_while(|_| !stop()).map(|(&n, &at)| (against(n), at)).collect();
    scores.sort_unstable();
    let (best, at) = scores.first().copied().ok_or("no number is near the pointer")?;
    // A single candidate must agree with as many blocks as it could contradict.
    let next = scores.get(1).map_or(blocks.len(), |(next, _)| *next);
    if next < 2 * best + 3 {
        return Err(format!(
            "of {} that could decide, {best} contradict the best and {next} the next",
            blocks.len()
        ));
    }
    Ok((at, blocks.len() - best, best))
}

/// What records say about their order. Only blocks with both right and wrong records are kept.
pub(super) struct Order {
    /// Outstanding blocks: the newest record is the allocation that the tracker remembers.
    pub(super) outstanding: Vec<Block>,
    /// Other blocks: the newest record is a free.
    pub(super) freed: Vec<Block>,
}

/// Blocks that are followed through the ring.
const MOST_BLOCKS: u64 = 0x4_0000;

impl Order {
    pub(super) fn read(
        kernel: &Kernel,
        trace: &Trace,
        callers: &HashMap<Va, Va>,
        array: Va,
        used: impl Iterator<Item = u64>,
        length: u64,
    ) -> Self {
        // Of very long rings only every n-th block is read.
        let every = length.div_ceil(MOST_BLOCKS);
        let mut blocks: HashMap<Va, Vec<Event>> = HashMap::new();
        let mut events_left = 2 * MOST_BLOCKS;
        let mut record = vec![0u8; trace.stride];
        for slot in used {
            if slot.is_multiple_of(SLOTS_BETWEEN_LOOKS) && kernel.is_stopped() {
                break;
            }
            let at = array.add(slot * trace.stride as u64);
            if kernel.space().read(at, &mut record).is_err() {
                continue;
            }
            let Header { block, first: frame, .. } = trace.header(&record);
            let caller = callers.get(&block);
            if block.is_null() || (caller.is_none() && !(block.0 >> 4).is_multiple_of(every)) {
                continue;
            }
            events_left = match events_left {
                0 => break,
                left => left - 1,
            };
            let is_tracked =
                caller.is_some_and(|caller| trace.stack.frames(&record).any(|f| f == *caller));
            blocks.entry(block).or_default().push(Event { slot, frame, is_tracked });
        }
        blocks.retain(|_, events| events.len() > 1);
        let kinds = kinds(&blocks);
        let kind = |event: &Event| kinds.get(&event.frame).copied();
        // The records that the trackers know show which kind is allocations.
        let tracked = blocks.values().flatten().filter(|event| event.is_tracked).filter_map(kind);
        let lean = tracked.map(|kind| if kind { 1i64 } else { -1 }).sum::<i64>();
        let mut order = Self { outstanding: Vec::new(), freed: Vec::new() };
        for (block, events) in &blocks {
            if callers.contains_key(block) {
                order.outstanding.push(events.iter().map(|e| (e.slot, e.is_tracked)).collect());
            } else if lean != 0 {
                let records = events.iter().filter_map(|e| Some((e.slot, kind(e)? != (lean > 0))));
                order.freed.push(records.collect());
            }
        }
        for blocks in [&mut order.outstanding, &mut order.freed] {
            blocks.retain(|block| {
                block.iter().any(|&(_, right)| right) && block.iter().any(|&(_, right)| !right)
            });
        }
        order
    }
}

/// A record of a block.
struct Event {
    slot: u64,
    /// Its innermost frame.
    frame: Va,
    /// True if its stack holds the caller that a tracker remembers for the block.
    is_tracked: bool,
}

/// How many frames are given a kind: the most common ones.
const MOST_FRAMES: usize = 64;

/// The two kinds of innermost frames: allocations and frees of a block alternate, so frames that follow each
/// other are of different kinds. Which kind is which does not matter.
fn kinds(blocks: &HashMap<Va, Vec<Event>>) -> HashMap<Va, bool> {
    let mut pairs: HashMap<(Va, Va), i64> = HashMap::new();
    let mut common: BTreeMap<Va, usize> = BTreeMap::new();
    for pair in blocks.values().flat_map(|events| events.windows(2)) {
        if let [one, other] = pair {
            *pairs.entry((one.frame, other.frame)).or_default() += 1;
            *common.entry(one.frame).or_default() += 1;
            *common.entry(other.frame).or_default() += 1;
        }
    }
    let mut frames: Vec<(usize, Va)> = common.iter().map(|(&frame, &n)| (n, frame)).collect();
    frames.sort_unstable_by(|a, b| b.cmp(a));
    frames.truncate(MOST_FRAMES);
    let mut kinds: HashMap<Va, bool> = HashMap::new();
    // The next frame is the one that the known frames say most about.
    while kinds.len() < frames.len() {
        let vote = |frame: Va| {
            let against = |known: Va, kind: bool| {
                let count = |pair| pairs.get(&pair).copied().unwrap_or(0);
                let follows = count((known, frame)) + count((frame, known));
                if kind { -follows } else { follows }
            };
            kinds.iter().map(|(&known, &kind)| against(known, kind)).sum::<i64>()
        };
        let unknown = frames.iter().filter(|(_, frame)| !kinds.contains_key(frame));
        let Some((vote, frame)) = unknown
            .map(|&(_, frame)| (vote(frame), frame))
            .max_by_key(|(vote, frame)| (vote.abs(), common.get(frame).copied()))
        else {
            break;
        };
        if vote == 0 && !kinds.is_empty() {
            break;
        }
        kinds.insert(frame, vote >= 0);
    }
    kinds
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Blocks of an eight-slot ring whose newest slot is 5: each allocated (wrong) and then freed (right).
    fn freed() -> Vec<Block> {
        vec![
            vec![(6, false), (7, true)],
            vec![(0, false), (3, true)],
            vec![(1, false), (2, true)],
            vec![(7, false), (4, true)],
            vec![(0, false), (5, true)],
        ]
    }

    #[test]
    fn the_number_that_clearly_fits_is_taken() {
        let at = |rva| Va(0xffff_f800_0000_0000 + rva);
        let judged = |newest: &[u64], blocks: &[Block]| {
            let candidates = newest.iter().map(|&newest| (newest, at(newest))).collect();
            judge(&candidates, blocks, 7, &|| false)
        };
        assert_eq!(judged(&[5, 1, 0], &freed()), Ok((at(5), 5, 0)));
        // The same holds for a single number.
        assert_eq!(judged(&[5], &freed()), Ok((at(5), 5, 0)));
        assert!(judged(&[1], &freed()).is_err());
        assert!(judged(&[5], &freed()[..2]).is_err(), "two blocks are too few");
        // One that fits nearly as well makes it uncertain.
        assert!(judged(&[5, 4], &freed()).is_err());
        assert!(judged(&[], &freed()).is_err());
    }

    #[test]
    fn frames_that_alternate_are_of_two_kinds() {
        let event = |slot, frame| Event { slot, frame: Va(frame), is_tracked: false };
        // 1 and 2 allocate, 11 and 12 free; some records in between are missing.
        let mut blocks: HashMap<Va, Vec<Event>> = HashMap::new();
        let stories =
            [&[1, 11, 2, 12][..], &[11, 1, 12], &[2, 11, 2, 11], &[1, 12, 1, 12], &[1, 2], &[99]];
        for (block, story) in stories.into_iter().enumerate() {
            let events = story.iter().enumerate().map(|(slot, &frame)| event(slot as u64, frame));
            blocks.insert(Va(block as u64), events.collect());
        }
        let kinds = kinds(&blocks);
        let kind = |frame| kinds[&Va(frame)];
        assert_eq!(kind(1), kind(2));
        assert_eq!(kind(11), kind(12));
        assert_ne!(kind(1), kind(11));
        assert!(!kinds.contains_key(&Va(99)), "nothing follows it");
    }
}
