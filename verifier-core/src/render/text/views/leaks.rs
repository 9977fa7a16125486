//! Outstanding allocations in groups: the answer first, then the groups, then how complete it is.

use std::io;

use crate::addr::Va;
use crate::analysis::{GroupBy, GroupKey, StackSource};
use crate::completeness::Completeness;
use crate::render::leaks::{
    CONTIGUOUS, LeakGroup, LeaksView, Omitted, Thousands, UNKNOWN, amount, at_least,
    baseline_lines, blocks, coverage_line, filter_line, more_groups, nothing_line, percent,
    sentence, tree_line, unload_line, unread_line,
};
use crate::render::text::stack::{code_lines, write_stack_lines};
use crate::render::text::{digits, sanitize, write_extent, write_stack};

/// Example addresses of a group.
const EXAMPLES: usize = 4;
/// Frames of a path.
const PATH: usize = 12;
/// What precedes the lines of a group after its first.
const INDENT: &str = "    ";

/// Writes how much is outstanding, who holds it and which function made most of it; each group with its stack
/// and example addresses; how many blocks have a stack; and what to try next.
///
/// # Errors
/// Those of the writer.
pub fn write_leaks_text(out: &mut dyn io::Write, view: &LeaksView<'_>) -> io::Result<()> {
    let answer = view.leaks.completeness();
    write_extent(out, &answer)?;
    if let Some(line) = unload_line(view.leaks) {
        writeln!(out, "{line}.")?;
    }
    if view.summary.all.count == 0 {
        return write_nothing(out, view, &answer);
    }
    writeln!(out, "{}.", view.total_line(&answer))?;
    writeln!(out, "{}.", view.drivers_line())?;
    if let Some(line) = view.worst_line() {
        writeln!(out, "{line}.")?;
    }
    write_filter(out, view)?;
    for (number, group) in (1..).zip(view.first_of_unloaded()) {
        writeln!(out)?;
        write_group(out, view, number, group)?;
    }
    let Omitted { groups: more, total: rest } = view.omitted();
    if more > 0 {
        writeln!(out, "\n{}: {} (--top 0 shows all).", more_groups(more), amount(rest),)?;
    }
    writeln!(out)?;
    write_coverage(out, view, &answer)?;
    write_next(out, view)
}

fn write_nothing(
    out: &mut dyn io::Write,
    view: &LeaksView<'_>,
    answer: &Completeness,
) -> io::Result<()> {
    let line = if answer.is_complete() { &*nothing_line(view.leaks) } else { UNKNOWN };
    writeln!(out, "{}.", sentence(line))?;
    if let Some(line) = unread_line(view.leaks) {
        writeln!(out, "  {line}")?;
    }
    write_filter(out, view)
}

fn write_filter(out: &mut dyn io::Write, view: &LeaksView<'_>) -> io::Result<()> {
    let lines = filter_line(view.leaks).into_iter().chain(baseline_lines(view.leaks));
    lines.into_iter().try_for_each(|line| writeln!(out, "{line}."))
}

/// How many blocks have a stack, and why the others have none.
fn write_coverage(
    out: &mut dyn io::Write,
    view: &LeaksView<'_>,
    answer: &Completeness,
) -> io::Result<()> {
    let coverage = view.leaks.coverage();
    writeln!(
        out,
        "{}, in {} group{} by {}. {}.",
        sentence(&at_least(answer, &blocks(coverage.all.count))),
        Thousands(view.groups.len() as u64),
        if view.groups.len() == 1 { "" } else { "s" },
        view.by.name(),
        sentence(&coverage_line(&coverage)),
    )?;
    if let Some(line) = tree_line(&coverage) {
        writeln!(out, "  {line}")?;
    }
    if let Some(line) = unread_line(view.leaks) {
        writeln!(out, "  {line}")?;
    }
    for (why, total) in &coverage.without {
        writeln!(out, "  {}, without: {}", amount(*total), view.leaks.why(*why))?;
    }
    Ok(())
}

/// Other views of the same blocks.
fn write_next(out: &mut dyn io::Write, view: &LeaksView<'_>) -> io::Result<()> {
    const OTHERS: [GroupBy; 5] =
        [GroupBy::Function, GroupBy::Line, GroupBy::Tag, GroupBy::Driver, GroupBy::Stack];
    let others = OTHERS.iter().filter(|&&by| by != view.by).map(|by| by.name());
    writeln!(
        out,
        "Next: --by {}; --driver NAME; -v for source code; `verifier report DUMP -o leaks.html`.",
        others.collect::<Vec<_>>().join("|")
    )
}

fn write_group(
    out: &mut dyn io::Write,
    view: &LeaksView<'_>,
    number: usize,
    group: LeakGroup<'_>,
) -> io::Result<()> {
    let machine = view.names.kernel().space().machine();
    let count = group.blocks.len() as u64;
    let share = percent(group.bytes, view.summary.all.bytes);
    write!(out, "#{number}  {} ({share})", amount(group.total()))?;
    if count > 1 {
        write!(out, ", largest {}", Thousands(group.largest))?;
    }
    if group.is_contiguous {
        write!(out, ", {CONTIGUOUS}")?;
    } else if let Some(tags) = group.tags_text() {
        write!(out, ", {}", sanitize(&tags))?;
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
    write_code(out, view, group)?;
    write_snippet(out, view, group)?;
    match group.impossible() {
        0 => {}
        count => writeln!(
            out,
            "{INDENT}{} cannot be as recorded (--format json says which)",
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
    writeln!(out, "{INDENT}at {}{more}", examples.join(" "))
}

/// What the blocks of a group have in common, as code: a stack, a path, a caller, a label.
fn write_code(
    out: &mut dyn io::Write,
    view: &LeaksView<'_>,
    group: LeakGroup<'_>,
) -> io::Result<()> {
    if let GroupKey::Path { path, .. } = group.key {
        let frames = group.path();
        let lines = frames.iter().take(PATH).flat_map(|&va| code_lines(&view.names, va));
        write_stack_lines(out, (INDENT, INDENT), lines)?;
        match frames.len().saturating_sub(PATH) {
            0 => {}
            more => writeln!(out, "{INDENT}… {more} more frames (--by stack shows all)")?,
        }
        let Err(caller) = path else { return Ok(()) };
        write_stack_lines(out, (INDENT, INDENT), code_lines(&view.names, caller))?;
        return match group.stack {
            Some(Err(why)) => {
                writeln!(out, "{INDENT}(only the caller is known: {})", view.leaks.why(why))
            }
            _ => writeln!(out, "{INDENT}(only the caller is known, for the reasons below)"),
        };
    }
    // The line above has tag and driver.
    let is_said =
        matches!(view.by, GroupBy::Stack | GroupBy::StackAndTag | GroupBy::Tag | GroupBy::Driver);
    if !is_said {
        writeln!(out, "{INDENT}{}: {}", view.by.name(), sanitize(&group.label()))?;
    }
    match group.stack {
        Some(Ok(_)) => {
            let frames = group.frames().unwrap_or_default();
            write_stack(out, frames, &view.names, INDENT)
        }
        Some(Err(why)) => {
            writeln!(out, "{INDENT}no stack: {}", view.leaks.why(why))?;
            if matches!(group.key, GroupKey::Stack { .. }) {
                let caller = group.members().next().map(|block| block.allocation.caller);
                let caller = caller.map(|va| view.names.text_with_line(va)).unwrap_or_default();
                writeln!(out, "{INDENT}caller: {caller}")?;
            }
            Ok(())
        }
        None => Ok(()),
    }
}

/// The source code around the line of a group, if the caller can read it.
fn write_snippet(
    out: &mut dyn io::Write,
    view: &LeaksView<'_>,
    group: LeakGroup<'_>,
) -> io::Result<()> {
    let (Some(snippets), Some(site)) = (view.snippets, group.site) else { return Ok(()) };
    let Some(source) = view.names.source(site) else { return Ok(()) };
    let (file, line) = source.innermost();
    let Some(lines) = snippets.around(file, line) else { return Ok(()) };
    for (number, text) in lines {
        let mark = if number == line { ">" } else { " " };
        writeln!(out, "{INDENT}{mark} {number:5} | {}", sanitize(&text.replace('\t', "    ")))?;
    }
    Ok(())
}
