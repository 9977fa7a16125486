//! `TRIAGE_DUMP64` and `TRIAGE_DUMP32`: the data after the header of a small dump (at 0x2000, or 0x1000 in a
//! 32-bit dump), and the tables that it points to.
//!
//! All `…Offset` fields are file offsets; 0 means that the part is absent. Source: the structures that rizin,
//! rekall and Ghidra publish. The 64-bit ones were checked against dumps of 19041 (x64) and 22000 (ARM64). No
//! 32-bit file was available, so the 32-bit ones follow the published definitions.

use zerocopy::{FromBytes, Immutable, KnownLayout, LE, U16, U32, U64, Unaligned};

/// The fields that both widths share.
#[derive(FromBytes, Immutable, KnownLayout, Unaligned, Clone, Copy)]
#[repr(C)]
pub(crate) struct TriageParts {
    /// Service pack.
    pub(crate) service_pack_build: U32<LE>,
    /// Bytes of the dump, without the secondary data after it.
    pub(crate) size_of_dump: U32<LE>,
    /// Offset of `TRGD`, which is written last.
    pub(crate) valid_offset: U32<LE>,
    /// `CONTEXT`.
    pub(crate) context_offset: U32<LE>,
    /// `EXCEPTION_RECORD`.
    pub(crate) exception_offset: U32<LE>,
    /// `DUMP_MM_STORAGE`.
    pub(crate) mm_offset: U32<LE>,
    /// A count (u32, in 64-bit dumps with padding), then that many `DUMP_UNLOADED_DRIVERS`.
    pub(crate) unloaded_drivers_offset: U32<LE>,
    /// `_KPRCB`.
    pub(crate) prcb_offset: U32<LE>,
    /// `_EPROCESS`.
    pub(crate) process_offset: U32<LE>,
    /// `_ETHREAD`.
    pub(crate) thread_offset: U32<LE>,
    /// The stack of the crashed thread, from `TopOfStack` on.
    pub(crate) call_stack_offset: U32<LE>,
    /// Its bytes.
    pub(crate) size_of_call_stack: U32<LE>,
    /// `DUMP_DRIVER_ENTRY`s.
    pub(crate) driver_list_offset: U32<LE>,
    /// How many.
    pub(crate) driver_count: U32<LE>,
    /// The names of the drivers.
    pub(crate) string_pool_offset: U32<LE>,
    /// Its bytes.
    pub(crate) string_pool_size: U32<LE>,
    /// The driver that caused the crash, if there is one.
    pub(crate) broken_driver_offset: U32<LE>,
    /// Options of the writer.
    pub(crate) triage_options: U32<LE>,
}

const _: () = assert!(size_of::<TriageParts>() == 0x48);

/// The parts after the stack's address, the same in both widths.
#[derive(FromBytes, Immutable, KnownLayout, Unaligned, Clone, Copy)]
#[repr(C)]
pub(crate) struct TriageData {
    /// The page at `DataPageAddress`.
    pub(crate) data_page_offset: U32<LE>,
    /// Its bytes.
    pub(crate) data_page_size: U32<LE>,
    /// `KDDEBUGGER_DATA64`.
    pub(crate) debugger_data_offset: U32<LE>,
    /// Its bytes.
    pub(crate) debugger_data_size: U32<LE>,
    /// `TRIAGE_DATA_BLOCK`s.
    pub(crate) data_blocks_offset: U32<LE>,
    /// How many.
    pub(crate) data_blocks_count: U32<LE>,
}

const _: () = assert!(size_of::<TriageData>() == 0x18);

/// `TRIAGE_DUMP64`.
#[derive(FromBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub(crate) struct Triage64 {
    /// The first fields.
    pub(crate) parts: TriageParts,
    /// Address of the stack's first byte in the dump.
    pub(crate) top_of_stack: U64<LE>,
    /// IA-64 only.
    pub(crate) backing_store: [u8; 0x10],
    /// Address of a page that the writer found useful.
    pub(crate) data_page_address: U64<LE>,
    /// The rest.
    pub(crate) data: TriageData,
}

const _: () = assert!(size_of::<Triage64>() == 0x80);

/// `TRIAGE_DUMP32`.
#[derive(FromBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub(crate) struct Triage32 {
    /// The first fields.
    pub(crate) parts: TriageParts,
    /// Address of the stack's first byte in the dump.
    pub(crate) top_of_stack: U32<LE>,
    /// Address of a page that the writer found useful.
    pub(crate) data_page_address: U32<LE>,
    /// The rest.
    pub(crate) data: TriageData,
}

const _: () = assert!(size_of::<Triage32>() == 0x68);

/// `TRIAGE_DATA_BLOCK`, of either width.
#[derive(FromBytes, Immutable, KnownLayout, Unaligned, Clone, Copy)]
#[repr(C)]
pub(crate) struct TriageBlock {
    /// Its address in the kernel.
    pub(crate) address: U64<LE>,
    /// Its offset in the file.
    pub(crate) offset: U32<LE>,
    /// Its bytes.
    pub(crate) size: U32<LE>,
}

const _: () = assert!(size_of::<TriageBlock>() == 0x10);

/// `DUMP_DRIVER_ENTRY64`: an offset and a `_KLDR_DATA_TABLE_ENTRY` in which only these fields are set.
#[derive(FromBytes, Immutable, KnownLayout, Unaligned, Clone, Copy)]
#[repr(C)]
pub(crate) struct TriageDriver64 {
    /// The path: characters (u32), then UTF-16.
    pub(crate) name_offset: U32<LE>,
    /// Alignment.
    pub(crate) reserved1: [u8; 0x34],
    /// `DllBase`.
    pub(crate) base: U64<LE>,
    /// `EntryPoint`.
    pub(crate) entry_point: U64<LE>,
    /// `SizeOfImage`.
    pub(crate) size_of_image: U32<LE>,
    /// Names and flags, not set.
    pub(crate) reserved2: [u8; 0x34],
    /// `CheckSum`.
    pub(crate) check_sum: U32<LE>,
    /// Alignment.
    pub(crate) reserved3: U32<LE>,
    /// `TimeDateStamp`.
    pub(crate) time_date_stamp: U32<LE>,
    /// Alignment.
    pub(crate) reserved4: U32<LE>,
}

const _: () = assert!(size_of::<TriageDriver64>() == 0x90);
const _: () = assert!(core::mem::offset_of!(TriageDriver64, base) == 0x38);
const _: () = assert!(core::mem::offset_of!(TriageDriver64, check_sum) == 0x80);

/// `DUMP_DRIVER_ENTRY32`.
#[derive(FromBytes, Immutable, KnownLayout, Unaligned, Clone, Copy)]
#[repr(C)]
pub(crate) struct TriageDriver32 {
    /// The path: characters (u32), then UTF-16.
    pub(crate) name_offset: U32<LE>,
    /// Links and tables, not set.
    pub(crate) reserved1: [u8; 0x18],
    /// `DllBase`.
    pub(crate) base: U32<LE>,
    /// `EntryPoint`.
    pub(crate) entry_point: U32<LE>,
    /// `SizeOfImage`.
    pub(crate) size_of_image: U32<LE>,
    /// Names and flags, not set.
    pub(crate) reserved2: [u8; 0x1c],
    /// `CheckSum`.
    pub(crate) check_sum: U32<LE>,
    /// `TimeDateStamp`.
    pub(crate) time_date_stamp: U32<LE>,
}

const _: () = assert!(size_of::<TriageDriver32>() == 0x4c);
const _: () = assert!(core::mem::offset_of!(TriageDriver32, base) == 0x1c);
const _: () = assert!(core::mem::offset_of!(TriageDriver32, check_sum) == 0x44);

/// `DUMP_UNLOADED_DRIVERS64`.
#[derive(FromBytes, Immutable, KnownLayout, Unaligned, Clone, Copy)]
#[repr(C)]
pub(crate) struct TriageUnloaded64 {
    /// Bytes of the name; at most 24 of them are kept.
    pub(crate) name_length: U16<LE>,
    /// The rest of `UNICODE_STRING`.
    pub(crate) reserved: [u8; 14],
    /// The first characters of the name, UTF-16.
    pub(crate) name: [u8; 24],
    /// Its start address.
    pub(crate) start: U64<LE>,
    /// The first address after it.
    pub(crate) end: U64<LE>,
}

const _: () = assert!(size_of::<TriageUnloaded64>() == 0x38);

/// `DUMP_UNLOADED_DRIVERS32`.
#[derive(FromBytes, Immutable, KnownLayout, Unaligned, Clone, Copy)]
#[repr(C)]
pub(crate) struct TriageUnloaded32 {
    /// Bytes of the name; at most 24 of them are kept.
    pub(crate) name_length: U16<LE>,
    /// The rest of `UNICODE_STRING`.
    pub(crate) reserved: [u8; 6],
    /// The first characters of the name, UTF-16.
    pub(crate) name: [u8; 24],
    /// Its start address.
    pub(crate) start: U32<LE>,
    /// The first address after it.
    pub(crate) end: U32<LE>,
}

const _: () = assert!(size_of::<TriageUnloaded32>() == 0x28);
