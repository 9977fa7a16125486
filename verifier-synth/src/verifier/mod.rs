//! Driver Verifier's data: statistics, drivers, trackers of pool blocks, logs.
//!
//! | what | file |
//! |---|---|
//! | `MmVerifierData` | here |
//! | `VfSuspectDriversList`, `ViTargetDriversAvl` | `drivers` |
//! | `VfExcludedDriversList`, `VfXdvExcludedDriversList` | `excluded` |
//! | pages of `_VI_POOL_ENTRY` | `trackers` |
//! | `ViPoolInfoAvl`, `ViPoolStackInfoAvl` | `pool_info` |
//! | balanced trees | `avl` |
//! | a driver that was unloaded while it held pool | `unload` |
//! | logs: pool, IRQL, faults, critical regions, IRPs, forced pending | `ring` |
//! | logs of 16 records: suppressed bug checks, workarounds | `static_log` |
//! | canceled IRPs that the watchdog watches | `watchdog` |
//! | `ViDeadlockGlobals`: locks, threads, the order of locks | `deadlock` |

mod avl;
mod deadlock;
mod drivers;
mod excluded;
mod pool_info;
mod ring;
mod static_log;
mod trackers;
mod unload;
mod watchdog;

use std::collections::BTreeMap;

pub use deadlock::{Deadlock, Lock, LockId, LockNode, LockNodeId, LockThreadId};
pub use drivers::{Contiguous, Suspect, Verified};
pub use pool_info::{PoolBlock, PoolInfo, PoolStack};
pub use ring::{Log, Ring, RingRecord};
pub use static_log::StaticLog;
pub use trackers::{Allocation, SlistForm, Tracker};
pub use unload::Unload;
pub use watchdog::WatchedIrp;

use crate::assembly::Assembly;

/// The bit of the level without which no block is tracked.
const POOL_TRACKING: u32 = 8;
/// Slots of a pool log that holds nothing.
const EMPTY_LOG: u32 = 0x20;

/// All data of Verifier.
#[derive(Debug, Clone, Default)]
pub(crate) struct Verifier {
    /// Pool tracking if nothing is said and an image is verified.
    pub(crate) level: Option<u32>,
    pub(crate) statistics: BTreeMap<String, u64>,
    pub(crate) suspects: Vec<Suspect>,
    /// (image base, image size, driver name, data of a verified driver).
    pub(crate) targets: Vec<(u64, u64, String, Option<Verified>)>,
    pub(crate) slist: SlistForm,
    pub(crate) rings: Vec<(Log, Ring)>,
    pub(crate) deadlock: Option<Deadlock>,
    pub(crate) pool_info: Option<PoolInfo>,
    /// A driver that was unloaded while it held pool, by name.
    pub(crate) unload: Option<(String, Unload)>,
    pub(crate) excluded: Vec<String>,
    pub(crate) xdv_excluded: Vec<String>,
    pub(crate) watched: Vec<WatchedIrp>,
    pub(crate) suppressed: StaticLog,
    pub(crate) workarounds: StaticLog,
}

impl Verifier {
    pub(crate) fn lay_out(&self, m: &mut Assembly) {
        let is_off = |name: &str| self.unload_of(name) == Some(Unload::OffTreeAndList);
        let entries = drivers::suspects(m, &self.suspects, is_off);
        let mut totals = BTreeMap::new();
        let mut targets = Vec::new();
        for (base, size, name, verified) in &self.targets {
            let data = verified.as_ref().map(|verified| {
                let entry = entries[verified.suspect];
                drivers::verified_data(m, name, verified, entry, self.slist, &mut totals)
            });
            if matches!(self.unload_of(name), None | Some(Unload::Listed)) {
                targets.push((*base, *size, name.as_str(), data));
            }
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
        excluded::lay_out(m, "VfExcludedDriversList", &self.excluded);
        excluded::lay_out(m, "VfXdvExcludedDriversList", &self.xdv_excluded);
        watchdog::lay_out(m, &self.watched);
        self.suppressed.lay_out(m, "ViBugcheckLog", 5);
        self.workarounds.lay_out(m, "ViBugcheckWorkaroundLog", 3);
        // A kernel that tracks pool has a pool log.
        let has_pool_log = self.rings.iter().any(|(log, _)| *log == Log::Pool);
        if self.level() & POOL_TRACKING != 0 && !has_pool_log {
            Ring { length: EMPTY_LOG, ..Ring::new(Log::Pool) }.lay_out(Log::Pool, m);
        }
    }

    /// The level that was set; else pool tracking if an image is verified.
    fn level(&self) -> u32 {
        let is_on = self.targets.iter().any(|(_, _, _, verified)| verified.is_some());
        self.level.unwrap_or(if is_on { POOL_TRACKING } else { 0 })
    }

    /// Writes `MmVerifierData`: sums over the verified drivers, unless the machine sets other values.
    fn statistics(&self, m: &mut Assembly, totals: BTreeMap<&'static str, u64>) {
        let va = m.global("MmVerifierData");
        let level = self.level();
        let mut record = m.layouts.record("_MM_DRIVER_VERIFIER_DATA").set("Level", level.into());
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
            m.set_u32("VfRuleClasses", level);
        }
    }
}
