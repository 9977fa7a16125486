//! What can go wrong, and where.
//!
//! Four things stay apart because each calls for a different act: bytes that are **absent** from
//! the dump ([`Reason::Absent`], take a fuller dump), an address that is **not present** in the
//! page tables ([`Reason::NotPresent`], the page was paged out or never there), a name that is
//! **not in the symbols** ([`Error::MissingType`], [`Error::MissingField`],
//! [`Error::MissingSymbol`], bring the right PDB), and data that is **malformed**
//! ([`Error::Format`] in the file, [`Error::Malformed`] in memory).
//!
//! Views never stop at one bad record: they return what could be read and a list of
//! [`Problem`]s, each with its address.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use crate::addr::{Pa, Pfn, Space, Va};
use crate::extent::Extent;
use crate::pdb_id::PdbId;

/// What a small dump holds, and what it never does, in one line.
pub const TRIAGE_HOLDS: &str = "a small (triage) dump holds no physical memory, only blocks of virtual \
    memory around the crash: level and statistics at most, never Verifier's drivers, allocations, logs \
    or locks; take a kernel or complete dump";

/// What a view says that the caller stopped ([`Kernel::stop_when`](crate::kernel::Kernel::stop_when)).
pub(crate) const STOPPED: &str = "reading was stopped";

/// Why a read failed, at which address, and how far it got.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The space of [`address`](Self::address).
    pub space: Space,
    /// The first address that could not be read.
    pub address: u64,
    /// How many bytes of the request were read before it.
    pub done: usize,
    /// Why it could not be read.
    pub reason: Reason,
}

/// Why an address could not be read.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reason {
    /// The page frame is not among those that the dump holds.
    Absent {
        /// The frame.
        pfn: Pfn,
    },
    /// The dump's map says that it holds the frame, but the file ends before it.
    Truncated {
        /// The frame.
        pfn: Pfn,
        /// Where in the file it would be.
        offset: u64,
    },
    /// The file says that it holds the bytes, but ends before them (blocks of virtual memory).
    FileEnds {
        /// Where in the file they would be.
        offset: u64,
    },
    /// The source holds no bytes for the address (a source without page frames, such as blocks of
    /// virtual memory or literals).
    NotHeld,
    /// The page tables have no page for the address.
    NotPresent {
        /// The level of the entry that ends the walk: 1 is the page table, 4 (or 5) the top.
        level: u8,
        /// The entry.
        entry: u64,
        /// The physical address of the entry.
        at: Pa,
    },
    /// A page table itself could not be read.
    Table {
        /// The level of the table.
        level: u8,
        /// The entry that was wanted.
        at: Pa,
        /// Why it could not be read.
        cause: Box<Reason>,
    },
    /// The address is outside the address space: not canonical, or past its end.
    OutOfRange,
    /// What the embedder's own reader said.
    Reader(Arc<str>),
}

impl Reason {
    /// True if the bytes exist in the machine but not in this dump.
    #[must_use]
    pub fn is_absent(&self) -> bool {
        match self {
            Reason::Absent { .. }
            | Reason::Truncated { .. }
            | Reason::FileEnds { .. }
            | Reason::NotHeld => true,
            Reason::Table { cause, .. } => cause.is_absent(),
            _ => false,
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Reason::Absent { pfn } => write!(f, "page frame {pfn} is not in the dump"),
            Reason::Truncated { pfn, offset } => write!(
                f,
                "page frame {pfn} would be at file offset {offset:#x}, past the end of the file"
            ),
            Reason::FileEnds { offset } => {
                write!(f, "it would be at file offset {offset:#x}, past the end of the file")
            }
            Reason::NotHeld => f.write_str("the source holds no bytes there"),
            Reason::NotPresent { level, entry, at } => {
                write!(f, "not present: the level {level} entry at physical {at} is {entry:#x}")
            }
            Reason::Table { level, at, cause } => write!(
                f,
                "the level {level} page table entry at physical {at} cannot be read: {cause}"
            ),
            Reason::OutOfRange => f.write_str("outside the address space"),
            Reason::Reader(text) => write!(f, "the reader says: {text}"),
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} address {:#x}: {}", self.space, self.address, self.reason)?;
        if self.done > 0 {
            write!(f, " (after {:#x} bytes)", self.done)?;
        }
        Ok(())
    }
}

impl std::error::Error for Fault {}

/// Any error of this crate.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Memory that was needed could not be read.
    #[error("{what}: {fault}")]
    Read {
        /// What was being read.
        what: Cow<'static, str>,
        /// Where and why it failed; the message has it, so it is not a `source`, which would repeat it.
        fault: Fault,
    },
    /// The file is not what it says it is.
    #[error("file offset {offset:#x}: {what}: {why}")]
    Format {
        /// Where in the file.
        offset: u64,
        /// Which structure.
        what: &'static str,
        /// What does not fit.
        why: String,
    },
    /// A structure in memory does not hold what it must.
    #[error("{what} at {address}: {why}")]
    Malformed {
        /// Where in memory.
        address: Va,
        /// Which structure.
        what: Cow<'static, str>,
        /// What does not fit.
        why: String,
    },
    /// The symbols do not have this type.
    #[error("the kernel's symbols have no type {name}")]
    MissingType {
        /// The type, in C spelling.
        name: String,
    },
    /// The type has no such field.
    #[error("type {type_name} has no field {path}")]
    MissingField {
        /// The type, in C spelling.
        type_name: String,
        /// The path that was asked for.
        path: String,
    },
    /// The symbols do not have this global.
    #[error("the kernel's symbols have no global {name}")]
    MissingSymbol {
        /// The global's name.
        name: String,
    },
    /// The kernel's symbols are missing, and the global was not found by the contents of memory.
    #[error("{name} was not found without the kernel's symbols: {why}")]
    UnknownGlobal {
        /// The global's name.
        name: String,
        /// What was looked for, and what came of it.
        why: String,
    },
    /// The dump is a small one, and this global is not among the blocks that it holds.
    #[error("{name} is not in this dump: {TRIAGE_HOLDS}")]
    NotInSmallDump {
        /// The global's name.
        name: String,
    },
    /// No symbols at all were supplied for the kernel.
    #[error("no symbols for the kernel: {wanted}")]
    NoKernelSymbols {
        /// Which file would help.
        wanted: String,
        /// Its identity, if the image names it.
        pdb: Option<PdbId>,
    },
    /// A symbol file cannot be used.
    #[error("{kind} symbols: {why}")]
    Symbols {
        /// "PDB" or "ISF".
        kind: &'static str,
        /// What does not fit.
        why: String,
    },
    /// A limit that keeps hostile input harmless was reached.
    #[error("{what}: limit of {limit} reached ({name})")]
    Limit {
        /// What was being walked or read.
        what: Cow<'static, str>,
        /// The limit.
        limit: u64,
        /// The name of the constant that sets it.
        name: &'static str,
    },
    /// The caller ended it ([`Kernel::stop_when`](crate::kernel::Kernel::stop_when)).
    #[error("{what}: {STOPPED}")]
    Stopped {
        /// What was being walked or searched for.
        what: Cow<'static, str>,
    },
    /// The input is of a kind that cannot give what was asked.
    #[error("{what}")]
    Unsupported {
        /// What it is and why it cannot.
        what: String,
    },
}

impl Error {
    /// An error that says what was being read at the time of `fault`.
    pub fn read(what: impl Into<Cow<'static, str>>, fault: Fault) -> Self {
        Error::Read { what: what.into(), fault }
    }

    /// The same with a remark in its message, if the message is free text.
    #[must_use]
    pub fn with_remark(mut self, remark: &str) -> Self {
        match &mut self {
            Error::Read { what, .. } => *what = format!("{what} ({remark})").into(),
            Error::Format { why: text, .. }
            | Error::Malformed { why: text, .. }
            | Error::Unsupported { what: text } => *text = format!("{text} ({remark})"),
            _ => {}
        }
        self
    }

    /// The address that the error is about, if it has one in the kernel's virtual memory.
    #[must_use]
    pub fn address(&self) -> Option<Va> {
        match self {
            Error::Read { fault, .. } if fault.space == Space::Virtual => Some(Va(fault.address)),
            Error::Malformed { address, .. } => Some(*address),
            _ => None,
        }
    }
}

/// Something that a view could not read or that does not fit, reported beside what it could read.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Problem {
    /// What is affected: a driver, a log, a page of entries.
    pub what: String,
    /// The address that it is about, if there is one.
    pub address: Option<Va>,
    /// What is the matter.
    pub why: String,
    /// How much an answer with this problem can still be trusted to be whole.
    pub leaves: Extent,
    /// True if the reading ended here because the caller stopped it
    /// ([`Kernel::stop_when`](crate::kernel::Kernel::stop_when)).
    pub is_stop: bool,
    /// The line with which a text begins in place of this problem, if it concerns all of the file:
    /// "Truncated: 4,096 bytes (1 of 207 pages) are missing at the end of memory.dmp; copy the file again".
    pub headline: Option<String>,
}

impl Problem {
    /// A problem without an address. The answer that has it is not complete, unless the problem is
    /// turned into a [`remark`](Self::remark).
    pub fn new(what: impl Into<String>, why: impl fmt::Display) -> Self {
        let (what, why) = (what.into(), why.to_string());
        let (address, leaves) = (None, Extent::AtLeast);
        Problem { what, address, why, leaves, is_stop: false, headline: None }
    }

    /// The same with an address.
    pub fn at(what: impl Into<String>, address: Va, why: impl fmt::Display) -> Self {
        Problem { address: Some(address), ..Self::new(what, why) }
    }

    /// A problem out of an error.
    pub fn from_error(what: impl Into<String>, error: &Error) -> Self {
        let is_stop = matches!(error, Error::Stopped { .. });
        Problem { address: error.address(), is_stop, ..Self::new(what, error) }
    }

    /// The problem that the caller stopped the reading of `what`.
    pub(crate) fn stopped(what: impl Into<String>) -> Self {
        Problem { is_stop: true, ..Self::new(what, STOPPED) }
    }

    /// Adds those of `more` that are not among `problems` yet.
    pub(crate) fn extend(problems: &mut Vec<Problem>, more: Vec<Problem>) {
        for problem in more {
            if !problems.contains(&problem) {
                problems.push(problem);
            }
        }
    }

    /// The same as a remark: the answer is complete all the same.
    #[must_use]
    pub fn remark(self) -> Self {
        Problem { leaves: Extent::Complete, ..self }
    }

    /// True if the answer is complete all the same.
    #[must_use]
    pub fn is_remark(&self) -> bool {
        self.leaves == Extent::Complete
    }

    /// The same as a problem that leaves nothing certain: the answer is unknown.
    #[must_use]
    pub fn unknown(self) -> Self {
        Problem { leaves: Extent::Unknown, ..self }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.address {
            Some(address) => write!(f, "{} at {address}: {}", self.what, self.why),
            None => write!(f, "{}: {}", self.what, self.why),
        }
    }
}
