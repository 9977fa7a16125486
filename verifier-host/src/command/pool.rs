//! `verifier pool`.

use std::io::{self, Write};

use verifier_core::Completeness;
use verifier_core::Va;
use verifier_core::render::text::{sanitize, write_extent};
use verifier_core::render::{
    Names, write_pool_csv, write_pool_json, write_pool_stacks_csv, write_pool_stacks_json,
    write_pool_stacks_text,
};
use verifier_core::verifier::{Allocation, NO_DRIVER};
use verifier_host::{Error, Session};

use super::args::{Format, PoolArgs};
use super::output::{complain_kernel_symbols, complain_problems, stdout};

pub(super) fn run(args: &PoolArgs) -> Result<(), Error> {
    if args.carve.is_asked_for() {
        return super::carve::pool(args);
    }
    let session = args.dump.open()?;
    complain_kernel_symbols(&session);
    if args.by_stack { stacks(args, &session) } else { blocks(args, &session) }
}

fn blocks(args: &PoolArgs, session: &Session) -> Result<(), Error> {
    let report = session.pool(args.driver.as_deref())?;
    let names = Names::new(session.kernel()?);
    let mut out = stdout();
    match args.format {
        Format::Json => write_pool_json(&mut out, &report, &names)?,
        Format::Csv => write_pool_csv(&mut out, &report, &names)?,
        Format::Text => {
            write_extent(&mut out, &Completeness::of(&report.problems))?;
            for pool in &report.drivers {
                write_allocations(&mut out, &pool.driver.name, &pool.allocations, &names)?;
                if !pool.contiguous.is_empty() {
                    write_allocations(&mut out, &pool.driver.name, &pool.contiguous, &names)?;
                }
            }
            if !report.unowned.is_empty() {
                write_allocations(&mut out, NO_DRIVER, &report.unowned, &names)?;
            }
            complain_problems(&report.problems);
        }
    }
    Ok(out.flush()?)
}

/// Where allocations are from, in words; nothing where there are none.
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
    out: &mut dyn Write,
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
            sanitize(&caller(allocation.caller, names)),
            impossible.unwrap_or_default(),
        )?;
    }
    Ok(())
}

fn caller(caller: Va, names: &Names<'_>) -> String {
    match names.get(caller) {
        Some(name) => name.to_string(),
        None if caller.is_null() => "(unknown)".into(),
        None => caller.to_string(),
    }
}

fn stacks(args: &PoolArgs, session: &Session) -> Result<(), Error> {
    let stacks = session.pool_stacks(args.driver.as_deref())?;
    let names = Names::new(session.kernel()?);
    let mut out = stdout();
    match args.format {
        Format::Json => write_pool_stacks_json(&mut out, &stacks, &names)?,
        Format::Csv => write_pool_stacks_csv(&mut out, &stacks, &names)?,
        Format::Text => {
            write_extent(&mut out, &Completeness::of(&stacks.problems))?;
            write_pool_stacks_text(&mut out, &stacks, &names)?;
            complain_problems(&stacks.problems);
        }
    }
    Ok(out.flush()?)
}
