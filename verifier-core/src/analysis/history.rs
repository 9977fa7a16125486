//! Everything that Verifier knows of one address: records of the pool log whose block holds it, tracking
//! entries, in use or freed, and blocks of the pool info tree with their stacks.

use std::cell::Cell;
use std::collections::{BTreeSet, HashMap, HashSet};

use super::leaks::{NoStack, Reach};
use crate::addr::{PAGE_SIZE, Va};
use crate::error::{Error, Problem};
use crate::kernel::Kernel;
use crate::verifier::log::{Operation, Order, PoolLog, PoolRecord, PoolRow};
use crate::verifier::{
    Allocation, Checks, Driver, Drivers, EntryState, ImagePool, NO_DRIVER, PoolInfo, Recovered,
    Source, TargetDriver, TrackerEntry, attribute, for_each_image, mark,
};

/// Pages on each side of the address that count as its neighborhood: the guard page, and the block after it.
const NEIGHBOR_PAGES: u64 = 2;
/// The number of neighbors that are shown, the nearest first.
const MAX_NEIGHBORS: usize = 16;
/// The bytes by which the size in a tracking entry may exceed the requested size: the back pointer and
/// rounding to 16 bytes for small blocks, a heap's buckets above them, a page at most.
fn max_rounding(asked: u64) -> u64 {
    (asked / 4).clamp(48, PAGE_SIZE)
}

/// A record of the pool log that concerns the address.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Event {
    /// The record.
    pub record: PoolRecord,
    /// Its frames, innermost first.
    pub frames: Vec<Va>,
}

/// A tracking entry, or a block of the pool info tree, that concerns the address.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct TrackerMatch {
    /// The driver that owns the entry; [`NO_DRIVER`] if none is known.
    pub driver: String,
    /// The entry; [`Allocation::source`] says where it is from. An entry of the tree is always in use.
    pub entry: TrackerEntry,
    /// The stack that the tree keeps of the block, innermost first; empty for a tracking entry.
    pub frames: Vec<Va>,
}

/// One lifetime of a block that contained the address: indexes in [`History::events`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Lifetime {
    /// The block.
    pub block: Va,
    /// The record of its allocation, if the log still has it.
    pub allocated: Option<usize>,
    /// The record of its free. `None` if the block is still held, or the free is not in the log.
    pub freed: Option<usize>,
    /// True if the block is held now, by a tracking entry or the pool info tree.
    pub is_held: bool,
    /// Why the log does not have the allocation of a block that is held.
    pub why_unknown: Option<NoStack>,
}

impl Lifetime {
    /// A lifetime with these records.
    fn of(block: Va, allocated: Option<usize>, freed: Option<usize>) -> Self {
        Self { block, allocated, freed, is_held: false, why_unknown: None }
    }
}

/// A block near the address.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Neighbor {
    /// The block.
    pub address: Va,
    /// Its size, from the tracking entry, else from the record.
    pub size: u64,
    /// Its driver, if it is outstanding.
    pub driver: Option<String>,
    /// The operation of its newest record, if the log has one.
    pub newest: Option<Operation>,
}

/// Everything that is known about one address.
///
/// The records give lifetimes: the allocation of a block and the free that ended it. They show who freed the
/// block that a stale pointer points to. A block that is still held has a lifetime even if the log has no
/// record of it. A freed tracking entry has lost its block's address to the free list, but keeps size, tag
/// and caller. If these agree with an allocation in the log, the entry may be that block's, and only it still
/// has the tag. Special pool gives each block a separate page with a guard page after it, so the blocks of
/// neighboring pages are shown too: an overrun comes from there.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct History {
    /// The address.
    pub address: Va,
    /// Outstanding allocations that hold it.
    pub trackers: Vec<TrackerMatch>,
    /// Records of the pool log whose block holds it, in the log's order.
    pub events: Vec<Event>,
    /// The log's order. If it is unknown, lifetimes are given only for blocks with one record.
    pub order: Order,
    /// Lifetimes of the blocks that contained it, the latest first.
    pub lifetimes: Vec<Lifetime>,
    /// Freed tracking entries whose size and caller fit an allocation of [`events`](Self::events);
    /// their own address is null, because the free list has overwritten it.
    pub freed_entries: Vec<TrackerMatch>,
    /// Blocks in its page and the pages around it, the nearest first.
    pub neighbors: Vec<Neighbor>,
    /// How far back the log reaches.
    pub reach: Reach,
    /// Why an address has no record, if it has none.
    pub unrecorded: NoStack,
    /// What could not be read or does not fit.
    pub problems: Vec<Problem>,
}

impl History {
    /// The records with their stacks, in the log's order.
    pub fn rows(&self) -> impl ExactSizeIterator<Item = PoolRow<'_>> + Clone {
        self.events.iter().map(|Event { record, frames }| PoolRow { record, frames })
    }

    /// All frames and callers, in no order: what a caller needs symbols for.
    pub fn addresses(&self) -> impl Iterator<Item = Va> {
        let frames = self.events.iter().flat_map(|event| event.frames.iter().copied());
        let trackers = self.trackers.iter().chain(&self.freed_entries);
        frames.chain(trackers.flat_map(|tracker| {
            [tracker.entry.allocation.caller].into_iter().chain(tracker.frames.iter().copied())
        }))
    }

    /// Gathers what is known of `address`.
    ///
    /// # Errors
    /// If neither the drivers nor the log can be read.
    pub fn read(kernel: &Kernel, address: Va) -> Result<Self, Error> {
        let log = read_log(kernel, address);
        let recovered = kernel.types().map(|types| Recovered::new(kernel, types));
        let drivers = recovered
            .and_then(|recovered| Ok((Drivers::read_with(kernel, &recovered)?, recovered)));
        let (log, log_problem) = match log {
            Ok(log) => (log, None),
            Err(error) if drivers.is_err() => return Err(error),
            Err(error) => (NearLog::default(), Some(Problem::from_error("pool log", &error))),
        };
        let NearLog { events: near, reach, order, unrecorded, problems: mut log_problems } = log;
        log_problems.extend(log_problem);
        let holds = |event: &&Event| address.is_in(event.record.address, event.record.size);
        let sizes = sizes_by_frame(near.iter().filter(holds));
        let mut problems = Vec::new();
        let (mut held, freed_entries) = match drivers {
            Ok((drivers, recovered)) => {
                read_entries(kernel, address, &drivers, &recovered, &sizes, &mut problems)
            }
            Err(error) => {
                problems.push(Problem::from_error("drivers", &error));
                Default::default()
            }
        };
        Problem::extend(&mut problems, log_problems);
        kernel.report_into(&mut problems);
        let block = |entry: &TrackerMatch| {
            let Allocation { address, size, .. } = entry.entry.allocation;
            (address, size)
        };
        let neighbors = neighbors(
            address,
            held.iter().map(|entry| (block(entry), entry.driver.as_str())),
            &near,
            order,
        );
        held.retain(|entry| {
            let (start, size) = block(entry);
            address.is_in(start, size)
        });
        let events: Vec<Event> = near.into_iter().filter(|event| holds(&event)).collect();
        let undetermined = undetermined(&events, order);
        let mut lifetimes = lifetimes(&events, &undetermined);
        let blocks: Vec<Va> = held.iter().map(|entry| block(entry).0).collect();
        mark_held(&mut lifetimes, &blocks, unrecorded, &undetermined);
        Ok(Self {
            address,
            trackers: held,
            events,
            order,
            lifetimes,
            freed_entries,
            neighbors,
            reach,
            unrecorded,
            problems,
        })
    }

    /// The record of the free: the newest record of the address, if that is a free.
    #[must_use]
    pub fn freed_by(&self) -> Option<&Event> {
        if !self.trackers.is_empty() {
            return None;
        }
        // If the order is unknown and there are several, the newest is unknown.
        let newest = match (self.order, self.events.as_slice()) {
            (Order::NewestFirst, [first, ..]) | (Order::Unknown, [first]) => first,
            _ => return None,
        };
        let is_free = |record: &PoolRecord| {
            record.operation == Operation::Free && record.impossible.is_none()
        };
        Some(newest).filter(|event| is_free(&event.record))
    }
}

/// The part of the pool log near an address.
struct NearLog {
    events: Vec<Event>,
    reach: Reach,
    order: Order,
    /// Why an address has no record, if it has none.
    unrecorded: NoStack,
    problems: Vec<Problem>,
}

/// A log that could not be read.
impl Default for NearLog {
    fn default() -> Self {
        Self {
            events: Vec::new(),
            reach: Reach::default(),
            order: Order::NewestFirst,
            unrecorded: NoStack::LogUnreadable,
            problems: Vec::new(),
        }
    }
}

/// Reads the records of the pool log whose blocks are near `address`.
fn read_log(kernel: &Kernel, address: Va) -> Result<NearLog, Error> {
    let seen = Cell::new(0u64);
    let mut log = PoolLog::read_where(kernel, None, |start, size| {
        seen.set(seen.get() + 1);
        is_near(start, size, address)
    })?;
    let event =
        |record: &PoolRecord| Event { record: record.clone(), frames: log.frames(record).to_vec() };
    Ok(NearLog {
        events: log.records.iter().map(event).collect(),
        reach: Reach::of_log(&log, seen.get()),
        order: log.ring.order(),
        unrecorded: NoStack::of_log(&log),
        problems: std::mem::take(&mut log.problems),
    })
}

/// Reads the entries of blocks near `address` that are in use, then freed entries that agree with one of the
/// allocations with these `sizes`. Only these few are kept, out of perhaps a million.
fn read_entries(
    kernel: &Kernel,
    address: Va,
    drivers: &Drivers,
    recovered: &Recovered,
    sizes: &HashMap<Va, BTreeSet<u64>>,
    problems: &mut Vec<Problem>,
) -> (Vec<TrackerMatch>, Vec<TrackerMatch>) {
    let (mut held, mut freed) = (Vec::new(), Vec::new());
    problems.extend(drivers.problems.iter().cloned());
    let all = &drivers.drivers;
    let mut checks = Checks::new(kernel, all.iter());
    let mut each = |_, driver: &Driver, image: &TargetDriver, held_by: ImagePool| {
        let ImagePool { mut tracker, mut contiguous } = held_by;
        let entries = tracker.entries.iter_mut();
        let in_use = entries.filter(|entry| entry.state == EntryState::InUse);
        let in_use = in_use.map(|entry| &mut entry.allocation).chain(&mut contiguous);
        checks.look_at(&driver.name, Some(&image.counters), in_use);
        let contiguous = contiguous
            .into_iter()
            .map(|allocation| TrackerEntry { state: EntryState::InUse, allocation });
        for mut entry in tracker.entries.into_iter().chain(contiguous) {
            let block = &mut entry.allocation;
            let kept = match entry.state {
                EntryState::InUse if is_near(block.address, block.size, address) => &mut held,
                EntryState::Free if may_be_one_of(block, sizes) => {
                    // The free list has overwritten its address.
                    block.address = Va(0);
                    &mut freed
                }
                _ => continue,
            };
            let driver = driver.name.clone();
            kept.push(TrackerMatch { driver, entry, frames: Vec::new() });
        }
        problems.extend(tracker.problems);
    };
    if let Err(error) = for_each_image(kernel, all.iter(), recovered, &mut each) {
        problems.push(Problem::from_error("tracking entries", &error));
    }
    held.extend(of_tree(kernel, all, address, &mut checks, problems));
    let (marks, mut impossible) = checks.finish();
    problems.append(&mut impossible);
    mark(&marks, held.iter_mut().map(|one| &mut one.entry.allocation));
    (held, freed)
}

/// Blocks whose newest record is unknown: they have several records, in unknown order.
fn undetermined(events: &[Event], order: Order) -> HashSet<Va> {
    let mut seen = HashSet::new();
    let blocks = events.iter().map(|event| event.record.address);
    blocks.filter(|&block| !seen.insert(block) && order == Order::Unknown).collect()
}

/// The blocks of the pool info tree that hold the address or are near it.
fn of_tree(
    kernel: &Kernel,
    drivers: &[Driver],
    address: Va,
    checks: &mut Checks<'_>,
    problems: &mut Vec<Problem>,
) -> Vec<TrackerMatch> {
    let mut info = match PoolInfo::read(kernel) {
        Ok(info) => info,
        Err(error) => {
            problems.push(Problem::from_error("pool info tree", &error));
            return Vec::new();
        }
    };
    problems.append(&mut info.problems);
    let (of_drivers, unowned) = attribute(kernel, drivers, &info);
    let names = drivers.iter().map(|driver| driver.name.as_str()).chain([NO_DRIVER]);
    let mut found = Vec::new();
    for (name, mut blocks) in names.zip(of_drivers.into_iter().chain([unowned])) {
        checks.look_at(name, None, blocks.iter_mut());
        blocks.retain(|block| is_near(block.address, block.size, address));
        found.extend(blocks.into_iter().map(|allocation| TrackerMatch {
            driver: name.into(),
            entry: TrackerEntry { state: EntryState::InUse, allocation },
            frames: match allocation.source {
                Source::PoolInfo { stack, .. } => info.frames(stack).to_vec(),
                _ => Vec::new(),
            },
        }));
    }
    found
}

/// True if the block reaches into the pages around the address.
fn is_near(start: Va, size: u64, address: Va) -> bool {
    if start.is_null() {
        return false;
    }
    let low = address.page().0.saturating_sub(NEIGHBOR_PAGES * PAGE_SIZE);
    let high = address.page().0.saturating_add((NEIGHBOR_PAGES + 1) * PAGE_SIZE);
    start.0 < high && start.0.saturating_add(size.max(1)) > low
}

fn neighbors<'a>(
    address: Va,
    held: impl Iterator<Item = ((Va, u64), &'a str)>,
    near: &[Event],
    order: Order,
) -> Vec<Neighbor> {
    let mut neighbors: Vec<Neighbor> = held
        .filter(|&((start, size), _)| is_near(start, size, address) && !address.is_in(start, size))
        .map(|((start, size), driver)| Neighbor {
            address: start,
            size,
            driver: Some(driver.to_string()),
            newest: None,
        })
        .collect();
    let mut told: HashMap<Va, usize> =
        neighbors.iter().enumerate().map(|(index, neighbor)| (neighbor.address, index)).collect();
    let undetermined = undetermined(near, order);
    // Newest first: if the order is known, the first record of a block is its newest.
    for Event { record, .. } in near.iter().filter(|event| event.record.impossible.is_none()) {
        if address.is_in(record.address, record.size) {
            continue;
        }
        let index = *told.entry(record.address).or_insert(neighbors.len());
        match neighbors.get_mut(index) {
            Some(neighbor) => {
                neighbor.newest.get_or_insert(record.operation);
            }
            None => neighbors.push(Neighbor {
                address: record.address,
                size: record.size,
                driver: None,
                newest: Some(record.operation),
            }),
        }
    }
    for neighbor in &mut neighbors {
        neighbor.newest = neighbor.newest.filter(|_| !undetermined.contains(&neighbor.address));
    }
    neighbors.sort_by_key(|neighbor| {
        let start = neighbor.address.0;
        let end = start.saturating_add(neighbor.size);
        let apart =
            if start > address.0 { start - address.0 } else { address.0.saturating_sub(end) };
        (apart, start)
    });
    neighbors.truncate(MAX_NEIGHBORS);
    neighbors
}

/// Pairs each allocation with the free that followed it, block by block. A record of unknown operation
/// counts as an allocation, as in all views. Records of `undetermined` blocks and impossible records are not
/// paired.
fn lifetimes(events: &[Event], undetermined: &HashSet<Va>) -> Vec<Lifetime> {
    let mut open: HashMap<Va, usize> = HashMap::new();
    let mut lifetimes: Vec<Lifetime> = Vec::new();
    // The oldest record is the first.
    for (index, Event { record, .. }) in events.iter().enumerate().rev() {
        let block = record.address;
        if undetermined.contains(&block) || record.impossible.is_some() {
            continue;
        }
        if record.operation == Operation::Free {
            match open.remove(&block).and_then(|place| lifetimes.get_mut(place)) {
                Some(lifetime) => lifetime.freed = Some(index),
                None => lifetimes.push(Lifetime::of(block, None, Some(index))),
            }
        } else {
            open.insert(block, lifetimes.len());
            lifetimes.push(Lifetime::of(block, Some(index), None));
        }
    }
    // The index of the newest record of each, lowest first.
    lifetimes.sort_by_key(|lifetime| lifetime.freed.or(lifetime.allocated));
    lifetimes
}

/// Marks the lifetimes of blocks that are held. A held block whose allocation the log does not have (it has no
/// record of it, or only those of earlier lifetimes) gets a lifetime before all others.
fn mark_held(
    lifetimes: &mut Vec<Lifetime>,
    held: &[Va],
    unrecorded: NoStack,
    undetermined: &HashSet<Va>,
) {
    let mut unknown = Vec::new();
    for &block in held {
        match lifetimes.iter_mut().find(|lifetime| lifetime.block == block) {
            Some(newest) if newest.freed.is_none() => newest.is_held = true,
            // Two pages have the same block only if the dump is damaged.
            _ if unknown.iter().any(|life: &Lifetime| life.block == block) => {}
            newest => {
                let why = match newest {
                    Some(_) => NoStack::Freed,
                    None if undetermined.contains(&block) => NoStack::OrderUnknown,
                    None => unrecorded,
                };
                let life = Lifetime::of(block, None, None);
                unknown.push(Lifetime { is_held: true, why_unknown: Some(why), ..life });
            }
        }
    }
    lifetimes.splice(0..0, unknown);
}

/// The sizes that allocations asked for, by each frame of their stacks.
fn sizes_by_frame<'a>(events: impl Iterator<Item = &'a Event>) -> HashMap<Va, BTreeSet<u64>> {
    let mut sizes: HashMap<Va, BTreeSet<u64>> = HashMap::new();
    for Event { record, frames } in events {
        let is_allocation = matches!(record.operation, Operation::Allocate | Operation::Unknown);
        if is_allocation && record.impossible.is_none() {
            for &frame in frames {
                sizes.entry(frame).or_default().insert(record.size);
            }
        }
    }
    sizes
}

/// True if the freed entry has the caller and about the size of one of the allocations.
fn may_be_one_of(freed: &Allocation, sizes: &HashMap<Va, BTreeSet<u64>>) -> bool {
    let Allocation { size, caller, .. } = *freed;
    // The largest size that is not above it: rounding adds more bytes to larger blocks.
    let nearest = sizes.get(&caller).and_then(|sizes| sizes.range(..=size).next_back());
    !caller.is_null() && nearest.is_some_and(|&asked| size - asked <= max_rounding(asked))
}
