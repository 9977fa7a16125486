//! Arguments of the commands about outstanding allocations, and what they make of them.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use regex::Regex;
use verifier_core::Va;
use verifier_core::analysis::{GroupBy, Leaks, PoolKind};
use verifier_core::render::{Names, Weight};
use verifier_core::verifier::PoolTag;

use super::args::DumpArgs;
use super::output::complain;
use super::progress::Stage;
use crate::error::Error;
use crate::session::Session;

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
    /// Exit with 3 where at least N allocations are outstanding after the filters
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub(super) fail_on: Option<u64>,
    /// What folded stacks weigh
    #[arg(long, value_enum, default_value = "bytes")]
    pub(super) weight: WeightArg,
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
    /// The picture's file
    #[arg(short, long, value_name = "FILE.svg")]
    pub(super) output: PathBuf,
}

#[derive(Args)]
pub(super) struct ReportArgs {
    #[command(flatten)]
    pub(super) dump: DumpArgs,
    #[command(flatten)]
    pub(super) filter: FilterArgs,
    /// The report's file
    #[arg(short, long, value_name = "FILE.html")]
    pub(super) output: PathBuf,
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
    /// Exit with 3 where at least N allocations more are outstanding, in the groups that grew
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub(super) fail_on: Option<u64>,
    /// How the result is written
    #[arg(long, value_enum, default_value = "text")]
    pub(super) format: DiffFormat,
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
    Frame,
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
    #[arg(long, value_name = "REGEX", value_parser = parse_regex)]
    pub(super) skip: Option<Regex>,
}

fn parse_regex(text: &str) -> Result<Regex, String> {
    Regex::new(text).map_err(|error| error.to_string())
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

/// True where `tag` is what the pattern says; blanks at the end do not count.
fn tag_matches(pattern: &str, tag: PoolTag) -> bool {
    fn matches(pattern: &[char], text: &[char]) -> bool {
        match (pattern, text) {
            ([], []) => true,
            (['*', rest @ ..], _) => (0..=text.len())
                .any(|from| text.get(from..).is_some_and(|text| matches(rest, text))),
            (['?', rest @ ..], [_, text @ ..]) => matches(rest, text),
            ([c, rest @ ..], [d, text @ ..]) if c == d => matches(rest, text),
            _ => false,
        }
    }
    let pattern: Vec<char> = pattern.trim_end().chars().take(64).collect();
    let text: Vec<char> = tag.to_string().trim_end().chars().collect();
    matches(&pattern, &text)
}

impl FilterArgs {
    /// Reads the outstanding allocations that the filters leave, and finds the symbols of their
    /// stacks.
    pub(super) fn read(&self, session: &Session) -> Result<Leaks, Error> {
        let kernel = session.kernel()?;
        session.load_verifier_symbols();
        let stage = Stage::begin("reading the pool log");
        let mut leaks = Leaks::read_with(
            kernel,
            |driver| self.driver.as_deref().is_none_or(|name| driver.is_named(name)),
            &|records| stage.advance(records),
        )?;
        drop(stage);
        if let Some(name) = &self.driver
            && leaks.drivers.is_empty()
        {
            return Err(Error::Usage(format!(
                "no driver {name} is configured for Verifier; `verifier drivers` lists those that are"
            )));
        }
        let wanted = self.pool_type.map(|kind| match kind {
            PoolTypeArg::Paged => PoolKind::Paged,
            PoolTypeArg::Nonpaged => PoolKind::NonPaged,
        });
        let mut untold = 0usize;
        leaks.retain(|block| {
            let size = block.allocation.size;
            self.tag.as_deref().is_none_or(|tag| tag_matches(tag, block.allocation.tag))
                && self.min_size.is_none_or(|min| size >= min)
                && self.max_size.is_none_or(|max| size <= max)
                && wanted.is_none_or(|wanted| {
                    untold += usize::from(block.kind == PoolKind::Unknown);
                    block.kind == wanted
                })
        });
        if untold > 0 {
            complain(&format!(
                "{untold} blocks are left out: nothing tells which pool they are from"
            ));
        }
        let stage = Stage::begin("finding symbols");
        session.load_symbols_at(leaks.addresses());
        drop(stage);
        Ok(leaks)
    }

    /// True where a filter other than the driver is set.
    pub(super) fn is_narrow(&self) -> bool {
        self.tag.is_some()
            || self.min_size.is_some()
            || self.max_size.is_some()
            || self.pool_type.is_some()
    }

    /// True for the frames that `--skip` names. Use it only where [`skips`](Self::skips).
    pub(super) fn skipped(&self, names: &Names<'_>, va: Va) -> bool {
        self.skip.as_ref().is_some_and(|skip| match names.get(va) {
            Some(name) => skip.is_match(&name),
            None => skip.is_match(&va.to_string()),
        })
    }

    /// True where `--skip` is given.
    pub(super) fn skips(&self) -> bool {
        self.skip.is_some()
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

    #[test]
    fn tags() {
        let tag = |text: &[u8; 4]| PoolTag(u32::from_le_bytes(*text));
        assert!(tag_matches("Leak", tag(b"Leak")));
        assert!(tag_matches("Le*", tag(b"Leak")));
        assert!(tag_matches("?eak", tag(b"Leak")));
        assert!(tag_matches("Irp", tag(b"Irp ")));
        assert!(!tag_matches("leak", tag(b"Leak")));
        assert!(!tag_matches("Le", tag(b"Leak")));
    }
}
