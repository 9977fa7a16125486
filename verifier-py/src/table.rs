//! Tables: records of one view, frozen, as Python sequences and as Arrow streams.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use arrow_array::ffi_stream::FFI_ArrowArrayStream;
use arrow_array::{RecordBatch, RecordBatchIterator};
use arrow_schema::ffi::FFI_ArrowSchema;
use pyo3::exceptions::{PyIndexError, PyRuntimeError, PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyCapsule, PyList, PySlice, PyTuple};
use verifier_core::verifier::log::Ring;
use verifier_core::{Error, Problem};

use crate::arrow::{Column, batch};
use crate::html;
use crate::memory::type_name;
use crate::rows::{Form, Rows};

/// What a view gives: columns, the name of its records' class, and problems.
pub(crate) struct View {
    name: &'static str,
    record: Arc<str>,
    batch: RecordBatch,
    problems: Arc<[Problem]>,
}

impl View {
    pub(crate) fn new(
        name: &'static str,
        record: impl Into<Arc<str>>,
        columns: Vec<Column>,
        problems: Vec<Problem>,
    ) -> Result<Self, Error> {
        Ok(Self { name, record: record.into(), batch: batch(columns)?, problems: problems.into() })
    }
}

/// Records of one view: a frozen sequence of named tuples that is an Arrow table too.
///
/// Hand it to polars, pandas, pyarrow or duckdb as it is; they read its columns through the Arrow
/// PyCapsule interface without copying.
#[pyclass(frozen, subclass, generic, module = "verifier_py")]
pub(crate) struct Table {
    view: View,
    rows: PyOnceLock<Arc<Rows>>,
}

impl From<View> for Table {
    fn from(view: View) -> Self {
        Self { view, rows: PyOnceLock::new() }
    }
}

impl Table {
    fn rows(&self, py: Python<'_>) -> PyResult<&Arc<Rows>> {
        self.rows.get_or_try_init(py, || {
            Rows::new(py, &self.view.batch, &self.view.record).map(Arc::new)
        })
    }

    fn forms<'py>(&self, py: Python<'py>, form: Form) -> PyResult<Bound<'py, PyList>> {
        let rows = self.rows(py)?;
        let list = PyList::empty(py);
        for row in 0..rows.len() {
            list.append(rows.get(py, row, form)?)?;
        }
        Ok(list)
    }
}

#[pymethods]
impl Table {
    fn __len__(&self) -> usize {
        self.view.batch.num_rows()
    }

    fn __getitem__<'py>(&self, key: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        let py = key.py();
        let length = self.__len__();
        if let Ok(slice) = key.cast::<PySlice>() {
            let range = slice.indices(length.try_into()?)?;
            if range.step != 1 {
                return Err(PyValueError::new_err("a table can be sliced by step 1 only"));
            }
            let part = self.view.batch.slice(range.start.try_into()?, range.slicelength);
            let View { name, record, problems, .. } = &self.view;
            let (record, problems) = (Arc::clone(record), Arc::clone(problems));
            let view = View { name, record, batch: part, problems };
            return Ok(Bound::new(py, Table::from(view))?.into_any());
        }
        let Ok(index) = key.extract::<isize>() else {
            return Err(PyTypeError::new_err(format!(
                "a table's index is an integer or a slice, not {}",
                type_name(key)
            )));
        };
        let row =
            if index < 0 { length.checked_add_signed(index) } else { usize::try_from(index).ok() };
        match row.filter(|&row| row < length) {
            Some(row) => self.rows(py)?.get(py, row, Form::Records),
            None => Err(PyIndexError::new_err(format!("row {index} of {length}"))),
        }
    }

    fn __iter__(&self, py: Python<'_>) -> PyResult<RowIterator> {
        Ok(RowIterator { rows: Arc::clone(self.rows(py)?), next: AtomicUsize::new(0) })
    }

    fn __repr__(&self) -> String {
        let rows = self.view.batch.num_rows();
        let row = if rows == 1 { "row" } else { "rows" };
        match self.view.problems.len() {
            0 => format!("<{}: {rows} {row}>", self.view.name),
            1 => format!("<{}: {rows} {row}, 1 problem>", self.view.name),
            problems => format!("<{}: {rows} {row}, {problems} problems>", self.view.name),
        }
    }

    fn _repr_html_(&self) -> String {
        html::table(self.view.name, &self.view.batch, &self.view.problems)
    }

    /// The names of the columns.
    #[getter]
    fn columns<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        PyTuple::new(py, self.view.batch.schema_ref().fields().iter().map(|field| field.name()))
    }

    /// What could not be read or does not fit.
    #[getter]
    fn problems<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        problems(py, &self.view.problems)
    }

    /// The rows as dicts, nested values as dicts and lists.
    fn to_dicts<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        self.forms(py, Form::Dicts)
    }

    /// The Arrow schema: a capsule with an `ArrowSchema`.
    fn __arrow_c_schema__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyCapsule>> {
        let schema = FFI_ArrowSchema::try_from(&**self.view.batch.schema_ref())
            .map_err(|error| PyRuntimeError::new_err(error.to_string()))?;
        PyCapsule::new_with_value(py, schema, c"arrow_schema")
    }

    /// The rows: a capsule with an `ArrowArrayStream`. A schema that is asked for is not cast to,
    /// as the interface allows.
    #[pyo3(signature = (requested_schema=None))]
    fn __arrow_c_stream__<'py>(
        &self,
        py: Python<'py>,
        requested_schema: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyCapsule>> {
        let _ = requested_schema;
        let batch = self.view.batch.clone();
        let schema = batch.schema();
        let reader = RecordBatchIterator::new([Ok(batch)], schema);
        PyCapsule::new_with_value(
            py,
            FFI_ArrowArrayStream::new(Box::new(reader)),
            c"arrow_array_stream",
        )
    }
}

/// Problems as named tuples.
pub(crate) fn problems<'py>(
    py: Python<'py>,
    problems: &[Problem],
) -> PyResult<Bound<'py, PyTuple>> {
    let class = py.import("verifier_py._records")?.getattr("Problem")?;
    let problems = problems
        .iter()
        .map(|problem| class.call1((&problem.what, problem.address.map(|va| va.0), &problem.why)));
    PyTuple::new(py, problems.collect::<PyResult<Vec<_>>>()?)
}

#[pyclass(frozen, module = "verifier_py")]
struct RowIterator {
    rows: Arc<Rows>,
    next: AtomicUsize,
}

#[pymethods]
impl RowIterator {
    fn __iter__(this: PyRef<'_, Self>) -> PyRef<'_, Self> {
        this
    }

    fn __next__<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        let row = self.next.fetch_add(1, Ordering::Relaxed);
        if row >= self.rows.len() {
            self.next.store(self.rows.len(), Ordering::Relaxed);
            return Ok(None);
        }
        self.rows.get(py, row, Form::Records).map(Some)
    }
}

/// A log of recent events, newest first, with what is known of its ring.
#[pyclass(frozen, extends = Table, generic, module = "verifier_py")]
pub(crate) struct Log {
    /// Which log it is.
    #[pyo3(get)]
    kind: &'static str,
    /// Records that it has room for.
    #[pyo3(get)]
    capacity: u32,
    /// Records written so far, modulo 2^32.
    #[pyo3(get)]
    written: u32,
    /// Whether records were overwritten, where that can be told.
    #[pyo3(get)]
    wrapped: Option<bool>,
    /// Slots that hold no record.
    #[pyo3(get)]
    unused: u32,
    /// Why it is empty, where it is so by design.
    #[pyo3(get)]
    empty_because: Option<&'static str>,
}

impl Log {
    pub(crate) fn new(
        kind: &'static str,
        ring: &Ring,
        wrapped: Option<bool>,
        unused: u32,
        empty_because: Option<&'static str>,
    ) -> Self {
        Self { kind, capacity: ring.length, written: ring.index, wrapped, unused, empty_because }
    }
}

/// The flags of a level of Verifier.
#[pyclass(frozen, extends = Table, module = "verifier_py")]
pub(crate) struct Flags {
    /// The level: all bits.
    #[pyo3(get)]
    pub(crate) level: u32,
}
