//! The logs beside the pool log.
//!
//! The IRQL log follows the transcript of Windows 7 x64. In the style of Windows 7 the fault injection
//! and the force pending log follow transcripts of Vista x86, whose addresses get the digits of the
//! machine here. No transcript shows the other logs or the modern style: our layout follows the IRQL log.

use std::io;

use super::pool_log::write_impossible;
use super::stack::{write_frames, write_stack};
use super::{Style, digits};
use crate::addr::Va;
use crate::render::Names;
use crate::verifier::log::{EventKind, EventLog, EventRecord, Ring, WatchedIrps};

/// The records that were read, newest first.
///
/// # Errors
/// Those of the writer.
pub fn write_event_log(
    out: &mut dyn io::Write,
    log: &EventLog,
    names: &Names<'_>,
    style: Style,
) -> io::Result<()> {
    match (style, log.kind) {
        (Style::Win7, EventKind::Fault) => return write_fault_history(out, log, names),
        (Style::Win7, EventKind::Pending) => return write_forced_pending(out, log, names),
        _ => {}
    }
    let machine = names.kernel().space().machine();
    let what = log.kind.describe();
    if let Some(why) = log.empty_because {
        return writeln!(out, "The {what} is empty: {why}.");
    }
    if let (Some(address), []) = (log.about, log.records.as_slice()) {
        return writeln!(out, "No entry of the {what} is about 0x{}.", digits(address, machine));
    }
    let count = digits(Va(log.records.len() as u64), machine);
    writeln!(out, "Displaying most recent 0x{count} entries from the {what}.")?;
    writeln!(out, "There are up to {:#x} entries in the log.", log.ring.length)?;
    for record in &log.records {
        writeln!(out)?;
        for (field, value) in log.values(record) {
            let Some(value) = value else { continue };
            let value = match field.c_name {
                // Counts of regions entered, negative while they are disabled.
                "KernelApcDisable" | "SpecialApcDisable" => (value as i64).to_string(),
                "Type" if value == 1 => {
                    format!("{} (allocation of no bytes)", digits(Va(value), machine))
                }
                _ => digits(Va(value), machine),
            };
            writeln!(out, "{:20}{value}", field.label)?;
        }
        write_impossible(out, record.impossible, "")?;
        if !log.frames(record).is_empty() {
            writeln!(out)?;
            write_stack(out, log.frames(record), names, "    ")?;
        }
    }
    Ok(())
}

/// The thread of a fault, the IRP of one that was forced to pend.
fn first_value(log: &EventLog, record: &EventRecord) -> Va {
    let first = log.values(record).next().and_then(|(_, value)| value);
    Va(first.unwrap_or(0))
}

/// The box around a log's name if it comes after other text. The debugger of Windows 7 fills its
/// lines with blanks.
///
/// # Errors
/// Those of the writer.
pub fn write_log_title(out: &mut dyn io::Write, title: &str) -> io::Result<()> {
    let line = "-".repeat(47);
    writeln!(out, "\n{line} \n{title:47} \n{line} \n")
}

/// `!verifier 4` of Vista: digits in upper case.
fn write_fault_history(
    out: &mut dyn io::Write,
    log: &EventLog,
    names: &Names<'_>,
) -> io::Result<()> {
    let machine = names.kernel().space().machine();
    let upper = |va: Va| digits(va, machine).to_uppercase();
    writeln!(out, "Resource fault injection history:")?;
    if let Some(why) = log.empty_because {
        return writeln!(out, "The {} is empty: {why}.", log.kind.describe());
    }
    let (size, depth) = (log.ring.length, log.depth());
    let entries = if log.wrapped == Some(true) {
        size
    } else {
        log.ring.index.map_or(size, |index| size.min(index))
    };
    let array = upper(log.ring.array);
    writeln!(out, "Tracker @ {array} (# entries: {entries:X}, size: {size:X}, depth: {depth})")?;
    for record in &log.records {
        let at = log.ring.array.add(u64::from(record.slot).wrapping_mul(log.ring.stride));
        writeln!(out, "\nEntry @ {} (index {:X})\n", upper(at), record.slot)?;
        let thread = first_value(log, record);
        writeln!(out, "    Thread: {}\n", upper(thread))?;
        write_impossible(out, record.impossible, "    ")?;
        write_frames(out, ("    ", "    "), log.frames(record), names, upper)?;
    }
    Ok(())
}

/// `!verifier 40` of Vista, whose transcript shows one IRP: the blank line between two is ours.
fn write_forced_pending(
    out: &mut dyn io::Write,
    log: &EventLog,
    names: &Names<'_>,
) -> io::Result<()> {
    const ROW: &str = "========================================================";
    if let Some(why) = log.empty_because {
        return writeln!(out, "The {} is empty: {why}.", log.kind.describe());
    }
    let machine = names.kernel().space().machine();
    writeln!(out, "Size of the log is {:#x}\n{ROW}", log.ring.length)?;
    for (i, record) in log.records.iter().enumerate() {
        if i > 0 {
            writeln!(out)?;
        }
        let irp = digits(first_value(log, record), machine);
        writeln!(out, "{ROW}\nIRP: {irp} - forced pending from stack trace:\n")?;
        write_impossible(out, record.impossible, "     ")?;
        write_stack(out, log.frames(record), names, "     ")?;
    }
    Ok(())
}

/// `!verifier 400`: our layout follows the IRQL log.
///
/// # Errors
/// Those of the writer.
pub fn write_watched_irps(
    out: &mut dyn io::Write,
    watched: &WatchedIrps,
    names: &Names<'_>,
) -> io::Result<()> {
    let machine = names.kernel().space().machine();
    if let Some(why) = watched.empty_because {
        return writeln!(out, "The list of watched IRPs is empty: {why}.");
    }
    if let (Some(address), []) = (watched.about, watched.irps.as_slice()) {
        return writeln!(out, "No watched IRP is 0x{}.", digits(address, machine));
    }
    let count = digits(Va(watched.irps.len() as u64), machine);
    writeln!(out, "Displaying 0x{count} canceled IRPs that are currently watched.")?;
    for (what, value) in [
        ("in the list", watched.length),
        ("in the list at most", watched.maximum),
        ("canceled so far", watched.canceled),
    ] {
        if let Some(value) = value {
            writeln!(out, "{value:#x} {what}.")?;
        }
    }
    if let Some(tick) = watched.tick {
        writeln!(out, "The watchdog's tick is {tick:#x}.")?;
    }
    for irp in &watched.irps {
        writeln!(out)?;
        for (label, value) in [
            ("Irp:", irp.irp.0),
            ("Due tick:", irp.due_tick_count.into()),
            ("Timeout in ticks:", irp.cancel_timeout_ticks.into()),
            ("Inserted:", irp.inserted.into()),
        ] {
            writeln!(out, "{label:20}{}", digits(Va(value), machine))?;
        }
        writeln!(out, "{:20}{}", "Stack location:", irp.tracked_stack_location)?;
    }
    Ok(())
}

/// One line: how much a log has room for, how much was written, whether it has wrapped.
///
/// # Errors
/// Those of the writer.
pub fn write_log_state(
    out: &mut dyn io::Write,
    what: &str,
    ring: &Ring,
    wrapped: Option<bool>,
) -> io::Result<()> {
    let wrapped = match wrapped {
        Some(true) => "it has wrapped",
        Some(false) => "it has not wrapped",
        None => "whether it has wrapped is unknown",
    };
    write!(out, "The {what} has room for {:#x} records; ", ring.length)?;
    match ring.index {
        Some(index) => write!(out, "{index:#x} were written (modulo 2^32), ")?,
        None => write!(out, "how many were written and their order are unknown, ")?,
    }
    writeln!(out, "{wrapped}.")
}
