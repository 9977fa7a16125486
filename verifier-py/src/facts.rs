//! What is known of all rows of a table, by the names of the JSON contract.

use serde::Serialize;
use verifier_core::render::PoolInfoDocument;
use verifier_core::verifier::log::{Ring, WatchedIrps};

use crate::errors::Failure;
use crate::table::{Described, View};

/// What is known of a log beside its records.
#[derive(Serialize)]
pub(crate) struct LogFacts {
    kind: &'static str,
    capacity: u32,
    written: Option<u32>,
    order: &'static str,
    wrapped: Option<bool>,
    unused: u32,
    empty_because: Option<&'static str>,
}

impl LogFacts {
    pub(crate) fn new(
        kind: &'static str,
        ring: &Ring,
        (wrapped, unused): (Option<bool>, u32),
        empty_because: Option<&'static str>,
    ) -> Self {
        let (capacity, written, order) = (ring.length, ring.index, ring.order().name());
        Self { kind, capacity, written, order, wrapped, unused, empty_because }
    }

    pub(crate) fn describe(self, view: View) -> Result<Described, Failure> {
        Ok(Described::new(view.empty_because(self.empty_because), "Log", &self)?)
    }
}

/// What the pool info trees hold beside what the trackers do.
#[derive(Serialize)]
pub(crate) struct PoolFacts<'a> {
    pub(crate) pool_info: PoolInfoDocument<'a>,
}

/// The same of the stacks.
#[derive(Serialize)]
pub(crate) struct StackFacts<'a> {
    pub(crate) source: &'static str,
    pub(crate) pool_info: PoolInfoDocument<'a>,
}

/// What is known of the list of watched IRPs.
#[derive(Serialize)]
pub(crate) struct WatchedFacts {
    kind: &'static str,
    length: Option<u32>,
    maximum: Option<u32>,
    tick: Option<u32>,
    canceled: Option<u32>,
    pub(crate) empty_because: Option<&'static str>,
}

impl From<&WatchedIrps> for WatchedFacts {
    fn from(watched: &WatchedIrps) -> Self {
        let &WatchedIrps { length, maximum, tick, canceled, empty_because, .. } = watched;
        Self { kind: "watched", length, maximum, tick, canceled, empty_because }
    }
}
