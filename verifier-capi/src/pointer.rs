//! C's pointers as references, text and owned values: each conversion once.

use std::ffi::{CStr, CString, c_char};
use std::ptr;

use crate::status::Failure;

/// What a pointer points at.
///
/// # Safety
///
/// `pointer` is NULL or points at a live `T` that nobody writes or frees for `'a`.
pub(crate) unsafe fn as_ref<'a, T>(pointer: *const T, name: &str) -> Result<&'a T, Failure> {
    check(pointer, name)?;
    // SAFETY: not null and aligned; that it lives and is not written is the caller's word.
    Ok(unsafe { &*pointer })
}

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
    // SAFETY: not null; that it ends with NUL and lives is the caller's word.
    let text = unsafe { CStr::from_ptr(pointer) };
    match text.to_str() {
        Ok(text) => Ok(Some(text)),
        Err(why) => Err(Failure::argument(format!("{name} is not UTF-8: {why}"))),
    }
}

/// Writes a value where the caller wants it.
///
/// # Safety
///
/// `to` is NULL or points at memory for a `T` that may be written.
pub(crate) unsafe fn put<T>(to: *mut T, value: T, name: &str) -> Result<(), Failure> {
    check(to, name)?;
    // SAFETY: not null and aligned; that it may be written is the caller's word. What was there is
    // not dropped: it is the caller's, and may never have been set.
    unsafe { to.write(value) };
    Ok(())
}

/// Makes an owned value and writes its handle where the caller wants it; NULL where it cannot be made.
///
/// # Safety
///
/// As [`put`].
pub(crate) unsafe fn put_new<T>(
    to: *mut *mut T,
    name: &str,
    make: impl FnOnce() -> Result<T, Failure>,
) -> Result<(), Failure> {
    // Before anything is made: a caller who looks at nothing but the handle must not see an old one.
    // SAFETY: the caller's word for `to` is the one that `put` asks for.
    unsafe { put(to, ptr::null_mut(), name) }?;
    let made = Box::into_raw(Box::new(make()?));
    // SAFETY: as above.
    unsafe { put(to, made, name) }
}

/// Drops what [`put_new`] made; nothing of NULL.
///
/// # Safety
///
/// `handle` is NULL or was made by [`put_new`], is used by nobody else and never again.
pub(crate) unsafe fn free<T>(handle: *mut T) {
    if !handle.is_null() {
        // SAFETY: `put_new` made it with `Box::into_raw`; that it is the last use is the caller's word.
        drop(unsafe { Box::from_raw(handle) });
    }
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
