//! Documents that Rust describes with serde, as Python dicts and lists. Addresses are numbers: this is no
//! format for people.

use std::fmt;

use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyBytes, PyDict, PyFloat, PyInt, PyList, PyString};
use serde::ser::{self, Serialize};

/// A value as Python has it.
pub(crate) fn to_python<'py>(
    py: Python<'py>,
    value: &(impl Serialize + ?Sized),
) -> PyResult<Bound<'py, PyAny>> {
    value.serialize(To(py)).map_err(|Broken(error)| error)
}

struct Broken(PyErr);

impl From<PyErr> for Broken {
    fn from(error: PyErr) -> Self {
        Self(error)
    }
}

impl fmt::Debug for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl std::error::Error for Broken {}

impl ser::Error for Broken {
    fn custom<T: fmt::Display>(text: T) -> Self {
        Self(PyTypeError::new_err(text.to_string()))
    }
}

type Made<'py> = Result<Bound<'py, PyAny>, Broken>;

#[derive(Clone, Copy)]
struct To<'py>(Python<'py>);

macro_rules! numbers {
    ($($name:ident: $type:ty),*) => {
        $(fn $name(self, value: $type) -> Made<'py> {
            Ok(PyInt::new(self.0, value).into_any())
        })*
    };
}

impl<'py> ser::Serializer for To<'py> {
    type Ok = Bound<'py, PyAny>;
    type Error = Broken;
    type SerializeSeq = List<'py>;
    type SerializeTuple = List<'py>;
    type SerializeTupleStruct = List<'py>;
    type SerializeTupleVariant = ser::Impossible<Self::Ok, Broken>;
    type SerializeMap = Dict<'py>;
    type SerializeStruct = Dict<'py>;
    type SerializeStructVariant = ser::Impossible<Self::Ok, Broken>;

    fn is_human_readable(&self) -> bool {
        false
    }

    numbers!(
        serialize_i8: i8,
        serialize_i16: i16,
        serialize_i32: i32,
        serialize_i64: i64,
        serialize_u8: u8,
        serialize_u16: u16,
        serialize_u32: u32,
        serialize_u64: u64
    );

    fn serialize_bool(self, value: bool) -> Made<'py> {
        Ok(PyBool::new(self.0, value).to_owned().into_any())
    }

    fn serialize_f32(self, value: f32) -> Made<'py> {
        self.serialize_f64(value.into())
    }

    fn serialize_f64(self, value: f64) -> Made<'py> {
        Ok(PyFloat::new(self.0, value).into_any())
    }

    fn serialize_char(self, value: char) -> Made<'py> {
        self.serialize_str(value.encode_utf8(&mut [0; 4]))
    }

    fn serialize_str(self, value: &str) -> Made<'py> {
        Ok(PyString::new(self.0, value).into_any())
    }

    fn serialize_bytes(self, value: &[u8]) -> Made<'py> {
        Ok(PyBytes::new(self.0, value).into_any())
    }

    fn serialize_none(self) -> Made<'py> {
        Ok(self.0.None().into_bound(self.0))
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Made<'py> {
        value.serialize(self)
    }

    fn serialize_unit(self) -> Made<'py> {
        self.serialize_none()
    }

    fn serialize_unit_struct(self, _name: &'static str) -> Made<'py> {
        self.serialize_none()
    }

    fn serialize_unit_variant(self, _: &'static str, _: u32, variant: &'static str) -> Made<'py> {
        self.serialize_str(variant)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        _name: &'static str,
        value: &T,
    ) -> Made<'py> {
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _name: &'static str,
        _index: u32,
        variant: &'static str,
        value: &T,
    ) -> Made<'py> {
        let dict = PyDict::new(self.0);
        dict.set_item(variant, value.serialize(self)?)?;
        Ok(dict.into_any())
    }

    fn serialize_seq(self, _length: Option<usize>) -> Result<List<'py>, Broken> {
        Ok(List(PyList::empty(self.0)))
    }

    fn serialize_tuple(self, _length: usize) -> Result<List<'py>, Broken> {
        Ok(List(PyList::empty(self.0)))
    }

    fn serialize_tuple_struct(self, _: &'static str, _: usize) -> Result<List<'py>, Broken> {
        Ok(List(PyList::empty(self.0)))
    }

    fn serialize_tuple_variant(
        self,
        name: &'static str,
        _index: u32,
        _variant: &'static str,
        _length: usize,
    ) -> Result<Self::SerializeTupleVariant, Broken> {
        Err(ser::Error::custom(format!("{name} has no form in Python")))
    }

    fn serialize_map(self, _length: Option<usize>) -> Result<Dict<'py>, Broken> {
        Ok(Dict { dict: PyDict::new(self.0), key: None })
    }

    fn serialize_struct(self, _: &'static str, _: usize) -> Result<Dict<'py>, Broken> {
        self.serialize_map(None)
    }

    fn serialize_struct_variant(
        self,
        name: &'static str,
        _index: u32,
        _variant: &'static str,
        _length: usize,
    ) -> Result<Self::SerializeStructVariant, Broken> {
        Err(ser::Error::custom(format!("{name} has no form in Python")))
    }
}

struct List<'py>(Bound<'py, PyList>);

impl<'py> List<'py> {
    fn push<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Broken> {
        Ok(self.0.append(value.serialize(To(self.0.py()))?)?)
    }
}

impl<'py> ser::SerializeSeq for List<'py> {
    type Ok = Bound<'py, PyAny>;
    type Error = Broken;
    fn serialize_element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Broken> {
        self.push(value)
    }
    fn end(self) -> Made<'py> {
        Ok(self.0.into_any())
    }
}

impl<'py> ser::SerializeTuple for List<'py> {
    type Ok = Bound<'py, PyAny>;
    type Error = Broken;
    fn serialize_element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Broken> {
        self.push(value)
    }
    fn end(self) -> Made<'py> {
        Ok(self.0.into_any())
    }
}

impl<'py> ser::SerializeTupleStruct for List<'py> {
    type Ok = Bound<'py, PyAny>;
    type Error = Broken;
    fn serialize_field<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Broken> {
        self.push(value)
    }
    fn end(self) -> Made<'py> {
        Ok(self.0.into_any())
    }
}

struct Dict<'py> {
    dict: Bound<'py, PyDict>,
    key: Option<Bound<'py, PyAny>>,
}

impl<'py> ser::SerializeMap for Dict<'py> {
    type Ok = Bound<'py, PyAny>;
    type Error = Broken;
    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), Broken> {
        self.key = Some(key.serialize(To(self.dict.py()))?);
        Ok(())
    }
    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Broken> {
        let value = value.serialize(To(self.dict.py()))?;
        Ok(self.dict.set_item(self.key.take(), value)?)
    }
    fn end(self) -> Made<'py> {
        Ok(self.dict.into_any())
    }
}

impl<'py> ser::SerializeStruct for Dict<'py> {
    type Ok = Bound<'py, PyAny>;
    type Error = Broken;
    fn serialize_field<T: Serialize + ?Sized>(
        &mut self,
        name: &'static str,
        value: &T,
    ) -> Result<(), Broken> {
        Ok(self.dict.set_item(name, value.serialize(To(self.dict.py()))?)?)
    }
    fn end(self) -> Made<'py> {
        Ok(self.dict.into_any())
    }
}
