//! The bytes of a structure, set by field name.

use crate::layout::{Kind, Layouts};

/// The bytes of one structure, whose fields you can set.
#[derive(Debug, Clone)]
pub struct Record<'a> {
    layouts: &'a Layouts,
    name: &'a str,
    bytes: Vec<u8>,
}

impl Layouts {
    /// A record of this structure with all bytes zero, whose fields you can set.
    ///
    /// # Panics
    ///
    /// If the build does not have the structure.
    pub fn record<'a>(&'a self, name: &'a str) -> Record<'a> {
        Record { layouts: self, name, bytes: vec![0; self.size(name)] }
    }
}

impl Record<'_> {
    /// Starts from existing bytes.
    ///
    /// # Panics
    ///
    /// If their number differs from the structure's size.
    pub fn over(mut self, bytes: Vec<u8>) -> Self {
        assert_eq!(bytes.len(), self.bytes.len(), "bytes of {}", self.name);
        self.bytes = bytes;
        self
    }

    /// Sets an integer or a pointer.
    ///
    /// # Panics
    ///
    /// If the build does not have the field, or the value does not fit in it.
    pub fn set(mut self, path: &str, value: u64) -> Self {
        self.put(path, 0, value);
        self
    }

    /// Sets an integer or a pointer if the build has the field.
    ///
    /// # Panics
    ///
    /// If the value does not fit.
    pub fn set_if(self, path: &str, value: u64) -> Self {
        if self.layouts.find(self.name, path).is_some() { self.set(path, value) } else { self }
    }

    /// Sets the leading elements of an array.
    ///
    /// # Panics
    ///
    /// If the build does not have the field, or the array has fewer elements.
    pub fn set_all(mut self, path: &str, values: &[u64]) -> Self {
        for (i, value) in values.iter().enumerate() {
            self.put(path, i, *value);
        }
        self
    }

    /// The bytes.
    pub fn bytes(self) -> Vec<u8> {
        self.bytes
    }

    fn put(&mut self, path: &str, index: usize, value: u64) {
        let (offset, field) = self
            .layouts
            .find(self.name, path)
            .unwrap_or_else(|| panic!("this build has no {}.{path}", self.name));
        assert!(index < field.count.unwrap_or(1), "{}.{path} has no element {index}", self.name);
        let at = offset + index * self.layouts.element_size(field);
        match field.kind {
            Kind::Bits { size, start, length } => {
                assert!(
                    length == 64 || value >> length == 0,
                    "{value:#x} does not fit {}.{path}",
                    self.name
                );
                let mut word = [0; 8];
                word[..size].copy_from_slice(&self.bytes[at..at + size]);
                let mask = if length == 64 { u64::MAX } else { (1 << length) - 1 };
                let merged = u64::from_le_bytes(word) & !(mask << start) | value << start;
                self.bytes[at..at + size].copy_from_slice(&merged.to_le_bytes()[..size]);
            }
            Kind::Int { .. } | Kind::WideChar | Kind::Pointer(_) => {
                let size = self.layouts.element_size(field);
                let fits = size == 8
                    || value >> (8 * size) == 0
                    || value >> (8 * size) == u64::MAX >> (8 * size);
                assert!(fits, "{value:#x} does not fit {}.{path}", self.name);
                self.bytes[at..at + size].copy_from_slice(&value.to_le_bytes()[..size]);
            }
            Kind::Struct(_) | Kind::Nested(_) => panic!("{}.{path} is not a number", self.name),
        }
    }
}
