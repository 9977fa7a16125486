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
pub struct TriageParts {
    /// Service pack.
    pub service_pack_build: U32<LE>,
    /// Bytes of the dump, without the secondary data after it.
    pub size_of_dump: U32<LE>,
    /// Offset of `TRGD`, which is written last.
    pub valid_offset: U32<LE>,
    /// `CONTEXT`.
    pub context_offset: U32<LE>,
    /// `EXCEPTION_RECORD`.
    pub exception_offset: U32<LE>,
    /// `DUMP_MM_STORAGE`.
    pub mm_offset: U32<LE>,
    /// A count (u32, in 64-bit dumps with padding), then that many `DUMP_UNLOADED_DRIVERS`.
    pub unloaded_drivers_offset: U32<LE>,
    /// `_KPRCB`.
    pub prcb_offset: U32<LE>,
    /// `_EPROCESS`.
    pub process_offset: U32<LE>,
    /// `_ETHREAD`.
    pub thread_offset: U32<LE>,
    /// The stack of the crashed thread, from `TopOfStack` on.
    pub call_stack_offset: U32<LE>,
    /// Its bytes.
    pub size_of_call_stack: U32<LE>,
    /// `DUMP_DRIVER_ENTRY`s.
    pub driver_list_offset: U32<LE>,
    /// How many.
    pub driver_count: U32<LE>,
    /// The names of the drivers.
    pub string_pool_offset: U32<LE>,
    /// Its bytes.
    pub string_pool_size: U32<LE>,
    /// The driver that caused the crash, if there is one.
    pub broken_driver_offset: U32<LE>,
    /// Options of the writer.
    pub triage_options: U32<LE>,
}

const _: () = assert!(size_of::<TriageParts>() == 0x48);

/// The parts after the stack's address, the same in both widths.
#[derive(FromBytes, Immutable, KnownLayout, Unaligned, Clone, Copy)]
#[repr(C)]
pub struct TriageData {
    /// The page at `DataPageAddress`.
    pub data_page_offset: U32<LE>,
    /// Its bytes.
    pub data_page_size: U32<LE>,
    /// `KDDEBUGGER_DATA64`.
    pub debugger_data_offset: U32<LE>,
    /// Its bytes.
    pub debugger_data_size: U32<LE>,
    /// `TRIAGE_DATA_BLOCK`s.
    pub data_blocks_offset: U32<LE>,
    /// How many.
    pub data_blocks_count: U32<LE>,
}

const _: () = assert!(size_of::<TriageData>() == 0x18);

/// `TRIAGE_DUMP64`.
#[derive(FromBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct Triage64 {
    /// The first fields.
    pub parts: TriageParts,
    /// Address of the stack's first byte in the dump.
    pub top_of_stack: U64<LE>,
    /// IA-64 only.
    pub backing_store: [u8; 0x10],
    /// Address of a page that the writer found useful.
    pub data_page_address: U64<LE>,
    /// The rest.
    pub data: TriageData,
}

const _: () = assert!(size_of::<Triage64>() == 0x80);

/// `TRIAGE_DUMP32`.
#[derive(FromBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct Triage32 {
    /// The first fields.
    pub parts: TriageParts,
    /// Address of the stack's first byte in the dump.
    pub top_of_stack: U32<LE>,
    /// Address of a page that the writer found useful.
    pub data_page_address: U32<LE>,
    /// The rest.
    pub data: TriageData,
}

const _: () = assert!(size_of::<Triage32>() == 0x68);

/// `TRIAGE_DATA_BLOCK`, of either width.
#[derive(FromBytes, Immutable, KnownLayout, Unaligned, Clone, Copy)]
#[repr(C)]
pub struct TriageBlock {
    /// Its address in the kernel.
    pub address: U64<LE>,
    /// Its offset in the file.
    pub offset: U32<LE>,
    /// Its bytes.
    pub size: U32<LE>,
}

const _: () = assert!(size_of::<TriageBlock>() == 0x10);

/// `DUMP_DRIVER_ENTRY64`: an offset and a `_KLDR_DATA_TABLE_ENTRY` in which only these fields are set.
#[derive(FromBytes, Immutable, KnownLayout, Unaligned, Clone, Copy)]
#[repr(C)]
pub struct TriageDriver64 {
    /// The path: characters (u32), then UTF-16.
    pub name_offset: U32<LE>,
    /// Alignment.
    pub reserved1: [u8; 0x34],
    /// `DllBase`.
    pub base: U64<LE>,
    /// `EntryPoint`.
    pub entry_point: U64<LE>,
    /// `SizeOfImage`.
    pub size_of_image: U32<LE>,
    /// Names and flags, not set.
    pub reserved2: [u8; 0x34],
    /// `CheckSum`.
    pub check_sum: U32<LE>,
    /// Alignment.
    pub reserved3: U32<LE>,
    /// `TimeDateStamp`.
    pub time_date_stamp: U32<LE>,
    /// Alignment.
    pub reserved4: U32<LE>,
}

const _: () = assert!(size_of::<TriageDriver64>() == 0x90);
const _: () = assert!(core::mem::offset_of!(TriageDriver64, base) == 0x38);
const _: () = assert!(core::mem::offset_of!(TriageDriver64, check_sum) == 0x80);

/// `DUMP_DRIVER_ENTRY32`.
#[derive(FromBytes, Immutable, KnownLayout, Unaligned, Clone, Copy)]
#[repr(C)]
pub struct TriageDriver32 {
    /// The path: characters (u32), then UTF-16.
    pub name_offset: U32<LE>,
    /// Links and tables, not set.
    pub reserved1: [u8; 0x18],
    /// `DllBase`.
    pub base: U32<LE>,
    /// `EntryPoint`.
    pub entry_point: U32<LE>,
    /// `SizeOfImage`.
    pub size_of_image: U32<LE>,
    /// Names and flags, not set.
    pub reserved2: [u8; 0x1c],
    /// `CheckSum`.
    pub check_sum: U32<LE>,
    /// `TimeDateStamp`.
    pub time_date_stamp: U32<LE>,
}

const _: () = assert!(size_of::<TriageDriver32>() == 0x4c);
const _: () = assert!(core::mem::offset_of!(TriageDriver32, base) == 0x1c);
const _: () = assert!(core::mem::offset_of!(TriageDriver32, check_sum) == 0x44);

/// `DUMP_UNLOADED_DRIVERS64`.
#[derive(FromBytes, Immutable, KnownLayout, Unaligned, Clone, Copy)]
#[repr(C)]
pub struct TriageUnloaded64 {
    /// Bytes of the name; at most 24 of them are kept.
    pub name_length: U16<LE>,
    /// The rest of `UNICODE_STRING`.
    pub reserved: [u8; 14],
    /// The first characters of the name, UTF-16.
    pub name: [u8; 24],
    /// Its start address.
    pub start: U64<LE>,
    /// The first address after it.
    pub end: U64<LE>,
}

const _: () = assert!(size_of::<TriageUnloaded64>() == 0x38);

/// `DUMP_UNLOADED_DRIVERS32`.
#[derive(FromBytes, Immutable, KnownLayout, Unaligned, Clone, Copy)]
#[repr(C)]
pub struct TriageUnloaded32 {
    /// Bytes of the name; at most 24 of them are kept.
    pub name_length: U16<LE>,
    /// The rest of `UNICODE_STRING`.
    pub reserved: [u8; 6],
    /// The first characters of the name, UTF-16.
    pub name: [u8; 24],
    /// Its start address.
    pub start: U32<LE>,
    /// The first address after it.
    pub end: U32<LE>,
}

const _: () = assert!(size_of::<TriageUnloaded32>() == 0x28);
