//! CSV (RFC 4180): one row a driver, an allocation, a record. Stacks are one cell, frames joined by
//! " < " from the innermost out. Text from the dump is made harmless ([`inert`]).

use std::io;

pub(super) use super::escape::inert;
use super::names::Names;
use crate::addr::Va;

/// A table that is being written.
pub(super) struct Csv<'a>(csv::Writer<&'a mut dyn io::Write>);

impl<'a> Csv<'a> {
    pub(super) fn new(out: &'a mut dyn io::Write) -> Self {
        Self(csv::WriterBuilder::new().flexible(false).from_writer(out))
    }

    /// Fails with the writer's own error: the crate's conversion into one hides its kind, and a reader
    /// that went away is no failure to the command.
    pub(super) fn row<T: AsRef<[u8]>>(
        &mut self,
        cells: impl IntoIterator<Item = T>,
    ) -> io::Result<()> {
        self.0.write_record(cells).map_err(|error| match error.into_kind() {
            csv::ErrorKind::Io(error) => error,
            other => io::Error::other(format!("CSV: {other:?}")),
        })
    }

    /// What every table ends with.
    pub(super) fn end(mut self) -> io::Result<()> {
        self.0.flush()
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
