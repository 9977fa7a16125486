//! Headers of dumps that list their pages in a bitmap: the summary dumps of Windows 7 and earlier (type 2)
//! and the bitmap dumps of Windows 8 and later (types 5 and 6).
//!
//! Bit n of the bitmap is page frame n, least significant bit first. The k-th set bit is the k-th stored
//! page.

use zerocopy::{FromBytes, Immutable, KnownLayout, LE, U32, U64, Unaligned};

/// `SUMMARY_DUMP`, after the dump header (at 0x2000, or 0x1000 in a 32-bit dump). The bitmap is at offset
/// 0x28 (0x20 in a 32-bit dump).
#[derive(FromBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub(crate) struct SummaryHeader {
    /// `SDMP`.
    pub(crate) signature: [u8; 4],
    /// `DUMP`.
    pub(crate) valid_dump: [u8; 4],
    /// Options of the writer.
    pub(crate) dump_options: U32<LE>,
    /// File offset of the first page.
    pub(crate) header_size: U32<LE>,
    /// Bits in the bitmap.
    pub(crate) bitmap_size: U32<LE>,
    /// Bits that are set.
    pub(crate) pages: U32<LE>,
    /// `RTL_BITMAP.SizeOfBitMap`: the number of bits again.
    pub(crate) size_of_bit_map: U32<LE>,
}

const _: () = assert!(size_of::<SummaryHeader>() == 0x1c);

/// The header of a bitmap dump, at 0x2000. The bitmap is at offset 0x38.
#[derive(FromBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub(crate) struct BitmapHeader {
    /// `FDMP` or `SDMP`.
    pub(crate) signature: [u8; 4],
    /// `DUMP`.
    pub(crate) valid_dump: [u8; 4],
    /// Unknown.
    pub(crate) reserved: [u8; 0x18],
    /// File offset of the first page.
    pub(crate) first_page: U64<LE>,
    /// Pages present.
    pub(crate) total_present_pages: U64<LE>,
    /// Bits in the bitmap.
    pub(crate) pages: U64<LE>,
}

const _: () = assert!(size_of::<BitmapHeader>() == 0x38);
