//! The result of a walk.

use crate::addr::Va;
use crate::error::Error;

/// The elements that a walk reached, and why it ended early if it did.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Walk {
    /// The addresses of the elements, in order.
    pub entries: Vec<Va>,
    /// Why the walk is incomplete.
    pub broken: Option<Error>,
}
