//! C's door to `verifier-host`: a session over a file or a read callback, views as lists of records.
//!
//! The contract is told where C programmers look, in the first lines of `include/verifier.h`, which
//! cbindgen makes out of this crate (a test holds it fresh). `unsafe` is in this crate and in no other
//! but for one memory mapping: the module `pointer` turns what C hands over into references and back, once
//! each; the rest of the crate calls that.
//!
//! | file | is |
//! |---|---|
//! | `status` | what functions return, the last error, and the border that no panic crosses |
//! | `pointer` | C's pointers as text, values and structs that may grow |
//! | `handle` | what C holds of sessions and views |
//! | `reader` | a C callback as the memory of a kernel |
//! | `options` | how far a session's calls go: limits, a deadline, cancellation |
//! | `session` | opening and freeing sessions |
//! | `view` | what a view holds, and what all views can do; settings, drivers, pool, leaks |
//! | `record` | the records of those as C structs |
//! | `log`, `history`, `module`, `bug_check` | a view and its records each |
//!
//! To add a view: a variant of `Rows` in `view`, a file with the function that makes it, its record and
//! its `_at`, and `BLESS=1 cargo test -p verifier-capi`.

// In the order of the header.
mod handle;
mod options;
mod pointer;
mod reader;
mod session;
mod status;
mod view;

mod record;

mod log;

mod history;

mod module;

mod bug_check;

pub use bug_check::{VerifierBugCheck, verifier_bug_check, verifier_bug_check_at};
pub use history::{
    VerifierHistoryRecord, VerifierRole, verifier_history, verifier_history_record_at,
};
pub use log::{
    VerifierEvent, VerifierEventField, VerifierEventKind, VerifierFrame, VerifierImpossibleValue,
    VerifierLogEntry, VerifierOperation, verifier_event_at, verifier_event_field_at,
    verifier_event_log, verifier_frame_at, verifier_log_entry_at, verifier_pool_log,
};
pub use module::{VerifierModule, verifier_module_at, verifier_modules};
pub use options::{VerifierOptions, verifier_session_cancel};
pub use reader::{VERIFIER_READER_STABLE, VerifierMachine, VerifierReader, VerifierSpace};
pub use record::{
    VerifierAllocation, VerifierDriver, VerifierDriverState, VerifierGroup, VerifierSource,
    VerifierStatistic, VerifierUnloadLeak, verifier_allocation_at, verifier_driver_at,
    verifier_driver_counter, verifier_group_at, verifier_group_block_at, verifier_statistic_at,
    verifier_unload_leak,
};
pub use session::{
    VERIFIER_ABI_VERSION, VerifierSession, verifier_abi_version, verifier_open_file,
    verifier_open_file_with, verifier_open_reader, verifier_open_reader_with,
    verifier_session_free,
};
pub use status::{VerifierError, VerifierPlace, VerifierStatus, verifier_last_error};
pub use view::{
    VerifierExtent, VerifierProblem, VerifierReach, VerifierView, verifier_drivers, verifier_leaks,
    verifier_level, verifier_pool, verifier_reach, verifier_statistics, verifier_view_count,
    verifier_view_extent, verifier_view_free, verifier_view_problem_at,
    verifier_view_problem_count,
};
