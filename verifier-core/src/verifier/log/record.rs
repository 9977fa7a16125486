//! A record of the pool log.

use super::check::ImpossibleRecord;
use super::operation::Operation;
use super::stacks::Stack;
use crate::addr::Va;

/// A record of the pool log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PoolRecord {
    /// The slot it lies in.
    pub slot: u32,
    /// `Address`: the block, an MDL, a mapping.
    pub address: Va,
    /// `Size`.
    pub size: u64,
    /// `Thread`: the `_ETHREAD`.
    pub thread: Va,
    /// What happened.
    pub operation: Operation,
    /// Which of its values no kernel writes: then the record was damaged, and none of it can be relied on.
    pub impossible: Option<ImpossibleRecord>,
    pub(super) stack: Stack,
}
