//! Results that are text: what a debugger prints, Markdown, SVG, HTML.

use std::path::PathBuf;

use pyo3::IntoPyObject;
use pyo3::prelude::*;
use verifier_core::Problem;
use verifier_host::write_file;

use crate::table::problems;
use crate::work;

/// Text with the problems that were met, on its way to Python.
pub(crate) struct Text {
    /// The class in `_records.py`, which says how a notebook shows it.
    class: &'static str,
    bytes: Vec<u8>,
    problems: Vec<Problem>,
}

impl Text {
    pub(crate) fn new(class: &'static str, bytes: Vec<u8>, problems: &[Problem]) -> Self {
        Self { class, bytes, problems: problems.to_vec() }
    }
}

impl<'py> IntoPyObject<'py> for Text {
    type Target = PyAny;
    type Output = Bound<'py, PyAny>;
    type Error = PyErr;

    fn into_pyobject(self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let text = String::from_utf8_lossy(&self.bytes);
        let class = py.import("verifier_py._records")?.getattr(self.class)?;
        class.call1((text, problems(py, &self.problems)?))
    }
}

/// The text itself, or `None` where it went into a file.
pub(crate) fn to_path(py: Python<'_>, text: Text, path: Option<PathBuf>) -> PyResult<Option<Text>> {
    let Some(path) = path else { return Ok(Some(text)) };
    work::run(py, None, || Ok(write_file(&path, &text.bytes)?))?;
    Ok(None)
}
