//! Text: `UNICODE_STRING`, and text up to a null.

use super::{AddressSpace, Limits, limit};
use crate::addr::Va;
use crate::error::Error;

/// The text of the `UNICODE_STRING` at `at`: `Length` and `MaximumLength` (bytes, 16 bits each), then
/// the buffer's address at the next pointer boundary. Unpaired surrogates become U+FFFD.
///
/// The limit is required, because a thousand structures may point at one long text.
///
/// # Errors
/// [`Error::Read`] if the structure or its buffer cannot be read, [`Error::Malformed`] if it cannot be a
/// `UNICODE_STRING`, [`Error::Limit`] if it is longer than [`Limits::name_bytes`].
pub fn read_unicode_string(space: &AddressSpace, at: Va, limits: &Limits) -> Result<String, Error> {
    let what = "UNICODE_STRING";
    let fault = |fault| Error::read(what, fault);
    let length = space.memory().read_u16(at).map_err(fault)?;
    let maximum = space.memory().read_u16(at.add(2)).map_err(fault)?;
    let buffer = space.read_pointer(at.add(space.pointer_size() as u64)).map_err(fault)?;
    if length == 0 {
        return Ok(String::new());
    }
    if length > maximum || length % 2 != 0 {
        return Err(Error::Malformed {
            address: at,
            what: what.into(),
            why: format!("a length of {length:#x} bytes in a buffer of {maximum:#x}"),
        });
    }
    if !space.is_kernel(buffer) {
        return Err(Error::Malformed {
            address: at,
            what: what.into(),
            why: format!("its buffer {buffer} is outside the kernel"),
        });
    }
    if usize::from(length) > limits.name_bytes {
        return Err(limit!(limits, name_bytes).error(what));
    }
    read_utf16(space, buffer, length.into())
}

/// True if `name` can be a file name, or a pattern of file names with `*` and `?`. Other data read as UTF-16
/// seldom can: they contain control characters or unpaired surrogates.
pub(crate) fn is_file_name(name: &str) -> bool {
    const NEVER: [char; 8] = ['\\', '/', ':', '"', '<', '>', '|', char::REPLACEMENT_CHARACTER];
    !name.is_empty()
        && name.chars().count() <= MAX_FILE_NAME
        && !name.contains(NEVER)
        && !name.chars().any(char::is_control)
}

/// The most characters of a file name.
const MAX_FILE_NAME: usize = 255;

/// UTF-16 text at `at` up to its null, at most `most` units. If a page cannot be read, the text before it is
/// returned.
///
/// # Errors
/// [`Error::Read`] if not even the first unit can be read.
pub(crate) fn read_utf16_z(space: &AddressSpace, at: Va, most: usize) -> Result<String, Error> {
    let mut units = Vec::new();
    while units.len() < most {
        match space.memory().read_u16(at.add(2 * units.len() as u64)) {
            Ok(0) => break,
            Ok(unit) => units.push(unit),
            Err(fault) if units.is_empty() => return Err(Error::read("text", fault)),
            Err(_) => break,
        }
    }
    Ok(String::from_utf16_lossy(&units))
}

/// ANSI text at `at` up to its null, whole or not at all. Its code page is unknown, so a byte that is not
/// ASCII becomes U+FFFD.
///
/// # Errors
/// [`Error::Read`]; [`Error::Limit`] if there is no null in `Limits::name_bytes` bytes. `what` names the
/// text.
pub(crate) fn read_ansi_z(
    space: &AddressSpace,
    at: Va,
    limits: &Limits,
    what: &'static str,
) -> Result<String, Error> {
    let mut text = String::new();
    for i in 0..limits.name_bytes as u64 {
        match space.memory().read_u8(at.add(i)).map_err(|fault| Error::read(what, fault))? {
            0 => return Ok(text),
            byte if byte.is_ascii() => text.push(byte.into()),
            _ => text.push(char::REPLACEMENT_CHARACTER),
        }
    }
    Err(limit!(limits, name_bytes).error(what))
}

/// `bytes` bytes of UTF-16 text at `at`.
pub(crate) fn read_utf16(space: &AddressSpace, at: Va, bytes: usize) -> Result<String, Error> {
    let mut raw = vec![0u8; bytes];
    space.read(at, &mut raw).map_err(|fault| Error::read("text of a UNICODE_STRING", fault))?;
    let units = raw.chunks_exact(2).map(|pair| match pair {
        [low, high] => u16::from_le_bytes([*low, *high]),
        _ => 0,
    });
    Ok(char::decode_utf16(units).map(|c| c.unwrap_or(char::REPLACEMENT_CHARACTER)).collect())
}
