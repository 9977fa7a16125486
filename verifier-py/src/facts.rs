//! What is known of all rows of a table, by the names of the JSON contract.

use serde::Serialize;
use verifier_core::render::PoolInfoDocument;

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
