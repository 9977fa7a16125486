//! Everything that Verifier knows of one address: records of the pool log whose block holds it, and
//! tracking entries, in use or freed.

use crate::addr::Va;
use crate::error::{Error, Problem};
use crate::kernel::Kernel;
use crate::verifier::log::{PoolLog, PoolRecord};
use crate::verifier::{Drivers, EntryState, TrackerEntry, read_tracker};

/// A record of the pool log that concerns the address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// The record.
    pub record: PoolRecord,
    /// Its frames, innermost first.
    pub frames: Vec<Va>,
}

/// A tracking entry that concerns the address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrackerMatch {
    /// The driver that owns the entry.
    pub driver: String,
    /// The entry.
    pub entry: TrackerEntry,
}

/// What is known of one address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct History {
    /// The address.
    pub address: Va,
    /// Outstanding allocations that hold it.
    pub trackers: Vec<TrackerMatch>,
    /// Records of the pool log whose block holds it, newest first.
    pub events: Vec<Event>,
    /// Records that the log has room for.
    pub capacity: u32,
    /// What could not be read or does not fit.
    pub problems: Vec<Problem>,
}

/// True where the block of `size` bytes at `start` holds `address`. A block of no size holds its
/// own start.
#[must_use]
pub(crate) fn holds(start: Va, size: u64, address: Va) -> bool {
    address.0.checked_sub(start.0).is_some_and(|offset| offset < size.max(1))
}

impl History {
    /// Gathers what is known of `address`.
    ///
    /// # Errors
    /// Where neither the drivers nor the log can be read.
    pub fn read(kernel: &Kernel, address: Va) -> Result<Self, Error> {
        let mut problems = Vec::new();
        let mut trackers = Vec::new();
        let drivers = Drivers::read(kernel);
        let failed = drivers.as_ref().err().cloned();
        match drivers {
            Ok(drivers) => {
                problems.extend(drivers.problems);
                for driver in drivers.drivers {
                    for image in &driver.images {
                        let tracker =
                            read_tracker(kernel, &driver.name, image.verified_data, &mut problems)?;
                        trackers.extend(
                            tracker
                                .entries
                                .into_iter()
                                .filter(|entry| {
                                    // A freed entry has lost its address to the free list.
                                    entry.state == EntryState::InUse
                                        && holds(
                                            entry.allocation.address,
                                            entry.allocation.size,
                                            address,
                                        )
                                })
                                .map(|entry| TrackerMatch { driver: driver.name.clone(), entry }),
                        );
                    }
                }
            }
            Err(error) => problems.push(Problem::from_error("drivers", &error)),
        }
        let log = PoolLog::read_where(kernel, None, |start, size| holds(start, size, address));
        let (events, capacity) = match log {
            Ok(mut log) => {
                problems.append(&mut log.problems);
                let events = log
                    .records
                    .iter()
                    .map(|record| Event {
                        record: record.clone(),
                        frames: log.frames(record).to_vec(),
                    })
                    .collect();
                (events, log.ring.length)
            }
            Err(error) => {
                if failed.is_some() {
                    return Err(error);
                }
                problems.push(Problem::from_error("pool log", &error));
                (Vec::new(), 0)
            }
        };
        Ok(Self { address, trackers, events, capacity, problems })
    }
}
