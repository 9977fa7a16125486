//! Why a block has no stack, and how far back the log reaches.

use crate::verifier::log::PoolLog;

/// Why a block has no stack.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum NoStack {
    /// The log is off.
    LogOff,
    /// The log could not be read.
    LogUnreadable,
    /// The newest record of its address is a free.
    Freed,
    /// No record; the ring has wrapped.
    Overwritten,
    /// No record among those that were read; others are on pages that are not in the dump.
    PageAbsent,
    /// No record among those that were read: reading ended at a limit, or was stopped.
    NotRead,
    /// No record, and the ring has not wrapped.
    NotLogged,
    /// It has several records, and the log's order is unknown.
    OrderUnknown,
    /// Its record holds no frames.
    NoFrames,
    /// The frames of its newest record do not say whether it is an allocation or a free, and the address that
    /// allocated the block is not one of them.
    Uncertain,
    /// Its newest record has a value that no kernel writes.
    Impossible,
    /// No possible record; others are impossible, or their slots are empty though they were written.
    LogDamaged,
}

impl NoStack {
    /// Every reason.
    pub const ALL: [NoStack; 12] = [
        NoStack::LogOff,
        NoStack::LogUnreadable,
        NoStack::Freed,
        NoStack::Overwritten,
        NoStack::PageAbsent,
        NoStack::NotRead,
        NoStack::NotLogged,
        NoStack::OrderUnknown,
        NoStack::NoFrames,
        NoStack::Uncertain,
        NoStack::Impossible,
        NoStack::LogDamaged,
    ];

    /// The reason in words, for a log with this reach.
    #[must_use]
    pub fn words(self, reach: Reach) -> String {
        let Reach { records, missing, contradictory, .. } = reach;
        match self {
            NoStack::LogOff => "the pool log is off".into(),
            NoStack::LogUnreadable => "the pool log cannot be read".into(),
            NoStack::Freed => "its newest record is a free".into(),
            NoStack::Overwritten => {
                format!("overwritten: the log has wrapped and reaches back {records} records")
            }
            NoStack::PageAbsent => format!(
                "page absent: {missing} slots of the log are not in the dump, and none of the \
                 {records} records that are is of this block"
            ),
            NoStack::NotRead => format!(
                "not read: none of the {records} records that were read is of this block, and \
                 reading ended before the log did"
            ),
            NoStack::NotLogged => format!(
                "not logged: none of the {records} records is of this block, and the log has not \
                 wrapped"
            ),
            NoStack::OrderUnknown => {
                "order unknown: the log's index is unknown, so its newest record is unknown, too"
                    .into()
            }
            NoStack::NoFrames => "its newest record holds no frames".into(),
            NoStack::Uncertain => {
                "its newest record may be a free: its frames do not say, and the address that allocated \
                 the block is not one of them"
                    .into()
            }
            NoStack::Impossible => "its newest record is impossible: the log is damaged there".into(),
            NoStack::LogDamaged => format!(
                "log damaged: {contradictory} slots are empty or impossible, and none of the {records} \
                 records is of this block"
            ),
        }
    }

    /// Why the log has no record of a block.
    pub(in crate::analysis) fn of_log(log: &PoolLog) -> Self {
        if log.ring.array.is_null() {
            NoStack::LogOff
        } else if log.is_cut {
            NoStack::NotRead
        } else if log.missing > 0 {
            NoStack::PageAbsent
        } else if log.contradictory > 0 {
            NoStack::LogDamaged
        } else if log.wrapped == Some(false) {
            NoStack::NotLogged
        } else {
            NoStack::Overwritten
        }
    }
}

/// How far back the log reaches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Reach {
    /// The number of records that fit.
    pub capacity: u32,
    /// Records ever written, modulo 2^32; `None` if this and their order are unknown.
    pub written: Option<u32>,
    /// Records that were read.
    pub records: u64,
    /// Slots on pages that are not in the dump.
    pub missing: u64,
    /// Slots that are empty or impossible ([`PoolLog::contradictory`]).
    pub contradictory: u64,
}

impl Reach {
    /// The reach of a log of which this many records were read.
    pub(in crate::analysis) fn of_log(log: &PoolLog, records: u64) -> Self {
        let (capacity, written) = (log.ring.length, log.ring.index);
        let (missing, contradictory) = (log.missing, log.contradictory);
        Self { capacity, written, records, missing, contradictory }
    }
}
