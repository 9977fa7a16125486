//! `verifier pool`.

use std::io::Write as _;

use verifier_core::render::text::sanitize;
use verifier_core::render::{Names, write_pool_csv, write_pool_json};
use verifier_core::verifier::PoolReport;

use super::args::{Format, PoolArgs};
use super::output::{complain_kernel_symbols, complain_missing_symbols, complain_problems, stdout};
use crate::error::Error;

pub(super) fn run(args: &PoolArgs) -> Result<(), Error> {
    if args.carve.is_asked_for() {
        return super::carve::pool(args);
    }
    let session = args.dump.open()?;
    complain_kernel_symbols(&session);
    let kernel = session.kernel()?;
    let report = PoolReport::read(kernel, |driver| {
        args.driver.as_deref().is_none_or(|name| driver.is_named(name))
    })?;
    if let Some(name) = &args.driver
        && report.drivers.is_empty()
    {
        return Err(Error::Usage(format!(
            "no driver {name} is configured for Verifier; `verifier drivers` lists those that are"
        )));
    }
    let callers = report.drivers.iter().flat_map(|pool| &pool.allocations).map(|a| a.caller);
    session.load_symbols_at(callers);
    let names = Names::new(kernel);
    let mut out = stdout();
    match args.format {
        Format::Json => write_pool_json(&mut out, &report, &names)?,
        Format::Csv => write_pool_csv(&mut out, &report, &names)?,
        Format::Text => {
            for pool in &report.drivers {
                let bytes = pool.allocations.iter().fold(0u64, |sum, a| sum.saturating_add(a.size));
                writeln!(
                    out,
                    "{}: {} outstanding allocations, {} bytes",
                    sanitize(&pool.driver.name),
                    pool.allocations.len(),
                    bytes
                )?;
                for allocation in &pool.allocations {
                    let caller = names
                        .get(allocation.caller)
                        .map_or_else(|| allocation.caller.to_string(), |name| name.to_string());
                    writeln!(
                        out,
                        "  {:18} {:>12}  {:4}  {}",
                        allocation.address.to_string(),
                        allocation.size,
                        allocation.tag,
                        sanitize(&caller),
                    )?;
                }
            }
            complain_problems(&report.problems);
            complain_missing_symbols(&session);
        }
    }
    Ok(out.flush()?)
}
