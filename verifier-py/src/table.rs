//! Tables: records of one view, frozen, as Python sequences and as Arrow streams.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Instant;

use arrow_array::ffi_stream::FFI_ArrowArrayStream;
use arrow_array::{RecordBatch, RecordBatchIterator};
use arrow_schema::Schema;
use arrow_schema::ffi::FFI_ArrowSchema;
use pyo3::exceptions::{PyIndexError, PyOverflowError, PyRuntimeError, PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyCapsule, PyDict, PyList, PySlice, PyTuple};
use serde::Serialize;
use verifier_core::{Completeness, Error, Problem};

use crate::answer::{self, ProblemTuple, problems};
use crate::arrow::{Column, batch, gather};
use crate::document::Value;
use crate::memory::type_name;
use crate::rows::{Form, Rows};
use crate::{html, pickle};

/// Rows that become Python values between two checks of signals and other threads.
const STRETCH: usize = 1 << 10;
/// Milliseconds between two times that other threads are let run.
const GIVE_WAY: u64 = 10;

/// What a view gives: columns, the name of its records' class, and problems.
#[derive(Clone)]
pub(crate) struct View {
    name: Arc<str>,
    record: Arc<str>,
    batch: RecordBatch,
    problems: Arc<[Problem]>,
    /// Whether the answer that it is, or is a part of, is complete.
    answer: Arc<Completeness>,
    /// Why there is nothing, where there is nothing.
    empty_because: Option<Arc<str>>,
}

impl View {
    pub(crate) fn new(
        name: &str,
        record: impl Into<Arc<str>>,
        columns: Vec<Column>,
        problems: Vec<Problem>,
    ) -> Result<Self, Error> {
        Ok(Self {
            name: name.into(),
            record: record.into(),
            batch: batch(columns)?,
            answer: Completeness::of(&problems).into(),
            problems: problems.into(),
            empty_because: None,
        })
    }

    /// The same as a part of an answer that says elsewhere what its problems are.
    pub(crate) fn part_of(self, answer: Completeness) -> Self {
        Self { answer: answer.into(), ..self }
    }

    /// The same, which says why it is empty, where it is.
    pub(crate) fn empty_because(mut self, why: Option<&str>) -> Self {
        self.empty_because = why.filter(|_| self.batch.num_rows() == 0).map(Arc::from);
        self
    }
}

/// A table on its way to Python that has facts about all of it.
pub(crate) struct Described {
    view: View,
    /// The class in `_tables.py`.
    class: &'static str,
    facts: Value,
}

impl Described {
    pub(crate) fn new(
        view: View,
        class: &'static str,
        facts: &impl Serialize,
    ) -> Result<Self, Error> {
        Ok(Self { view, class, facts: Value::of(facts)? })
    }
}

impl<'py> IntoPyObject<'py> for Described {
    type Target = PyAny;
    type Output = Bound<'py, PyAny>;
    type Error = PyErr;

    fn into_pyobject(self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let table = Bound::new(py, Table::from(self.view))?;
        let class = py.import("verifier_py._tables")?.getattr(self.class)?;
        let facts = self.facts.into_pyobject(py)?.cast_into::<PyDict>()?;
        class.call((table,), Some(&facts))
    }
}

/// Records of one view: a frozen sequence of named tuples, and also an Arrow table.
///
/// Pass it directly to polars, pandas, pyarrow or duckdb; they read its columns through the Arrow PyCapsule
/// interface without copying. Two tables are equal if class, columns, rows and problems are equal.
/// `Table(other)` has the same rows without the further facts of a derived class.
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

    /// Calls `each` with every row from `start` to `end`, as long as it says true.
    fn each_record(
        &self,
        py: Python<'_>,
        (start, end): (usize, usize),
        form: Form,
        mut each: impl FnMut(usize, Bound<'_, PyAny>) -> PyResult<bool>,
    ) -> PyResult<()> {
        let rows = self.rows(py)?;
        let pauses = Pauses::new();
        for row in start..end.min(rows.len()) {
            pauses.pause(py, row)?;
            if !each(row, rows.get(py, row, form)?)? {
                break;
            }
        }
        Ok(())
    }

    fn part(&self, batch: RecordBatch) -> View {
        View { batch, ..self.view.clone() }
    }

    /// The rows with a schema that says whether they are the whole answer.
    fn exported(&self) -> PyResult<RecordBatch> {
        let schema = Schema::clone(self.view.batch.schema_ref());
        let schema = schema.with_metadata(answer::metadata(&self.view.answer));
        let batch = self.view.batch.clone().with_schema(Arc::new(schema));
        batch.map_err(|error| PyRuntimeError::new_err(error.to_string()))
    }
}

/// Handles signals (Ctrl-C) and lets other threads run while rows become Python values.
struct Pauses {
    begun: Instant,
    /// When other threads were let run last, in milliseconds since then.
    given_way: AtomicU64,
}

impl Pauses {
    fn new() -> Self {
        Self { begun: Instant::now(), given_way: AtomicU64::new(0) }
    }

    fn pause(&self, py: Python<'_>, row: usize) -> PyResult<()> {
        if row % STRETCH != STRETCH - 1 {
            return Ok(());
        }
        // A thread that waits for the GIL gets it once it has waited for the interpreter's switch interval,
        // 5 ms, without a wake-up: to give the GIL up and take it again more often would starve it.
        let now = u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        if now >= self.given_way.load(Ordering::Relaxed).saturating_add(GIVE_WAY) {
            self.given_way.store(now, Ordering::Relaxed);
            py.detach(|| ());
        }
        py.check_signals()
    }
}

#[pymethods]
impl Table {
    #[new]
    #[pyo3(signature = (table, /, **_facts))]
    fn copy(table: PyRef<'_, Self>, _facts: Option<&Bound<'_, PyDict>>) -> Self {
        table.view.clone().into()
    }

    fn __len__(&self) -> usize {
        self.view.batch.num_rows()
    }

    fn __getitem__<'py>(&self, key: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        let py = key.py();
        let length = self.__len__();
        if let Ok(slice) = key.cast::<PySlice>() {
            let range = slice.indices(length.try_into()?)?;
            let batch = if range.step == 1 {
                self.view.batch.slice(range.start.try_into()?, range.slicelength)
            } else {
                let row = |i: usize| range.start + isize::try_from(i).unwrap_or(0) * range.step;
                let rows = (0..range.slicelength).map(|i| usize::try_from(row(i)).unwrap_or(0));
                gather(&self.view.batch, rows)
                    .map_err(|error| PyRuntimeError::new_err(error.to_string()))?
            };
            return Ok(Bound::new(py, Table::from(self.part(batch)))?.into_any());
        }
        let out_of_range = || PyIndexError::new_err(format!("row {key} of {length}"));
        let index = match key.extract::<isize>() {
            Ok(index) => index,
            Err(error) if error.is_instance_of::<PyOverflowError>(py) => return Err(out_of_range()),
            Err(_) => {
                return Err(PyTypeError::new_err(format!(
                    "a table's index is an integer or a slice, not {}",
                    type_name(key)
                )));
            }
        };
        let row =
            if index < 0 { length.checked_add_signed(index) } else { usize::try_from(index).ok() };
        match row.filter(|&row| row < length) {
            Some(row) => self.rows(py)?.get(py, row, Form::Records),
            None => Err(out_of_range()),
        }
    }

    fn __iter__(&self, py: Python<'_>) -> PyResult<RowIterator> {
        Ok(RowIterator {
            pauses: Pauses::new(),
            rows: Arc::clone(self.rows(py)?),
            next: AtomicUsize::new(0),
            backward: false,
        })
    }

    fn __reversed__(&self, py: Python<'_>) -> PyResult<RowIterator> {
        Ok(RowIterator { backward: true, ..self.__iter__(py)? })
    }

    /// The index of the first row that is equal to `value`, from `start` on and before `stop`.
    ///
    /// Raises `ValueError` if there is none.
    #[pyo3(signature = (value, start=0, stop=isize::MAX, /))]
    fn index(&self, value: &Bound<'_, PyAny>, start: isize, stop: isize) -> PyResult<usize> {
        let length = self.__len__();
        let from_end = |index: isize| match usize::try_from(index) {
            Ok(index) => index,
            Err(_) => length.saturating_add_signed(index),
        };
        let mut found = None;
        let range = (from_end(start), from_end(stop));
        self.each_record(value.py(), range, Form::Records, |row, record| {
            found = record.eq(value)?.then_some(row);
            Ok(found.is_none())
        })?;
        found.ok_or_else(|| PyValueError::new_err("no row is equal to it"))
    }

    /// The number of rows that are equal to `value`.
    #[pyo3(signature = (value, /))]
    fn count(&self, value: &Bound<'_, PyAny>) -> PyResult<usize> {
        let mut count = 0;
        self.each_record(value.py(), (0, usize::MAX), Form::Records, |_, record| {
            count += usize::from(record.eq(value)?);
            Ok(true)
        })?;
        Ok(count)
    }

    fn __eq__<'py>(this: &Bound<'py, Self>, other: &Bound<'py, PyAny>) -> PyResult<Py<PyAny>> {
        let py = this.py();
        let Ok(theirs) = other.cast::<Self>() else { return Ok(py.NotImplemented()) };
        let is_same = this.get_type().is(other.get_type()) && {
            let (one, two) = (&this.get().view, &theirs.get().view);
            // Long tables take their time.
            py.detach(|| {
                one.record == two.record
                    && one.problems == two.problems
                    && one.answer == two.answer
                    && one.batch.num_rows() == two.batch.num_rows()
                    && one.batch == two.batch
            })
        };
        Ok(is_same.into_pyobject(py)?.to_owned().into_any().unbind())
    }

    /// Of what is cheap: equal tables have equal ones.
    fn __hash__(&self) -> u64 {
        use std::hash::{DefaultHasher, Hash as _, Hasher as _};
        let mut hasher = DefaultHasher::new();
        (&self.view.record, self.__len__(), self.view.problems.len()).hash(&mut hasher);
        hasher.finish()
    }

    fn __reduce__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let restore = py.import("verifier_py._verifier_py")?.getattr("_restore")?;
        let View { name, record, batch, empty_because, answer, .. } = &self.view;
        let state = (
            &**name,
            &**record,
            batch.num_rows(),
            pickle::columns(py, batch)?,
            self.problems(py)?,
            empty_because.as_deref(),
            answer::told(py, answer)?,
        );
        Ok((restore, state).into_pyobject(py)?.into_any())
    }

    fn __repr__(&self) -> String {
        let rows = self.view.batch.num_rows();
        let row = if rows == 1 { "row" } else { "rows" };
        let mut text = format!("<{}: {rows} {row}", self.view.name);
        match self.view.problems.len() {
            0 => {}
            1 => text.push_str(", 1 problem"),
            problems => text.push_str(&format!(", {problems} problems")),
        }
        if let Some(why) = &self.view.empty_because {
            text.push_str(&format!("; {why}"));
        }
        text + answer::note(self.view.answer.extent) + ">"
    }

    fn _repr_html_(&self) -> String {
        let View { name, batch, problems, empty_because, answer, .. } = &self.view;
        html::table(name, batch, problems, empty_because.as_deref(), answer.extent)
    }

    /// The names of the columns.
    #[getter]
    fn columns<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        PyTuple::new(py, self.view.batch.schema_ref().fields().iter().map(|field| field.name()))
    }

    /// The data that could not be read or do not fit, and the modules without symbols.
    #[getter]
    fn problems<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        problems(py, &self.view.problems)
    }

    /// Whether the rows are the whole answer: all data that lead to it were read, and nothing contradicts it.
    #[getter]
    fn complete(&self) -> bool {
        self.view.answer.is_complete()
    }

    /// How far the rows can be trusted: `complete`; `at least`, if more may exist; `unknown`, if nothing
    /// supports them.
    #[getter]
    fn extent(&self) -> &'static str {
        self.view.answer.extent.name()
    }

    /// Why the answer is not complete, the most serious reason first; empty if it is complete.
    #[getter]
    fn incomplete_because<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        PyTuple::new(py, &self.view.answer.because)
    }

    /// Returns the table if the answer is complete, else raises `IncompleteError`.
    fn require_complete(this: PyRef<'_, Self>) -> PyResult<PyRef<'_, Self>> {
        answer::require(this.py(), &this.view.answer)?;
        Ok(this)
    }

    /// The rows as dicts, nested values as dicts and lists.
    fn to_dicts<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        let list = PyList::empty(py);
        self.each_record(py, (0, usize::MAX), Form::Dicts, |_, row| {
            list.append(row)?;
            Ok(true)
        })?;
        Ok(list)
    }

    /// The Arrow schema: a capsule with an `ArrowSchema`.
    fn __arrow_c_schema__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyCapsule>> {
        let schema = FFI_ArrowSchema::try_from(&**self.exported()?.schema_ref())
            .map_err(|error| PyRuntimeError::new_err(error.to_string()))?;
        PyCapsule::new_with_value(py, schema, c"arrow_schema")
    }

    /// The rows: a capsule with an `ArrowArrayStream`. A requested schema is ignored, as the interface
    /// allows.
    #[pyo3(signature = (requested_schema=None))]
    fn __arrow_c_stream__<'py>(
        &self,
        py: Python<'py>,
        requested_schema: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyCapsule>> {
        let _ = requested_schema;
        let batch = self.exported()?;
        let schema = batch.schema();
        let reader = RecordBatchIterator::new([Ok(batch)], schema);
        PyCapsule::new_with_value(
            py,
            FFI_ArrowArrayStream::new(Box::new(reader)),
            c"arrow_array_stream",
        )
    }
}

/// A table out of what its `__reduce__` gave.
#[pyfunction]
pub(crate) fn _restore(
    name: &str,
    record: &str,
    rows: usize,
    columns: &Bound<'_, PyTuple>,
    problems: Vec<ProblemTuple>,
    empty_because: Option<&str>,
    answer: (String, Vec<String>),
) -> PyResult<Table> {
    Ok(Table::from(View {
        name: name.into(),
        record: record.into(),
        batch: pickle::batch(columns, rows)?,
        problems: problems.into_iter().map(answer::problem).collect::<PyResult<_>>()?,
        answer: answer::answer(answer)?.into(),
        empty_because: empty_because.map(Arc::from),
    }))
}

#[pyclass(frozen, module = "verifier_py")]
struct RowIterator {
    rows: Arc<Rows>,
    pauses: Pauses,
    next: AtomicUsize,
    backward: bool,
}

#[pymethods]
impl RowIterator {
    fn __iter__(this: PyRef<'_, Self>) -> PyRef<'_, Self> {
        this
    }

    fn __next__<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        let (row, length) = (self.next.fetch_add(1, Ordering::Relaxed), self.rows.len());
        if row >= length {
            self.next.store(length, Ordering::Relaxed);
            return Ok(None);
        }
        self.pauses.pause(py, row)?;
        let row = if self.backward { length - 1 - row } else { row };
        self.rows.get(py, row, Form::Records).map(Some)
    }

    fn __length_hint__(&self) -> usize {
        self.rows.len().saturating_sub(self.next.load(Ordering::Relaxed))
    }
}
