//! Driver Verifier's data: statistics, drivers, trackers of pool blocks, logs.
//!
//! | what | file |
//! |---|---|
//! | `MmVerifierData` | here |
//! | `VfSuspectDriversList`, `ViTargetDriversAvl` | `drivers` |
//! | pages of `_VI_POOL_ENTRY` | `trackers` |
//! | `ViPoolInfoAvl`, `ViPoolStackInfoAvl` | `pool_info` |
//! | balanced trees | `avl` |
//! | logs: pool, IRQL, faults, critical regions, IRPs, forced pending | `ring` |
//! | `ViDeadlockGlobals`: locks, threads, the order of locks | `deadlock` |

mod avl;
mod deadlock;
mod drivers;
mod pool_info;
mod ring;
mod trackers;

use std::collections::BTreeMap;

pub use deadlock::{Deadlock, Lock, LockId, LockNode, LockNodeId, LockThreadId};
pub use drivers::{Contiguous, Suspect, Verified};
pub use pool_info::{PoolBlock, PoolInfo, PoolStack};
pub use ring::{Log, Ring, RingRecord};
pub use trackers::{Allocation, SlistForm, Tracker};

use crate::assembly::Assembly;

/// All that Verifier keeps.
#[derive(Debug, Clone, Default)]
pub(crate) struct Verifier {
    pub(crate) level: u32,
    pub(crate) statistics: BTreeMap<String, u64>,
    pub(crate) suspects: Vec<Suspect>,
    /// (image base, image size, driver name, data of a verified driver).
    pub(crate) targets: Vec<(u64, u64, String, Option<Verified>)>,
    pub(crate) slist: SlistForm,
    pub(crate) rings: Vec<(Log, Ring)>,
    pub(crate) deadlock: Option<Deadlock>,
    pub(crate) pool_info: Option<PoolInfo>,
}

impl Verifier {
    pub(crate) fn lay_out(&self, m: &mut Assembly) {
        let entries = drivers::suspects(m, &self.suspects);
        let mut totals = BTreeMap::new();
        let mut targets = Vec::new();
        for (base, size, name, verified) in &self.targets {
            let data = verified.as_ref().map(|verified| {
                let entry = entries[verified.suspect];
                drivers::verified_data(m, name, verified, entry, self.slist, &mut totals)
            });
            targets.push((*base, *size, name.as_str(), data));
        }
        drivers::targets(m, targets);
        self.statistics(m, totals);
        for (log, ring) in &self.rings {
            ring.lay_out(*log, m);
        }
        if let Some(deadlock) = &self.deadlock {
            deadlock.lay_out(m);
        }
        if let Some(info) = &self.pool_info {
            info.lay_out(m);
        }
    }

    /// `MmVerifierData`: sums over the verified drivers, unless the machine says otherwise.
    fn statistics(&self, m: &mut Assembly, totals: BTreeMap<&'static str, u64>) {
        let va = m.global("MmVerifierData");
        let mut record =
            m.layouts.record("_MM_DRIVER_VERIFIER_DATA").set("Level", self.level.into());
        let mut values: BTreeMap<&str, u64> = totals;
        values.insert("Loads", self.suspects.iter().map(|s| u64::from(s.loads)).sum());
        values.insert("Unloads", self.suspects.iter().map(|s| u64::from(s.unloads)).sum());
        values.extend(self.statistics.iter().map(|(name, value)| (name.as_str(), *value)));
        for (name, value) in values {
            record = record.set(name, value);
        }
        let bytes = record.bytes();
        m.patch(va, &bytes);
        m.set_u32("KernelVerifier", 0);
        m.set_u32("VfVerifyMode", if self.suspects.is_empty() { 0 } else { 3 });
        if m.has_global("VfRuleClasses") {
            m.set_u32("VfRuleClasses", self.level);
        }
    }
}
