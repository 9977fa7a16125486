//! Deadlock detection: what was found, and the order of all locks.

use std::io;

use crate::addr::Va;
use crate::analysis::LockGraph;
use crate::completeness::Completeness;
use crate::render::Names;
use crate::render::deadlock::{by_locks, type_name};
use crate::render::text::{
    DeadlockDetail, Style, sanitize, write_deadlock, write_deadlock_state, write_extent,
};
use crate::verifier::deadlock::Deadlock;

/// Writes what was found as `!deadlock 3` does, then the order of all locks, and the sets of locks that were
/// taken in more than one order.
///
/// # Errors
/// Those of the writer.
pub fn write_deadlock_text(
    out: &mut dyn io::Write,
    deadlock: &Deadlock,
    graph: &LockGraph,
    names: &Names<'_>,
) -> io::Result<()> {
    write_extent(out, &Completeness::of(&deadlock.problems))?;
    write_deadlock(out, deadlock, names, DeadlockDetail::Nodes, Style::Modern)?;
    if !deadlock.instigator.is_null() {
        writeln!(out)?;
        write_deadlock_state(out, deadlock)?;
    }
    if graph.edges.is_empty() {
        return Ok(());
    }
    let name = |lock: Va| match names.get(lock) {
        Some(name) => format!("{lock} {}", sanitize(&name)),
        None => lock.to_string(),
    };
    let kind = |lock: Va| graph.lock(lock).map(|lock| type_name(lock.kind)).unwrap_or_default();
    writeln!(out, "\nLocks that were taken while another was held:")?;
    for (edge, run) in by_locks(&graph.edges) {
        let times = match run.len() {
            1 => String::new(),
            count => format!(", in {count} ways"),
        };
        let tried = if run.iter().all(|edge| edge.only_try) { ", only tried for" } else { "" };
        writeln!(out, "  {} ({})", name(edge.held), kind(edge.held))?;
        writeln!(out, "    then {} ({}){times}{tried}", name(edge.acquired), kind(edge.acquired))?;
        if let Some(site) = names.site(&edge.acquired_stack) {
            writeln!(out, "    at   {site} {}", names.text_with_line(site))?;
        }
    }
    let cycles = graph.cycles();
    if !cycles.is_empty() {
        writeln!(out, "\nTaken in more than one order, so that threads can deadlock:")?;
    }
    for cycle in &cycles {
        let locks: Vec<String> = cycle.iter().map(|&lock| name(lock)).collect();
        writeln!(out, "  {}", locks.join(", "))?;
    }
    Ok(())
}
