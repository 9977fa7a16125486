//! Deadlock detection: which locks verified drivers took, who holds them, in which order they were taken,
//! and the deadlock that was found.
//!
//! `ViDeadlockGlobals` points at a `_VI_DEADLOCK_GLOBALS`, or is null if detection is off. The structure
//! holds counters and two databases, each an array of `LIST_ENTRY` heads:
//!
//! | record | one for each | lists it heads | linked by |
//! |---|---|---|---|
//! | `_VI_DEADLOCK_RESOURCE` | lock | `ResourceList`: its nodes | `HashChainList`, in its bucket |
//! | `_VI_DEADLOCK_THREAD` | thread that holds locks | | `ListEntry`, in its bucket |
//! | `_VI_DEADLOCK_NODE` | way in which a lock was taken below others | `ChildrenList`: locks taken below it | `ResourceList` (of the lock), `SiblingsList` (of the parent) |
//!
//! A node's `Parent` is the node of the lock that the thread had taken before. A thread that takes B while it
//! holds A leaves a node of A with a child of B. The node outlives the release: `Active` and `ThreadEntry`
//! are cleared, the order stays known. When a thread takes a lock, the kernel checks whether that lock was
//! ever taken before one that the thread holds. If so, the kernel stores the lock in `Instigator`, the nodes
//! between in `Participant` (in the order of [`LockOrder`](crate::analysis::LockOrder)), and the parameters
//! of the bug check (0xC4, subcode 0x1001) in the four words of `ViDeadlockIssue`, whether or not the machine
//! stops.
//!
//! **Builds.** Layouts come from the build's types. The number of buckets is the length of the array
//! `ResourceAddressRange` (1023 from Vista on). XP and 2003 do not have this field or any other with the
//! number, so only counters and participants are read from them. The values of `Type` are those of
//! `_VI_DEADLOCK_RESOURCE_TYPE` in the symbols of 7601 to 22000. Not from symbols: kernels of Windows 10 and
//! 11 do not follow locks on machines with more than four processors, after an allocation of the database
//! failed, or after one root has more nodes below it than `ViDeadlockChildrenCountMaximum` (1024) allows.
//! Checked on synthetic kernels of 7601 to 22000, x64, x86 and ARM64, and with the tables and PDBs of real
//! kernels over memory that was written by hand.

mod gather;
mod globals;
mod layout;
mod records;

use std::collections::BTreeMap;

pub use records::{Issue, LockType, Node, Resource, Thread};

use super::counters::Counters;
use crate::addr::Va;
use crate::error::{Error, Problem};
use crate::kernel::Kernel;
use gather::Gather;
use globals::Globals;
use layout::DeadlockLayout;

/// The data of deadlock detection.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Deadlock {
    /// The `_VI_DEADLOCK_GLOBALS`; null if detection is off.
    pub address: Va,
    /// `ViDeadlockDetectionEnabled`; `None` if it cannot be read.
    pub enabled: Option<bool>,
    /// `ViDeadlockState`: 2 kernel verified too, 4 all drivers verified, 8 sequence numbers used up,
    /// 0x10 more participants than there is room for, 0x20 a lock with too many nodes.
    pub state: Option<u32>,
    /// Why the kernel does not follow locks, or no further ones.
    pub inactive_because: Option<String>,
    /// Every count of the globals.
    pub counters: Counters,
    /// What was reported: `ViDeadlockIssue`, else the bug check.
    pub issue: Option<Issue>,
    /// `Instigator`: the lock that completes the deadlock that was found; null if none was.
    pub instigator: Va,
    /// `Participant`: the nodes of that deadlock, by address.
    pub participants: Vec<Va>,
    resources: BTreeMap<Va, Resource>,
    threads: BTreeMap<Va, Thread>,
    nodes: BTreeMap<Va, Node>,
    /// What could not be read or does not fit.
    pub problems: Vec<Problem>,
}

impl Deadlock {
    /// Reads all of it. If `ViDeadlockIssue` has no issue, it is taken from the kernel's
    /// [bug check](Kernel::bug_check).
    ///
    /// # Errors
    /// If the kernel's symbols are missing or do not have `ViDeadlockGlobals` or the structures, or if the
    /// pointer itself cannot be read.
    pub fn read(kernel: &Kernel) -> Result<Self, Error> {
        let global = kernel.global("ViDeadlockGlobals")?;
        let address = kernel
            .space()
            .read_pointer(global)
            .map_err(|fault| Error::read("ViDeadlockGlobals", fault))?;
        let issue = kernel.bug_check().as_ref().and_then(Issue::of_bug_check);
        let problems = kernel.problems().to_vec();
        let mut found = Self { address, issue, problems, ..Self::default() };
        if address.is_null() {
            found.inactive_because =
                Some("deadlock detection is off: ViDeadlockGlobals is null".into());
            return Ok(found);
        }
        let layout = DeadlockLayout::resolve(kernel.types()?)?;
        let globals = Globals::read(kernel, address)?;
        found.problems.extend(globals.problems);
        if let Some(issue) = globals.issue {
            found.issue = Some(issue);
        }
        found.enabled = globals.enabled;
        found.state = globals.state;
        found.inactive_because = globals.inactive_because;
        found.counters = globals.counters;
        found.instigator = globals.instigator;
        found.participants = globals.participants;

        let mut gather = Gather::new(kernel, &layout);
        gather.locks(&globals.resources);
        gather.threads(&globals.threads);
        // The nodes of the deadlock matter most, so they are read even if the lists that lead to them are
        // cut.
        let reported = found.issue.as_ref().and_then(Issue::node);
        for &node in found.participants.iter().chain(reported.as_ref()) {
            let _ = gather.node(node);
        }
        gather.nodes();
        found.resources = gather.resources;
        found.threads = gather.threads;
        found.nodes = gather.nodes;
        found.problems.append(&mut gather.problems);
        Ok(found)
    }

    /// The locks, by the address of their record.
    #[must_use]
    pub fn resources(&self) -> impl ExactSizeIterator<Item = &Resource> + Clone {
        self.resources.values()
    }

    /// The threads that hold locks, by the address of their record.
    #[must_use]
    pub fn threads(&self) -> impl ExactSizeIterator<Item = &Thread> + Clone {
        self.threads.values()
    }

    /// The nodes, by the address of their record.
    #[must_use]
    pub fn nodes(&self) -> impl ExactSizeIterator<Item = &Node> + Clone {
        self.nodes.values()
    }

    /// The lock whose `_VI_DEADLOCK_RESOURCE` is at `record`.
    #[must_use]
    pub fn resource(&self, record: Va) -> Option<&Resource> {
        self.resources.get(&record)
    }

    /// The thread whose `_VI_DEADLOCK_THREAD` is at `record`.
    #[must_use]
    pub fn thread(&self, record: Va) -> Option<&Thread> {
        self.threads.get(&record)
    }

    /// The node at `record`.
    #[must_use]
    pub fn node(&self, record: Va) -> Option<&Node> {
        self.nodes.get(&record)
    }

    /// The address of a node's lock, if its record could be read.
    #[must_use]
    pub fn lock_of(&self, node: &Node) -> Option<Va> {
        self.resource(node.root).map(|resource| resource.lock)
    }

    /// The type of the lock at `address`.
    #[must_use]
    pub fn lock_type(&self, address: Va) -> Option<LockType> {
        self.resources().find(|resource| resource.lock == address).map(|resource| resource.kind)
    }

    /// Every lock and every frame of every stack: the addresses that an output names.
    pub fn code_addresses(&self) -> impl Iterator<Item = Va> {
        let resources = self.resources().flat_map(|resource| {
            let stacks = [&resource.stack, &resource.last_acquire, &resource.last_release];
            std::iter::once(resource.lock).chain(stacks.into_iter().flatten().copied())
        });
        let nodes = self
            .nodes()
            .flat_map(|node| [&node.stack, &node.parent_stack].into_iter().flatten().copied());
        resources.chain(nodes).chain([self.instigator])
    }
}
