//! Documents: `info()`, `settings()`, `flags()`.

use std::path::PathBuf;

use pyo3::prelude::*;
use pyo3::types::PyDict;
use serde::Serialize;
use verifier_core::Problem;
use verifier_core::render::to_snake_case;
use verifier_core::verifier::{FLAGS, Level, Modes, Settings};

use crate::answer::{conclude, problems};
use crate::document::Value;
use crate::errors::Failure;
use crate::table::Described;
use crate::views;

/// One name or several.
#[derive(FromPyObject)]
pub(crate) enum FlagNames {
    #[pyo3(transparent, annotation = "str")]
    One(String),
    #[pyo3(transparent, annotation = "Sequence[str]")]
    Several(Vec<String>),
}

/// What a level of `verifier /flags` means, or which level names make.
#[pyfunction]
#[pyo3(signature = (level=None, *, names=None))]
pub(crate) fn flags(
    py: Python<'_>,
    level: Option<u32>,
    names: Option<FlagNames>,
) -> PyResult<Bound<'_, PyAny>> {
    let names = match names {
        Some(FlagNames::One(name)) => vec![name],
        Some(FlagNames::Several(names)) => names,
        None => Vec::new(),
    };
    let named = Level::from_names(names.iter().map(String::as_str)).map_err(|name| {
        let known: Vec<&str> = FLAGS.iter().map(|flag| flag.name).collect();
        Failure::usage(format!("no flag is called {name:?}; known are: {}", known.join(", ")))
    })?;
    if level.is_none() && names.is_empty() {
        return Err(Failure::usage("flags() takes a level or names").into());
    }
    flag_table(py, Level(level.unwrap_or(0) | named.0))
}

fn flag_table(py: Python<'_>, level: Level) -> PyResult<Bound<'_, PyAny>> {
    #[derive(Serialize)]
    struct Facts {
        level: u32,
    }
    let table = views::flags(level)
        .and_then(|view| Described::new(view, "Flags", &Facts { level: level.0 }));
    table.map_err(Failure::from)?.into_pyobject(py)
}

/// `Settings` of `_documents.py`.
pub(crate) fn settings<'py>(
    py: Python<'py>,
    settings: &Settings,
    modes: &Modes,
    all: &[Problem],
) -> PyResult<Bound<'py, PyAny>> {
    let statistics = PyDict::new(py);
    for counter in &settings.statistics.0 {
        statistics.set_item(to_snake_case(&counter.name), counter.value)?;
    }
    py.import("verifier_py._documents")?.getattr("Settings")?.call1((
        settings.level.0,
        flag_table(py, settings.level)?,
        statistics,
        Value::of(modes).map_err(Failure::from)?,
        settings.address.0,
        problems(py, all)?,
    ))
}

/// `Info` of `_documents.py`: names of the JSON contract, addresses as numbers.
pub(crate) fn info<'py>(
    py: Python<'py>,
    path: Option<PathBuf>,
    document: Value,
    all: &[Problem],
) -> PyResult<Bound<'py, PyAny>> {
    let document = document.into_pyobject(py)?;
    if let Some(path) = path {
        // Not every path is text.
        document.set_item("path", path.as_os_str())?;
    }
    conclude(&document, all)?;
    py.import("verifier_py._documents")?.getattr("Info")?.call1((document,))
}
