//! `verifier drivers`.

use std::io::Write as _;

use verifier_core::render::text::sanitize;
use verifier_core::render::{write_drivers_csv, write_drivers_json};
use verifier_core::verifier::Drivers;

use super::args::{Format, ViewArgs};
use super::output::{complain_kernel_symbols, complain_problems, stdout};
use crate::error::Error;

pub(super) fn run(args: &ViewArgs) -> Result<(), Error> {
    let session = args.dump.open()?;
    complain_kernel_symbols(&session);
    let drivers = Drivers::read(session.kernel()?)?;
    let mut out = stdout();
    match args.format {
        Format::Json => write_drivers_json(&mut out, &drivers)?,
        Format::Csv => write_drivers_csv(&mut out, &drivers)?,
        Format::Text => {
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
            }
            complain_problems(&drivers.problems);
        }
    }
    Ok(out.flush()?)
}
