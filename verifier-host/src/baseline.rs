//! Known leaks: a baseline, its file, and the blocks that it knows.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;

use verifier_core::analysis::Baseline;
use verifier_core::render;

use crate::error::Error;
use crate::leaks::FilteredLeaks;
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

impl FilteredLeaks {
    /// The outstanding allocations as a baseline, for a later dump.
    #[must_use]
    pub fn to_baseline(&self) -> Baseline {
        self.grouped(|grouping, names| Baseline::of(names.kernel(), &self.leaks, grouping))
    }

    /// Writes that baseline to a file, whole or not at all.
    ///
    /// # Errors
    /// [`Error::Usage`] if the file is the dump or a symbol file; [`Error::File`].
    pub fn write_baseline(&self, path: &Path) -> Result<(), Error> {
        self.inputs.refuse_overwrite(path)?;
        let mut bytes = Vec::new();
        render::write_baseline(&mut bytes, &self.to_baseline())?;
        write_file(path, &bytes)
    }

    /// Marks the blocks that a baseline knows, in every view of them. `file` is its name in these views.
    pub fn apply_baseline(&mut self, baseline: &Baseline, file: Option<String>) {
        let known = self.grouped(|grouping, names| {
            baseline.known_blocks(names.kernel(), &self.leaks, grouping)
        });
        self.leaks.mark_known(known, file);
    }
}
