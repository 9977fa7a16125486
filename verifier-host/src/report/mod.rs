//! The report: one HTML file about a dump's outstanding allocations that works offline.
//!
//! Everything is in the file: style, script, data. The page requests nothing over the network, and its
//! content security policy forbids it. The policy has the hash of the page's script, and no other script
//! runs. Names of drivers, symbols and tags come from the dump, so they are only text: they are escaped in
//! the markup, the data block does not contain `<`, and the script builds elements with `textContent`.
//!
//! A large page would be slow, so it has at most [`MAX_GROUPS`] groups, [`MAX_ADDRESSES`] addresses and
//! [`MAX_PROBLEMS`] problems, and says what it leaves out.

mod data;
mod gather;
mod html;
mod page;
mod timeline;

pub use gather::{ReportSummary, write_report};
pub use page::{Fact, Report};
pub use timeline::{Bucket, Timeline};

/// The most groups in the page; the others are one line.
pub const MAX_GROUPS: usize = 2000;
/// The most addresses in the page, over all groups.
pub const MAX_ADDRESSES: usize = 20_000;
/// The most problems in the page.
pub const MAX_PROBLEMS: usize = 200;
