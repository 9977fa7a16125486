//! The configured drivers and the loaded images that are verified.
//!
//! `VfSuspectDriversList` is a ring of `_VF_SUSPECT_DRIVER_ENTRY`, one for each configured name; since 26100
//! an entry also has the full name of the image after it was loaded. `ViTargetDriversAvl` is a `_VF_AVL_TREE`
//! → one `_VF_AVL_TABLE` whose `_RTL_AVL_TABLE` has the root at `BalancedRoot.RightChild`. Nodes are
//! `_RTL_BALANCED_LINKS` followed by a `_VF_TARGET_DRIVER`, keyed by image base; `VerifiedData` →
//! `_VF_TARGET_VERIFIED_DRIVER_DATA`, signature 0x98761940, which points back at the suspect entry. Source:
//! public PDB types.

use std::collections::BTreeMap;

use super::avl;
use super::trackers::{self, Allocation, SlistForm, Tracker};
use crate::assembly::Assembly;

/// Signature of `_VF_TARGET_VERIFIED_DRIVER_DATA`.
const SIGNATURE: u64 = 0x9876_1940;

/// A configured driver: `_VF_SUSPECT_DRIVER_ENTRY`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Suspect {
    /// `BaseName`.
    pub name: String,
    /// `Loads`.
    pub loads: u32,
    /// `Unloads`.
    pub unloads: u32,
    /// The address of the entry, if it matters.
    pub address: Option<u64>,
}

/// Verifier's data of one verified image: `_VF_TARGET_VERIFIED_DRIVER_DATA`.
#[derive(Debug, Clone, Default)]
pub struct Verified {
    pub(crate) suspect: usize,
    pub(crate) trackers: Vec<Tracker>,
    pub(crate) contiguous: Vec<Contiguous>,
    pub(crate) counters: BTreeMap<String, u64>,
}

/// Physically contiguous memory that a driver holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Contiguous {
    /// Its address.
    pub address: u64,
    /// Its bytes.
    pub size: u64,
    /// The return address of the driver's request.
    pub caller: u64,
}

impl Verified {
    /// Adds a block that the driver holds. Blocks take slots in the given order.
    pub fn allocation(&mut self, allocation: Allocation) -> &mut Self {
        self.tracker(Tracker::InUse(allocation))
    }

    /// Adds a slot whose block was freed: stale except for its link, with bit 0 of `NumberOfBytes` set.
    pub fn freed(&mut self, allocation: Allocation) -> &mut Self {
        self.tracker(Tracker::Freed(allocation))
    }

    /// Adds slots that were never used.
    pub fn fresh(&mut self, count: usize) -> &mut Self {
        self.trackers.extend(std::iter::repeat_n(Tracker::Fresh, count));
        self
    }

    /// Adds one slot.
    pub fn tracker(&mut self, tracker: Tracker) -> &mut Self {
        self.trackers.push(tracker);
        self
    }

    /// Adds contiguous memory that the driver holds.
    pub fn contiguous(&mut self, contiguous: Contiguous) -> &mut Self {
        self.contiguous.push(contiguous);
        self
    }

    /// Sets a counter by its C name; otherwise its value follows from the blocks.
    pub fn counter(&mut self, name: &str, value: u64) -> &mut Self {
        self.counters.insert(name.to_owned(), value);
        self
    }
}

/// Writes the list of configured drivers and returns the addresses of all entries. Entries for which `is_off`
/// returns true are left off the list.
pub(super) fn suspects(
    m: &mut Assembly,
    suspects: &[Suspect],
    is_off: impl Fn(&str) -> bool,
) -> Vec<u64> {
    let structure = "_VF_SUSPECT_DRIVER_ENTRY";
    let mut entries = Vec::new();
    for suspect in suspects {
        let va = suspect.address.unwrap_or_else(|| m.allocate(m.layouts.size(structure), 16));
        let record = m
            .layouts
            .record(structure)
            .set("Loads", suspect.loads.into())
            .set("Unloads", suspect.unloads.into());
        let bytes = record.bytes();
        m.patch(va, &bytes);
        m.put_string(va + m.layouts.offset(structure, "BaseName") as u64, &suspect.name);
        if let Some((offset, _)) = m.layouts.find(structure, "FullName")
            && suspect.loads > 0
        {
            let path = format!(r"\SystemRoot\System32\drivers\{}", suspect.name);
            m.put_string(va + offset as u64, &path);
        }
        m.label(format!("suspect:{}", suspect.name), va);
        entries.push(va);
    }
    let listed = entries.iter().zip(suspects).filter(|(_, suspect)| !is_off(&suspect.name));
    let listed: Vec<u64> = listed.map(|(&entry, _)| entry).collect();
    m.link(m.global("VfSuspectDriversList"), &listed);
    entries
}

/// Writes the data of a verified driver, adds its counters to `totals`, and returns its address.
pub(super) fn verified_data(
    m: &mut Assembly,
    name: &str,
    verified: &Verified,
    suspect_entry: u64,
    slist: SlistForm,
    totals: &mut BTreeMap<&'static str, u64>,
) -> u64 {
    let structure = "_VF_TARGET_VERIFIED_DRIVER_DATA";
    let va = m.allocate(m.layouts.size(structure), 0x40);
    m.label(format!("verified:{name}"), va);

    let held = |paged: bool| {
        let blocks = verified.trackers.iter().filter_map(|tracker| match tracker {
            Tracker::InUse(allocation) if allocation.paged == paged => Some(allocation.size),
            _ => None,
        });
        (blocks.clone().count() as u64, blocks.sum::<u64>())
    };
    let (paged, paged_bytes) = held(true);
    let (nonpaged, nonpaged_bytes) = held(false);
    let contiguous = verified.contiguous.iter().map(|contiguous| contiguous.size).sum();
    let mut counters: BTreeMap<&str, u64> = BTreeMap::from([
        ("CurrentPagedPoolAllocations", paged),
        ("CurrentNonPagedPoolAllocations", nonpaged),
        ("PeakPagedPoolAllocations", paged),
        ("PeakNonPagedPoolAllocations", nonpaged),
        ("PagedBytes", paged_bytes),
        ("NonPagedBytes", nonpaged_bytes),
        ("PeakPagedBytes", paged_bytes),
        ("PeakNonPagedBytes", nonpaged_bytes),
        ("ContiguousMemoryBytes", contiguous),
        ("PeakContiguousMemoryBytes", contiguous),
    ]);
    counters.extend(verified.counters.iter().map(|(name, value)| (name.as_str(), *value)));
    for total in TOTALS {
        *totals.entry(total).or_default() += counters.get(total).copied().unwrap_or(0);
    }
    let asked =
        verified.trackers.iter().filter(|tracker| !matches!(tracker, Tracker::Fresh)).count()
            as u64;
    *totals.entry("AllocationsAttempted").or_default() += asked;
    *totals.entry("AllocationsSucceeded").or_default() += asked;

    let mut record = m
        .layouts
        .record(structure)
        .set("SuspectDriverEntry", suspect_entry)
        .set("Signature", SIGNATURE);
    for (name, value) in counters {
        record = record.set(name, value);
    }
    let bytes = record.bytes();
    m.patch(va, &bytes);
    for list in ["EtwHandlesListHead", "DifPluginPerDriverDataContextHead"] {
        if let Some((offset, _)) = m.layouts.find(structure, list) {
            m.link(va + offset as u64, &[]);
        }
    }
    contiguous_memory(m, name, va, &verified.contiguous);
    trackers::lay_out(m, name, va, &verified.trackers, slist);
    va
}

/// Writes the list of contiguous memory; its nodes begin with their links.
fn contiguous_memory(m: &mut Assembly, name: &str, data: u64, contiguous: &[Contiguous]) {
    let structure = "_VI_CONTIGUOUS_MEMORY";
    let mut nodes = Vec::new();
    for (number, held) in contiguous.iter().enumerate() {
        let node = m.allocate(m.layouts.size(structure), 16);
        let record = m.layouts.record(structure).set("Address", held.address);
        let bytes = record.set("Size", held.size).set("CallingAddress", held.caller).bytes();
        m.patch(node, &bytes);
        m.label(format!("contiguous:{name}:{number}"), node);
        nodes.push(node);
    }
    let head = m.layouts.offset("_VF_TARGET_VERIFIED_DRIVER_DATA", "ContiguousMemoryListHead");
    m.link(data + head as u64, &nodes);
}

/// Counters of a driver; `MmVerifierData` has their sums under the same names.
const TOTALS: &[&str] = &[
    "CurrentPagedPoolAllocations",
    "CurrentNonPagedPoolAllocations",
    "PeakPagedPoolAllocations",
    "PeakNonPagedPoolAllocations",
    "PagedBytes",
    "NonPagedBytes",
    "PeakPagedBytes",
    "PeakNonPagedBytes",
    "RaiseIrqls",
    "AcquireSpinLocks",
    "SynchronizeExecutions",
    "AllocationsWithNoTag",
    "AllocationsFailed",
    "AllocationsFailedDeliberately",
];

/// Writes the tree of target drivers: (base, size, name, verified data).
pub(super) fn targets(m: &mut Assembly, mut targets: Vec<(u64, u64, &str, Option<u64>)>) {
    targets.sort_unstable();
    let links = m.layouts.size("_RTL_BALANCED_LINKS");
    let size = m.layouts.size("_VF_TARGET_DRIVER");
    let key = if m.layouts.find("_VF_TARGET_DRIVER", "TreeNode.p").is_some() {
        "TreeNode"
    } else {
        "TreeNode.Base"
    };
    let nodes: Vec<u64> = targets.iter().map(|_| m.allocate(links + size, 16)).collect();
    for (&node, (base, range, name, data)) in nodes.iter().zip(&targets) {
        let record = m.layouts.record("_VF_TARGET_DRIVER");
        let (p, range_size) = (format!("{key}.p"), format!("{key}.RangeSize"));
        let bytes = record
            .set(&p, *base)
            .set(&range_size, *range)
            .set("VerifiedData", data.unwrap_or(0))
            .bytes();
        m.patch(node + links as u64, &bytes);
        m.label(format!("node:{name}"), node);
        m.label(format!("target:{name}"), node + links as u64);
    }

    let table = m.allocate(m.layouts.size("_VF_AVL_TABLE"), 0x40);
    m.label("avl table", table);
    m.patch(table, &vec![0; m.layouts.size("_VF_AVL_TABLE")]);
    avl::table(m, table + m.layouts.offset("_VF_AVL_TABLE", "RtlTable") as u64, &nodes);
    let record =
        m.layouts.record("_VF_AVL_TREE").set("NodeCount", nodes.len() as u64).set("Tables", table);
    let bytes = record.set("TablesNo", 1).set("u1.NodeSize", (links + size) as u64).bytes();
    m.patch(m.global("ViTargetDriversAvl"), &bytes);
}
