//! The report of a session: what is read for it, and what it says where something cannot be read.

use std::collections::HashSet;
use std::io;

use verifier_core::analysis::GroupBy;
use verifier_core::verifier::log::{Order, PoolLog};
use verifier_core::verifier::{Drivers, Settings};
use verifier_core::{Extent, Problem, Va};

use super::{Fact, Report, Timeline};
use crate::error::Error;
use crate::info::filetime;
use crate::leaks::LeakFilter;
use crate::progress::{Progress, Stage};
use crate::session::Session;

/// The newest records that the timeline is of: a ring can have millions.
const RECORDS: usize = 1 << 18;

/// What a report is of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReportSummary {
    /// Outstanding allocations.
    pub blocks: usize,
    /// Groups of them, by stack.
    pub groups: usize,
    /// How much of the outstanding allocations is there.
    pub extent: Extent,
    /// What could not be read or does not fit; the report has it too.
    pub problems: Vec<Problem>,
}

/// Reads what a report needs of `session` and writes it: one HTML file.
///
/// # Errors
/// Where the outstanding allocations cannot be read; what else cannot be read is a problem. Those of
/// the writer.
pub fn write_report(
    out: &mut dyn io::Write,
    session: &Session,
    filter: LeakFilter,
    progress: &dyn Progress,
) -> Result<ReportSummary, Error> {
    let kernel = session.kernel()?;
    let found = session.leaks(filter, progress)?;
    let mut problems: Vec<Problem> = kernel.problems().to_vec();
    problems.extend(found.leaks.problems.iter().cloned());
    let mut part = |what: &str, error: &verifier_core::Error| {
        problems.push(Problem::from_error(what, error));
    };
    let settings = Settings::read(kernel).map_err(|error| part("settings", &error)).ok();
    let drivers = Drivers::read(kernel).map_err(|error| part("drivers", &error)).ok();
    let stage = Stage::begin(progress, "reading the whole pool log", None);
    let log = PoolLog::read(kernel, Some(RECORDS)).map_err(|error| part("pool log", &error)).ok();
    drop(stage);
    // Without an order there is no time; that there is none is among the problems of the leaks.
    let log = log.filter(|log| log.ring.order() == Order::NewestFirst);
    let timeline = log.map(|log| Timeline::new(&log, &found.leaks));
    if let Some(settings) = &settings {
        problems.extend(settings.problems.iter().cloned());
    }
    let mut seen = HashSet::new();
    problems.retain(|problem| seen.insert(problem.to_string()));
    let _stage = Stage::begin(progress, "writing", None);
    let groups = found.view(GroupBy::Stack, None, |&view| {
        let report = Report {
            title: title(session),
            subtitle: subtitle(session, settings.as_ref()),
            facts: facts(session),
            settings: settings.as_ref(),
            drivers: drivers.as_ref(),
            view,
            timeline: timeline.as_ref(),
            problems: problems.clone(),
        };
        report.write(out).map(|()| view.groups.len())
    })?;
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
        let header = dump.header();
        let machine = header.machine().map_or_else(
            || format!("{:#x}", header.machine_image_type),
            |machine| machine.to_string(),
        );
        facts.extend([
            ("File", session.path().map(|path| path.display().to_string()).unwrap_or_default()),
            ("Size", format!("{} bytes", dump.file_len())),
            ("Kind", header.kind.to_string()),
            ("Windows build", format!("{}, {machine}", header.build)),
        ]);
        if let Some(time) = header.system_time.and_then(filetime) {
            facts.push(("Crash time", time));
        }
        if let Some(time) = header.system_up_time {
            let seconds = time / 10_000_000;
            let (h, m, s) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
            facts.push(("Up time", format!("{h}:{m:02}:{s:02}")));
        }
        let parameters = header.bug_check.parameters.map(|value| Va(value).to_string()).join(", ");
        facts.push(("Bug check", format!("{:#x} ({parameters})", header.bug_check.code)));
        if let Some(comment) = &header.comment {
            facts.push(("Comment", comment.clone()));
        }
    }
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
