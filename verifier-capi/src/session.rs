//! Opening and freeing sessions.

use std::ffi::c_char;
use std::path::Path;
use std::ptr;
use std::sync::Arc;

use verifier_core::kernel::Kernel;
use verifier_host::symbols::SymbolPath;
use verifier_host::{FileMode, Session, SessionOptions};

use crate::handle::{Handle, Table, free, get, put_new};
use crate::last_error::guard;
use crate::options::{Stop, VerifierOptions, Watch};
use crate::pointer::{take_record, text};
use crate::reader::VerifierReader;
use crate::status::{Failure, VerifierStatus};

/// A kernel to read Verifier's data from.
pub struct VerifierSession {
    pub(crate) host: Session,
    pub(crate) stop: Arc<Stop>,
}

impl Handle for VerifierSession {
    const KIND: &'static str = "session";

    fn table() -> &'static Table<Self> {
        static SESSIONS: Table<VerifierSession> = Table::new();
        &SESSIONS
    }
}

/// The version of this interface; verifier_abi_version() is that of the library that is linked. Equal
/// versions work together, whichever is the newer: functions, values of enums and of flags, and fields at
/// the end of structs come without a new one. It is raised, and with it the number in the shared
/// library's name (`libverifier_capi.so.2`), when a program that was compiled with an older header would
/// fail: a function is removed or takes other arguments, or a field moves or changes its meaning.
pub const VERIFIER_ABI_VERSION: u32 = 2;

/// The version of the interface that this library has.
#[unsafe(no_mangle)]
pub extern "C" fn verifier_abi_version() -> u32 {
    VERIFIER_ABI_VERSION
}

/// Opens a crash dump.
///
/// `path` is UTF-8. `symbols` has the syntax of _NT_SYMBOL_PATH; NULL means that variable's value. The
/// file is read, not mapped: if it is cut short during a call, you get an error and not a signal.
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
    // SAFETY: the caller guarantees what is required; NULL means no options.
    unsafe { verifier_open_file_with(path, symbols, ptr::null(), session) }
}

/// The same with options; NULL for none. `options` itself may be freed after the call.
///
/// # Safety
///
/// `options` is NULL or points at a `VerifierOptions` of its own size whose `is_canceled` may be called
/// with its `context` until the session is freed; the others are as for `verifier_open_file`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn verifier_open_file_with(
    path: *const c_char,
    symbols: *const c_char,
    options: *const VerifierOptions,
    session: *mut *mut VerifierSession,
) -> VerifierStatus {
    guard(|| {
        let make = || {
            // SAFETY: the caller guarantees this for the time of the call.
            let path = unsafe { text(path, "path") }?;
            let path = path.ok_or_else(|| Failure::argument("path is NULL"))?;
            // SAFETY: as above.
            let options = unsafe { given(options) }?;
            // SAFETY: as above.
            let symbols = options.limit_symbols(unsafe { symbol_path(symbols) }?);
            let stop = options.stop();
            let mut how = SessionOptions::default();
            how.mode = FileMode::Read;
            how.limits = options.limits();
            how.progress = Some(Box::new(Watch(Arc::clone(&stop))));
            let host = stop.during_whole(|| {
                let host = Session::open_with(Path::new(path), symbols, how)?;
                host.kernel()?;
                Ok(host)
            })?;
            Ok(VerifierSession { host, stop })
        };
        // SAFETY: the caller guarantees `session`.
        unsafe { put_new(session, "session", make) }
    })
}

/// Opens a kernel in memory that a callback reads. `reader` itself may be freed after the call.
///
/// # Safety
///
/// `reader` is NULL or points at a `VerifierReader` of its own size whose `read` keeps its contract with its
/// `context` until the session is freed; `symbols` and `session` are as for `verifier_open_file`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn verifier_open_reader(
    reader: *const VerifierReader,
    symbols: *const c_char,
    session: *mut *mut VerifierSession,
) -> VerifierStatus {
    // SAFETY: the caller guarantees what is required; NULL means no options.
    unsafe { verifier_open_reader_with(reader, symbols, ptr::null(), session) }
}

/// The same with options; NULL for none. `options` itself may be freed after the call.
///
/// # Safety
///
/// `options` is as for `verifier_open_file_with`, the others are as for `verifier_open_reader`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn verifier_open_reader_with(
    reader: *const VerifierReader,
    symbols: *const c_char,
    options: *const VerifierOptions,
    session: *mut *mut VerifierSession,
) -> VerifierStatus {
    guard(|| {
        let make = || {
            // SAFETY: the caller guarantees this for the time of the call.
            let reader = unsafe { take_record(reader, "reader") }?;
            // SAFETY: as above.
            let options = unsafe { given(options) }?;
            // SAFETY: as above.
            let symbols = options.limit_symbols(unsafe { symbol_path(symbols) }?);
            let stop = options.stop();
            let host = stop.during_whole(|| {
                let (space, hints) = (reader.space()?, reader.hints());
                let kernel = Arc::new(Kernel::open_with(space, hints, options.limits())?);
                let watch = Box::new(Watch(Arc::clone(&stop)));
                Ok(Session::of_kernel_with(kernel, symbols, watch))
            })?;
            Ok(VerifierSession { host, stop })
        };
        // SAFETY: the caller guarantees `session`.
        unsafe { put_new(session, "session", make) }
    })
}

/// The caller's options, or those of a caller that has none.
///
/// # Safety
///
/// As [`take_record`], or NULL.
unsafe fn given(options: *const VerifierOptions) -> Result<VerifierOptions, Failure> {
    if options.is_null() {
        return Ok(VerifierOptions::none());
    }
    // SAFETY: the caller guarantees it; every pattern of bytes is one.
    unsafe { take_record(options, "options") }?.check()
}

/// # Safety
///
/// As [`text`].
unsafe fn symbol_path(symbols: *const c_char) -> Result<SymbolPath, Failure> {
    // SAFETY: the caller guarantees it.
    let path = match unsafe { text(symbols, "symbols") }? {
        Some(path) => SymbolPath::parse(path),
        None => SymbolPath::from_env(),
    };
    path.map_err(|why| verifier_host::Error::from(why).into())
}

/// Ends all calls of a session, from any thread: calls in progress return soon, with
/// VERIFIER_STATUS_STOPPED or with a view of what was read until then, and calls that come later return
/// VERIFIER_STATUS_STOPPED. Its views live on; the session itself can only be freed.
#[unsafe(no_mangle)]
pub extern "C" fn verifier_session_cancel(session: *const VerifierSession) -> VerifierStatus {
    guard(|| {
        get(session, "session")?.stop.cancel();
        Ok(())
    })
}

/// Frees a session; its views live on. Nothing for NULL.
#[unsafe(no_mangle)]
pub extern "C" fn verifier_session_free(session: *mut VerifierSession) {
    guard(|| free(session, "session"));
}
