//! `--baseline` and `--write-baseline`: leaks that are known.

use std::path::PathBuf;

use clap::Args;
use verifier_core::analysis::Baseline;
use verifier_host::{Error, FilteredLeaks, read_baseline};

use super::output::warn;

#[derive(Args)]
pub(super) struct BaselineArgs {
    /// Leaks that are known and do not count for limits: a file of --write-baseline
    #[arg(long, value_name = "FILE")]
    pub(super) baseline: Option<PathBuf>,
    /// Write the leaks that are left after the filters, as known ones for a later run
    #[arg(long, value_name = "FILE")]
    pub(super) write_baseline: Option<PathBuf>,
}

impl BaselineArgs {
    /// Reads the baseline.
    pub(super) fn read(&self) -> Result<Option<Baseline>, Error> {
        self.baseline.as_deref().map(read_baseline).transpose()
    }

    /// Marks the blocks that the baseline knows.
    pub(super) fn apply(&self, known: Option<Baseline>, found: &mut FilteredLeaks) {
        let file = self.baseline.as_ref().map(|path| path.display().to_string());
        if let Some(known) = known {
            found.apply_baseline(&known, file);
        }
    }

    /// Writes the new baseline.
    pub(super) fn write(&self, found: &FilteredLeaks) -> Result<(), Error> {
        let Some(path) = &self.write_baseline else { return Ok(()) };
        if !found.leaks.completeness().is_complete() {
            warn(&format!(
                "warning: {} has only what could be read, because the answer is not complete",
                path.display()
            ));
        }
        found.write_baseline(path)
    }
}
