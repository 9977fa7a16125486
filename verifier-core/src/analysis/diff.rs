//! What grew between two dumps.
//!
//! Within one boot addresses stay: blocks are matched one by one, by address, size, tag and caller,
//! and by stack where both dumps have one. A block that is in both keeps the stack of whichever dump
//! has it: the log of the later one may have wrapped. Across boots nothing but names can be matched:
//! groups by symbolized stack, tag and driver.
//!
//! Two dumps are of one boot where their kernels lie at one base and their machines were started at
//! one time (`SystemTime` less `SystemUpTime`, within two seconds: the clock may have been corrected
//! by less). Without the times, every module that both have must lie at the same base.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use super::group::{GroupBy, Grouping};
use super::leaks::{Block, Leaks, NoStack, Total};
use crate::addr::Va;
use crate::dump::Header;
use crate::kernel::Kernel;
use crate::verifier::PoolTag;

/// How far two boot times of one boot may differ, in 100 ns.
const BOOT_TIME_SLACK: u64 = 2 * 10_000_000;

/// Whether two dumps are of one boot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Boot {
    /// True for one boot.
    pub is_same: bool,
    /// What says so.
    pub why: String,
}

/// When the machine was started, in 100 ns since 1601, by a dump's header.
#[must_use]
pub fn boot_time(header: &Header) -> Option<u64> {
    header.system_time?.checked_sub(header.system_up_time?).filter(|&time| time > 0)
}

impl Boot {
    /// Compares two kernels and the times when their machines were started ([`boot_time`]).
    #[must_use]
    pub fn compare(old: (&Kernel, Option<u64>), new: (&Kernel, Option<u64>)) -> Self {
        let says = |is_same, why: String| Boot { is_same, why };
        let ((old, old_time), (new, new_time)) = (old, new);
        if old.build() != new.build() {
            return says(false, format!("builds {} and {}", old.build(), new.build()));
        }
        if old.base() != new.base() {
            return says(false, format!("the kernel lies at {} and at {}", old.base(), new.base()));
        }
        if let (Some(old), Some(new)) = (old_time, new_time) {
            let apart = old.abs_diff(new);
            let seconds = apart / 10_000_000;
            return if apart <= BOOT_TIME_SLACK {
                says(true, "one boot time and one kernel base".into())
            } else {
                says(false, format!("boot times {seconds} seconds apart"))
            };
        }
        let moved = old.modules().loaded().iter().find(|module| {
            new.modules().by_name(&module.name).is_some_and(|other| other.base != module.base)
        });
        match moved {
            Some(module) => says(false, format!("a module lies at {} and elsewhere", module.base)),
            None => says(true, "all modules lie where they lay; a header has no times".into()),
        }
    }
}

/// One of the two dumps.
#[derive(Clone, Copy)]
pub struct Side<'a> {
    /// Its kernel, for names.
    pub kernel: &'a Kernel,
    /// Its outstanding allocations.
    pub leaks: &'a Leaks,
    /// Its stacks.
    pub grouping: &'a Grouping<'a>,
}

/// What the blocks of a [`DiffGroup`] have in common, in names.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct DiffKey {
    /// The driver.
    pub driver: Option<Arc<str>>,
    /// The tag.
    pub tag: Option<PoolTag>,
    /// The stack, innermost first, in names or addresses without one.
    pub stack: Option<Vec<Arc<str>>>,
    /// The frame or the caller that the blocks are grouped by, or the caller of blocks without stack.
    pub place: Option<Arc<str>>,
    /// The size.
    pub size: Option<u64>,
}

/// Blocks of both dumps that have a key in common.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DiffGroup {
    /// The key.
    pub key: DiffKey,
    /// One line for it: the first frame outside the kernel and Verifier, tag, driver or size.
    pub label: Arc<str>,
    /// Why there is no stack, where that is so; of the first block.
    pub why_no_stack: Option<NoStack>,
    /// Blocks in the earlier dump.
    pub old: Total,
    /// Blocks in the later dump.
    pub new: Total,
    /// Blocks that only the later dump has; across boots all of it.
    pub appeared: Vec<Va>,
    /// Blocks that only the earlier dump has; across boots all of it.
    pub gone: Vec<Va>,
}

impl DiffGroup {
    /// Blocks and bytes by which it grew; negative where it shrank.
    #[must_use]
    pub fn growth(&self) -> (i128, i128) {
        let less = |new: u64, old: u64| i128::from(new) - i128::from(old);
        (less(self.new.count, self.old.count), less(self.new.bytes, self.old.bytes))
    }

    /// The same in 64 bits; what does not fit is the largest or smallest that does.
    #[must_use]
    pub fn clamped_growth(&self) -> (i64, i64) {
        let clamp = |value: i128| {
            i64::try_from(value).unwrap_or(if value < 0 { i64::MIN } else { i64::MAX })
        };
        let (count, bytes) = self.growth();
        (clamp(count), clamp(bytes))
    }

    /// True where it holds more bytes, or as many in more blocks.
    #[must_use]
    pub fn grew(&self) -> bool {
        let (count, bytes) = self.growth();
        bytes > 0 || (bytes == 0 && count > 0)
    }
}

/// What grew between two dumps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diff {
    /// Whether both are of one boot.
    pub boot: Boot,
    /// What the groups are by.
    pub by: GroupBy,
    /// All blocks of the earlier dump.
    pub old: Total,
    /// All blocks of the later dump.
    pub new: Total,
    /// Groups that differ in blocks or bytes, the most growth first.
    pub groups: Vec<DiffGroup>,
    /// Groups that hold as much as before.
    pub unchanged: usize,
}

struct Names<'a> {
    side: Side<'a>,
    known: HashMap<Va, Arc<str>>,
}

impl Names<'_> {
    fn get(&mut self, va: Va) -> Arc<str> {
        let kernel = self.side.kernel;
        let name = self.known.entry(va).or_insert_with(|| match kernel.symbolize(va) {
            Some(name) => name.to_string().into(),
            None => va.to_string().into(),
        });
        name.clone()
    }

    fn key(&mut self, block: &Block, by: GroupBy) -> (DiffKey, Arc<str>) {
        let side = self.side;
        let driver: Arc<str> = side.leaks.driver(block).into();
        let tag = block.allocation.tag;
        let mut key = DiffKey::default();
        let label = match by {
            GroupBy::Stack => {
                key.driver = Some(driver);
                key.tag = Some(tag);
                let frames = side.grouping.frames(block);
                key.stack = frames.map(|frames| frames.iter().map(|&va| self.get(va)).collect());
                if key.stack.is_none() {
                    key.place = Some(self.get(block.allocation.caller));
                }
                self.get(side.grouping.site(block).unwrap_or(block.allocation.caller))
            }
            GroupBy::Frame => {
                let place = match side.grouping.site(block) {
                    Some(va) => self.get(va),
                    None => "(no frame outside the kernel and Verifier)".into(),
                };
                key.place = Some(place.clone());
                place
            }
            GroupBy::Caller => {
                let place = self.get(side.grouping.caller(block));
                key.place = Some(place.clone());
                place
            }
            GroupBy::Tag => {
                key.tag = Some(tag);
                tag.to_string().into()
            }
            GroupBy::Driver => {
                key.driver = Some(driver.clone());
                driver
            }
            GroupBy::Size => {
                key.size = Some(block.allocation.size);
                format!("{} bytes", block.allocation.size).into()
            }
        };
        (key, label)
    }
}

/// True where both entries are of one block that was never freed in between.
fn is_same_block(old: (&Leaks, &Block), new: (&Leaks, &Block)) -> bool {
    let ((old_leaks, old), (new_leaks, new)) = (old, new);
    let (a, b) = (&old.allocation, &new.allocation);
    (a.size, a.tag, a.caller) == (b.size, b.tag, b.caller)
        && match (old.stack, new.stack) {
            (Ok(old), Ok(new)) => old_leaks.stack(old) == new_leaks.stack(new),
            _ => true,
        }
}

impl Diff {
    /// Compares two dumps.
    #[must_use]
    pub fn new(boot: Boot, old: Side<'_>, new: Side<'_>, by: GroupBy) -> Self {
        let mut groups: BTreeMap<DiffKey, DiffGroup> = BTreeMap::new();
        let mut old_names = Names { side: old, known: HashMap::new() };
        let mut new_names = Names { side: new, known: HashMap::new() };
        let mut totals = (Total::default(), Total::default());
        let mut held: HashMap<Va, &Block> = HashMap::new();
        if boot.is_same {
            held = old.leaks.blocks.iter().map(|block| (block.allocation.address, block)).collect();
        }
        let mut stayed: HashMap<Va, ()> = HashMap::new();
        let entry = |groups: &mut BTreeMap<DiffKey, DiffGroup>,
                     block: &Block,
                     (key, label): (DiffKey, Arc<str>)| {
            groups.entry(key.clone()).or_insert_with(|| DiffGroup {
                why_no_stack: block
                    .stack
                    .err()
                    .filter(|_| by == GroupBy::Stack && key.stack.is_none()),
                key,
                label,
                old: Total::default(),
                new: Total::default(),
                appeared: Vec::new(),
                gone: Vec::new(),
            });
        };
        for block in &new.leaks.blocks {
            let address = block.allocation.address;
            let size = block.allocation.size;
            totals.1.add(size);
            let twin = held
                .get(&address)
                .filter(|twin| is_same_block((old.leaks, twin), (new.leaks, block)));
            let named = match twin {
                // The earlier log may reach where the later one does not.
                Some(twin) if block.stack.is_err() && twin.stack.is_ok() => old_names.key(twin, by),
                _ => new_names.key(block, by),
            };
            let key = named.0.clone();
            entry(&mut groups, block, named);
            let Some(group) = groups.get_mut(&key) else { continue };
            group.new.add(size);
            if twin.is_some() {
                group.old.add(size);
                stayed.insert(address, ());
            } else {
                group.appeared.push(address);
            }
        }
        for block in &old.leaks.blocks {
            let (address, size) = (block.allocation.address, block.allocation.size);
            totals.0.add(size);
            if stayed.contains_key(&address) {
                continue;
            }
            let named = old_names.key(block, by);
            let key = named.0.clone();
            entry(&mut groups, block, named);
            let Some(group) = groups.get_mut(&key) else { continue };
            group.old.add(size);
            group.gone.push(address);
        }
        let all = groups.len();
        let mut groups: Vec<DiffGroup> =
            groups.into_values().filter(|group| group.old != group.new).collect();
        groups.sort_by_key(|group| {
            let (count, bytes) = group.growth();
            (-bytes, -count)
        });
        Self { boot, by, old: totals.0, new: totals.1, unchanged: all - groups.len(), groups }
    }

    /// Blocks and bytes by which the groups that grew did, together.
    #[must_use]
    pub fn growth(&self) -> Total {
        let grown = self.groups.iter().filter(|group| group.grew());
        grown.fold(Total::default(), |sum, group| {
            let (count, bytes) = group.growth();
            let more = |value: i128| u64::try_from(value).unwrap_or(0);
            Total { count: sum.count + more(count), bytes: sum.bytes.saturating_add(more(bytes)) }
        })
    }
}
