//! The report of a session: what is read for it, and what it says if something cannot be read.

use std::collections::HashSet;
use std::io;

use verifier_core::analysis::{Churn, GroupBy};
use verifier_core::render::Size;
use verifier_core::render::info::{BugCheckInfo, Info};
use verifier_core::render::text::up_time_text;
use verifier_core::verifier::Settings;
use verifier_core::verifier::log::Order;
use verifier_core::{Extent, Problem};

use super::html::number;
use super::{Fact, Report, Timeline};
use crate::error::Error;
use crate::leaks::LeakFilter;
use crate::progress::{Progress, Stage};
use crate::session::Session;

/// The most records in the timeline and the churn, the newest ones: a ring can have millions.
const RECORDS: usize = 1 << 20;

/// What a report shows.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ReportSummary {
    /// Outstanding allocations.
    pub blocks: usize,
    /// Groups of them, by stack.
    pub groups: usize,
    /// How much of the outstanding allocations is there.
    pub extent: Extent,
    /// What could not be read or does not fit; the report lists it, too.
    pub problems: Vec<Problem>,
}

/// Reads what a report needs of `session` and writes it: one HTML file.
///
/// # Errors
/// If the outstanding allocations cannot be read; anything else that cannot be read is a problem. Those of
/// the writer.
pub fn write_report(
    out: &mut dyn io::Write,
    session: &Session,
    filter: LeakFilter,
    progress: &dyn Progress,
) -> Result<ReportSummary, Error> {
    let kernel = session.kernel()?;
    let found = session.leaks_with(filter, progress)?;
    let mut problems: Vec<Problem> = kernel.problems().to_vec();
    problems.extend(found.leaks.problems.iter().cloned());
    let mut part = |what: &str, error: Error| {
        problems.push(match &error {
            Error::Core(error) => Problem::from_error(what, error),
            other => Problem::new(what, other),
        });
    };
    let settings = session.settings().map_err(|error| part("settings", error)).ok();
    let drivers = session.drivers().map_err(|error| part("drivers", error)).ok();
    let stage = Stage::begin(progress, "reading the whole pool log", None);
    let log = session.pool_log_without_names(Some(RECORDS), None);
    let log = log.map_err(|error| part("pool log", error)).ok();
    drop(stage);
    let settings = settings.map(|(settings, _)| settings);
    // Records without an order give no timeline; the problems of the leaks say that the order is unknown.
    let log = log.filter(|log| log.ring.order() == Order::NewestFirst);
    let timeline = log.as_ref().map(|log| Timeline::new(log, &found.leaks));
    let churn = log.and_then(|log| Churn::of_log(kernel, &log));
    if let Some(settings) = &settings {
        problems.extend(settings.problems.iter().cloned());
    }
    let mut seen = HashSet::new();
    problems.retain(|problem| seen.insert(problem.to_string()));
    let _stage = Stage::begin(progress, "writing", None);
    let view = found.by(GroupBy::Stack);
    let report = Report {
        title: title(session),
        subtitle: subtitle(session, settings.as_ref()),
        facts: facts(&session.info_so_far()),
        settings: settings.as_ref(),
        drivers: drivers.as_ref(),
        view: &view,
        timeline: timeline.as_ref(),
        churn: churn.as_ref(),
        problems: problems.clone(),
    };
    report.write(out)?;
    let groups = view.groups.len();
    let extent = found.leaks.completeness().extent;
    Ok(ReportSummary { blocks: found.leaks.blocks.len(), groups, extent, problems })
}

/// The dump's file name.
fn title(session: &Session) -> String {
    match session.path() {
        Some(path) => path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned(),
        None => "memory".into(),
    }
}

/// What the dump is, in one line, and Verifier's level.
fn subtitle(session: &Session, settings: Option<&Settings>) -> String {
    let level = settings.map(|settings| format!("level {:#x}", settings.level.0));
    let parts = std::iter::once("Driver Verifier report".into()).chain(session.summary());
    parts.chain(level).collect::<Vec<_>>().join(" · ")
}

/// What the dump is.
fn facts(info: &Info) -> Vec<Fact> {
    let mut facts = Facts(Vec::new());
    if let Some(file) = &info.file {
        facts.add("File", Some(file.path.display()));
        facts.add(
            "Size",
            Some(format!("{} ({} bytes)", Size(file.file_size), number(file.file_size))),
        );
        facts.add(
            "Missing at the end",
            file.missing_at_end.map(|bytes| format!("{} bytes", number(bytes))),
        );
        facts.add("Kind", Some(&file.kind_name));
    }
    let build = info.build.map_or_else(|| "unknown build".into(), |build| build.to_string());
    facts.add("Windows build", Some(format!("{build}, {}", info.machine)));
    if let Some(header) = info.file.as_ref().and_then(|file| file.header.as_ref()) {
        facts.add("Crash time", header.system_time.as_ref());
        facts.add("Up time", header.up_time_seconds.map(|seconds| up_time_text(seconds, 1)));
        facts.add("Comment", header.comment.as_ref());
    }
    if let Some(bug_check) = &info.bug_check {
        facts.add("Bug check", Some(bug_check_text(bug_check)));
        let name = bug_check.name.map(|name| format!("{name}: "));
        let name = name.unwrap_or_default();
        facts.add("Meaning", bug_check.meaning.as_ref().map(|meaning| name + meaning));
        facts.add("Culprit", bug_check.verdict());
        facts.add("Violated condition", bug_check.violated_condition.as_ref());
    }
    if let Some(kernel) = &info.kernel {
        facts.add("Kernel base", Some(kernel.base));
        facts.add("Kernel", kernel.build_lab.as_ref());
        facts.add("Types", kernel.types.as_ref());
        facts.add("Modules", Some(format!("{} loaded", kernel.modules.len())));
    }
    facts.0
}

fn bug_check_text(bug_check: &BugCheckInfo) -> String {
    let parameters = bug_check.parameters.map(|value| value.to_string()).join(", ");
    format!("{:#x} ({parameters})", bug_check.code)
}

/// Facts that are known.
struct Facts(Vec<Fact>);

impl Facts {
    fn add(&mut self, what: &'static str, value: Option<impl ToString>) {
        self.0.extend(value.map(|value| (what, value.to_string())));
    }
}
