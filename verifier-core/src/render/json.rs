//! JSON by the contract in `docs/json.md`: snake_case names of the C fields, addresses as `"0x…"`,
//! counts and sizes as numbers, `problems` in every document. Documents are streamed, never built.

use std::io;

use serde::ser::{SerializeMap, SerializeSeq};
use serde::{Serialize, Serializer};

use super::escape::JsonFormatter;
use super::names::Names;
use crate::addr::Va;
use crate::analysis::{History, Lifetime, TrackerMatch};
use crate::error::Problem;
use crate::verifier::log::{
    EventLog, EventRecord, Operation, PoolLog, PoolRecord, WatchedIrp, WatchedIrps,
};
use crate::verifier::{
    Allocation, Contiguous, Counters, Driver, Drivers, PoolInfo, PoolReport, TargetDriver, ToldBy,
};

/// A C name in snake_case: `PeakNonPagedBytes` is `peak_non_paged_bytes`, `IATInExecutableSection`
/// is `iat_in_executable_section`.
#[must_use]
pub fn to_snake_case(name: &str) -> String {
    let chars: Vec<char> = name.chars().collect();
    let mut out = String::with_capacity(name.len() + 8);
    let mut previous: Option<char> = None;
    for (i, &c) in chars.iter().enumerate() {
        if c.is_uppercase()
            && let Some(before) = previous
            && before != '_'
        {
            let next_lower = chars.get(i + 1).is_some_and(|next| next.is_lowercase());
            if !before.is_uppercase() || next_lower {
                out.push('_');
            }
        }
        out.extend(c.to_lowercase());
        previous = Some(c);
    }
    out
}

/// Writes any document as one line of JSON. Characters that a terminal would obey are escapes.
///
/// # Errors
/// Those of the writer.
pub fn write_json(out: &mut dyn io::Write, document: &impl Serialize) -> io::Result<()> {
    let mut serializer = serde_json::Serializer::with_formatter(&mut *out, JsonFormatter);
    document.serialize(&mut serializer).map_err(io::Error::from)?;
    out.write_all(b"\n")
}

/// A string in JSON; a number in formats that are not for people.
impl Serialize for Va {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            serializer.collect_str(self)
        } else {
            serializer.serialize_u64(self.0)
        }
    }
}

impl Serialize for Problem {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(3))?;
        map.serialize_entry("what", &self.what)?;
        map.serialize_entry("address", &self.address)?;
        map.serialize_entry("why", &self.why)?;
        map.end()
    }
}

impl Serialize for Counters {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer
            .collect_map(self.0.iter().map(|counter| (to_snake_case(&counter.name), counter.value)))
    }
}

/// A sequence made by a closure, so that nothing is gathered first.
pub(super) struct Seq<F>(pub(super) F);

impl<F, I> Serialize for Seq<F>
where
    F: Fn() -> I,
    I: Iterator,
    I::Item: Serialize,
{
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut seq = serializer.serialize_seq(None)?;
        for item in (self.0)() {
            seq.serialize_element(&item)?;
        }
        seq.end()
    }
}

struct DriverDoc<'a>(&'a Driver);

impl Serialize for DriverDoc<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let driver = self.0;
        let first = driver.images.first();
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("name", &driver.name)?;
        map.serialize_entry("state", driver.state().name())?;
        map.serialize_entry("loads", &driver.loads)?;
        map.serialize_entry("unloads", &driver.unloads)?;
        map.serialize_entry("base", &first.and_then(|image| known(image.base)))?;
        map.serialize_entry("size", &first.map(|image| image.size))?;
        map.serialize_entry("suspect_entry", &driver.suspect_entry)?;
        map.serialize_entry("target_driver", &first.and_then(|image| known(image.address)))?;
        map.serialize_entry("verified_data", &first.map(|image| image.verified_data))?;
        map.serialize_entry("counters", &first.map(|_| driver.counters()))?;
        map.serialize_entry("images", &Seq(|| driver.images.iter().map(ImageDoc)))?;
        map.serialize_entry("from_bug_check", &driver.from_bug_check)?;
        map.end()
    }
}

/// An address that is null where it is not known.
fn known(address: Va) -> Option<Va> {
    Some(address).filter(|address| !address.is_null())
}

struct ImageDoc<'a>(&'a TargetDriver);

impl Serialize for ImageDoc<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(5))?;
        map.serialize_entry("base", &known(self.0.base))?;
        map.serialize_entry("size", &self.0.size)?;
        map.serialize_entry("target_driver", &known(self.0.address))?;
        map.serialize_entry("verified_data", &self.0.verified_data)?;
        map.serialize_entry("counters", &self.0.counters)?;
        map.end()
    }
}

/// Writes the `drivers` document.
///
/// # Errors
/// Those of the writer.
pub fn write_drivers_json(out: &mut dyn io::Write, drivers: &Drivers) -> io::Result<()> {
    #[derive(Serialize)]
    struct Doc<'a, T: Serialize> {
        drivers: T,
        problems: &'a [Problem],
    }
    write_json(
        out,
        &Doc {
            drivers: Seq(|| drivers.drivers.iter().map(DriverDoc)),
            problems: &drivers.problems,
        },
    )
}

pub(super) struct AllocationDoc<'a>(pub(super) &'a Allocation, pub(super) &'a Names<'a>);

impl Serialize for AllocationDoc<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self(allocation, names) = self;
        let mut map = serializer.serialize_map(Some(7))?;
        map.serialize_entry("address", &allocation.address)?;
        map.serialize_entry("size", &allocation.size)?;
        map.serialize_entry("tag", &allocation.tag.to_string())?;
        map.serialize_entry("caller", &allocation.caller)?;
        map.serialize_entry("caller_symbol", &names.get(allocation.caller).as_deref())?;
        map.serialize_entry("source", allocation.source.name())?;
        map.serialize_entry("told_by", &allocation.source.told_by().map(ToldBy::name))?;
        map.end()
    }
}

struct ContiguousDoc<'a>(&'a Contiguous, &'a Names<'a>);

impl Serialize for ContiguousDoc<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self(memory, names) = self;
        let mut map = serializer.serialize_map(Some(4))?;
        map.serialize_entry("address", &memory.address)?;
        map.serialize_entry("size", &memory.size)?;
        map.serialize_entry("caller", &memory.caller)?;
        map.serialize_entry("caller_symbol", &names.get(memory.caller).as_deref())?;
        map.end()
    }
}

/// What the pool info trees are and hold, without their elements.
pub struct PoolInfoDocument<'a>(pub &'a PoolInfo);

impl Serialize for PoolInfoDocument<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let info = self.0;
        let tags = info.tags.iter().map(|tag| tag.to_string());
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("empty_because", &info.empty_because)?;
        map.serialize_entry("blocks", &info.blocks.len())?;
        map.serialize_entry("blocks_counted", &info.blocks_counted)?;
        map.serialize_entry("stacks", &info.stacks.len())?;
        map.serialize_entry("stacks_counted", &info.stacks_counted)?;
        map.serialize_entry("failed", &info.failed)?;
        map.serialize_entry("insertion_failures", &info.insertion_failures)?;
        map.serialize_entry("deletion_failures", &info.deletion_failures)?;
        map.serialize_entry("stack_failures", &info.stack_failures)?;
        map.serialize_entry("only_tags", &tags.collect::<Vec<_>>())?;
        map.end()
    }
}

/// Writes the `pool` document.
///
/// # Errors
/// Those of the writer.
pub fn write_pool_json(
    out: &mut dyn io::Write,
    report: &PoolReport,
    names: &Names<'_>,
) -> io::Result<()> {
    #[derive(Serialize)]
    struct Doc<'a, T: Serialize, U: Serialize> {
        drivers: T,
        unowned: U,
        pool_info: PoolInfoDocument<'a>,
        problems: &'a [Problem],
    }
    #[derive(Serialize)]
    struct DriverDoc<'a, T: Serialize, C: Serialize> {
        name: &'a str,
        allocations: T,
        contiguous: C,
    }
    let drivers = Seq(|| {
        report.drivers.iter().map(|pool| DriverDoc {
            name: &pool.driver.name,
            allocations: Seq(|| pool.allocations.iter().map(|a| AllocationDoc(a, names))),
            contiguous: Seq(|| pool.contiguous.iter().map(|memory| ContiguousDoc(memory, names))),
        })
    });
    let unowned = Seq(|| report.unowned.iter().map(|a| AllocationDoc(a, names)));
    let pool_info = PoolInfoDocument(&report.pool_info);
    write_json(out, &Doc { drivers, unowned, pool_info, problems: &report.problems })
}

pub(super) struct FrameDoc<'a>(pub(super) Va, pub(super) &'a Names<'a>);

impl Serialize for FrameDoc<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(2))?;
        map.serialize_entry("address", &self.0)?;
        map.serialize_entry("symbol", &self.1.get(self.0).as_deref())?;
        map.end()
    }
}

struct RecordDoc<'a> {
    record: &'a PoolRecord,
    frames: &'a [Va],
    names: &'a Names<'a>,
}

impl Serialize for RecordDoc<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self { record, frames, names } = self;
        let mut map = serializer.serialize_map(Some(6))?;
        map.serialize_entry("slot", &record.slot)?;
        map.serialize_entry("address", &record.address)?;
        map.serialize_entry("size", &record.size)?;
        map.serialize_entry("thread", &record.thread)?;
        map.serialize_entry("operation", record.operation.name())?;
        map.serialize_entry("frames", &Seq(|| frames.iter().map(|&va| FrameDoc(va, names))))?;
        map.end()
    }
}

/// What every log's document has.
#[derive(Serialize)]
struct LogDoc<'a, T: Serialize> {
    kind: &'static str,
    capacity: u32,
    written: u32,
    wrapped: Option<bool>,
    unused: u32,
    empty_because: Option<&'static str>,
    entries: T,
    problems: &'a [Problem],
}

/// Writes the `log pool` document.
///
/// # Errors
/// Those of the writer.
pub fn write_pool_log_json(
    out: &mut dyn io::Write,
    log: &PoolLog,
    names: &Names<'_>,
) -> io::Result<()> {
    let entries = Seq(|| {
        log.records.iter().map(|record| RecordDoc { record, frames: log.frames(record), names })
    });
    write_json(
        out,
        &LogDoc {
            kind: "pool",
            capacity: log.ring.length,
            written: log.ring.index,
            wrapped: log.wrapped,
            unused: log.unused,
            empty_because: log.empty_because,
            entries,
            problems: &log.problems,
        },
    )
}

struct EventDoc<'a>(&'a EventLog, &'a EventRecord, &'a Names<'a>);

impl Serialize for EventDoc<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self(log, record, names) = self;
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("slot", &record.slot)?;
        for (field, value) in log.values(record) {
            if field.is_address {
                map.serialize_entry(field.name, &value.map(Va))?;
            } else {
                // Counts that are signed in C are negative here too.
                map.serialize_entry(field.name, &value.map(|value| value as i64))?;
            }
        }
        let frames = log.frames(record);
        map.serialize_entry("frames", &Seq(|| frames.iter().map(|&va| FrameDoc(va, names))))?;
        map.end()
    }
}

/// Writes the document of any log but the pool log.
///
/// # Errors
/// Those of the writer.
pub fn write_event_log_json(
    out: &mut dyn io::Write,
    log: &EventLog,
    names: &Names<'_>,
) -> io::Result<()> {
    write_json(
        out,
        &LogDoc {
            kind: log.kind.name(),
            capacity: log.ring.length,
            written: log.ring.index,
            wrapped: log.wrapped,
            unused: log.unused,
            empty_because: log.empty_because,
            entries: Seq(|| log.records.iter().map(|record| EventDoc(log, record, names))),
            problems: &log.problems,
        },
    )
}

struct WatchedDoc<'a>(&'a WatchedIrp);

impl Serialize for WatchedDoc<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let irp = self.0;
        let mut map = serializer.serialize_map(Some(6))?;
        map.serialize_entry("address", &irp.address)?;
        map.serialize_entry("irp", &irp.irp)?;
        map.serialize_entry("due_tick_count", &irp.due_tick_count)?;
        map.serialize_entry("inserted", &irp.inserted)?;
        map.serialize_entry("tracked_stack_location", &irp.tracked_stack_location)?;
        map.serialize_entry("cancel_timeout_ticks", &irp.cancel_timeout_ticks)?;
        map.end()
    }
}

/// Writes the `log watched` document.
///
/// # Errors
/// Those of the writer.
pub fn write_watched_irps_json(out: &mut dyn io::Write, watched: &WatchedIrps) -> io::Result<()> {
    #[derive(Serialize)]
    struct Doc<'a, T: Serialize> {
        kind: &'static str,
        length: Option<u32>,
        maximum: Option<u32>,
        tick: Option<u32>,
        canceled: Option<u32>,
        empty_because: Option<&'static str>,
        entries: T,
        problems: &'a [Problem],
    }
    write_json(
        out,
        &Doc {
            kind: "watched",
            length: watched.length,
            maximum: watched.maximum,
            tick: watched.tick,
            canceled: watched.canceled,
            empty_because: watched.empty_because,
            entries: Seq(|| watched.irps.iter().map(WatchedDoc)),
            problems: &watched.problems,
        },
    )
}

/// Writes the `history` document.
///
/// # Errors
/// Those of the writer.
pub fn write_history_json(
    out: &mut dyn io::Write,
    history: &History,
    names: &Names<'_>,
) -> io::Result<()> {
    #[derive(Serialize)]
    struct Doc<'a, T: Serialize, E: Serialize, F: Serialize, N: Serialize> {
        address: Va,
        outstanding: T,
        capacity: u32,
        events: E,
        lifetimes: Vec<LifetimeDoc>,
        freed_entries: F,
        neighbors: N,
        problems: &'a [Problem],
    }
    #[derive(Serialize)]
    struct TrackerDoc<'a> {
        driver: &'a str,
        entry: Va,
        #[serde(flatten)]
        allocation: AllocationDoc<'a>,
        /// The stack that the pool info tree keeps.
        stack: Option<Vec<FrameDoc<'a>>>,
    }
    #[derive(Serialize)]
    struct LifetimeDoc {
        block: Va,
        /// Indexes of `events`.
        allocated: Option<usize>,
        freed: Option<usize>,
    }
    #[derive(Serialize)]
    struct NeighborDoc<'a> {
        address: Va,
        size: u64,
        driver: Option<&'a str>,
        newest: Option<&'static str>,
    }
    fn tracker_doc<'a>(tracker: &'a TrackerMatch, names: &'a Names<'a>) -> TrackerDoc<'a> {
        TrackerDoc {
            driver: &tracker.driver,
            entry: tracker.entry.allocation.entry,
            allocation: AllocationDoc(&tracker.entry.allocation, names),
            stack: (!tracker.frames.is_empty())
                .then(|| tracker.frames.iter().map(|&va| FrameDoc(va, names)).collect()),
        }
    }
    let outstanding = Seq(|| history.trackers.iter().map(|tracker| tracker_doc(tracker, names)));
    let freed_entries =
        Seq(|| history.freed_entries.iter().map(|tracker| tracker_doc(tracker, names)));
    let lifetimes = history
        .lifetimes
        .iter()
        .map(|&Lifetime { block, allocated, freed }| LifetimeDoc { block, allocated, freed });
    let neighbors = Seq(|| {
        history.neighbors.iter().map(|neighbor| NeighborDoc {
            address: neighbor.address,
            size: neighbor.size,
            driver: neighbor.driver.as_deref(),
            newest: neighbor.newest.map(Operation::name),
        })
    });
    let events = Seq(|| {
        history.events.iter().map(|event| RecordDoc {
            record: &event.record,
            frames: &event.frames,
            names,
        })
    });
    write_json(
        out,
        &Doc {
            address: history.address,
            outstanding,
            capacity: history.capacity,
            events,
            lifetimes: lifetimes.collect(),
            freed_entries,
            neighbors,
            problems: &history.problems,
        },
    )
}

#[cfg(test)]
mod tests {
    use super::to_snake_case;

    #[test]
    fn c_names() {
        for (c, snake) in [
            ("CurrentNonPagedPoolAllocations", "current_non_paged_pool_allocations"),
            ("UnTrackedPool", "un_tracked_pool"),
            ("IATInExecutableSection", "iat_in_executable_section"),
            ("Level", "level"),
            ("RaiseIrqls", "raise_irqls"),
        ] {
            assert_eq!(to_snake_case(c), snake);
        }
    }
}
