//! The C interface of `verifier-host`: a session over a file or a read callback, views as lists of records.
//!
//! The contract is in the first lines of `include/verifier.h`, where C programmers look. cbindgen generates
//! this header from the crate, and a test checks that it is current. Apart from one memory mapping, `unsafe`
//! is only in this crate: the module `pointer` has one function for each conversion between C's pointers and
//! references, and the rest of the crate calls these.
//!
//! | file | is |
//! |---|---|
//! | `status` | the return values, the last error, and the guard that no panic passes |
//! | `pointer` | C's pointers as text, values and structs that may grow |
//! | `handle` | handles of sessions and views |
//! | `reader` | a C callback as the memory of a kernel |
//! | `options` | how a session's calls are bounded: limits, a deadline, cancellation |
//! | `session` | opening and freeing sessions |
//! | `view` | the contents of a view, and functions for all views; settings, drivers, pool, leaks |
//! | `record` | the records of these views as C structs |
//! | `log`, `history`, `module`, `bug_check` | a view and its records each |
//!
//! To add a view: a variant of `Rows` in `view`, a file with the function that creates it, its record and
//! its `_at` function, and `BLESS=1 cargo test -p verifier-capi`.

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
