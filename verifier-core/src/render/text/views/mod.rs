//! Views as text for a terminal, in this project's own words and tables.
//!
//! The text of a view begins with the lines that say that its answer is not complete
//! ([`write_extent`](super::write_extent)).

mod carve;
mod deadlock;
mod diff;
mod drivers;
mod flags;
mod history;
pub(in crate::render::text) mod info;
mod leaks;
mod logs;
mod pool;
mod pool_stacks;
mod settings;

pub use carve::{write_carved_log_text, write_carved_pool_text};
pub use deadlock::write_deadlock_text;
pub use diff::write_diff_text;
pub use drivers::write_drivers_text;
pub use flags::write_flags_text;
pub use history::write_history_text;
pub use info::write_info_text;
pub use leaks::write_leaks_text;
pub use logs::{write_event_log_text, write_pool_log_text, write_watched_irps_text};
pub use pool::write_pool_text;
pub use pool_stacks::write_pool_stacks_text;
pub use settings::write_settings_text;
