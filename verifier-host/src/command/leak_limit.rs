//! `--fail-on`: a limit of outstanding allocations, for scripts.

use clap::Args;
use verifier_core::Completeness;
use verifier_core::render::text::extent_line;
use verifier_host::Error;

#[derive(Args)]
pub(super) struct LimitArgs {
    /// Exit with 3 if at least N allocations are outstanding after the filters (diff: N more than before),
    /// with 4 if fewer were found but the answer is not complete
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub(super) fail_on: Option<u64>,
    /// With --fail-on: exit with 0 instead of 4 if the answer is not complete
    #[arg(long, requires = "fail_on")]
    pub(super) allow_incomplete: bool,
}

impl LimitArgs {
    /// True if a limit is set: then its exit code counts, even if the reader of the output has gone.
    pub(super) fn is_set(&self) -> bool {
        self.fail_on.is_some()
    }

    /// Fails if a limit is set that was not reached, but the answer is not complete.
    pub(super) fn check_complete(
        &self,
        answer: impl FnOnce() -> Completeness,
    ) -> Result<(), Error> {
        let Some(limit) = self.fail_on.filter(|_| !self.allow_incomplete) else { return Ok(()) };
        match extent_line(&answer()) {
            None => Ok(()),
            Some(line) => Err(Error::CannotTell(format!(
                "cannot tell whether {limit} allocations are outstanding. {line}. Take a complete dump, \
                 or give --allow-incomplete to accept this answer"
            ))),
        }
    }
}
