//! The last error of each thread, and the border that no panic crosses.

use std::any::Any;
use std::cell::RefCell;
use std::ffi::{CString, c_char};
use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::pointer::{Record, c_string, put_record};
use crate::status::{Failure, VerifierPlace, VerifierStatus};

/// The last error of this thread.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct VerifierError {
    /// What the call returned.
    pub status: VerifierStatus,
    /// In words: what was being read, where, and why that failed. Lives until the next call that
    /// fails on this thread.
    pub message: *const c_char,
    /// What `address` is.
    pub place: VerifierPlace,
    /// Where it failed; 0 if no place is known.
    pub address: u64,
}

impl Record for VerifierError {}

struct Last {
    status: VerifierStatus,
    message: CString,
    place: (VerifierPlace, u64),
}

thread_local! {
    static LAST: RefCell<Last> = RefCell::new(Last {
        status: VerifierStatus::Ok,
        message: CString::default(),
        place: (VerifierPlace::None, 0),
    });
}

/// Runs the work of a function of the interface. A failure becomes the last error, and so does a panic,
/// which ends here.
pub(crate) fn guard(work: impl FnOnce() -> Result<(), Failure>) -> VerifierStatus {
    // C never sees anything half-made after a panic: handles are made whole or not at all, and a
    // session whose lock was poisoned reports that it finds no further symbols.
    let done = catch_unwind(AssertUnwindSafe(work));
    let failure = match done {
        Ok(Ok(())) => return VerifierStatus::Ok,
        Ok(Err(failure)) => failure,
        Err(panic) => Failure::internal(panic_text(&*panic)),
    };
    let status = failure.status();
    let Some((message, place)) = failure.kept() else { return status };
    // At the end of a thread its error is already gone; the status still says what happened.
    let _ = LAST.try_with(|last| {
        let message = c_string(&message);
        *last.borrow_mut() = Last { status, message, place };
    });
    status
}

fn panic_text(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
    format!("a fault in this library: {}", text.unwrap_or_default())
}

/// Fills `error`, of `size` bytes, with the last failure on this thread; a status of OK and an empty
/// message if no call has failed yet. Calls that succeed do not change it, and neither does a number
/// past the end of a list.
///
/// # Safety
///
/// `error` is NULL or points at `size` bytes that may be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn verifier_last_error(
    error: *mut VerifierError,
    size: usize,
) -> VerifierStatus {
    let last = LAST.try_with(|last| {
        let last = last.borrow();
        let (place, address) = last.place;
        VerifierError { status: last.status, message: last.message.as_ptr(), place, address }
    });
    let Ok(last) = last else { return VerifierStatus::Internal };
    // A fault of the arguments is returned and not kept: it would overwrite the error that the
    // caller asks for.
    // SAFETY: the caller guarantees what `put_record` requires.
    match unsafe { put_record(error, size, &last, "error") } {
        Ok(()) => VerifierStatus::Ok,
        Err(failure) => failure.status(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_ends_at_the_border() {
        assert_eq!(guard(|| panic!("of {}", "clay")), VerifierStatus::Internal);
        let mut error = VerifierError {
            status: VerifierStatus::Ok,
            message: std::ptr::null(),
            place: VerifierPlace::None,
            address: 0,
        };
        // SAFETY: it is a local variable.
        let status = unsafe { verifier_last_error(&raw mut error, size_of::<VerifierError>()) };
        assert_eq!(status, VerifierStatus::Ok);
        assert_eq!(error.status, VerifierStatus::Internal);
        // SAFETY: the message lives until this thread's next failure.
        let message = unsafe { std::ffi::CStr::from_ptr(error.message) };
        assert_eq!(message.to_str(), Ok("a fault in this library: of clay"));
    }
}
