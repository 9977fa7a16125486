//! One guard around every reader of symbol files that is not this project's own.

use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::error::Error;

/// Runs `work`, which reads a symbol file of that `kind`, and turns a panic of it into an error.
///
/// Symbol files are input like any other, and the crates that read them assert some of what they parse.
///
/// # Errors
/// [`Error::Symbols`] if `work` panics.
pub fn guard<T>(kind: &'static str, work: impl FnOnce() -> T) -> Result<T, Error> {
    catch_unwind(AssertUnwindSafe(work)).map_err(|_| Error::Symbols {
        kind,
        why: "a record is malformed in a way that its reader does not survive".into(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_an_error() {
        assert_eq!(guard("PDB", || 7).unwrap(), 7);
        let error = guard("PDB", || [0u8].get(1).map(|_| ()).unwrap()).unwrap_err();
        assert!(matches!(error, Error::Symbols { kind: "PDB", .. }), "{error}");
    }
}
