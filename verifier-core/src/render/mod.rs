//! For people and for programs: the debugger's text, plain tables, JSON, CSV. The only room that
//! formats; every function writes to an [`io::Write`](std::io::Write) of the caller's.

mod carve;
mod csv;
mod deadlock;
mod diff;
mod escape;
mod json;
mod leaks;
mod names;
mod pool_stacks;
mod settings;
pub mod text;

pub use carve::{
    write_carved_log_csv, write_carved_log_json, write_carved_pool_csv, write_carved_pool_json,
};
pub use csv::{
    write_drivers_csv, write_event_log_csv, write_history_csv, write_pool_csv, write_pool_log_csv,
    write_settings_csv, write_watched_irps_csv,
};
pub use deadlock::{
    DeadlockDocument, write_deadlock_dot, write_deadlock_json, write_deadlock_text,
};
pub use diff::{DiffView, write_diff_csv, write_diff_json, write_diff_markdown, write_diff_text};
pub use json::{
    PoolInfoDocument, to_snake_case, write_drivers_json, write_event_log_json, write_history_json,
    write_json, write_pool_json, write_pool_log_json, write_watched_irps_json,
};
pub use leaks::{
    LeaksView, Weight, folded_stacks, write_leaks_csv, write_leaks_folded, write_leaks_json,
    write_leaks_markdown, write_leaks_text,
};
pub use names::Names;
pub use pool_stacks::{write_pool_stacks_csv, write_pool_stacks_json, write_pool_stacks_text};
pub use settings::write_settings_json;
