//! `verifier history --address A`.

use std::io::{self, Write};

use verifier_core::Completeness;
use verifier_core::analysis::{Event, History, NoStack, Reach, is_kernel_or_verifier};
use verifier_core::render::text::{sanitize, write_extent, write_frames, write_pool_record};
use verifier_core::render::{Names, write_history_csv, write_history_json};
use verifier_core::verifier::Allocation;
use verifier_core::verifier::log::Order;
use verifier_host::Error;

use super::args::{Format, HistoryArgs};
use super::output::{complain_kernel_symbols, complain_problems, stdout};

pub(super) fn run(args: &HistoryArgs) -> Result<(), Error> {
    let session = args.dump.open()?;
    complain_kernel_symbols(&session);
    let history = session.history(args.address)?;
    let names = Names::new(session.kernel()?);
    let mut out = stdout();
    match args.format {
        Format::Json => write_history_json(&mut out, &history, &names)?,
        Format::Csv => write_history_csv(&mut out, &history, &names)?,
        Format::Text => {
            let answer = Completeness::of(&history.problems);
            write_extent(&mut out, &answer)?;
            for tracker in &history.trackers {
                let allocation = &tracker.entry.allocation;
                let caller = names
                    .get(allocation.caller)
                    .map_or_else(|| allocation.caller.to_string(), |name| name.to_string());
                writeln!(
                    out,
                    "{} is in an outstanding allocation of {} ({}): block {}, {:#x} bytes{}, \
                     allocated by {}{}",
                    history.address,
                    sanitize(&tracker.driver),
                    allocation.source.name(),
                    allocation.address,
                    allocation.size,
                    allocation.pool_tag().map(|tag| format!(", tag {tag}")).unwrap_or_default(),
                    sanitize(&caller),
                    impossible(allocation),
                )?;
                write_frames(&mut out, &tracker.frames, &names)?;
            }
            if history.trackers.is_empty() {
                let fate = match answer.is_complete() {
                    true => "is not in an outstanding allocation",
                    false => "is not in an outstanding allocation that could be read",
                };
                writeln!(out, "{} {fate}.", history.address)?;
            }
            write_fate(&mut out, &history, &names)?;
            write_neighbors(&mut out, &history)?;
            match history.events.len() {
                0 => {
                    writeln!(out, "\nNo record of the pool log is about it: {}.", reach(&history))?
                }
                count => writeln!(
                    out,
                    "\n{count} of the pool log's {} records {} about it, {}:",
                    history.reach.records,
                    if count == 1 { "is" } else { "are" },
                    match history.order {
                        Order::NewestFirst => "newest first",
                        Order::Unknown => "in no known order",
                    }
                )?,
            }
            for event in &history.events {
                writeln!(
                    out,
                    "\n{} at {} (slot {:#x})",
                    event.record.operation.name(),
                    event.record.address,
                    event.record.slot
                )?;
                write_pool_record(&mut out, &event.record, &event.frames, &names)?;
            }
            complain_problems(&history.problems);
        }
    }
    Ok(out.flush()?)
}

/// How far back the log reaches, of which no record is about the address.
fn reach(history: &History) -> String {
    let Reach { records, missing, .. } = history.reach;
    match history.unrecorded {
        why @ (NoStack::LogOff | NoStack::LogUnreadable | NoStack::LogDamaged) => {
            why.words(history.reach)
        }
        NoStack::Overwritten => format!("it has wrapped and reaches back {records} records"),
        NoStack::PageAbsent => {
            format!("{records} records are there, {missing} slots are not in the dump")
        }
        NoStack::NotRead => format!("{records} records were read, and reading ended before it did"),
        _ => format!("it has {records} records and has not wrapped"),
    }
}

/// The line of a record: the first frame outside the kernel and Verifier, or the first.
fn line(event: &Event, names: &Names<'_>) -> String {
    let kernel = names.kernel();
    let outside = event.frames.iter().find(|&&va| !is_kernel_or_verifier(kernel, va));
    match outside.or(event.frames.first()) {
        Some(&va) => match names.get(va) {
            Some(name) => sanitize(&name).into_owned(),
            None => va.to_string(),
        },
        None => "(no frames)".into(),
    }
}

/// Who freed it, its blocks' lives, and what freed entries may be of it.
fn write_fate(out: &mut dyn Write, history: &History, names: &Names<'_>) -> io::Result<()> {
    if let Some(event) = history.freed_by() {
        writeln!(
            out,
            "It was freed: block {} by {}, thread {}.",
            event.record.address,
            line(event, names),
            event.record.thread
        )?;
    }
    if !history.lifetimes.is_empty() {
        writeln!(out, "\nBlocks that held it, the last one first:")?;
    }
    let event = |index: usize| history.events.get(index);
    let end = |index: Option<usize>, unknown: &str| match index.and_then(event) {
        Some(event) => {
            format!("{} (slot {:#x})", line(event, names), event.record.slot)
        }
        None => unknown.to_string(),
    };
    for lifetime in &history.lifetimes {
        let gone = match lifetime.why_unknown {
            Some(why) => format!("unknown: {}", why.words(history.reach)),
            None => "unknown: the record is gone".into(),
        };
        let held = if lifetime.is_held { "nobody: it is held" } else { "unknown: no record" };
        writeln!(
            out,
            "  {}  allocated by {}; freed by {}",
            lifetime.block,
            end(lifetime.allocated, &gone),
            end(lifetime.freed, held),
        )?;
    }
    if !history.freed_entries.is_empty() {
        writeln!(
            out,
            "\nFreed tracking entries that may be of such a block (they keep size, tag and caller, \
             not the address):"
        )?;
    }
    for freed in &history.freed_entries {
        let allocation = &freed.entry.allocation;
        let caller = names.get(allocation.caller);
        writeln!(
            out,
            "  entry {} of {}: {} bytes, tag {}, allocated by {}",
            allocation.entry,
            sanitize(&freed.driver),
            allocation.size,
            allocation.tag,
            sanitize(
                &caller.map_or_else(|| allocation.caller.to_string(), |name| name.to_string())
            ),
        )?;
    }
    Ok(())
}

/// Why an allocation cannot be as its entry says, if it cannot.
fn impossible(allocation: &Allocation) -> String {
    allocation.impossible.map(|why| format!(" (impossible: {})", why.name())).unwrap_or_default()
}

/// Blocks around it: in special pool an overrun comes from there.
fn write_neighbors(out: &mut dyn Write, history: &History) -> io::Result<()> {
    if history.neighbors.is_empty() {
        return Ok(());
    }
    writeln!(out, "\nBlocks in its page and the two pages on either side:")?;
    for neighbor in &history.neighbors {
        let state = match (&neighbor.driver, neighbor.newest) {
            (Some(driver), _) => format!("held by {}", sanitize(driver)),
            (None, Some(operation)) => format!("newest record: {}", operation.name()),
            (None, None) => String::new(),
        };
        writeln!(
            out,
            "  {:18} {:>10} bytes  {state}",
            neighbor.address.to_string(),
            neighbor.size
        )?;
    }
    Ok(())
}
