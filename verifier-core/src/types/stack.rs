//! A field that holds a call stack.

use super::TypeSource;
use crate::addr::Va;
use crate::bytes::{frames, le};
use crate::error::Error;

/// An array of return addresses, innermost first. A stack that is shorter than the array ends at a null; what
/// comes after the null is left over from an earlier stack.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct StackField {
    /// Bytes from the start of the record.
    pub(crate) start: usize,
    /// Frames that the array has room for.
    pub(crate) count: usize,
    /// Bytes of a frame.
    pub(crate) size: usize,
}

impl StackField {
    /// The array at `path` in a type.
    pub(crate) fn resolve(
        types: &dyn TypeSource,
        type_name: &str,
        path: &str,
    ) -> Result<Self, Error> {
        let field = types.field(type_name, path)?;
        let elements = field.elements().filter(|&(_, size)| size > 0);
        let (count, size) = elements.ok_or_else(|| Error::MissingField {
            type_name: type_name.into(),
            path: format!("{path}[]"),
        })?;
        let start = usize::try_from(field.offset).unwrap_or(usize::MAX);
        Ok(Self { start, count, size })
    }

    /// The bytes from the array on.
    #[inline]
    pub(crate) fn raw<'b>(&self, record: &'b [u8]) -> &'b [u8] {
        record.get(self.start..).unwrap_or_default()
    }

    /// The frames up to the first null.
    #[inline]
    pub(crate) fn frames<'b>(&self, record: &'b [u8]) -> impl Iterator<Item = Va> + 'b {
        frames(self.raw(record), self.count, self.size)
    }

    /// The innermost frame; null if the stack is empty.
    #[inline]
    pub(crate) fn first(&self, record: &[u8]) -> Va {
        Va(le(record, self.start, self.size).unwrap_or(0))
    }
}
