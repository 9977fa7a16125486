//! The logs beside the pool log.
//!
//! The IRQL log follows the transcript of Windows 7 x64. No transcript of that time shows the other
//! logs in this form: they are laid out like it, which is ours.

use std::io;

use super::digits;
use super::lines::sanitize;
use crate::addr::Va;
use crate::render::Names;
use crate::verifier::log::{EventField, EventLog};

/// The label of a number, as the debugger has it for the IRQL log.
fn label(field: &EventField) -> &'static str {
    match field.c_name {
        "Thread" => "Thread:",
        "OldIrql" => "Old irql:",
        "NewIrql" => "New irql:",
        "Processor" => "Processor:",
        "TickCount" => "Time stamp:",
        "Irp" => "Irp:",
        "Irql" => "Irql:",
        "KernelApcDisable" => "Kernel APCs:",
        "SpecialApcDisable" => "Special APCs:",
        other => other,
    }
}

/// The records that were read, newest first.
///
/// # Errors
/// Those of the writer.
pub fn write_event_log(
    out: &mut dyn io::Write,
    log: &EventLog,
    names: &Names<'_>,
) -> io::Result<()> {
    let machine = names.kernel().space().machine();
    let what = log.kind.describe();
    if let Some(why) = log.empty_because {
        return writeln!(out, "The {what} is empty: {why}.");
    }
    let count = digits(Va(log.records.len() as u64), machine);
    writeln!(out, "Displaying most recent 0x{count} entries from the {what}.")?;
    writeln!(out, "There are up to {:#x} entries in the log.", log.ring.length)?;
    for record in &log.records {
        writeln!(out)?;
        for (field, &value) in log.kind.fields().iter().zip(record.values()) {
            let value = match field.c_name {
                // Counts of regions entered, negative while they are disabled.
                "KernelApcDisable" | "SpecialApcDisable" => (value as i64).to_string(),
                _ => digits(Va(value), machine),
            };
            writeln!(out, "{:20}{value}", label(field))?;
        }
        writeln!(out)?;
        for &frame in log.frames(record) {
            let name = names.get(frame);
            let name = name.as_deref().map(sanitize).unwrap_or_default();
            writeln!(out, "    {} {name}", digits(frame, machine))?;
        }
    }
    Ok(())
}
