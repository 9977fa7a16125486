//! Allocations and records that were found without lists.

use std::io;

use crate::analysis::Comparison;
use crate::completeness::Completeness;
use crate::render::Names;
use crate::render::text::stack::write_frames;
use crate::render::text::{sanitize, write_extent};
use crate::verifier::log::{CarvedLog, CarvedRecord, Operation};
use crate::verifier::{CarvedAllocation, CarvedOwner, CarvedPool};

/// Writes carved allocations, and their comparison with the lists or why there is none.
///
/// # Errors
/// Those of the writer.
pub fn write_carved_pool_text(
    out: &mut dyn io::Write,
    carved: &CarvedPool,
    comparison: Result<&Comparison, &str>,
    names: &Names<'_>,
) -> io::Result<()> {
    write_extent(out, &Completeness::of(&carved.problems))?;
    writeln!(
        out,
        "Carved: {} pages looked at, {} tracking pages of {} owners",
        carved.pages_looked_at,
        carved.owners.iter().map(|owner| owner.pages.len()).sum::<usize>(),
        carved.owners.len()
    )?;
    for owner in &carved.owners {
        write_owner(out, owner, names)?;
    }
    match comparison {
        Ok(comparison) => write_difference(out, carved, comparison),
        Err(why) => writeln!(out, "Not compared with the lists: {}", sanitize(why)),
    }
}

fn owner_label(owner: &CarvedOwner) -> String {
    match (&owner.name, owner.is_signed) {
        (Some(name), true) => sanitize(name).into_owned(),
        (Some(name), false) => {
            format!("{} (its owner {} is not signed)", sanitize(name), owner.address)
        }
        (None, _) => format!("a driver that is gone or not in the dump (owner {})", owner.address),
    }
}

fn write_owner(out: &mut dyn io::Write, owner: &CarvedOwner, names: &Names<'_>) -> io::Result<()> {
    let bytes = owner.allocations.iter().fold(0u64, |sum, a| sum.saturating_add(a.size));
    writeln!(
        out,
        "{}: {} carved allocations, {bytes} bytes, on {} pages",
        owner_label(owner),
        owner.allocations.len(),
        owner.pages.len()
    )?;
    for allocation in &owner.allocations {
        let CarvedAllocation { address, size, tag, caller, .. } = allocation;
        writeln!(out, "  {:18} {size:>12}  {tag:4}  {}", address.to_string(), names.text(*caller))?;
    }
    Ok(())
}

/// Writes the allocations that only one way found.
fn write_difference(
    out: &mut dyn io::Write,
    carved: &CarvedPool,
    comparison: &Comparison,
) -> io::Result<()> {
    let Comparison { both, only_listed, only_carved, .. } = comparison;
    writeln!(
        out,
        "Lists and carving agree on {both} allocations; {} only in lists, {} only carved",
        only_listed.len(),
        only_carved.len()
    )?;
    for (driver, allocation) in only_listed {
        let (driver, address, size) = (sanitize(driver), allocation.address, allocation.size);
        writeln!(out, "  only in the list of {driver}: {address} of {size} bytes")?;
    }
    for &(owner, allocation) in only_carved {
        let Some(owner) = carved.owners.get(owner) else { continue };
        let Some(allocation) = owner.allocations.get(allocation) else { continue };
        let (owner, address, size) = (owner_label(owner), allocation.address, allocation.size);
        writeln!(out, "  only carved, {owner}: {address} of {size} bytes")?;
    }
    Ok(())
}

/// Writes carved records of the pool log with their stacks.
///
/// # Errors
/// Those of the writer.
pub fn write_carved_log_text(
    out: &mut dyn io::Write,
    log: &CarvedLog,
    names: &Names<'_>,
) -> io::Result<()> {
    write_extent(out, &Completeness::of(&log.problems))?;
    writeln!(
        out,
        "Carved: {} pages looked at, {} records on {} pages. Their order is unknown.",
        log.pages_looked_at,
        log.records.len(),
        log.pages
    )?;
    for record in &log.records {
        let CarvedRecord { address, size, thread, .. } = record;
        let what = match record.operation {
            Operation::Unknown => "",
            other => other.name(),
        };
        let cut = if record.is_cut { " (cut)" } else { "" };
        writeln!(out, "\nPool block {address}, Size {size:#x}, Thread {thread} {what}{cut}")?;
        let frames = log.frames(record);
        write_frames(out, ("  ", "  "), frames, names, |va| va.to_string())?;
    }
    Ok(())
}
