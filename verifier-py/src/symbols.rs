//! The arguments `symbols=` and `progress=`.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Mutex;
use std::thread::{ThreadId, current};

use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList, PyString, PyTuple};
use verifier_host::Progress;
use verifier_host::symbols::SymbolPath;

use crate::errors::Failure;
use crate::memory::{bytes_of, type_name};
use crate::work;

/// The places of symbols, and the kernel's symbols as bytes.
pub(crate) struct Symbols {
    pub(crate) path: SymbolPath,
    pub(crate) kernel: Vec<Vec<u8>>,
}

impl Symbols {
    /// `None` is `_NT_SYMBOL_PATH`; a `str` has that variable's syntax; a path is itself; `bytes` are
    /// the kernel's PDB or ISF table, a dict is its ISF table; a list or tuple has any of these.
    pub(crate) fn from_python(symbols: Option<&Bound<'_, PyAny>>) -> PyResult<Self> {
        let mut this = Self { path: SymbolPath::new(), kernel: Vec::new() };
        match symbols {
            None => this.path = SymbolPath::from_env().map_err(Failure::from)?,
            Some(symbols)
                if symbols.is_instance_of::<PyList>() || symbols.is_instance_of::<PyTuple>() =>
            {
                for element in symbols.try_iter()? {
                    this.push(&element?)?;
                }
            }
            Some(symbols) => this.push(symbols)?,
        }
        Ok(this)
    }

    fn push(&mut self, element: &Bound<'_, PyAny>) -> PyResult<()> {
        if let Ok(text) = element.cast::<PyString>() {
            self.path.push(text.to_cow()?.as_ref()).map_err(Failure::from)?;
        } else if let Some(bytes) = bytes_of(element) {
            self.kernel.push(bytes.as_bytes().to_vec());
        } else if element.is_instance_of::<PyDict>() {
            let json = element.py().import("json")?.call_method1("dumps", (element,))?;
            self.kernel.push(json.extract::<String>()?.into_bytes());
        } else if let Ok(path) = element.extract::<PathBuf>() {
            self.path.push_plain(path);
        } else {
            return Err(PyTypeError::new_err(format!(
                "symbols must be a symbol path, a path, bytes, an ISF table as a dict, or a list of \
                 these, not {}",
                type_name(element)
            )));
        }
        Ok(())
    }
}

/// Checks for signals during work, and reports the progress to a callable:
/// `progress(what, done, total)`.
pub(crate) struct CallbackProgress {
    callable: Option<Py<PyAny>>,
    /// The current work of each thread, and its total.
    stages: Mutex<HashMap<ThreadId, (String, Option<u64>)>>,
}

impl CallbackProgress {
    pub(crate) fn new(callable: Option<&Bound<'_, PyAny>>) -> PyResult<Self> {
        if let Some(wrong) = callable.filter(|callable| !callable.is_callable()) {
            return Err(PyTypeError::new_err(format!(
                "progress must be callable as progress(what, done, total), not {}",
                type_name(wrong)
            )));
        }
        Ok(Self {
            callable: callable.map(|callable| callable.clone().unbind()),
            stages: Mutex::default(),
        })
    }

    fn tell(&self, done: u64) {
        let Some(callable) = &self.callable else { return };
        if work::is_stopped() {
            return;
        }
        let stage = self.stages.lock().ok().and_then(|all| all.get(&current().id()).cloned());
        let Some((what, total)) = stage else { return };
        Python::attach(|py| {
            if let Err(error) = callable.call1(py, (what, done, total)) {
                work::stop(error);
            }
        });
    }
}

impl Progress for CallbackProgress {
    fn begin(&self, what: &str, total: Option<u64>) {
        if let Ok(mut stages) = self.stages.lock() {
            stages.insert(current().id(), (what.into(), total));
        }
        self.tell(0);
    }

    fn advance(&self, done: u64) {
        self.tell(done);
    }

    fn end(&self) {
        if let Ok(mut stages) = self.stages.lock() {
            stages.remove(&current().id());
        }
    }

    fn is_canceled(&self) -> bool {
        work::is_interrupted()
    }
}
