//! `DUMP_HEADER32`: the first 0x1000 bytes of a dump of a 32-bit kernel.

use zerocopy::{FromBytes, Immutable, KnownLayout, LE, U32, U64, Unaligned};

/// `DUMP_HEADER32`.
#[derive(FromBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub(crate) struct Header32 {
    /// `PAGE`.
    pub(crate) signature: [u8; 4],
    /// `DUMP`.
    pub(crate) valid_dump: [u8; 4],
    /// 15 on a free build, 12 on a checked one.
    pub(crate) major_version: U32<LE>,
    /// The build number.
    pub(crate) minor_version: U32<LE>,
    /// CR3 of the crashing processor; 32-byte aligned under PAE.
    pub(crate) directory_table_base: U32<LE>,
    /// Address of the page frame database.
    pub(crate) pfn_data_base: U32<LE>,
    /// Address of the list head of loaded modules.
    pub(crate) ps_loaded_module_list: U32<LE>,
    /// Address of the list head of processes.
    pub(crate) ps_active_process_head: U32<LE>,
    /// 0x14C.
    pub(crate) machine_image_type: U32<LE>,
    /// Processors in the machine.
    pub(crate) number_processors: U32<LE>,
    /// Bug check code.
    pub(crate) bug_check_code: U32<LE>,
    /// Bug check parameters.
    pub(crate) bug_check_parameters: [U32<LE>; 4],
    /// `VersionUser`.
    pub(crate) version_user: [u8; 32],
    /// 1 under PAE.
    pub(crate) pae_enabled: u8,
    /// Alignment.
    pub(crate) reserved1: [u8; 3],
    /// Address of the kernel's `KDDEBUGGER_DATA64`.
    pub(crate) kd_debugger_data_block: U32<LE>,
    /// `PHYSICAL_MEMORY_DESCRIPTOR32`: number of runs.
    pub(crate) number_of_runs: U32<LE>,
    /// Sum of the runs' pages.
    pub(crate) number_of_pages: U32<LE>,
    /// The runs; `number_of_runs` of them count.
    pub(crate) runs: [Run32; 86],
    /// Rest of the 700-byte descriptor block.
    pub(crate) reserved2: [u8; 4],
    /// `CONTEXT` of the crashing processor.
    pub(crate) context_record: [u8; 1200],
    /// `EXCEPTION_RECORD32`.
    pub(crate) exception_record: [u8; 0x50],
    /// Text, NUL-terminated.
    pub(crate) comment: [u8; 128],
    /// Unused.
    pub(crate) reserved3: [u8; 0x6e8],
    /// What kind of dump this is.
    pub(crate) dump_type: U32<LE>,
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
    /// File size that the writer expected.
    pub(crate) required_dump_space: U64<LE>,
    /// Unused.
    pub(crate) reserved4: [u8; 0x10],
    /// Uptime in 100 ns.
    pub(crate) system_up_time: U64<LE>,
    /// `FILETIME` of the crash.
    pub(crate) system_time: U64<LE>,
    /// Unused up to the end of the header.
    pub(crate) reserved5: [u8; 0x38],
}

const _: () = assert!(size_of::<Header32>() == 0x1000);
const _: () = assert!(core::mem::offset_of!(Header32, kd_debugger_data_block) == 0x60);
const _: () = assert!(core::mem::offset_of!(Header32, number_of_runs) == 0x64);
const _: () = assert!(core::mem::offset_of!(Header32, context_record) == 0x320);
const _: () = assert!(core::mem::offset_of!(Header32, comment) == 0x820);
const _: () = assert!(core::mem::offset_of!(Header32, dump_type) == 0xf88);
const _: () = assert!(core::mem::offset_of!(Header32, required_dump_space) == 0xfa0);

/// `PHYSICAL_MEMORY_RUN32`.
#[derive(FromBytes, Immutable, KnownLayout, Unaligned, Clone, Copy)]
#[repr(C)]
pub(crate) struct Run32 {
    /// First page frame.
    pub(crate) base_page: U32<LE>,
    /// Number of pages.
    pub(crate) page_count: U32<LE>,
}

const _: () = assert!(size_of::<Run32>() == 8);
