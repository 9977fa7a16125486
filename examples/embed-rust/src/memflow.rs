//! Over memflow: any connector (`PhysicalMemory`), for example of a file, QEMU, KVM or PCILeech.

use std::sync::Mutex;

use memflow::mem::{MemoryView, PhysicalMemory};
use memflow::types::Address;
use verifier_core::kernel::{Hints, Kernel};
use verifier_core::memory::FromFn;
use verifier_core::{Error, Pa};

/// The kernel of a machine whose memory a connector reads.
///
/// A connector reads through `&mut`, so threads take turns at a lock. Its `phys_read_into` gives zeros and
/// `Ok` for absent bytes. Its view's `read_raw_into` returns an error for them, so this uses the view.
///
/// # Errors
/// If the kernel is not found.
pub fn open(
    connector: impl PhysicalMemory + 'static,
    dtb: u64,
    machine: u32,
    hints: Hints,
) -> Result<Kernel, Error> {
    let connector = Mutex::new(connector.into_mem_view());
    let memory = FromFn::new(move |at: Pa, buf: &mut [u8]| {
        let mut connector = connector.lock().map_err(|_| "the connector panicked".to_string())?;
        connector.read_raw_into(Address::from(at.0), buf).map_err(|error| error.to_string())
    });
    crate::kernel(memory, dtb, machine, hints)
}
