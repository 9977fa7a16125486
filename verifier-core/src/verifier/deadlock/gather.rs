//! The walks: databases, the nodes of each lock, the children of each node.
//!
//! Around a gap, lists are followed both ways. A record is read once, even if several lists lead to it. The
//! number of entries and records over all lists is bounded by
//! [`Limits::deadlock_records`](crate::kernel::Limits).

use std::collections::{BTreeMap, HashMap, HashSet};

use super::globals::Database;
use super::layout::DeadlockLayout;
use super::records::{Node, Resource, Thread};
use crate::addr::{PAGE_SIZE, Va};
use crate::bytes::le;
use crate::error::{Error, Problem};
use crate::kernel::{Kernel, limit, walk_list};

/// The subject of problems about the limit and about a stop.
const WHAT: &str = "records of deadlock detection";

pub(super) struct Gather<'a> {
    kernel: &'a Kernel,
    layout: &'a DeadlockLayout,
    /// List entries and records that may still be read.
    left: usize,
    /// True if a problem already says why no more is read.
    end_reported: bool,
    pub(super) resources: BTreeMap<Va, Resource>,
    pub(super) threads: BTreeMap<Va, Thread>,
    pub(super) nodes: BTreeMap<Va, Node>,
    /// Nodes whose neighbors have not been read yet.
    pending: Vec<Va>,
    /// Records that could not be read; each is a problem already.
    unreadable: HashSet<Va>,
    /// False once a list could not be walked to its end: then counts prove nothing.
    whole: bool,
    pub(super) problems: Vec<Problem>,
}

impl<'a> Gather<'a> {
    pub(super) fn new(kernel: &'a Kernel, layout: &'a DeadlockLayout) -> Self {
        Self {
            kernel,
            layout,
            left: kernel.limits().deadlock_records,
            end_reported: false,
            resources: BTreeMap::new(),
            threads: BTreeMap::new(),
            nodes: BTreeMap::new(),
            pending: Vec::new(),
            unreadable: HashSet::new(),
            whole: true,
            problems: Vec::new(),
        }
    }

    /// The locks of the database.
    pub(super) fn locks(&mut self, database: &Database) {
        let link = self.layout.resource.chain;
        for record in self.database(database, link, "database of locks") {
            self.resource(record);
        }
    }

    /// The threads of the database.
    pub(super) fn threads(&mut self, database: &Database) {
        let link = self.layout.thread.chain;
        for record in self.database(database, link, "database of threads") {
            self.thread(record);
        }
    }

    /// All nodes: those of the locks, and all that they lead to.
    pub(super) fn nodes(&mut self) {
        let layout = self.layout;
        let locks: Vec<(Va, Va, u16)> =
            self.resources.values().map(|r| (r.record, r.lock, r.node_count)).collect();
        for (record, lock, count) in locks {
            let head = record.add(layout.resource.nodes);
            let what = || format!("nodes of lock {lock}");
            let (entries, whole) = self.list(head, "list of a lock's nodes", &what);
            if whole && entries.len() != usize::from(count) {
                let why = format!("NodeCount is {count:#x}, the list has {:#x}", entries.len());
                self.problems.push(Problem::at(what(), record, why));
            }
            for entry in entries {
                let node = entry.sub(layout.node.resource_list);
                if let Some(root) = self.node(node).map(|node| node.root)
                    && root != record
                {
                    let why = format!("it is on the list of lock {lock} and its Root is {root}");
                    self.problems.push(Problem::at("deadlock node", node, why));
                }
            }
        }
        while let Some(record) = self.pending.pop() {
            self.neighbors(record);
        }
        self.check_threads();
    }

    /// Reads what a node leads to: its children, and its lock, thread and parent if no list had them.
    fn neighbors(&mut self, record: Va) {
        let layout = self.layout;
        let Some(node) = self.nodes.get(&record) else { return };
        let (root, thread, parent) = (node.root, node.thread, node.parent);
        self.resource(root);
        if !thread.is_null() {
            self.thread(thread);
        }
        if !parent.is_null() {
            self.node(parent);
        }
        let head = record.add(layout.node.children);
        let what = || format!("children of deadlock node {record}");
        let (entries, _) = self.list(head, "list of a node's children", &what);
        let children: Vec<Va> = entries.iter().map(|at| at.sub(layout.node.siblings)).collect();
        for &child in &children {
            if let Some(parent) = self.node(child).map(|child| child.parent)
                && parent != record
            {
                let why = format!("it is a child of {record} and its Parent is {parent}");
                self.problems.push(Problem::at("deadlock node", child, why));
            }
        }
        if let Some(node) = self.nodes.get_mut(&record) {
            node.children = children;
        }
    }

    /// Checks the number of locks that each thread claims to hold against the nodes that name the thread.
    /// Kernels of Windows 10 and 11 remove the name when a node is released, so all nodes with a name are
    /// held. In older kernels only the nodes that are marked as active certainly are.
    fn check_threads(&mut self) {
        if !self.whole {
            return;
        }
        let mut held: HashMap<Va, (u32, u32)> = HashMap::new();
        for node in self.nodes.values() {
            let (active, named) = held.entry(node.thread).or_default();
            *active += u32::from(node.active);
            *named += 1;
        }
        for thread in self.threads.values() {
            let (active, named) = held.get(&thread.record).copied().unwrap_or_default();
            let said = thread.node_count;
            if !(active..=named).contains(&said) {
                let why = format!(
                    "NodeCount is {said:#x}, {named:#x} nodes name it, {active:#x} of them active"
                );
                let what = format!("thread {} of deadlock detection", thread.thread);
                self.problems.push(Problem::at(what, thread.record, why));
            }
        }
    }

    /// The records of a database; `link` is the offset of their list entries.
    fn database(&mut self, database: &Database, link: u64, what: &'static str) -> Vec<Va> {
        let Some(heads) = database.heads else {
            self.whole = false;
            return Vec::new();
        };
        let entry_size = 2 * self.kernel.space().pointer_size() as u64;
        let size = database.buckets.saturating_mul(entry_size);
        let before = self.whole;
        self.whole = true;
        let (mut records, mut seen) = (Vec::new(), HashSet::new());
        let mut done = 0;
        while done < size {
            // Page by page, because one of them may be absent.
            let at = heads.add(done);
            let part = (PAGE_SIZE - at.page_offset()).min(size - done);
            let mut bytes = vec![0u8; part as usize];
            if let Err(fault) = self.kernel.space().read(at, &mut bytes) {
                let (first, last) = (done / entry_size, (done + part - 1) / entry_size);
                let what = format!("{what}, buckets {first:#x} to {last:#x}");
                self.problems.push(Problem::at(what, at, fault));
                self.whole = false;
            } else {
                // A head that crosses pages belongs to the page in which it starts.
                let first = done.next_multiple_of(entry_size);
                let starts = (first..done + part).step_by(entry_size as usize);
                for start in starts {
                    let head = heads.add(start);
                    let flink = le(&bytes, (start - done) as usize, (entry_size / 2) as usize);
                    if flink != Some(head.0) {
                        let bucket = start / entry_size;
                        self.bucket(head, bucket, what, &mut seen, &mut records);
                    }
                }
            }
            done += part;
        }
        if let Some(count) = database.count
            && self.whole
            && database.buckets != 0
            && count != records.len() as u64
        {
            let why = format!("its count is {count:#x}, its buckets hold {:#x}", records.len());
            self.problems.push(Problem::at(what, heads, why));
        }
        self.whole &= before;
        records.iter().map(|entry: &Va| entry.sub(link)).collect()
    }

    /// The entries of a bucket that are in no other bucket.
    fn bucket(
        &mut self,
        head: Va,
        bucket: u64,
        what: &'static str,
        seen: &mut HashSet<Va>,
        records: &mut Vec<Va>,
    ) {
        let (entries, _) = self.list(head, what, &|| format!("{what}, bucket {bucket:#x}"));
        for entry in entries {
            if !seen.insert(entry) {
                let what = format!("{what}, bucket {bucket:#x}");
                self.problems.push(Problem::at(what, entry, "the entry is in another bucket too"));
                self.whole = false;
                return;
            }
            records.push(entry);
        }
    }

    /// The entries after `head`, and whether these are all.
    fn list(&mut self, head: Va, kind: &'static str, what: &dyn Fn() -> String) -> (Vec<Va>, bool) {
        let mut limits = self.kernel.limits().clone();
        limits.list_entries = limits.list_entries.min(self.left());
        let walk = walk_list(self.kernel.space(), head, kind, &limits);
        self.left = self.left.saturating_sub(walk.entries.len());
        let whole = walk.broken.is_none();
        if let Some(error) = walk.broken {
            self.whole = false;
            match error {
                // `spend` reports the limit, once.
                Error::Limit { .. } if self.left == 0 => {
                    self.spend();
                }
                error => self.problems.push(Problem::from_error(what(), &error)),
            }
        }
        (walk.entries, whole)
    }

    /// How many records may still be read: none after the caller stopped the reading, which is then a
    /// problem.
    fn left(&mut self) -> usize {
        if self.left > 0 && self.kernel.is_stopped() {
            (self.left, self.whole, self.end_reported) = (0, false, true);
            let error = Error::Stopped { what: WHAT.into() };
            self.problems.push(Problem::from_error(WHAT, &error));
        }
        self.left
    }

    /// Counts one record. False if none may be read anymore, which is reported once.
    fn spend(&mut self) -> bool {
        if let Some(left) = self.left().checked_sub(1) {
            self.left = left;
            return true;
        }
        self.whole = false;
        if !std::mem::replace(&mut self.end_reported, true) {
            let error = limit!(self.kernel.limits(), deadlock_records).error(WHAT);
            self.problems.push(Problem::from_error(WHAT, &error));
        }
        false
    }

    /// The bytes of a record that has not been read yet.
    fn read(&mut self, record: Va, size: usize, what: &'static str) -> Option<Vec<u8>> {
        if self.unreadable.contains(&record) || !self.spend() {
            return None;
        }
        let mut bytes = vec![0u8; size];
        match self.kernel.space().read(record, &mut bytes) {
            Ok(_) => Some(bytes),
            Err(fault) => {
                self.whole = false;
                self.unreadable.insert(record);
                self.problems.push(Problem::at(what, record, fault));
                None
            }
        }
    }

    fn resource(&mut self, record: Va) {
        if self.resources.contains_key(&record) {
            return;
        }
        let layout = &self.layout.resource;
        if let Some(bytes) = self.read(record, layout.size, "lock of deadlock detection") {
            self.resources.insert(record, layout.decode(record, &bytes));
        }
    }

    fn thread(&mut self, record: Va) {
        if self.threads.contains_key(&record) {
            return;
        }
        let layout = &self.layout.thread;
        if let Some(bytes) = self.read(record, layout.size, "thread of deadlock detection") {
            self.threads.insert(record, layout.decode(record, &bytes));
        }
    }

    /// The node at `record`, which is read if it has not been.
    pub(super) fn node(&mut self, record: Va) -> Option<&Node> {
        if !self.nodes.contains_key(&record) {
            let layout = &self.layout.node;
            let bytes = self.read(record, layout.size, "deadlock node")?;
            self.nodes.insert(record, layout.decode(record, &bytes));
            self.pending.push(record);
        }
        self.nodes.get(&record)
    }
}
