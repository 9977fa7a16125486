//! The `deadlock` document.

use std::io;

use serde::Serialize;
use serde::ser::{SerializeMap, Serializer};

use crate::addr::Va;
use crate::analysis::{LockEdge, LockGraph, LockOrder, LockStep, OrderThread};
use crate::error::Problem;
use crate::render::Names;
use crate::render::json::{FrameDoc, Seq, Verdict, write_json};
use crate::verifier::Counters;
use crate::verifier::deadlock::{Deadlock, Issue, Node, Resource, Thread};

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
        struct Doc<'a, R: Serialize, T: Serialize, N: Serialize, E: Serialize> {
            address: Option<Va>,
            enabled: Option<bool>,
            state: Option<u32>,
            inactive_because: Option<&'a str>,
            counters: &'a Counters,
            issue: Option<IssueDoc>,
            found: Option<FoundDoc<'a>>,
            resources: R,
            threads: T,
            nodes: N,
            edges: E,
            cycles: Vec<Vec<Va>>,
            #[serde(flatten)]
            verdict: Verdict<Vec<&'a Problem>>,
        }
        let &Self { deadlock, graph, names } = self;
        let view = View { deadlock, names };
        let order = LockOrder::of(deadlock);
        Doc {
            address: not_null(deadlock.address),
            enabled: deadlock.enabled,
            state: deadlock.state,
            inactive_because: deadlock.inactive_because.as_deref(),
            counters: &deadlock.counters,
            issue: deadlock.issue.as_ref().map(IssueDoc::of),
            found: order.as_ref().map(|order| FoundDoc { order, view }),
            resources: Seq(|| deadlock.resources().map(|resource| ResourceDoc { resource, view })),
            threads: Seq(|| deadlock.threads().map(ThreadDoc)),
            nodes: Seq(|| deadlock.nodes().map(|node| NodeDoc { node, view })),
            edges: Seq(|| graph.edges.iter().map(|edge| EdgeDoc { edge, view })),
            cycles: graph.cycles(),
            verdict: Verdict::of(&deadlock.problems),
        }
        .serialize(serializer)
    }
}

#[derive(Clone, Copy)]
struct View<'a> {
    deadlock: &'a Deadlock,
    names: &'a Names<'a>,
}

impl View<'_> {
    fn thread(&self, record: Va) -> Option<Va> {
        self.deadlock.thread(record).map(|thread| thread.thread)
    }
}

fn not_null(va: Va) -> Option<Va> {
    (!va.is_null()).then_some(va)
}

/// A stack.
struct Frames<'a>(&'a [Va], View<'a>);

impl Serialize for Frames<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self(frames, view) = self;
        Seq(|| frames.iter().map(|&va| FrameDoc::new(va, view.names))).serialize(serializer)
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

struct FoundDoc<'a> {
    order: &'a LockOrder,
    view: View<'a>,
}

impl Serialize for FoundDoc<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self { order, view } = self;
        let mut map = serializer.serialize_map(Some(4))?;
        map.serialize_entry("instigator", &view.deadlock.instigator)?;
        map.serialize_entry("participants", &view.deadlock.participants)?;
        map.serialize_entry("locks", &order.locks)?;
        let threads = || order.threads.iter().map(|thread| OrderDoc { thread, view: *view });
        map.serialize_entry("threads", &Seq(threads))?;
        map.end()
    }
}

struct OrderDoc<'a> {
    thread: &'a OrderThread,
    view: View<'a>,
}

impl Serialize for OrderDoc<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self { thread, view } = self;
        let mut map = serializer.serialize_map(Some(3))?;
        map.serialize_entry("thread", &thread.thread)?;
        map.serialize_entry("thread_entry", &not_null(thread.record))?;
        let steps = || thread.steps.iter().map(|step| StepDoc { step, view: *view });
        map.serialize_entry("locks", &Seq(steps))?;
        map.end()
    }
}

struct StepDoc<'a> {
    step: &'a LockStep,
    view: View<'a>,
}

impl Serialize for StepDoc<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self { step, view } = self;
        let mut map = serializer.serialize_map(Some(4))?;
        map.serialize_entry("lock", &not_null(step.lock))?;
        map.serialize_entry("symbol", &view.names.get(step.lock).as_deref())?;
        map.serialize_entry("node", &step.node)?;
        map.serialize_entry("frames", &Frames(&step.stack, *view))?;
        map.end()
    }
}

struct ResourceDoc<'a> {
    resource: &'a Resource,
    view: View<'a>,
}

impl Serialize for ResourceDoc<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self { resource, view } = self;
        let mut map = serializer.serialize_map(Some(12))?;
        map.serialize_entry("address", &resource.record)?;
        map.serialize_entry("resource_address", &resource.lock)?;
        map.serialize_entry("symbol", &view.names.get(resource.lock).as_deref())?;
        map.serialize_entry("type", &resource.kind.0)?;
        map.serialize_entry("type_name", &resource.kind.name().map(str::to_lowercase))?;
        map.serialize_entry("thread_owner", &not_null(resource.owner))?;
        map.serialize_entry("thread", &view.thread(resource.owner))?;
        map.serialize_entry("node_count", &resource.node_count)?;
        map.serialize_entry("recursion_count", &resource.recursion_count)?;
        map.serialize_entry("stack_trace", &Frames(&resource.stack, *view))?;
        map.serialize_entry("last_acquire_trace", &Frames(&resource.last_acquire, *view))?;
        map.serialize_entry("last_release_trace", &Frames(&resource.last_release, *view))?;
        map.end()
    }
}

struct ThreadDoc<'a>(&'a Thread);

impl Serialize for ThreadDoc<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let thread = self.0;
        let mut map = serializer.serialize_map(Some(7))?;
        map.serialize_entry("address", &thread.record)?;
        map.serialize_entry("thread", &thread.thread)?;
        map.serialize_entry("current_spin_node", &not_null(thread.current_spin_node))?;
        map.serialize_entry("current_other_node", &not_null(thread.current_other_node))?;
        map.serialize_entry("node_count", &thread.node_count)?;
        map.serialize_entry("paging_count", &thread.paging_count)?;
        map.serialize_entry("thread_uses_eresources", &thread.uses_eresources)?;
        map.end()
    }
}

struct NodeDoc<'a> {
    node: &'a Node,
    view: View<'a>,
}

impl Serialize for NodeDoc<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self { node, view } = self;
        let mut map = serializer.serialize_map(Some(14))?;
        map.serialize_entry("address", &node.record)?;
        map.serialize_entry("root", &node.root)?;
        map.serialize_entry("resource_address", &view.deadlock.lock_of(node))?;
        map.serialize_entry("parent", &not_null(node.parent))?;
        map.serialize_entry("children", &node.children)?;
        map.serialize_entry("thread_entry", &not_null(node.thread))?;
        map.serialize_entry("thread", &view.thread(node.thread))?;
        map.serialize_entry("active", &node.active)?;
        map.serialize_entry("only_try_acquire_used", &node.only_try)?;
        map.serialize_entry("released_out_of_order", &node.out_of_order)?;
        map.serialize_entry("sequence_number", &node.sequence)?;
        map.serialize_entry("children_count", &node.children_count)?;
        map.serialize_entry("stack_trace", &Frames(&node.stack, *view))?;
        map.serialize_entry("parent_stack_trace", &Frames(&node.parent_stack, *view))?;
        map.end()
    }
}

/// An edge; its stacks are those of its node.
struct EdgeDoc<'a> {
    edge: &'a LockEdge,
    view: View<'a>,
}

impl Serialize for EdgeDoc<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self { edge, view } = self;
        let mut map = serializer.serialize_map(Some(7))?;
        map.serialize_entry("held", &edge.held)?;
        map.serialize_entry("held_symbol", &view.names.get(edge.held).as_deref())?;
        map.serialize_entry("acquired", &edge.acquired)?;
        map.serialize_entry("acquired_symbol", &view.names.get(edge.acquired).as_deref())?;
        map.serialize_entry("node", &edge.node)?;
        map.serialize_entry("thread", &edge.thread)?;
        map.serialize_entry("only_try", &edge.only_try)?;
        map.end()
    }
}
