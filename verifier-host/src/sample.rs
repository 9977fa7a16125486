//! The sample machine of the walk-through, to try things on. The only user of the crate `verifier-synth`.

use std::path::{Path, PathBuf};

use crate::error::Error;
use crate::file::write_file;

/// Writes the sample of `verifier demo` into `folder`: `memory.dmp`, whose path is returned, and
/// `symbols/`.
///
/// # Errors
/// [`Error::File`].
pub fn write_sample(folder: &Path) -> Result<PathBuf, Error> {
    let sample = verifier_synth::walkthrough();
    let dump = folder.join("memory.dmp");
    write_file(&dump, &sample.dump)?;
    for (name, bytes) in &sample.files {
        write_file(&folder.join("symbols").join(name), bytes)?;
    }
    Ok(dump)
}
