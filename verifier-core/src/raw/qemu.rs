//! `QEMUCPUState`: the note in which QEMU stores a processor's registers in a core file (owner `QEMU`, type
//! 0). Source: QEMU's `docs` and `elf2dmp`. This is version 1, which has only been extended at its end.

use zerocopy::{FromBytes, Immutable, KnownLayout, LE, U32, U64, Unaligned};

/// The note's content up to the control registers.
#[derive(FromBytes, Immutable, KnownLayout, Unaligned, Clone, Copy)]
#[repr(C)]
pub(crate) struct QemuCpuState {
    /// 1.
    pub(crate) version: U32<LE>,
    /// Bytes of the note's content.
    pub(crate) size: U32<LE>,
    /// RAX … R15, RIP, RFLAGS.
    pub(crate) registers: [U64<LE>; 18],
    /// CS, DS, ES, FS, GS, SS, LDT, TR, GDT, IDT: selector, limit, flags, padding, base.
    pub(crate) segments: [[u8; 24]; 10],
    /// CR0 … CR4.
    pub(crate) control: [U64<LE>; 5],
}

const _: () = assert!(size_of::<QemuCpuState>() == 0x1b0);
const _: () = assert!(core::mem::offset_of!(QemuCpuState, control) == 0x188);
