//! Over another tool's memory: a closure reads physical pages, and the caller knows where the kernel is.

use std::io::Write;
use std::sync::Arc;

use verifier_core::kernel::{AddressSpace, Hints, Kernel, Landmarks};
use verifier_core::machine::Machine;
use verifier_core::memory::FromFn;
use verifier_core::verifier::log::PoolLog;
use verifier_core::{Completeness, Pa, types::Isf};

/// Another tool's reader: fills a buffer, starting at a physical address.
type Reader = Box<dyn Fn(u64, &mut [u8]) -> Result<(), String> + Send + Sync>;

/// Prints the newest record of the pool log.
pub fn print(
    w: &mut impl Write,
    read: Reader,
    (dtb, machine, hints): (Pa, Machine, Hints),
    isf: &[u8],
) -> crate::Result<()> {
    let physical = FromFn::new(move |at: Pa, buf: &mut [u8]| read(at.0, buf));
    let marks = Landmarks::from(&hints);
    let space = AddressSpace::of_tables(Arc::new(physical), dtb, machine, None, &marks);
    let kernel = Kernel::open(space.cached(), hints)?; // this memory does not change
    kernel.supply_isf(kernel.kernel_module().unwrap_or(0), Arc::new(Isf::parse(isf)?));
    let log = PoolLog::read(&kernel, Some(1))?;
    let extent = Completeness::of(&log.problems).extent; // trust an empty log only if this is "complete"
    let Some(newest) = log.records.first() else { return Ok(writeln!(w, "none, {extent}")?) };
    writeln!(w, "{} of {:#x} bytes", newest.operation.name(), newest.size)?;
    for frame in log.frames(newest) {
        writeln!(w, "  {}", kernel.symbolize(*frame).map_or(frame.to_string(), |s| s.to_string()))?;
    }
    Ok(())
}
