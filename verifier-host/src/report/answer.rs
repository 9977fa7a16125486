//! What the page says first: how much is outstanding, of which drivers, and which function and line made most
//! of it.

use std::fmt::Write as _;

use verifier_core::Extent;
use verifier_core::analysis::Total;
use verifier_core::render::text::{extent_line, sanitize};
use verifier_core::render::{LeaksView, escape_html, filter_line, percent, unload_line};
use verifier_core::symbols::{SourceSite, file_name};

use super::html::{counted, number, size};

/// Drivers that have a button; all have a line in the list of the filter.
const MAX_DRIVERS: usize = 12;

/// Writes the section.
pub(super) fn write(out: &mut String, view: &LeaksView<'_>) {
    let leaks = view.leaks;
    let answer = leaks.completeness();
    let all = view.summary.all;
    out.push_str("<section id=\"answer\" aria-label=\"The answer\">");
    if let Some(line) = unload_line(leaks) {
        let _ = writeln!(out, "<p class=\"headline\">{}.</p>", escape_html(&line));
    }
    if let Some(line) = extent_line(&answer) {
        let _ = write!(out, "<p class=\"extent\" role=\"status\">{}.</p>", escape_html(&line));
    }
    let at_least = if answer.extent == Extent::Complete { "" } else { "At least " };
    let _ = match (all.count, answer.extent) {
        (0, Extent::Complete) => writeln!(out, "<p class=\"total\">No outstanding allocation.</p>"),
        (0, _) => writeln!(out, "<p class=\"total\">What is outstanding is unknown.</p>"),
        (count, _) => writeln!(
            out,
            "<p class=\"total\">{at_least}<strong>{}</strong> (<strong>{}</strong>) {} outstanding.</p>",
            counted(count, "block"),
            size(all.bytes),
            if count == 1 { "is" } else { "are" },
        ),
    };
    if all.count > 0 {
        write_worst(out, view);
        write_drivers(out, view);
    }
    if let Some(line) = filter_line(leaks) {
        let _ = writeln!(out, "<p class=\"filtered\">{}.</p>", escape_html(&line));
    }
    out.push_str("</section>\n");
}

/// The function with the most bytes, and its line.
fn write_worst(out: &mut String, view: &LeaksView<'_>) {
    let Some(worst) = view.summary.worst else { return };
    let held = |of: Total| {
        let share = percent(of.bytes, view.summary.all.bytes);
        format!("{} in {} ({share})", size(of.bytes), counted(of.count, "block"))
    };
    let function = escape_html(&view.names.text(worst.function));
    let total = held(worst.total);
    let _ = write!(out, "<p class=\"worst\"><code>{function}</code> allocated the most: {total}");
    if let Some(source) = view.names.source(worst.site) {
        let line = line_text(&source);
        let _ = match worst.at_site == worst.total {
            true => write!(out, ", all at {line}"),
            false => write!(out, "; its worst line is {line}: {}", held(worst.at_site)),
        };
    }
    out.push_str(".</p>\n");
}

/// The line, and the lines into which its function was inlined, by short names: "pool.h:22 ← cache.c:17".
fn line_text(source: &SourceSite) -> String {
    let inlined = source.inlined.iter().map(|frame| (&frame.file, frame.line));
    let lines = inlined.chain([(&source.file, source.line)]).map(|(path, line)| {
        let short = escape_html(&sanitize(file_name(path)));
        format!("<code title=\"{}\">{short}:{line}</code>", escape_html(&sanitize(path)))
    });
    lines.collect::<Vec<_>>().join(" ← ")
}

/// The drivers, each with its total: buttons that select its blocks.
fn write_drivers(out: &mut String, view: &LeaksView<'_>) {
    let (all, drivers) = (view.summary.all, &view.summary.drivers);
    out.push_str("<ul id=\"by-driver\" aria-label=\"Drivers\">");
    for &(driver, of) in drivers.iter().take(MAX_DRIVERS) {
        let name = view.leaks.drivers.get(driver).map_or("", |driver| &driver.name);
        let name = escape_html(&sanitize(name));
        let share = of.bytes as f64 / all.bytes.max(1) as f64 * 100.0;
        let _ = write!(
            out,
            "<li><button type=\"button\" aria-pressed=\"false\" data-driver=\"{name}\">\
             <span class=\"name\">{name}</span> <span>{}, {}, {}</span>\
             <svg class=\"share\" aria-hidden=\"true\" preserveAspectRatio=\"none\" viewBox=\"0 0 100 1\">\
             <rect width=\"{share:.2}\" height=\"1\"/></svg></button></li>",
            size(of.bytes),
            counted(of.count, "block"),
            percent(of.bytes, all.bytes),
        );
    }
    out.push_str("</ul>\n");
    if let Some(rest) = drivers.get(MAX_DRIVERS..).filter(|rest| !rest.is_empty()) {
        let _ = writeln!(
            out,
            "<p class=\"note\">{} drivers with fewer bytes are in the list of the filter.</p>",
            number(rest.len() as u64)
        );
    }
}

/// What the numbers do not have: blocks without a stack, and why.
pub(super) fn write_coverage(out: &mut String, view: &LeaksView<'_>) {
    let coverage = view.leaks.coverage();
    if coverage.all.count == 0 {
        return;
    }
    let _ = write!(
        out,
        "<p class=\"note\">{} of {} and {} of the bytes have a stack.",
        number(coverage.with_stack.count),
        counted(coverage.all.count, "block"),
        percent(coverage.with_stack.bytes, coverage.all.bytes)
    );
    if coverage.from_tree.count > 0 {
        let _ = write!(
            out,
            " {} of them have the stack of the pool info tree, not one of the log.",
            number(coverage.from_tree.count)
        );
    }
    out.push_str("</p>\n");
    if coverage.without.is_empty() {
        return;
    }
    out.push_str("<ul class=\"why\">");
    for (why, total) in &coverage.without {
        let _ = write!(
            out,
            "<li>{} ({}) without a stack: {}</li>",
            counted(total.count, "block"),
            size(total.bytes),
            escape_html(&view.leaks.why(*why))
        );
    }
    out.push_str("</ul>\n");
}
