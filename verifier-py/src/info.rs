//! Documents: `info()`, `settings()`, `flags()`.

use pyo3::prelude::*;
use pyo3::types::PyDict;
use verifier_core::Problem;
use verifier_core::render::to_snake_case;
use verifier_core::verifier::{FLAGS, Level, Modes, Settings};
use verifier_host::info::Info;

use crate::document::to_python;
use crate::errors::Failure;
use crate::table::{Flags, Table, problems};
use crate::views;

/// What a level of `verifier /flags` means, or which level names make.
#[pyfunction]
#[pyo3(signature = (level=None, *, names=None))]
pub(crate) fn flags(
    py: Python<'_>,
    level: Option<u32>,
    names: Option<Vec<String>>,
) -> PyResult<Py<Flags>> {
    let names = names.unwrap_or_default();
    let named = Level::from_names(names.iter().map(String::as_str)).map_err(|name| {
        let known: Vec<&str> = FLAGS.iter().map(|flag| flag.name).collect();
        Failure::usage(format!("no flag is called {name:?}; known are: {}", known.join(", ")))
    })?;
    if level.is_none() && names.is_empty() {
        return Err(Failure::usage("flags() takes a level or names").into());
    }
    flag_table(py, Level(level.unwrap_or(0) | named.0))
}

fn flag_table(py: Python<'_>, level: Level) -> PyResult<Py<Flags>> {
    let table = Table::from(views::flags(level).map_err(Failure::from)?);
    let flags = Flags { level: level.0 };
    Py::new(py, PyClassInitializer::from(table).add_subclass(flags))
}

/// `Settings` of `_records.py`.
pub(crate) fn settings<'py>(
    py: Python<'py>,
    settings: &Settings,
    modes: &Modes,
) -> PyResult<Bound<'py, PyAny>> {
    let all: Vec<Problem> = settings.problems.iter().chain(&modes.problems).cloned().collect();
    let statistics = PyDict::new(py);
    for counter in &settings.statistics.0 {
        statistics.set_item(to_snake_case(&counter.name), counter.value)?;
    }
    py.import("verifier_py._records")?.getattr("Settings")?.call1((
        settings.level.0,
        flag_table(py, settings.level)?,
        statistics,
        to_python(py, modes)?,
        settings.address.0,
        problems(py, &all)?,
    ))
}

/// `Info` of `_records.py`: names of the JSON contract, addresses as numbers.
pub(crate) fn info<'py>(py: Python<'py>, info: &Info) -> PyResult<Bound<'py, PyAny>> {
    let document = to_python(py, info)?;
    if let Some(file) = &info.file {
        // Not every path is text.
        document.set_item("path", file.path.as_os_str())?;
    }
    document.set_item("problems", problems(py, &info.problems)?)?;
    py.import("verifier_py._records")?.getattr("Info")?.call1((document,))
}
