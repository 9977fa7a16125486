//! `!verifier`.
//!
//! `!verifier [Flags [Image]]` prints settings and statistics; flag 1 adds the drivers, 1 and 2 their
//! allocations, and each of 4, 8, 40, 80, 100, 200 and 400 a log. If Flags is exactly one of the logs' flags,
//! only that log is printed, and the argument is a quantity or, except for 4 and 8, an address in the
//! kernel's half. (The debugger's 40 takes none.) Without a quantity four entries of the fault and IRQL logs
//! are printed, and all entries of the others.
//!
//! No public source says what flags 10, 20 and 800 print, so this says that. `-disable` changes a live
//! machine, so it is refused. `?` and `-?` print the syntax.

use std::io;

use verifier_core::render::text::{
    sanitize, write_driver_list, write_event_log, write_log_title, write_pool_log,
    write_pool_log_search, write_summary, write_watched_irps,
};
use verifier_core::verifier::log::{EventKind, LogKind, PoolRecord};
use verifier_core::{Problem, Va};

use super::{Debugger, number, usage};
use crate::error::Error;
use crate::session::Session;

/// Entries of the fault and IRQL logs that are shown without a quantity.
const DEFAULT_QUANTITY: usize = 4;

const SYNTAX: &str = "\
!verifier [Flags [Image]]
!verifier 4 [Quantity]
!verifier 8 [Quantity]
!verifier 40 [Quantity|Address]
!verifier 80 [Quantity|Address]
!verifier 100 [Quantity|Address]
!verifier 200 [Quantity|Address]
!verifier 400 [Quantity|Address]
!verifier ?

  1    drivers that are verified
  2    with 1: their counters and outstanding pool allocations
  4    faults that were injected
  8    IRQL transitions
  40   IRPs that were forced to pend
  80   pool allocations and frees
  100  IRPs allocated, completed, canceled
  200  critical regions entered and left
  400  canceled IRPs that are watched

  Image     only this driver, for 1 and 2
  Quantity  how many of the newest entries (4 and 8: four unless given; else all)
  Address   only entries about this block, IRP or thread; it is in the kernel's half
Numbers are hexadecimal, or decimal after 0n.
";

/// True for the two logs that take only a quantity, and show few records without one.
fn is_short(log: LogKind) -> bool {
    matches!(log, LogKind::Event(EventKind::Fault | EventKind::Irql))
}

/// Logs by flag, in the order in which they are printed, and the title that each has after other output. The
/// first two titles are from the transcript of Windows 7; the others are in our words.
const LOGS: [(u64, LogKind, &str); 7] = [
    (0x4, LogKind::Event(EventKind::Fault), "Fault injection trace log"),
    (0x8, LogKind::Event(EventKind::Irql), "Track irql trace log"),
    (0x40, LogKind::Event(EventKind::Pending), "Force pending I/O requests log"),
    (0x80, LogKind::Pool, "Pool allocate/free log"),
    (0x100, LogKind::Event(EventKind::Irp), "IRP log"),
    (0x200, LogKind::Event(EventKind::Region), "Critical region log"),
    (0x400, LogKind::Watched, "Canceled IRPs being watched"),
];

/// Flags for which no public source says what to print.
const UNKNOWN: [(u64, &str); 3] = [
    (0x10, "no public source says what it prints"),
    (0x20, "the Driver Hang Verification log: no public source says where it is"),
    (0x800, "the log of systematic low resources simulation: no public source says where it is"),
];

/// Runs `!verifier` with its arguments.
pub(super) fn run(
    out: &mut dyn io::Write,
    session: &Session,
    arguments: &[&str],
    debugger: Debugger,
) -> Result<Vec<Problem>, Error> {
    let flags = match arguments.first() {
        Some(&("?" | "-?" | "/?")) => {
            out.write_all(SYNTAX.as_bytes())?;
            return Ok(Vec::new());
        }
        Some(text) if text.eq_ignore_ascii_case("-disable") => {
            return Err(usage(
                "!verifier -disable clears the settings of a live machine; a dump is not changed",
            ));
        }
        Some(text) => number(text)?,
        None => 0,
    };
    if let Some((_, what)) = UNKNOWN.iter().find(|(flag, _)| *flag == flags) {
        writeln!(out, "!verifier {flags:x}: {what}.")?;
        return Ok(Vec::new());
    }
    if let Some((_, log, _)) = LOGS.iter().find(|(flag, _, _)| *flag == flags) {
        let which = match arguments {
            [_] => None,
            [_, which] => Some(number(which)?),
            _ => {
                let which = if is_short(*log) { "quantity" } else { "quantity or address" };
                return Err(usage(&format!("!verifier {flags:x} takes one {which}")));
            }
        };
        return write_log(out, session, *log, which, debugger);
    }
    let known = 3
        | LOGS.iter().fold(0, |all, (flag, _, _)| all | flag)
        | UNKNOWN.iter().fold(0, |all, (flag, _)| all | flag);
    if flags & !known != 0 {
        return Err(usage(&format!(
            "!verifier {flags:x}: {:x} is not a flag of !verifier",
            flags & !known
        )));
    }
    let image = match arguments {
        [] | [_] => None,
        [_, image] => Some(*image),
        _ => return Err(usage("!verifier takes flags and one image")),
    };
    write_all(out, session, flags, image, debugger)
}

/// Settings, statistics, and what the flags add.
fn write_all(
    out: &mut dyn io::Write,
    session: &Session,
    flags: u64,
    image: Option<&str>,
    debugger: Debugger,
) -> Result<Vec<Problem>, Error> {
    let kernel = session.kernel()?;
    let (settings, _) = session.settings()?;
    write_summary(out, &settings, kernel.build(), debugger.style)?;
    let mut problems = settings.problems;
    if flags & 1 != 0 {
        problems.extend(write_drivers(out, session, image, flags & 2 != 0, debugger)?);
    }
    for (flag, log, title) in LOGS {
        if flags & flag != 0 {
            write_log_title(out, title)?;
            match write_log(out, session, log, None, debugger) {
                Ok(more) => problems.extend(more),
                // One missing log does not end the command.
                Err(Error::Core(error)) => {
                    writeln!(out, "It cannot be read.")?;
                    problems.push(Problem::from_error(title, &error));
                }
                Err(error) => return Err(error),
            }
        }
    }
    for (flag, what) in UNKNOWN {
        if flags & flag != 0 {
            writeln!(out, "\n!verifier {flag:x}: {what}.")?;
        }
    }
    Ok(problems)
}

/// Writes the drivers, or the one that `image` names.
fn write_drivers(
    out: &mut dyn io::Write,
    session: &Session,
    image: Option<&str>,
    with_allocations: bool,
    debugger: Debugger,
) -> Result<Vec<Problem>, Error> {
    let report = session.pool_of(image)?;
    let names = debugger.names(session.kernel()?);
    write_driver_list(out, &report.drivers, &names, with_allocations, debugger.style)?;
    if let (Some(image), true) = (image, report.drivers.is_empty()) {
        // Our words: no transcript shows an image that is not configured.
        writeln!(out, "{} is not in the list of verified drivers.", sanitize(image))?;
    }
    if with_allocations && !report.unowned.is_empty() {
        // Our words: the debugger does not show blocks without a driver.
        writeln!(
            out,
            "{:#x} more allocations are of no known driver (verifier pool lists them).",
            report.unowned.len()
        )?;
    }
    Ok(report.problems)
}

fn write_log(
    out: &mut dyn io::Write,
    session: &Session,
    log: LogKind,
    which: Option<u64>,
    debugger: Debugger,
) -> Result<Vec<Problem>, Error> {
    let kernel = session.kernel()?;
    let address = which.map(Va).filter(|&va| !is_short(log) && kernel.space().is_kernel(va));
    let last = match which {
        _ if address.is_some() => None,
        Some(quantity) => Some(usize::try_from(quantity).unwrap_or(usize::MAX)),
        None => is_short(log).then_some(DEFAULT_QUANTITY),
    };
    match log {
        LogKind::Event(kind) => {
            let log = session.event_log(kind, last, address)?;
            if kind == EventKind::Fault && log.ring.index == Some(0) && log.records.is_empty() {
                writeln!(out, "Driver Verifier didn't inject any faults.")?;
            } else {
                write_event_log(out, &log, &debugger.names(kernel), debugger.style)?;
            }
            Ok(log.problems)
        }
        LogKind::Watched => {
            let watched = session.watched_irps(last, address)?;
            write_watched_irps(out, &watched, &debugger.names(kernel))?;
            Ok(watched.problems)
        }
        LogKind::Pool => {
            let log = session.pool_log(last, address)?;
            let names = debugger.names(kernel);
            match address {
                // No transcript shows a search in a log that is off.
                Some(address) if log.empty_because.is_none() => {
                    let records: Vec<(&PoolRecord, &[Va])> =
                        log.records.iter().map(|record| (record, log.frames(record))).collect();
                    write_pool_log_search(out, log.ring.length, address, records, &names)?;
                }
                _ => write_pool_log(out, &log, &names)?,
            }
            Ok(log.problems)
        }
    }
}
