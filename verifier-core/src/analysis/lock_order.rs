//! The deadlock that was found, thread by thread.

use crate::addr::Va;
use crate::verifier::deadlock::{Deadlock, Node};

/// Which thread took which locks, in which order.
///
/// The kernel searches from the node of the lock that the thread holds for a node of the lock that it wants
/// (`Instigator`), and writes the way back to `Participant`: from each node to a node taken below it, or to
/// another node of the same lock. The first kind of step stays with a thread; the second goes to the next
/// thread. The last thread is the one that wants the lock now. (Kernels of Windows 10 and 11.)
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct LockOrder {
    /// The locks, in the order in which the threads name them; null if the record of a lock is not available.
    pub locks: Vec<Va>,
    /// The threads. The last wants its last lock and does not have it.
    pub threads: Vec<OrderThread>,
}

/// One thread's part.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct OrderThread {
    /// Its `_VI_DEADLOCK_THREAD`; null if it has released the locks since: then nothing
    /// more is known.
    pub record: Va,
    /// Its `_KTHREAD`, if the record could be read.
    pub thread: Option<Va>,
    /// The locks, first taken first.
    pub steps: Vec<LockStep>,
}

/// A lock that a thread took.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct LockStep {
    /// The lock; null if its record is not available.
    pub lock: Va,
    /// Its node; `None` for the lock that is wanted now.
    pub node: Option<Va>,
    /// The stack that took it before the next lock was taken: `ParentStackTrace` of the next node; for the last
    /// lock, `StackTrace`.
    pub stack: Vec<Va>,
}

impl LockOrder {
    /// The order, if a deadlock was found.
    #[must_use]
    pub fn of(deadlock: &Deadlock) -> Option<Self> {
        if deadlock.instigator.is_null() || deadlock.participants.is_empty() {
            return None;
        }
        let mut order = Self { locks: Vec::new(), threads: Vec::new() };
        let mut before = None;
        for &record in &deadlock.participants {
            let node = deadlock.node(record);
            if before.is_none_or(|before| is_next_thread(before, node)) {
                order.threads.push(OrderThread { record: Va(0), thread: None, steps: Vec::new() });
            }
            let lock = node.and_then(|node| deadlock.lock_of(node)).unwrap_or(Va(0));
            if let Some(thread) = order.threads.last_mut() {
                if let Some(node) = node {
                    if let Some(last) = thread.steps.last_mut()
                        && !node.parent_stack.is_empty()
                    {
                        last.stack.clone_from(&node.parent_stack);
                    }
                    if thread.record.is_null() {
                        thread.record = node.thread;
                        thread.thread = deadlock.thread(node.thread).map(|thread| thread.thread);
                    }
                }
                let stack = node.map(|node| node.stack.clone()).unwrap_or_default();
                thread.steps.push(LockStep { lock, node: Some(record), stack });
            }
            before = Some(record);
        }
        if let Some(thread) = order.threads.last_mut() {
            let lock = deadlock.instigator;
            thread.steps.push(LockStep { lock, node: None, stack: Vec::new() });
        }
        for step in order.threads.iter().flat_map(|thread| &thread.steps) {
            if !order.locks.contains(&step.lock) {
                order.locks.push(step.lock);
            }
        }
        Some(order)
    }

    /// The letter of a lock: A for the first, Z for the 26th, then AA.
    #[must_use]
    pub fn letter(&self, lock: Va) -> String {
        let place = self.locks.iter().position(|&other| other == lock).unwrap_or(0);
        let letter = |place: usize| char::from(b'A' + (place % 26) as u8);
        match place / 26 {
            0 => letter(place).to_string(),
            round => format!("{}{}", letter(round - 1), letter(place)),
        }
    }
}

/// True if `node` is not below the node at `before`, so that it is another node of the same lock. False if it
/// cannot be read.
fn is_next_thread(before: Va, node: Option<&Node>) -> bool {
    node.is_some_and(|node| node.parent != before)
}
