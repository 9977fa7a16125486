//! Locks, threads, nodes and the issue as plain data.

use crate::addr::Va;
use crate::dump::BugCheck;

/// `_VI_DEADLOCK_RESOURCE_TYPE`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct LockType(pub u32);

impl LockType {
    /// Its name. `Spinlock` is the debugger's word; the others follow the C names.
    #[must_use]
    pub fn name(self) -> Option<&'static str> {
        Some(match self.0 {
            0 => "Unknown",
            1 => "Mutex",
            2 => "Abandoned mutex",
            3 => "Fast mutex",
            4 => "Fast mutex unsafe",
            5 => "Spinlock",
            6 => "In-stack queued spinlock",
            7 => "Unused spinlock",
            8 => "Eresource",
            _ => return None,
        })
    }
}

/// A lock: `_VI_DEADLOCK_RESOURCE`.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Resource {
    /// The address of the record.
    pub record: Va,
    /// `ResourceAddress`: the lock.
    pub lock: Va,
    /// `Type`.
    pub kind: LockType,
    /// `ThreadOwner`: the record of the thread that holds it, null if no thread does.
    pub owner: Va,
    /// `NodeCount`.
    pub node_count: u16,
    /// `RecursionCount`: how often its owner has taken it.
    pub recursion_count: u16,
    /// `StackTrace`: where it was initialized, or first taken. As in all stacks here, the innermost frame is
    /// first.
    pub stack: Vec<Va>,
    /// `LastAcquireTrace`.
    pub last_acquire: Vec<Va>,
    /// `LastReleaseTrace`.
    pub last_release: Vec<Va>,
}

/// A way in which a lock was taken: `_VI_DEADLOCK_NODE`.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Node {
    /// The address of the record.
    pub record: Va,
    /// `Root`: the record of its lock.
    pub root: Va,
    /// `Parent`: the node of the lock that was taken before it; null if no lock was held.
    pub parent: Va,
    /// `ChildrenList`: nodes of the locks that were taken below it.
    pub children: Vec<Va>,
    /// `ThreadEntry`: the record of the thread that holds it, null if no thread does.
    pub thread: Va,
    /// `Active`: it is held now.
    pub active: bool,
    /// `OnlyTryAcquireUsed`: it was only taken with "try" functions, which do not wait.
    pub only_try: bool,
    /// `ReleasedOutOfOrder`: it was once released before a lock that was taken later. XP does not have it.
    pub out_of_order: bool,
    /// `SequenceNumber`: of the last search that visited it.
    pub sequence: u32,
    /// `ChildrenCount`: how many nodes are below it, at any depth. From Vista SP1 on.
    pub children_count: Option<i32>,
    /// `StackTrace`: how the lock was last taken this way.
    pub stack: Vec<Va>,
    /// `ParentStackTrace`: how the parent's lock had been taken at that time.
    pub parent_stack: Vec<Va>,
}

/// A thread that holds locks: `_VI_DEADLOCK_THREAD`.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Thread {
    /// The address of the record.
    pub record: Va,
    /// `Thread`: the `_KTHREAD`.
    pub thread: Va,
    /// `CurrentSpinNode`: of the spin lock that it took last.
    pub current_spin_node: Va,
    /// `CurrentOtherNode`: of the lock of another kind that it took last.
    pub current_other_node: Va,
    /// `NodeCount`: locks that it holds.
    pub node_count: u32,
    /// `PagingCount`.
    pub paging_count: u32,
    /// `ThreadUsesEresources`: it took an `ERESOURCE` of win32k. From Windows 7 on.
    pub uses_eresources: Option<bool>,
}

/// What was reported: the parameters of bug check 0xC4.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Issue {
    /// The four words; the first is the code.
    pub words: [u64; 4],
    /// True if it is from the dump's bug check, false if it is from `ViDeadlockIssue`.
    pub from_bug_check: bool,
}

/// Lock order violation, the subject of deadlock detection.
const DEADLOCK: u64 = 0x1001;

impl Issue {
    /// The issue in `ViDeadlockIssue`; its first word is 0 if there is none.
    pub(super) fn of_words(words: [u64; 4]) -> Option<Self> {
        (words != [0; 4]).then_some(Self { words, from_bug_check: false })
    }

    /// The issue in a dump's bug check, if that is one of deadlock detection.
    #[must_use]
    pub fn of_bug_check(bug_check: &BugCheck) -> Option<Self> {
        let words = bug_check.parameters;
        let issue = Self { words, from_bug_check: true };
        (bug_check.code == 0xc4 && issue.what().is_some()).then_some(issue)
    }

    /// The code: 0x1001 for a deadlock.
    #[must_use]
    pub fn code(&self) -> u64 {
        let [code, ..] = self.words;
        code
    }

    /// What the code means; `None` for an unknown code.
    #[must_use]
    pub fn what(&self) -> Option<&'static str> {
        Some(match self.code() {
            0x1000 => "a lock was taken again by the thread that holds it",
            DEADLOCK => "locks were taken in an order that can deadlock",
            0x1002 => "a lock was taken before it was initialized",
            0x1003 => "locks were released in another order than the reverse of taking them",
            0x1004 => "a lock was released by another thread than the one that took it",
            0x1005 => "a lock was initialized again",
            0x1006 => "a thread ended while it held locks",
            0x1007 => "a lock was released that the thread does not hold",
            0x1008 => "a lock was taken by a routine for another type of lock",
            0x1009 => "a lock was released by a routine for another type of lock",
            0x100a => "a thread that ended owns a lock",
            0x100b => "a lock was freed while a thread holds it",
            _ => return None,
        })
    }

    /// The address of the lock, for the codes whose second word is one.
    #[must_use]
    pub fn lock(&self) -> Option<Va> {
        let [code, lock, ..] = self.words;
        let is_lock = matches!(code, 0x1000..=0x1005 | 0x1007..=0x1009);
        (is_lock && lock != 0).then_some(Va(lock))
    }

    /// Of a deadlock, the node of the lock that the thread held when it requested the last one.
    #[must_use]
    pub fn node(&self) -> Option<Va> {
        let [code, _, node, _] = self.words;
        (code == DEADLOCK && node != 0).then_some(Va(node))
    }
}
