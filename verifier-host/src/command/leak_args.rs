//! Arguments of the commands about outstanding allocations.

use std::path::PathBuf;
use std::str::FromStr as _;

use clap::{Args, ValueEnum};
use verifier_core::analysis::{GroupBy, PoolKind};
use verifier_core::render::Weight;
use verifier_host::{LeakFilter, NamePattern};

use super::args::DumpArgs;

#[derive(Args)]
pub(super) struct LeaksArgs {
    #[command(flatten)]
    pub(super) dump: DumpArgs,
    #[command(flatten)]
    pub(super) filter: FilterArgs,
    /// What allocations are grouped by
    #[arg(long, value_enum, default_value = "stack")]
    pub(super) by: ByArg,
    /// Only the N groups with the most bytes; 0 for all. Text and Markdown show 20 by default
    #[arg(long, value_name = "N")]
    pub(super) top: Option<usize>,
    #[command(flatten)]
    pub(super) limit: LimitArgs,
    /// What folded stacks weigh [default: bytes]
    #[arg(long, value_enum)]
    pub(super) weight: Option<WeightArg>,
    /// How the result is written
    #[arg(long, value_enum, default_value = "text")]
    pub(super) format: LeaksFormat,
}

#[derive(Args)]
pub(super) struct FlamegraphArgs {
    #[command(flatten)]
    pub(super) dump: DumpArgs,
    #[command(flatten)]
    pub(super) filter: FilterArgs,
    /// What the widths are
    #[arg(long, value_enum, default_value = "bytes")]
    pub(super) by: WeightArg,
    /// The picture's file; - for standard output
    #[arg(short, long, value_name = "FILE.svg")]
    pub(super) output: PathBuf,
    /// Replace the file even if it is not a flame graph that verifier wrote
    #[arg(long)]
    pub(super) force: bool,
}

#[derive(Args)]
pub(super) struct ReportArgs {
    #[command(flatten)]
    pub(super) dump: DumpArgs,
    #[command(flatten)]
    pub(super) filter: FilterArgs,
    /// The report's file; - for standard output
    #[arg(short, long, value_name = "FILE.html")]
    pub(super) output: PathBuf,
    /// Replace the file even if it is not a report that verifier wrote
    #[arg(long)]
    pub(super) force: bool,
}

#[derive(Args)]
pub(super) struct DiffArgs {
    /// The earlier crash dump
    pub(super) old: PathBuf,
    #[command(flatten)]
    pub(super) new: DumpArgs,
    #[command(flatten)]
    pub(super) filter: FilterArgs,
    /// What allocations are grouped by
    #[arg(long, value_enum, default_value = "stack")]
    pub(super) by: ByArg,
    /// Whether both dumps are of one boot, where the header does not tell
    #[arg(long, value_enum, default_value = "auto")]
    pub(super) boot: BootArg,
    /// Only the N groups that grew most; 0 for all. Text and Markdown show 20 by default
    #[arg(long, value_name = "N")]
    pub(super) top: Option<usize>,
    #[command(flatten)]
    pub(super) limit: LimitArgs,
    /// How the result is written
    #[arg(long, value_enum, default_value = "text")]
    pub(super) format: DiffFormat,
}

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

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum LeaksFormat {
    Text,
    Json,
    Csv,
    Markdown,
    /// Lines for flame graph viewers
    Folded,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum DiffFormat {
    Text,
    Json,
    Csv,
    Markdown,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum BootArg {
    /// By boot time and module bases
    Auto,
    /// Of one boot: blocks are matched by address
    Same,
    /// Of different boots: groups are matched by names
    Other,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum ByArg {
    /// Driver, tag and whole stack
    Stack,
    /// First frame outside the kernel and Verifier
    #[value(alias = "driver-frame")]
    Frame,
    /// Function of that frame
    Function,
    /// The address that called
    Caller,
    /// Pool tag
    Tag,
    /// Driver
    Driver,
    /// Size
    Size,
}

impl From<ByArg> for GroupBy {
    fn from(by: ByArg) -> Self {
        match by {
            ByArg::Stack => GroupBy::Stack,
            ByArg::Frame => GroupBy::Frame,
            ByArg::Function => GroupBy::Function,
            ByArg::Caller => GroupBy::Caller,
            ByArg::Tag => GroupBy::Tag,
            ByArg::Driver => GroupBy::Driver,
            ByArg::Size => GroupBy::Size,
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum WeightArg {
    Bytes,
    Count,
}

impl From<WeightArg> for Weight {
    fn from(weight: WeightArg) -> Self {
        match weight {
            WeightArg::Bytes => Weight::Bytes,
            WeightArg::Count => Weight::Count,
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum PoolTypeArg {
    Paged,
    Nonpaged,
}

#[derive(Args, Clone, Default)]
pub(super) struct FilterArgs {
    /// Only this driver, by file name with or without extension
    #[arg(long, value_name = "NAME")]
    pub(super) driver: Option<String>,
    /// Only this pool tag; ? stands for any character, * for any number of them
    #[arg(long, value_name = "TAG")]
    pub(super) tag: Option<String>,
    /// Only allocations of at least so many bytes: 4096, 0x1000, 4K
    #[arg(long, value_name = "BYTES", value_parser = parse_size)]
    pub(super) min_size: Option<u64>,
    /// Only allocations of at most so many bytes
    #[arg(long, value_name = "BYTES", value_parser = parse_size)]
    pub(super) max_size: Option<u64>,
    /// Only this pool, where it can be told
    #[arg(long, value_enum, value_name = "TYPE")]
    pub(super) pool_type: Option<PoolTypeArg>,
    /// Wrapper functions, as a regular expression over names such as `driver!Function+0x1f`:
    /// matching frames are dropped from the front of each stack, with the kernel's before them
    #[arg(long, value_name = "REGEX", value_parser = NamePattern::from_str)]
    pub(super) skip: Option<NamePattern>,
}

/// A number of bytes: decimal, hexadecimal after 0x, with K, M or G behind it.
fn parse_size(text: &str) -> Result<u64, String> {
    let wrong = || format!("{text:?} is no number of bytes: 4096, 0x1000, 4K");
    let lower = text.trim().to_ascii_lowercase();
    if let Some(hex) = lower.strip_prefix("0x") {
        return u64::from_str_radix(hex, 16).map_err(|_| wrong());
    }
    let (digits, shift) = match lower.as_bytes().last() {
        Some(b'k') => (lower.strip_suffix('k'), 10),
        Some(b'm') => (lower.strip_suffix('m'), 20),
        Some(b'g') => (lower.strip_suffix('g'), 30),
        _ => (Some(lower.as_str()), 0),
    };
    let number: u64 = digits.and_then(|digits| digits.parse().ok()).ok_or_else(wrong)?;
    number.checked_mul(1 << shift).ok_or_else(wrong)
}

impl FilterArgs {
    /// What the arguments say.
    pub(super) fn filter(&self) -> LeakFilter {
        LeakFilter {
            driver: self.driver.clone(),
            tag: self.tag.clone(),
            min_size: self.min_size,
            max_size: self.max_size,
            pool: self.pool_type.map(|kind| match kind {
                PoolTypeArg::Paged => PoolKind::Paged,
                PoolTypeArg::Nonpaged => PoolKind::NonPaged,
            }),
            skip: self.skip.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        assert_eq!(parse_size("4096"), Ok(4096));
        assert_eq!(parse_size("0x1000"), Ok(4096));
        assert_eq!(parse_size("4K"), Ok(4096));
        assert_eq!(parse_size("1g"), Ok(1 << 30));
        for wrong in ["", "K", "0x", "four", "-1", "99999999999G"] {
            assert!(parse_size(wrong).is_err(), "{wrong}");
        }
    }
}
