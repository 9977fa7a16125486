//! `verifier report`: all of it for a browser.

use std::io::Write as _;

use verifier_core::analysis::{GroupBy, Grouping};
use verifier_core::render::{LeaksView, Names};
use verifier_core::verifier::log::PoolLog;
use verifier_core::verifier::{Drivers, Settings};
use verifier_core::{Problem, Va};

use super::leak_args::ReportArgs;
use super::output::{complain_kernel_symbols, stdout, write_file};
use super::progress::Stage;
use crate::error::Error;
use crate::info::filetime;
use crate::report::{Fact, Report, Timeline};
use crate::session::Session;

/// The newest records that the timeline is of: a ring can have millions.
const RECORDS: usize = 1 << 18;

pub(super) fn run(args: &ReportArgs) -> Result<(), Error> {
    let session = args.dump.open()?;
    complain_kernel_symbols(&session);
    let kernel = session.kernel()?;
    let leaks = args.filter.read(&session)?;
    let mut problems: Vec<Problem> = kernel.problems().to_vec();
    problems.extend(leaks.problems.iter().cloned());
    let names = Names::new(kernel);
    let skip = |va: Va| args.filter.skipped(&names, va);
    let grouping = Grouping::new(kernel, &leaks, args.filter.skips().then_some(&skip));
    let groups = grouping.groups(GroupBy::Stack);
    let mut part = |what: &str, error: &verifier_core::Error| {
        problems.push(Problem::from_error(what, error));
    };
    let settings = Settings::read(kernel).map_err(|error| part("settings", &error)).ok();
    let drivers = Drivers::read(kernel).map_err(|error| part("drivers", &error)).ok();
    let stage = Stage::begin("reading the whole pool log");
    let log = PoolLog::read(kernel, Some(RECORDS)).map_err(|error| part("pool log", &error)).ok();
    drop(stage);
    let timeline = log.map(|log| Timeline::new(&log, &leaks));
    if let Some(settings) = &settings {
        problems.extend(settings.problems.iter().cloned());
    }
    let mut seen = std::collections::HashSet::new();
    problems.retain(|problem| seen.insert(problem.to_string()));
    let file = args.dump.dump.file_name().unwrap_or(args.dump.dump.as_os_str());
    let report = Report {
        title: file.to_string_lossy().into_owned(),
        facts: facts(&session),
        settings: settings.as_ref(),
        drivers: drivers.as_ref(),
        view: LeaksView {
            leaks: &leaks,
            by: GroupBy::Stack,
            groups: &groups,
            top: None,
            names: &names,
        },
        timeline: timeline.as_ref(),
        problems,
        missing_symbols: session.symbol_loads().iter().filter_map(|load| load.missing()).collect(),
    };
    let stage = Stage::begin("writing");
    let mut page = Vec::new();
    report.write(&mut page)?;
    write_file(&args.output, &page)?;
    drop(stage);
    let mut out = stdout();
    writeln!(
        out,
        "{}: {} blocks in {} groups, {} bytes",
        args.output.display(),
        leaks.blocks.len(),
        groups.len(),
        page.len()
    )?;
    Ok(out.flush()?)
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
