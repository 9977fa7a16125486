//! The page about the difference of two dumps.

use std::fmt::Write as _;
use std::io;

use verifier_core::Problem;
use verifier_core::analysis::{Boot, Diff, DiffGroup, GroupBy};
use verifier_core::render::text::{extent_line, sanitize};
use verifier_core::render::{DiffView, Names, Size, escape_html};

use super::contents::write_problems;
use super::data;
use super::html::counted;
use super::page::{FLAME, GROUPS, Page};
use crate::leaks::FilteredLeaks;
use crate::source_snippet::SourceFiles;

const LINKS: [(&str, &str); 3] =
    [("groups", "Groups"), ("flame", "Flame graph"), ("problems", "Problems")];

/// Drivers that have a button.
const MAX_DRIVERS: usize = 12;

/// Writes what differs between two dumps as one HTML file: the table of groups that changed, and a flame graph
/// of the later dump with the change in its colors. `boot` says whether both are of one boot
/// ([`compare_boots`](crate::compare_boots)).
///
/// # Errors
/// Those of the writer.
pub fn write_diff_report(
    out: &mut dyn io::Write,
    old: &FilteredLeaks,
    new: &FilteredLeaks,
    boot: &Boot,
) -> io::Result<()> {
    let by = |by| new.since(old, by, boot.clone());
    let diff = by(GroupBy::StackAndTag);
    let view = DiffView { diff: &diff, old: &old.leaks, new: &new.leaks, top: None };
    let mut body = String::new();
    write_answer(&mut body, &view, &by(GroupBy::Function), &by(GroupBy::Driver));
    body.push_str(GROUPS);
    body.push_str("<ul class=\"why\">");
    for line in view.remarks() {
        let _ = write!(body, "<li>{}</li>", escape_html(&line));
    }
    body.push_str("</ul></section>\n");
    body.push_str(FLAME);
    let problems = |of: &FilteredLeaks, which: &str| -> Vec<Problem> {
        let named = |mut problem: Problem| {
            problem.what = format!("{which} dump: {}", problem.what);
            problem
        };
        of.leaks.problems.iter().cloned().map(named).collect()
    };
    let problems = [problems(old, "earlier"), problems(new, "later")].concat();
    write_problems(&mut body, &problems);
    let names = [&Names::new(old.kernel()), &Names::new(new.kernel())];
    let data = data::of_diff(&view, names, &SourceFiles::new()).json()?;
    let name = |of: &FilteredLeaks| of.leaks.dump.clone().unwrap_or_else(|| "memory".into());
    let subtitle = format!("Driver Verifier report · before: {} · after: {}", name(old), name(new));
    let page =
        Page { title: "What grew", subtitle: &subtitle, links: &LINKS, body: &body, data: &data };
    page.write(out)
}

fn write_answer(out: &mut String, view: &DiffView<'_>, functions: &Diff, drivers: &Diff) {
    out.push_str("<section id=\"answer\" aria-label=\"The answer\">");
    let answer = view.completeness();
    if let Some(line) = extent_line(&answer) {
        let _ = write!(out, "<p class=\"extent\" role=\"status\">{}.</p>", escape_html(&line));
    }
    let growth = view.diff.growth();
    let _ = match (growth.count, growth.bytes) {
        (0, 0) if answer.is_complete() => writeln!(out, "<p class=\"total\">Nothing grew.</p>"),
        (0, 0) => writeln!(out, "<p class=\"total\">What grew is unknown.</p>"),
        (count, bytes) => writeln!(
            out,
            "<p class=\"total\"><strong>{}</strong> (<strong title=\"{}\">{}</strong>) more in groups \
             that grew.</p>",
            counted(count, "block"),
            counted(bytes, "byte"),
            Size(bytes),
        ),
    };
    if let Some(first) = functions.groups.first().filter(|group| group.grew()) {
        let _ = writeln!(
            out,
            "<p class=\"worst\"><code>{}</code> grew the most: {}.</p>",
            escape_html(&sanitize(&first.label)),
            change(first)
        );
    }
    let _ = writeln!(out, "<p class=\"note\">{}</p>", escape_html(&view.summary()));
    out.push_str("<ul id=\"by-driver\" aria-label=\"Drivers\">");
    for group in drivers.groups.iter().take(MAX_DRIVERS) {
        let name = escape_html(&sanitize(&group.label));
        let _ = write!(
            out,
            "<li><button type=\"button\" aria-pressed=\"false\" data-driver=\"{name}\">\
             <span class=\"name\">{name}</span> {}</button></li>",
            change(group)
        );
    }
    out.push_str("</ul></section>\n");
}

/// "+64.0 KiB, +3 blocks", in the color of growth.
fn change(group: &DiffGroup) -> String {
    let (count, bytes) = group.growth();
    let sign = |value: i128| if value < 0 { "-" } else { "+" };
    let size = |value: i128| u64::try_from(value.unsigned_abs()).unwrap_or(u64::MAX);
    let class = if group.grew() { "grew" } else { "shrank" };
    format!(
        "<span class=\"{class}\" title=\"{}{}\">{}{}</span>, {}{}",
        sign(bytes),
        counted(size(bytes), "byte"),
        sign(bytes),
        Size(size(bytes)),
        sign(count),
        counted(size(count), "block")
    )
}
