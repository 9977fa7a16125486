//! What is known of one address.

use std::io;

use crate::addr::Va;
use crate::analysis::{Event, History, Lifetime, NoStack, Reach, TrackerMatch};
use crate::completeness::Completeness;
use crate::render::Names;
use crate::render::text::{sanitize, write_extent, write_pool_record, write_stack};
use crate::verifier::log::Order;

/// Writes the outstanding allocations that hold the address, the lives of its blocks, the blocks around it,
/// and the records of the pool log about it.
///
/// # Errors
/// Those of the writer.
pub fn write_history_text(
    out: &mut dyn io::Write,
    history: &History,
    names: &Names<'_>,
) -> io::Result<()> {
    let answer = Completeness::of(&history.problems);
    write_extent(out, &answer)?;
    for tracker in &history.trackers {
        write_outstanding(out, history.address, tracker, names)?;
    }
    if history.trackers.is_empty() {
        let fate = match answer.is_complete() {
            true => "is not in an outstanding allocation",
            false => "is not in an outstanding allocation that could be read",
        };
        writeln!(out, "{} {fate}.", history.address)?;
    }
    if let Some(event) = history.freed_by() {
        let (block, thread) = (event.record.address, event.record.thread);
        let by = place(event, names);
        writeln!(out, "It was freed: block {block} by {by}, thread {thread}.")?;
    }
    write_lifetimes(out, history, names)?;
    write_freed_entries(out, &history.freed_entries, names)?;
    write_neighbors(out, history)?;
    write_events(out, history, names)
}

fn write_outstanding(
    out: &mut dyn io::Write,
    address: Va,
    tracker: &TrackerMatch,
    names: &Names<'_>,
) -> io::Result<()> {
    let allocation = &tracker.entry.allocation;
    let tag = allocation.pool_tag().map(|tag| format!(", tag {tag}")).unwrap_or_default();
    let impossible = allocation.impossible.map(|why| format!(" (impossible: {})", why.name()));
    writeln!(
        out,
        "{address} is in an outstanding allocation of {} ({}): block {}, {:#x} bytes{tag}, \
         allocated by {}{}",
        sanitize(&tracker.driver),
        allocation.source.name(),
        allocation.address,
        allocation.size,
        names.text_with_line(allocation.caller),
        impossible.unwrap_or_default(),
    )?;
    write_stack(out, &tracker.frames, names, "")
}

/// The line of code of a record.
fn place(event: &Event, names: &Names<'_>) -> String {
    names.site(&event.frames).map_or_else(|| "(no frames)".into(), |va| names.text_with_line(va))
}

fn write_lifetimes(
    out: &mut dyn io::Write,
    history: &History,
    names: &Names<'_>,
) -> io::Result<()> {
    if !history.lifetimes.is_empty() {
        writeln!(out, "\nBlocks that held it, the last one first:")?;
    }
    let end = |index: Option<usize>, unknown: &str| match index
        .and_then(|index| history.events.get(index))
    {
        Some(event) => format!("{} (slot {:#x})", place(event, names), event.record.slot),
        None => unknown.to_string(),
    };
    for lifetime in &history.lifetimes {
        let &Lifetime { block, allocated, freed, is_held, why_unknown, .. } = lifetime;
        let gone = match why_unknown {
            Some(why) => format!("unknown: {}", why.words(history.reach)),
            None => "unknown: the record is gone".into(),
        };
        let held = if is_held { "nobody: it is held" } else { "unknown: no record" };
        let (by, freed_by) = (end(allocated, &gone), end(freed, held));
        writeln!(out, "  {block}  allocated by {by}; freed by {freed_by}")?;
    }
    Ok(())
}

fn write_freed_entries(
    out: &mut dyn io::Write,
    entries: &[TrackerMatch],
    names: &Names<'_>,
) -> io::Result<()> {
    if !entries.is_empty() {
        writeln!(
            out,
            "\nFreed tracking entries that may be of such a block (they keep size, tag and caller, \
             not the address):"
        )?;
    }
    for freed in entries {
        let allocation = &freed.entry.allocation;
        writeln!(
            out,
            "  entry {} of {}: {} bytes, tag {}, allocated by {}",
            allocation.entry,
            sanitize(&freed.driver),
            allocation.size,
            allocation.tag,
            names.text(allocation.caller),
        )?;
    }
    Ok(())
}

/// Writes the blocks around the address: in special pool, an overrun comes from one of them.
fn write_neighbors(out: &mut dyn io::Write, history: &History) -> io::Result<()> {
    if !history.neighbors.is_empty() {
        writeln!(out, "\nBlocks in its page and the two pages on either side:")?;
    }
    for neighbor in &history.neighbors {
        let state = match (&neighbor.driver, neighbor.newest) {
            (Some(driver), _) => format!("held by {}", sanitize(driver)),
            (None, Some(operation)) => format!("newest record: {}", operation.name()),
            (None, None) => String::new(),
        };
        let address = neighbor.address.to_string();
        writeln!(out, "  {address:18} {:>10} bytes  {state}", neighbor.size)?;
    }
    Ok(())
}

fn write_events(out: &mut dyn io::Write, history: &History, names: &Names<'_>) -> io::Result<()> {
    match history.events.len() {
        0 => writeln!(out, "\nNo record of the pool log is about it: {}.", reach(history))?,
        count => writeln!(
            out,
            "\n{count} of the pool log's {} records {} about it, {}:",
            history.reach.records,
            if count == 1 { "is" } else { "are" },
            match history.order {
                Order::NewestFirst => "newest first",
                Order::Unknown => "in an unknown order",
            }
        )?,
    }
    for event in &history.events {
        let record = &event.record;
        let (operation, address, slot) = (record.operation.name(), record.address, record.slot);
        writeln!(out, "\n{operation} at {address} (slot {slot:#x})")?;
        write_pool_record(out, record, &event.frames, names)?;
    }
    Ok(())
}

/// How far back the log reaches that has no record about the address.
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
