//! The `.xz` form of ISF tables. No other module uses the crate `lzma-rust2`.

use std::io::{ErrorKind, Read};

use super::bounded_file::guarded;
use super::outcome::Miss;

/// The decoder's memory in KiB. `xz -9` needs a dictionary of 64 MiB; the format allows 4 GiB.
const MEMORY_KIB: u32 = 200 << 10;

/// Expands an `.xz` file to at most `limit` bytes.
pub(crate) fn expand(packed: &[u8], limit: u64) -> Result<Vec<u8>, Miss> {
    guarded(".xz file", || expand_unguarded(packed, limit))
}

fn expand_unguarded(packed: &[u8], limit: u64) -> Result<Vec<u8>, Miss> {
    let reader = lzma_rust2::XzReader::new_mem_limit(packed, true, MEMORY_KIB);
    let mut bytes = Vec::new();
    let read = reader.take(limit.saturating_add(1)).read_to_end(&mut bytes);
    if bytes.len() as u64 > limit {
        return Err(Miss::TooLarge { limit });
    }
    match read {
        Ok(_) => Ok(bytes),
        Err(error) if error.kind() == ErrorKind::OutOfMemory => {
            Err(Miss::Damaged(format!("its dictionary is larger than {MEMORY_KIB} KiB")))
        }
        Err(error) => Err(Miss::Damaged(error.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 1,000 zero bytes, by `xz -9`.
    const ZEROS: &[u8] = &[
        0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00, 0x00, 0x04, 0xe6, 0xd6, 0xb4, 0x46, 0x02, 0x00, 0x21,
        0x01, 0x1c, 0x00, 0x00, 0x00, 0x10, 0xcf, 0x58, 0xcc, 0xe0, 0x03, 0xe7, 0x00, 0x0b, 0x5d,
        0x00, 0x00, 0x6f, 0xfd, 0xff, 0xff, 0xa3, 0xb7, 0x5a, 0x0d, 0x5e, 0x00, 0x00, 0x00, 0x4f,
        0x25, 0x8a, 0xec, 0x2b, 0xe2, 0x2a, 0x37, 0x00, 0x01, 0x27, 0xe8, 0x07, 0x00, 0x00, 0x00,
        0xf4, 0x55, 0x8f, 0x5c, 0xb1, 0xc4, 0x67, 0xfb, 0x02, 0x00, 0x00, 0x00, 0x00, 0x04, 0x59,
        0x5a,
    ];

    #[test]
    fn stops_at_the_limit() {
        assert_eq!(expand(ZEROS, 1000), Ok(vec![0; 1000]));
        assert_eq!(expand(ZEROS, 999), Err(Miss::TooLarge { limit: 999 }));
    }

    #[test]
    fn broken_input_is_damaged() {
        for end in 0..ZEROS.len() {
            assert!(matches!(expand(&ZEROS[..end], 1000), Err(Miss::Damaged(_))));
        }
        let mut bad = ZEROS.to_vec();
        bad[40] ^= 1;
        assert!(matches!(expand(&bad, 1000), Err(Miss::Damaged(_))));
    }
}
