//! Verifier's logs of recent events: rings of fixed-size records with call stacks.
//!
//! All are decoded by the one [`Ring`]; each log's file says which globals it has and what its
//! records hold. The canceled IRPs that are watched ([`WatchedIrps`]) are a list.

mod carve;
mod check;
mod event;
mod event_row;
mod kind;
mod lives;
mod operation;
mod pool;
mod pool_walk;
mod record;
mod repeats;
pub(crate) mod ring;
mod stacks;
mod trace;
mod watched;

pub use carve::CarvedLog;
pub use check::ImpossibleRecord;
pub use event::{EventLog, EventRecord};
pub use event_row::EventRow;
pub use kind::{EventField, EventKind, LogKind};
pub use operation::{Operation, classify};
pub use pool::PoolLog;
pub use record::{CarvedRecord, CarvedRow, PoolRecord, PoolRow};
pub use ring::{Order, Ring};
pub(in crate::verifier) use trace::{Header, Slot, Trace};
pub use watched::{WatchedIrp, WatchedIrps};
