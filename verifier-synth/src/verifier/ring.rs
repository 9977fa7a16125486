//! The logs: rings of records with a call stack, all in the same form.
//!
//! A writer increments the index and uses the slot `index & (length - 1)`, so the newest record is at the
//! index. A stack shorter than its array ends with one null. The frames after the null are left from an
//! earlier lap, except in the pool log since 22000, where they are zero. Source: public PDB types.

use std::collections::BTreeMap;

use crate::assembly::Assembly;
use crate::physical::PAGE_SIZE;

/// A log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Log {
    /// `VfPoolTraces` of `_VF_POOL_TRACE`.
    Pool,
    /// `ViTrackIrqlQueue` of `_VI_TRACK_IRQL`.
    Irql,
    /// `ViFaultTraces` of `_VI_FAULT_TRACE`.
    Fault,
    /// `VfKeCriticalRegionTraces` of `_VF_KE_CRITICAL_REGION_TRACE`.
    CriticalRegion,
    /// `IovIrpTraces` of `_IOV_IRP_TRACE`.
    Irp,
    /// `VfForcedPendingLog` of `_IOV_FORCED_PENDING_TRACE`.
    ForcedPending,
}

impl Log {
    /// The names of the structure and of the variables for the array, the index and the length.
    pub fn names(self) -> [&'static str; 4] {
        match self {
            Self::Pool => {
                ["_VF_POOL_TRACE", "VfPoolTraces", "VfPoolTracesIndex", "VfPoolTracesLength"]
            }
            Self::Irql => {
                ["_VI_TRACK_IRQL", "ViTrackIrqlQueue", "ViTrackIrqlIndex", "ViTrackIrqlQueueLength"]
            }
            Self::Fault => {
                ["_VI_FAULT_TRACE", "ViFaultTraces", "ViFaultTracesIndex", "ViFaultTracesLength"]
            }
            Self::CriticalRegion => [
                "_VF_KE_CRITICAL_REGION_TRACE",
                "VfKeCriticalRegionTraces",
                "VfKeCriticalRegionTracesIndex",
                "VfKeCriticalRegionTracesLength",
            ],
            Self::Irp => {
                ["_IOV_IRP_TRACE", "IovIrpTraces", "IovIrpTracesIndex", "IovIrpTracesLength"]
            }
            Self::ForcedPending => [
                "_IOV_FORCED_PENDING_TRACE",
                "VfForcedPendingLog",
                "VfForcedPendingIrps",
                "VfForcedPendingLogLength",
            ],
        }
    }

    fn default_length(self) -> u32 {
        match self {
            Self::Pool => 0x10000,
            Self::Irp => 0x1000,
            _ => 0x100,
        }
    }
}

/// One record: fields by their C names, and the stack.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RingRecord {
    /// All fields except the stack.
    pub fields: Vec<(&'static str, u64)>,
    /// Return addresses, innermost first.
    pub frames: Vec<u64>,
    /// Frames after the terminator, left from an earlier lap.
    pub stale: Vec<u64>,
}

/// The records of a log, in the order in which they were written.
#[derive(Debug, Clone)]
pub struct Ring {
    /// Number of slots, a power of two.
    pub length: u32,
    /// The index before the first record was written; it can be any value, for example one that wraps.
    pub index_before: u32,
    /// The address of the array, if it matters.
    pub address: Option<u64>,
    /// Records, oldest first. If there are more than `length`, they overwrite the first ones.
    pub records: Vec<RingRecord>,
}

impl Ring {
    pub(crate) fn new(log: Log) -> Self {
        Self { length: log.default_length(), index_before: 0, address: None, records: Vec::new() }
    }

    /// Adds a record.
    pub fn push(&mut self, record: RingRecord) -> &mut Self {
        self.records.push(record);
        self
    }

    pub(super) fn lay_out(&self, log: Log, m: &mut Assembly) {
        assert!(self.length.is_power_of_two(), "a log of {:#x} entries", self.length);
        let [structure, array_name, index_name, length_name] = log.names();
        let stride = m.layouts.size(structure);
        let room = m.layouts.count(structure, "StackTrace");
        let bytes = self.length as usize * stride;
        let array = self.address.unwrap_or_else(|| m.allocate(bytes, PAGE_SIZE as u64));
        assert!(array.is_multiple_of(PAGE_SIZE as u64), "a log at {array:#x}");
        let zeroed_tail = log == Log::Pool && m.build.number() >= 22000;

        let mut slots: BTreeMap<u32, Vec<u8>> = BTreeMap::new();
        let mut index = self.index_before;
        for record in &self.records {
            index = index.wrapping_add(1);
            let slot = slots.entry(index & (self.length - 1)).or_insert_with(|| vec![0; stride]);
            assert!(
                record.frames.len() <= room,
                "{} frames in a stack of {room}",
                record.frames.len()
            );
            let mut frames = record.frames.clone();
            if zeroed_tail {
                assert!(record.stale.is_empty(), "this build's pool log has no stale frames");
                frames.resize(room, 0);
            } else if frames.len() < room {
                frames.push(0);
                let rest = room - frames.len();
                frames.extend(record.stale.iter().take(rest));
            }
            let mut filled = m
                .layouts
                .record(structure)
                .over(std::mem::take(slot))
                .set_all("StackTrace", &frames);
            for (name, value) in &record.fields {
                filled = filled.set(name, *value);
            }
            *slot = filled.bytes();
        }
        for (slot, record) in slots {
            m.patch(array + (slot as usize * stride) as u64, &record);
        }
        for page in (0..bytes).step_by(PAGE_SIZE) {
            m.map_zero(array + page as u64);
        }
        m.label(format!("ring:{array_name}"), array);
        m.set_pointer(array_name, array);
        m.set_u32(index_name, index);
        m.set_u32(length_name, self.length);
    }
}
