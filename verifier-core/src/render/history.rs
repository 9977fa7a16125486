//! What is known of one address, as JSON and CSV.

use std::io;

use serde::Serialize;

use super::csv::write_table;
use super::json::{Verdict, rows, write_json};
use super::names::Names;
use super::pool::AllocationRow;
use crate::addr::Va;
use crate::analysis::{History, Lifetime, Neighbor, Reach, TrackerMatch};
use crate::describe::{Column, Table, Value, columns};
use crate::error::Problem;
use crate::verifier::log::{Operation, PoolRow};

/// An allocation of a history: one that holds the address, or a freed entry.
impl<'a> AllocationRow<'a, &'a TrackerMatch> {
    const OWNER: &'a [Column<Self>] = columns!(|row: Self| {
        /// The file name of its driver.
        driver: Word => row.of.driver.as_str(),
        /// The entry that Verifier keeps of the block.
        entry: Address => row.allocation.entry,
    });
    const STACK: &'a [Column<Self>] = columns!(|row: Self| {
        /// The call stack that the pool info tree keeps of the block; null for a tracking entry.
        stack: Frames, optional
            => (!row.of.frames.is_empty()).then_some(Value::Frames(&row.of.frames)),
    });

    /// The description.
    #[must_use]
    pub fn outstanding_table() -> Table<'a, Self> {
        Table::joined(
            "Outstanding",
            "An outstanding allocation that holds the address of a history.",
            &[Self::OWNER, Self::COLUMNS, Self::STACK],
        )
    }
}

/// The allocations of a history.
pub fn outstanding_rows(
    trackers: &[TrackerMatch],
) -> impl ExactSizeIterator<Item = AllocationRow<'_, &TrackerMatch>> + Clone {
    trackers.iter().map(|of| AllocationRow { allocation: &of.entry.allocation, of })
}

/// One life of a block as a row.
#[derive(Debug, Clone, Copy)]
pub struct LifetimeRow<'a> {
    /// The life.
    pub life: &'a Lifetime,
    /// How far back the log reaches.
    pub reach: Reach,
}

impl<'a> LifetimeRow<'a> {
    /// The description.
    pub const TABLE: Table<'a, Self> = Table::new(
        "Lifetime",
        "One life of a block that held the address of a history.",
        columns!(|row: Self| {
            /// The block.
            block: Address => row.life.block,
            /// The index in `events` of its allocation; null if the log does not have it.
            allocated: U32, optional => row.life.allocated,
            /// The index in `events` of its free; null if the block is held or the log does not have the free.
            freed: U32, optional => row.life.freed,
            /// True if the block is held now.
            held: Bool => row.life.is_held,
            /// Why the log does not have the allocation of a block that is held.
            why_unknown: Word, optional => row.life.why_unknown.map(|why| why.words(row.reach)),
        }),
    );
}

/// The lives of a history.
pub fn lifetime_rows(history: &History) -> impl ExactSizeIterator<Item = LifetimeRow<'_>> + Clone {
    history.lifetimes.iter().map(|life| LifetimeRow { life, reach: history.reach })
}

/// The description of a block near the address of a history.
pub static NEIGHBOR: Table<'static, Neighbor> = Table::new(
    "Neighbor",
    "A block near the address of a history.",
    columns!(|block: Neighbor| {
        /// The block.
        address: Address => block.address,
        /// Its size in bytes.
        size: U64 => block.size,
        /// The file name of its driver; null if the block is not outstanding.
        driver: Word, optional => block.driver.as_deref(),
        /// What its newest record in the pool log says; null if the log has none.
        newest: OneOf(&Operation::NAMES), optional => block.newest.map(Operation::name),
    }),
);

/// Writes the `history` document.
///
/// # Errors
/// Those of the writer.
pub fn write_history_json(
    out: &mut dyn io::Write,
    history: &History,
    names: &Names<'_>,
) -> io::Result<()> {
    #[derive(Serialize)]
    struct Doc<'a, T: Serialize, E: Serialize, L: Serialize, N: Serialize> {
        address: Va,
        outstanding: T,
        capacity: u32,
        records: u64,
        events: E,
        lifetimes: L,
        freed_entries: T,
        neighbors: N,
        #[serde(flatten)]
        verdict: Verdict<Vec<&'a Problem>>,
    }
    let outstanding = AllocationRow::outstanding_table();
    let trackers = |trackers| rows(&outstanding, outstanding_rows(trackers), names);
    let lifetime = LifetimeRow::TABLE;
    let table = PoolRow::TABLE;
    let events = rows(&table, history.rows(), names);
    write_json(
        out,
        &Doc {
            address: history.address,
            outstanding: trackers(&history.trackers),
            capacity: history.reach.capacity,
            records: history.reach.records,
            events,
            lifetimes: rows(&lifetime, lifetime_rows(history), None),
            freed_entries: trackers(&history.freed_entries),
            neighbors: rows(&NEIGHBOR, history.neighbors.iter(), None),
            verdict: Verdict::of(&history.problems),
        },
    )
}

/// Writes the records of one address, in the log's order.
///
/// # Errors
/// Those of the writer.
pub fn write_history_csv(
    out: &mut dyn io::Write,
    history: &History,
    names: &Names<'_>,
) -> io::Result<()> {
    write_table(out, &history.problems, &PoolRow::TABLE, history.rows(), Some(names))
}
