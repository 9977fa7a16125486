//! Verifier's logs of recent events: rings of fixed-size records with call stacks.
//!
//! All are decoded by the one [`Ring`]; each log's file says which globals it has and what its
//! records hold.

mod event;
mod pool;
mod ring;
mod stacks;

pub use event::{EventField, EventKind, EventLog, EventRecord};
pub use pool::{Operation, PoolLog, PoolRecord, classify};
pub use ring::{Ring, RingRecords};
