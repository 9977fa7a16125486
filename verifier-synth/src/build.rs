//! The kernels for which this crate has layouts.

use crate::dump::MachineType;

/// A build of the Windows kernel for which this crate has layouts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Build {
    /// Windows 7 SP1 and Server 2008 R2, 7601, x64.
    Win7Sp1,
    /// Windows 8.1 and Server 2012 R2, 9600, x64.
    Win81,
    /// Windows 10 1607 and Server 2016, 14393, x64.
    Win10Rs1,
    /// Windows 10 1809 and Server 2019, 17763, x64.
    Win10Rs5,
    /// Windows 10 2004 to 22H2, 19041, x64.
    Win10Vb,
    /// Server 2022, 20348, x64.
    Server2022,
    /// Windows 11 21H2, 22000, x64.
    Win11,
    /// Windows 11 24H2 and Server 2025, 26100, x64.
    Win11Ge,
    /// Windows 11 21H2, 22000, ARM64: the layouts of x64, except `_VF_AVL_TABLE`.
    Win11Arm64,
    /// Windows 7 SP1, 7601, x86.
    Win7Sp1X86,
    /// Windows 10 2004, 19041, x86.
    Win10VbX86,
}

impl Build {
    /// Every build.
    pub const ALL: [Self; 11] = [
        Self::Win7Sp1,
        Self::Win81,
        Self::Win10Rs1,
        Self::Win10Rs5,
        Self::Win10Vb,
        Self::Server2022,
        Self::Win11,
        Self::Win11Ge,
        Self::Win11Arm64,
        Self::Win7Sp1X86,
        Self::Win10VbX86,
    ];

    /// The build number.
    pub fn number(self) -> u32 {
        match self {
            Self::Win7Sp1 | Self::Win7Sp1X86 => 7601,
            Self::Win81 => 9600,
            Self::Win10Rs1 => 14393,
            Self::Win10Rs5 => 17763,
            Self::Win10Vb | Self::Win10VbX86 => 19041,
            Self::Server2022 => 20348,
            Self::Win11 | Self::Win11Arm64 => 22000,
            Self::Win11Ge => 26100,
        }
    }

    /// Major and minor version of Windows.
    pub fn version(self) -> (u16, u16) {
        match self.number() {
            7601 => (6, 1),
            9600 => (6, 3),
            _ => (10, 0),
        }
    }

    /// The machine.
    pub fn machine(self) -> MachineType {
        match self {
            Self::Win11Arm64 => MachineType::Arm64,
            Self::Win7Sp1X86 | Self::Win10VbX86 => MachineType::X86,
            _ => MachineType::X64,
        }
    }
}
