//! The identity of an image file, from its PE header.

/// `IMAGE_DOS_HEADER.e_lfanew`.
const E_LFANEW: usize = 0x3c;
/// `IMAGE_NT_HEADERS.FileHeader.TimeDateStamp`.
const TIME_DATE_STAMP: usize = 8;
/// `IMAGE_NT_HEADERS.OptionalHeader.SizeOfImage`: the same in PE32 and PE32+, because what the one
/// has more (BaseOfData) the other has wider (ImageBase).
const SIZE_OF_IMAGE: usize = 24 + 56;

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

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    let four = bytes.get(at..)?.first_chunk()?;
    Some(u32::from_le_bytes(*four))
}
