//! The return values, the last error, and the guard that no panic passes.

use std::any::Any;
use std::cell::RefCell;
use std::ffi::{CString, c_char};
use std::panic::{AssertUnwindSafe, catch_unwind};

use verifier_core::addr::Space;
use verifier_core::error::Error as Core;
use verifier_core::{Reason, Va};
use verifier_host::{Error as Host, Session};

use crate::handle::Handle;
use crate::pointer::{self, Record, put_record};

/// The result of a call.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VerifierStatus {
    /// Done.
    Ok = 0,
    /// An argument must not be NULL but is, is not UTF-8, or names something that does not exist.
    BadArgument = 1,
    /// There is no record with this number, which is not kept as an error; or no counter with this name.
    NotFound = 2,
    /// A file cannot be opened or read.
    File = 3,
    /// Bytes are absent from the dump, or the reader says that they are.
    Absent = 4,
    /// An address is not present in the page tables.
    NotPresent = 5,
    /// The symbols are missing, or do not have a type, field or global.
    Symbols = 6,
    /// The file or a structure in memory is malformed, or a limit on hostile input was reached.
    Malformed = 7,
    /// This kind of input does not have the requested data.
    Unsupported = 8,
    /// An internal error of this library; the session can still be used.
    Internal = 9,
    /// A handle that is not open: already freed, of the other kind, or never returned.
    InvalidHandle = 10,
    /// A size that no version of the struct has.
    BadSize = 11,
    /// The call was ended before it had an answer: the session was canceled, or the deadline of its
    /// VerifierOptions passed.
    Stopped = 12,
}

/// The last error of this thread.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct VerifierError {
    /// The status that the call returned.
    pub status: VerifierStatus,
    /// What was being read, where, and why that failed, in words. It is valid until the next call that fails
    /// on this thread.
    pub message: *const c_char,
    /// The kind of `address`.
    pub place: VerifierPlace,
    /// The address of the failure; 0 if there is none.
    pub address: u64,
}

impl Record for VerifierError {}

/// The kind of the address of an error or a problem.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VerifierPlace {
    /// There is no address.
    None = 0,
    /// A physical address.
    Physical = 1,
    /// An address in the kernel's virtual memory.
    Virtual = 2,
    /// An offset in the dump file.
    File = 3,
}

impl VerifierPlace {
    /// The place of a virtual address, if there is one.
    pub(crate) fn of(address: Option<Va>) -> (Self, u64) {
        address.map_or((Self::None, 0), |va| (Self::Virtual, va.0))
    }
}

/// Why a call failed.
pub(crate) struct Failure {
    status: VerifierStatus,
    /// `None` if the error is not kept: the end of a list.
    message: Option<String>,
    place: (VerifierPlace, u64),
}

impl Failure {
    fn new(status: VerifierStatus, message: String) -> Self {
        Self { status, message: Some(message), place: (VerifierPlace::None, 0) }
    }

    /// A list has no record with this number.
    pub(crate) fn at_the_end() -> Self {
        Self { message: None, ..Self::new(VerifierStatus::NotFound, String::new()) }
    }

    pub(crate) fn argument(message: impl Into<String>) -> Self {
        Self::new(VerifierStatus::BadArgument, message.into())
    }

    pub(crate) fn not_found(message: impl Into<String>) -> Self {
        Self::new(VerifierStatus::NotFound, message.into())
    }

    pub(crate) fn unsupported(message: impl Into<String>) -> Self {
        Self::new(VerifierStatus::Unsupported, message.into())
    }

    pub(crate) fn stopped(message: impl Into<String>) -> Self {
        Self::new(VerifierStatus::Stopped, message.into())
    }

    pub(crate) fn size(message: String) -> Self {
        Self::new(VerifierStatus::BadSize, message)
    }

    pub(crate) fn handle<T: Handle>(handle: *const T, name: &str) -> Self {
        let kind = T::KIND;
        let message =
            format!("{name} is {handle:p}, not an open {kind}: it was freed, or is something else");
        Self::new(VerifierStatus::InvalidHandle, message)
    }

    #[cfg(test)]
    pub(crate) fn status(&self) -> VerifierStatus {
        self.status
    }
}

impl Failure {
    /// The failure of a call that was ended: the end alone may be the cause.
    pub(crate) fn because_stopped(self, why: &str) -> Self {
        let message = match self.message {
            Some(message) => format!("{why}: {message}"),
            None => why.to_owned(),
        };
        Self { status: VerifierStatus::Stopped, message: Some(message), ..self }
    }

    /// The failure; if the kernel's symbols are missing, with the places where they were searched for.
    pub(crate) fn explained(mut self, session: &Session) -> Self {
        if self.status == VerifierStatus::Symbols
            && let Some(message) = &mut self.message
            && let Some(missing) = session.missing_kernel_symbols()
        {
            *message = format!("{message}; {missing}");
        }
        self
    }
}

/// True if the caller's own reader failed, at the bytes themselves or at a page table on the way to them.
fn is_readers(reason: &Reason) -> bool {
    match reason {
        Reason::Reader(_) => true,
        Reason::Table { cause, .. } => is_readers(cause),
        _ => false,
    }
}

impl From<Core> for Failure {
    fn from(error: Core) -> Self {
        let status = match &error {
            Core::Read { fault, .. } if fault.reason.is_absent() => VerifierStatus::Absent,
            Core::NotInSmallDump { .. } => VerifierStatus::Absent,
            Core::Read { fault, .. } if is_readers(&fault.reason) => VerifierStatus::Absent,
            Core::Read { .. } => VerifierStatus::NotPresent,
            Core::Format { .. } | Core::Malformed { .. } | Core::Limit { .. } => {
                VerifierStatus::Malformed
            }
            Core::MissingType { .. }
            | Core::MissingField { .. }
            | Core::MissingSymbol { .. }
            | Core::NoKernelSymbols { .. }
            | Core::UnknownGlobal { .. }
            | Core::Symbols { .. } => VerifierStatus::Symbols,
            Core::Stopped { .. } => VerifierStatus::Stopped,
            _ => VerifierStatus::Unsupported,
        };
        let place = match &error {
            Core::Read { fault, .. } if fault.space == Space::Physical => {
                (VerifierPlace::Physical, fault.address)
            }
            Core::Format { offset, .. } => (VerifierPlace::File, *offset),
            other => VerifierPlace::of(other.address()),
        };
        Self { status, message: Some(error.to_string()), place }
    }
}

impl From<Host> for Failure {
    fn from(error: Host) -> Self {
        match error {
            Host::Core(core) => core.into(),
            Host::SymbolPath(_) | Host::Usage(_) => Self::argument(error.to_string()),
            other => Self::new(VerifierStatus::File, other.to_string()),
        }
    }
}

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

/// Runs the work of an interface function. Its failure becomes the last error, and so does its panic, which
/// ends here.
pub(crate) fn guard(work: impl FnOnce() -> Result<(), Failure>) -> VerifierStatus {
    // After a panic, C cannot see anything half-made: a handle is created completely or not at all. A
    // session whose lock was poisoned finds no further symbols, which is reported.
    let done = catch_unwind(AssertUnwindSafe(work));
    let failure = match done {
        Ok(Ok(())) => return VerifierStatus::Ok,
        Ok(Err(failure)) => failure,
        Err(panic) => Failure::new(VerifierStatus::Internal, panic_text(&*panic)),
    };
    let status = failure.status;
    let Some(message) = failure.message else { return status };
    // At the end of a thread its last error no longer exists; the status still says what happened.
    let _ = LAST.try_with(|last| {
        let message = pointer::c_string(&message);
        *last.borrow_mut() = Last { status, message, place: failure.place };
    });
    status
}

fn panic_text(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
    format!("an internal error of this library: {}", text.unwrap_or_default())
}

/// Fills `error`, of `size` bytes, with the last failure on this thread; with a status of OK and an empty
/// message if no call has failed yet. Calls that succeed do not change it, and neither does a number past
/// the end of a list.
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
    // An error in the arguments is returned and not kept: it would replace the requested error.
    // SAFETY: the caller's guarantee is the one that `put_record` requires.
    match unsafe { put_record(error, size, &last, "error") } {
        Ok(()) => VerifierStatus::Ok,
        Err(failure) => failure.status,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A failing callback is reported in the same way for bytes and for a page table on the way to them.
    #[test]
    fn a_reader_that_fails_is_absence() {
        let status = |reason| {
            let fault = verifier_core::Fault { space: Space::Virtual, address: 0, done: 0, reason };
            Failure::from(Core::read("bytes", fault)).status
        };
        let absent = || Reason::Reader("no such page".into());
        let at = verifier_core::Pa(0x1000);
        let table = |cause| Reason::Table { level: 3, at, cause: Box::new(cause) };
        assert_eq!(status(absent()), VerifierStatus::Absent);
        assert_eq!(status(table(absent())), VerifierStatus::Absent);
        assert_eq!(status(table(Reason::NotHeld)), VerifierStatus::Absent);
        let not_present = Reason::NotPresent { level: 1, entry: 0, at };
        assert_eq!(status(not_present), VerifierStatus::NotPresent);
        assert_eq!(status(table(Reason::OutOfRange)), VerifierStatus::NotPresent);
    }

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
        assert_eq!(message.to_str(), Ok("an internal error of this library: of clay"));
    }
}
