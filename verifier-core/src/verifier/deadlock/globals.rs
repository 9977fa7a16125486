//! `_VI_DEADLOCK_GLOBALS` and the variables beside it.
//!
//! The structure is longer than eight pages. Each field is read separately, so an absent page only costs the
//! fields in it.

use super::records::Issue;
use crate::addr::Va;
use crate::bytes::le;
use crate::error::{Error, Problem};
use crate::kernel::Kernel;
use crate::types::{Field, Shape};
use crate::verifier::counters::{Counter, Counters, required};

const NAME: &str = "_VI_DEADLOCK_GLOBALS";
const WHAT: &str = "deadlock detection's globals";

/// The most buckets; every kernel from Vista on has 1023.
const MAX_BUCKETS: u64 = 1 << 16;
/// The most processors with which kernels of Windows 10 and 11 follow locks.
const MAX_PROCESSORS: u32 = 4;
/// The number of nodes below one root after which they stop to follow locks, if
/// `ViDeadlockChildrenCountMaximum` does not say it.
const MAX_CHILDREN: u32 = 1024;
/// The oldest build for which these limits, and the effect of a failed allocation, are known.
const LIMITS_SINCE: u32 = 14393;

/// A database: heads of lists.
pub(super) struct Database {
    /// The array; `None` if the pointer cannot be read.
    pub(super) heads: Option<Va>,
    /// The number of heads in it.
    pub(super) buckets: u64,
    /// The number of records in it, by the globals.
    pub(super) count: Option<u64>,
}

/// What the globals say.
pub(super) struct Globals {
    pub(super) enabled: Option<bool>,
    pub(super) state: Option<u32>,
    pub(super) inactive_because: Option<String>,
    pub(super) counters: Counters,
    pub(super) resources: Database,
    pub(super) threads: Database,
    pub(super) instigator: Va,
    pub(super) participants: Vec<Va>,
    pub(super) issue: Option<Issue>,
    pub(super) problems: Vec<Problem>,
}

impl Globals {
    pub(super) fn read(kernel: &Kernel, address: Va) -> Result<Self, Error> {
        let types = kernel.types()?;
        let structure = required(types, NAME)?;
        let mut reader = Reader { kernel, address, faulty_page: None, problems: Vec::new() };
        let mut counters = Counters::default();
        for member in &structure.members {
            // Not addresses: pointers, and the bounds of the stack on which a search ran.
            if !member.shape.is_integer()
                || matches!(member.shape, Shape::Pointer(_))
                || matches!(member.name.as_str(), "StackLowLimit" | "StackHighLimit")
            {
                continue;
            }
            let field = Field { offset: member.offset, shape: member.shape.clone() };
            if let Some(value) = reader.number(&field) {
                counters.0.push(Counter { name: member.name.clone(), value });
            }
        }
        let mut database = |what: &str| -> Result<Database, Error> {
            let heads = types.field(NAME, &format!("{what}Database"))?;
            let range = format!("{what}AddressRange");
            let buckets = match structure.member(&range).map(|member| &member.shape) {
                Some(Shape::Array { count, .. }) => (*count).min(MAX_BUCKETS),
                _ => {
                    let why = format!(
                        "type {NAME} has no {range}, which says how many buckets there are"
                    );
                    reader.problems.push(Problem::at(WHAT, address, why));
                    0
                }
            };
            let count = counters.get(&format!("{what}DatabaseCount"));
            Ok(Database { heads: reader.number(&heads).map(Va), buckets, count })
        };
        let (resources, threads) = (database("Resource")?, database("Thread")?);
        let instigator = types.field(NAME, "Instigator")?;
        let instigator = Va(reader.number(&instigator).unwrap_or(0));
        let said = counters.get("NumberOfParticipants").unwrap_or(0);
        let participants = reader.participants(&types.field(NAME, "Participant")?, said);
        let enabled = reader.variable("ViDeadlockDetectionEnabled").map(|value| value != 0);
        let state = reader.variable("ViDeadlockState");
        let limits = FollowLimits {
            build: kernel.build(),
            processors: reader.variable("KeNumberProcessors"),
            max_children: reader.variable("ViDeadlockChildrenCountMaximum"),
        };
        let issue = reader.issue();
        Ok(Self {
            enabled,
            state,
            inactive_because: limits.inactive_because(enabled, &counters),
            counters,
            resources,
            threads,
            instigator,
            participants,
            issue,
            problems: reader.problems,
        })
    }
}

/// What the kernel checks about the machine and its counters before it follows a lock.
struct FollowLimits {
    build: u32,
    processors: Option<u32>,
    max_children: Option<u32>,
}

impl FollowLimits {
    /// Why the kernel does not follow locks.
    fn inactive_because(&self, enabled: Option<bool>, counters: &Counters) -> Option<String> {
        if enabled == Some(false) {
            return Some(
                "deadlock detection was switched off, which empties its database \
                 (ViDeadlockDetectionEnabled is 0)"
                    .into(),
            );
        }
        if self.build < LIMITS_SINCE {
            return None;
        }
        let count = |name| counters.get(name).filter(|&count| count != 0);
        if let Some(failures) = count("AllocationFailures") {
            return Some(format!(
                "deadlock detection gave up when it could not allocate its records \
                 (AllocationFailures is {failures})"
            ));
        }
        let most = self.max_children.filter(|&most| most != 0).unwrap_or(MAX_CHILDREN);
        if let Some(children) = count("ChildrenCountWatermark").map(|count| count as i64)
            && children > i64::from(most)
        {
            return Some(format!(
                "deadlock detection gave up when {children} nodes stood below one \
                 (ChildrenCountWatermark; the most is {most})"
            ));
        }
        self.processors.filter(|&count| count > MAX_PROCESSORS).map(|count| {
            format!(
                "this kernel follows locks on machines with at most {MAX_PROCESSORS} processors, \
                 and this one has {count}"
            )
        })
    }
}

struct Reader<'k> {
    kernel: &'k Kernel,
    address: Va,
    /// The page that a problem already reports as unreadable.
    faulty_page: Option<Va>,
    problems: Vec<Problem>,
}

impl Reader<'_> {
    /// A number of the structure.
    fn number(&mut self, field: &Field) -> Option<u64> {
        let size = usize::try_from(field.shape.size()?).ok()?;
        let mut raw = [0u8; 8];
        let bytes = raw.get_mut(..size)?;
        let at = self.address.add(field.offset);
        if let Err(fault) = self.kernel.space().read(at, bytes) {
            let page = Va(fault.address).page();
            if self.faulty_page.replace(page) != Some(page) {
                self.problems.push(Problem::at(WHAT, at, fault));
            }
            return None;
        }
        Field { offset: 0, shape: field.shape.clone() }.get(bytes)
    }

    /// A global of 32 bits; `None` if it cannot be read or the symbols do not have it. The locks are complete
    /// without it, so a read that fails is a remark.
    fn variable(&mut self, name: &'static str) -> Option<u32> {
        let at = self.kernel.global(name).ok()?;
        match self.kernel.space().memory().read_u32(at) {
            Ok(value) => Some(value),
            Err(fault) => {
                self.problems.push(Problem::at(name, at, fault).remark());
                None
            }
        }
    }

    fn participants(&mut self, field: &Field, said: u64) -> Vec<Va> {
        let Shape::Array { element, count, .. } = &field.shape else { return Vec::new() };
        if said > *count {
            let why = format!("NumberOfParticipants is {said:#x} of at most {count:#x}");
            self.problems.push(Problem::at(WHAT, self.address, why));
        }
        let size = element.size().unwrap_or(0);
        let mut participants = Vec::new();
        for i in 0..said.min(*count) {
            let offset = field.offset.saturating_add(i.saturating_mul(size));
            let one = Field { offset, shape: (**element).clone() };
            match self.number(&one).map(Va) {
                Some(node) if !node.is_null() => participants.push(node),
                Some(_) => {
                    let why = format!("participant {i} is null");
                    self.problems.push(Problem::at(WHAT, self.address.add(offset), why));
                }
                None => {}
            }
        }
        participants
    }

    /// `ViDeadlockIssue`: four pointers.
    fn issue(&mut self) -> Option<Issue> {
        let name = "ViDeadlockIssue";
        let at = self.kernel.global(name).ok()?;
        let space = self.kernel.space();
        let size = space.pointer_size();
        let mut bytes = vec![0u8; 4 * size];
        if let Err(fault) = space.read(at, &mut bytes) {
            self.problems.push(Problem::at(name, at, fault));
            return None;
        }
        let word = |i: usize| le(&bytes, i * size, size).unwrap_or(0);
        Issue::of_words([word(0), word(1), word(2), word(3)])
    }
}
