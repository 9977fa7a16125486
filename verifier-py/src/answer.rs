//! What an answer says of itself: its problems, and whether it is complete.

use std::collections::HashMap;

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};
use verifier_core::{Completeness, Extent, Problem, Va};

/// A `Problem` of `_records.py`: what, address, why, and what it leaves of the answer.
pub(crate) type ProblemTuple = (String, Option<u64>, String, String);

/// Problems as named tuples.
pub(crate) fn problems<'py>(
    py: Python<'py>,
    problems: &[Problem],
) -> PyResult<Bound<'py, PyTuple>> {
    let class = py.import("verifier_py._records")?.getattr("Problem")?;
    let problems = problems.iter().map(|problem| {
        let address = problem.address.map(|va| va.0);
        class.call1((&problem.what, address, &problem.why, problem.leaves.name()))
    });
    PyTuple::new(py, problems.collect::<PyResult<Vec<_>>>()?)
}

/// A problem out of its named tuple.
pub(crate) fn problem((what, address, why, leaves): ProblemTuple) -> PyResult<Problem> {
    let problem = match address {
        Some(address) => Problem::at(what, Va(address), why),
        None => Problem::new(what, why),
    };
    Ok(match extent(&leaves)? {
        Extent::Complete => problem.remark(),
        Extent::AtLeast => problem,
        Extent::Unknown => problem.unknown(),
    })
}

/// An extent by its name.
pub(crate) fn extent(name: &str) -> PyResult<Extent> {
    let all = [Extent::Complete, Extent::AtLeast, Extent::Unknown];
    let wrong = || PyValueError::new_err(format!("{name:?} is not the extent of an answer"));
    all.into_iter().find(|extent| extent.name() == name).ok_or_else(wrong)
}

/// What a text ends with if the answer is not complete.
pub(crate) fn note(extent: Extent) -> &'static str {
    match extent {
        Extent::Complete => "",
        Extent::AtLeast => "; not complete",
        Extent::Unknown => "; the answer is unknown",
    }
}

/// Puts into a document what each ends with: whether its answer is complete, and its problems.
pub(crate) fn conclude(document: &Bound<'_, PyAny>, all: &[Problem]) -> PyResult<()> {
    let py = document.py();
    let answer = Completeness::of(all);
    document.set_item("complete", answer.is_complete())?;
    document.set_item("extent", answer.extent.name())?;
    document.set_item("incomplete_because", PyTuple::new(py, &answer.because)?)?;
    document.set_item("problems", problems(py, all)?)
}

/// What an Arrow schema says of the answer: `complete`, `extent`, and the reasons as a JSON list.
pub(crate) fn metadata(answer: &Completeness) -> HashMap<String, String> {
    // A list of texts always has a form in JSON.
    let because = serde_json::to_string(&answer.because).unwrap_or_default();
    HashMap::from([
        ("complete".into(), answer.is_complete().to_string()),
        ("extent".into(), answer.extent.name().into()),
        ("incomplete_because".into(), because),
    ])
}

/// `IncompleteError` of an answer that is not complete.
pub(crate) fn require(py: Python<'_>, answer: &Completeness) -> PyResult<()> {
    if answer.is_complete() {
        return Ok(());
    }
    let kind = match answer.extent {
        Extent::Unknown => "the answer is unknown",
        _ => "the answer is not complete",
    };
    let mut text = format!("{kind}: {}", answer.because.first().map_or("", String::as_str));
    if answer.because.len() > 1 {
        text.push_str(&format!(" (reasons: {})", answer.because.len()));
    }
    let class = py.import("verifier_py._errors")?.getattr("IncompleteError")?;
    let attributes = PyDict::new(py);
    attributes.set_item("extent", answer.extent.name())?;
    attributes.set_item("because", PyTuple::new(py, &answer.because)?)?;
    Err(PyErr::from_value(class.call((text,), Some(&attributes))?))
}

/// An extent's name and reasons out of Python.
pub(crate) fn answer((name, because): (String, Vec<String>)) -> PyResult<Completeness> {
    let mut answer = Completeness::default();
    (answer.extent, answer.because) = (extent(&name)?, because);
    Ok(answer)
}

/// An extent's name and reasons for Python.
pub(crate) fn told<'py>(
    py: Python<'py>,
    answer: &Completeness,
) -> PyResult<(&'static str, Bound<'py, PyTuple>)> {
    Ok((answer.extent.name(), PyTuple::new(py, &answer.because)?))
}

/// How much of an answer with these problems is there, and why not all.
#[pyfunction]
pub(crate) fn _completeness(
    py: Python<'_>,
    problems: Vec<ProblemTuple>,
) -> PyResult<(&'static str, Bound<'_, PyTuple>)> {
    let problems: Vec<Problem> = problems.into_iter().map(problem).collect::<PyResult<_>>()?;
    told(py, &Completeness::of(&problems))
}

/// Raises `IncompleteError` if such an answer is not complete.
#[pyfunction]
pub(crate) fn _require_complete(py: Python<'_>, answer: (String, Vec<String>)) -> PyResult<()> {
    require(py, &self::answer(answer)?)
}

/// What the text of such an answer ends with.
#[pyfunction]
pub(crate) fn _note(name: &str) -> PyResult<&'static str> {
    extent(name).map(note)
}
