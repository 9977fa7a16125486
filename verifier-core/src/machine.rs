//! The processor architectures that Windows kernels run on.

use std::fmt;

/// Logical processors that any Windows supports at most (Server 2022 and later).
pub const MAX_PROCESSORS: u32 = 2048;

/// The processor architecture of the dumped machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Machine {
    /// 32-bit x86 (`IMAGE_FILE_MACHINE_I386`, 0x14C).
    X86,
    /// x64 (`IMAGE_FILE_MACHINE_AMD64`, 0x8664).
    X64,
    /// 64-bit ARM (`IMAGE_FILE_MACHINE_ARM64`, 0xAA64).
    Arm64,
}

impl Machine {
    /// The architecture of a PE machine number.
    #[must_use]
    pub fn from_image_type(raw: u32) -> Option<Self> {
        match raw {
            0x14c => Some(Machine::X86),
            0x8664 => Some(Machine::X64),
            0xaa64 => Some(Machine::Arm64),
            _ => None,
        }
    }

    /// The first and the last address of the kernel's half; the largest one, of five-level paging, on x64.
    pub(crate) const fn kernel_half(self) -> (u64, u64) {
        match self {
            Machine::X86 => (0x8000_0000, 0xffff_ffff),
            Machine::X64 | Machine::Arm64 => (0xff << 56, u64::MAX),
        }
    }

    /// Bytes in a pointer.
    #[must_use]
    pub const fn pointer_size(self) -> usize {
        match self {
            Machine::X86 => 4,
            Machine::X64 | Machine::Arm64 => 8,
        }
    }
}

impl fmt::Display for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Machine::X86 => "x86",
            Machine::X64 => "x64",
            Machine::Arm64 => "arm64",
        })
    }
}
