//! `verifier pool --carve` and `verifier log pool --carve`.

use std::io::{self, Write as _};

use verifier_core::analysis::Comparison;
use verifier_core::render::text::sanitize;
use verifier_core::render::{
    Names, write_carved_log_csv, write_carved_log_json, write_carved_pool_csv,
    write_carved_pool_json,
};
use verifier_core::verifier::log::Operation;
use verifier_core::verifier::{CarvedAllocation, CarvedOwner, CarvedPool};
use verifier_host::Error;

use super::args::{Format, LogArgs, PoolArgs};
use super::output::{complain_kernel_symbols, complain_problems, stdout};

pub(super) fn pool(args: &PoolArgs) -> Result<(), Error> {
    let session = args.dump.open()?;
    complain_kernel_symbols(&session);
    let kernel = session.kernel()?;
    let (mut carved, comparison) = session.carve_pool(args.carve.range.as_ref())?;
    let difference = comparison.as_ref().map(|comparison| difference(&carved, comparison));
    if let Some(name) = &args.driver {
        carved.owners.retain(|owner| owner.is_named(name));
    }
    let callers = || carved.owners.iter().flat_map(|owner| &owner.allocations).map(|a| a.caller);
    let missing = session.find_symbols_at(callers);
    carved.problems.extend(missing);
    let names = Names::new(kernel);
    let mut out = stdout();
    match args.format {
        Format::Json if args.driver.is_some() => {
            let why = "only one driver was asked for";
            write_carved_pool_json(&mut out, &carved, Err(why), &names)?;
        }
        Format::Json => {
            let comparison = comparison.as_ref().map_err(String::as_str);
            write_carved_pool_json(&mut out, &carved, comparison, &names)?;
        }
        Format::Csv => write_carved_pool_csv(&mut out, &carved, &names)?,
        Format::Text => {
            writeln!(
                out,
                "Carved: {} pages looked at, {} tracking pages of {} owners",
                carved.pages_looked_at,
                carved.owners.iter().map(|owner| owner.pages.len()).sum::<usize>(),
                carved.owners.len()
            )?;
            for owner in &carved.owners {
                write_owner(&mut out, owner, &names)?;
            }
            match difference {
                Ok(lines) => {
                    for line in lines {
                        writeln!(out, "{line}")?;
                    }
                }
                Err(why) => writeln!(out, "Not held against the lists: {}", sanitize(why))?,
            }
            complain_problems(&carved.problems);
        }
    }
    Ok(out.flush()?)
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
        let caller = names.get(*caller).map_or_else(|| caller.to_string(), |name| name.to_string());
        writeln!(out, "  {:18} {size:>12}  {tag:4}  {}", address.to_string(), sanitize(&caller))?;
    }
    Ok(())
}

/// What one way found and the other did not, in lines.
fn difference(carved: &CarvedPool, comparison: &Comparison) -> Vec<String> {
    let Comparison { both, only_listed, only_carved } = comparison;
    let mut lines = vec![format!(
        "Lists and carving agree on {both} allocations; {} only in lists, {} only carved",
        only_listed.len(),
        only_carved.len()
    )];
    for (driver, allocation) in only_listed {
        lines.push(format!(
            "  only in the list of {}: {} of {} bytes",
            sanitize(driver),
            allocation.address,
            allocation.size
        ));
    }
    for &(owner, allocation) in only_carved {
        let Some(owner) = carved.owners.get(owner) else { continue };
        let Some(allocation) = owner.allocations.get(allocation) else { continue };
        lines.push(format!(
            "  only carved, {}: {} of {} bytes",
            owner_label(owner),
            allocation.address,
            allocation.size
        ));
    }
    lines
}

pub(super) fn log(args: &LogArgs) -> Result<(), Error> {
    if args.last.is_some() {
        return Err(Error::Usage(
            "carved records have no order: --last has no meaning with --carve".into(),
        ));
    }
    let session = args.dump.open()?;
    complain_kernel_symbols(&session);
    let kernel = session.kernel()?;
    let log = session.carve_pool_log(args.carve.range.as_ref(), args.address)?;
    let names = Names::new(kernel);
    let mut out = stdout();
    match args.format {
        Format::Json => write_carved_log_json(&mut out, &log, &names)?,
        Format::Csv => write_carved_log_csv(&mut out, &log, &names)?,
        Format::Text => {
            writeln!(
                out,
                "Carved: {} pages looked at, {} records on {} pages. Their order is not known.",
                log.pages_looked_at,
                log.records.len(),
                log.pages
            )?;
            for record in &log.records {
                let what = match record.operation {
                    Operation::Unknown => "",
                    other => other.name(),
                };
                let cut = if record.is_cut { " (cut)" } else { "" };
                writeln!(
                    out,
                    "\nPool block {}, Size {:#x}, Thread {} {what}{cut}",
                    record.address, record.size, record.thread
                )?;
                for &frame in log.frames(record) {
                    match names.get(frame) {
                        Some(name) => writeln!(out, "  {frame} {}", sanitize(&name))?,
                        None => writeln!(out, "  {frame}")?,
                    }
                }
            }
            complain_problems(&log.problems);
        }
    }
    Ok(out.flush()?)
}
