//! What grew between two dumps.

use std::io;

use crate::addr::Va;
use crate::analysis::GroupBy;
use crate::render::DiffView;
use crate::render::diff::{Signed, heading, how, more_blocks, unchanged};
use crate::render::leaks::{CONTIGUOUS, Thousands, blocks, more_groups};
use crate::render::text::stack::write_stack_lines;
use crate::render::text::{sanitize, write_extent};

/// Example addresses of a group.
const EXAMPLES: usize = 4;

/// The words if nothing is known to have grown and one of the dumps did not give a complete answer.
const UNKNOWN: &str = "What grew is unknown";

/// Writes what grew and shrank as text.
///
/// # Errors
/// Those of the writer.
pub fn write_diff_text(out: &mut dyn io::Write, view: &DiffView<'_>) -> io::Result<()> {
    let answer = view.completeness();
    write_extent(out, &answer)?;
    writeln!(out, "{}.\n{}", heading(view), how(view))?;
    for line in view.remarks() {
        writeln!(out, "{line}")?;
    }
    let (shown, more) = view.shown();
    if view.diff.groups.is_empty() {
        let nothing = if answer.is_complete() { "Nothing grew" } else { UNKNOWN };
        return writeln!(out, "{nothing}: {} by {}.", unchanged(view), view.diff.by.name());
    }
    for group in shown {
        let (count, bytes) = group.growth();
        write!(
            out,
            "\n{}, {} bytes (now {}, {} bytes)",
            more_blocks(count),
            Signed(bytes),
            blocks(group.new.count),
            Thousands(group.new.bytes)
        )?;
        match group.tag() {
            _ if group.key.is_contiguous => write!(out, ", {CONTIGUOUS}")?,
            Some(tag) => write!(out, ", tag {tag}")?,
            None => {}
        }
        if let Some(driver) = &group.key.driver {
            write!(out, ", {}", sanitize(driver))?;
        }
        writeln!(out)?;
        if group.merged > 0 {
            writeln!(
                out,
                "    {} groups of one caller, with and without stack, as one",
                group.merged
            )?;
        }
        match &group.key.stack {
            Some(stack) => {
                let lines = stack.iter().map(|frame| sanitize(frame));
                write_stack_lines(out, ("    ", "    "), lines)?;
            }
            // The line above has tag and driver.
            None if matches!(view.diff.by, GroupBy::Tag | GroupBy::Driver) => {}
            None => {
                writeln!(out, "    {}", sanitize(&group.label))?;
                if let Some(why) = view.why(group) {
                    writeln!(out, "    no stack: {why}")?;
                }
            }
        }
        // Blocks of different boots cannot be compared.
        if view.diff.boot.is_same {
            write_addresses(out, "new", &group.appeared)?;
            write_addresses(out, "gone", &group.gone)?;
        }
    }
    if more > 0 {
        writeln!(out, "\n{} (--top 0 shows all).", more_groups(more))?;
    }
    writeln!(out, "\n{}.", unchanged(view))
}

fn write_addresses(out: &mut dyn io::Write, what: &str, addresses: &[Va]) -> io::Result<()> {
    if addresses.is_empty() {
        return Ok(());
    }
    let examples: Vec<String> = addresses.iter().take(EXAMPLES).map(ToString::to_string).collect();
    let more = match addresses.len().saturating_sub(EXAMPLES) {
        0 => String::new(),
        rest => format!(" and {} more", Thousands(rest as u64)),
    };
    writeln!(out, "    {what}: {}{more}", examples.join(" "))
}
