//! Blocks of the page, added up: a row has the blocks of one driver, tag and stack.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde::Serialize;
use verifier_core::Va;
use verifier_core::analysis::Total;

use super::strings::Index;

/// A row.
pub(super) struct Row {
    pub(super) driver: Index,
    pub(super) tag: Index,
    /// The innermost node of the stack, or none.
    pub(super) stack: Index,
    /// Why there is no stack.
    pub(super) why: Index,
    /// The frame that asked for the blocks, if there is no stack.
    pub(super) caller: Index,
    /// The first frame outside the kernel, Verifier and wrappers, or none.
    pub(super) site: Index,
    pub(super) held: Held,
    /// Blocks and bytes in the earlier of two dumps.
    pub(super) before: Option<Total>,
    pub(super) addresses: String,
}

/// What a row holds.
#[derive(Default)]
pub(super) struct Held {
    pub(super) count: u64,
    pub(super) bytes: u64,
    pub(super) largest: u64,
    /// Blocks and bytes by the binary digits of their sizes.
    sizes: BTreeMap<u32, (u64, u64)>,
}

impl Held {
    /// Blocks whose sizes are unknown.
    pub(super) fn of_total(Total { count, bytes, .. }: Total) -> Self {
        Self { count, bytes, ..Self::default() }
    }

    /// Adds a block.
    pub(super) fn add(&mut self, size: u64) {
        self.count += 1;
        self.bytes = self.bytes.saturating_add(size);
        self.largest = self.largest.max(size);
        let (count, bytes) = self.sizes.entry(u64::BITS - size.leading_zeros()).or_default();
        *count += 1;
        *bytes = bytes.saturating_add(size);
    }

    /// Adds the blocks of another row.
    pub(super) fn take(&mut self, other: Held) {
        self.count += other.count;
        self.bytes = self.bytes.saturating_add(other.bytes);
        self.largest = self.largest.max(other.largest);
        for (digits, (count, bytes)) in other.sizes {
            let sum = self.sizes.entry(digits).or_default();
            *sum = (sum.0 + count, sum.1.saturating_add(bytes));
        }
    }

    /// Binary digits, blocks and bytes of each kind of size. Empty if all are of one kind, which the largest
    /// has, too.
    fn sizes(&self) -> Vec<u64> {
        if self.sizes.len() == 1 {
            return Vec::new();
        }
        let of = |(&digits, &(count, bytes)): (&u32, &(u64, u64))| [digits.into(), count, bytes];
        self.sizes.iter().flat_map(of).collect()
    }
}

/// Rows in columns.
#[derive(Default, Serialize)]
pub(super) struct Rows {
    driver: Vec<Index>,
    tag: Vec<Index>,
    stack: Vec<Index>,
    why: Vec<Index>,
    caller: Vec<Index>,
    site: Vec<Index>,
    count: Vec<u64>,
    bytes: Vec<u64>,
    largest: Vec<u64>,
    sizes: Vec<Vec<u64>>,
    addresses: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    count_before: Vec<u64>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    bytes_before: Vec<u64>,
}

impl Rows {
    /// The number of rows.
    pub(super) fn len(&self) -> usize {
        self.count.len()
    }

    pub(super) fn push(&mut self, row: Row) {
        self.driver.push(row.driver);
        self.tag.push(row.tag);
        self.stack.push(row.stack);
        self.why.push(row.why);
        self.caller.push(row.caller);
        self.site.push(row.site);
        self.count.push(row.held.count);
        self.bytes.push(row.held.bytes);
        self.largest.push(row.held.largest);
        self.sizes.push(row.held.sizes());
        self.addresses.push(row.addresses);
        if let Some(before) = row.before {
            self.count_before.push(before.count);
            self.bytes_before.push(before.bytes);
        }
    }
}

/// Addresses in hexadecimal digits, the lowest first; all but the first are the distance from the one before.
pub(super) fn differences(addresses: impl Iterator<Item = Va>) -> String {
    let mut addresses: Vec<Va> = addresses.collect();
    addresses.sort_unstable();
    let mut text = String::new();
    let mut before = 0;
    for Va(address) in addresses {
        let separator = if text.is_empty() { "" } else { " " };
        // Writing to a string does not fail.
        let _ = write!(text, "{separator}{:x}", address - before);
        before = address;
    }
    text
}
