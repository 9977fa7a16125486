//! The columns of a table as plain Python values, and back: what `pickle` keeps.
//!
//! A column is `(field, array)`. A field is `(name, type, nullable, is_hex)`; its type a word, or
//! `("list", field)`, or `("struct", fields)`. An array is `(length, validity or None, buffers,
//! children)` by Arrow's columnar format.

use std::sync::Arc;

use arrow_array::{Array as _, RecordBatch, RecordBatchOptions, make_array};
use arrow_buffer::Buffer;
use arrow_data::{ArrayData, ArrayDataBuilder};
use arrow_schema::{DataType, Field, Fields, Schema};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList, PyString, PyTuple};

use crate::arrow::{gather, is_hex, mark_hex};

/// The types without parts. Texts that repeat have one kind of dictionary.
fn words() -> [(&'static str, DataType); 7] {
    let dictionary = DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8));
    [
        ("uint32", DataType::UInt32),
        ("uint64", DataType::UInt64),
        ("int64", DataType::Int64),
        ("bool", DataType::Boolean),
        ("text", DataType::Utf8),
        ("words", dictionary),
        ("null", DataType::Null),
    ]
}

fn wrong(error: impl ToString) -> PyErr {
    PyValueError::new_err(format!("no columns of a table: {}", error.to_string()))
}

/// The columns of a batch.
pub(crate) fn columns<'py>(py: Python<'py>, batch: &RecordBatch) -> PyResult<Bound<'py, PyTuple>> {
    let schema = batch.schema();
    // Of a slice only what it holds.
    let whole = gather(batch, 0..batch.num_rows()).map_err(wrong)?;
    let columns = schema.fields().iter().zip(whole.columns()).map(|(field, array)| {
        PyTuple::new(py, [save_field(py, field)?, save_array(py, &array.to_data())?])
    });
    PyTuple::new(py, columns.collect::<PyResult<Vec<_>>>()?)
}

/// A batch of the columns that [`columns`] gave.
pub(crate) fn batch(columns: &Bound<'_, PyTuple>, rows: usize) -> PyResult<RecordBatch> {
    let (mut fields, mut arrays) = (Vec::new(), Vec::new());
    for column in columns {
        let (field, array): (Bound<'_, PyAny>, Bound<'_, PyAny>) = column.extract()?;
        let field = load_field(&field)?;
        arrays.push(make_array(load_array(field.data_type(), &array)?));
        fields.push(field);
    }
    let options = RecordBatchOptions::new().with_row_count(Some(rows));
    RecordBatch::try_new_with_options(Arc::new(Schema::new(fields)), arrays, &options)
        .map_err(wrong)
}

fn save_field<'py>(py: Python<'py>, field: &Field) -> PyResult<Bound<'py, PyAny>> {
    let kind = match field.data_type() {
        DataType::List(item) => ("list", save_field(py, item)?).into_pyobject(py)?.into_any(),
        DataType::Struct(fields) => {
            let fields = fields.iter().map(|field| save_field(py, field));
            let fields = PyTuple::new(py, fields.collect::<PyResult<Vec<_>>>()?)?;
            ("struct", fields).into_pyobject(py)?.into_any()
        }
        plain => {
            let word = words().into_iter().find(|(_, known)| known == plain);
            let (word, _) = word.ok_or_else(|| wrong(format!("{plain} is in no table")))?;
            PyString::new(py, word).into_any()
        }
    };
    Ok((field.name(), kind, field.is_nullable(), is_hex(field)).into_pyobject(py)?.into_any())
}

fn load_field(field: &Bound<'_, PyAny>) -> PyResult<Field> {
    let (name, kind, nullable, hex): (String, Bound<'_, PyAny>, bool, bool) = field.extract()?;
    let kind = if let Ok(word) = kind.extract::<String>() {
        let known = words().into_iter().find(|(known, _)| *known == word);
        known.map(|(_, kind)| kind).ok_or_else(|| wrong(format!("type {word:?}")))?
    } else {
        let (word, parts): (String, Bound<'_, PyAny>) = kind.extract()?;
        match word.as_str() {
            "list" => DataType::List(Arc::new(load_field(&parts)?)),
            "struct" => {
                let fields = parts.try_iter()?.map(|field| load_field(&field?));
                DataType::Struct(fields.collect::<PyResult<Fields>>()?)
            }
            _ => return Err(wrong(format!("type {word:?}"))),
        }
    };
    let field = Field::new(name, kind, nullable);
    Ok(if hex { mark_hex(field) } else { field })
}

fn save_array<'py>(py: Python<'py>, data: &ArrayData) -> PyResult<Bound<'py, PyAny>> {
    let validity = data.nulls().map(|nulls| PyBytes::new(py, nulls.inner().sliced().as_slice()));
    let buffers = data.buffers().iter().map(|buffer| PyBytes::new(py, buffer.as_slice()));
    let children = data.child_data().iter().map(|child| save_array(py, child));
    let buffers = PyList::new(py, buffers.collect::<Vec<_>>())?;
    let children = PyList::new(py, children.collect::<PyResult<Vec<_>>>()?)?;
    Ok((data.len(), validity, buffers, children).into_pyobject(py)?.into_any())
}

fn load_array(kind: &DataType, array: &Bound<'_, PyAny>) -> PyResult<ArrayData> {
    type Parts<'py> = (usize, Option<Vec<u8>>, Vec<Vec<u8>>, Vec<Bound<'py, PyAny>>);
    let (length, validity, buffers, children): Parts<'_> = array.extract()?;
    let kinds: Vec<&DataType> = match kind {
        DataType::List(item) => vec![item.data_type()],
        DataType::Struct(fields) => fields.iter().map(|field| field.data_type()).collect(),
        DataType::Dictionary(_, values) => vec![values],
        _ => Vec::new(),
    };
    if kinds.len() != children.len() {
        return Err(wrong(format!("{kind} with {} parts", children.len())));
    }
    let children = kinds.iter().zip(&children).map(|(kind, child)| load_array(kind, child));
    let builder = ArrayDataBuilder::new(kind.clone())
        .len(length)
        .null_bit_buffer(validity.map(Buffer::from_vec))
        .buffers(buffers.into_iter().map(Buffer::from_vec).collect())
        .child_data(children.collect::<PyResult<_>>()?)
        .align_buffers(true);
    // Everything is checked: offsets, keys, texts.
    builder.build().map_err(wrong)
}
