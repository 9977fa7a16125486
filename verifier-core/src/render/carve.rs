//! Carved allocations and records, as JSON and CSV: the documents of `pool --carve` and `log pool --carve`.

use std::io;
use std::slice;

use serde::Serialize;

use super::csv::write_table;
use super::json::{Seq, Verdict, rows, write_json};
use super::names::Names;
use super::pool::AllocationRow;
use crate::addr::Va;
use crate::analysis::Comparison;
use crate::describe::{Table, Value, columns};
use crate::error::Problem;
use crate::verifier::log::{CarvedLog, CarvedRow};
use crate::verifier::{CarvedAllocation, CarvedOwner, CarvedPage, CarvedPool};

/// The word in `source`.
const SOURCE: &str = "carved";

/// A tracking page.
#[derive(Serialize)]
struct PageDoc {
    physical: Option<String>,
    address: Option<Va>,
}

impl From<CarvedPage> for PageDoc {
    fn from(page: CarvedPage) -> Self {
        Self { physical: page.pa.map(|pa| pa.to_string()), address: page.va }
    }
}

/// A carved allocation with its owner.
#[derive(Debug, Clone, Copy)]
pub struct CarvedAllocationRow<'a> {
    /// The driver that owns it.
    pub owner: &'a CarvedOwner,
    /// The allocation.
    pub allocation: &'a CarvedAllocation,
}

impl<'a> CarvedAllocationRow<'a> {
    /// The description.
    pub const TABLE: Table<'a, Self> = Table::new(
        "CarvedAllocation",
        "An allocation whose tracking entry was found by its content.",
        columns!(|row: Self| {
            /// The file name of its driver; null if the driver is unknown.
            driver: Word, optional, only_in_tables => row.owner.name.as_deref(),
            /// The data of the driver that the tracking page names.
            owner: Address, only_in_tables => row.owner.address,
            /// True if that data has Verifier's signature.
            is_signed: Bool, only_in_tables => row.owner.is_signed,
            /// The block.
            address as "VirtualAddress": Address => row.allocation.address,
            /// Its size in bytes.
            size as "NumberOfBytes": U64 => row.allocation.size,
            /// The pool tag.
            tag as "Tag": Tag => row.allocation.tag,
            /// The address from which the driver asked for the block; 0 if it is unknown.
            caller as "CallingAddress": Address => row.allocation.caller,
            /// The name of that address.
            caller_symbol: Symbol, optional => Value::Symbol(row.allocation.caller),
            /// The source file of the call that asked for the block; null if no PDB has the line.
            file: SourceFile, optional => Value::SourceFile(slice::from_ref(&row.allocation.caller)),
            /// The line in that file.
            line: SourceLine, optional => Value::SourceLine(slice::from_ref(&row.allocation.caller)),
            /// Always "carved".
            source: OneOf(&[SOURCE]) => SOURCE,
            /// The physical page of the tracking entry; null if only its virtual address is known.
            physical_page: Physical, optional, last_in_csv
                => row.owner.pages.get(row.allocation.page).and_then(|page| page.pa),
            /// The slot of the tracking entry on its page.
            slot: U32, last_in_csv => row.allocation.slot,
            /// The virtual address of the tracking entry; null if it is unknown.
            entry: Address, optional => row.allocation.entry,
        }),
    );
}

/// The allocations of one owner.
fn owned(owner: &CarvedOwner) -> impl Iterator<Item = CarvedAllocationRow<'_>> + Clone {
    owner.allocations.iter().map(move |allocation| CarvedAllocationRow { owner, allocation })
}

/// The allocations of all owners.
pub fn carved_allocation_rows(
    carved: &CarvedPool,
) -> impl Iterator<Item = CarvedAllocationRow<'_>> + Clone {
    carved.owners.iter().flat_map(owned)
}

/// Writes the `pool --carve` document. `comparison` compares the result with the lists, or says why it cannot.
///
/// # Errors
/// Those of the writer.
pub fn write_carved_pool_json(
    out: &mut dyn io::Write,
    carved: &CarvedPool,
    comparison: Result<&Comparison, &str>,
    names: &Names<'_>,
) -> io::Result<()> {
    #[derive(Serialize)]
    struct Doc<'a, T: Serialize, C: Serialize> {
        source: &'static str,
        pages_looked_at: u64,
        drivers: T,
        comparison: Option<C>,
        why_not_compared: Option<&'a str>,
        #[serde(flatten)]
        verdict: Verdict<Vec<&'a Problem>>,
    }
    #[derive(Serialize)]
    struct OwnerDoc<'a, P: Serialize, T: Serialize> {
        name: Option<&'a str>,
        owner: Va,
        is_signed: bool,
        pages: P,
        allocations: T,
    }
    #[derive(Serialize)]
    struct ComparisonDoc<L: Serialize, C: Serialize> {
        both: usize,
        only_listed: L,
        only_carved: C,
    }
    let (table, listed) = (CarvedAllocationRow::TABLE, AllocationRow::table());
    let drivers = Seq(|| {
        carved.owners.iter().map(|owner| OwnerDoc {
            name: owner.name.as_deref(),
            owner: owner.address,
            is_signed: owner.is_signed,
            pages: Seq(|| owner.pages.iter().map(|&page| PageDoc::from(page))),
            allocations: rows(&table, owned(owner), names),
        })
    });
    let compared = comparison.ok().map(|comparison| ComparisonDoc {
        both: comparison.both,
        only_listed: rows(
            &listed,
            comparison.only_listed.iter().map(|(driver, allocation)| AllocationRow {
                allocation,
                of: Some(driver.as_str()),
            }),
            names,
        ),
        only_carved: rows(
            &table,
            comparison.only_carved.iter().filter_map(|&(owner, allocation)| {
                let owner = carved.owners.get(owner)?;
                let allocation = owner.allocations.get(allocation)?;
                Some(CarvedAllocationRow { owner, allocation })
            }),
            names,
        ),
    });
    write_json(
        out,
        &Doc {
            source: SOURCE,
            pages_looked_at: carved.pages_looked_at,
            drivers,
            comparison: compared,
            why_not_compared: comparison.err(),
            verdict: Verdict::of(&carved.problems),
        },
    )
}

/// Writes one row for each carved allocation.
///
/// # Errors
/// Those of the writer.
pub fn write_carved_pool_csv(
    out: &mut dyn io::Write,
    carved: &CarvedPool,
    names: &Names<'_>,
) -> io::Result<()> {
    let all = carved_allocation_rows(carved);
    write_table(out, &carved.problems, &CarvedAllocationRow::TABLE, all, Some(names))
}

/// Writes the `log pool --carve` document.
///
/// # Errors
/// Those of the writer.
pub fn write_carved_log_json(
    out: &mut dyn io::Write,
    log: &CarvedLog,
    names: &Names<'_>,
) -> io::Result<()> {
    #[derive(Serialize)]
    struct Doc<'a, T: Serialize> {
        kind: &'static str,
        source: &'static str,
        order: &'static str,
        pages_looked_at: u64,
        pages: usize,
        entries: T,
        #[serde(flatten)]
        verdict: Verdict<Vec<&'a Problem>>,
    }
    let table = CarvedRow::TABLE;
    let entries = rows(&table, log.rows(), names);
    write_json(
        out,
        &Doc {
            kind: "pool",
            source: SOURCE,
            order: "unknown",
            pages_looked_at: log.pages_looked_at,
            pages: log.pages,
            entries,
            verdict: Verdict::of(&log.problems),
        },
    )
}

/// Writes one row for each carved record, in no order of time.
///
/// # Errors
/// Those of the writer.
pub fn write_carved_log_csv(
    out: &mut dyn io::Write,
    log: &CarvedLog,
    names: &Names<'_>,
) -> io::Result<()> {
    write_table(out, &log.problems, &CarvedRow::TABLE, log.rows(), Some(names))
}
