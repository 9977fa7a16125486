//! Results that are text: what a debugger prints, Markdown, SVG, HTML.

use std::ffi::OsString;
use std::path::PathBuf;

use pyo3::IntoPyObject;
use pyo3::prelude::*;
use verifier_core::{Completeness, Problem};
use verifier_host::write_file;

use crate::answer::{problems, told};
use crate::errors::Failure;
use crate::work::{self, Output};

/// Text with the problems that were met, on its way to Python.
pub(crate) struct Text {
    /// The class in `_documents.py`, which says how a notebook shows it.
    class: &'static str,
    bytes: Vec<u8>,
    problems: Vec<Problem>,
    answer: Completeness,
}

impl Text {
    pub(crate) fn new(class: &'static str, bytes: Vec<u8>, problems: &[Problem]) -> Self {
        let answer = Completeness::of(problems);
        Self { class, bytes, problems: problems.to_vec(), answer }
    }

    /// The same as the text of an answer that judges itself.
    pub(crate) fn part_of(self, answer: Completeness) -> Self {
        Self { answer, ..self }
    }

    /// What `write` writes; it gives the problems.
    pub(crate) fn write(
        class: &'static str,
        write: impl FnOnce(&mut Output) -> Result<Vec<Problem>, Failure>,
    ) -> Result<Self, Failure> {
        let mut out = Output::default();
        let problems = write(&mut out)?;
        Ok(Self::new(class, out.into_bytes(), &problems))
    }
}

impl<'py> IntoPyObject<'py> for Text {
    type Target = PyAny;
    type Output = Bound<'py, PyAny>;
    type Error = PyErr;

    fn into_pyobject(self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let text = String::from_utf8_lossy(&self.bytes);
        let class = py.import("verifier_py._documents")?.getattr(self.class)?;
        class.call1((text, problems(py, &self.problems)?, told(py, &self.answer)?))
    }
}

/// The text itself or, where it went into a file, the problems that were met.
pub(crate) fn to_path<'py>(
    py: Python<'py>,
    text: Text,
    path: Option<Path>,
) -> PyResult<Bound<'py, PyAny>> {
    let Some(Path(path)) = path else { return text.into_pyobject(py) };
    work::run(py, None, || Ok(write_file(&path, &text.bytes)?))?;
    Ok(problems(py, &text.problems)?.into_any())
}

/// Where a file is: `str`, `bytes`, or what has `__fspath__`.
pub(crate) struct Path(pub(crate) PathBuf);

impl<'py> FromPyObject<'_, 'py> for Path {
    type Error = PyErr;

    fn extract(value: Borrowed<'_, 'py, PyAny>) -> PyResult<Self> {
        let path = value.py().import("os")?.call_method1("fsdecode", (value,))?;
        Ok(Self(path.extract::<OsString>()?.into()))
    }
}
