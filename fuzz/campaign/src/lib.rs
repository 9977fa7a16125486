//! Damages dumps in every way that it can name, and reads each as a user would.
//!
//! **In:** dump files with their symbols, and dumps of every kind that `verifier-synth` makes.
//! **Out:** for each damaged file whether it was refused, read in part or read whole, and each panic,
//! each limit hit, each output that holds what a terminal would obey, and each answer that differs from the
//! undamaged dump's without a word about it.
//!
//! How it chooses the places: an ordinary run is recorded ([`Trace`]), once below the page map (which
//! bytes of the file are read) and once above the page tables (which addresses, in which pieces). So
//! the damage follows the reader, and a new view is covered once [`look`] shows it. A damaged file is
//! the file's bytes and a patch over them ([`Overlay`]), never a copy.
//!
//! Cases run in a child process with a limit of its address space and a time limit that the parent
//! holds. In one process a counting allocator could tell memory too, but not stop a loop, nor
//! survive a stack overflow or an allocation that aborts; and it would need `unsafe`, which the
//! limit of a process does not (`rlimit`). The child goes through thousands of cases and says
//! after each how it went, so a process costs nothing; after one dies, a new one begins with the
//! next case.

mod answers;
mod cases;
mod clean;
mod damage;
mod look;
mod overlay;
mod peers;
mod subject;
mod summary;
mod supervise;
mod trace;
mod worker;

pub use answers::Answers;
pub use cases::{Case, Kind, cases};
pub use damage::Damage;
pub use look::{Look, Outcome, look};
pub use overlay::Overlay;
pub use peers::run_peers;
pub use subject::{Subject, given, synthetic};
pub use summary::{Limits, Tally, write_summary};
pub use supervise::{Supervisor, run};
pub use trace::Trace;
pub use worker::work;
