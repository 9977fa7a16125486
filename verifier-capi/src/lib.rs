//! The C interface of `verifier-host`: a session over a file or a read callback, and views that are lists
//! of records.
//!
//! The first lines of `include/verifier.h` explain the contract to C programmers. cbindgen makes that file
//! from this crate, and a test fails if it is not fresh. Only this crate has `unsafe` code, except for one
//! memory mapping in `verifier-host`: the module `pointer` converts what C passes into references and
//! back, each conversion once, and the rest of the crate calls it.
//!
//! | file | what it has |
//! |---|---|
//! | `status` | what functions return, and why they fail |
//! | `pointer` | C's pointers as text, values and structs that may grow |
//! | `handle` | the numbers that C holds for sessions and views |
//! | `last_error` | the last error, and the border that no panic crosses |
//! | `reader` | a C callback as the memory of a kernel |
//! | `options` | how far the calls of a session go: limits, a deadline, cancellation |
//! | `session` | opens and frees sessions |
//! | `view` | what a view holds, and what all views can do |
//! | `log` | what the records of all logs have |
//! | the others | one view each: its function, its record, its `_at` |
//!
//! To add a view: a file with the function that makes it, its rows, its record and its `_at`; two lines
//! here; and `BLESS=1 cargo test -p verifier-capi`.

// In the order of the header.
mod status;

mod last_error;

mod handle;
mod options;
mod pointer;
mod reader;
mod session;
mod view;

mod settings;

mod driver;

mod allocation;

mod leaks;

mod log;

mod pool_log;

mod event_log;

mod watched;

mod history;

mod module;

mod bug_check;

pub use allocation::{
    VerifierAllocation, VerifierImpossible, VerifierSource, verifier_allocation_at, verifier_pool,
};
pub use bug_check::{
    VerifierBugCheck, verifier_bug_check, verifier_bug_check_at, verifier_bug_check_parameters,
};
pub use driver::{
    VerifierDriver, VerifierDriverState, verifier_driver_at, verifier_driver_counter,
    verifier_drivers,
};
pub use event_log::{VerifierEvent, VerifierEventKind, verifier_event_at, verifier_event_log};
pub use history::{
    VerifierHistoryRecord, VerifierRole, verifier_history, verifier_history_record_at,
};
pub use last_error::{VerifierError, verifier_last_error};
pub use leaks::{
    VerifierGroup, VerifierUnloadLeak, verifier_group_at, verifier_group_block_at, verifier_leaks,
    verifier_unload_leak,
};
pub use log::{VerifierImpossibleValue, VerifierOperation};
pub use module::{VerifierModule, verifier_module_at, verifier_modules};
pub use options::VerifierOptions;
pub use pool_log::{VerifierLogEntry, verifier_log_entry_at, verifier_pool_log};
pub use reader::{VERIFIER_READER_STABLE, VerifierMachine, VerifierReader, VerifierSpace};
pub use session::{
    VERIFIER_ABI_VERSION, VerifierSession, verifier_abi_version, verifier_open_file,
    verifier_open_file_with, verifier_open_reader, verifier_open_reader_with,
    verifier_session_cancel, verifier_session_free,
};
pub use settings::{VerifierStatistic, verifier_level, verifier_statistic_at, verifier_statistics};
pub use status::{VerifierPlace, VerifierStatus};
pub use view::{
    VerifierExtent, VerifierField, VerifierFieldKind, VerifierFrame, VerifierInlinedFrame,
    VerifierProblem, VerifierReach, VerifierView, verifier_field_at, verifier_frame_at,
    verifier_inlined_frame_at, verifier_reach, verifier_view_count, verifier_view_extent,
    verifier_view_free, verifier_view_problem_at, verifier_view_problem_count,
};
pub use watched::verifier_watched_irps;
