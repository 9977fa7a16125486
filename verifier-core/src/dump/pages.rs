//! Pages in a bitmap (types 2, 5, 6), found through ranks.
//!
//! The k-th set bit is the k-th stored page, so the offset of a page follows from the number of set bits
//! before its own bit. Each word of 64 bits is kept with the number of set bits before it, so a look-up
//! touches one cache line and counts the bits of one word. For 64 GiB of memory this takes 4 MiB.

use zerocopy::FromBytes;

use super::header::{DumpKind, Header, set32, set64};
use super::source::ReadAt;
use super::truncation::{Declared, Stored, ends_before};
use crate::addr::PAGE_SIZE;
use crate::error::Error;
use crate::raw::{BitmapHeader, SummaryHeader};

/// 64 bits, and the number of bits that are set before them.
#[derive(Debug, Clone, Copy, Default)]
struct Word {
    bits: u64,
    rank: u64,
}

/// A header's data about the bitmap that follows it.
struct Place {
    /// The header's name, for messages.
    what: &'static str,
    /// The file offset of the bitmap.
    bitmap: u64,
    /// The number of bits in the bitmap.
    bits: u64,
    /// The file offset of the first page.
    first_page: u64,
    /// The number of set bits, if the writer states it.
    declared: Option<Declared>,
}

impl Place {
    /// Reads the header of a dump of type 2, 5 or 6.
    fn read(file: &dyn ReadAt, header: &Header) -> Result<Self, Error> {
        match header.kind {
            DumpKind::Summary => Self::of_summary(file, header),
            _ => Self::of_bitmap(file, header),
        }
    }

    fn of_summary(file: &dyn ReadAt, header: &Header) -> Result<Self, Error> {
        let (start, what) = (header.size(), "summary dump header");
        let mut bytes = [0u8; size_of::<SummaryHeader>()];
        file.read_at(start, &mut bytes).map_err(|_| ends_before(file, what))?;
        let raw = SummaryHeader::ref_from_bytes(&bytes).map_err(|_| ends_before(file, what))?;
        if &raw.signature != b"SDMP" || &raw.valid_dump != b"DUMP" {
            let why = "\"SDMPDUMP\" is not there".into();
            return Err(Error::Format { offset: start, what, why });
        }
        let count = set32(raw.pages.get()).filter(|&pages| pages != 0);
        Ok(Self {
            what,
            bitmap: start + if header.is_64bit { 0x28 } else { 0x20 },
            bits: raw.bitmap_size.get().into(),
            first_page: raw.header_size.get().into(),
            declared: count.map(|pages| Declared { pages: pages.into(), at: start + 0x14 }),
        })
    }

    fn of_bitmap(file: &dyn ReadAt, header: &Header) -> Result<Self, Error> {
        let (start, what) = (header.size(), "bitmap dump header");
        let mut bytes = [0u8; size_of::<BitmapHeader>()];
        file.read_at(start, &mut bytes).map_err(|_| ends_before(file, what))?;
        let raw = BitmapHeader::ref_from_bytes(&bytes).map_err(|_| ends_before(file, what))?;
        if !matches!(&raw.signature, b"SDMP" | b"FDMP") || &raw.valid_dump != b"DUMP" {
            let why = "neither \"FDMPDUMP\" nor \"SDMPDUMP\" is there".into();
            return Err(Error::Format { offset: start, what, why });
        }
        let count = set64(raw.total_present_pages.get()).filter(|&pages| pages != 0);
        Ok(Self {
            what,
            bitmap: start + size_of::<BitmapHeader>() as u64,
            bits: raw.pages.get(),
            first_page: raw.first_page.get(),
            declared: count.map(|pages| Declared { pages, at: start + 0x28 }),
        })
    }

    /// Checks the declared size against the file before anything is allocated, and returns it in bytes.
    fn size(&self, file: &dyn ReadAt) -> Result<u64, Error> {
        let Self { what, bitmap, bits, first_page, .. } = *self;
        let bytes = bits.div_ceil(8);
        let end = bitmap.checked_add(bytes);
        let why = if end.is_none_or(|end| end > first_page) {
            format!(
                "a bitmap of {bits:#x} bits does not fit before the first page at {first_page:#x} (the \
                 file is {:#x} bytes long)",
                file.len()
            )
        } else if end.is_none_or(|end| end > file.len()) {
            format!(
                "the file ends at {:#x}, inside the bitmap of {bits:#x} bits: it was cut short",
                file.len()
            )
        } else {
            return Ok(bytes);
        };
        Err(Error::Format { offset: bitmap, what, why })
    }
}

/// A bitmap of page frames and the file offset of its first page.
#[derive(Debug, Clone)]
pub struct BitmapPages {
    words: Vec<Word>,
    bits: u64,
    pages: u64,
    first_page: u64,
    declared: Option<Declared>,
}

impl BitmapPages {
    /// The header's data about the pages of a dump whose bitmap cannot be read.
    pub(super) fn declared(file: &dyn ReadAt, header: &Header) -> Option<Stored> {
        let Place { first_page, declared, .. } = Place::read(file, header).ok()?;
        Some(Stored { first_page, pages: None, declared })
    }

    pub(super) fn stored(&self) -> Stored {
        let Self { pages, first_page, declared, .. } = *self;
        Stored { first_page, pages: Some(pages), declared }
    }

    pub(super) fn read(file: &dyn ReadAt, header: &Header) -> Result<Self, Error> {
        let place = Place::read(file, header)?;
        let bytes = place.size(file)?;
        let Place { what, bitmap, bits, first_page, declared } = place;
        let mut words = vec![Word::default(); usize::try_from(bits.div_ceil(64)).unwrap_or(0)];
        let mut chunk = vec![0u8; 0x10000];
        let mut done = 0u64;
        for block in words.chunks_mut(0x10000 / 8) {
            let len = usize::try_from(bytes - done).unwrap_or(usize::MAX).min(0x10000);
            let Some(buf) = chunk.get_mut(..len) else { break };
            file.read_at(bitmap + done, buf).map_err(|_| Error::Format {
                offset: bitmap + done,
                what,
                why: "the bitmap cannot be read".into(),
            })?;
            for (word, raw) in block.iter_mut().zip(buf.chunks(8)) {
                let mut le = [0u8; 8];
                if let Some(part) = le.get_mut(..raw.len()) {
                    part.copy_from_slice(raw);
                }
                word.bits = u64::from_le_bytes(le);
            }
            done += len as u64;
        }
        // Bits past the last one are not pages: the writer may have left anything there.
        if !bits.is_multiple_of(64)
            && let Some(last) = words.last_mut()
        {
            last.bits &= (1u64 << (bits % 64)) - 1;
        }
        let mut pages = 0u64;
        for word in &mut words {
            word.rank = pages;
            pages += u64::from(word.bits.count_ones());
        }
        Ok(Self { words, bits, pages, first_page, declared })
    }

    pub(super) fn offset(&self, pfn: u64) -> Option<u64> {
        if pfn >= self.bits {
            return None;
        }
        let word = self.words.get(usize::try_from(pfn / 64).ok()?)?;
        let bit = 1u64 << (pfn % 64);
        if word.bits & bit == 0 {
            return None;
        }
        let rank = word.rank + u64::from((word.bits & (bit - 1)).count_ones());
        self.first_page.checked_add(rank.checked_mul(PAGE_SIZE)?)
    }

    pub(super) fn page_count(&self) -> u64 {
        self.pages
    }

    pub(super) fn next_frame(&self, from: u64) -> Option<u64> {
        let mut index = usize::try_from(from / 64).ok()?;
        let mut word = self.words.get(index)?.bits & (u64::MAX << (from % 64));
        while word == 0 {
            index += 1;
            word = self.words.get(index)?.bits;
        }
        Some(index as u64 * 64 + u64::from(word.trailing_zeros()))
    }
}
