//! Canceled IRPs that the watchdog waits for: `VfWdIrpListHead`, a ring of `_VF_WATCHDOG_IRP`. Source: public
//! PDB types.

use crate::assembly::Assembly;

/// A canceled IRP that the watchdog watches: `_VF_WATCHDOG_IRP`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct WatchedIrp {
    /// `Irp`.
    pub irp: u64,
    /// `DueTickCount`.
    pub due_tick_count: u32,
    /// `Inserted`.
    pub inserted: bool,
    /// `TrackedStackLocation`.
    pub stack_location: u8,
    /// `CancelTimeoutTicks`.
    pub timeout_ticks: u16,
}

/// Writes the list and the watchdog's counts.
pub(super) fn lay_out(m: &mut Assembly, irps: &[WatchedIrp]) {
    let structure = "_VF_WATCHDOG_IRP";
    let mut entries = Vec::new();
    for (i, irp) in irps.iter().enumerate() {
        let va = m.allocate(m.layouts.size(structure), 16);
        let record = m.layouts.record(structure).set("Irp", irp.irp);
        let record = record
            .set("DueTickCount", irp.due_tick_count.into())
            .set("Inserted", irp.inserted.into())
            .set("TrackedStackLocation", irp.stack_location.into());
        let bytes = record.set("CancelTimeoutTicks", irp.timeout_ticks.into()).bytes();
        m.patch(va, &bytes);
        m.label(format!("watched:{i}"), va);
        entries.push(va + m.layouts.offset(structure, "ListEntry") as u64);
    }
    m.link(m.global("VfWdIrpListHead"), &entries);
    m.set_u32("ViWdIrpListLength", irps.len() as u32);
    m.set_u32("ViWdIrpListLengthMaximum", irps.len() as u32 + 2);
    m.set_u32("ViWdTickCount", 0x40);
    m.set_u32("ViWdCancelIrpCount", irps.len() as u32 + 7);
}
