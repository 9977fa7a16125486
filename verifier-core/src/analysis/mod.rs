//! Joins: what one view alone does not say.

mod history;

pub use history::{Event, History, TrackerMatch};
