//! Verifier's logs of recent events: rings of fixed-size records with call stacks.
//!
//! All are decoded by the one [`Ring`]; each log's file says which globals it has and what its
//! records hold. The canceled IRPs that are watched ([`WatchedIrps`]) are a list.

mod carve;
mod event;
mod kind;
mod pool;
mod ring;
mod stacks;
mod trace;
mod watched;

pub use carve::{CarvedLog, CarvedRecord};
pub use event::{EventLog, EventRecord};
pub use kind::{EventField, EventKind};
pub use pool::{Operation, PoolLog, PoolRecord, classify};
pub use ring::{Order, Ring, RingRecords};
pub(in crate::verifier) use trace::{Slot, Trace};
pub use watched::{WatchedIrp, WatchedIrps};
