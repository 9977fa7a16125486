//! Header of the dumps that WinDbg's `.dump /k`, `/ka` and `/f` write (types 8, 9 and 0xA): page frame ranges
//! after a small header at 0x2000.

use zerocopy::{FromBytes, Immutable, KnownLayout, LE, U32, U64, Unaligned};

/// The header at 0x2000 and the 16 bytes after it; the ranges follow at 0x2030.
#[derive(FromBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub(crate) struct RdmpHeader {
    /// 0x40.
    pub(crate) marker: U32<LE>,
    /// `RDMP`.
    pub(crate) signature: [u8; 4],
    /// `DUMP`.
    pub(crate) valid_dump: [u8; 4],
    /// Unknown.
    pub(crate) reserved: U32<LE>,
    /// Bytes from 0x2020 to the first page.
    pub(crate) metadata_size: U64<LE>,
    /// File offset of the first page: 0x2020 + `metadata_size`.
    pub(crate) first_page_offset: U64<LE>,
    /// Type 0xA: number of ranges. Types 8 and 9: unknown.
    pub(crate) number_of_ranges: U32<LE>,
    /// Unknown.
    pub(crate) reserved2: U32<LE>,
    /// Type 0xA: pages in all ranges. Types 8 and 9: unknown.
    pub(crate) total_number_of_pages: U64<LE>,
}

const _: () = assert!(size_of::<RdmpHeader>() == 0x30);

/// A range of page frames. Their pages are stored one after the other.
#[derive(FromBytes, Immutable, KnownLayout, Unaligned, Clone, Copy)]
#[repr(C)]
pub(crate) struct PfnRange {
    /// First page frame.
    pub(crate) first: U64<LE>,
    /// Number of pages.
    pub(crate) count: U64<LE>,
}

const _: () = assert!(size_of::<PfnRange>() == 0x10);
