//! Work without the GIL, and what Python code that it calls back raises.
//!
//! The views of the core know faults, not exceptions. An exception that must end the work (Ctrl-C, a
//! reader that breaks its contract) is laid down here; every later callback of the same work fails at
//! once, and the exception is raised when the work has come back. One that says that bytes are absent
//! ends nothing; the last one is kept, for the work may fail for it.

use std::cell::{Cell, RefCell};
use std::io;
use std::time::{Duration, Instant};

use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use verifier_host::Session;

use crate::errors::Failure;

/// How long work goes on before Python is asked for signals: that takes the GIL.
const PATIENCE: Duration = Duration::from_millis(50);
/// Bytes of text between two looks at the clock.
const STRIDE: usize = 1 << 12;

thread_local! {
    /// The exception that ends the work of this thread.
    static PENDING: RefCell<Option<PyErr>> = const { RefCell::new(None) };
    /// What the reader raised last to say that bytes are absent, and its text.
    static ABSENT: RefCell<Option<(String, PyErr)>> = const { RefCell::new(None) };
    /// Sessions whose work this thread is in, the innermost last.
    static INSIDE: RefCell<Vec<usize>> = const { RefCell::new(Vec::new()) };
    /// Whether `PENDING` holds anything, to be asked without the GIL at each read.
    static STOPPED: Cell<bool> = const { Cell::new(false) };
    /// When to ask for signals next; `None` outside work.
    static NEXT_LOOK: Cell<Option<Instant>> = const { Cell::new(None) };
}

/// Ends the work of this thread with `error`; the first one stays.
pub(crate) fn stop(error: PyErr) {
    PENDING.with_borrow_mut(|pending| {
        pending.get_or_insert(error);
    });
    STOPPED.set(true);
}

/// Keeps what a reader raised to say that bytes are absent; `text` is what the fault says of it.
pub(crate) fn absent(text: &str, error: PyErr) {
    ABSENT.set(Some((text.into(), error)));
}

/// True where the work of this thread is to end.
pub(crate) fn is_stopped() -> bool {
    STOPPED.get()
}

/// Asks Python now and then whether a signal has come, whose handler may raise: Ctrl-C does. True where
/// the work of this thread is to end.
pub(crate) fn is_interrupted() -> bool {
    let now = Instant::now();
    if !is_stopped() && NEXT_LOOK.get().is_some_and(|look| look <= now) {
        NEXT_LOOK.set(Some(now + PATIENCE));
        // Only in the main thread does Python run handlers; elsewhere this does nothing.
        if let Err(error) = Python::attach(|py| py.check_signals()) {
            stop(error);
        }
    }
    is_stopped()
}

/// Text that is being written, which ends where the work is to end.
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
                // Not `Interrupted`, after which a writer tries again.
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

/// The state of work that goes on around this one (a reader may use another session); it comes back
/// however this one is left.
struct Outer {
    look: Option<Instant>,
    absent: Option<(String, PyErr)>,
}

impl Outer {
    fn enter(session: usize) -> Self {
        INSIDE.with_borrow_mut(|inside| inside.push(session));
        // What an outer work has pending is not ours: it could not have called us if it had. One that
        // ended in a panic may have left something.
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

/// Runs `work` without the GIL. `session` tells whose work it is: a reader must not use the session
/// that it serves, which may be holding a lock while it reads.
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

/// Tells progress that a piece of work begins, and that it has ended.
pub(crate) fn staged<T>(host: &Session, what: &str, work: impl FnOnce() -> T) -> T {
    host.progress().begin(what, None);
    let done = work();
    host.progress().end();
    done
}
