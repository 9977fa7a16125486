//! Outstanding allocations in groups, with their stacks.

use std::io;

use crate::addr::Va;
use crate::analysis::{GroupBy, StackSource};
use crate::render::leaks::{
    CONTIGUOUS, LeakGroup, LeaksView, Omitted, Thousands, UNKNOWN, at_least, baseline_lines,
    blocks, coverage_line, filter_line, more_groups, nothing_line, sentence, tree_line,
    unload_line, unread_line,
};
use crate::render::text::{digits, sanitize, write_extent, write_stack};

/// Example addresses of a group.
const EXAMPLES: usize = 4;

/// Writes coverage, then each group with its stack and example addresses.
///
/// # Errors
/// Those of the writer.
pub fn write_leaks_text(out: &mut dyn io::Write, view: &LeaksView<'_>) -> io::Result<()> {
    let coverage = view.leaks.coverage();
    let line = coverage_line(&coverage);
    let answer = view.leaks.completeness();
    write_extent(out, &answer)?;
    if let Some(line) = unload_line(view.leaks) {
        writeln!(out, "{line}.")?;
    }
    if coverage.all.count == 0 {
        if answer.is_complete() {
            writeln!(out, "{}.", sentence(&nothing_line(view.leaks)))?;
        } else {
            writeln!(out, "{}.", sentence(UNKNOWN))?;
        }
        if let Some(line) = unread_line(view.leaks) {
            writeln!(out, "  {line}")?;
        }
        return filtered(out, view);
    }
    filtered(out, view)?;
    writeln!(out, "{line}.")?;
    if let Some(line) = tree_line(&coverage) {
        writeln!(out, "  {line}")?;
    }
    if let Some(line) = unread_line(view.leaks) {
        writeln!(out, "  {line}")?;
    }
    for (why, total) in &coverage.without {
        writeln!(
            out,
            "  {}, {} bytes, without: {}",
            blocks(total.count),
            Thousands(total.bytes),
            view.leaks.why(*why)
        )?;
    }
    let Omitted { groups: more, total: rest } = view.omitted();
    writeln!(
        out,
        "{} outstanding, {} bytes, in {} group{} by {}, the most bytes first.",
        sentence(&at_least(&answer, &blocks(coverage.all.count))),
        Thousands(coverage.all.bytes),
        Thousands(view.groups.len() as u64),
        if view.groups.len() == 1 { "" } else { "s" },
        view.by.name()
    )?;
    for (index, group) in view.iter().enumerate() {
        writeln!(out)?;
        write_group(out, view, index + 1, group)?;
    }
    if more > 0 {
        writeln!(
            out,
            "\n{}: {}, {} bytes (--top 0 shows all).",
            more_groups(more),
            blocks(rest.count),
            Thousands(rest.bytes)
        )?;
    }
    Ok(())
}

fn filtered(out: &mut dyn io::Write, view: &LeaksView<'_>) -> io::Result<()> {
    let lines = filter_line(view.leaks).into_iter().chain(baseline_lines(view.leaks));
    lines.into_iter().try_for_each(|line| writeln!(out, "{line}."))
}

fn write_group(
    out: &mut dyn io::Write,
    view: &LeaksView<'_>,
    number: usize,
    group: LeakGroup<'_>,
) -> io::Result<()> {
    let machine = view.names.kernel().space().machine();
    let count = group.blocks.len() as u64;
    write!(out, "#{number}  {}, {} bytes", blocks(count), Thousands(group.bytes))?;
    if count > 1 {
        write!(out, ", largest {}", Thousands(group.largest))?;
    }
    match group.tag {
        _ if group.is_contiguous => write!(out, ", {CONTIGUOUS}")?,
        Some(tag) => write!(out, ", tag {tag}")?,
        None => {}
    }
    if let Some(driver) = group.driver_name() {
        write!(out, ", {}", sanitize(driver))?;
    }
    if group.stack_source() == Some(StackSource::PoolInfo) {
        write!(out, ", stack of the pool info tree")?;
    }
    if let Some(known) = group.known_text() {
        write!(out, ", {known}")?;
    }
    writeln!(out)?;
    // The line above has tag and driver.
    if !matches!(view.by, GroupBy::Stack | GroupBy::Tag | GroupBy::Driver) {
        writeln!(out, "    {}: {}", view.by.name(), sanitize(&group.label()))?;
    }
    match group.stack {
        Some(Ok(_)) => {
            let frames = group.frames().unwrap_or_default();
            write_stack(out, frames, &view.names, "    ")?;
        }
        Some(Err(why)) => {
            writeln!(out, "    no stack: {}", view.leaks.why(why))?;
            if view.by == GroupBy::Stack {
                writeln!(out, "    caller: {}", sanitize(&group.first_caller()))?;
            }
        }
        None => {}
    }
    match group.impossible() {
        0 => {}
        count => writeln!(
            out,
            "    {} cannot be as recorded (--format json says which)",
            blocks(count as u64)
        )?,
    }
    let mut addresses = group.members().map(|block| block.allocation.address);
    let examples: Vec<String> =
        addresses.by_ref().take(EXAMPLES).map(|va: Va| digits(va, machine)).collect();
    let more = match group.blocks.len().saturating_sub(EXAMPLES) {
        0 => String::new(),
        rest => format!(" and {} more", Thousands(rest as u64)),
    };
    writeln!(out, "    at {}{more}", examples.join(" "))
}
