//! `log()` and `watched_irps()`: the columns of a log, and what is known of all of it.

use verifier_core::Va;
use verifier_core::kernel::Kernel;
use verifier_core::render::{LogFacts, WatchedFacts};
use verifier_core::verifier::log::EventKind;
use verifier_host::Session;

use crate::errors::Failure;
use crate::table::{Described, View};
use crate::views;
use crate::work::staged;

/// The names of all logs.
pub(crate) fn kinds() -> Vec<&'static str> {
    std::iter::once("pool").chain(EventKind::ALL.map(EventKind::name)).collect()
}

/// The log of that name.
pub(crate) fn read(
    host: &Session,
    kernel: &Kernel,
    kind: &str,
    last: Option<usize>,
    address: Option<Va>,
) -> Result<Described, Failure> {
    if kind == "pool" {
        let log = staged(host, "reading the pool log", || host.pool_log(last, address))?;
        return describe(LogFacts::from(&log), views::pool_log(log, kernel)?);
    }
    if kind == "watched" {
        return watched(host, last, address);
    }
    let kind = EventKind::ALL.into_iter().find(|one| one.name() == kind).ok_or_else(|| {
        let known = kinds().join(", ");
        Failure::usage(format!("no log is called {kind:?}; known are: {known}, watched"))
    })?;
    let stage = format!("reading the {}", kind.describe());
    let log = staged(host, &stage, || host.event_log(kind, last, address))?;
    describe(LogFacts::from(&log), views::event_log(log, kernel)?)
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
