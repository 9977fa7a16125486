//! `SLIST_HEADER`: singly linked lists whose head packs a pointer with a depth and a sequence.
//!
//! | form | where | first entry |
//! |---|---|---|
//! | 32-bit | x86 | the pointer at +0 |
//! | `Header8` | x64 up to Windows 7 on processors without CMPXCHG16B; 2003 always | 39 bits at bit 25 of the first quadword, times 16, upper bits those of the header's own address |
//! | `Header16`, `HeaderX64`, `HeaderArm64` | x64 from Vista, always from 8.1 | the second quadword without its low four bits |
//!
//! Vista to 8.0 choose between the two 64-bit forms at run time; bit 0 of the second quadword
//! (`HeaderType`) says which one is used. Since 8.1 that bit is reserved, and there is only one form. Only
//! the type tables of older kernels have a member `Header8`. Source: `_SLIST_HEADER` of 2003 to 22000.
//! The depth is 16 bits wide and wraps, so it does not bound a walk.

use std::collections::HashSet;

use super::{AddressSpace, Limits, Walk, limit};
use crate::addr::Va;
use crate::error::{Error, Fault};
use crate::machine::Machine;
use crate::types::TypeSource;

/// The form in which a header stores its first entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SlistForm {
    /// A plain pointer (x86).
    Pointer32,
    /// Always `Header8` (2003 x64).
    Header8,
    /// `Header8` or the 16-byte form, as `HeaderType` says (Vista to 8.0 x64).
    ByHeaderType,
    /// Always the 16-byte form (8.1 and later, arm64).
    Header16,
}

impl SlistForm {
    /// The form that the kernel of these types uses.
    ///
    /// # Errors
    /// [`Error::MissingType`] if the types do not have `_SLIST_HEADER`.
    pub fn from_types(types: &dyn TypeSource, machine: Machine) -> Result<Self, Error> {
        if machine == Machine::X86 {
            return Ok(SlistForm::Pointer32);
        }
        let header = types
            .structure("_SLIST_HEADER")?
            .ok_or_else(|| Error::MissingType { name: "_SLIST_HEADER".into() })?;
        Ok(if header.member("Header8").is_some() {
            SlistForm::ByHeaderType
        } else if header.member("HeaderX64").is_some() || header.member("HeaderArm64").is_some() {
            SlistForm::Header16
        } else {
            SlistForm::Header8
        })
    }
}

/// The first entry of the list whose header is at `header`; null for an empty list.
///
/// # Errors
/// The [`Fault`] of the header.
pub fn first_entry(space: &AddressSpace, header: Va, form: SlistForm) -> Result<Va, Fault> {
    if form == SlistForm::Pointer32 {
        return space.read_pointer(header);
    }
    let memory = space.memory();
    let (low, high) = (memory.read_u64(header)?, memory.read_u64(header.add(8))?);
    Ok(decode(header, low, high, form))
}

fn decode(header: Va, low: u64, high: u64, form: SlistForm) -> Va {
    let header8 = || match (low >> 25) << 4 {
        0 => Va(0),
        entry => Va((header.0 & !((1 << 43) - 1)) | entry),
    };
    match form {
        SlistForm::Pointer32 => Va(low & 0xffff_ffff),
        SlistForm::Header8 => header8(),
        SlistForm::ByHeaderType if high & 1 == 0 => header8(),
        SlistForm::ByHeaderType | SlistForm::Header16 => Va(high & !0xf),
    }
}

/// The entries from `first` on, in order. An entry begins with the pointer to the next entry.
#[must_use]
pub fn walk_slist(space: &AddressSpace, first: Va, what: &'static str, limits: &Limits) -> Walk {
    let limit = limit!(limits, list_entries);
    let mut walk = Walk::default();
    let mut seen = HashSet::new();
    let mut next = first;
    while !next.is_null() {
        let malformed = |why: String| Error::Malformed { address: next, what: what.into(), why };
        let step = if !space.is_kernel(next) {
            Err(malformed("an entry outside the kernel".into()))
        } else if !seen.insert(next) {
            Err(malformed("the list closes into a ring here".into()))
        } else if limit.is_reached(walk.entries.len()) {
            Err(limit.error(what))
        } else {
            space.read_pointer(next).map_err(|fault| Error::read(what, fault))
        };
        match step {
            Ok(following) => {
                walk.entries.push(next);
                next = following;
            }
            Err(error) => {
                walk.broken = Some(error);
                break;
            }
        }
    }
    walk
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: Va = Va(0xffff_fa80_0123_4560);

    #[test]
    fn header16_keeps_the_whole_pointer() {
        let high = 0xffff_fa80_0999_9000 | 0xf;
        for form in [SlistForm::ByHeaderType, SlistForm::Header16] {
            assert_eq!(decode(HEADER, 0x0001_0001, high, form), Va(0xffff_fa80_0999_9000));
        }
        assert_eq!(decode(HEADER, 0, 0, SlistForm::Header16), Va(0));
    }

    #[test]
    fn header8_takes_its_upper_bits_from_the_header() {
        // Depth 3, sequence 5, and the entry's bits 4 to 42 at bit 25.
        let entry = 0xffff_fa80_0999_9000u64;
        let low = 3 | 5 << 16 | ((entry >> 4) & ((1 << 39) - 1)) << 25;
        for form in [SlistForm::ByHeaderType, SlistForm::Header8] {
            assert_eq!(decode(HEADER, low, 0xe000_0000_0000_0000, form), Va(entry));
        }
        assert_eq!(decode(HEADER, 3, 0, SlistForm::Header8), Va(0));
    }
}
