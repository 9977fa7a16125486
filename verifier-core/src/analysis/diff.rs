//! What grew between two dumps.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use super::boot::Boot;
use super::diff_key::{Call, DiffKey, DiffNames, Named, rebuilt};
use super::diff_side::Side;
use super::group::GroupBy;
use super::leaks::{Block, Leaks, Total};
use crate::addr::Va;
use crate::verifier::PoolTag;

/// Blocks of both dumps that have a key in common.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct DiffGroup {
    /// The key.
    pub key: DiffKey,
    /// One line for it: the first frame outside the kernel and Verifier, tag, driver or size.
    pub label: Arc<str>,
    /// The tags of its blocks, in either dump.
    pub tags: BTreeSet<PoolTag>,
    /// Blocks in the earlier dump.
    pub old: Total,
    /// Blocks in the later dump.
    pub new: Total,
    /// Blocks that only the later dump has; across boots, all its blocks.
    pub appeared: Vec<Va>,
    /// Blocks that only the earlier dump has; across boots, all its blocks.
    pub gone: Vec<Va>,
    /// The number of groups of one caller that were added up because only one dump has their stacks; else 0.
    /// The key then has a stack only if there is exactly one.
    pub merged: usize,
}

impl DiffGroup {
    fn empty(key: DiffKey, label: Arc<str>) -> Self {
        Self {
            key,
            label,
            tags: BTreeSet::new(),
            old: Total::default(),
            new: Total::default(),
            appeared: Vec::new(),
            gone: Vec::new(),
            merged: 0,
        }
    }

    /// The tag that all its blocks share.
    #[must_use]
    pub fn tag(&self) -> Option<PoolTag> {
        self.tags.first().copied().filter(|_| self.tags.len() == 1)
    }

    /// Adds what another group has.
    fn absorb(&mut self, other: DiffGroup) {
        self.tags.extend(other.tags);
        self.old = self.old.and(other.old);
        self.new = self.new.and(other.new);
        self.appeared.extend(other.appeared);
        self.gone.extend(other.gone);
    }

    /// Blocks and bytes by which it grew; negative if it shrank.
    #[must_use]
    pub fn growth(&self) -> (i128, i128) {
        let less = |new: u64, old: u64| i128::from(new) - i128::from(old);
        (less(self.new.count, self.old.count), less(self.new.bytes, self.old.bytes))
    }

    /// The same in 64 bits; a value that does not fit becomes the largest or smallest that does.
    #[must_use]
    pub fn clamped_growth(&self) -> (i64, i64) {
        let clamp = |value: i128| {
            i64::try_from(value).unwrap_or(if value < 0 { i64::MIN } else { i64::MAX })
        };
        let (count, bytes) = self.growth();
        (clamp(count), clamp(bytes))
    }

    /// True if it has more bytes, or as many bytes in more blocks.
    #[must_use]
    pub fn grew(&self) -> bool {
        let (count, bytes) = self.growth();
        bytes > 0 || (bytes == 0 && count > 0)
    }
}

/// What grew between two dumps.
///
/// Within one boot, addresses do not change. Blocks are matched one by one, by address, size, tag and caller,
/// and by stack if both dumps have one. A block that is in both dumps keeps the stack of the dump that has
/// one: the log of the later dump may have wrapped. Across boots only names can be matched: groups by
/// symbolized stack, tag and driver.
///
/// A stack is known only while the log has its record, and two logs do not reach back equally far. Blocks
/// that have a stack in one dump may have none in the other: one group would shrink and another grow. The
/// tracking entries always have the caller. So if the blocks of one driver, tag and caller grew without a
/// stack and shrank with one, or the reverse, they are added up as one group ([`DiffGroup::merged`]).
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Diff {
    /// Whether both are of one boot.
    pub boot: Boot,
    /// How the blocks are grouped.
    pub by: GroupBy,
    /// All blocks of the earlier dump.
    pub old: Total,
    /// All blocks of the later dump.
    pub new: Total,
    /// Groups that differ in blocks or bytes, the most growth first.
    pub groups: Vec<DiffGroup>,
    /// Groups that did not change.
    pub unchanged: Vec<DiffGroup>,
    /// Modules that both dumps have in different builds, by their short names, as far as frames or
    /// callers are in them: functions are matched, not offsets in them.
    pub rebuilt: Vec<Arc<str>>,
}

/// True if both entries are of one block that was not freed in between.
fn is_same_block(old: (&Leaks, &Block), new: (&Leaks, &Block)) -> bool {
    let ((old_leaks, old), (new_leaks, new)) = (old, new);
    let (a, b) = (&old.allocation, &new.allocation);
    (a.size, a.tag, a.caller) == (b.size, b.tag, b.caller)
        && match (old.stack, new.stack) {
            (Ok(old), Ok(new)) => old_leaks.stack(old) == new_leaks.stack(new),
            _ => true,
        }
}

/// The blocks of a group that one call made and that have a stack, or have none.
struct Part {
    group: DiffGroup,
    has_stack: bool,
}

impl Part {
    /// 1 if it grew, -1 if it shrank.
    fn direction(&self) -> i128 {
        let (count, bytes) = self.group.growth();
        if bytes == 0 { count.signum() } else { bytes.signum() }
    }

    /// Adds another group of the same call, and takes its key if this one has no stack.
    fn take(&mut self, other: Part, call: &Call) {
        let (into, from) = (&mut self.group, other.group);
        if into.key != from.key {
            into.merged = into.merged.max(1) + from.merged.max(1);
            match (self.has_stack, other.has_stack) {
                (false, true) => {
                    (into.key, into.label) = (from.key.clone(), Arc::clone(&from.label));
                }
                // If there are several stacks, the caller takes their place.
                (true, true) => {
                    into.key.stack = None;
                    into.key.place = Some(call.caller.clone());
                    into.label = call.caller.clone();
                }
                _ => {}
            }
        }
        self.has_stack |= other.has_stack;
        into.absorb(from);
    }
}

/// Adds up groups of one call that differ only because the logs reach back differently far: see the module's
/// documentation.
fn net(call: &Call, parts: Vec<Part>) -> Vec<Part> {
    let (changed, mut result): (Vec<Part>, Vec<Part>) =
        parts.into_iter().partition(|part| part.direction() != 0);
    let (stacks, without): (Vec<Part>, Vec<Part>) =
        changed.into_iter().partition(|part| part.has_stack);
    let mut changed = without.iter().chain(&stacks);
    if !changed.any(|a| without.iter().any(|b| a.direction() != b.direction())) {
        result.extend(stacks);
        result.extend(without);
        return result;
    }
    // The reason for a missing stack depends on the log, too.
    let sum = without.into_iter().reduce(|mut sum, part| {
        sum.take(part, call);
        sum
    });
    let Some(mut sum) = sum else { return result };
    let direction = sum.direction();
    for part in stacks {
        if part.direction() == -direction {
            sum.take(part, call);
        } else {
            result.push(part);
        }
    }
    result.push(sum);
    result
}

/// The blocks of both dumps, by the call that made them.
#[derive(Default)]
struct Parts(BTreeMap<Option<Call>, BTreeMap<(DiffKey, bool), Part>>);

impl Parts {
    /// The group of a block with these names.
    fn of(&mut self, Named { key, label, call }: Named, has_stack: bool) -> &mut DiffGroup {
        let part = self.0.entry(call).or_default().entry((key.clone(), has_stack));
        let part = part.or_insert_with(|| Part { group: DiffGroup::empty(key, label), has_stack });
        &mut part.group
    }

    /// The groups of all calls, netted.
    fn groups(self) -> Vec<DiffGroup> {
        let mut groups: BTreeMap<DiffKey, DiffGroup> = BTreeMap::new();
        for (call, parts) in self.0 {
            let parts: Vec<Part> = parts.into_values().collect();
            let parts = match call {
                Some(call) => net(&call, parts),
                None => parts,
            };
            for Part { group, .. } in parts {
                let into = groups
                    .entry(group.key.clone())
                    .or_insert_with(|| DiffGroup::empty(group.key.clone(), group.label.clone()));
                into.merged += group.merged;
                into.absorb(group);
            }
        }
        groups.into_values().collect()
    }
}

impl Diff {
    /// Compares two dumps.
    #[must_use]
    pub fn new(boot: Boot, old: Side<'_>, new: Side<'_>, by: GroupBy) -> Self {
        let rebuilt = rebuilt(old.kernel, new.kernel);
        let mut parts = Parts::default();
        let mut old_names = DiffNames::new(old, by, &rebuilt);
        let mut new_names = DiffNames::new(new, by, &rebuilt);
        let mut totals = (Total::default(), Total::default());
        let mut held: HashMap<Va, &Block> = HashMap::new();
        if boot.is_same {
            held = old.leaks.blocks.iter().map(|block| (block.allocation.address, block)).collect();
        }
        let mut stayed: HashSet<Va> = HashSet::new();
        for block in &new.leaks.blocks {
            let address = block.allocation.address;
            let size = block.allocation.size;
            totals.1.add(size);
            let twin = held
                .get(&address)
                .filter(|twin| is_same_block((old.leaks, twin), (new.leaks, block)));
            let (named, has_stack) = match twin {
                // The earlier log may have records that the later one does not have.
                Some(twin) if block.stack.is_err() && twin.stack.is_ok() => {
                    (old_names.name(twin), true)
                }
                _ => (new_names.name(block), block.stack.is_ok()),
            };
            let group = parts.of(named, has_stack);
            group.tags.extend(block.allocation.pool_tag());
            group.new.add(size);
            if twin.is_some() {
                group.old.add(size);
                stayed.insert(address);
            } else {
                group.appeared.push(address);
            }
        }
        for block in &old.leaks.blocks {
            let (address, size) = (block.allocation.address, block.allocation.size);
            totals.0.add(size);
            if stayed.contains(&address) {
                continue;
            }
            let group = parts.of(old_names.name(block), block.stack.is_ok());
            group.tags.extend(block.allocation.pool_tag());
            group.old.add(size);
            group.gone.push(address);
        }
        let groups = parts.groups().into_iter();
        let (unchanged, mut groups): (Vec<_>, Vec<_>) =
            groups.partition(|group| group.old == group.new);
        groups.sort_by_key(|group| {
            let (count, bytes) = group.growth();
            (-bytes, -count)
        });
        old_names.met.append(&mut new_names.met);
        Self {
            boot,
            by,
            old: totals.0,
            new: totals.1,
            unchanged,
            groups,
            rebuilt: old_names.met.into_iter().collect(),
        }
    }

    /// The growth of all groups that grew, in blocks and bytes.
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
