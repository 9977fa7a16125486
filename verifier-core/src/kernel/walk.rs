//! The result of every walk.

use crate::addr::Va;
use crate::error::Error;

/// What a walk reached, and why it ended if not at its end.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Walk {
    /// The addresses of the elements, in order.
    pub entries: Vec<Va>,
    /// Why the walk is not whole.
    pub broken: Option<Error>,
}
