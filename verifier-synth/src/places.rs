//! Addresses of kernels, drivers and pool by system. They are invented, but similar to those of real
//! machines.

use crate::build::Build;
use crate::dump::MachineType;
use crate::paging::Paging;

/// Addresses that differ between systems.
pub(crate) struct Places {
    pub(crate) kernel: u64,
    pub(crate) kernel_size: u32,
    pub(crate) drivers: u64,
    pub(crate) pool: u64,
    pub(crate) pools: [u64; 4],
    pub(crate) pfn_database: u64,
    pub(crate) paging: Paging,
}

impl Places {
    pub(crate) fn of(build: Build) -> Self {
        let (kernel_size, paging) = match (build.number(), build.machine()) {
            (_, MachineType::X86) => (0x41_2000, Paging::X86Pae),
            (7601, _) => (0x5e_a000, Paging::X64),
            (9600, _) => (0x78_0000, Paging::X64),
            (_, MachineType::Arm64) => (0x104_7000, Paging::Arm64),
            _ => (0x104_6000, Paging::X64),
        };
        let (kernel, drivers, pool, pools, pfn_database) = match (build.number(), build.machine()) {
            (_, MachineType::X86) => (
                0x82a0_b000,
                0x8c40_0000,
                0x84c0_0000,
                [0x8480_0000, 0x8c00_0000, 0x8f00_0000, 0xb000_0000],
                0x8300_0000,
            ),
            (7601, _) => (
                0xffff_f800_02a1_3000,
                0xffff_f880_0440_0000,
                0xffff_fa80_0300_0000,
                [
                    0xffff_fa80_02e0_0000,
                    0xffff_fae0_0000_0000,
                    0xffff_f8a0_0000_0000,
                    0xffff_f8bf_ffff_ffff,
                ],
                0xffff_fa80_0000_0000,
            ),
            _ => (
                0xffff_f803_1420_0000,
                0xffff_f803_1860_0000,
                0xffff_9a8f_4c00_0000,
                [
                    0xffff_9a80_0000_0000,
                    0xffff_aa7f_ffff_ffff,
                    0xffff_b880_0000_0000,
                    0xffff_c87f_ffff_ffff,
                ],
                0xffff_e100_0000_0000,
            ),
        };
        Self { kernel, kernel_size, drivers, pool, pools, pfn_database, paging }
    }
}
