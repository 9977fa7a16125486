//! The stream of the debug information (DBI).

use crate::bytes::le;

/// The number of the debug information stream.
pub(super) const DEBUG: pdb::StreamIndex = pdb::StreamIndex(3);

/// True if an optimizer moved code after linking. The debug information then has the sections from before,
/// and the eleventh of the optional streams has their headers. The stream numbers come after the header (64
/// bytes) and six parts.
pub(super) fn is_moved(debug: &[u8]) -> bool {
    const ORIGINAL_SECTIONS: usize = 10;
    let sizes = [24, 28, 32, 36, 40, 52].iter().filter_map(|&offset| le(debug, offset, 4));
    let start = usize::try_from(sizes.sum::<u64>()).unwrap_or(usize::MAX).saturating_add(64);
    let count = le(debug, 48, 4).unwrap_or(0) / 2;
    count > ORIGINAL_SECTIONS as u64
        && le(debug, start.saturating_add(ORIGINAL_SECTIONS * 2), 2) != Some(0xffff)
}
