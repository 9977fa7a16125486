//! What the page says first: how much is outstanding, of which drivers, and which function and line made most
//! of it.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::fmt::Write as _;
use std::hash::Hash;

use verifier_core::analysis::Total;
use verifier_core::render::text::{extent_line, sanitize};
use verifier_core::render::{LeaksView, escape_html, filter_line, unload_line};
use verifier_core::symbols::file_name;
use verifier_core::{Extent, Va};

use super::html::{counted, number, percent, size};

/// Drivers that have a button; all have a line in the list of the filter.
const MAX_DRIVERS: usize = 12;

/// Blocks by something that they have in common.
struct Sums<K>(HashMap<K, Total>);

impl<K: Hash + Eq + Ord + Copy> Sums<K> {
    fn new() -> Self {
        Self(HashMap::new())
    }

    fn add(&mut self, key: K, count: u64, bytes: u64) {
        let sum = self.0.entry(key).or_default();
        sum.count += count;
        sum.bytes = sum.bytes.saturating_add(bytes);
    }

    /// The most bytes first.
    fn sorted(self) -> Vec<(K, Total)> {
        let mut all: Vec<_> = self.0.into_iter().collect();
        all.sort_by_key(|&(key, sum)| (Reverse(sum.bytes), Reverse(sum.count), key));
        all
    }
}

/// Writes the section. The groups of `view` are by stack.
pub(super) fn write(out: &mut String, view: &LeaksView<'_>) {
    let leaks = view.leaks;
    let answer = leaks.completeness();
    let all = leaks.coverage().all;
    out.push_str("<section id=\"answer\" aria-label=\"The answer\">");
    if let Some(line) = unload_line(leaks) {
        let _ = writeln!(out, "<p class=\"headline\">{}.</p>", escape_html(&line));
    }
    if let Some(line) = extent_line(&answer) {
        let _ = write!(out, "<p class=\"extent\" role=\"status\">{}.</p>", escape_html(&line));
    }
    let at_least = if answer.extent == Extent::Complete { "" } else { "at least " };
    let _ = match (all.count, answer.extent) {
        (0, Extent::Complete) => writeln!(out, "<p class=\"total\">No outstanding allocation.</p>"),
        (0, _) => writeln!(out, "<p class=\"total\">What is outstanding is unknown.</p>"),
        (count, _) => writeln!(
            out,
            "<p class=\"total\">{at_least}<strong>{}</strong>, <strong>{}</strong>, {} outstanding.</p>",
            counted(count, "block"),
            size(all.bytes),
            if count == 1 { "is" } else { "are" },
        ),
    };
    if all.count > 0 {
        write_worst(out, view, all);
        write_drivers(out, view, all);
    }
    if let Some(line) = filter_line(leaks) {
        let _ = writeln!(out, "<p class=\"filtered\">{}.</p>", escape_html(&line));
    }
    out.push_str("</section>\n");
}

/// The function and the line with the most bytes.
fn write_worst(out: &mut String, view: &LeaksView<'_>, all: Total) {
    let kernel = view.names.kernel();
    let mut functions: Sums<Va> = Sums::new();
    let mut lines = HashMap::new();
    let mut line_sums: Sums<usize> = Sums::new();
    for group in view {
        let Some(site) = group.site else { continue };
        let (count, bytes) = (group.blocks.len() as u64, group.bytes);
        let start = match kernel.symbolize(site) {
            Some(name) if name.name.is_some() => Va(site.0.saturating_sub(name.displacement)),
            _ => site,
        };
        functions.add(start, count, bytes);
        if let Some(source) = view.names.source(site) {
            let (file, line) = source.innermost();
            let next = lines.len();
            let (index, _) = *lines.entry((file.clone(), line)).or_insert((next, start));
            line_sums.add(index, count, bytes);
        }
    }
    let function = |start: Va| escape_html(&view.names.text(start));
    let held = |of: Total| {
        format!(
            "{} in {} ({})",
            size(of.bytes),
            counted(of.count, "block"),
            percent(of.bytes, all.bytes)
        )
    };
    let Some((start, of)) = functions.sorted().into_iter().next() else { return };
    let _ = write!(
        out,
        "<p class=\"worst\"><code>{}</code> allocated the most: {}",
        function(start),
        held(of)
    );
    let worst = line_sums.sorted().into_iter().next();
    let worst = worst.and_then(|(index, of)| {
        lines
            .into_iter()
            .find(|(_, (one, _))| *one == index)
            .map(|(line, (_, start))| (line, start, of))
    });
    if let Some(((file, line), in_function, of_line)) = worst {
        let short = format!("{}:{line}", escape_html(&sanitize(file_name(&file))));
        let path = escape_html(&sanitize(&file));
        let _ = match in_function == start && of_line == of {
            true => write!(out, ", at <code title=\"{path}\">{short}</code>"),
            false => write!(
                out,
                "; the line with the most is <code title=\"{path}\">{short}</code> in <code>{}</code>: {}",
                function(in_function),
                held(of_line)
            ),
        };
    }
    out.push_str(".</p>\n");
}

/// The drivers, each with its total: buttons that select its blocks.
fn write_drivers(out: &mut String, view: &LeaksView<'_>, all: Total) {
    let mut sums: Sums<&str> = Sums::new();
    for block in &view.leaks.blocks {
        sums.add(view.leaks.driver(block), 1, block.allocation.size);
    }
    let drivers = sums.sorted();
    out.push_str("<ul id=\"by-driver\" aria-label=\"Drivers\">");
    for (driver, of) in drivers.iter().take(MAX_DRIVERS) {
        let name = escape_html(&sanitize(driver));
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
