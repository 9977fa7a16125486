//! `!verifier 80`: the pool log.
//!
//! The search for an address follows the Windows 7 walk-through, which both styles share except
//! for the width of numbers. No transcript shows the command without an address: the layout of the records is
//! the same, and the line above them is our own, modeled on that of the IRQL log.

use std::io;

use super::digits;
use super::lines::SEPARATOR;
use super::stack::write_stack;
use crate::addr::Va;
use crate::render::Names;
use crate::verifier::log::{ImpossibleRecord, Order, PoolLog, PoolRecord};

fn heading(out: &mut dyn io::Write, capacity: u32) -> io::Result<()> {
    writeln!(out, "Log of recent kernel pool Allocate and Free operations:\n")?;
    writeln!(out, "There are up to {capacity:#x} entries in the log.\n")
}

/// The mark of an impossible record, on a separate line; no debugger prints one.
pub(super) fn write_impossible(
    out: &mut dyn io::Write,
    record: Option<ImpossibleRecord>,
    indent: &str,
) -> io::Result<()> {
    match record {
        Some(why) => writeln!(out, "{indent}This record is impossible: {why}."),
        None => Ok(()),
    }
}

/// One record and its stack.
///
/// # Errors
/// Those of the writer.
pub fn write_pool_record(
    out: &mut dyn io::Write,
    record: &PoolRecord,
    frames: &[Va],
    names: &Names<'_>,
) -> io::Result<()> {
    let machine = names.kernel().space().machine();
    writeln!(
        out,
        "Pool block {}, Size {}, Thread {}",
        digits(record.address, machine),
        digits(Va(record.size), machine),
        digits(record.thread, machine),
    )?;
    write_impossible(out, record.impossible, "")?;
    write_stack(out, frames, names, "")
}

/// `!verifier 80 ADDRESS`: the records whose block holds the address, in the log's order.
///
/// # Errors
/// Those of the writer.
pub fn write_pool_log_search<'a>(
    out: &mut dyn io::Write,
    capacity: u32,
    address: Va,
    records: impl IntoIterator<Item = (&'a PoolRecord, &'a [Va])>,
    names: &Names<'_>,
) -> io::Result<()> {
    let machine = names.kernel().space().machine();
    let all = digits(Va(capacity.into()), machine);
    heading(out, capacity)?;
    writeln!(
        out,
        "Parsing 0x{all} log entries, searching for address 0x{}.\n\n",
        digits(address, machine)
    )?;
    for (record, frames) in records {
        writeln!(out, "{SEPARATOR}")?;
        write_pool_record(out, record, frames, names)?;
    }
    writeln!(out, "Parsed entry {all}/{all}...")?;
    writeln!(out, "Finished parsing all pool tracking information.")
}

/// `!verifier 80 [Quantity]`: the records that were read, in the log's order.
///
/// # Errors
/// Those of the writer.
pub fn write_pool_log(out: &mut dyn io::Write, log: &PoolLog, names: &Names<'_>) -> io::Result<()> {
    let machine = names.kernel().space().machine();
    heading(out, log.ring.length)?;
    if let Some(why) = log.empty_because {
        return writeln!(out, "The log is empty: {why}.");
    }
    if let (Some(address), []) = (log.about, log.records.as_slice()) {
        return writeln!(out, "No block of an entry holds 0x{}.", digits(address, machine));
    }
    let count = digits(Va(log.records.len() as u64), machine);
    match log.ring.order() {
        Order::NewestFirst => writeln!(out, "Displaying most recent 0x{count} entries.\n\n")?,
        Order::Unknown => writeln!(out, "Displaying 0x{count} entries, order unknown.\n\n")?,
    }
    for record in &log.records {
        writeln!(out, "{SEPARATOR}")?;
        write_pool_record(out, record, log.frames(record), names)?;
    }
    Ok(())
}
