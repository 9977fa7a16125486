//! `verifier drivers`.

use std::io::{self, Write};

use verifier_core::Completeness;
use verifier_core::render::text::{sanitize, write_extent};
use verifier_core::render::{write_drivers_csv, write_drivers_json};
use verifier_core::verifier::Counters;
use verifier_host::Error;

use super::args::{Format, ViewArgs};
use super::output::{complain_kernel_symbols, complain_problems, stdout};

/// Memory other than pool: what it is, and its counters with and without `Peak`.
const MEMORY: [(&str, &str, &str); 5] = [
    ("locked", "LockedBytes", "PeakLockedBytes"),
    ("mapped locked", "MappedLockedBytes", "PeakMappedLockedBytes"),
    ("mapped I/O space", "MappedIoSpaceBytes", "PeakMappedIoSpaceBytes"),
    ("pages for MDLs", "PagesForMdlBytes", "PeakPagesForMdlBytes"),
    ("contiguous", "ContiguousMemoryBytes", "PeakContiguousMemoryBytes"),
];

/// One line with what a driver holds, or ever held, of memory other than pool.
fn write_memory(out: &mut dyn Write, counters: &Counters) -> io::Result<()> {
    let held: Vec<String> = MEMORY
        .iter()
        .filter_map(|(what, now, peak)| {
            let (now, peak) = (counters.get(now)?, counters.get(peak)?);
            (now > 0 || peak > 0).then(|| format!("{what} {now} bytes (peak {peak})"))
        })
        .collect();
    if held.is_empty() { Ok(()) } else { writeln!(out, "  {}", held.join(", ")) }
}

pub(super) fn run(args: &ViewArgs) -> Result<(), Error> {
    let session = args.dump.open()?;
    complain_kernel_symbols(&session);
    let drivers = session.drivers()?;
    let mut out = stdout();
    match args.format {
        Format::Json => write_drivers_json(&mut out, &drivers)?,
        Format::Csv => write_drivers_csv(&mut out, &drivers)?,
        Format::Text => {
            write_extent(&mut out, &Completeness::of(&drivers.problems))?;
            if drivers.drivers.is_empty() {
                writeln!(out, "No driver is configured for Verifier.")?;
            } else {
                writeln!(
                    out,
                    "{:24} {:12} {:>5} {:>7}  {:18} {:>9} {:>12} {:>9} {:>12}",
                    "Driver",
                    "State",
                    "Loads",
                    "Unloads",
                    "Base",
                    "Nonpaged",
                    "bytes",
                    "Paged",
                    "bytes"
                )?;
            }
            for driver in &drivers.drivers {
                let base = driver.images.first().map(|image| image.base.to_string());
                let counters = driver.counters();
                let value =
                    |name: &str| counters.get(name).map(|v| v.to_string()).unwrap_or_default();
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
                write_memory(&mut out, &counters)?;
            }
            complain_problems(&drivers.problems);
        }
    }
    Ok(out.flush()?)
}
