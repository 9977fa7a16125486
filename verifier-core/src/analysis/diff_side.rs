//! The two dumps of a difference.

use super::grouping::Grouping;
use super::leaks::Leaks;
use crate::kernel::Kernel;

/// One of the two dumps.
#[derive(Clone, Copy)]
pub struct Side<'a> {
    /// Its kernel, for names.
    pub kernel: &'a Kernel,
    /// Its outstanding allocations.
    pub leaks: &'a Leaks,
    /// Its stacks.
    pub grouping: &'a Grouping<'a>,
}
