//! The report: one HTML file about a dump's outstanding allocations that works offline.
//!
//! Everything is in the file: style, script, data. The page requests nothing over the network, and its
//! content security policy forbids it. The policy has the hash of the page's script, and no other script
//! runs. Names of drivers, symbols and tags come from the dump, so they are only text: they are escaped in
//! the markup, the data block does not contain `<`, and the script builds elements with `textContent`.
//!
//! A large page would be slow. So of the stacks only [`MAX_STACKS`] are in it, those with the most bytes; the
//! blocks of the others still count for their driver, tag and function. It has at most [`MAX_ADDRESSES`]
//! addresses and [`MAX_PROBLEMS`] problems, and says what it leaves out.

mod answer;
mod churn;
mod compare;
mod contents;
mod data;
mod gather;
mod html;
mod page;
mod timeline;

pub use compare::write_diff_report;
pub use contents::{Fact, Report};
pub use gather::{ReportSummary, write_report};
pub use timeline::{Bucket, Timeline};

/// The most stacks in the page.
pub const MAX_STACKS: usize = 20_000;
/// The most nodes of the tree of all stacks in the page.
const MAX_STACK_NODES: usize = 100_000;
/// The most addresses in the page, over all stacks.
pub const MAX_ADDRESSES: usize = 100_000;
/// The most problems in the page.
pub const MAX_PROBLEMS: usize = 200;
/// The most pieces of source files in the page.
const MAX_SNIPPETS: usize = 200;
