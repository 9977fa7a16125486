//! Runs work without the GIL, and keeps the exceptions of Python code that it calls back.
//!
//! The views of the core have faults, not exceptions. An exception that must end the work (Ctrl-C, a reader
//! that breaks its contract) is stored here. Every later callback of the same work then fails at once, and
//! the exception is raised when the work has returned. An exception that means absent bytes does not end the
//! work; the last one is kept, because it may be the cause of a failure.

use std::cell::{Cell, RefCell};
use std::io;
use std::time::{Duration, Instant};

use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use verifier_host::Session;

use crate::errors::Failure;

/// The time between two checks for signals, which need the GIL.
const PATIENCE: Duration = Duration::from_millis(50);
/// Bytes of text between two checks of the clock.
const STRIDE: usize = 1 << 12;

thread_local! {
    /// The exception that ends the work of this thread.
    static PENDING: RefCell<Option<PyErr>> = const { RefCell::new(None) };
    /// The last exception of the reader for absent bytes, and its text.
    static ABSENT: RefCell<Option<(String, PyErr)>> = const { RefCell::new(None) };
    /// The sessions that this thread works for, the innermost last.
    static INSIDE: RefCell<Vec<usize>> = const { RefCell::new(Vec::new()) };
    /// Whether `PENDING` has an exception; each read checks this without the GIL.
    static STOPPED: Cell<bool> = const { Cell::new(false) };
    /// The time of the next check for signals; `None` outside work.
    static NEXT_LOOK: Cell<Option<Instant>> = const { Cell::new(None) };
}

/// Ends the work of this thread with `error`; the first error is kept.
pub(crate) fn stop(error: PyErr) {
    PENDING.with_borrow_mut(|pending| {
        pending.get_or_insert(error);
    });
    STOPPED.set(true);
}

/// Keeps a reader's exception for absent bytes; `text` is its text in the fault.
pub(crate) fn absent(text: &str, error: PyErr) {
    ABSENT.set(Some((text.into(), error)));
}

/// True if the work of this thread must end.
pub(crate) fn is_stopped() -> bool {
    STOPPED.get()
}

/// Lets Python handle signals from time to time; a handler may raise, as for Ctrl-C. True if the work of this
/// thread must end.
pub(crate) fn is_interrupted() -> bool {
    let now = Instant::now();
    if !is_stopped() && NEXT_LOOK.get().is_some_and(|look| look <= now) {
        NEXT_LOOK.set(Some(now + PATIENCE));
        // Python runs handlers only in the main thread; in other threads this does nothing.
        if let Err(error) = Python::attach(|py| py.check_signals()) {
            stop(error);
        }
    }
    is_stopped()
}

/// A writer of text that fails when the work must end.
#[derive(Default)]
pub(crate) struct Output {
    bytes: Vec<u8>,
    since: usize,
}

impl Output {
    pub(crate) fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }
}

impl io::Write for Output {
    fn write(&mut self, part: &[u8]) -> io::Result<usize> {
        self.since += part.len();
        if self.since >= STRIDE {
            self.since = 0;
            if is_interrupted() {
                // Not `Interrupted`, after which a writer would try again.
                return Err(io::Error::other("it was interrupted"));
            }
        }
        self.bytes.extend_from_slice(part);
        Ok(part.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The state of the outer work (a reader may use another session). It is restored however this work ends.
struct Outer {
    look: Option<Instant>,
    absent: Option<(String, PyErr)>,
}

impl Outer {
    fn enter(session: usize) -> Self {
        INSIDE.with_borrow_mut(|inside| inside.push(session));
        // Outer work has no exception pending, because it could not have called us then. But work that ended
        // in a panic may have left one.
        PENDING.set(None);
        Self { look: NEXT_LOOK.replace(Some(Instant::now() + PATIENCE)), absent: ABSENT.take() }
    }
}

impl Drop for Outer {
    fn drop(&mut self) {
        NEXT_LOOK.set(self.look);
        ABSENT.set(self.absent.take());
        INSIDE.with_borrow_mut(|inside| inside.pop());
        STOPPED.set(false);
    }
}

/// Runs `work` without the GIL for `session`. A reader must not use the session that it reads for, which may
/// hold a lock during the read.
pub(crate) fn run<T: Send>(
    py: Python<'_>,
    session: Option<usize>,
    work: impl FnOnce() -> Result<T, Failure> + Send,
) -> PyResult<T> {
    let session = session.unwrap_or(0);
    if session != 0 && INSIDE.with_borrow(|inside| inside.contains(&session)) {
        return Err(PyRuntimeError::new_err(
            "the memory reader called a method of the session that it reads for",
        ));
    }
    let outer = Outer::enter(session);
    let result = py.detach(work);
    let absent = ABSENT.take();
    drop(outer);
    if let Some(error) = PENDING.take() {
        return Err(error);
    }
    result.map_err(|failure| failure.raised(py, absent))
}

/// Reports to progress that a step of the work begins and ends.
pub(crate) fn staged<T>(host: &Session, what: &str, work: impl FnOnce() -> T) -> T {
    host.progress().begin(what, None);
    let done = work();
    host.progress().end();
    done
}
