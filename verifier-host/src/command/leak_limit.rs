//! `--fail-on` and `--fail-on-bytes`: limits of outstanding allocations, for scripts.

use clap::Args;
use verifier_core::Completeness;
use verifier_core::analysis::Total;
use verifier_core::render::text::extent_line;
use verifier_host::Error;

use super::leak_filter::parse_size;

#[derive(Args)]
pub(super) struct LimitArgs {
    /// Exit with 3 if at least N allocations are outstanding after the filters (diff: N more than before),
    /// with 4 if fewer were found but the answer is not complete
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub(super) fail_on: Option<u64>,
    /// The same for their bytes: 4096, 0x1000, 4K
    #[arg(long, value_name = "SIZE", value_parser = parse_limit)]
    pub(super) fail_on_bytes: Option<u64>,
    /// With a limit: exit with 0 instead of 4 if the answer is not complete
    #[arg(long)]
    pub(super) allow_incomplete: bool,
}

fn parse_limit(text: &str) -> Result<u64, String> {
    parse_size(text).and_then(|size| match size {
        0 => Err("0 bytes are always reached".into()),
        size => Ok(size),
    })
}

impl LimitArgs {
    /// True if a limit is set: then its exit code counts, even if the reader of the output has gone.
    pub(super) fn is_set(&self) -> bool {
        self.fail_on.is_some() || self.fail_on_bytes.is_some()
    }

    /// Refuses to accept an incomplete answer if no limit needs a complete one.
    pub(super) fn check(&self) -> Result<(), Error> {
        if self.allow_incomplete && !self.is_set() {
            let text = "--allow-incomplete is for --fail-on and --fail-on-bytes";
            return Err(Error::Usage(text.into()));
        }
        Ok(())
    }

    /// Fails if `total` reaches a limit; `are` says what it is: "are outstanding".
    pub(super) fn check_total(&self, total: Total, are: &str) -> Result<(), Error> {
        let Total { count, bytes } = total;
        let reached = match (self.fail_on, self.fail_on_bytes) {
            (Some(limit), _) if count >= limit => {
                format!("{count} allocations {are}; --fail-on {limit}")
            }
            (_, Some(limit)) if bytes >= limit => {
                format!("{bytes} bytes {are}; --fail-on-bytes {limit}")
            }
            _ => return Ok(()),
        };
        Err(Error::LimitReached(reached))
    }

    /// Fails if a limit is set that was not reached, but the answer is not complete.
    pub(super) fn check_complete(
        &self,
        answer: impl FnOnce() -> Completeness,
    ) -> Result<(), Error> {
        if !self.is_set() || self.allow_incomplete {
            return Ok(());
        }
        let Some(line) = extent_line(&answer()) else { return Ok(()) };
        let limits = [
            self.fail_on.map(|limit| format!("{limit} allocations")),
            self.fail_on_bytes.map(|limit| format!("{limit} bytes")),
        ];
        let limits = limits.into_iter().flatten().collect::<Vec<_>>().join(" or ");
        Err(Error::CannotTell(format!(
            "cannot tell whether {limits} are outstanding. {line}. Take a complete dump, or give \
             --allow-incomplete to accept this answer"
        )))
    }
}
