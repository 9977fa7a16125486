//! The report of a session: what is read for it, and what it says if something cannot be read.

use std::collections::HashSet;
use std::io;

use verifier_core::analysis::GroupBy;
use verifier_core::dump::Dump;
use verifier_core::render::text::{filetime_text, up_time_text};
use verifier_core::verifier::Settings;
use verifier_core::verifier::log::Order;
use verifier_core::{Extent, Problem, Va};

use super::{Fact, Report, Timeline};
use crate::error::Error;
use crate::leaks::LeakFilter;
use crate::progress::{Progress, Stage};
use crate::session::Session;

/// The most records in the timeline, the newest ones: a ring can have millions.
const RECORDS: usize = 1 << 18;

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
    let timeline = log.map(|log| Timeline::new(&log, &found.leaks));
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
        facts: facts(session),
        settings: settings.as_ref(),
        drivers: drivers.as_ref(),
        view: &view,
        timeline: timeline.as_ref(),
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
fn facts(session: &Session) -> Vec<Fact> {
    let mut facts = Vec::new();
    if let Some(dump) = session.dump() {
        facts.extend(header_facts(session, dump));
    }
    if let Some(bug_check) = session.bug_check() {
        let parameters = bug_check.parameters.map(|value| Va(value).to_string()).join(", ");
        facts.push(("Bug check", format!("{:#x} ({parameters})", bug_check.code)));
    }
    let comment = session.dump().and_then(|dump| dump.header().comment.clone());
    facts.extend(comment.map(|comment| ("Comment", comment)));
    if let Ok(kernel) = session.kernel() {
        facts.push(("Kernel base", kernel.base().to_string()));
        if let Ok(types) = kernel.types() {
            facts.push(("Types", types.describe()));
        }
        let loaded = kernel.modules().loaded().len();
        facts.push(("Modules", format!("{loaded} loaded")));
    }
    facts
}

fn header_facts(session: &Session, dump: &Dump) -> Vec<Fact> {
    let header = dump.header();
    let machine = header
        .machine()
        .map_or_else(|| format!("{:#x}", header.machine_image_type), |machine| machine.to_string());
    let mut facts = vec![
        ("File", session.path().map(|path| path.display().to_string()).unwrap_or_default()),
        ("Size", format!("{} bytes", dump.file_len())),
        ("Kind", header.kind.to_string()),
        ("Windows build", format!("{}, {machine}", header.build)),
    ];
    let time = header.system_time.and_then(filetime_text);
    facts.extend(time.map(|time| ("Crash time", time)));
    let up_time = header.system_up_time.map(|time| up_time_text(time / 10_000_000, 1));
    facts.extend(up_time.map(|time| ("Up time", time)));
    facts
}
