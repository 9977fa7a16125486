//! Over another tool's memory: physical pages come from a closure, the rest from what the caller knows.

use std::io::Write;
use std::sync::Arc;

use verifier_core::kernel::{AddressSpace, Hints, Kernel};
use verifier_core::memory::{FromFn, PageTables, PagingMode};
use verifier_core::verifier::log::PoolLog;
use verifier_core::{Pa, machine::Machine, types::Isf};

/// Another tool's reader: fills a buffer from a physical address on.
type Reader = Box<dyn Fn(u64, &mut [u8]) -> Result<(), String> + Send + Sync>;

/// Prints the newest record of the pool log.
pub fn print(
    w: &mut impl Write,
    read: Reader,
    (dtb, hints): (Pa, Hints),
    isf: &[u8],
) -> crate::Result<()> {
    let physical = FromFn::new(move |at: Pa, buf: &mut [u8]| read(at.0, buf));
    let tables = PageTables::new(Arc::new(physical), dtb, PagingMode::X64);
    let kernel = Kernel::open(AddressSpace::paged(tables, Machine::X64), hints)?;
    kernel.supply_isf(kernel.kernel_module().unwrap_or(0), Arc::new(Isf::parse(isf)?));
    let log = PoolLog::read(&kernel, Some(1))?;
    let Some(newest) = log.records.first() else { return Ok(()) };
    writeln!(w, "{} of {:#x} bytes", newest.operation.name(), newest.size)?;
    for frame in log.frames(newest) {
        writeln!(w, "  {}", kernel.symbolize(*frame).map_or(frame.to_string(), |s| s.to_string()))?;
    }
    Ok(())
}
