//! A kernel to read Verifier's data from, over memory that somebody else's crate reads.
//!
//! | file | reader | license | seam |
//! |---|---|---|---|
//! | `kdmp` | kdmp-parser's `KernelDumpParser` | MIT | not `Send`: `OnThread` |
//! | `vmi` | any `VmiRead` of vmi-core, here vmi-driver-kdmp | MIT | pages in an `Rc`: `OnThread` |
//! | `memflow` | any `PhysicalMemory` | MIT | `Send`, but reads through `&mut`: a `Mutex` in `FromFn` |
//! | `elf` | an ELF core through object | MIT or Apache-2.0 | a table of segments: `Memory` itself |
//!
//! Each is a function that gives a `Kernel`; all that the library has works on it, and
//! `verifier_host::Session::of_kernel` finds its symbols. A plain closure is the shortest of all: see
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

/// The kernel in physical memory that does not change; `machine` is the number that PE files have. How
/// many levels the page tables of x64 have, and whether those of x86 are PAE's, is found out.
///
/// # Errors
/// Where the machine is not known, or its modules are not found there.
pub fn kernel(
    memory: impl Memory<Pa> + 'static,
    dtb: u64,
    machine: u32,
    hints: Hints,
) -> Result<Kernel, Error> {
    let unknown = || Error::Unsupported { what: format!("a machine {machine:#x} is not known") };
    let machine = Machine::from_image_type(machine).ok_or_else(unknown)?;
    let marks = Landmarks::from(&hints);
    let space = AddressSpace::of_tables(Arc::new(memory), Pa(dtb), machine, None, &marks);
    Kernel::open(space.cached(), hints)
}
