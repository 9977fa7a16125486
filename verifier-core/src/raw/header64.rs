//! `DUMP_HEADER64`: the first 0x2000 bytes of a dump of a 64-bit kernel.
//!
//! Fields that the writer never set hold the filler `PAGE` (0x45474150), so any number here may be filler.

use zerocopy::{FromBytes, Immutable, KnownLayout, LE, U32, U64, Unaligned};

/// `DUMP_HEADER64`.
#[derive(FromBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub(crate) struct Header64 {
    /// `PAGE`.
    pub(crate) signature: [u8; 4],
    /// `DU64`.
    pub(crate) valid_dump: [u8; 4],
    /// 15 on a free build, 12 on a checked one.
    pub(crate) major_version: U32<LE>,
    /// The build number.
    pub(crate) minor_version: U32<LE>,
    /// CR3 of the crashing processor; may carry low bits (PCID).
    pub(crate) directory_table_base: U64<LE>,
    /// Address of the page frame database.
    pub(crate) pfn_data_base: U64<LE>,
    /// Address of the list head of loaded modules.
    pub(crate) ps_loaded_module_list: U64<LE>,
    /// Address of the list head of processes.
    pub(crate) ps_active_process_head: U64<LE>,
    /// 0x8664 for x64, 0xAA64 for ARM64.
    pub(crate) machine_image_type: U32<LE>,
    /// Processors in the machine.
    pub(crate) number_processors: U32<LE>,
    /// Bug check code.
    pub(crate) bug_check_code: U32<LE>,
    /// Alignment.
    pub(crate) reserved1: U32<LE>,
    /// Bug check parameters.
    pub(crate) bug_check_parameters: [U64<LE>; 4],
    /// `VersionUser` and padding.
    pub(crate) version_user: [u8; 0x20],
    /// Address of the kernel's `KDDEBUGGER_DATA64`.
    pub(crate) kd_debugger_data_block: U64<LE>,
    /// `PHYSICAL_MEMORY_DESCRIPTOR64`: number of runs.
    pub(crate) number_of_runs: U32<LE>,
    /// Alignment.
    pub(crate) reserved2: U32<LE>,
    /// Sum of the runs' pages.
    pub(crate) number_of_pages: U64<LE>,
    /// The runs; `number_of_runs` of them count.
    pub(crate) runs: [Run64; 42],
    /// Rest of the 700-byte descriptor block, and alignment.
    pub(crate) reserved3: [u8; 0x10],
    /// `CONTEXT` of the crashing processor.
    pub(crate) context_record: [u8; 3000],
    /// `EXCEPTION_RECORD64`.
    pub(crate) exception_record: [u8; 0x98],
    /// What kind of dump this is.
    pub(crate) dump_type: U32<LE>,
    /// Alignment.
    pub(crate) reserved4: U32<LE>,
    /// File size that the writer expected.
    pub(crate) required_dump_space: U64<LE>,
    /// `FILETIME` of the crash.
    pub(crate) system_time: U64<LE>,
    /// Text, NUL-terminated.
    pub(crate) comment: [u8; 128],
    /// Uptime in 100 ns.
    pub(crate) system_up_time: U64<LE>,
    /// Which parts a small dump has.
    pub(crate) mini_dump_fields: U32<LE>,
    /// State of secondary data.
    pub(crate) secondary_data_state: U32<LE>,
    /// Workstation, domain controller, server.
    pub(crate) product_type: U32<LE>,
    /// Product suites.
    pub(crate) suite_mask: U32<LE>,
    /// Writer's status.
    pub(crate) writer_status: U32<LE>,
    /// Unused up to the end of the header.
    pub(crate) reserved5: [u8; 0xfb4],
}

const _: () = assert!(size_of::<Header64>() == 0x2000);
const _: () = assert!(core::mem::offset_of!(Header64, kd_debugger_data_block) == 0x80);
const _: () = assert!(core::mem::offset_of!(Header64, number_of_runs) == 0x88);
const _: () = assert!(core::mem::offset_of!(Header64, context_record) == 0x348);
const _: () = assert!(core::mem::offset_of!(Header64, exception_record) == 0xf00);
const _: () = assert!(core::mem::offset_of!(Header64, dump_type) == 0xf98);
const _: () = assert!(core::mem::offset_of!(Header64, system_time) == 0xfa8);
const _: () = assert!(core::mem::offset_of!(Header64, system_up_time) == 0x1030);
const _: () = assert!(core::mem::offset_of!(Header64, writer_status) == 0x1048);

/// `PHYSICAL_MEMORY_RUN64`.
#[derive(FromBytes, Immutable, KnownLayout, Unaligned, Clone, Copy)]
#[repr(C)]
pub(crate) struct Run64 {
    /// First page frame.
    pub(crate) base_page: U64<LE>,
    /// Number of pages.
    pub(crate) page_count: U64<LE>,
}

const _: () = assert!(size_of::<Run64>() == 0x10);
