//! CSV of leaks: one row a group. `verifier pool --format csv` has one row a block.

use std::io;

use super::LeaksView;
use crate::analysis::StackSource;
use crate::render::csv::{Csv, inert, stack};

/// Example addresses in a row.
const EXAMPLES: usize = 8;

/// Writes one row for each group: counts, what its blocks share, its stack from the innermost frame
/// out, and the first addresses.
///
/// # Errors
/// Those of the writer.
pub fn write_leaks_csv(out: &mut dyn io::Write, view: &LeaksView<'_>) -> io::Result<()> {
    let mut csv = Csv::of_extent(
        out,
        view.leaks.completeness().extent,
        [
            "count",
            "bytes",
            "largest",
            "tag",
            "driver",
            "label",
            "why_no_stack",
            "stack",
            "examples",
            "stack_source",
            "source",
            "impossible",
        ],
    )?;
    for group in view {
        let examples: Vec<String> = group
            .members()
            .take(EXAMPLES)
            .map(|block| block.allocation.address.to_string())
            .collect();
        let why = match group.stack {
            Some(Err(why)) => view.leaks.why(why),
            _ => String::new(),
        };
        let frames = group.frames().unwrap_or_default();
        csv.row([
            &*group.blocks.len().to_string(),
            &group.bytes.to_string(),
            &group.largest.to_string(),
            &*inert(&group.tag.map(|tag| tag.to_string()).unwrap_or_default()),
            &*inert(group.driver_name().unwrap_or_default()),
            &*inert(&group.trail()),
            &why,
            &stack(&view.names, frames),
            &examples.join(" "),
            group.stack_source().map_or("", StackSource::name),
            group.source().unwrap_or_default(),
            &group.impossible().to_string(),
        ])?;
    }
    csv.end()
}
