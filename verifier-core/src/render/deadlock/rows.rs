//! The description of what deadlock detection keeps.

use crate::addr::Va;
use crate::analysis::{LockEdge, LockStep};
use crate::describe::{Table, Value, columns};
use crate::verifier::deadlock::{Deadlock, Node, Resource, Thread};

/// An address; `None` for null, which means that there is none.
pub(super) fn not_null(va: Va) -> Option<Va> {
    (!va.is_null()).then_some(va)
}

/// The `_ETHREAD` of a thread's entry.
fn thread_of(deadlock: &Deadlock, entry: Va) -> Option<Va> {
    deadlock.thread(entry).map(|thread| thread.thread)
}

/// A lock that deadlock detection knows.
#[derive(Clone, Copy)]
pub struct ResourceRow<'a> {
    /// The lock.
    pub resource: &'a Resource,
    /// What it belongs to.
    pub deadlock: &'a Deadlock,
}

impl<'a> ResourceRow<'a> {
    /// The description.
    pub const TABLE: Table<'a, Self> = Table::new(
        "Resource",
        "A lock that deadlock detection knows.",
        columns!(|row: Self| {
            /// The `_VI_DEADLOCK_RESOURCE` of the lock.
            address: Address => row.resource.record,
            /// The lock itself.
            resource_address as "ResourceAddress": Address => row.resource.lock,
            /// The name of that address.
            symbol: Symbol, optional => Value::Symbol(row.resource.lock),
            /// The number of the lock's type.
            type as "Type": U32 => row.resource.kind.0,
            /// The name of the lock's type; null if the number is unknown.
            type_name: Word, optional => row.resource.kind.name().map(str::to_lowercase),
            /// The entry of the thread that holds the lock; null if no thread does.
            thread_owner as "ThreadOwner": Address, optional => not_null(row.resource.owner),
            /// The `_ETHREAD` of that thread; null if its entry is unknown.
            thread: Address, optional => thread_of(row.deadlock, row.resource.owner),
            /// How many nodes the graph has for the lock.
            node_count as "NodeCount": U32 => row.resource.node_count,
            /// How often its owner holds the lock.
            recursion_count as "RecursionCount": U32 => row.resource.recursion_count,
            /// The call stack that initialized the lock.
            stack_trace as "StackTrace": Frames => Value::Frames(&row.resource.stack),
            /// The call stack that took the lock last.
            last_acquire_trace as "LastAcquireTrace": Frames
                => Value::Frames(&row.resource.last_acquire),
            /// The call stack that released the lock last.
            last_release_trace as "LastReleaseTrace": Frames
                => Value::Frames(&row.resource.last_release),
        }),
    );
}

/// The description of a thread that holds locks.
pub static THREAD: Table<'static, Thread> = Table::new(
    "LockThread",
    "A thread that holds locks.",
    columns!(|thread: Thread| {
        /// The `_VI_DEADLOCK_THREAD`.
        address: Address => thread.record,
        /// The `_ETHREAD`.
        thread as "Thread": Address => thread.thread,
        /// The node of the spin lock that the thread took last; null if it holds none.
        current_spin_node as "CurrentSpinNode": Address, optional
            => not_null(thread.current_spin_node),
        /// The node of the other lock that the thread took last; null if it holds none.
        current_other_node as "CurrentOtherNode": Address, optional
            => not_null(thread.current_other_node),
        /// How many locks the thread holds.
        node_count as "NodeCount": U32 => thread.node_count,
        /// How many paging operations the thread is in.
        paging_count as "PagingCount": U32 => thread.paging_count,
        /// True if the thread uses executive resources; null if the build does not have the field.
        thread_uses_eresources as "ThreadUsesEresources": Bool, optional => thread.uses_eresources,
    }),
);

/// A node of the graph of locks.
#[derive(Clone, Copy)]
pub struct NodeRow<'a> {
    /// The node.
    pub node: &'a Node,
    /// What it belongs to.
    pub deadlock: &'a Deadlock,
}

impl<'a> NodeRow<'a> {
    /// The description.
    pub const TABLE: Table<'a, Self> = Table::new(
        "Node",
        "A node of the graph of locks: a lock that was taken after another one.",
        columns!(|row: Self| {
            /// The `_VI_DEADLOCK_NODE`.
            address: Address => row.node.record,
            /// The `_VI_DEADLOCK_RESOURCE` of the lock.
            root as "Root": Address => row.node.root,
            /// The lock itself; null if its record is unknown.
            resource_address: Address, optional => row.deadlock.lock_of(row.node),
            /// The node of the lock that was taken before; null for the first one.
            parent as "Parent": Address, optional => not_null(row.node.parent),
            /// The nodes of the locks that were taken after it.
            children: Addresses => Value::Addresses(&row.node.children),
            /// The entry of the thread that holds the lock; null if no thread does.
            thread_entry as "ThreadEntry": Address, optional => not_null(row.node.thread),
            /// The `_ETHREAD` of that thread; null if its entry is unknown.
            thread: Address, optional => thread_of(row.deadlock, row.node.thread),
            /// True while the lock is held.
            active as "Active": Bool => row.node.active,
            /// True if the lock was only taken by calls that do not wait.
            only_try_acquire_used as "OnlyTryAcquireUsed": Bool => row.node.only_try,
            /// True if the lock was released before one that was taken later.
            released_out_of_order as "ReleasedOutOfOrder": Bool => row.node.out_of_order,
            /// The sequence number of the node.
            sequence_number as "SequenceNumber": U32 => row.node.sequence,
            /// How many children the node counts; null if the build does not have the count.
            children_count as "ChildrenCount": I64, optional => row.node.children_count,
            /// The call stack that took the lock.
            stack_trace as "StackTrace": Frames => Value::Frames(&row.node.stack),
            /// The call stack that took the lock before.
            parent_stack_trace as "ParentStackTrace": Frames
                => Value::Frames(&row.node.parent_stack),
        }),
    );
}

/// The description of a lock that was taken while another one was held. Its stacks are those of its node.
pub static EDGE: Table<'static, LockEdge> = Table::new(
    "LockEdge",
    "A lock that was taken while another one was held.",
    columns!(|edge: LockEdge| {
        /// The lock that was held.
        held: Address => edge.held,
        /// The name of that address.
        held_symbol: Symbol, optional => Value::Symbol(edge.held),
        /// The lock that was taken.
        acquired: Address => edge.acquired,
        /// The name of that address.
        acquired_symbol: Symbol, optional => Value::Symbol(edge.acquired),
        /// The node that says so.
        node: Address => edge.node,
        /// The `_ETHREAD` that took the lock; null if it is unknown.
        thread: Address, optional => edge.thread,
        /// True if the lock was only taken by calls that do not wait.
        only_try: Bool => edge.only_try,
    }),
);

/// The description of a lock that a thread of a deadlock takes.
pub static STEP: Table<'static, LockStep> = Table::new(
    "LockStep",
    "A lock that a thread of the deadlock took, or waits for.",
    columns!(|step: LockStep| {
        /// The lock; null if it is unknown.
        lock: Address, optional => not_null(step.lock),
        /// The name of that address.
        symbol: Symbol, optional => Value::Symbol(step.lock),
        /// The node of the lock; null if the thread wants the lock and does not have it.
        node: Address, optional => step.node,
        /// The call stack, innermost frame first.
        frames: Frames => Value::Frames(&step.stack),
    }),
);
