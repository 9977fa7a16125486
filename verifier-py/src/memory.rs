//! Memory that a Python object reads.

use std::marker::PhantomData;
use std::sync::Arc;

use pyo3::exceptions::{PyException, PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyMemoryView, PyString};
use verifier_core::addr::Address;
use verifier_core::memory::{Memory, Residence};
use verifier_core::{Fault, Reason};

use crate::work;

/// Memory that `object.read(address, size) -> bytes` reads.
///
/// An `Exception` means that the bytes are absent. A `BaseException` that is not an `Exception` (Ctrl-C), or
/// a result that breaks the contract, ends the work: see [`work::stop`].
pub(crate) struct CallbackMemory<A> {
    read: Py<PyAny>,
    address: PhantomData<fn(A)>,
}

impl<A: Address> CallbackMemory<A> {
    /// Memory that the method `read` of `object` reads.
    pub(crate) fn over(object: &Bound<'_, PyAny>) -> PyResult<Arc<dyn Memory<A>>> {
        let read = object.getattr("read").ok().filter(|read| read.is_callable());
        let read = read.ok_or_else(|| {
            PyTypeError::new_err(format!(
                "memory must be an object with a method read(address, size) -> bytes, not {}",
                type_name(object)
            ))
        })?;
        Ok(Arc::new(Self { read: read.unbind(), address: PhantomData }))
    }
}

impl<A: Address> Memory<A> for CallbackMemory<A> {
    fn read_in_page(&self, at: A, buf: &mut [u8]) -> Result<Residence, Fault> {
        let fault = |reason| Fault { space: A::SPACE, address: at.raw(), done: 0, reason };
        // If the reader is not Python code, nothing else checks for Ctrl-C while a kernel is opened.
        if work::is_interrupted() {
            return Err(fault(Reason::Reader("reading was interrupted".into())));
        }
        Python::attach(|py| {
            let error = match self.read.bind(py).call1((at.raw(), buf.len())) {
                Ok(value) => match copy(&value, at.raw(), buf) {
                    Ok(()) => return Ok(Residence::Valid),
                    Err(broken) => {
                        work::stop(broken.clone_ref(py));
                        broken
                    }
                },
                Err(error) => {
                    if !error.is_instance_of::<PyException>(py) {
                        work::stop(error.clone_ref(py));
                    }
                    error
                }
            };
            let text = error.to_string();
            work::absent(&text, error);
            Err(fault(Reason::Reader(text.into())))
        })
    }
}

fn copy(value: &Bound<'_, PyAny>, at: u64, buf: &mut [u8]) -> PyResult<()> {
    let Some(held) = bytes_of(value) else {
        return Err(PyTypeError::new_err(format!(
            "memory.read({at:#x}, {}) returned {}, not bytes; raise an exception for \
             absent bytes",
            buf.len(),
            type_name(value)
        )));
    };
    let bytes = held.as_bytes();
    if bytes.len() != buf.len() {
        return Err(PyValueError::new_err(format!(
            "memory.read({at:#x}, {}) returned {} bytes; raise an exception for absent bytes",
            buf.len(),
            bytes.len()
        )));
    }
    buf.copy_from_slice(bytes);
    Ok(())
}

/// The bytes of an object with a buffer: `bytes`, `bytearray`, `memoryview`, an array.
pub(crate) fn bytes_of<'py>(value: &Bound<'py, PyAny>) -> Option<Bound<'py, PyBytes>> {
    if let Ok(bytes) = value.cast::<PyBytes>() {
        return Some(bytes.clone());
    }
    PyMemoryView::from(value).ok()?.call_method0("tobytes").ok()?.cast_into().ok()
}

/// The name of an object's class.
pub(crate) fn type_name(value: &Bound<'_, PyAny>) -> String {
    let name = value.get_type().name().and_then(|name: Bound<'_, PyString>| name.extract());
    name.unwrap_or_else(|_| "?".into())
}
