//! CSV (RFC 4180): one row a driver, an allocation, a record. Stacks are one cell, frames joined by
//! " < " from the innermost out. Text from the dump is made harmless ([`inert`]).

use std::io;

pub(super) use super::escape::inert;
use super::names::Names;
use crate::addr::Va;
use crate::completeness::Completeness;
use crate::error::Problem;
use crate::extent::Extent;

/// A table that is being written. Its last column, `extent`, says in each row how much of the answer the
/// table is: `complete`, `at least` or `unknown`. A table without rows that is not complete gets one row in
/// which all other cells are empty, so that it cannot pass for "nothing found".
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

    /// The same for an answer that knows itself how complete it is.
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

    /// Fails with the writer's own error: the crate's conversion into one hides its kind, and a reader
    /// that went away is not a failure to the command.
    fn write<T: AsRef<[u8]>>(
        &mut self,
        cells: impl IntoIterator<Item = T>,
        last: &str,
    ) -> io::Result<()> {
        let result = (|| {
            self.columns = 0;
            for cell in cells {
                self.writer.write_field(cell)?;
                self.columns += 1;
            }
            self.writer.write_field(last)?;
            self.writer.write_record(None::<&[u8]>)
        })();
        result.map_err(|error| match error.into_kind() {
            csv::ErrorKind::Io(error) => error,
            other => io::Error::other(format!("CSV: {other:?}")),
        })
    }

    /// What every table ends with.
    pub(super) fn end(mut self) -> io::Result<()> {
        if self.is_empty && self.extent != Extent::Complete {
            self.row(vec![""; self.columns])?;
        }
        self.writer.flush()
    }
}

pub(super) fn name(names: &Names<'_>, va: Va) -> String {
    names.get(va).map(|name| inert(&name).into_owned()).unwrap_or_default()
}

pub(super) fn stack(names: &Names<'_>, frames: &[Va]) -> String {
    let frames: Vec<String> = frames
        .iter()
        .map(|&va| names.get(va).map_or_else(|| va.to_string(), |name| name.to_string()))
        .collect();
    inert(&frames.join(" < ")).into_owned()
}
