//! The report: one HTML file about a dump's outstanding allocations that works offline.
//!
//! Everything is in the file: style, script, data. The page asks for nothing over the network, and its
//! content security policy forbids it; the only script that may run is the one whose hash the policy
//! names. What comes from the dump (names of drivers, symbols, tags) is text: escaped in the markup, and
//! in the data block written so that no `<` stands in it; the script builds elements with
//! `textContent` only.
//!
//! What would make the page slow is folded, and said so: [`MAX_GROUPS`] groups, [`MAX_ADDRESSES`]
//! addresses, [`MAX_PROBLEMS`] problems.

mod data;
mod gather;
mod html;
mod page;
mod timeline;

pub use gather::{ReportSummary, write_report};
pub use page::{Fact, Report};
pub use timeline::{Bucket, Timeline};

/// Groups that are in the page; the rest is one line.
pub const MAX_GROUPS: usize = 2000;
/// Addresses that are in the page, over all groups.
pub const MAX_ADDRESSES: usize = 20_000;
/// Problems that are in the page.
pub const MAX_PROBLEMS: usize = 200;
