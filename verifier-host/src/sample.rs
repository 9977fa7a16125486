//! The sample machine of the walk-through, to try the command on. No other module uses the crate
//! `verifier-synth`.

use std::fs;
use std::path::{Path, PathBuf};

use crate::error::Error;
use crate::write_file::write_file;

/// Writes the sample of `verifier demo` into `folder`: `memory.dmp`, whose path is returned, and
/// `symbols/`. It replaces an existing file only if that is empty or the same.
///
/// # Errors
/// [`Error::File`]; [`Error::Usage`] if a file is in the way: then nothing is written.
pub fn write_sample(folder: &Path) -> Result<PathBuf, Error> {
    let sample = verifier_synth::walkthrough();
    let dump = folder.join("memory.dmp");
    let symbols = sample.files.iter();
    let symbols = symbols.map(|(name, bytes)| (folder.join("symbols").join(name), bytes));
    let files: Vec<_> = std::iter::once((dump.clone(), &sample.dump)).chain(symbols).collect();
    for (path, bytes) in &files {
        if fs::metadata(path).is_ok_and(|meta| meta.is_file() && meta.len() > 0)
            && !fs::read(path).is_ok_and(|old| old == **bytes)
        {
            let why = "this file is not the sample's and is not replaced; name another folder";
            return Err(Error::Usage(format!("{}: {why}", path.display())));
        }
    }
    for (path, bytes) in &files {
        write_file(path, bytes)?;
    }
    Ok(dump)
}
