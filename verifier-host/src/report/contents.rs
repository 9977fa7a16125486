//! The page about one dump.

use std::fmt::Write as _;
use std::io;

use verifier_core::Problem;
use verifier_core::analysis::Churn;
use verifier_core::render::{LeaksView, escape_html, to_snake_case};
use verifier_core::verifier::{Drivers, Settings};

use super::html::{number, write_table};
use super::page::{FLAME, GROUPS, Page, SIZES};
use super::timeline::Timeline;
use super::{MAX_PROBLEMS, answer, churn, data};
use crate::source_snippet::SourceFiles;

/// A fact about the dump: its name and value.
pub type Fact = (&'static str, String);

const LINKS: [(&str, &str); 9] = [
    ("groups", "Groups"),
    ("flame", "Flame graph"),
    ("sizes", "Sizes"),
    ("timeline", "Pool log"),
    ("churn", "Churn"),
    ("drivers", "Drivers"),
    ("settings", "Settings"),
    ("dump", "Dump"),
    ("problems", "Problems"),
];

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
    /// What functions allocated and freed while the log was written.
    pub churn: Option<&'a Churn>,
    /// All problems.
    pub problems: Vec<Problem>,
}

impl Report<'_> {
    /// Writes the page. Lines of source files that are on this machine are in it.
    ///
    /// # Errors
    /// Those of the writer.
    pub fn write(&self, out: &mut dyn io::Write) -> io::Result<()> {
        let mut body = String::new();
        answer::write(&mut body, self.view);
        body.push_str(GROUPS);
        answer::write_coverage(&mut body, self.view);
        body.push_str("</section>\n");
        body.push_str(FLAME);
        body.push_str(SIZES);
        self.write_timeline(&mut body);
        churn::write(&mut body, self.churn, &self.view.names);
        self.write_drivers(&mut body);
        self.write_settings(&mut body);
        self.write_dump(&mut body);
        write_problems(&mut body, &self.problems);
        let data = data::of_leaks(self.view, &SourceFiles::new()).json()?;
        let (title, subtitle) = (&self.title, &self.subtitle);
        Page { title, subtitle, links: &LINKS, body: &body, data: &data }.write(out)
    }

    fn write_timeline(&self, out: &mut String) {
        out.push_str("<section id=\"timeline\"><h2>Pool log</h2>\n");
        match self.timeline {
            Some(timeline) => timeline.write(out),
            None => out.push_str(
                "<p>There is no timeline: the pool log could not be read, or its order is unknown.</p>\n",
            ),
        }
        out.push_str("</section>\n");
    }

    fn write_drivers(&self, out: &mut String) {
        out.push_str("<section id=\"drivers\"><h2>Drivers</h2>\n");
        let Some(drivers) = self.drivers else {
            out.push_str("<p>The drivers could not be read.</p></section>\n");
            return;
        };
        let heads = [
            ("Driver", ""),
            ("State", ""),
            ("Loads", "n"),
            ("Unloads", "n"),
            ("Base", ""),
            ("Nonpaged blocks", "n"),
            ("Nonpaged bytes", "n"),
            ("Paged blocks", "n"),
            ("Paged bytes", "n"),
        ];
        let rows = drivers.drivers.iter().map(|driver| {
            let counters = driver.counters();
            let value = |name: &str| match counters.get(name) {
                Some(value) => number(value),
                None => "unknown".into(),
            };
            let base = driver.images.first().map(|image| image.base.to_string());
            vec![
                escape_html(&driver.name),
                driver.state().name().to_string(),
                number(driver.loads.into()),
                number(driver.unloads.into()),
                format!("<code>{}</code>", base.unwrap_or_else(|| "–".into())),
                value("CurrentNonPagedPoolAllocations"),
                value("NonPagedBytes"),
                value("CurrentPagedPoolAllocations"),
                value("PagedBytes"),
            ]
        });
        write_table(out, "sortable", &heads, rows);
        out.push_str("</section>\n");
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
        out.push_str("</ul>\n<details><summary>Statistics</summary><table class=\"facts\">");
        for counter in &settings.statistics.0 {
            let _ = writeln!(
                out,
                "<tr><th scope=\"row\"><code>{}</code></th><td class=\"n\">{}</td></tr>",
                escape_html(&to_snake_case(&counter.name)),
                number(counter.value)
            );
        }
        out.push_str("</table></details></section>\n");
    }

    fn write_dump(&self, out: &mut String) {
        out.push_str("<section id=\"dump\"><h2>Dump</h2>\n<table class=\"facts\">");
        for (what, value) in &self.facts {
            let _ = writeln!(
                out,
                "<tr><th scope=\"row\">{what}</th><td>{}</td></tr>",
                escape_html(value)
            );
        }
        out.push_str("</table></section>\n");
    }
}

/// Writes the section of problems.
pub(super) fn write_problems(out: &mut String, problems: &[Problem]) {
    let _ = writeln!(
        out,
        "<section id=\"problems\"><h2>Problems <span class=\"badge\">{}</span></h2>",
        number(problems.len() as u64)
    );
    if problems.is_empty() {
        out.push_str("<p>None.</p>\n");
    } else {
        out.push_str("<ul>\n");
        for problem in problems.iter().take(MAX_PROBLEMS) {
            let _ = writeln!(out, "<li>{}</li>", escape_html(&problem.to_string()));
        }
        out.push_str("</ul>\n");
    }
    let folded = problems.len().saturating_sub(MAX_PROBLEMS);
    if folded > 0 {
        let _ = writeln!(out, "<p class=\"note\">{folded} more are left out.</p>");
    }
    out.push_str("</section>\n");
}
