//! One guard for every third-party reader of symbol files.

use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::error::Error;

/// Runs `work`, which reads a symbol file of that `kind`, and turns a panic into an error.
///
/// Symbol files are untrusted input, and the crates that read them assert some of what they parse.
///
/// # Errors
/// [`Error::Symbols`] if `work` panics.
pub fn guard<T>(kind: &'static str, work: impl FnOnce() -> T) -> Result<T, Error> {
    catch_unwind(AssertUnwindSafe(work)).map_err(|_| Error::Symbols {
        kind,
        why: "a malformed record made the reader of this file panic".into(),
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
