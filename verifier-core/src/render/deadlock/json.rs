//! The `deadlock` document.

use std::io;

use serde::{Serialize, Serializer};

use super::rows::{EDGE, NodeRow, ResourceRow, STEP, THREAD, not_null};
use crate::addr::Va;
use crate::analysis::{LockGraph, LockOrder};
use crate::error::Problem;
use crate::render::Names;
use crate::render::json::{Seq, Verdict, rows, write_json};
use crate::verifier::Counters;
use crate::verifier::deadlock::{Deadlock, Issue};

/// Writes the `deadlock` document.
///
/// # Errors
/// Those of the writer.
pub fn write_deadlock_json(
    out: &mut dyn io::Write,
    deadlock: &Deadlock,
    graph: &LockGraph,
    names: &Names<'_>,
) -> io::Result<()> {
    write_json(out, &DeadlockDocument { deadlock, graph, names })
}

/// The `deadlock` document for any serializer.
#[derive(Clone, Copy)]
pub struct DeadlockDocument<'a> {
    /// What deadlock detection keeps.
    pub deadlock: &'a Deadlock,
    /// Its locks in order.
    pub graph: &'a LockGraph,
    /// Names of addresses.
    pub names: &'a Names<'a>,
}

impl Serialize for DeadlockDocument<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Doc<'a, F: Serialize, R: Serialize, T: Serialize, N: Serialize, E: Serialize> {
            address: Option<Va>,
            enabled: Option<bool>,
            state: Option<u32>,
            inactive_because: Option<&'a str>,
            counters: &'a Counters,
            issue: Option<IssueDoc>,
            found: Option<F>,
            resources: R,
            threads: T,
            nodes: N,
            edges: E,
            cycles: Vec<Vec<Va>>,
            #[serde(flatten)]
            verdict: Verdict<Vec<&'a Problem>>,
        }
        #[derive(Serialize)]
        struct FoundDoc<'a, I: Serialize, P: Serialize, T: Serialize> {
            instigator: I,
            participants: P,
            locks: &'a [Va],
            threads: T,
        }
        #[derive(Serialize)]
        struct OrderDoc<A: Serialize, L: Serialize> {
            thread: A,
            thread_entry: Option<Va>,
            locks: L,
        }
        let &Self { deadlock, graph, names } = self;
        let order = LockOrder::of(deadlock);
        let (resource, node) = (ResourceRow::TABLE, NodeRow::TABLE);
        let of_resource = |resource| ResourceRow { resource, deadlock };
        let of_node = |node| NodeRow { node, deadlock };
        Doc {
            address: not_null(deadlock.address),
            enabled: deadlock.enabled,
            state: deadlock.state,
            inactive_because: deadlock.inactive_because.as_deref(),
            counters: &deadlock.counters,
            issue: deadlock.issue.as_ref().map(IssueDoc::of),
            found: order.as_ref().map(|order| FoundDoc {
                instigator: deadlock.instigator,
                participants: &deadlock.participants,
                locks: &order.locks,
                threads: Seq(|| {
                    order.threads.iter().map(|thread| OrderDoc {
                        thread: thread.thread,
                        thread_entry: not_null(thread.record),
                        locks: rows(&STEP, thread.steps.iter(), names),
                    })
                }),
            }),
            resources: rows(&resource, deadlock.resources().map(of_resource), names),
            threads: rows(&THREAD, deadlock.threads(), None),
            nodes: rows(&node, deadlock.nodes().map(of_node), names),
            edges: rows(&EDGE, graph.edges.iter(), names),
            cycles: graph.cycles(),
            verdict: Verdict::of(&deadlock.problems),
        }
        .serialize(serializer)
    }
}

#[derive(Serialize)]
struct IssueDoc {
    code: u64,
    what: Option<&'static str>,
    parameters: [Va; 4],
    from: &'static str,
}

impl IssueDoc {
    fn of(issue: &Issue) -> Self {
        Self {
            code: issue.code(),
            what: issue.what(),
            parameters: issue.words.map(Va),
            from: if issue.from_bug_check { "bug check" } else { "ViDeadlockIssue" },
        }
    }
}
