//! The file of a baseline.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;

use verifier_core::analysis::Baseline;
use verifier_core::render;

use crate::error::Error;
use crate::write_file::write_file;

/// The largest file that is read.
const MAX_BYTES: u64 = 64 << 20;

/// Reads the file of a baseline.
///
/// # Errors
/// [`Error::Usage`] if it is not a baseline, with the line or the key that is wrong; [`Error::File`].
pub fn read_baseline(path: &Path) -> Result<Baseline, Error> {
    let error = |why| Error::File { path: path.into(), why };
    let mut bytes = Vec::new();
    File::open(path).map_err(error)?.take(MAX_BYTES + 1).read_to_end(&mut bytes).map_err(error)?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(error(io::Error::other(format!("it is larger than {MAX_BYTES} bytes"))));
    }
    let text = String::from_utf8(bytes).map_err(|_| "it is not a baseline: it is not UTF-8".into());
    let baseline = text.and_then(|text| Baseline::parse(&text).map_err(|error| error.to_string()));
    baseline.map_err(|why| Error::Usage(format!("{}: {why}", path.display())))
}

/// Writes the file of a baseline, whole or not at all.
///
/// # Errors
/// [`Error::File`].
pub fn write_baseline(path: &Path, baseline: &Baseline) -> Result<(), Error> {
    let mut bytes = Vec::new();
    render::write_baseline(&mut bytes, baseline)?;
    write_file(path, &bytes)
}
