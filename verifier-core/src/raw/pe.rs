//! The parts of a PE image, as loaded in memory, that lead to its PDB and its exports.
//!
//! Source: Microsoft's PE/COFF specification. The optional header differs between PE32 and PE32+
//! only in where the data directories start (0x60 and 0x70), so it is read by offset.

use zerocopy::{FromBytes, Immutable, KnownLayout, LE, U16, U32, Unaligned};

/// `IMAGE_DOS_HEADER`.
#[derive(FromBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct DosHeader {
    /// `MZ`.
    pub magic: [u8; 2],
    /// Fields that are not used here.
    pub reserved: [u8; 0x3a],
    /// Offset of the `PE\0\0` signature.
    pub new_header: U32<LE>,
}

const _: () = assert!(size_of::<DosHeader>() == 0x40);

/// `PE\0\0` and `IMAGE_FILE_HEADER`.
#[derive(FromBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct FileHeader {
    /// `PE\0\0`.
    pub signature: [u8; 4],
    /// 0x8664, 0x14C, 0xAA64.
    pub machine: U16<LE>,
    /// Number of sections.
    pub number_of_sections: U16<LE>,
    /// Link time, or a hash of the contents.
    pub time_date_stamp: U32<LE>,
    /// Zero in images.
    pub symbol_table: U32<LE>,
    /// Zero in images.
    pub number_of_symbols: U32<LE>,
    /// Bytes of the optional header.
    pub size_of_optional_header: U16<LE>,
    /// Flags.
    pub characteristics: U16<LE>,
}

const _: () = assert!(size_of::<FileHeader>() == 0x18);

/// `IMAGE_DATA_DIRECTORY`.
#[derive(FromBytes, Immutable, KnownLayout, Unaligned, Clone, Copy, Debug)]
#[repr(C)]
pub struct DataDirectory {
    /// RVA of the data.
    pub virtual_address: U32<LE>,
    /// Its size in bytes.
    pub size: U32<LE>,
}

const _: () = assert!(size_of::<DataDirectory>() == 8);

/// `IMAGE_DEBUG_DIRECTORY`.
#[derive(FromBytes, Immutable, KnownLayout, Unaligned, Clone, Copy)]
#[repr(C)]
pub struct DebugDirectory {
    /// Zero.
    pub characteristics: U32<LE>,
    /// Link time.
    pub time_date_stamp: U32<LE>,
    /// Format version.
    pub version: U32<LE>,
    /// 2 is CodeView.
    pub kind: U32<LE>,
    /// Bytes of the data.
    pub size_of_data: U32<LE>,
    /// RVA of the data when loaded.
    pub address_of_raw_data: U32<LE>,
    /// File offset of the data.
    pub pointer_to_raw_data: U32<LE>,
}

const _: () = assert!(size_of::<DebugDirectory>() == 0x1c);

/// The CodeView record that names a PDB; the file name follows, NUL-terminated.
#[derive(FromBytes, Immutable, KnownLayout, Unaligned, Clone, Copy)]
#[repr(C)]
pub struct CodeViewRsds {
    /// `RSDS`.
    pub signature: [u8; 4],
    /// GUID, first three fields little-endian.
    pub guid: [u8; 16],
    /// Age.
    pub age: U32<LE>,
}

const _: () = assert!(size_of::<CodeViewRsds>() == 0x18);

/// `IMAGE_EXPORT_DIRECTORY`.
#[derive(FromBytes, Immutable, KnownLayout, Unaligned, Clone, Copy)]
#[repr(C)]
pub struct ExportDirectory {
    /// Zero.
    pub characteristics: U32<LE>,
    /// Link time.
    pub time_date_stamp: U32<LE>,
    /// Version.
    pub version: U32<LE>,
    /// RVA of the image's name.
    pub name: U32<LE>,
    /// First ordinal.
    pub base: U32<LE>,
    /// Entries of the address table.
    pub number_of_functions: U32<LE>,
    /// Entries of the name and ordinal tables.
    pub number_of_names: U32<LE>,
    /// RVA of the address table (u32 RVAs).
    pub address_of_functions: U32<LE>,
    /// RVA of the name table (u32 RVAs of names).
    pub address_of_names: U32<LE>,
    /// RVA of the ordinal table (u16 indexes into the address table).
    pub address_of_name_ordinals: U32<LE>,
}

const _: () = assert!(size_of::<ExportDirectory>() == 0x28);

/// `IMAGE_SECTION_HEADER`.
#[derive(FromBytes, Immutable, KnownLayout, Unaligned, Clone, Copy)]
#[repr(C)]
pub struct SectionHeader {
    /// Name, padded with nulls.
    pub name: [u8; 8],
    /// Bytes in memory.
    pub virtual_size: U32<LE>,
    /// RVA of the section.
    pub virtual_address: U32<LE>,
    /// Bytes in the file.
    pub size_of_raw_data: U32<LE>,
    /// File offset.
    pub pointer_to_raw_data: U32<LE>,
    /// Zero in images.
    pub relocations: U32<LE>,
    /// Zero in images.
    pub line_numbers: U32<LE>,
    /// Zero in images.
    pub numbers: U32<LE>,
    /// Flags: 0x2000_0000 executable, 0x8000_0000 writable.
    pub characteristics: U32<LE>,
}

const _: () = assert!(size_of::<SectionHeader>() == 0x28);
