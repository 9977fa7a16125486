//! `verifier kd`: the debugger's own syntax.
//!
//! `!verifier [Flags [Image]]` prints settings and statistics, with flag 1 drivers, with 1 and 2 their
//! allocations; `!verifier 80 [Quantity|Address]` the pool log alone, and 4, 8, 40, 100 and 200 the other
//! logs alone; `!deadlock [1|3]`; `lm`; `.bugcheck`. Numbers are hexadecimal, as in the debugger, unless
//! they start with `0n`. Whether the one argument of a log is a quantity or an address is told by its
//! value: an address lies in the kernel's half.

use std::io::{self, Write as _};

use verifier_core::render::Names;
use verifier_core::render::text::{
    DeadlockDetail, Style, sanitize, write_bug_check, write_deadlock, write_driver_list,
    write_event_log, write_modules, write_pool_log, write_pool_log_search, write_summary,
};
use verifier_core::verifier::log::{EventKind, PoolRecord};
use verifier_core::verifier::{PoolReport, Settings};
use verifier_core::{Problem, Va};

use super::args::KdArgs;
use super::output::{complain_kernel_symbols, complain_missing_symbols, complain_problems, stdout};
use crate::error::Error;
use crate::session::Session;

pub(super) fn run(args: &KdArgs) -> Result<(), Error> {
    let session = args.dump.open()?;
    complain_kernel_symbols(&session);
    let mut out = stdout();
    for command in &args.command {
        complain_problems(&run_kd_command(&mut out, &session, command, args.style.into())?);
    }
    out.flush()?;
    complain_missing_symbols(&session);
    Ok(())
}

/// Runs one debugger command on a session and writes what the debugger would. Returns what could
/// not be read or does not fit.
///
/// # Errors
/// [`Error::Usage`] for a command that is not known here, and what the views return.
pub fn run_kd_command(
    out: &mut dyn io::Write,
    session: &Session,
    command: &str,
    style: Style,
) -> Result<Vec<Problem>, Error> {
    let mut words = command.split_whitespace();
    let name = words.next().unwrap_or("");
    let rest: Vec<&str> = words.collect();
    match name {
        "!verifier" => verifier(out, session, &rest, style),
        "!deadlock" => deadlock(out, session, &rest, style),
        "lm" => {
            session.load_all_symbols();
            write_modules(out, session.kernel()?)?;
            Ok(Vec::new())
        }
        ".bugcheck" => {
            let header = session
                .dump()
                .ok_or_else(|| usage(".bugcheck reads the dump's header, and there is no dump"))?
                .header();
            let machine = header.machine().unwrap_or(if header.is_64bit {
                verifier_core::machine::Machine::X64
            } else {
                verifier_core::machine::Machine::X86
            });
            write_bug_check(out, &header.bug_check, machine)?;
            Ok(Vec::new())
        }
        _ => Err(Error::Usage(format!(
            "{name:?} is not a command known here; known are !verifier, !deadlock, lm, .bugcheck"
        ))),
    }
}

fn verifier(
    out: &mut dyn io::Write,
    session: &Session,
    arguments: &[&str],
    style: Style,
) -> Result<Vec<Problem>, Error> {
    let flags = match arguments.first() {
        Some(text) => number(text)?,
        None => 0,
    };
    if flags == 0x80 {
        return match arguments {
            [_] => pool_log(out, session, None),
            [_, which] => pool_log(out, session, Some(number(which)?)),
            _ => Err(usage("!verifier 80 takes one quantity or address")),
        };
    }
    let event_log = match flags {
        4 => Some(EventKind::Fault),
        8 => Some(EventKind::Irql),
        0x40 => Some(EventKind::Pending),
        0x100 => Some(EventKind::Irp),
        0x200 => Some(EventKind::Region),
        _ => None,
    };
    if let Some(kind) = event_log {
        return match arguments {
            [_] => events(out, session, kind, None),
            [_, which] => events(out, session, kind, Some(number(which)?)),
            _ => Err(usage(&format!("!verifier {flags:x} takes one quantity or address"))),
        };
    }
    if flags & !3 != 0 {
        return Err(usage(&format!(
            "!verifier {flags:x}: known here are the flags 1 and 2, and 4, 8, 40, 80, 100 and 200 \
             alone"
        )));
    }
    if arguments.len() > 2 {
        return Err(usage("!verifier takes flags and one image"));
    }
    let kernel = session.kernel()?;
    let settings = Settings::read(kernel)?;
    write_summary(out, &settings, kernel.build(), style)?;
    let mut problems = settings.problems;
    if flags & 1 == 0 {
        return Ok(problems);
    }
    let image = arguments.get(1).copied();
    let mut report =
        PoolReport::read(kernel, |driver| image.is_none_or(|image| driver.is_named(image)))?;
    problems.append(&mut report.problems);
    session.load_symbols_at(report.callers());
    write_driver_list(out, &report.drivers, &Names::new(kernel), flags & 2 != 0, style)?;
    if let (Some(image), true) = (image, report.drivers.is_empty()) {
        // Ours: no transcript shows an image that is not configured.
        writeln!(out, "{} is not in the list of verified drivers.", sanitize(image))?;
    }
    if flags & 2 != 0 && !report.unowned.is_empty() {
        // Ours: the debugger knows no blocks without a driver.
        writeln!(
            out,
            "{:#x} more allocations are of no known driver (verifier pool lists them).",
            report.unowned.len()
        )?;
    }
    Ok(problems)
}

/// Entries of the fault and IRQL logs that are shown where no quantity is given.
const DEFAULT_QUANTITY: usize = 4;

fn events(
    out: &mut dyn io::Write,
    session: &Session,
    kind: EventKind,
    which: Option<u64>,
) -> Result<Vec<Problem>, Error> {
    let kernel = session.kernel()?;
    let address = which.map(Va).filter(|&va| kernel.space().is_kernel(va));
    let last = match (address, which) {
        (Some(_), _) => None,
        (None, Some(quantity)) => Some(usize::try_from(quantity).unwrap_or(usize::MAX)),
        (None, None) if matches!(kind, EventKind::Fault | EventKind::Irql) => {
            Some(DEFAULT_QUANTITY)
        }
        (None, None) => None,
    };
    let log = session.event_log(kind, last, address)?;
    write_event_log(out, &log, &Names::new(kernel))?;
    Ok(log.problems)
}

fn pool_log(
    out: &mut dyn io::Write,
    session: &Session,
    which: Option<u64>,
) -> Result<Vec<Problem>, Error> {
    let kernel = session.kernel()?;
    let address = which.map(Va).filter(|&va| kernel.space().is_kernel(va));
    let last = which
        .filter(|_| address.is_none())
        .map(|quantity| usize::try_from(quantity).unwrap_or(usize::MAX));
    let log = session.pool_log(last, address)?;
    let names = Names::new(kernel);
    match address {
        Some(address) => {
            let records: Vec<(&PoolRecord, &[Va])> =
                log.records.iter().map(|record| (record, log.frames(record))).collect();
            write_pool_log_search(out, log.ring.length, address, records, &names)?;
        }
        None => write_pool_log(out, &log, &names)?,
    }
    Ok(log.problems)
}

/// What `!deadlock -?` prints: ours.
const DEADLOCK_USAGE: &str = "\
!deadlock       threads and locks of the deadlock that Verifier found
!deadlock 1     with the stacks that took the locks
!deadlock 3     with the nodes of the locks and the stacks that took them last
";

fn deadlock(
    out: &mut dyn io::Write,
    session: &Session,
    arguments: &[&str],
    style: Style,
) -> Result<Vec<Problem>, Error> {
    let detail = match arguments {
        [] => DeadlockDetail::Summary,
        ["-?"] => {
            out.write_all(DEADLOCK_USAGE.as_bytes())?;
            return Ok(Vec::new());
        }
        [flags] => match number(flags)? {
            0 => DeadlockDetail::Summary,
            1 => DeadlockDetail::Stacks,
            3 => DeadlockDetail::Nodes,
            _ => return Err(usage("!deadlock takes 1 or 3; !deadlock -? says what they do")),
        },
        _ => return Err(usage("!deadlock takes one number; !deadlock -? says which")),
    };
    let deadlock = session.deadlock()?;
    write_deadlock(out, &deadlock, session.kernel()?, detail, style)?;
    Ok(deadlock.problems)
}

fn usage(text: &str) -> Error {
    Error::Usage(text.into())
}

/// A number as the debugger's default radix reads it.
fn number(text: &str) -> Result<u64, Error> {
    let plain: String = text.chars().filter(|&c| c != '`').collect::<String>().to_lowercase();
    let parsed = if let Some(decimal) = plain.strip_prefix("0n") {
        decimal.parse().ok()
    } else {
        let digits = plain.strip_prefix("0x").unwrap_or(&plain);
        u64::from_str_radix(digits, 16).ok()
    };
    parsed.ok_or_else(|| usage(&format!("{text:?} is no number: hexadecimal, or decimal after 0n")))
}
