//! CSV (RFC 4180): one row for each driver, allocation or record. A stack is one cell: its frames from the
//! innermost one out, joined by " < ". Text from the dump is made harmless ([`inert`]).

use std::borrow::{Borrow, Cow};
use std::fmt::{self, Write as _};
use std::io;
use std::rc::Rc;

pub(super) use super::escape::inert;
use super::json::TagText;
use super::names::Names;
use crate::addr::Va;
use crate::completeness::Completeness;
use crate::describe::{Column, Table, Value};
use crate::error::Problem;
use crate::extent::Extent;
use crate::symbols::SourceSite;

/// A table that is being written. Its last column, `extent`, says in each row how much of the answer the
/// table is: `complete`, `at least` or `unknown`. A table without rows that is not complete gets one row in
/// which all other cells are empty, so that it cannot be mistaken for "nothing found".
pub(super) struct Csv<'a> {
    writer: csv::Writer<&'a mut dyn io::Write>,
    extent: Extent,
    columns: usize,
    is_empty: bool,
}

impl<'a> Csv<'a> {
    /// Writes the heading of the answer that has these problems.
    pub(super) fn new<'p, T: AsRef<[u8]>>(
        out: &'a mut dyn io::Write,
        problems: impl IntoIterator<Item = &'p Problem>,
        heading: impl IntoIterator<Item = T>,
    ) -> io::Result<Self> {
        Self::of_extent(out, Completeness::of(problems).extent, heading)
    }

    /// The same for an answer of this extent.
    pub(super) fn of_extent<T: AsRef<[u8]>>(
        out: &'a mut dyn io::Write,
        extent: Extent,
        heading: impl IntoIterator<Item = T>,
    ) -> io::Result<Self> {
        let writer = csv::WriterBuilder::new().flexible(false).from_writer(out);
        let mut csv = Self { writer, extent, columns: 0, is_empty: true };
        csv.write(heading, "extent")?;
        Ok(csv)
    }

    pub(super) fn row<T: AsRef<[u8]>>(
        &mut self,
        cells: impl IntoIterator<Item = T>,
    ) -> io::Result<()> {
        self.is_empty = false;
        self.write(cells, self.extent.name())
    }

    fn write<T: AsRef<[u8]>>(
        &mut self,
        cells: impl IntoIterator<Item = T>,
        last: &str,
    ) -> io::Result<()> {
        self.columns = 0;
        for cell in cells {
            self.writer.write_field(cell).map_err(unwrapped)?;
            self.columns += 1;
        }
        self.finish_row(last)
    }

    /// Writes a row for each record, in one buffer.
    pub(super) fn records<R>(
        &mut self,
        table: &Table<'_, R>,
        rows: impl IntoIterator<Item: Borrow<R>>,
        names: Option<&Names<'_>>,
    ) -> io::Result<()> {
        let columns: Vec<&Column<R>> = table.csv().collect();
        let mut cell = String::new();
        for row in rows {
            self.is_empty = false;
            for column in &columns {
                cell.clear();
                write_cell(&mut cell, &column.value(row.borrow()), names)
                    .map_err(io::Error::other)?;
                self.writer.write_field(&cell).map_err(unwrapped)?;
            }
            self.finish_row(self.extent.name())?;
        }
        Ok(())
    }

    fn finish_row(&mut self, last: &str) -> io::Result<()> {
        self.writer.write_field(last).map_err(unwrapped)?;
        self.writer.write_record(None::<&[u8]>).map_err(unwrapped)
    }

    /// Ends the table.
    pub(super) fn end(mut self) -> io::Result<()> {
        if self.is_empty && self.extent != Extent::Complete {
            self.row(vec![""; self.columns])?;
        }
        self.writer.flush()
    }
}

/// The writer's own error. The crate's conversion into an `io::Error` hides the kind, and the command must
/// recognize a reader that went away.
fn unwrapped(error: csv::Error) -> io::Error {
    match error.into_kind() {
        csv::ErrorKind::Io(error) => error,
        other => io::Error::other(format!("CSV: {other:?}")),
    }
}

/// Writes a table: a heading and a row for each record.
pub(super) fn write_table<'p, R>(
    out: &mut dyn io::Write,
    problems: impl IntoIterator<Item = &'p Problem>,
    table: &Table<'_, R>,
    rows: impl IntoIterator<Item: Borrow<R>>,
    names: Option<&Names<'_>>,
) -> io::Result<()> {
    write_table_of_extent(out, Completeness::of(problems).extent, table, rows, names)
}

/// The same for an answer of this extent.
pub(super) fn write_table_of_extent<R>(
    out: &mut dyn io::Write,
    extent: Extent,
    table: &Table<'_, R>,
    rows: impl IntoIterator<Item: Borrow<R>>,
    names: Option<&Names<'_>>,
) -> io::Result<()> {
    let mut csv = Csv::of_extent(out, extent, table.csv().map(Column::csv_name))?;
    csv.records(table, rows, names)?;
    csv.end()
}

/// Writes a value's text to an empty cell. Only text from the dump must be made harmless.
fn write_cell(cell: &mut String, value: &Value<'_>, names: Option<&Names<'_>>) -> fmt::Result {
    match value {
        Value::None => Ok(()),
        Value::Address(va) => write!(cell, "{va}"),
        Value::Physical(pa) => write!(cell, "{pa}"),
        Value::Unsigned(value) => write!(cell, "{value}"),
        Value::Signed(value) => write!(cell, "{value}"),
        Value::Bool(value) => write!(cell, "{value}"),
        Value::Text(text) => cell.write_str(&inert(text)),
        Value::Tag(tag) => cell.write_str(&inert(&TagText(*tag).to_string())),
        Value::Symbol(va) => match names.and_then(|names| names.get(*va)) {
            Some(name) => cell.write_str(&inert(&name)),
            None => Ok(()),
        },
        Value::SourceFile(frames) => match source(names, frames) {
            Some(site) => cell.write_str(&inert(site.innermost().0)),
            None => Ok(()),
        },
        Value::SourceLine(frames) => match source(names, frames) {
            Some(site) => write!(cell, "{}", site.innermost().1),
            None => Ok(()),
        },
        Value::Frames(frames) => write_stack(cell, frames, names),
        Value::Trail(trail) => cell.write_str(&inert(&trail.join(" < "))),
        Value::Addresses(all) => all
            .iter()
            .enumerate()
            .try_for_each(|(i, va)| write!(cell, "{}{va}", if i > 0 { " " } else { "" })),
        // A cell holds one value.
        Value::Object(_) | Value::List(_) => Ok(()),
    }
}

fn source(names: Option<&Names<'_>>, frames: &[Va]) -> Option<Rc<SourceSite>> {
    names.and_then(|names| names.source_of_stack(frames))
}

fn write_stack(cell: &mut String, frames: &[Va], names: Option<&Names<'_>>) -> fmt::Result {
    for (i, &va) in frames.iter().enumerate() {
        if i > 0 {
            cell.write_str(" < ")?;
        }
        match names.and_then(|names| names.get(va)) {
            Some(name) => cell.write_str(&name)?,
            None => write!(cell, "{va}")?,
        }
    }
    if let Cow::Owned(text) = inert(cell) {
        *cell = text;
    }
    Ok(())
}

/// Addresses in one cell.
pub(super) fn joined(addresses: impl Iterator<Item = Va>) -> String {
    addresses.map(|va| va.to_string()).collect::<Vec<_>>().join(" ")
}
