//! Errors of Rust as exceptions of Python.
//!
//! The classes are in `python/verifier_py/_errors.py`, where they can have two parents and typed
//! attributes.

use pyo3::exceptions::PyOSError;
use pyo3::prelude::*;
use pyo3::types::{IntoPyDict, PyDict};
use verifier_core::{Error as CoreError, Fault, Reason};
use verifier_host::symbols::PathError;
use verifier_host::{Error as HostError, Session};

/// Any error of the Rust side on its way to Python.
#[derive(Debug)]
pub(crate) struct Failure {
    error: HostError,
    /// What to say instead of the error's own text.
    text: Option<String>,
}

impl Failure {
    /// The same; where the kernel's symbols are what is missing, with the places that were searched.
    pub(crate) fn explained(mut self, session: &Session) -> Self {
        if matches!(self.error, HostError::Core(CoreError::NoKernelSymbols { .. })) {
            self.text = session.missing_kernel_symbols();
        }
        self
    }

    /// An argument that makes no sense.
    pub(crate) fn usage(text: impl Into<String>) -> Self {
        HostError::Usage(text.into()).into()
    }

    /// As an exception. `absent` is what a reader raised last, with its text: where the failure is for
    /// that, it is the exception's cause.
    pub(crate) fn raised(self, py: Python<'_>, absent: Option<(String, PyErr)>) -> PyErr {
        let reason = match &self.error {
            HostError::Core(CoreError::Read { fault, .. }) => said(&fault.reason).map(String::from),
            _ => None,
        };
        let error = PyErr::from(self);
        if let (Some(reason), Some((text, cause))) = (reason, absent)
            && reason == text
        {
            error.set_cause(py, Some(cause));
        }
        error
    }
}

/// What a reader said, of the bytes or of a page table on the way to them.
fn said(reason: &Reason) -> Option<&str> {
    match reason {
        Reason::Reader(text) => Some(text),
        Reason::Table { cause, .. } => said(cause),
        _ => None,
    }
}

impl From<HostError> for Failure {
    fn from(error: HostError) -> Self {
        Self { error, text: None }
    }
}

impl From<CoreError> for Failure {
    fn from(error: CoreError) -> Self {
        HostError::from(error).into()
    }
}

impl From<PathError> for Failure {
    fn from(error: PathError) -> Self {
        HostError::from(error).into()
    }
}

impl From<Failure> for PyErr {
    fn from(failure: Failure) -> PyErr {
        Python::attach(|py| {
            let text = failure.text.unwrap_or_else(|| failure.error.to_string());
            raise(py, &failure.error, text).unwrap_or_else(|broken| broken)
        })
    }
}

fn raise(py: Python<'_>, error: &HostError, text: String) -> PyResult<PyErr> {
    let none = || py.None().into_bound(py);
    let (class, attributes) = match error {
        HostError::File { path, why } => return os_error(py, path, why),
        HostError::Output(why) => return Ok(PyOSError::new_err(why.to_string())),
        HostError::SymbolPath(_) | HostError::Usage(_) => ("UsageError", PyDict::new(py)),
        HostError::Core(error) => match error {
            CoreError::Read { fault, .. } => (
                "FaultError",
                [
                    ("address", fault.address.into_pyobject(py)?.into_any()),
                    ("level", level(fault).into_pyobject(py)?.into_any()),
                ]
                .into_py_dict(py)?,
            ),
            CoreError::Format { offset, .. } => {
                ("FormatError", [("offset", offset)].into_py_dict(py)?)
            }
            CoreError::Malformed { address, .. } => {
                ("FormatError", [("address", address.0)].into_py_dict(py)?)
            }
            CoreError::Symbols { .. } => ("FormatError", PyDict::new(py)),
            CoreError::MissingType { name } => (
                "MissingType",
                [("type", name.into_pyobject(py)?.into_any()), ("field", none())]
                    .into_py_dict(py)?,
            ),
            CoreError::MissingField { type_name, path } => {
                ("MissingType", [("type", type_name), ("field", path)].into_py_dict(py)?)
            }
            CoreError::MissingSymbol { name } | CoreError::UnknownGlobal { name, .. } => {
                ("MissingSymbol", [("name", name)].into_py_dict(py)?)
            }
            CoreError::NoKernelSymbols { pdb, .. } => {
                let attributes = PyDict::new(py);
                if let Some(pdb) = pdb {
                    attributes.set_item("name", &pdb.name)?;
                    attributes.set_item("guid", pdb.guid_hex())?;
                    attributes.set_item("age", pdb.age)?;
                }
                ("SymbolsMissing", attributes)
            }
            _ => ("VerifierError", PyDict::new(py)),
        },
        _ => ("VerifierError", PyDict::new(py)),
    };
    let class = py.import("verifier_py._errors")?.getattr(class)?;
    Ok(PyErr::from_value(class.call((text,), Some(&attributes))?))
}

/// The level of the page table at which a translation ended.
fn level(fault: &Fault) -> Option<u8> {
    match fault.reason {
        Reason::NotPresent { level, .. } | Reason::Table { level, .. } => Some(level),
        _ => None,
    }
}

fn os_error(py: Python<'_>, path: &std::path::Path, why: &std::io::Error) -> PyResult<PyErr> {
    let number = why.raw_os_error().or(match why.kind() {
        // The one that the host makes itself.
        std::io::ErrorKind::IsADirectory => py.import("errno")?.getattr("EISDIR")?.extract()?,
        _ => None,
    });
    let Some(number) = number else {
        return Ok(PyOSError::new_err(format!("{}: {why}", path.display())));
    };
    let text = py.import("os")?.call_method1("strerror", (number,))?;
    // `OSError` itself picks FileNotFoundError, PermissionError … by the number.
    let class = py.get_type::<PyOSError>();
    Ok(PyErr::from_value(class.call1((number, text, path.as_os_str()))?))
}
