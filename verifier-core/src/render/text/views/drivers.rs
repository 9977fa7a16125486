//! Configured drivers as a table.

use std::io;

use crate::completeness::Completeness;
use crate::render::text::{sanitize, write_extent};
use crate::verifier::{Counters, Driver, Drivers};

/// Memory other than pool: what it is, its counter, and the counter of its peak.
const MEMORY: [(&str, &str, &str); 5] = [
    ("locked", "LockedBytes", "PeakLockedBytes"),
    ("mapped locked", "MappedLockedBytes", "PeakMappedLockedBytes"),
    ("mapped I/O space", "MappedIoSpaceBytes", "PeakMappedIoSpaceBytes"),
    ("pages for MDLs", "PagesForMdlBytes", "PeakPagesForMdlBytes"),
    ("contiguous", "ContiguousMemoryBytes", "PeakContiguousMemoryBytes"),
];

/// Writes drivers, their state and their counters.
///
/// # Errors
/// Those of the writer.
pub fn write_drivers_text(out: &mut dyn io::Write, drivers: &Drivers) -> io::Result<()> {
    write_extent(out, &Completeness::of(&drivers.problems))?;
    if drivers.drivers.is_empty() {
        return writeln!(out, "No driver is configured for Verifier.");
    }
    writeln!(
        out,
        "{:24} {:12} {:>5} {:>7}  {:18} {:>9} {:>12} {:>9} {:>12}",
        "Driver", "State", "Loads", "Unloads", "Base", "Nonpaged", "bytes", "Paged", "bytes"
    )?;
    drivers.drivers.iter().try_for_each(|driver| write_driver(out, driver))
}

fn write_driver(out: &mut dyn io::Write, driver: &Driver) -> io::Result<()> {
    let base = driver.images.first().map(|image| image.base.to_string());
    let counters = driver.counters();
    let value = |name: &str| counters.get(name).map(|v| v.to_string()).unwrap_or_default();
    writeln!(
        out,
        "{:24} {:12} {:>5} {:>7}  {:18} {:>9} {:>12} {:>9} {:>12}",
        sanitize(&driver.name),
        driver.state().name(),
        driver.loads,
        driver.unloads,
        base.unwrap_or_default(),
        value("CurrentNonPagedPoolAllocations"),
        value("NonPagedBytes"),
        value("CurrentPagedPoolAllocations"),
        value("PagedBytes"),
    )?;
    write_memory(out, &counters)
}

/// Writes one line about the memory other than pool that a driver holds or has held.
fn write_memory(out: &mut dyn io::Write, counters: &Counters) -> io::Result<()> {
    let held: Vec<String> = MEMORY
        .iter()
        .filter_map(|(what, now, peak)| {
            let (now, peak) = (counters.get(now)?, counters.get(peak)?);
            (now > 0 || peak > 0).then(|| format!("{what} {now} bytes (peak {peak})"))
        })
        .collect();
    if held.is_empty() { Ok(()) } else { writeln!(out, "  {}", held.join(", ")) }
}
