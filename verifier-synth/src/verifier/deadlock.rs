//! Deadlock detection: the locks that verified drivers took, their owners, and the order they were taken in.
//!
//! `ViDeadlockGlobals` → `_VI_DEADLOCK_GLOBALS`, which has two databases of 1023 `LIST_ENTRY` heads each: one
//! of `_VI_DEADLOCK_RESOURCE` (a lock), linked by `HashChainList`, and one of `_VI_DEADLOCK_THREAD`, linked
//! by `ListEntry`. The bucket is (address >> 12) % 1023, of the lock or of the thread. A `_VI_DEADLOCK_NODE`
//! is a lock taken while other locks were held: `Parent` is the node of the lock taken before it. It is
//! linked to its parent's `ChildrenList` by `SiblingsList`, and to the `ResourceList` of its lock (`Root`). A
//! node whose lock was released stays, without `Active` and without `ThreadEntry`. When a deadlock is found,
//! `Instigator` is the lock that completes it, `Participant` has the nodes that lead there, and
//! `ViDeadlockIssue` has its bug check's parameters. Source: public PDB types.

use std::collections::BTreeMap;

use crate::assembly::Assembly;
use crate::physical::PAGE_SIZE;

/// Number of buckets of a database.
const BUCKETS: usize = 1023;
const GLOBALS: &str = "_VI_DEADLOCK_GLOBALS";
const RESOURCE: &str = "_VI_DEADLOCK_RESOURCE";
const THREAD: &str = "_VI_DEADLOCK_THREAD";
const NODE: &str = "_VI_DEADLOCK_NODE";

/// A lock of a [`Deadlock`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LockId(usize);

/// A thread of a [`Deadlock`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LockThreadId(usize);

/// A node of a [`Deadlock`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LockNodeId(usize);

/// A lock: `_VI_DEADLOCK_RESOURCE`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Lock {
    /// `ResourceAddress`.
    pub address: u64,
    /// `Type`: 1 mutex, 3 fast mutex, 5 spin lock, 6 in-stack queued spin lock.
    pub kind: u32,
    /// `ThreadOwner`.
    pub owner: Option<LockThreadId>,
    /// `RecursionCount`.
    pub recursion: u16,
    /// `StackTrace`: the stack that initialized the lock, or on which it was first seen.
    pub stack: Vec<u64>,
    /// `LastAcquireTrace`.
    pub last_acquire: Vec<u64>,
    /// `LastReleaseTrace`.
    pub last_release: Vec<u64>,
}

/// A lock taken while others were held: `_VI_DEADLOCK_NODE`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LockNode {
    /// `Root`.
    pub lock: LockId,
    /// `Parent`.
    pub parent: Option<LockNodeId>,
    /// `ThreadEntry` of a held node; it makes the node `Active`.
    pub thread: Option<LockThreadId>,
    /// `OnlyTryAcquireUsed`.
    pub only_try: bool,
    /// `ReleasedOutOfOrder`.
    pub out_of_order: bool,
    /// `SequenceNumber`.
    pub sequence: u32,
    /// `StackTrace`.
    pub stack: Vec<u64>,
    /// `ParentStackTrace`.
    pub parent_stack: Vec<u64>,
}

impl LockNode {
    /// A released node without a parent.
    pub fn new(lock: LockId) -> Self {
        Self {
            lock,
            parent: None,
            thread: None,
            only_try: false,
            out_of_order: false,
            sequence: 0,
            stack: Vec::new(),
            parent_stack: Vec::new(),
        }
    }

    /// Returns the node below another node.
    pub fn below(self, parent: LockNodeId) -> Self {
        Self { parent: Some(parent), ..self }
    }

    /// Returns the node as held by a thread.
    pub fn held_by(self, thread: LockThreadId) -> Self {
        Self { thread: Some(thread), ..self }
    }

    /// Returns the node with the stack that took the lock.
    pub fn stack(self, frames: &[u64]) -> Self {
        Self { stack: frames.to_vec(), ..self }
    }

    /// Returns the node with the stack that took the parent's lock.
    pub fn parent_stack(self, frames: &[u64]) -> Self {
        Self { parent_stack: frames.to_vec(), ..self }
    }
}

/// The data of deadlock detection.
#[derive(Debug, Clone, Default)]
pub struct Deadlock {
    /// `ViDeadlockState`.
    pub state: u32,
    disabled: bool,
    locks: Vec<Lock>,
    threads: Vec<(u64, bool)>,
    nodes: Vec<LockNode>,
    counters: BTreeMap<String, u64>,
    instigator: Option<LockId>,
    participants: Vec<LockNodeId>,
    issue: [u64; 4],
}

impl Deadlock {
    /// Adds a lock.
    pub fn lock(&mut self, lock: Lock) -> LockId {
        self.locks.push(lock);
        LockId(self.locks.len() - 1)
    }

    /// Adds a lock of this kind that no thread holds, without stacks.
    pub fn free_lock(&mut self, address: u64, kind: u32) -> LockId {
        self.lock(Lock { address, kind, ..Lock::default() })
    }

    /// Makes a thread the owner of a lock, taken once.
    pub fn own(&mut self, lock: LockId, thread: LockThreadId) -> &mut Self {
        let lock = &mut self.locks[lock.0];
        (lock.owner, lock.recursion) = (Some(thread), 1);
        self
    }

    /// Adds a thread that holds locks: `_KTHREAD`.
    pub fn thread(&mut self, thread: u64) -> LockThreadId {
        self.threads.push((thread, false));
        LockThreadId(self.threads.len() - 1)
    }

    /// Marks a thread that took an `ERESOURCE` of win32k.
    pub fn uses_eresources(&mut self, thread: LockThreadId) -> &mut Self {
        self.threads[thread.0].1 = true;
        self
    }

    /// Adds a node. The last node that a thread holds is its current one.
    pub fn node(&mut self, node: LockNode) -> LockNodeId {
        self.nodes.push(node);
        LockNodeId(self.nodes.len() - 1)
    }

    /// Sets `ViDeadlockDetectionEnabled` to 0.
    pub fn disabled(&mut self) -> &mut Self {
        self.disabled = true;
        self
    }

    /// Sets a field of the globals by its C name; otherwise its value follows from the other data.
    pub fn counter(&mut self, name: &str, value: u64) -> &mut Self {
        self.counters.insert(name.to_owned(), value);
        self
    }

    /// Sets the four words of `ViDeadlockIssue`.
    pub fn issue(&mut self, words: [u64; 4]) -> &mut Self {
        self.issue = words;
        self
    }

    /// Records a deadlock: the lock that would complete it, and the nodes that lead there, with the node that
    /// the detecting thread holds last. [`Machine::assemble`] fills in `ViDeadlockIssue`.
    ///
    /// [`Machine::assemble`]: crate::Machine::assemble
    pub fn found(&mut self, instigator: LockId, participants: &[LockNodeId]) -> &mut Self {
        (self.instigator, self.participants) = (Some(instigator), participants.to_vec());
        self
    }

    pub(super) fn lay_out(&self, m: &mut Assembly) {
        let globals = pages(m, m.layouts.size(GLOBALS));
        m.label("deadlock globals", globals);
        let place = |m: &mut Assembly, structure: &str, label: &str, count: usize| -> Vec<u64> {
            let size = m.layouts.size(structure);
            (0..count)
                .map(|i| {
                    let va = m.allocate(size, 16);
                    m.label(format!("deadlock {label}:{i}"), va);
                    va
                })
                .collect()
        };
        let locks = place(m, RESOURCE, "lock", self.locks.len());
        let threads = place(m, THREAD, "thread", self.threads.len());
        let nodes = place(m, NODE, "node", self.nodes.len());
        self.records(m, &locks, &threads, &nodes);
        self.lists(m, &locks, &nodes);

        let mut record = m
            .layouts
            .record(GLOBALS)
            .set("ResourceDatabaseCount", self.locks.len() as u64)
            .set("ThreadDatabaseCount", self.threads.len() as u64)
            .set("RecursionDepthLimit", 4)
            .set("SearchedNodesLimit", 1000)
            .set("NumberOfParticipants", self.participants.len() as u64);
        let roots = self.nodes.iter().enumerate().filter(|(_, node)| node.parent.is_none());
        let widest = roots.map(|(i, _)| self.below(i)).max().unwrap_or(0);
        record = record.set("ChildrenCountWatermark", widest as u64);
        let participants: Vec<u64> = self.participants.iter().map(|id| nodes[id.0]).collect();
        record = record.set_all("Participant", &participants);
        if let Some(lock) = self.instigator {
            record = record.set("Instigator", self.locks[lock.0].address);
        }
        for (name, value) in &self.counters {
            record = record.set(name, *value);
        }
        let bytes = record.bytes();
        m.patch(globals, &bytes);
        let addresses: Vec<u64> = self.locks.iter().map(|lock| lock.address).collect();
        database(m, globals, "Resource", &addresses, &locks, (RESOURCE, "HashChainList"));
        let addresses: Vec<u64> = self.threads.iter().map(|(thread, _)| *thread).collect();
        database(m, globals, "Thread", &addresses, &threads, (THREAD, "ListEntry"));

        let mut issue = self.issue;
        if let (Some(lock), Some(node)) = (self.instigator, participants.last())
            && issue == [0; 4]
        {
            issue = [0x1001, self.locks[lock.0].address, *node, 0];
        }
        let pointer = m.layouts.pointer_size() as u64;
        for (i, word) in issue.into_iter().enumerate() {
            m.patch_pointer(m.global("ViDeadlockIssue") + i as u64 * pointer, word);
        }
        m.set_pointer("ViDeadlockGlobals", globals);
        m.set_u32("ViDeadlockDetectionEnabled", u32::from(!self.disabled));
        m.set_u32("ViDeadlockState", self.state);
    }

    /// The number of nodes below one, which is its `ChildrenCount`.
    fn below(&self, node: usize) -> usize {
        let children = self
            .nodes
            .iter()
            .enumerate()
            .filter(|(_, other)| other.parent.is_some_and(|parent| parent.0 == node));
        children.map(|(child, _)| 1 + self.below(child)).sum()
    }

    fn records(&self, m: &mut Assembly, locks: &[u64], threads: &[u64], nodes: &[u64]) {
        let thread_of = |id: Option<LockThreadId>| id.map_or(0, |id| threads[id.0]);
        for (i, lock) in self.locks.iter().enumerate() {
            let count = self.nodes.iter().filter(|node| node.lock == LockId(i)).count();
            let bytes = m
                .layouts
                .record(RESOURCE)
                .set("Type", lock.kind.into())
                .set("NodeCount", count as u64)
                .set("RecursionCount", lock.recursion.into())
                .set("ResourceAddress", lock.address)
                .set("ThreadOwner", thread_of(lock.owner))
                .set_all("StackTrace", &lock.stack)
                .set_all("LastAcquireTrace", &lock.last_acquire)
                .set_all("LastReleaseTrace", &lock.last_release)
                .bytes();
            m.patch(locks[i], &bytes);
        }
        for (i, (thread, uses_eresources)) in self.threads.iter().enumerate() {
            let held = |spin: bool| {
                let mine = self.nodes.iter().zip(nodes).filter(move |(node, _)| {
                    node.thread == Some(LockThreadId(i))
                        && matches!(self.locks[node.lock.0].kind, 5 | 6) == spin
                });
                mine.map(|(_, va)| *va).collect::<Vec<u64>>()
            };
            let (spin, other) = (held(true), held(false));
            let bytes = m
                .layouts
                .record(THREAD)
                .set("Thread", *thread)
                .set("CurrentSpinNode", spin.last().copied().unwrap_or(0))
                .set("CurrentOtherNode", other.last().copied().unwrap_or(0))
                .set("NodeCount", (spin.len() + other.len()) as u64)
                .set("ThreadUsesEresources", (*uses_eresources).into())
                .bytes();
            m.patch(threads[i], &bytes);
        }
        for (i, node) in self.nodes.iter().enumerate() {
            let bytes = m
                .layouts
                .record(NODE)
                .set("Parent", node.parent.map_or(0, |id| nodes[id.0]))
                .set("Root", locks[node.lock.0])
                .set("ThreadEntry", thread_of(node.thread))
                .set("u1.Active", node.thread.is_some().into())
                .set("u1.OnlyTryAcquireUsed", node.only_try.into())
                .set("u1.ReleasedOutOfOrder", node.out_of_order.into())
                .set("u1.SequenceNumber", node.sequence.into())
                .set("ChildrenCount", self.below(i) as u64)
                .set_all("StackTrace", &node.stack)
                .set_all("ParentStackTrace", &node.parent_stack)
                .bytes();
            m.patch(nodes[i], &bytes);
        }
    }

    /// Links the nodes of each lock and the children of each node.
    fn lists(&self, m: &mut Assembly, locks: &[u64], nodes: &[u64]) {
        let link = |m: &mut Assembly, head: u64, field: &str, of: &dyn Fn(&LockNode) -> bool| {
            let at = m.layouts.offset(NODE, field) as u64;
            let mine = self.nodes.iter().zip(nodes).filter(|(node, _)| of(node));
            let entries: Vec<u64> = mine.map(|(_, va)| va + at).collect();
            m.link(head, &entries);
        };
        for (i, lock) in locks.iter().enumerate() {
            let head = lock + m.layouts.offset(RESOURCE, "ResourceList") as u64;
            link(m, head, "ResourceList", &|node| node.lock == LockId(i));
        }
        for (i, (node, va)) in self.nodes.iter().zip(nodes).enumerate() {
            let head = va + m.layouts.offset(NODE, "ChildrenList") as u64;
            link(m, head, "SiblingsList", &|child| child.parent == Some(LockNodeId(i)));
            if node.parent.is_none() {
                // A root is not in a list of children, so its entry points at itself.
                m.link(va + m.layouts.offset(NODE, "SiblingsList") as u64, &[]);
            }
        }
    }
}

/// Allocates whole pages, as pool does for more than a page.
fn pages(m: &mut Assembly, size: usize) -> u64 {
    m.allocate(size.next_multiple_of(PAGE_SIZE), PAGE_SIZE as u64)
}

/// Writes a database: its heads with their chains, its pointer, and the address range of each bucket.
fn database(
    m: &mut Assembly,
    globals: u64,
    what: &str,
    addresses: &[u64],
    records: &[u64],
    (structure, chain): (&str, &str),
) {
    let head_size = m.layouts.size("_LIST_ENTRY");
    let heads = pages(m, BUCKETS * head_size);
    m.label(format!("deadlock {} heads", what.to_lowercase()), heads);
    m.patch_pointer(globals + m.layouts.offset(GLOBALS, &format!("{what}Database")) as u64, heads);
    let mut buckets = vec![Vec::new(); BUCKETS];
    for (&address, &record) in addresses.iter().zip(records) {
        buckets[(address >> 12) as usize % BUCKETS].push((address, record));
    }
    let at = m.layouts.offset(structure, chain) as u64;
    let ranges = globals + m.layouts.offset(GLOBALS, &format!("{what}AddressRange")) as u64;
    let end = m.layouts.offset("_VF_ADDRESS_RANGE", "End") as u64;
    for (i, bucket) in buckets.iter().enumerate() {
        let entries: Vec<u64> = bucket.iter().map(|(_, record)| record + at).collect();
        m.link(heads + (i * head_size) as u64, &entries);
        let Some(first) = bucket.iter().map(|(address, _)| *address).min() else { continue };
        let last = bucket.iter().map(|(address, _)| *address).max().unwrap_or(first);
        let range = ranges + (i * m.layouts.size("_VF_ADDRESS_RANGE")) as u64;
        m.patch_pointer(range, first);
        m.patch_pointer(range + end, last + 1);
    }
}
