//! Arguments of the subcommands about outstanding allocations: filters, groups, limits.

use std::str::FromStr as _;

use clap::{Args, ValueEnum};
use verifier_core::analysis::{GroupBy, PoolKind};
use verifier_core::render::Weight;
use verifier_host::{IgnorePattern, LeakFilter, NamePattern};

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum ByArg {
    /// Driver and the frames outside the kernel and Verifier
    Path,
    /// Driver and whole stack
    Stack,
    /// Driver, whole stack and pool tag
    StackAndTag,
    /// First frame outside the kernel and Verifier
    #[value(alias = "driver-frame")]
    Frame,
    /// Function of that frame
    Function,
    /// Line of source code of that frame
    Line,
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
            ByArg::Path => GroupBy::Path,
            ByArg::Stack => GroupBy::Stack,
            ByArg::StackAndTag => GroupBy::StackAndTag,
            ByArg::Frame => GroupBy::Frame,
            ByArg::Function => GroupBy::Function,
            ByArg::Line => GroupBy::Line,
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
    /// Only this pool tag; ? matches any character, * any number of them
    #[arg(long, value_name = "TAG")]
    pub(super) tag: Option<String>,
    /// Only allocations of at least so many bytes: 4096, 0x1000, 4K
    #[arg(long, value_name = "BYTES", value_parser = parse_size)]
    pub(super) min_size: Option<u64>,
    /// Only allocations of at most so many bytes
    #[arg(long, value_name = "BYTES", value_parser = parse_size)]
    pub(super) max_size: Option<u64>,
    /// Only this pool; blocks of an unknown pool are left out
    #[arg(long, value_enum, value_name = "TYPE")]
    pub(super) pool_type: Option<PoolTypeArg>,
    /// Wrapper functions, as a regular expression over names such as `driver!Function+0x1f`:
    /// matching frames are dropped from the front of each stack, with the kernel's before them
    #[arg(long, value_name = "REGEX", value_parser = NamePattern::from_str)]
    pub(super) skip: Option<NamePattern>,
    /// Leave these leaks out: a driver such as leaky.sys, a function such as leaky!Open*, or a pool tag such
    /// as tag:Leak; with ? and *. Repeatable
    #[arg(long, value_name = "PATTERN", value_parser = IgnorePattern::from_str)]
    pub(super) ignore: Vec<IgnorePattern>,
}

/// Reads a number of bytes: decimal, or hexadecimal after 0x, or with K, M or G at the end.
pub(super) fn parse_size(text: &str) -> Result<u64, String> {
    let wrong = || format!("{text:?} is not a number of bytes: 4096, 0x1000, 4K");
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
    /// The filter that the arguments describe.
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
            ignore: self.ignore.clone(),
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
