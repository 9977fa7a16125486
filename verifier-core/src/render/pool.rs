//! Outstanding allocations, as JSON and CSV.

use std::io;
use std::slice;

use serde::{Serialize, Serializer};

use super::csv::write_table;
use super::json::{Seq, Verdict, rows, write_json};
use super::names::Names;
use crate::describe::{Column, Table, Value, columns};
use crate::error::Problem;
use crate::verifier::{Allocation, AttributedBy, Impossible, PoolInfo, PoolReport, Source};

/// An allocation as a row, with what a view knows `of` it beside its entry.
#[derive(Debug, Clone, Copy)]
pub struct AllocationRow<'a, T> {
    /// The allocation.
    pub allocation: &'a Allocation,
    /// What the columns of the view need beside it.
    pub of: T,
}

impl<'a, T: 'a> AllocationRow<'a, T> {
    /// The columns of an allocation in every view.
    pub const COLUMNS: &'a [Column<Self>] = columns!(|row: Self| {
        /// The block.
        address as "VirtualAddress": Address => row.allocation.address,
        /// Its size in bytes.
        size as "NumberOfBytes": U64 => row.allocation.size,
        /// The pool tag; null for contiguous memory.
        tag as "Tag": Tag, optional => row.allocation.pool_tag(),
        /// The address from which the driver asked for the block; 0 if it is unknown.
        caller as "CallingAddress": Address => row.allocation.caller,
        /// The name of that address.
        caller_symbol: Symbol, optional => Value::Symbol(row.allocation.caller),
        /// The source file of the call that asked for the block; null if no PDB has the line.
        file: SourceFile, optional => Value::SourceFile(slice::from_ref(&row.allocation.caller)),
        /// The line in that file.
        line: SourceLine, optional => Value::SourceLine(slice::from_ref(&row.allocation.caller)),
        /// Where Verifier keeps the entry of the block; "carved" if no tree and no list leads to the entry.
        source: OneOf(&Source::NAMES) => row.allocation.source.name(),
        /// How the driver of a block of the pool info tree was found; null if the entry itself names it.
        attributed_by: OneOf(&AttributedBy::NAMES), optional, not_in_csv
            => row.allocation.source.attributed_by().map(AttributedBy::name),
        /// Why the block cannot be as its entry says; null if nothing contradicts the entry.
        impossible: OneOf(&Impossible::NAMES), optional
            => row.allocation.impossible.map(Impossible::name),
    });

    /// The columns of contiguous memory, which is not pool.
    #[must_use]
    pub fn contiguous_columns() -> Vec<Column<Self>> {
        let of_pool =
            |column: &Column<Self>| matches!(column.name, "tag" | "source" | "attributed_by");
        Self::COLUMNS.iter().filter(|column| !of_pool(column)).copied().collect()
    }
}

/// An allocation of a driver that the document names around it.
impl<'a> AllocationRow<'a, ()> {
    /// The description.
    pub const TABLE: Table<'a, Self> =
        Table::new("Allocation", "An outstanding allocation.", Self::COLUMNS);
}

/// An allocation with the name of its driver; `None` if the driver is unknown.
impl<'a> AllocationRow<'a, Option<&'a str>> {
    const DRIVER: &'a [Column<Self>] = columns!(|row: Self| {
        /// The file name of its driver; null if the driver is unknown.
        driver: Word, optional => row.of,
    });

    /// The description.
    #[must_use]
    pub fn table() -> Table<'a, Self> {
        Table::joined("Allocation", "An outstanding allocation.", &[Self::DRIVER, Self::COLUMNS])
    }

    /// The description of contiguous memory.
    #[must_use]
    pub fn contiguous_table() -> Table<'a, Self> {
        Table::joined(
            "ContiguousMemory",
            "Contiguous memory that a driver holds.",
            &[Self::DRIVER, &Self::contiguous_columns()],
        )
    }
}

/// The allocations of a report with the names of their drivers, without contiguous memory.
pub fn allocation_rows(
    report: &PoolReport,
) -> impl Iterator<Item = AllocationRow<'_, Option<&str>>> {
    report.allocations().map(|(of, allocation)| AllocationRow { allocation, of })
}

/// The contiguous memory of a report.
pub fn contiguous_rows(
    report: &PoolReport,
) -> impl Iterator<Item = AllocationRow<'_, Option<&str>>> {
    report.drivers.iter().flat_map(|pool| {
        let of = Some(pool.driver.name.as_str());
        pool.contiguous.iter().map(move |allocation| AllocationRow { allocation, of })
    })
}

/// Allocations without more.
pub(super) fn bare(
    allocations: &[Allocation],
) -> impl Iterator<Item = AllocationRow<'_, ()>> + Clone {
    allocations.iter().map(|allocation| AllocationRow { allocation, of: () })
}

/// The pool info trees as a whole, without their elements.
pub struct PoolInfoDocument<'a>(pub &'a PoolInfo);

impl Serialize for PoolInfoDocument<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Doc<E: Serialize, C: Serialize, F: Serialize> {
            empty_because: E,
            blocks: usize,
            blocks_counted: C,
            stacks: usize,
            stacks_counted: C,
            failed: F,
            insertion_failures: C,
            deletion_failures: C,
            stack_failures: C,
            only_tags: Vec<String>,
        }
        let info = self.0;
        Doc {
            empty_because: info.empty_because,
            blocks: info.blocks.len(),
            blocks_counted: info.blocks_counted,
            stacks: info.stacks.len(),
            stacks_counted: info.stacks_counted,
            failed: info.failed,
            insertion_failures: info.insertion_failures,
            deletion_failures: info.deletion_failures,
            stack_failures: info.stack_failures,
            only_tags: info.tags.iter().map(ToString::to_string).collect(),
        }
        .serialize(serializer)
    }
}

/// Writes the `pool` document.
///
/// # Errors
/// Those of the writer.
pub fn write_pool_json(
    out: &mut dyn io::Write,
    report: &PoolReport,
    names: &Names<'_>,
) -> io::Result<()> {
    #[derive(Serialize)]
    struct Doc<'a, T: Serialize, U: Serialize> {
        drivers: T,
        unowned: U,
        pool_info: PoolInfoDocument<'a>,
        #[serde(flatten)]
        verdict: Verdict<Vec<&'a Problem>>,
    }
    #[derive(Serialize)]
    struct DriverDoc<'a, T: Serialize, C: Serialize> {
        name: &'a str,
        allocations: T,
        contiguous: C,
    }
    let table = AllocationRow::TABLE;
    let columns = AllocationRow::contiguous_columns();
    let contiguous = Table::new("ContiguousMemory", "", &columns);
    let drivers = Seq(|| {
        report.drivers.iter().map(|pool| DriverDoc {
            name: &pool.driver.name,
            allocations: rows(&table, bare(&pool.allocations), names),
            contiguous: rows(&contiguous, bare(&pool.contiguous), names),
        })
    });
    let unowned = rows(&table, bare(&report.unowned), names);
    let pool_info = PoolInfoDocument(&report.pool_info);
    write_json(out, &Doc { drivers, unowned, pool_info, verdict: Verdict::of(&report.problems) })
}

/// Writes outstanding allocations, then contiguous memory, whose rows have no tag. The cell of a driver that
/// is unknown is empty.
///
/// # Errors
/// Those of the writer.
pub fn write_pool_csv(
    out: &mut dyn io::Write,
    report: &PoolReport,
    names: &Names<'_>,
) -> io::Result<()> {
    let all = allocation_rows(report).chain(contiguous_rows(report));
    write_table(out, &report.problems, &AllocationRow::table(), all, Some(names))
}
