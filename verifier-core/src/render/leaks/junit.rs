//! Leaks as a JUnit report, which build servers show as tests: one suite for each driver, one test for each
//! group.

use std::collections::HashMap;
use std::io;

use super::baseline::baseline_lines;
use super::filter::filter_line;
use super::finding::{Finding, Novelty, Rule, Severity, unload_without_groups};
use super::source_path::forward;
use super::{LeaksView, amount, more_groups, sentence, unload_line};
use crate::render::escape::escape_xml;
use crate::render::text::extent_line;

/// The suite of tests that are not of one driver.
const GENERAL: &str = "verifier";

/// What became of a test.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Outcome {
    Passed,
    Skipped,
    Failure,
    Error,
}

impl Outcome {
    /// The element that says so.
    fn element(self) -> Option<&'static str> {
        match self {
            Self::Passed => None,
            Self::Skipped => Some("skipped"),
            Self::Failure => Some("failure"),
            Self::Error => Some("error"),
        }
    }
}

/// A test.
struct Case {
    name: String,
    place: Option<(String, u32)>,
    outcome: Outcome,
    kind: &'static str,
    message: String,
    lines: Vec<String>,
}

/// Tests of one driver.
struct Suite {
    name: String,
    cases: Vec<Case>,
}

/// Writes the report. A group is a failure; below a limit it passes, with its stack as output; if a baseline
/// knows all of its blocks it is skipped. An answer that is not complete is an error. If nothing is
/// outstanding, one test that passes says so.
///
/// # Errors
/// Those of the writer.
pub fn write_leaks_junit(out: &mut dyn io::Write, view: &LeaksView<'_>) -> io::Result<()> {
    let mut suites: Vec<Suite> = Vec::new();
    let mut names: HashMap<(String, String), usize> = HashMap::new();
    let mut add = |suite: &str, mut case: Case| {
        // Some readers keep only one test of each name.
        let same = names.entry((suite.to_owned(), case.name.clone())).or_default();
        *same += 1;
        if *same > 1 {
            case.name = format!("{} ({same})", case.name);
        }
        match suites.iter_mut().find(|one| one.name == suite) {
            Some(suite) => suite.cases.push(case),
            None => suites.push(Suite { name: suite.to_owned(), cases: vec![case] }),
        }
    };
    general(view).into_iter().for_each(|case| add(GENERAL, case));
    for group in view {
        let finding = Finding::new(view, group);
        add(group.driver_name().unwrap_or(GENERAL), of_group(view, &finding));
    }
    let count = |outcome: Outcome| {
        let all = suites.iter().flat_map(|suite| &suite.cases);
        all.filter(|case| case.outcome == outcome).count()
    };
    writeln!(out, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>")?;
    writeln!(
        out,
        "<testsuites name=\"verifier leaks\" tests=\"{}\" failures=\"{}\" errors=\"{}\" \
         skipped=\"{}\">",
        suites.iter().map(|suite| suite.cases.len()).sum::<usize>(),
        count(Outcome::Failure),
        count(Outcome::Error),
        count(Outcome::Skipped)
    )?;
    for suite in &suites {
        write_suite(out, view, suite)?;
    }
    writeln!(out, "</testsuites>")
}

/// The tests that are about the answer as a whole.
fn general(view: &LeaksView<'_>) -> Vec<Case> {
    let case = |name: &str, outcome, message: String| Case {
        name: name.to_owned(),
        place: None,
        outcome,
        kind: Rule::Pool.id(),
        message,
        lines: Vec::new(),
    };
    let mut cases = Vec::new();
    let answer = view.leaks.completeness();
    if let Some(line) = extent_line(&answer) {
        let lines = answer.because.clone();
        let incomplete = case("complete answer", Outcome::Error, line);
        cases.push(Case { kind: "incomplete-answer", lines, ..incomplete });
    }
    let unloaded = unload_without_groups(view);
    if let Some(leak) = unloaded {
        let message = unload_line(view.leaks).unwrap_or_default();
        let unloaded = case(&leak.driver, failure(view.severity), message);
        cases.push(Case { kind: Rule::Unloaded.id(), ..unloaded });
    }
    if view.groups.is_empty() && unloaded.is_none() && answer.is_complete() {
        cases.push(case("no outstanding allocation", Outcome::Passed, String::new()));
    }
    let rest = view.omitted();
    if rest.groups > 0 {
        let text = format!("{}: {}", more_groups(rest.groups), amount(rest.total));
        cases.push(case("groups that are not shown", failure(view.severity), text));
    }
    cases
}

fn failure(severity: Severity) -> Outcome {
    match severity {
        Severity::Error => Outcome::Failure,
        Severity::Warning => Outcome::Passed,
    }
}

fn of_group(view: &LeaksView<'_>, finding: &Finding<'_>) -> Case {
    let place = finding.place.as_ref();
    Case {
        // Without an offset, so that the test has the same name in the next build.
        name: finding.subject(),
        place: place.map(|(file, line)| (forward(file), *line)),
        outcome: match finding.novelty() {
            Novelty::Known => Outcome::Skipped,
            _ => failure(view.severity),
        },
        kind: finding.rule().id(),
        message: finding.details(),
        lines: finding.stack_lines(),
    }
}

fn write_suite(out: &mut dyn io::Write, view: &LeaksView<'_>, suite: &Suite) -> io::Result<()> {
    let count = |outcome| suite.cases.iter().filter(|case| case.outcome == outcome).count();
    writeln!(
        out,
        "  <testsuite name=\"{}\" tests=\"{}\" failures=\"{}\" errors=\"{}\" skipped=\"{}\">",
        escape_xml(&suite.name),
        suite.cases.len(),
        count(Outcome::Failure),
        count(Outcome::Error),
        count(Outcome::Skipped)
    )?;
    write_properties(out, view)?;
    suite.cases.iter().try_for_each(|case| write_case(out, &suite.name, case))?;
    writeln!(out, "  </testsuite>")
}

/// The dump, and what the filters and the baseline leave out.
fn write_properties(out: &mut dyn io::Write, view: &LeaksView<'_>) -> io::Result<()> {
    let dump = view.leaks.dump.as_ref().map(|dump| ("dump", dump.clone()));
    let filter = filter_line(view.leaks).map(|line| ("filter", line));
    let baseline = baseline_lines(view.leaks).into_iter().map(|line| ("baseline", line));
    let all: Vec<(&str, String)> = dump.into_iter().chain(filter).chain(baseline).collect();
    if all.is_empty() {
        return Ok(());
    }
    writeln!(out, "    <properties>")?;
    for (name, value) in all {
        let value = escape_xml(&value);
        writeln!(out, "      <property name=\"{name}\" value=\"{value}\"/>")?;
    }
    writeln!(out, "    </properties>")
}

fn write_case(out: &mut dyn io::Write, suite: &str, case: &Case) -> io::Result<()> {
    let (suite, name) = (escape_xml(suite), escape_xml(&case.name));
    write!(out, "    <testcase classname=\"{suite}\" name=\"{name}\"")?;
    if let Some((file, line)) = &case.place {
        write!(out, " file=\"{}\" line=\"{line}\"", escape_xml(file))?;
    }
    let message = escape_xml(&sentence(&case.message));
    let lines: Vec<String> = case.lines.iter().map(|line| escape_xml(line)).collect();
    let text = lines.join("\n");
    match case.outcome.element() {
        Some("skipped") => writeln!(out, "><skipped message=\"{message}\"/></testcase>"),
        Some(element) => {
            let kind = case.kind;
            writeln!(out, ">")?;
            writeln!(
                out,
                "      <{element} type=\"{kind}\" message=\"{message}\">{text}</{element}>"
            )?;
            writeln!(out, "    </testcase>")
        }
        None if message.is_empty() => writeln!(out, "/>"),
        None => {
            writeln!(out, ">")?;
            writeln!(out, "      <system-out>{message}\n{text}</system-out>")?;
            writeln!(out, "    </testcase>")
        }
    }
}
