//! The page around the data.

use std::fmt::Write as _;
use std::io;

use sha2::{Digest as _, Sha256};
use verifier_core::render::text::extent_line;
use verifier_core::render::{LeaksView, escape_html, filter_line, to_snake_case, unload_line};
use verifier_core::verifier::{Drivers, Settings};
use verifier_core::{Extent, Problem};

use crate::overwrite::OutputKind;

use super::html::{base64, inert_json, number};
use super::timeline::Timeline;
use super::{MAX_GROUPS, MAX_PROBLEMS, data};

const STYLE: &str = include_str!("report.css");
const SCRIPT: &str = include_str!("report.js");

/// A fact about the dump: its name and value.
pub type Fact = (&'static str, String);

/// The contents of a report. A part that could not be read is `None`, and a problem says why.
pub struct Report<'a> {
    /// The dump's file name.
    pub title: String,
    /// What the dump is, in one line under the title.
    pub subtitle: String,
    /// What the dump is.
    pub facts: Vec<Fact>,
    /// Verifier's settings.
    pub settings: Option<&'a Settings>,
    /// Configured drivers.
    pub drivers: Option<&'a Drivers>,
    /// Outstanding allocations by stack.
    pub view: &'a LeaksView<'a>,
    /// The pool log.
    pub timeline: Option<&'a Timeline>,
    /// All problems.
    pub problems: Vec<Problem>,
}

impl Report<'_> {
    /// Writes the page.
    ///
    /// # Errors
    /// Those of the writer.
    pub fn write(&self, out: &mut dyn io::Write) -> io::Result<()> {
        // A browser hashes the script with plain line ends, whatever line ends the file has.
        let script = SCRIPT.replace('\r', "");
        let hash = base64(&Sha256::digest(script.as_bytes()));
        let title = escape_html(&self.title);
        let mark = OutputKind::Report.mark();
        write!(
            out,
            "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
             <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; \
             img-src data:; style-src 'unsafe-inline'; script-src 'sha256-{hash}'; base-uri 'none'; \
             form-action 'none'\">\n\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
             <meta name=\"referrer\" content=\"no-referrer\">\n{mark}\n\
             <link rel=\"icon\" href=\"data:,\">\n\
             <title>{title} – Driver Verifier report</title>\n<style>\n{STYLE}</style>\n</head>\n"
        )?;
        let mut body = String::new();
        self.write_header(&mut body);
        body.push_str("<main id=\"main\">\n");
        self.write_glance(&mut body);
        self.write_groups(&mut body);
        body.push_str(FLAME);
        body.push_str("<section id=\"timeline\"><h2>Pool log</h2>\n");
        match self.timeline {
            Some(timeline) => timeline.write(&mut body),
            None => body.push_str(
                "<p>There is no timeline: the pool log could not be read, or its order is unknown.</p>\n",
            ),
        }
        body.push_str("</section>\n");
        self.write_drivers(&mut body);
        self.write_settings(&mut body);
        self.write_dump(&mut body);
        self.write_problems(&mut body);
        body.push_str("</main>\n");
        out.write_all(body.as_bytes())?;
        let data = data::json(self.view)?;
        write!(
            out,
            "<script type=\"application/json\" id=\"data\">{}</script>\n<script>{script}</script>\n\
             </body>\n</html>\n",
            inert_json(&data)
        )
    }

    fn write_header(&self, out: &mut String) {
        let links = [
            ("groups", "Leaks"),
            ("flame", "Flame graph"),
            ("timeline", "Pool log"),
            ("drivers", "Drivers"),
            ("settings", "Settings"),
            ("dump", "Dump"),
            ("problems", "Problems"),
        ];
        let _ = write!(
            out,
            "<body>\n<a class=\"jump\" href=\"#main\">To the content</a>\n<header><h1>{}</h1>\
             <p>{}</p><nav aria-label=\"Sections\">",
            escape_html(&self.title),
            escape_html(&self.subtitle)
        );
        for (id, text) in links {
            let _ = write!(out, "<a href=\"#{id}\">{text}</a> ");
        }
        out.push_str("<button type=\"button\" id=\"theme\" hidden>Dark</button></nav></header>\n");
    }

    fn write_glance(&self, out: &mut String) {
        let coverage = self.view.leaks.coverage();
        let share = |part: u64, whole: u64| match (part, whole) {
            (_, 0) => "–".to_string(),
            (part, whole) if part == whole => "100 %".to_string(),
            (part, whole) => format!("{:.1} %", (part as f64 / whole as f64 * 100.0).min(99.9)),
        };
        let answer = self.view.leaks.completeness();
        let outstanding = |value: u64| match answer.extent {
            Extent::Complete => number(value),
            Extent::Unknown if value == 0 => "unknown".into(),
            _ => format!("at least {}", number(value)),
        };
        let tiles = [
            ("Outstanding blocks", outstanding(coverage.all.count)),
            ("Outstanding bytes", outstanding(coverage.all.bytes)),
            ("Blocks with a stack", share(coverage.with_stack.count, coverage.all.count)),
            ("Bytes with a stack", share(coverage.with_stack.bytes, coverage.all.bytes)),
            ("Problems", number(self.problems.len() as u64)),
        ];
        out.push_str("<section aria-label=\"At a glance\">");
        if let Some(line) = extent_line(&answer) {
            let _ = write!(out, "<p class=\"extent\" role=\"status\">{}.</p>", escape_html(&line));
        }
        if let Some(line) = unload_line(self.view.leaks) {
            let _ = writeln!(out, "<p><strong>{}.</strong></p>", escape_html(&line));
        }
        out.push_str("<dl class=\"tiles\">");
        for (what, value) in tiles {
            let _ = write!(out, "<div><dt>{what}</dt><dd>{value}</dd></div>");
        }
        out.push_str("</dl>\n");
        if let Some(line) = filter_line(self.view.leaks) {
            let _ = writeln!(out, "<p class=\"filtered\">{}.</p>", escape_html(&line));
        }
        if coverage.from_tree.count > 0 {
            let _ = writeln!(
                out,
                "<p class=\"note\">{} of them have the stack of the pool info tree, not one of the log.</p>",
                number(coverage.from_tree.count)
            );
        }
        if !coverage.without.is_empty() {
            out.push_str("<ul class=\"why\">");
            for (why, total) in &coverage.without {
                let _ = write!(
                    out,
                    "<li>{} block{} ({} bytes) without a stack: {}</li>",
                    number(total.count),
                    if total.count == 1 { "" } else { "s" },
                    number(total.bytes),
                    escape_html(&self.view.leaks.why(*why))
                );
            }
            out.push_str("</ul>\n");
        }
        out.push_str("</section>\n");
    }

    fn write_groups(&self, out: &mut String) {
        out.push_str(GROUPS);
        let folded = self.view.groups.len().saturating_sub(MAX_GROUPS);
        if folded > 0 {
            let rest = self.view.groups.get(MAX_GROUPS..).unwrap_or_default();
            let blocks: u64 = rest.iter().map(|group| group.blocks.len() as u64).sum();
            let bytes = rest.iter().fold(0u64, |sum, group| sum.saturating_add(group.bytes));
            let _ = writeln!(
                out,
                "<p class=\"note\">{} smaller groups ({} blocks, {} bytes) are left out: this table \
                 and the flame graph do not have them. <code>verifier leaks --format json</code> has \
                 all.</p>",
                number(folded as u64),
                number(blocks),
                number(bytes)
            );
        }
        out.push_str("</section>\n");
    }

    fn write_drivers(&self, out: &mut String) {
        out.push_str("<section id=\"drivers\"><h2>Drivers</h2>\n");
        let Some(drivers) = self.drivers else {
            out.push_str("<p>The drivers could not be read.</p></section>\n");
            return;
        };
        out.push_str("<div class=\"scroll\"><table class=\"sortable\"><thead><tr>");
        for (text, class) in [
            ("Driver", ""),
            ("State", ""),
            ("Loads", "n"),
            ("Unloads", "n"),
            ("Base", ""),
            ("Nonpaged blocks", "n"),
            ("bytes", "n"),
            ("Paged blocks", "n"),
            ("bytes", "n"),
        ] {
            let _ = write!(out, "<th scope=\"col\" class=\"{class}\">{text}</th>");
        }
        out.push_str("</tr></thead><tbody>\n");
        for driver in &drivers.drivers {
            let state = driver.state().name();
            let counters = driver.counters();
            let value = |name: &str| counters.get(name).map(number).unwrap_or_default();
            let base = driver.images.first().map(|image| image.base.to_string());
            let _ = writeln!(
                out,
                "<tr><td>{}</td><td>{state}</td><td class=\"n\">{}</td><td class=\"n\">{}</td>\
                 <td><code>{}</code></td><td class=\"n\">{}</td><td class=\"n\">{}</td>\
                 <td class=\"n\">{}</td><td class=\"n\">{}</td></tr>",
                escape_html(&driver.name),
                number(driver.loads.into()),
                number(driver.unloads.into()),
                base.unwrap_or_default(),
                value("CurrentNonPagedPoolAllocations"),
                value("NonPagedBytes"),
                value("CurrentPagedPoolAllocations"),
                value("PagedBytes"),
            );
        }
        out.push_str("</tbody></table></div></section>\n");
    }

    fn write_settings(&self, out: &mut String) {
        out.push_str("<section id=\"settings\"><h2>Verifier's settings</h2>\n");
        let Some(settings) = self.settings else {
            out.push_str("<p>The settings could not be read.</p></section>\n");
            return;
        };
        let _ =
            write!(out, "<p>Level <code>{:#x}</code></p><ul class=\"flags\">", settings.level.0);
        for flag in settings.level.flags() {
            let _ = write!(out, "<li><code>{:#x}</code> {}</li>", flag.bit, escape_html(flag.name));
        }
        out.push_str("</ul>\n<details><summary>Statistics</summary><div class=\"scroll\"><table>");
        for counter in &settings.statistics.0 {
            let _ = writeln!(
                out,
                "<tr><th scope=\"row\"><code>{}</code></th><td class=\"n\">{}</td></tr>",
                escape_html(&to_snake_case(&counter.name)),
                number(counter.value)
            );
        }
        out.push_str("</table></div></details></section>\n");
    }

    fn write_dump(&self, out: &mut String) {
        out.push_str("<section id=\"dump\"><h2>Dump</h2>\n<div class=\"scroll\"><table>");
        for (what, value) in &self.facts {
            let _ = writeln!(
                out,
                "<tr><th scope=\"row\">{what}</th><td>{}</td></tr>",
                escape_html(value)
            );
        }
        out.push_str("</table></div></section>\n");
    }

    fn write_problems(&self, out: &mut String) {
        out.push_str("<section id=\"problems\"><h2>Problems</h2>\n");
        if self.problems.is_empty() {
            out.push_str("<p>None.</p>\n");
        } else {
            out.push_str("<ul>\n");
            for problem in self.problems.iter().take(MAX_PROBLEMS) {
                let _ = writeln!(out, "<li>{}</li>", escape_html(&problem.to_string()));
            }
            out.push_str("</ul>\n");
        }
        let folded = self.problems.len().saturating_sub(MAX_PROBLEMS);
        if folded > 0 {
            let _ = writeln!(out, "<p class=\"note\">{folded} more are left out.</p>");
        }
        out.push_str("</section>\n");
    }
}

const GROUPS: &str = r##"<section id="groups"><h2>Leaks by stack</h2>
<noscript><p class="note">This table and the flame graph need the script of this page.</p></noscript>
<form id="filter-form" role="search" hidden>
<label for="filter">Filter</label>
<input id="filter" type="search" placeholder="tag, driver, function, address" autocomplete="off" spellcheck="false">
<label for="driver-filter">Driver</label><select id="driver-filter"><option value="">all</option></select>
<label for="tag-filter">Tag</label><select id="tag-filter"><option value="">all</option></select>
<button type="button" id="all">Open or close all</button>
<output id="shown" aria-live="polite"></output>
</form>
<a class="jump" href="#flame">Past the table</a>
<p class="print" id="printed"></p>
<div class="scroll"><table id="leaks" hidden>
<thead><tr>
<th scope="col"><span class="off">Stack</span></th>
<th scope="col" class="n" aria-sort="none"><button type="button" data-sort="count">Blocks</button></th>
<th scope="col" class="n" aria-sort="descending"><button type="button" data-sort="bytes">Bytes</button></th>
<th scope="col" class="n" aria-sort="none"><button type="button" data-sort="largest">Largest</button></th>
<th scope="col" aria-sort="none"><button type="button" data-sort="tag">Tag</button></th>
<th scope="col" aria-sort="none"><button type="button" data-sort="driver">Driver</button></th>
<th scope="col" aria-sort="none"><button type="button" data-sort="label">Where</button></th>
</tr></thead><tbody></tbody></table></div>
<p><button type="button" id="more" hidden>Show more</button></p>
"##;

const FLAME: &str = r#"<section id="flame"><h2>Flame graph</h2>
<div class="bar" id="flame-bar" hidden>
<fieldset><legend class="off">Width</legend>
<label><input type="radio" name="weight" value="bytes" checked> bytes</label>
<label><input type="radio" name="weight" value="count"> blocks</label></fieldset>
<button type="button" id="reset" disabled>Reset zoom</button>
<output id="flame-at" aria-live="polite"></output>
</div>
<p class="hint" id="flame-hint" hidden>Outermost frame at the top. Click or Enter zooms; arrow keys move; Escape resets.</p>
<div class="scroll"><div id="flame-graph" role="tree" aria-label="Flame graph" aria-describedby="flame-hint"></div></div>
</section>
"#;
