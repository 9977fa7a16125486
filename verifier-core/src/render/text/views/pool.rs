//! Outstanding allocations, driver by driver.

use std::io;

use crate::addr::Va;
use crate::completeness::Completeness;
use crate::render::Names;
use crate::render::text::{sanitize, write_extent};
use crate::verifier::{Allocation, NO_DRIVER, PoolReport};

/// Writes the outstanding allocations of each driver, its contiguous memory, and the blocks of no known
/// driver.
///
/// # Errors
/// Those of the writer.
pub fn write_pool_text(
    out: &mut dyn io::Write,
    report: &PoolReport,
    names: &Names<'_>,
) -> io::Result<()> {
    write_extent(out, &Completeness::of(&report.problems))?;
    for pool in &report.drivers {
        write_allocations(out, &pool.driver.name, &pool.allocations, names)?;
        if !pool.contiguous.is_empty() {
            write_allocations(out, &pool.driver.name, &pool.contiguous, names)?;
        }
    }
    if report.unowned.is_empty() {
        return Ok(());
    }
    write_allocations(out, NO_DRIVER, &report.unowned, names)
}

/// Where the entries of allocations were found, such as ` (tracker)`; empty if there are none.
fn sources(allocations: &[Allocation]) -> String {
    let mut counts: Vec<(&str, usize)> = Vec::new();
    for name in allocations.iter().map(|allocation| allocation.source.name()) {
        match counts.iter_mut().find(|(one, _)| *one == name) {
            Some((_, count)) => *count += 1,
            None => counts.push((name, 1)),
        }
    }
    match counts.as_slice() {
        [] => String::new(),
        [(name, _)] => format!(" ({name})"),
        several => {
            let words: Vec<String> =
                several.iter().map(|(name, count)| format!("{count} {name}")).collect();
            format!(" ({})", words.join(", "))
        }
    }
}

fn write_allocations(
    out: &mut dyn io::Write,
    owner: &str,
    allocations: &[Allocation],
    names: &Names<'_>,
) -> io::Result<()> {
    let bytes = allocations.iter().fold(0u64, |sum, a| sum.saturating_add(a.size));
    writeln!(
        out,
        "{}: {} outstanding allocations, {} bytes{}",
        sanitize(owner),
        allocations.len(),
        bytes,
        sources(allocations),
    )?;
    for allocation in allocations {
        let impossible = allocation.impossible.map(|why| format!("  impossible: {}", why.name()));
        writeln!(
            out,
            "  {:18} {:>12}  {:4}  {}{}",
            allocation.address.to_string(),
            allocation.size,
            allocation.pool_tag().map(|tag| tag.to_string()).unwrap_or_default(),
            caller(allocation.caller, names),
            impossible.unwrap_or_default(),
        )?;
    }
    Ok(())
}

fn caller(caller: Va, names: &Names<'_>) -> String {
    if caller.is_null() { "(unknown)".into() } else { names.text(caller) }
}
