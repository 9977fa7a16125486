//! The offsets of the records' fields in one build.

use super::records::{LockType, Node, Resource, Thread};
use crate::addr::Va;
use crate::error::Error;
use crate::types::{Field, StackField, TypeSource};

/// The longest record that is accepted. In every known build they are shorter than 0x100 bytes.
const MAX_RECORD: u64 = 0x1000;

/// The three records.
pub(super) struct DeadlockLayout {
    pub(super) resource: ResourceLayout,
    pub(super) thread: ThreadLayout,
    pub(super) node: NodeLayout,
}

impl DeadlockLayout {
    pub(super) fn resolve(types: &dyn TypeSource) -> Result<Self, Error> {
        Ok(Self {
            resource: ResourceLayout::resolve(types)?,
            thread: ThreadLayout::resolve(types)?,
            node: NodeLayout::resolve(types)?,
        })
    }
}

fn number(field: &Field, bytes: &[u8]) -> u64 {
    field.get(bytes).unwrap_or(0)
}

fn size_of(types: &dyn TypeSource, name: &str) -> Result<usize, Error> {
    Ok(types.size_of(name)?.min(MAX_RECORD) as usize)
}

/// `_VI_DEADLOCK_RESOURCE`.
pub(super) struct ResourceLayout {
    pub(super) size: usize,
    pub(super) nodes: u64,
    pub(super) chain: u64,
    lock: Field,
    kind: Field,
    owner: Field,
    node_count: Field,
    recursion_count: Field,
    stacks: [StackField; 3],
}

impl ResourceLayout {
    fn resolve(types: &dyn TypeSource) -> Result<Self, Error> {
        let name = "_VI_DEADLOCK_RESOURCE";
        let field = |path| types.field(name, path);
        let stack = |path| StackField::resolve(types, name, path);
        Ok(Self {
            size: size_of(types, name)?,
            nodes: field("ResourceList")?.offset,
            chain: field("HashChainList")?.offset,
            lock: field("ResourceAddress")?,
            kind: field("Type")?,
            owner: field("ThreadOwner")?,
            node_count: field("NodeCount")?,
            recursion_count: field("RecursionCount")?,
            stacks: [stack("StackTrace")?, stack("LastAcquireTrace")?, stack("LastReleaseTrace")?],
        })
    }

    pub(super) fn decode(&self, record: Va, bytes: &[u8]) -> Resource {
        let [stack, last_acquire, last_release] =
            self.stacks.each_ref().map(|stack| stack.frames(bytes).collect());
        Resource {
            record,
            lock: Va(number(&self.lock, bytes)),
            kind: LockType(number(&self.kind, bytes) as u32),
            owner: Va(number(&self.owner, bytes)),
            node_count: number(&self.node_count, bytes) as u16,
            recursion_count: number(&self.recursion_count, bytes) as u16,
            stack,
            last_acquire,
            last_release,
        }
    }
}

/// `_VI_DEADLOCK_THREAD`.
pub(super) struct ThreadLayout {
    pub(super) size: usize,
    pub(super) chain: u64,
    thread: Field,
    spin_node: Field,
    other_node: Field,
    node_count: Field,
    paging_count: Field,
    eresources: Option<Field>,
}

impl ThreadLayout {
    fn resolve(types: &dyn TypeSource) -> Result<Self, Error> {
        let name = "_VI_DEADLOCK_THREAD";
        let field = |path| types.field(name, path);
        Ok(Self {
            size: size_of(types, name)?,
            chain: field("ListEntry")?.offset,
            thread: field("Thread")?,
            spin_node: field("CurrentSpinNode")?,
            other_node: field("CurrentOtherNode")?,
            node_count: field("NodeCount")?,
            paging_count: field("PagingCount")?,
            eresources: field("ThreadUsesEresources").ok(),
        })
    }

    pub(super) fn decode(&self, record: Va, bytes: &[u8]) -> Thread {
        Thread {
            record,
            thread: Va(number(&self.thread, bytes)),
            current_spin_node: Va(number(&self.spin_node, bytes)),
            current_other_node: Va(number(&self.other_node, bytes)),
            node_count: number(&self.node_count, bytes) as u32,
            paging_count: number(&self.paging_count, bytes) as u32,
            uses_eresources: self.eresources.as_ref().map(|field| number(field, bytes) != 0),
        }
    }
}

/// `_VI_DEADLOCK_NODE`.
pub(super) struct NodeLayout {
    pub(super) size: usize,
    pub(super) children: u64,
    pub(super) siblings: u64,
    pub(super) resource_list: u64,
    root: Field,
    parent: Field,
    thread: Field,
    active: Field,
    only_try: Field,
    out_of_order: Option<Field>,
    sequence: Field,
    children_count: Option<Field>,
    stacks: [StackField; 2],
}

impl NodeLayout {
    fn resolve(types: &dyn TypeSource) -> Result<Self, Error> {
        let name = "_VI_DEADLOCK_NODE";
        let field = |path: &str| types.field(name, path);
        let stack = |path| StackField::resolve(types, name, path);
        // From Vista on the flags are in a union.
        let flag = |path: &str| field(&format!("u1.{path}")).or_else(|_| field(path));
        Ok(Self {
            size: size_of(types, name)?,
            children: field("ChildrenList")?.offset,
            siblings: field("SiblingsList")?.offset,
            resource_list: field("ResourceList")?.offset,
            root: field("Root")?,
            parent: field("Parent")?,
            thread: field("ThreadEntry")?,
            active: flag("Active")?,
            only_try: flag("OnlyTryAcquireUsed")?,
            out_of_order: flag("ReleasedOutOfOrder").ok(),
            sequence: flag("SequenceNumber")?,
            children_count: field("ChildrenCount").ok(),
            stacks: [stack("StackTrace")?, stack("ParentStackTrace")?],
        })
    }

    /// The node without its children, which are in a list.
    pub(super) fn decode(&self, record: Va, bytes: &[u8]) -> Node {
        let [stack, parent_stack] =
            self.stacks.each_ref().map(|stack| stack.frames(bytes).collect());
        Node {
            record,
            root: Va(number(&self.root, bytes)),
            parent: Va(number(&self.parent, bytes)),
            children: Vec::new(),
            thread: Va(number(&self.thread, bytes)),
            active: number(&self.active, bytes) != 0,
            only_try: number(&self.only_try, bytes) != 0,
            out_of_order: self.out_of_order.as_ref().is_some_and(|flag| number(flag, bytes) != 0),
            sequence: number(&self.sequence, bytes) as u32,
            children_count: self.children_count.as_ref().map(|field| number(field, bytes) as i32),
            stack,
            parent_stack,
        }
    }
}
