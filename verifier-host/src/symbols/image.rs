//! The identity of an image file, from its PE header, and of the PDB that belongs to it.

use verifier_core::Va;
use verifier_core::memory::FromFn;
use verifier_core::symbols::{ImageHeaders, PdbId};

/// `IMAGE_DOS_HEADER.e_lfanew`.
const E_LFANEW: usize = 0x3c;
/// `IMAGE_NT_HEADERS.FileHeader.TimeDateStamp`.
const TIME_DATE_STAMP: usize = 8;
/// `IMAGE_NT_HEADERS.OptionalHeader.SizeOfImage`: the same in PE32 and PE32+, because PE32 has BaseOfData and
/// PE32+ a wider ImageBase.
const SIZE_OF_IMAGE: usize = 24 + 56;
/// `IMAGE_NT_HEADERS.FileHeader.NumberOfSections`.
const NUMBER_OF_SECTIONS: usize = 6;
/// `IMAGE_NT_HEADERS.FileHeader.SizeOfOptionalHeader`.
const SIZE_OF_OPTIONAL_HEADER: usize = 20;
/// Where the optional header begins; the sections follow it.
const SECTIONS: usize = 24;
/// Bytes of `IMAGE_SECTION_HEADER`.
const SECTION: usize = 40;

/// TimeDateStamp and SizeOfImage of a PE image; `None` if these bytes are not one.
pub fn image_identity(bytes: &[u8]) -> Option<(u32, u32)> {
    if bytes.get(..2)? != b"MZ" {
        return None;
    }
    let header = usize::try_from(word(bytes, E_LFANEW)?).ok()?;
    let header = bytes.get(header..)?;
    if header.get(..4)? != b"PE\0\0" {
        return None;
    }
    Some((word(header, TIME_DATE_STAMP)?, word(header, SIZE_OF_IMAGE)?))
}

/// The identity of the PDB that belongs to an image file; `None` if these bytes are not an image, or the
/// image does not name a PDB.
pub fn pdb_of_image(bytes: &[u8]) -> Option<PdbId> {
    let header = usize::try_from(word(bytes, E_LFANEW)?).ok()?;
    let header = bytes.get(header..)?;
    let half = |at: usize| Some(usize::from(u16::from_le_bytes(*header.get(at..)?.first_chunk()?)));
    // Sections: RVA, bytes in the file, offset in the file. The headers come before the first section.
    let table = header.get(SECTIONS.checked_add(half(SIZE_OF_OPTIONAL_HEADER)?)?..)?;
    let sections: Vec<(u64, u64, u64)> = table
        .chunks_exact(SECTION)
        .take(half(NUMBER_OF_SECTIONS)?)
        .filter_map(|raw| {
            let field = |at| word(raw, at).map(u64::from);
            Some((field(12)?, field(16)?, field(20)?))
        })
        .collect();
    let headers_end = sections.iter().map(|section| section.0).min()?;
    let loaded = FromFn::new(|at: Va, buf: &mut [u8]| {
        let offset = sections
            .iter()
            .find(|(rva, size, _)| at.0.checked_sub(*rva).is_some_and(|within| within < *size))
            .map(|(rva, _, offset)| at.0 - rva + offset)
            .or((at.0 < headers_end).then_some(at.0))
            .and_then(|offset| usize::try_from(offset).ok());
        let held = offset.and_then(|offset| bytes.get(offset..)?.get(..buf.len()));
        buf.copy_from_slice(held.ok_or("not in the file")?);
        Ok::<_, &str>(())
    });
    ImageHeaders::read(&loaded, Va(0)).ok()?.pdb_id(&loaded).ok()
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    let four = bytes.get(at..)?.first_chunk()?;
    Some(u32::from_le_bytes(*four))
}
