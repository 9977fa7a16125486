//! A view from three literals: pages, types and symbols, without a dump and without page tables.

use std::io::Write;
use std::sync::Arc;

use verifier_core::kernel::{AddressSpace, Hints, Kernel};
use verifier_core::machine::Machine;
use verifier_core::types::{Literals, Shape};
use verifier_core::verifier::Settings;
use verifier_core::{Va, memory::SparsePages};

/// Prints Verifier's level and one statistic from a kernel of 200 bytes.
pub fn print(w: &mut impl Write) -> crate::Result<()> {
    let (head, entry) = (0xffff_f800_0000_2000_u64, 0xffff_f800_0000_3000_u64);
    let memory = SparsePages::new()
        .with(Va(head), &[entry.to_le_bytes(), entry.to_le_bytes()].concat()) // a list of one,
        .with(Va(entry), &[[head.to_le_bytes(); 2].concat(), vec![0; 0x90]].concat()) // the kernel
        .with(Va(entry + 0x30), &0xffff_f800_0000_0000_u64.to_le_bytes()) // at this base
        .with(Va(entry + 0x40), &0x9000_u32.to_le_bytes())
        .with(Va(0xffff_f800_0000_1000), &[9, 0, 0, 0, 7, 0, 0, 0]);
    let (level, trims) = (("Level", 0, Shape::Unsigned(4)), ("Trims", 4, Shape::Unsigned(4)));
    let types = Literals::new().with_type("_MM_DRIVER_VERIFIER_DATA", 8, &[level, trims]);
    let hints = Hints { ps_loaded_module_list: Some(Va(head)), ..Hints::default() };
    let kernel = Kernel::open(AddressSpace::new(Arc::new(memory), Machine::X64), hints)?;
    kernel.supply_types(Arc::new(types.with_symbol("MmVerifierData", 0x1000)));
    let settings = Settings::read(&kernel)?;
    let names: Vec<&str> = settings.level.flags().map(|flag| flag.name).collect();
    writeln!(w, "level {:#x}: {}", settings.level.0, names.join(", "))?;
    Ok(writeln!(w, "trims: {}", settings.statistics.get("Trims").unwrap_or(0))?)
}
