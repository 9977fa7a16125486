//! Work without the GIL, and what Python code that it calls back raises.
//!
//! The views of the core know faults, not exceptions. An exception that must end the work (Ctrl-C, a
//! reader that breaks its contract) is laid down here; every later callback of the same work fails at
//! once, and the exception is raised when the work has come back.

use std::cell::{Cell, RefCell};
use std::time::{Duration, Instant};

use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;

use crate::errors::Failure;

/// How long work goes on before Python is asked for signals: that takes the GIL.
const PATIENCE: Duration = Duration::from_millis(50);

thread_local! {
    /// The exception that ends the work of this thread.
    static PENDING: RefCell<Option<PyErr>> = const { RefCell::new(None) };
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
    // What an outer work has pending is not ours; it could not have called us if it had.
    INSIDE.with_borrow_mut(|inside| inside.push(session));
    let outer_look = NEXT_LOOK.replace(Some(Instant::now() + PATIENCE));
    let result = py.detach(work);
    NEXT_LOOK.set(outer_look);
    INSIDE.with_borrow_mut(|inside| inside.pop());
    STOPPED.set(false);
    if let Some(error) = PENDING.take() {
        return Err(error);
    }
    Ok(result?)
}
