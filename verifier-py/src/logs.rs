//! `log()` and `watched_irps()`: the columns of a log, and what is known of all of it.

use verifier_core::Va;
use verifier_core::kernel::Kernel;
use verifier_core::render::{LogFacts, WatchedFacts};
use verifier_core::verifier::log::LogKind;
use verifier_host::Session;

use crate::errors::Failure;
use crate::table::{Described, View};
use crate::views;
use crate::work::staged;

/// The names of all logs that have records of events.
pub(crate) fn kinds() -> Vec<&'static str> {
    LogKind::all().filter(|&kind| kind != LogKind::Watched).map(LogKind::name).collect()
}

/// The log of that name.
pub(crate) fn read(
    host: &Session,
    kernel: &Kernel,
    kind: &str,
    last: Option<usize>,
    address: Option<Va>,
) -> Result<Described, Failure> {
    let kind = LogKind::named(kind).ok_or_else(|| {
        let known = LogKind::all().map(LogKind::name).collect::<Vec<_>>().join(", ");
        Failure::usage(format!("no log is called {kind:?}; known are: {known}"))
    })?;
    let stage = format!("reading the {}", kind.describe());
    match kind {
        LogKind::Pool => {
            let log = staged(host, &stage, || host.pool_log(last, address))?;
            describe(LogFacts::from(&log), views::pool_log(log, kernel)?)
        }
        LogKind::Event(kind) => {
            let log = staged(host, &stage, || host.event_log(kind, last, address))?;
            describe(LogFacts::from(&log), views::event_log(log, kernel)?)
        }
        LogKind::Watched => watched(host, last, address),
    }
}

fn describe(facts: LogFacts, view: View) -> Result<Described, Failure> {
    Ok(Described::new(view.empty_because(facts.empty_because), "Log", &facts)?)
}

/// The canceled IRPs that are watched.
pub(crate) fn watched(
    host: &Session,
    last: Option<usize>,
    address: Option<Va>,
) -> Result<Described, Failure> {
    let watched = host.watched_irps(last, address)?;
    let facts = WatchedFacts::from(&watched);
    let view = views::watched_irps(watched, host.kernel()?)?.empty_because(facts.empty_because);
    Ok(Described::new(view, "WatchedIrps", &facts)?)
}
