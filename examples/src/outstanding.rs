//! Prints the outstanding pool allocations of every verified driver in a dump.

use std::io::Write;
use std::path::Path;

use verifier_core::{Completeness, verifier::PoolReport};
use verifier_host::{Session, symbols::SymbolPath};

/// Prints one line for each block; `symbols` is a folder, a store, or `srv*cache*URL`.
pub fn print(w: &mut impl Write, dump: &Path, symbols: &str) -> crate::Result<()> {
    let session = Session::open(dump, SymbolPath::parse(symbols)?)?;
    let kernel = session.kernel()?;
    let report = PoolReport::read(kernel, |_| true)?;
    for pool in &report.drivers {
        writeln!(w, "{} holds {} blocks", pool.driver.name, pool.allocations.len())?;
        session.load_symbols_at(pool.allocations.iter().map(|block| block.caller));
        for block in &pool.allocations {
            let caller = kernel.symbolize(block.caller).map(|name| name.to_string());
            let caller = caller.unwrap_or_else(|| block.caller.to_string());
            writeln!(w, "  {} {:#x} bytes {} by {caller}", block.address, block.size, block.tag)?;
        }
    }
    for problem in &report.problems {
        writeln!(w, "! {problem}")?;
    }
    // "complete", "at least" or "unknown": only with "complete" does an empty list mean no blocks.
    Ok(writeln!(w, "extent: {}", Completeness::of(&report.problems).extent)?)
}
