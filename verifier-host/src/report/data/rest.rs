//! Rows for which the page has no room.

use std::collections::BTreeMap;

use verifier_core::analysis::Total;

use super::rows::{Held, Row};
use super::strings::{Index, NONE};
use super::{Data, MAX_STACKS};

/// Why blocks have no stack in the page if they have one in the dump.
const LEFT_OUT: &str = "it is left out of this page, which has the stacks with the most bytes";

/// Rows without room, added up by driver, tag and site.
#[derive(Default)]
pub(super) struct Rest(BTreeMap<(Index, Index, Index), (Held, Option<Total>)>);

impl Rest {
    /// Adds a row to the page, or to the rest if the page has no room for the row or had none for its stack.
    pub(super) fn push(&mut self, data: &mut Data, row: Row) {
        let has_no_stack = row.stack == NONE && row.why == NONE;
        if has_no_stack || data.rows.len() >= MAX_STACKS {
            self.take(row);
        } else {
            data.rows.push(row);
        }
    }

    fn take(&mut self, row: Row) {
        let key = (row.driver, row.tag, row.site);
        // Of too many kinds of rows only the driver is kept.
        let is_full = self.0.len() >= MAX_STACKS && !self.0.contains_key(&key);
        let key = if is_full { (row.driver, NONE, NONE) } else { key };
        let (held, before) = self.0.entry(key).or_default();
        held.take(row.held);
        if let Some(more) = row.before {
            let sum = before.get_or_insert_default();
            sum.count += more.count;
            sum.bytes = sum.bytes.saturating_add(more.bytes);
        }
    }

    /// Adds the sums to the page.
    pub(super) fn finish(self, data: &mut Data) {
        for ((driver, tag, site), (held, before)) in self.0 {
            let why = data.texts.index(LEFT_OUT);
            let (stack, caller, addresses) = (NONE, site, String::new());
            data.rows.push(Row { driver, tag, stack, why, caller, site, held, before, addresses });
        }
    }
}
