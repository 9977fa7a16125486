//! Offsets for names: the positions of the fields of kernel structures in one build.
//!
//! A [`TypeSource`] returns whole structures by name and globals by name. A [`Pdb`], a Volatility 3 [`Isf`]
//! table, the library's own [`Profile`] of a build and [`Literals`] implement it. Field paths are resolved
//! here, once for all sources: `"InUse.VirtualAddress"` goes through named and unnamed structures and unions.
//! A [`Field`] is then plain arithmetic on bytes that have been read.

mod isf;
mod literals;
#[cfg(feature = "pdb")]
mod pdb;
mod profile;
mod stack;

use std::sync::Arc;

pub use isf::Isf;
pub use literals::Literals;
#[cfg(feature = "pdb")]
pub use pdb::{Bytes, Pdb};
pub use profile::Profile;
pub(crate) use stack::StackField;

use crate::addr::Rva;
use crate::bytes::le;
use crate::error::Error;

/// The type of a field.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Shape {
    /// An unsigned integer, a character, an enumeration or a boolean of this many bytes.
    Unsigned(u8),
    /// A signed integer of this many bytes.
    Signed(u8),
    /// A floating-point number of this many bytes.
    Float(u8),
    /// A pointer of this many bytes.
    Pointer(u8),
    /// Bits of an integer.
    Bits {
        /// Bytes of the integer.
        bytes: u8,
        /// The lowest bit.
        position: u8,
        /// Number of bits.
        length: u8,
    },
    /// Consecutive elements of one type.
    Array {
        /// The type of each element.
        element: Box<Shape>,
        /// Bytes in the whole array.
        size: u64,
        /// Number of elements.
        count: u64,
    },
    /// A structure or union that has a name.
    Named {
        /// The name.
        name: String,
        /// Its size in bytes, if the source has it beside the field.
        size: Option<u64>,
    },
    /// A structure or union without a name.
    Unnamed(Arc<Structure>),
    /// A type that has no bytes (functions, `void`) or that is unknown.
    Opaque,
}

impl Shape {
    /// The size in bytes, if the source gave it with the field.
    #[must_use]
    pub fn size(&self) -> Option<u64> {
        match self {
            Shape::Unsigned(bytes)
            | Shape::Signed(bytes)
            | Shape::Float(bytes)
            | Shape::Pointer(bytes)
            | Shape::Bits { bytes, .. } => Some(u64::from(*bytes)),
            Shape::Array { size, .. } => Some(*size),
            Shape::Named { size, .. } => *size,
            Shape::Unnamed(structure) => Some(structure.size),
            Shape::Opaque => None,
        }
    }

    /// True if the field is a number that fits in 64 bits.
    #[must_use]
    pub fn is_integer(&self) -> bool {
        matches!(
            self,
            Shape::Unsigned(1..=8)
                | Shape::Signed(1..=8)
                | Shape::Pointer(1..=8)
                | Shape::Bits { bytes: 1..=8, .. }
        )
    }
}

/// A member of a structure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// Its name.
    pub name: String,
    /// Bytes from the start of the structure.
    pub offset: u64,
    /// Its type.
    pub shape: Shape,
}

/// A structure or union of one build.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Structure {
    /// Its name; empty for an unnamed one.
    pub name: String,
    /// Its size in bytes.
    pub size: u64,
    /// Its members, sorted by offset.
    pub members: Vec<Member>,
}

impl Structure {
    /// The member with that name.
    #[must_use]
    pub fn member(&self, name: &str) -> Option<&Member> {
        self.members.iter().find(|member| member.name == name)
    }
}

/// A field whose position has been resolved from a path.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Field {
    /// Bytes from the start of the outermost structure.
    pub offset: u64,
    /// Its type.
    pub shape: Shape,
}

impl Field {
    /// The number that the field holds in `record`, if it is a number and the record is long enough. Signed
    /// numbers are sign-extended to 64 bits.
    #[must_use]
    #[inline]
    pub fn get(&self, record: &[u8]) -> Option<u64> {
        let offset = usize::try_from(self.offset).ok()?;
        match self.shape {
            Shape::Unsigned(bytes) | Shape::Pointer(bytes) => le(record, offset, bytes.into()),
            Shape::Signed(bytes @ 1..=8) => {
                let shift = 64 - 8 * u32::from(bytes);
                let raw = le(record, offset, bytes.into())?;
                Some((((raw << shift) as i64) >> shift) as u64)
            }
            Shape::Bits { bytes, position, length } => {
                let raw = le(record, offset, bytes.into())?.checked_shr(position.into())?;
                Some(match length {
                    0..=63 => raw & ((1u64 << length) - 1),
                    _ => raw,
                })
            }
            _ => None,
        }
    }

    /// The number of elements and the size of each, if the field is an array of numbers.
    #[must_use]
    pub fn elements(&self) -> Option<(usize, usize)> {
        match &self.shape {
            Shape::Array { element, count, .. } => {
                let size = usize::try_from(element.size()?).ok()?;
                Some((usize::try_from(*count).ok()?, size))
            }
            _ => None,
        }
    }
}

/// Structures and globals of one kernel by name.
pub trait TypeSource: Send + Sync {
    /// The structure or union with that name, or `None` if the source does not have it.
    ///
    /// # Errors
    /// [`Error::Symbols`] if the source itself is damaged.
    fn structure(&self, name: &str) -> Result<Option<Arc<Structure>>, Error>;

    /// The address of a global, relative to the image base.
    fn symbol(&self, name: &str) -> Option<Rva>;

    /// The source's name for messages: "PDB ntkrnlmp.pdb", "ISF table".
    fn describe(&self) -> String;

    /// How the address of a global was found, or why it is unknown, if the source does not simply list names
    /// with addresses.
    fn remark(&self, _symbol: &str) -> Option<String> {
        None
    }

    /// Why the layouts may be another build's: then nothing that is read with them is certain.
    fn doubt(&self) -> Option<&str> {
        None
    }

    /// The size of a structure in bytes.
    ///
    /// # Errors
    /// [`Error::MissingType`] if the source does not have the type.
    fn size_of(&self, name: &str) -> Result<u64, Error> {
        self.structure(name)?
            .map(|structure| structure.size)
            .ok_or_else(|| Error::MissingType { name: name.into() })
    }

    /// Resolves a field: `path` is one or more member names with dots between.
    ///
    /// # Errors
    /// [`Error::MissingType`] if the source does not have the type, [`Error::MissingField`] if the type does
    /// not have the member.
    fn field(&self, name: &str, path: &str) -> Result<Field, Error> {
        let missing = || Error::MissingField { type_name: name.into(), path: path.into() };
        let mut structure =
            self.structure(name)?.ok_or_else(|| Error::MissingType { name: name.into() })?;
        let mut offset = 0u64;
        let mut steps = path.split('.').peekable();
        while let Some(step) = steps.next() {
            let member = structure.member(step).ok_or_else(missing)?;
            offset = offset.checked_add(member.offset).ok_or_else(missing)?;
            if steps.peek().is_none() {
                return Ok(Field { offset, shape: member.shape.clone() });
            }
            structure = match &member.shape {
                Shape::Named { name, .. } => self
                    .structure(name)?
                    .ok_or_else(|| Error::MissingType { name: name.clone() })?,
                Shape::Unnamed(inner) => Arc::clone(inner),
                _ => return Err(missing()),
            };
        }
        Err(missing())
    }
}
