//! The parts of a PE image, as loaded in memory, that lead to its PDB and its exports.
//!
//! Source: Microsoft's PE/COFF specification. The optional header differs between PE32 and PE32+
//! only in where the data directories start (0x60 and 0x70), so it is read by offset.

use zerocopy::{FromBytes, Immutable, KnownLayout, LE, U16, U32, Unaligned};

/// `IMAGE_DOS_HEADER`.
#[derive(FromBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub(crate) struct DosHeader {
    /// `MZ`.
    pub(crate) magic: [u8; 2],
    /// Fields that are not used here.
    pub(crate) reserved: [u8; 0x3a],
    /// Offset of the `PE\0\0` signature.
    pub(crate) new_header: U32<LE>,
}

const _: () = assert!(size_of::<DosHeader>() == 0x40);

/// `PE\0\0` and `IMAGE_FILE_HEADER`.
#[derive(FromBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub(crate) struct FileHeader {
    /// `PE\0\0`.
    pub(crate) signature: [u8; 4],
    /// 0x8664, 0x14C, 0xAA64.
    pub(crate) machine: U16<LE>,
    /// Number of sections.
    pub(crate) number_of_sections: U16<LE>,
    /// Link time, or a hash of the contents.
    pub(crate) time_date_stamp: U32<LE>,
    /// Zero in images.
    pub(crate) symbol_table: U32<LE>,
    /// Zero in images.
    pub(crate) number_of_symbols: U32<LE>,
    /// Bytes of the optional header.
    pub(crate) size_of_optional_header: U16<LE>,
    /// Flags.
    pub(crate) characteristics: U16<LE>,
}

const _: () = assert!(size_of::<FileHeader>() == 0x18);

/// `IMAGE_DATA_DIRECTORY`.
#[derive(FromBytes, Immutable, KnownLayout, Unaligned, Clone, Copy, Debug)]
#[repr(C)]
pub(crate) struct DataDirectory {
    /// RVA of the data.
    pub(crate) virtual_address: U32<LE>,
    /// Its size in bytes.
    pub(crate) size: U32<LE>,
}

const _: () = assert!(size_of::<DataDirectory>() == 8);

/// `IMAGE_DEBUG_DIRECTORY`.
#[derive(FromBytes, Immutable, KnownLayout, Unaligned, Clone, Copy)]
#[repr(C)]
pub(crate) struct DebugDirectory {
    /// Zero.
    pub(crate) characteristics: U32<LE>,
    /// Link time.
    pub(crate) time_date_stamp: U32<LE>,
    /// Format version.
    pub(crate) version: U32<LE>,
    /// 2 is CodeView.
    pub(crate) kind: U32<LE>,
    /// Bytes of the data.
    pub(crate) size_of_data: U32<LE>,
    /// RVA of the data when loaded.
    pub(crate) address_of_raw_data: U32<LE>,
    /// File offset of the data.
    pub(crate) pointer_to_raw_data: U32<LE>,
}

const _: () = assert!(size_of::<DebugDirectory>() == 0x1c);

/// The CodeView record that names a PDB; the file name follows, NUL-terminated.
#[derive(FromBytes, Immutable, KnownLayout, Unaligned, Clone, Copy)]
#[repr(C)]
pub(crate) struct CodeViewRsds {
    /// `RSDS`.
    pub(crate) signature: [u8; 4],
    /// GUID, first three fields little-endian.
    pub(crate) guid: [u8; 16],
    /// Age.
    pub(crate) age: U32<LE>,
}

const _: () = assert!(size_of::<CodeViewRsds>() == 0x18);

/// `IMAGE_EXPORT_DIRECTORY`.
#[derive(FromBytes, Immutable, KnownLayout, Unaligned, Clone, Copy)]
#[repr(C)]
pub(crate) struct ExportDirectory {
    /// Zero.
    pub(crate) characteristics: U32<LE>,
    /// Link time.
    pub(crate) time_date_stamp: U32<LE>,
    /// Version.
    pub(crate) version: U32<LE>,
    /// RVA of the image's name.
    pub(crate) name: U32<LE>,
    /// First ordinal.
    pub(crate) base: U32<LE>,
    /// Entries of the address table.
    pub(crate) number_of_functions: U32<LE>,
    /// Entries of the name and ordinal tables.
    pub(crate) number_of_names: U32<LE>,
    /// RVA of the address table (u32 RVAs).
    pub(crate) address_of_functions: U32<LE>,
    /// RVA of the name table (u32 RVAs of names).
    pub(crate) address_of_names: U32<LE>,
    /// RVA of the ordinal table (u16 indexes into the address table).
    pub(crate) address_of_name_ordinals: U32<LE>,
}

const _: () = assert!(size_of::<ExportDirectory>() == 0x28);

/// `IMAGE_SECTION_HEADER`.
#[derive(FromBytes, Immutable, KnownLayout, Unaligned, Clone, Copy)]
#[repr(C)]
pub(crate) struct SectionHeader {
    /// Name, padded with nulls.
    pub(crate) name: [u8; 8],
    /// Bytes in memory.
    pub(crate) virtual_size: U32<LE>,
    /// RVA of the section.
    pub(crate) virtual_address: U32<LE>,
    /// Bytes in the file.
    pub(crate) size_of_raw_data: U32<LE>,
    /// File offset.
    pub(crate) pointer_to_raw_data: U32<LE>,
    /// Zero in images.
    pub(crate) relocations: U32<LE>,
    /// Zero in images.
    pub(crate) line_numbers: U32<LE>,
    /// Zero in images.
    pub(crate) numbers: U32<LE>,
    /// Flags: 0x2000_0000 executable, 0x8000_0000 writable.
    pub(crate) characteristics: U32<LE>,
}

const _: () = assert!(size_of::<SectionHeader>() == 0x28);
