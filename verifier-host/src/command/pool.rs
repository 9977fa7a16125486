//! `verifier pool`.

use std::io::Write as _;

use verifier_core::render::text::sanitize;
use verifier_core::render::{Names, write_pool_csv, write_pool_json};

use super::args::{Format, PoolArgs};
use super::output::{complain_kernel_symbols, complain_missing_symbols, complain_problems, stdout};
use crate::error::Error;

pub(super) fn run(args: &PoolArgs) -> Result<(), Error> {
    let session = args.dump.open()?;
    complain_kernel_symbols(&session);
    let report = session.pool(args.driver.as_deref())?;
    let names = Names::new(session.kernel()?);
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
