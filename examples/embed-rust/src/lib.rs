//! A kernel for reading Verifier's data, over memory that another crate reads.
//!
//! | file | reader | license | seam |
//! |---|---|---|---|
//! | `kdmp` | kdmp-parser's `KernelDumpParser` | MIT | not `Send`: `OnThread` |
//! | `vmi` | any `VmiRead` of vmi-core, here vmi-driver-kdmp | MIT | pages in an `Rc`: `OnThread` |
//! | `memflow` | any `PhysicalMemory` | MIT | `Send`, but reads through `&mut`: a `Mutex` in `FromFn` |
//! | `elf` | an ELF core through object | MIT or Apache-2.0 | a table of segments: `Memory` itself |
//!
//! Each file has a function that returns a `Kernel`. All views of the library work on it, and
//! `verifier_host::Session::of_kernel` finds its symbols. The shortest reader is a plain closure: see
//! `examples/src/embed.rs`.

pub mod elf;
pub mod kdmp;
pub mod memflow;
pub mod vmi;

use std::sync::Arc;

use verifier_core::kernel::{AddressSpace, Hints, Kernel, Landmarks};
use verifier_core::machine::Machine;
use verifier_core::memory::Memory;
use verifier_core::{Error, Pa};

/// The kernel in physical memory that does not change; `machine` is the machine's number in PE files. The
/// function finds the number of page table levels (x64) and whether PAE is on (x86).
///
/// # Errors
/// If the machine is unknown, or its modules are not found.
pub fn kernel(
    memory: impl Memory<Pa> + 'static,
    dtb: u64,
    machine: u32,
    hints: Hints,
) -> Result<Kernel, Error> {
    let unknown = || Error::Unsupported { what: format!("the machine {machine:#x} is unknown") };
    let machine = Machine::from_image_type(machine).ok_or_else(unknown)?;
    let marks = Landmarks::from(&hints);
    let space = AddressSpace::of_tables(Arc::new(memory), Pa(dtb), machine, None, &marks);
    Kernel::open(space.cached(), hints)
}
