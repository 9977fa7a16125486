//! Headers of dumps whose pages are told by a bitmap: the summary dumps of Windows 7 and before
//! (type 2) and the bitmap dumps of Windows 8 and later (types 5 and 6).
//!
//! Bit n of the bitmap is page frame n, least significant bit first; the k-th set bit is the k-th
//! page stored.

use zerocopy::{FromBytes, Immutable, KnownLayout, LE, U32, U64, Unaligned};

/// `SUMMARY_DUMP`, behind the dump header (0x2000, or 0x1000 in a 32-bit dump). The bitmap starts
/// 0x28 bytes in (0x20 in a 32-bit dump).
#[derive(FromBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct SummaryHeader {
    /// `SDMP`.
    pub signature: [u8; 4],
    /// `DUMP`.
    pub valid_dump: [u8; 4],
    /// Options of the writer.
    pub dump_options: U32<LE>,
    /// File offset of the first page.
    pub header_size: U32<LE>,
    /// Bits in the bitmap.
    pub bitmap_size: U32<LE>,
    /// Bits that are set.
    pub pages: U32<LE>,
    /// `RTL_BITMAP.SizeOfBitMap`: bits once more.
    pub size_of_bit_map: U32<LE>,
}

const _: () = assert!(size_of::<SummaryHeader>() == 0x1c);

/// The header of a bitmap dump, at 0x2000. The bitmap starts 0x38 bytes in.
#[derive(FromBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct BitmapHeader {
    /// `FDMP` or `SDMP`.
    pub signature: [u8; 4],
    /// `DUMP`.
    pub valid_dump: [u8; 4],
    /// Unknown.
    pub reserved: [u8; 0x18],
    /// File offset of the first page.
    pub first_page: U64<LE>,
    /// Pages present.
    pub total_present_pages: U64<LE>,
    /// Bits in the bitmap.
    pub pages: U64<LE>,
}

const _: () = assert!(size_of::<BitmapHeader>() == 0x38);
