//! Deadlock detection beyond what the debugger prints: the order of all locks, as JSON and Graphviz DOT.

mod dot;
mod json;
pub(super) mod rows;

use std::collections::BTreeSet;

pub use self::dot::write_deadlock_dot;
pub use self::json::{DeadlockDocument, write_deadlock_json};

use crate::addr::Va;
use crate::analysis::{LockEdge, LockOrder};
use crate::verifier::deadlock::{Deadlock, LockType};

/// The name of a type of lock, or its number.
pub(super) fn type_name(kind: LockType) -> String {
    kind.name().map_or_else(|| format!("type {}", kind.0), str::to_lowercase)
}

/// The edges that are shown together: each run of `edges` between the same two locks.
pub(super) fn by_locks(edges: &[LockEdge]) -> impl Iterator<Item = (&LockEdge, &[LockEdge])> {
    edges
        .chunk_by(|a, b| (a.held, a.acquired) == (b.held, b.acquired))
        .filter_map(|run| Some((run.first()?, run)))
}

/// The pairs of locks, first and next, of the deadlock that was found.
fn found_pairs(deadlock: &Deadlock) -> BTreeSet<(Va, Va)> {
    let order = LockOrder::of(deadlock);
    let threads = order.iter().flat_map(|order| &order.threads);
    threads
        .flat_map(|thread| thread.steps.iter().zip(thread.steps.iter().skip(1)))
        .map(|(held, next)| (held.lock, next.lock))
        .collect()
}
