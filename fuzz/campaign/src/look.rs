//! Opens a damaged file and shows everything that can be shown of it, as every renderer does.

use std::io::{self, Write as _};
use std::sync::Arc;

use verifier_core::analysis::{
    Boot, Churn, Diff, GroupBy, Grouping, History, Leaks, LockGraph, Side,
};
use verifier_core::dump::Dump;
use verifier_core::kernel::Kernel;
use verifier_core::render::text::{self, DeadlockDetail, Style};
use verifier_core::render::{
    DiffView, LeaksView, Names, Weight, write_deadlock_dot, write_deadlock_json,
    write_deadlock_text, write_diff_csv, write_diff_json, write_diff_markdown, write_diff_text,
    write_drivers_csv, write_drivers_json, write_event_log_csv, write_event_log_json,
    write_history_csv, write_history_json, write_json, write_leaks_csv, write_leaks_folded,
    write_leaks_github, write_leaks_json, write_leaks_junit, write_leaks_markdown,
    write_leaks_sarif, write_leaks_text, write_pool_csv, write_pool_json, write_pool_log_csv,
    write_pool_log_json, write_pool_stacks_csv, write_pool_stacks_json, write_pool_stacks_text,
    write_settings_csv, write_settings_json, write_watched_irps_csv, write_watched_irps_json,
};
use verifier_core::verifier::deadlock::Deadlock;
use verifier_core::verifier::log::{EventKind, EventLog, PoolLog, WatchedIrps};
use verifier_core::verifier::{Drivers, Modes, PoolReport, PoolStacks, Settings};
use verifier_core::{Error, Va};
use verifier_host::Session;
use verifier_host::report::{Report, Timeline};
use verifier_host::symbols::SymbolPath;

use crate::answers::Answers;
use crate::clean::{Clean, Form};
use crate::overlay::Overlay;
use crate::subject::Subject;

/// How a case went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// No dump, or no kernel in it: an error.
    Refused,
    /// Read, with problems or views that say why they cannot be.
    Partial,
    /// Read as if it were whole.
    Whole,
    /// Read, and an output holds what it must not.
    Unclean(String),
}

/// How a case went, and what its documents answer.
#[derive(Debug)]
pub struct Look {
    /// How it went.
    pub outcome: Outcome,
    /// The documents.
    pub answers: Answers,
}

/// Opens a damaged file and shows it whole.
#[must_use]
pub fn look(subject: &Subject, file: Overlay) -> Look {
    match subject.open(Arc::new(file)) {
        Ok((dump, kernel)) => look_at(&dump, &Arc::new(kernel)),
        Err(error) => {
            let _ = error.to_string();
            Look { outcome: Outcome::Refused, answers: Answers::default() }
        }
    }
}

/// What the views say beside what they show.
struct Viewer {
    is_partial: bool,
    unclean: Option<String>,
    answers: Answers,
}

impl Viewer {
    fn show(
        &mut self,
        form: Form,
        what: &'static str,
        write: impl FnOnce(&mut dyn io::Write) -> io::Result<()>,
    ) {
        let mut out = Clean::new(form, what);
        let mut document = Vec::new();
        let written = match form {
            Form::Document => write(&mut document).and_then(|()| out.write_all(&document)),
            Form::Text => write(&mut out),
        };
        if let Err(error) = written {
            // Nothing but the writer fails, and this one does not.
            self.unclean.get_or_insert(format!("{what}: {error}"));
        }
        self.answers.take(what, &document);
        if let Some(found) = out.finish() {
            self.unclean.get_or_insert(found);
        }
    }

    /// The view, if it could be made at all.
    fn made<T>(&mut self, view: Result<T, Error>) -> Option<T> {
        self.is_partial |= view.is_err();
        view.map_err(|error| error.to_string()).ok()
    }

    fn problems(&mut self, problems: &[verifier_core::Problem]) {
        self.is_partial |= !problems.is_empty();
        self.show(Form::Text, "problems", |out| {
            let lines = problems.iter().map(ToString::to_string);
            lines.into_iter().try_for_each(|line| writeln!(out, "{}", text::sanitize(&line)))
        });
    }
}

/// Shows everything.
pub(crate) fn look_at(dump: &Dump, kernel: &Arc<Kernel>) -> Look {
    use Form::{Document, Text};
    let mut viewer = Viewer { is_partial: false, unclean: None, answers: Answers::default() };
    let v = &mut viewer;
    let _ = format!("{:?}", dump.header());
    let session = Session::of_kernel(Arc::clone(kernel), SymbolPath::with_default_cache(None));
    let info = session.info();
    v.problems(&info.problems);
    v.show(Document, "info.json", |out| write_json(out, &info));
    v.show(Text, "lm", |out| text::write_modules(out, kernel));
    if let (Some(machine), Some(bug_check)) = (dump.header().machine(), &info.bug_check) {
        v.show(Text, "bugcheck", |out| text::write_bug_check(out, bug_check, machine));
    }
    let names = &Names::new(kernel);
    let settings = v.made(Settings::read(kernel));
    let drivers = v.made(Drivers::read(kernel));
    if let Some(settings) = &settings {
        v.problems(&settings.problems);
        let modes = Modes::read(kernel);
        v.problems(&modes.problems);
        v.show(Document, "settings.json", |out| write_settings_json(out, settings, &modes));
        v.show(Document, "settings.csv", |out| write_settings_csv(out, settings, &modes));
        for style in [Style::Win7, Style::Modern] {
            v.show(Text, "!verifier", |out| {
                text::write_summary(out, settings, kernel.build(), style)
            });
        }
    }
    if let Some(drivers) = &drivers {
        v.problems(&drivers.problems);
        v.show(Document, "drivers.json", |out| write_drivers_json(out, drivers));
        v.show(Document, "drivers.csv", |out| write_drivers_csv(out, drivers));
    }
    if let Some(pool) = v.made(PoolReport::read(kernel, |_| true)) {
        v.problems(&pool.problems);
        v.show(Document, "pool.json", |out| write_pool_json(out, &pool, names));
        v.show(Document, "pool.csv", |out| write_pool_csv(out, &pool, names));
        for style in [Style::Win7, Style::Modern] {
            v.show(Text, "!verifier 3", |out| {
                text::write_driver_list(out, &pool.drivers, names, true, style)
            });
        }
        let block = pool.drivers.iter().flat_map(|pool| &pool.allocations).next();
        show_history(v, kernel, names, block.map_or(Va(0x1000), |block| block.address));
    }
    let log = v.made(PoolLog::read(kernel, None));
    if let Some(log) = &log {
        v.problems(&log.problems);
        v.show(Text, "!verifier 80", |out| text::write_pool_log(out, log, names));
        v.show(Document, "log pool.json", |out| write_pool_log_json(out, log, names));
        v.show(Document, "log pool.csv", |out| write_pool_log_csv(out, log, names));
    }
    for kind in EventKind::ALL {
        // A build without the log says so; that is not damage.
        let Ok(log) = EventLog::read(kernel, kind, None, None) else { continue };
        v.problems(&log.problems);
        for style in [Style::Win7, Style::Modern] {
            v.show(Text, "event log", |out| text::write_event_log(out, &log, names, style));
        }
        v.show(Document, kind.name(), |out| write_event_log_json(out, &log, names));
        v.show(Document, "event log.csv", |out| write_event_log_csv(out, &log, names));
    }
    if let Ok(watched) = WatchedIrps::read(kernel, None, None) {
        v.problems(&watched.problems);
        v.show(Text, "watched", |out| text::write_watched_irps(out, &watched, names));
        v.show(Document, "watched.json", |out| write_watched_irps_json(out, &watched));
        v.show(Document, "watched.csv", |out| write_watched_irps_csv(out, &watched));
    }
    if let Ok(stacks) = PoolStacks::read(kernel, |_| true) {
        v.problems(&stacks.problems);
        v.show(Text, "stacks", |out| write_pool_stacks_text(out, &stacks, names));
        v.show(Document, "stacks.json", |out| write_pool_stacks_json(out, &stacks, names));
        v.show(Document, "stacks.csv", |out| write_pool_stacks_csv(out, &stacks, names));
    }
    if let Ok(deadlock) = Deadlock::read(kernel) {
        v.problems(&deadlock.problems);
        let graph = LockGraph::of(&deadlock);
        v.show(Text, "deadlock", |out| write_deadlock_text(out, &deadlock, &graph, names));
        v.show(Document, "deadlock.json", |out| write_deadlock_json(out, &deadlock, &graph, names));
        v.show(Document, "deadlock.dot", |out| write_deadlock_dot(out, &deadlock, &graph, names));
        let (detail, style) = (DeadlockDetail::Stacks, Style::Modern);
        v.show(Text, "!deadlock", |out| text::write_deadlock(out, &deadlock, names, detail, style));
    }
    if let Some(leaks) = v.made(Leaks::read(kernel, |_| true)) {
        v.problems(&leaks.problems);
        show_leaks(v, kernel, names, &leaks, settings.as_ref(), drivers.as_ref(), log.as_ref());
    }
    let Viewer { is_partial, unclean, answers } = viewer;
    let outcome = match unclean {
        Some(what) => Outcome::Unclean(what),
        None if is_partial => Outcome::Partial,
        None => Outcome::Whole,
    };
    Look { outcome, answers }
}

fn show_history(v: &mut Viewer, kernel: &Kernel, names: &Names<'_>, address: Va) {
    if let Some(history) = v.made(History::read(kernel, address)) {
        v.problems(&history.problems);
        v.show(Form::Document, "history.json", |out| write_history_json(out, &history, names));
        v.show(Form::Document, "history.csv", |out| write_history_csv(out, &history, names));
    }
}

fn show_leaks(
    v: &mut Viewer,
    kernel: &Kernel,
    names: &Names<'_>,
    leaks: &Leaks,
    settings: Option<&Settings>,
    drivers: Option<&Drivers>,
    log: Option<&PoolLog>,
) {
    use Form::{Document, Text};
    let grouping = Grouping::new(kernel, leaks, None);
    for by in [GroupBy::Stack, GroupBy::Frame, GroupBy::Caller, GroupBy::Tag] {
        let view = LeaksView::grouped(leaks, by, &grouping, names.clone());
        v.show(Text, "leaks", |out| write_leaks_text(out, &view));
        v.show(Document, "leaks.json", |out| write_leaks_json(out, &view));
        v.show(Document, "leaks.csv", |out| write_leaks_csv(out, &view));
        if by != GroupBy::Stack {
            continue;
        }
        v.show(Document, "leaks.md", |out| write_leaks_markdown(out, &view));
        v.show(Document, "leaks.sarif", |out| write_leaks_sarif(out, &view));
        v.show(Document, "leaks.xml", |out| write_leaks_junit(out, &view));
        v.show(Text, "annotations", |out| write_leaks_github(out, &view));
        v.show(Text, "folded", |out| write_leaks_folded(out, &view, Weight::Bytes));
        let timeline = log.map(|log| Timeline::new(log, leaks));
        let churn = log.and_then(|log| Churn::of_log(kernel, log));
        let report = Report {
            title: "memory.dmp".into(),
            subtitle: String::new(),
            facts: Vec::new(),
            settings,
            drivers,
            view: &view,
            timeline: timeline.as_ref(),
            churn: churn.as_ref(),
            problems: leaks.problems.clone(),
        };
        v.show(Document, "report.html", |out| report.write(out));
    }
    let side = || Side { kernel, leaks, grouping: &grouping };
    for is_same in [true, false] {
        let boot = Boot { is_same, why: "asked for".into() };
        let diff = Diff::new(boot, side(), side(), GroupBy::Stack);
        let view = DiffView { diff: &diff, old: leaks, new: leaks, top: None };
        v.show(Text, "diff", |out| write_diff_text(out, &view));
        v.show(Document, "diff.json", |out| write_diff_json(out, &view));
        v.show(Document, "diff.csv", |out| write_diff_csv(out, &view));
        v.show(Document, "diff.md", |out| write_diff_markdown(out, &view));
    }
}
