//! Differences as CSV and Markdown, and the words that they share with the text.

use std::fmt::{self, Display};
use std::io;

use super::{DiffRow, DiffView};
use crate::analysis::DiffGroup;
use crate::render::csv::write_table_of_extent;
use crate::render::leaks::{CONTIGUOUS, Thousands, blocks, cell, extent, more_groups, plain};
use crate::render::text::sanitize;

/// A number with its sign.
pub(in crate::render) struct Signed(pub(in crate::render) i128);

impl Display for Signed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.0 < 0 { "-" } else { "+" };
        let size = u64::try_from(self.0.unsigned_abs()).unwrap_or(u64::MAX);
        f.pad(&format!("{sign}{}", Thousands(size)))
    }
}

pub(in crate::render) fn heading(view: &DiffView<'_>) -> String {
    let diff = view.diff;
    format!(
        "{} ({} bytes) before, {} ({} bytes) after",
        blocks(diff.old.count),
        Thousands(diff.old.bytes),
        blocks(diff.new.count),
        Thousands(diff.new.bytes)
    )
}

pub(in crate::render) fn how(view: &DiffView<'_>) -> String {
    let boot = &view.diff.boot;
    if boot.is_same {
        format!(
            "Both dumps are of one boot ({}): blocks are matched by address.",
            sanitize(&boot.why)
        )
    } else {
        format!(
            "The dumps are of different boots ({}): groups are matched by names.",
            sanitize(&boot.why)
        )
    }
}

/// "+1 block", "-2 blocks".
pub(in crate::render) fn more_blocks(count: i128) -> String {
    format!("{} block{}", Signed(count), if count.unsigned_abs() == 1 { "" } else { "s" })
}

/// "1 group holds what it held", "2 groups hold what they held".
pub(in crate::render) fn unchanged(view: &DiffView<'_>) -> String {
    match view.diff.unchanged.len() {
        1 => "1 group holds what it held".into(),
        count => format!("{} groups hold what they held", Thousands(count as u64)),
    }
}

/// Writes one row for each group that changed.
///
/// # Errors
/// Those of the writer.
pub fn write_diff_csv(out: &mut dyn io::Write, view: &DiffView<'_>) -> io::Result<()> {
    let extent = view.completeness().extent;
    write_table_of_extent(out, extent, &DiffRow::TABLE, view.rows(), None)
}

/// Writes what changed as Markdown for a pull-request comment.
///
/// # Errors
/// Those of the writer.
pub fn write_diff_markdown(out: &mut dyn io::Write, view: &DiffView<'_>) -> io::Result<()> {
    let growth = view.diff.growth();
    let answer = view.completeness();
    if growth.count == 0 && growth.bytes == 0 && answer.is_complete() {
        writeln!(out, "### Driver Verifier: nothing grew\n")?;
    } else if growth.count == 0 && growth.bytes == 0 {
        writeln!(out, "### Driver Verifier: what grew is unknown\n")?;
    } else {
        writeln!(
            out,
            "### Driver Verifier: {}, {} bytes more in groups that grew\n",
            more_blocks(growth.count.into()),
            Signed(growth.bytes.into())
        )?;
    }
    for (which, leaks) in [("Before", view.old), ("After", view.new)] {
        if let Some(dump) = &leaks.dump {
            writeln!(out, "- {which}: {}", cell(dump))?;
        }
    }
    if view.old.dump.is_some() || view.new.dump.is_some() {
        writeln!(out)?;
    }
    writeln!(out, "{}", view.summary())?;
    extent(out, &answer)?;
    for line in view.remarks() {
        writeln!(out, "- {}", plain(&line))?;
    }
    let (shown, more) = view.shown();
    if !shown.is_empty() {
        writeln!(out, "\n| Blocks | Bytes | Now | Tag | Driver | Where |")?;
        writeln!(out, "|--:|--:|--:|---|---|---|")?;
    }
    for group in shown {
        write_row(out, group)?;
    }
    if more > 0 {
        writeln!(out, "\n{}.", more_groups(more))?;
    }
    writeln!(out, "\n{}.", unchanged(view))?;
    let problems = view.old.problems.iter().chain(&view.new.problems);
    match problems.filter(|problem| !problem.is_remark()).count() {
        0 => Ok(()),
        count => {
            writeln!(out, "\n{count} problem{} while reading.", if count == 1 { "" } else { "s" })
        }
    }
}

fn write_row(out: &mut dyn io::Write, group: &DiffGroup) -> io::Result<()> {
    let (count, bytes) = group.growth();
    writeln!(
        out,
        "| {} | {} | {} | {} | {} | {} |",
        Signed(count),
        Signed(bytes),
        Thousands(group.new.bytes),
        match group.tag() {
            _ if group.key.is_contiguous => cell(CONTIGUOUS),
            tag => tag.map(|tag| cell(&tag.to_string())).unwrap_or_default(),
        },
        group.key.driver.as_deref().map(cell).unwrap_or_default(),
        cell(&group.label),
    )
}
