//! Leaks as Markdown for a pull-request comment or a job summary (GitHub's flavor).
//!
//! Names from the dump are only in code spans and fenced blocks, in which markup, mentions and links do not
//! work; fences and spans are longer than any run of backticks in them.

use std::io;

use super::{
    LeakGroup, LeaksView, Omitted, Thousands, UNKNOWN, amount, at_least, baseline_lines, blocks,
    coverage_line, filter_line, more_groups, nothing_line, sentence, tree_line, unload_line,
    unread_line,
};
use crate::addr::Va;
use crate::analysis::{Coverage, GroupBy, GroupKey};
use crate::completeness::Completeness;
use crate::render::text::stack::code_lines;
use crate::render::text::{extent_line, sanitize};

/// Groups whose stacks are written below the table.
const STACKS: usize = 10;
/// Characters that may be markup.
const MARKUP: &str = "`*_<>[]#@&\\|~";

/// Writes a heading, who holds the blocks and which function made most of them, a table of groups and their
/// stacks, folded, then the coverage.
///
/// # Errors
/// Those of the writer.
pub fn write_leaks_markdown(out: &mut dyn io::Write, view: &LeaksView<'_>) -> io::Result<()> {
    let coverage = view.leaks.coverage();
    let all = coverage.all;
    let answer = view.leaks.completeness();
    if all.count == 0 {
        let nothing = nothing_line(view.leaks);
        let heading = if answer.is_complete() { &nothing } else { UNKNOWN };
        writeln!(out, "### Driver Verifier: {}", plain(heading))?;
        about(out, view)?;
        extent(out, &answer)?;
        if let Some(line) = unread_line(view.leaks) {
            writeln!(out, "\n{line}.")?;
        }
        return problems(out, view);
    }
    writeln!(
        out,
        "### Driver Verifier: {} outstanding, {} bytes",
        at_least(&answer, &blocks(all.count)),
        Thousands(all.bytes)
    )?;
    about(out, view)?;
    extent(out, &answer)?;
    writeln!(out, "\n- {}", plain(&view.drivers_line()))?;
    if let Some(line) = view.worst_line() {
        writeln!(out, "- {}", plain(&line))?;
    }
    let Omitted { groups: more, total: rest } = view.omitted();
    writeln!(out, "\n| # | Blocks | Bytes | Largest | Tag | Driver | Where |")?;
    writeln!(out, "|--:|--:|--:|--:|---|---|---|")?;
    for (index, group) in view.first_of_unloaded().enumerate() {
        writeln!(
            out,
            "| {} | {} | {} | {} | {} | {} | {} |",
            index + 1,
            counted(group),
            Thousands(group.bytes),
            Thousands(group.largest),
            cell(&tags_cell(group)),
            group.driver_name().map(cell).unwrap_or_default(),
            cell(&place(view, group)),
        )?;
    }
    if more > 0 {
        writeln!(out, "\n{}: {}.", more_groups(more), amount(rest))?;
    }
    write_stacks(out, view)?;
    write_coverage(out, view, &coverage)?;
    nameless(out, view)?;
    problems(out, view)
}

/// How many blocks have a stack, and why the others have none.
fn write_coverage(
    out: &mut dyn io::Write,
    view: &LeaksView<'_>,
    coverage: &Coverage,
) -> io::Result<()> {
    writeln!(out, "\n{}.", sentence(&coverage_line(coverage)))?;
    if let Some(line) = tree_line(coverage) {
        writeln!(out, "- {line}")?;
    }
    if let Some(line) = unread_line(view.leaks) {
        writeln!(out, "- {line}")?;
    }
    for (why, total) in &coverage.without {
        writeln!(out, "- {} without a stack: {}", amount(*total), view.leaks.why(*why))?;
    }
    Ok(())
}

/// The stacks of the first groups that have one, folded.
fn write_stacks(out: &mut dyn io::Write, view: &LeaksView<'_>) -> io::Result<()> {
    let stacks = view.first_of_unloaded().enumerate();
    let mut stacks = stacks.filter(|(_, group)| !stack_of(group).is_empty());
    for (index, group) in stacks.by_ref().take(STACKS) {
        writeln!(
            out,
            "\n<details><summary>Stack of group {}: {}, {} bytes</summary>\n",
            index + 1,
            blocks(group.blocks.len() as u64),
            Thousands(group.bytes)
        )?;
        let frames = stack_of(&group).into_iter();
        let lines = frames.flat_map(|va| code_lines(&view.names, va));
        let body = lines.collect::<Vec<_>>().join("\n");
        let fence = "`".repeat(longest_run(&body).max(2) + 1);
        writeln!(out, "{fence}text\n{body}\n{fence}\n\n</details>")?;
    }
    let left = stacks.count();
    if left > 0 {
        let groups = if left == 1 { "group is" } else { "groups are" };
        writeln!(out, "\nStacks of {left} more {groups} in `--format json`.")?;
    }
    Ok(())
}

/// The frames that the blocks of a group share.
fn stack_of(group: &LeakGroup<'_>) -> Vec<Va> {
    match group.key {
        GroupKey::Path { path: Ok(_), .. } => group.path(),
        _ => group.frames().unwrap_or_default().to_vec(),
    }
}

/// The dump, and what was filtered.
fn about(out: &mut dyn io::Write, view: &LeaksView<'_>) -> io::Result<()> {
    if let Some(line) = unload_line(view.leaks) {
        writeln!(out, "\n**{}**", plain(&line))?;
    }
    if let Some(dump) = &view.leaks.dump {
        writeln!(out, "\n{}", span(dump))?;
    }
    let lines = filter_line(view.leaks).into_iter().chain(baseline_lines(view.leaks));
    lines.into_iter().try_for_each(|line| writeln!(out, "\n{}.", plain(&line)))
}

/// A quotation that says that the answer is not complete, and why.
pub(in crate::render) fn extent(out: &mut dyn io::Write, answer: &Completeness) -> io::Result<()> {
    let Some(line) = extent_line(answer) else { return Ok(()) };
    let (what, why) = line.split_once(": ").unwrap_or((&line, ""));
    writeln!(out, "\n> **{what}:** {}", span(why))
}

/// Our own words around text that a user gave: a pattern may contain characters that are markup.
pub(in crate::render) fn plain(text: &str) -> String {
    let links = ["://", "www."].iter().any(|start| text.contains(start));
    if links || text.chars().any(|c| MARKUP.contains(c)) {
        span(text)
    } else {
        sanitize(text).into_owned()
    }
}

/// Drivers whose functions have no names because their symbols are missing.
fn nameless(out: &mut dyn io::Write, view: &LeaksView<'_>) -> io::Result<()> {
    let frames = view.iter().filter_map(|group| group.frames()).flatten();
    let callers = view.leaks.blocks.iter().map(|block| block.allocation.caller);
    let wanted = view.names.kernel().wanted_symbols_at(frames.copied().chain(callers));
    let names: Vec<String> = wanted.iter().map(|wanted| span(&wanted.image)).collect();
    match names.as_slice() {
        [] => Ok(()),
        names => writeln!(
            out,
            "\nNo symbols for {}: nothing but exports has a name there.",
            names.join(", ")
        ),
    }
}

/// How many problems there are, and the first. Remarks, such as missing symbols, leave the answer as it is.
fn problems(out: &mut dyn io::Write, view: &LeaksView<'_>) -> io::Result<()> {
    let mut problems = view.leaks.problems.iter().filter(|problem| !problem.is_remark());
    let Some(first) = problems.next() else { return Ok(()) };
    let count = 1 + problems.count();
    writeln!(
        out,
        "\n{count} problem{} while reading. The first: {}",
        if count == 1 { "" } else { "s" },
        span(&first.to_string())
    )
}

/// The column of tags: those of the group, or "contiguous memory".
fn tags_cell(group: LeakGroup<'_>) -> String {
    group.tag_text().unwrap_or_else(|| group.tags().0)
}

/// "15", or "15 (12 known)" with a baseline.
fn counted(group: LeakGroup<'_>) -> String {
    let count = Thousands(group.blocks.len() as u64);
    match group.known() {
        Some(known) if known > 0 => format!("{count} ({} known)", Thousands(known as u64)),
        _ => count.to_string(),
    }
}

/// The last column.
fn place(view: &LeaksView<'_>, group: LeakGroup<'_>) -> String {
    let label = match (view.by, group.site) {
        (GroupBy::Tag | GroupBy::Driver | GroupBy::Size, Some(site)) if group.blocks.len() == 1 => {
            view.name(site).to_string()
        }
        _ => group.trail(),
    };
    let source = group.line_site().and_then(|site| view.names.source_of_stack(site));
    match source.filter(|_| view.by != GroupBy::Line) {
        Some(source) => {
            format!("{label} ({})", source.brief())
        }
        None => label,
    }
}

fn longest_run(text: &str) -> usize {
    text.split(|c| c != '`').map(str::len).max().unwrap_or(0)
}

/// A code span that holds any text.
fn span(text: &str) -> String {
    let text = sanitize(text);
    if text.is_empty() {
        return String::new();
    }
    let ticks = "`".repeat(longest_run(&text) + 1);
    // Readers remove a blank on both sides; it separates the fence from backticks of the text.
    let pad = if text.starts_with('`') || text.ends_with('`') || text.trim().is_empty() {
        " "
    } else {
        ""
    };
    format!("{ticks}{pad}{text}{pad}{ticks}")
}

/// A code span in a table. In a table a pipe ends the cell even in a span, unless it is escaped.
pub(in crate::render) fn cell(text: &str) -> String {
    span(text).replace('|', "\\|")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_text_in_a_cell() {
        assert_eq!(cell("nt!f+0x1"), "`nt!f+0x1`");
        assert_eq!(cell("a|b"), "`a\\|b`");
        assert_eq!(cell("a`b"), "``a`b``");
        assert_eq!(cell("`x``"), "``` `x`` ```");
        assert_eq!(cell("<img src=x>\n@team"), "`<img src=x>\u{fffd}@team`");
        assert_eq!(cell(""), "");
    }
}
