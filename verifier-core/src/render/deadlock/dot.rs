//! The lock graph for Graphviz.

use std::io;

use super::{by_locks, found_pairs, type_name};
use crate::analysis::LockGraph;
use crate::render::Names;
use crate::render::text::sanitize;
use crate::verifier::deadlock::Deadlock;

/// Writes the graph as DOT: a node for each lock, an edge from the lock that was held to the one that was
/// taken, with the line of code that took it. The deadlock that was found is red; a
/// lock that was only tried for is dashed, and the lock that is wanted is dotted.
///
/// # Errors
/// Those of the writer.
pub fn write_deadlock_dot(
    out: &mut dyn io::Write,
    deadlock: &Deadlock,
    graph: &LockGraph,
    names: &Names<'_>,
) -> io::Result<()> {
    let mut found = found_pairs(deadlock);
    writeln!(out, "digraph locks {{")?;
    writeln!(out, "  node [shape=box, fontname=\"monospace\"];")?;
    writeln!(out, "  edge [fontname=\"monospace\"];")?;
    for lock in &graph.locks {
        let mut lines = vec![lock.lock.to_string(), type_name(lock.kind)];
        if let Some(name) = names.get(lock.lock) {
            lines.insert(0, name.to_string());
        }
        if let Some(owner) = lock.owner {
            lines.push(format!("held by {owner}"));
        }
        let red = found.iter().any(|pair| pair.0 == lock.lock || pair.1 == lock.lock);
        let color = if red { ", color=red" } else { "" };
        writeln!(out, "  \"{}\" [label={}{color}];", lock.lock, quoted(&lines))?;
    }
    for (edge, run) in by_locks(&graph.edges) {
        let mut lines = Vec::new();
        if let Some(name) = names.site(&edge.acquired_stack).and_then(|site| names.get(site)) {
            lines.push(name.to_string());
        }
        if run.len() > 1 {
            lines.push(format!("{} ways", run.len()));
        }
        let color = if found.remove(&(edge.held, edge.acquired)) { ", color=red" } else { "" };
        let style = if run.iter().all(|edge| edge.only_try) { ", style=dashed" } else { "" };
        let label = quoted(&lines);
        writeln!(
            out,
            "  \"{}\" -> \"{}\" [label={label}{color}{style}];",
            edge.held, edge.acquired
        )?;
    }
    // The lock that was wanted when the deadlock was found was not taken, so it has no node.
    for (held, wanted) in found {
        writeln!(out, "  \"{held}\" -> \"{wanted}\" [label=\"wanted\", color=red, style=dotted];")?;
    }
    writeln!(out, "}}")
}

/// Lines of a label as a quoted string. Names come from the dump and its symbols: quotes and the backslashes
/// that start escapes of labels are doubled.
fn quoted(lines: &[String]) -> String {
    let lines: Vec<String> = lines
        .iter()
        .map(|line| sanitize(line).replace('\\', "\\\\").replace('"', "\\\""))
        .collect();
    format!("\"{}\"", lines.join("\\n"))
}

#[cfg(test)]
mod tests {
    use super::quoted;

    #[test]
    fn names_stay_inside_their_quotes() {
        let lines = ["a\"]; b [label=\"x".to_owned(), "c\\".to_owned(), "d\ne".to_owned()];
        assert_eq!(quoted(&lines), "\"a\\\"]; b [label=\\\"x\\nc\\\\\\nd\u{fffd}e\"");
    }
}
