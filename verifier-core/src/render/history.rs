//! What is known of one address, as JSON and CSV.

use std::io;

use serde::Serialize;

use super::csv::write_table;
use super::json::{FrameDoc, Seq, Verdict, rows, write_json};
use super::names::Names;
use super::pool::AllocationDoc;
use crate::addr::Va;
use crate::analysis::{History, Lifetime, TrackerMatch};
use crate::error::Problem;
use crate::verifier::log::{Operation, PoolRow};

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
    struct Doc<'a, T: Serialize, E: Serialize, F: Serialize, N: Serialize> {
        address: Va,
        outstanding: T,
        capacity: u32,
        records: u64,
        events: E,
        lifetimes: Vec<LifetimeDoc>,
        freed_entries: F,
        neighbors: N,
        #[serde(flatten)]
        verdict: Verdict<Vec<&'a Problem>>,
    }
    #[derive(Serialize)]
    struct TrackerDoc<'a> {
        driver: &'a str,
        entry: Va,
        #[serde(flatten)]
        allocation: AllocationDoc<'a>,
        /// The stack that the pool info tree keeps.
        stack: Option<Vec<FrameDoc<'a>>>,
    }
    #[derive(Serialize)]
    struct LifetimeDoc {
        block: Va,
        /// Indexes of `events`.
        allocated: Option<usize>,
        freed: Option<usize>,
        held: bool,
        /// Why the allocation of a block that is held is not known.
        why_unknown: Option<String>,
    }
    #[derive(Serialize)]
    struct NeighborDoc<'a> {
        address: Va,
        size: u64,
        driver: Option<&'a str>,
        newest: Option<&'static str>,
    }
    fn tracker_doc<'a>(tracker: &'a TrackerMatch, names: &'a Names<'a>) -> TrackerDoc<'a> {
        TrackerDoc {
            driver: &tracker.driver,
            entry: tracker.entry.allocation.entry,
            allocation: AllocationDoc(&tracker.entry.allocation, names),
            stack: (!tracker.frames.is_empty())
                .then(|| tracker.frames.iter().map(|&va| FrameDoc::new(va, names)).collect()),
        }
    }
    let outstanding = Seq(|| history.trackers.iter().map(|tracker| tracker_doc(tracker, names)));
    let freed_entries =
        Seq(|| history.freed_entries.iter().map(|tracker| tracker_doc(tracker, names)));
    let lifetimes = history.lifetimes.iter().map(|life: &Lifetime| LifetimeDoc {
        block: life.block,
        allocated: life.allocated,
        freed: life.freed,
        held: life.is_held,
        why_unknown: life.why_unknown.map(|why| why.words(history.reach)),
    });
    let neighbors = Seq(|| {
        history.neighbors.iter().map(|neighbor| NeighborDoc {
            address: neighbor.address,
            size: neighbor.size,
            driver: neighbor.driver.as_deref(),
            newest: neighbor.newest.map(Operation::name),
        })
    });
    let table = PoolRow::TABLE;
    let events = rows(&table, history.rows(), names);
    write_json(
        out,
        &Doc {
            address: history.address,
            outstanding,
            capacity: history.reach.capacity,
            records: history.reach.records,
            events,
            lifetimes: lifetimes.collect(),
            freed_entries,
            neighbors,
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
