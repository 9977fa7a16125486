//! CSV of leaks: one row for each group. `verifier pool --format csv` has one row for each block.

use std::io;

use super::{LeakGroup, LeaksView};
use crate::render::csv::write_table_of_extent;

/// Writes one row for each group: counts, what its blocks share, its stack from the innermost frame
/// out, and the first addresses.
///
/// # Errors
/// Those of the writer.
pub fn write_leaks_csv(out: &mut dyn io::Write, view: &LeaksView<'_>) -> io::Result<()> {
    let extent = view.leaks.completeness().extent;
    write_table_of_extent(out, extent, &LeakGroup::TABLE, view.iter(), Some(&view.names))
}
