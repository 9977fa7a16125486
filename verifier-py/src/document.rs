//! Converts documents that Rust describes with serde to Python dicts and lists. Addresses are numbers,
//! because this is not a format for people.
//!
//! The conversion goes through a Rust value. Serialization may look up names and so read memory, which must
//! run without the GIL; only the finished value needs Python.

use std::fmt;

use pyo3::prelude::*;
use pyo3::types::{PyBool, PyDict, PyFloat, PyInt, PyList, PyString};
use serde::ser::{self, Serialize};
use verifier_core::Error;

/// A value of a document.
pub(crate) enum Value {
    None,
    Bool(bool),
    Signed(i64),
    Unsigned(u64),
    Float(f64),
    Text(String),
    List(Vec<Value>),
    Map(Vec<(String, Value)>),
}

impl Value {
    /// What `document` describes.
    pub(crate) fn of(document: &(impl Serialize + ?Sized)) -> Result<Self, Error> {
        document.serialize(To).map_err(|Broken(what)| Error::Unsupported { what })
    }
}

impl<'py> IntoPyObject<'py> for Value {
    type Target = PyAny;
    type Output = Bound<'py, PyAny>;
    type Error = PyErr;

    fn into_pyobject(self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        Ok(match self {
            Value::None => py.None().into_bound(py),
            Value::Bool(value) => PyBool::new(py, value).to_owned().into_any(),
            Value::Signed(value) => PyInt::new(py, value).into_any(),
            Value::Unsigned(value) => PyInt::new(py, value).into_any(),
            Value::Float(value) => PyFloat::new(py, value).into_any(),
            Value::Text(text) => PyString::new(py, &text).into_any(),
            Value::List(items) => {
                let list = PyList::empty(py);
                for item in items {
                    list.append(item.into_pyobject(py)?)?;
                }
                list.into_any()
            }
            Value::Map(entries) => {
                let dict = PyDict::new(py);
                for (key, value) in entries {
                    dict.set_item(key, value.into_pyobject(py)?)?;
                }
                dict.into_any()
            }
        })
    }
}

/// Why a document has no form in Python.
#[derive(Debug)]
struct Broken(String);

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Broken {}

impl ser::Error for Broken {
    fn custom<T: fmt::Display>(text: T) -> Self {
        Self(text.to_string())
    }
}

type Made = Result<Value, Broken>;

#[derive(Clone, Copy)]
struct To;

macro_rules! numbers {
    ($($name:ident: $type:ty => $variant:ident),*) => {
        $(fn $name(self, value: $type) -> Made {
            Ok(Value::$variant(value.into()))
        })*
    };
}

impl ser::Serializer for To {
    type Ok = Value;
    type Error = Broken;
    type SerializeSeq = List;
    type SerializeTuple = List;
    type SerializeTupleStruct = List;
    type SerializeTupleVariant = ser::Impossible<Value, Broken>;
    type SerializeMap = Map;
    type SerializeStruct = Map;
    type SerializeStructVariant = ser::Impossible<Value, Broken>;

    fn is_human_readable(&self) -> bool {
        false
    }

    numbers!(
        serialize_bool: bool => Bool,
        serialize_i8: i8 => Signed,
        serialize_i16: i16 => Signed,
        serialize_i32: i32 => Signed,
        serialize_i64: i64 => Signed,
        serialize_u8: u8 => Unsigned,
        serialize_u16: u16 => Unsigned,
        serialize_u32: u32 => Unsigned,
        serialize_u64: u64 => Unsigned,
        serialize_f32: f32 => Float,
        serialize_f64: f64 => Float,
        serialize_char: char => Text,
        serialize_str: &str => Text
    );

    fn serialize_bytes(self, _value: &[u8]) -> Made {
        Err(ser::Error::custom("bytes have no form in a document"))
    }

    fn serialize_none(self) -> Made {
        Ok(Value::None)
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Made {
        value.serialize(self)
    }

    fn serialize_unit(self) -> Made {
        Ok(Value::None)
    }

    fn serialize_unit_struct(self, _name: &'static str) -> Made {
        Ok(Value::None)
    }

    fn serialize_unit_variant(self, _: &'static str, _: u32, variant: &'static str) -> Made {
        self.serialize_str(variant)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        _name: &'static str,
        value: &T,
    ) -> Made {
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _name: &'static str,
        _index: u32,
        variant: &'static str,
        value: &T,
    ) -> Made {
        Ok(Value::Map(vec![(variant.into(), value.serialize(self)?)]))
    }

    fn serialize_seq(self, _length: Option<usize>) -> Result<List, Broken> {
        Ok(List::default())
    }

    fn serialize_tuple(self, _length: usize) -> Result<List, Broken> {
        Ok(List::default())
    }

    fn serialize_tuple_struct(self, _: &'static str, _: usize) -> Result<List, Broken> {
        Ok(List::default())
    }

    fn serialize_tuple_variant(
        self,
        name: &'static str,
        _index: u32,
        _variant: &'static str,
        _length: usize,
    ) -> Result<Self::SerializeTupleVariant, Broken> {
        Err(ser::Error::custom(format!("{name} has no form in a document")))
    }

    fn serialize_map(self, _length: Option<usize>) -> Result<Map, Broken> {
        Ok(Map::default())
    }

    fn serialize_struct(self, _: &'static str, _: usize) -> Result<Map, Broken> {
        Ok(Map::default())
    }

    fn serialize_struct_variant(
        self,
        name: &'static str,
        _index: u32,
        _variant: &'static str,
        _length: usize,
    ) -> Result<Self::SerializeStructVariant, Broken> {
        Err(ser::Error::custom(format!("{name} has no form in a document")))
    }
}

#[derive(Default)]
struct List(Vec<Value>);

macro_rules! lists {
    ($($name:ident: $method:ident),*) => {
        $(impl ser::$name for List {
            type Ok = Value;
            type Error = Broken;
            fn $method<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Broken> {
                self.0.push(value.serialize(To)?);
                Ok(())
            }
            fn end(self) -> Made {
                Ok(Value::List(self.0))
            }
        })*
    };
}

lists!(
    SerializeSeq: serialize_element,
    SerializeTuple: serialize_element,
    SerializeTupleStruct: serialize_field
);

#[derive(Default)]
struct Map {
    entries: Vec<(String, Value)>,
    key: String,
}

impl ser::SerializeMap for Map {
    type Ok = Value;
    type Error = Broken;
    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), Broken> {
        match key.serialize(To)? {
            Value::Text(key) => self.key = key,
            _ => return Err(ser::Error::custom("a key that is not text")),
        }
        Ok(())
    }
    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Broken> {
        let key = std::mem::take(&mut self.key);
        self.entries.push((key, value.serialize(To)?));
        Ok(())
    }
    fn end(self) -> Made {
        Ok(Value::Map(self.entries))
    }
}

impl ser::SerializeStruct for Map {
    type Ok = Value;
    type Error = Broken;
    fn serialize_field<T: Serialize + ?Sized>(
        &mut self,
        name: &'static str,
        value: &T,
    ) -> Result<(), Broken> {
        self.entries.push((name.into(), value.serialize(To)?));
        Ok(())
    }
    fn end(self) -> Made {
        Ok(Value::Map(self.entries))
    }
}
