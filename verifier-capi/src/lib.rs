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
//! | `pointer` | C's pointers as references, text and owned values |
//! | `reader` | a C callback as the memory of a kernel |
//! | `session` | opening and freeing sessions |
//! | `view` | what a view holds, and what all views can do |
//! | `record` | the records of each view as C structs |
//!
//! To add a view: a variant of `Rows` in `view`, its record and its `_at` in `record`, and
//! `BLESS=1 cargo test -p verifier-capi`.

// In the order of the header.
mod pointer;
mod reader;
mod session;
mod status;
mod view;

mod record;

pub use reader::{VerifierMachine, VerifierReader, VerifierSpace};
pub use record::{
    VerifierAllocation, VerifierDriver, VerifierDriverState, VerifierFrame, VerifierGroup,
    VerifierLogEntry, VerifierOperation, VerifierSource, VerifierStatistic, verifier_allocation_at,
    verifier_driver_at, verifier_driver_counter, verifier_frame_at, verifier_group_at,
    verifier_group_block_at, verifier_log_entry_at, verifier_statistic_at,
};
pub use session::{
    VerifierSession, verifier_abi_version, verifier_open_file, verifier_open_reader,
    verifier_session_free,
};
pub use status::{VerifierError, VerifierPlace, VerifierStatus, verifier_last_error};
pub use view::{
    VerifierProblem, VerifierReach, VerifierView, verifier_drivers, verifier_leaks, verifier_level,
    verifier_pool, verifier_pool_log, verifier_reach, verifier_statistics, verifier_view_count,
    verifier_view_free, verifier_view_problem_at, verifier_view_problem_count,
};
