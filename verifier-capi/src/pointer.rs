//! C's pointers as references, text and owned values: each conversion once.

use std::ffi::{CStr, CString, c_char};
use std::mem::MaybeUninit;
use std::{ptr, slice};

use crate::status::Failure;

/// Text, or `None` of NULL.
///
/// # Safety
///
/// `pointer` is NULL or points at a string that ends with NUL and that nobody writes or frees for
/// `'a`.
pub(crate) unsafe fn text<'a>(
    pointer: *const c_char,
    name: &str,
) -> Result<Option<&'a str>, Failure> {
    if pointer.is_null() {
        return Ok(None);
    }
    // SAFETY: not null; the caller guarantees that it ends with NUL and lives.
    let text = unsafe { CStr::from_ptr(pointer) };
    match text.to_str() {
        Ok(text) => Ok(Some(text)),
        Err(why) => Err(Failure::argument(format!("{name} is not UTF-8: {why}"))),
    }
}

/// Writes a value to the caller's pointer.
///
/// # Safety
///
/// `to` is NULL or points at memory for a `T` that may be written.
pub(crate) unsafe fn put<T>(to: *mut T, value: T, name: &str) -> Result<(), Failure> {
    check(to, name)?;
    // SAFETY: not null and aligned; the caller guarantees that it may be written. What was there is
    // not dropped: it is the caller's, and may never have been set.
    unsafe { to.write(value) };
    Ok(())
}

/// A struct that C passes together with its size, so that it can grow at its end.
pub(crate) trait Record: Copy {
    /// Bytes of its first version: every caller knows at least these.
    const LEAST: usize = size_of::<Self>();
}

/// No struct will ever be larger; a size above this is wrong.
const MOST: usize = 0x1000;

/// Fills a caller's struct of `size` bytes. An older caller's struct gets the fields that it knows; a newer
/// caller's gets all that this library knows, then zeros.
///
/// # Safety
///
/// `to` is NULL or points at `size` bytes that may be written.
pub(crate) unsafe fn put_record<T: Record>(
    to: *mut T,
    size: usize,
    value: &T,
    name: &str,
) -> Result<(), Failure> {
    check(to, name)?;
    check_size::<T>(size, name)?;
    let known = size.min(size_of::<T>());
    let (from, to) = (ptr::from_ref(value).cast::<u8>(), to.cast::<u8>());
    // SAFETY: `value` has this many bytes, and the caller guarantees that `to` has them too. The old value is
    // not dropped: it is the caller's, and may never have been set.
    unsafe { ptr::copy_nonoverlapping(from, to, known) };
    // SAFETY: `known` is not above `size`.
    let rest = unsafe { to.add(known) };
    // SAFETY: the rest of the bytes that the caller guarantees.
    unsafe { ptr::write_bytes(rest, 0, size - known) };
    Ok(())
}

/// A caller's struct that begins with its own size, an `uint32_t`; what an older caller does not know is
/// zero.
///
/// # Safety
///
/// `from` is NULL or points at a size and that many bytes, which nobody writes during the call. Every
/// pattern of bytes is a `T`.
pub(crate) unsafe fn take_record<T: Record>(from: *const T, name: &str) -> Result<T, Failure> {
    check(from, name)?;
    // SAFETY: not null and aligned for more than this; the caller guarantees that it is there.
    let size = unsafe { from.cast::<u32>().read() } as usize;
    check_size::<T>(size, name)?;
    // SAFETY: the caller guarantees that many bytes.
    let bytes = unsafe { slice::from_raw_parts(from.cast::<u8>(), size) };
    let known = size.min(size_of::<T>());
    if bytes.iter().skip(known).any(|&byte| byte != 0) {
        return Err(Failure::unsupported(format!(
            "{name} has {size:#x} bytes, of which this library knows {known:#x}; the rest must be zero and \
             is not: use a newer library, or leave those fields zero"
        )));
    }
    let mut taken = MaybeUninit::<T>::zeroed();
    // SAFETY: both have that many bytes, and the caller's are not this function's variable.
    unsafe { ptr::copy_nonoverlapping(bytes.as_ptr(), taken.as_mut_ptr().cast::<u8>(), known) };
    // SAFETY: the caller guarantees that every pattern of bytes is a `T`.
    Ok(unsafe { taken.assume_init() })
}

fn check_size<T: Record>(size: usize, name: &str) -> Result<(), Failure> {
    if (T::LEAST..=MOST).contains(&size) {
        return Ok(());
    }
    let least = T::LEAST;
    Err(Failure::size(format!("{name} has at least {least:#x} bytes, not {size:#x}")))
}

fn check<T>(pointer: *const T, name: &str) -> Result<(), Failure> {
    if pointer.is_null() {
        return Err(Failure::argument(format!("{name} is NULL")));
    }
    if !pointer.is_aligned() {
        return Err(Failure::argument(format!("{name} is {pointer:p}, which is not aligned")));
    }
    Ok(())
}

/// Text for C, with U+FFFD in place of what would end it early.
pub(crate) fn c_string(text: &str) -> CString {
    CString::new(text)
        .or_else(|_| CString::new(text.replace('\0', "\u{fffd}")))
        // The second has no NUL; this keeps the match total.
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::status::VerifierStatus;

    /// A struct that had two words and got a third.
    #[repr(C)]
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    struct Grown {
        size: u32,
        old: u32,
        new: u32,
    }

    impl Record for Grown {
        const LEAST: usize = 8;
    }

    const VALUE: Grown = Grown { size: 12, old: 7, new: 9 };

    #[test]
    fn a_struct_is_filled_as_far_as_its_caller_knows() {
        let filled = |size: usize| {
            let mut bytes = [0xaaaa_aaaa_u32; 5];
            let to = bytes.as_mut_ptr().cast::<Grown>();
            // SAFETY: no size below is larger than the array, except those that are refused.
            unsafe { put_record(to, size, &VALUE, "record") }
                .map(|()| bytes)
                .map_err(|failure| failure.status())
        };
        const OLD: u32 = 0xaaaa_aaaa;
        assert_eq!(filled(8), Ok([12, 7, OLD, OLD, OLD]));
        assert_eq!(filled(12), Ok([12, 7, 9, OLD, OLD]));
        assert_eq!(filled(16), Ok([12, 7, 9, 0, OLD]));
        for size in [0, 7, 0x1001, usize::MAX] {
            assert_eq!(filled(size), Err(VerifierStatus::BadSize), "{size:#x}");
        }
    }

    #[test]
    fn a_struct_is_taken_as_far_as_its_caller_knows() {
        let taken = |bytes: &[u32]| {
            // SAFETY: the first word is the length of the slice, or refused; any three words are a
            // `Grown`.
            unsafe { take_record(bytes.as_ptr().cast::<Grown>(), "reader") }
                .map_err(|failure| failure.status())
        };
        assert_eq!(taken(&[8, 7]), Ok(Grown { size: 8, old: 7, new: 0 }));
        assert_eq!(taken(&[12, 7, 9]), Ok(VALUE));
        assert_eq!(taken(&[16, 7, 9, 0]), Ok(Grown { size: 16, ..VALUE }));
        assert_eq!(taken(&[16, 7, 9, 1]), Err(VerifierStatus::Unsupported));
        assert_eq!(taken(&[7, 7]), Err(VerifierStatus::BadSize));
        assert_eq!(taken(&[u32::MAX, 7]), Err(VerifierStatus::BadSize));
    }
}
