//! Reads little-endian numbers from byte slices, without panics.

use crate::addr::Va;

/// The little-endian number of `size` bytes (1 to 8) at `offset`, or `None` if the slice is too short.
pub(crate) fn le(bytes: &[u8], offset: usize, size: usize) -> Option<u64> {
    let field = bytes.get(offset..offset.checked_add(size)?)?;
    // Nearly every number has one of these sizes; copying a variable length would be a call.
    match size {
        8 => return field.first_chunk().map(|raw| u64::from_le_bytes(*raw)),
        4 => return field.first_chunk().map(|raw| u32::from_le_bytes(*raw).into()),
        _ => {}
    }
    if size > 8 {
        return None;
    }
    let mut raw = [0u8; 8];
    raw.get_mut(..size)?.copy_from_slice(field);
    Some(u64::from_le_bytes(raw))
}

/// The `u32` at `offset`.
pub(crate) fn le32(bytes: &[u8], offset: usize) -> Option<u32> {
    le(bytes, offset, 4).map(|v| v as u32)
}

/// The `u64` at `offset`.
pub(crate) fn le64(bytes: &[u8], offset: usize) -> Option<u64> {
    le(bytes, offset, 8)
}

/// The return addresses of a stack of at most `count` frames of `size` bytes each, up to the first null.
/// Entries after the null are left over from another stack.
pub(crate) fn frames(raw: &[u8], count: usize, size: usize) -> impl Iterator<Item = Va> + '_ {
    raw.chunks_exact(size.max(1))
        .take(count)
        .map(move |frame| Va(le(frame, 0, size).unwrap_or(0)))
        .take_while(|frame| !frame.is_null())
}
