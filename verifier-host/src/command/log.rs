//! `verifier log KIND`.

use std::io::Write as _;

use verifier_core::Completeness;
use verifier_core::render::text::{
    Style, write_event_log, write_extent, write_log_state, write_pool_log, write_watched_irps,
};
use verifier_core::render::{
    Names, write_event_log_csv, write_event_log_json, write_pool_log_csv, write_pool_log_json,
    write_watched_irps_csv, write_watched_irps_json,
};
use verifier_core::verifier::log::{EventKind, LogKind};
use verifier_host::Error;

use super::args::{Format, LogArgs};
use super::output::{complain_kernel_symbols, complain_problems, stdout};

pub(super) fn run(args: &LogArgs) -> Result<(), Error> {
    match args.kind {
        kind if args.carve.is_asked_for() && !kind.can_be_carved() => {
            Err(Error::Usage("only the pool log can be carved".into()))
        }
        LogKind::Pool if args.carve.is_asked_for() => super::carve::log(args),
        LogKind::Event(kind) => events(args, kind),
        LogKind::Watched => watched(args),
        LogKind::Pool => pool(args),
    }
}

fn events(args: &LogArgs, kind: EventKind) -> Result<(), Error> {
    let session = args.dump.open()?;
    complain_kernel_symbols(&session);
    let log = session.event_log(kind, args.last, args.address)?;
    let names = Names::new(session.kernel()?);
    let mut out = stdout();
    match args.format {
        Format::Json => write_event_log_json(&mut out, &log, &names)?,
        Format::Csv => write_event_log_csv(&mut out, &log, &names)?,
        Format::Text => {
            write_extent(&mut out, &Completeness::of(&log.problems))?;
            write_log_state(&mut out, kind.describe(), &log.ring, log.wrapped)?;
            write_event_log(&mut out, &log, &names, Style::Modern)?;
            complain_problems(&log.problems);
        }
    }
    out.flush()?;
    if log.is_unreadable() { Err(Error::Unreadable(kind.describe())) } else { Ok(()) }
}

fn watched(args: &LogArgs) -> Result<(), Error> {
    let session = args.dump.open()?;
    complain_kernel_symbols(&session);
    let kernel = session.kernel()?;
    let watched = session.watched_irps(args.last, args.address)?;
    let mut out = stdout();
    match args.format {
        Format::Json => write_watched_irps_json(&mut out, &watched)?,
        Format::Csv => write_watched_irps_csv(&mut out, &watched)?,
        Format::Text => {
            write_extent(&mut out, &Completeness::of(&watched.problems))?;
            write_watched_irps(&mut out, &watched, &Names::new(kernel))?;
            complain_problems(&watched.problems);
        }
    }
    Ok(out.flush()?)
}

fn pool(args: &LogArgs) -> Result<(), Error> {
    let session = args.dump.open()?;
    complain_kernel_symbols(&session);
    let log = session.pool_log(args.last, args.address)?;
    let names = Names::new(session.kernel()?);
    let mut out = stdout();
    match args.format {
        Format::Json => write_pool_log_json(&mut out, &log, &names)?,
        Format::Csv => write_pool_log_csv(&mut out, &log, &names)?,
        Format::Text => {
            write_extent(&mut out, &Completeness::of(&log.problems))?;
            write_log_state(&mut out, "pool log", &log.ring, log.wrapped)?;
            write_pool_log(&mut out, &log, &names)?;
            complain_problems(&log.problems);
        }
    }
    out.flush()?;
    if log.is_unreadable() { Err(Error::Unreadable("pool log")) } else { Ok(()) }
}
