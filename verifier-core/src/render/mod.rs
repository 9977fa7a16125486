//! For people and for programs: the debugger's text, plain tables, JSON, CSV. No other module formats
//! answers; every function writes to the caller's [`io::Write`](std::io::Write).

mod carve;
mod csv;
mod deadlock;
mod diff;
mod drivers;
mod escape;
mod history;
pub mod info;
mod json;
mod leaks;
mod logs;
mod names;
mod pool;
mod pool_stacks;
mod rule;
mod settings;
pub mod text;

/// The rows of every view with their descriptions. JSON and CSV walk them, and you can walk them too.
pub mod rows {
    pub use super::carve::{CarvedAllocationRow, carved_allocation_rows};
    pub use super::deadlock::rows::{EDGE, NodeRow, ResourceRow, STEP, THREAD};
    pub use super::diff::{DiffRow, Growth};
    pub use super::drivers::{DriverRow, IMAGE};
    pub use super::history::{LifetimeRow, NEIGHBOR, lifetime_rows, outstanding_rows};
    pub use super::info::{CulpritRow, ParameterRow};
    pub use super::leaks::{BlockRow, LeakGroup};
    pub use super::pool::{AllocationRow, allocation_rows, contiguous_rows};
    pub use super::pool_stacks::POOL_STACK;
    pub use super::rule::RULE;
    pub use crate::verifier::log::{CarvedRow, EventRow, PoolRow};
}

pub use crate::number::{Size, Thousands};
pub use carve::{
    write_carved_log_csv, write_carved_log_json, write_carved_pool_csv, write_carved_pool_json,
};
pub use deadlock::{DeadlockDocument, write_deadlock_dot, write_deadlock_json};
pub use diff::{DiffView, write_diff_csv, write_diff_json, write_diff_markdown};
pub use drivers::{write_drivers_csv, write_drivers_json};
pub use escape::escape_html;
pub use history::{write_history_csv, write_history_json};
pub use json::{Verdict, to_snake_case, write_json};
pub use leaks::percent;
pub use leaks::{
    LeakGroup, LeakGroups, LeaksView, Omitted, Severity, Snippets, Weight, baseline_lines,
    filter_line, folded_stacks, inverted_stacks, unload_line, write_baseline, write_leaks_csv,
    write_leaks_folded, write_leaks_github, write_leaks_json, write_leaks_junit,
    write_leaks_markdown, write_leaks_sarif,
};
pub use logs::{
    LogFacts, WatchedFacts, write_event_log_csv, write_event_log_json, write_pool_log_csv,
    write_pool_log_json, write_watched_irps_csv, write_watched_irps_json,
};
pub use names::{LineStyle, Names};
pub use pool::{PoolInfoDocument, write_pool_csv, write_pool_json};
pub use pool_stacks::{write_pool_stacks_csv, write_pool_stacks_json};
pub use rule::{unknown_rule, write_rule_json, write_rule_text};
pub use settings::{write_flags_json, write_settings_csv, write_settings_json};
pub use text::views::{
    write_carved_log_text, write_carved_pool_text, write_deadlock_text, write_diff_text,
    write_drivers_text, write_event_log_text, write_flags_text, write_history_text,
    write_info_text, write_leaks_text, write_pool_log_text, write_pool_stacks_text,
    write_pool_text, write_settings_text, write_watched_irps_text,
};
