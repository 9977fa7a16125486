//! Opening and freeing sessions.

use std::ffi::c_char;
use std::path::Path;
use std::sync::Arc;

use verifier_core::kernel::Kernel;
use verifier_host::symbols::SymbolPath;
use verifier_host::{FileMode, Session, SessionOptions};

use crate::pointer::{as_ref, free, put_new, text};
use crate::reader::VerifierReader;
use crate::status::{Failure, VerifierStatus, guard};

/// A kernel to read Verifier's data from.
pub struct VerifierSession {
    pub(crate) host: Session,
}

/// The version of the interface that this library has.
#[unsafe(no_mangle)]
pub extern "C" fn verifier_abi_version() -> u32 {
    1
}

/// Opens a crash dump.
///
/// `path` is UTF-8. `symbols` has the syntax of _NT_SYMBOL_PATH; NULL means that variable's value. The
/// file is read, not mapped: one that is cut short meanwhile gives errors and no signal.
///
/// # Safety
///
/// `path` and `symbols` are NULL or strings that end with NUL; `session` is NULL or points at a
/// pointer that may be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn verifier_open_file(
    path: *const c_char,
    symbols: *const c_char,
    session: *mut *mut VerifierSession,
) -> VerifierStatus {
    guard(|| {
        let make = || {
            // SAFETY: the caller's word, for the time of this call.
            let path = unsafe { text(path, "path") }?;
            let path = path.ok_or_else(|| Failure::argument("path is NULL"))?;
            // SAFETY: as above.
            let symbols = unsafe { symbol_path(symbols) }?;
            let mut options = SessionOptions::default();
            options.mode = FileMode::Read;
            let host = Session::open_with(Path::new(path), symbols, options)?;
            host.kernel()?;
            Ok(VerifierSession { host })
        };
        // SAFETY: the caller's word for `session`.
        unsafe { put_new(session, "session", make) }
    })
}

/// Opens a kernel in memory that a callback reads. `reader` itself may be gone after the call.
///
/// # Safety
///
/// `reader` is NULL or points at a `VerifierReader` whose `read` keeps its contract with its
/// `context` until the session is freed; `symbols` and `session` are as for `verifier_open_file`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn verifier_open_reader(
    reader: *const VerifierReader,
    symbols: *const c_char,
    session: *mut *mut VerifierSession,
) -> VerifierStatus {
    guard(|| {
        let make = || {
            // SAFETY: the caller's word, for the time of this call.
            let reader = unsafe { as_ref(reader, "reader") }?;
            // SAFETY: as above.
            let symbols = unsafe { symbol_path(symbols) }?;
            let kernel = Arc::new(Kernel::open(reader.space()?, reader.hints())?);
            let host = Session::of_kernel(kernel, symbols);
            Ok(VerifierSession { host })
        };
        // SAFETY: the caller's word for `session`.
        unsafe { put_new(session, "session", make) }
    })
}

/// # Safety
///
/// As [`text`].
unsafe fn symbol_path(symbols: *const c_char) -> Result<SymbolPath, Failure> {
    // SAFETY: the caller's word.
    let path = match unsafe { text(symbols, "symbols") }? {
        Some(path) => SymbolPath::parse(path),
        None => SymbolPath::from_env(),
    };
    path.map_err(|why| verifier_host::Error::from(why).into())
}

/// Frees a session; its views live on. Nothing for NULL.
///
/// # Safety
///
/// `session` is NULL or was made by this library, is not in use and is never used again.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn verifier_session_free(session: *mut VerifierSession) {
    guard(|| {
        // SAFETY: the caller's word.
        unsafe { free(session) };
        Ok(())
    });
}
