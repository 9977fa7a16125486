//! Arrow columns as Python values, row by row.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{Int32Type, Int64Type, UInt32Type, UInt64Type};
use arrow_array::{
    Array, ArrayRef, BooleanArray, Int32Array, Int64Array, ListArray, RecordBatch, StringArray,
    UInt32Array, UInt64Array,
};
use arrow_buffer::NullBuffer;
use arrow_schema::{DataType, Field};
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList, PyString, PyTuple};

/// Which Python values rows become.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// Named tuples, frozen all through.
    Records,
    /// Dicts and lists.
    Dicts,
}

/// The rows of a table, made ready to become Python values.
pub(crate) struct Rows {
    length: usize,
    whole: Structure,
}

/// Columns that make one value.
struct Structure {
    /// The `NamedTuple`, or a frozen dict made of a dict.
    class: Class,
    fields: Vec<(Py<PyString>, Values)>,
    nulls: Option<NullBuffer>,
}

enum Class {
    Record(Py<PyAny>),
    Dict(Py<PyAny>),
}

enum Values {
    U32(UInt32Array),
    U64(UInt64Array),
    I64(Int64Array),
    Bool(BooleanArray),
    Text(StringArray),
    /// The texts as Python strings, each made once.
    Words(Int32Array, Vec<Py<PyString>>),
    List(ListArray, Box<Values>),
    Structure(Structure),
    Null,
}

/// The class of the records that a nested field holds.
fn nested_record(field: &str) -> Option<&'static str> {
    match field {
        "frames" | "stack" => Some("Frame"),
        "inlined" => Some("InlinedFrame"),
        "images" => Some("Image"),
        "allocations" => Some("LeakedBlock"),
        "old" | "new" | "growth" => Some("Total"),
        _ => None,
    }
}

fn class<'a>(
    py: Python<'_>,
    record: &str,
    fields: impl Iterator<Item = &'a Arc<Field>>,
) -> PyResult<Class> {
    let fields = PyTuple::new(py, fields.map(|field| field.name()).collect::<Vec<_>>())?;
    let find = py.import("verifier_py._records")?.getattr("record_class")?;
    Ok(Class::Record(find.call1((record, fields))?.unbind()))
}

impl Rows {
    pub(crate) fn new(py: Python<'_>, batch: &RecordBatch, record: &str) -> PyResult<Self> {
        let schema = batch.schema();
        let fields = schema.fields().iter().zip(batch.columns()).map(|(field, array)| {
            let name = PyString::intern(py, field.name()).unbind();
            Ok((name, Values::new(py, field, array, None)?))
        });
        let whole = Structure {
            class: class(py, record, schema.fields().iter())?,
            fields: fields.collect::<PyResult<_>>()?,
            nulls: None,
        };
        Ok(Self { length: batch.num_rows(), whole })
    }

    pub(crate) fn len(&self) -> usize {
        self.length
    }

    /// The value of a row.
    pub(crate) fn get<'py>(
        &self,
        py: Python<'py>,
        row: usize,
        form: Form,
    ) -> PyResult<Bound<'py, PyAny>> {
        self.whole.get(py, row, form)
    }
}

impl Structure {
    fn get<'py>(&self, py: Python<'py>, row: usize, form: Form) -> PyResult<Bound<'py, PyAny>> {
        if self.nulls.as_ref().is_some_and(|nulls| nulls.is_null(row)) {
            return Ok(py.None().into_bound(py));
        }
        if let (Class::Record(class), Form::Records) = (&self.class, form) {
            let values = self.fields.iter().map(|(_, values)| values.get(py, row, form));
            return class.bind(py).call1(PyTuple::new(py, values.collect::<PyResult<Vec<_>>>()?)?);
        }
        let dict = PyDict::new(py);
        for (name, values) in &self.fields {
            dict.set_item(name, values.get(py, row, form)?)?;
        }
        match (&self.class, form) {
            (Class::Dict(class), Form::Records) => class.bind(py).call1((dict,)),
            _ => Ok(dict.into_any()),
        }
    }
}

impl Values {
    /// `record` is the class that a list's field asks for its items.
    fn new(
        py: Python<'_>,
        field: &Field,
        array: &ArrayRef,
        record: Option<&'static str>,
    ) -> PyResult<Self> {
        Ok(match field.data_type() {
            DataType::UInt32 => Values::U32(array.as_primitive::<UInt32Type>().clone()),
            DataType::UInt64 => Values::U64(array.as_primitive::<UInt64Type>().clone()),
            DataType::Int64 => Values::I64(array.as_primitive::<Int64Type>().clone()),
            DataType::Boolean => Values::Bool(array.as_boolean().clone()),
            DataType::Utf8 => Values::Text(array.as_string().clone()),
            DataType::Null => Values::Null,
            DataType::Dictionary(..) => {
                let dictionary = array.as_dictionary::<Int32Type>();
                let words = dictionary.values().as_string::<i32>();
                let words = words.iter().map(|word| PyString::new(py, word.unwrap_or("")).unbind());
                Values::Words(dictionary.keys().clone(), words.collect())
            }
            DataType::List(item) => {
                let list = array.as_list::<i32>();
                let record = nested_record(field.name());
                let items = Values::new(py, item, list.values(), record)?;
                Values::List(list.clone(), Box::new(items))
            }
            DataType::Struct(fields) => {
                let array = array.as_struct();
                let values = fields.iter().zip(array.columns()).map(|(field, array)| {
                    let name = PyString::intern(py, field.name()).unbind();
                    Ok((name, Values::new(py, field, array, None)?))
                });
                Values::Structure(Structure {
                    class: match record.or_else(|| nested_record(field.name())) {
                        Some(record) => class(py, record, fields.iter())?,
                        None => {
                            let records = py.import("verifier_py._records")?;
                            Class::Dict(records.getattr("FrozenDict")?.unbind())
                        }
                    },
                    fields: values.collect::<PyResult<_>>()?,
                    nulls: array.nulls().cloned(),
                })
            }
            other => {
                let text = format!("column {} has the unexpected type {other}", field.name());
                return Err(PyRuntimeError::new_err(text));
            }
        })
    }

    fn get<'py>(&self, py: Python<'py>, row: usize, form: Form) -> PyResult<Bound<'py, PyAny>> {
        let none = || py.None().into_bound(py);
        Ok(match self {
            Values::U32(array) if array.is_valid(row) => {
                array.value(row).into_pyobject(py)?.into_any()
            }
            Values::U64(array) if array.is_valid(row) => {
                array.value(row).into_pyobject(py)?.into_any()
            }
            Values::I64(array) if array.is_valid(row) => {
                array.value(row).into_pyobject(py)?.into_any()
            }
            Values::Bool(array) if array.is_valid(row) => {
                array.value(row).into_pyobject(py)?.to_owned().into_any()
            }
            Values::Text(array) if array.is_valid(row) => {
                PyString::new(py, array.value(row)).into_any()
            }
            Values::Words(keys, words) if keys.is_valid(row) => {
                let word = usize::try_from(keys.value(row)).ok().and_then(|key| words.get(key));
                word.map_or_else(none, |word| word.bind(py).clone().into_any())
            }
            Values::List(list, items) if list.is_valid(row) => {
                let offsets = list.value_offsets();
                let items = (offsets[row]..offsets[row + 1])
                    .map(|item| items.get(py, item.try_into()?, form))
                    .collect::<PyResult<Vec<_>>>()?;
                match form {
                    Form::Records => PyTuple::new(py, items)?.into_any(),
                    Form::Dicts => PyList::new(py, items)?.into_any(),
                }
            }
            Values::Structure(structure) => structure.get(py, row, form)?,
            _ => none(),
        })
    }
}
