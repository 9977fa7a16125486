//! Which lock was taken while which other lock was held: the graph that deadlock detection searches.

use std::collections::{BTreeMap, BTreeSet};

use crate::addr::Va;
use crate::verifier::deadlock::{Deadlock, LockType};

/// Locks and the orders in which they were taken.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct LockGraph {
    /// The locks, by address.
    pub locks: Vec<GraphLock>,
    /// One for each node that has a parent, by the two locks' addresses.
    pub edges: Vec<LockEdge>,
}

/// A lock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct GraphLock {
    /// Its address.
    pub lock: Va,
    /// `Type`.
    pub kind: LockType,
    /// The `_KTHREAD` that holds it.
    pub owner: Option<Va>,
}

/// A lock that was taken while another was held.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct LockEdge {
    /// The lock that was held.
    pub held: Va,
    /// The lock that was taken.
    pub acquired: Va,
    /// The node that shows it.
    pub node: Va,
    /// The `_KTHREAD`, while it holds the second lock.
    pub thread: Option<Va>,
    /// True if the second lock was only tried for, which cannot wait.
    pub only_try: bool,
    /// How the first had been taken, innermost frame first.
    pub held_stack: Vec<Va>,
    /// How the second was taken.
    pub acquired_stack: Vec<Va>,
}

impl LockGraph {
    /// The graph. A node whose lock, parent or parent's lock could not be read has no edge.
    #[must_use]
    pub fn of(deadlock: &Deadlock) -> Self {
        let thread_of = |record| deadlock.thread(record).map(|thread| thread.thread);
        let mut locks: Vec<GraphLock> = deadlock
            .resources()
            .map(|resource| GraphLock {
                lock: resource.lock,
                kind: resource.kind,
                owner: thread_of(resource.owner),
            })
            .collect();
        locks.sort_by_key(|lock| lock.lock);
        let mut edges: Vec<LockEdge> = deadlock
            .nodes()
            .filter_map(|node| {
                let parent = deadlock.node(node.parent)?;
                Some(LockEdge {
                    held: deadlock.lock_of(parent)?,
                    acquired: deadlock.lock_of(node)?,
                    node: node.record,
                    thread: thread_of(node.thread),
                    only_try: node.only_try,
                    held_stack: node.parent_stack.clone(),
                    acquired_stack: node.stack.clone(),
                })
            })
            .collect();
        edges.sort_by_key(|edge| (edge.held, edge.acquired, edge.node));
        Self { locks, edges }
    }

    /// The lock at `address`.
    #[must_use]
    pub fn lock(&self, address: Va) -> Option<&GraphLock> {
        let place = self.locks.binary_search_by_key(&address, |lock| lock.lock).ok()?;
        self.locks.get(place)
    }

    /// Sets of locks in which each lock was taken before each other one, over any number of steps: threads can
    /// deadlock in them. Locks that were only tried for do not count. The largest set is the first.
    #[must_use]
    pub fn cycles(&self) -> Vec<Vec<Va>> {
        let waits = self.edges.iter().filter(|edge| !edge.only_try && edge.held != edge.acquired);
        let (mut out, mut back) = (Neighbors::new(), Neighbors::new());
        for edge in waits {
            out.entry(edge.held).or_default().push(edge.acquired);
            back.entry(edge.acquired).or_default().push(edge.held);
            out.entry(edge.acquired).or_default();
        }
        // Kosaraju's algorithm: in the reverse order of finishing, locks that are reached backward are one set.
        let mut finished = Vec::new();
        let mut seen = BTreeSet::new();
        for &lock in out.keys() {
            search(&out, lock, &mut seen, &mut finished);
        }
        let mut cycles = Vec::new();
        let mut seen = BTreeSet::new();
        for &lock in finished.iter().rev() {
            let mut cycle = Vec::new();
            search(&back, lock, &mut seen, &mut cycle);
            if cycle.len() > 1 {
                cycle.sort_unstable();
                cycles.push(cycle);
            }
        }
        cycles.sort_by_key(|cycle| (std::cmp::Reverse(cycle.len()), cycle.first().copied()));
        cycles
    }
}

type Neighbors = BTreeMap<Va, Vec<Va>>;

/// Adds each lock that is reached from `from` and not seen yet to `finished`, after the locks that it leads to.
fn search(graph: &Neighbors, from: Va, seen: &mut BTreeSet<Va>, finished: &mut Vec<Va>) {
    if !seen.insert(from) {
        return;
    }
    let neighbors = |lock: &Va| graph.get(lock).map(Vec::as_slice).unwrap_or_default().iter();
    // A stack on the heap: the dump decides how deep it gets.
    let mut path = vec![(from, neighbors(&from))];
    while let Some((lock, rest)) = path.last_mut() {
        match rest.next() {
            Some(&next) => {
                if seen.insert(next) {
                    path.push((next, neighbors(&next)));
                }
            }
            None => {
                finished.push(*lock);
                path.pop();
            }
        }
    }
}
