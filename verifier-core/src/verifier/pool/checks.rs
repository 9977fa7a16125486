//! Whether allocations can be as their entries say. An impossible one is kept, marked, and reported as a
//! problem.

use std::collections::{BTreeMap, HashMap};

use crate::addr::Va;
use crate::error::Problem;
use crate::kernel::{Kernel, ModuleSource};
use crate::machine::Machine;
use crate::verifier::allocation::{Allocation, Impossible, Source};
use crate::verifier::counters::Counters;
use crate::verifier::drivers::Driver;
use crate::verifier::settings::Settings;
use crate::verifier::tally::Tally;

/// Checks the allocations of several drivers, one after the other, and then all against each other.
pub(crate) struct Checks<'a> {
    kernel: &'a Kernel,
    /// Images of verified drivers, which the module list may have lost.
    images: Vec<(Va, u64)>,
    /// Whether the images are known; without them no caller can be checked.
    has_modules: bool,
    callers: HashMap<Va, bool>,
    /// Bytes of all tracked pool, paged or nonpaged, whichever is more.
    pool_bytes: u64,
    owners: Vec<String>,
    blocks: Vec<Block>,
    found: BTreeMap<(Whose, Impossible), Tally>,
}

/// The owner of an allocation, by index, and the word for its entry.
type Whose = (usize, &'static str);

fn word(source: Source) -> &'static str {
    match source {
        Source::Tracker | Source::Carved => "entry",
        Source::Contiguous => "contiguous memory",
        Source::PoolInfo { .. } => "pool block",
    }
}

/// The range of an allocation, and its owner.
#[derive(Clone, Copy)]
struct Block {
    start: Va,
    end: u64,
    entry: Va,
    whose: Whose,
}

/// Allocations by their entries, and why they are impossible.
pub(crate) type Marks = HashMap<Va, Impossible>;

/// The larger of a driver's two sums of bytes: a block is in one of the two pools.
fn larger_pool(counters: &Counters) -> Option<u64> {
    Some(counters.get("PagedBytes")?.max(counters.get("NonPagedBytes")?))
}

impl<'a> Checks<'a> {
    pub(crate) fn new<'d>(kernel: &'a Kernel, drivers: impl Iterator<Item = &'d Driver>) -> Self {
        let settings = kernel.types().and_then(|types| Settings::read_by(kernel, types)).ok();
        let images = drivers.flat_map(|driver| &driver.images);
        let images = images.filter(|image| !image.base.is_null());
        Self {
            kernel,
            images: images.map(|image| (image.base, image.size)).collect(),
            has_modules: kernel.modules_from() != ModuleSource::KernelAlone,
            callers: HashMap::new(),
            pool_bytes: settings.as_ref().and_then(|one| larger_pool(&one.statistics)).unwrap_or(0),
            owners: Vec::new(),
            blocks: Vec::new(),
            found: BTreeMap::new(),
        }
    }

    /// Checks the allocations of one owner; `counters` are the driver's, if the owner is a driver. An
    /// allocation that is impossible by itself is marked at once.
    pub(crate) fn look_at<'b>(
        &mut self,
        owner: &str,
        counters: Option<&Counters>,
        allocations: impl Iterator<Item = &'b mut Allocation>,
    ) {
        let index = self.owners.len();
        self.owners.push(owner.into());
        for one in allocations {
            let whose = (index, word(one.source));
            let found = self.impossible(one, counters);
            one.impossible = found.as_ref().map(|(why, _)| *why);
            if let Some((why, words)) = found {
                self.found.entry((whose, why)).or_default().add(one.entry, || words);
            }
            // An allocation that cannot be where its entry says does not overlap others.
            if !matches!(one.impossible, Some(Impossible::Address | Impossible::Size)) {
                let end = one.address.0.saturating_add(one.size.max(1));
                self.blocks.push(Block { start: one.address, end, entry: one.entry, whose });
            }
        }
    }

    /// Why an allocation is impossible by itself: the kind, and the sentence of the problem.
    fn impossible(
        &mut self,
        one: &Allocation,
        counters: Option<&Counters>,
    ) -> Option<(Impossible, String)> {
        let Allocation { address, size, caller, .. } = *one;
        if !self.kernel.space().is_kernel(address) {
            let words = format!("its block {address} is outside the kernel's half of memory");
            return Some((Impossible::Address, words));
        }
        if let Some(words) = self.too_large(one, counters) {
            return Some((
                Impossible::Size,
                format!("its block {address} of {size:#x} bytes {words}"),
            ));
        }
        // The caller of a block in the tree is a frame of its stack.
        let has_caller = !matches!(one.source, Source::PoolInfo { .. });
        if has_caller && self.has_modules && !self.is_code(caller) {
            let words = format!("the caller {caller} of its block {address} is in no image");
            return Some((Impossible::Caller, words));
        }
        None
    }

    fn too_large(&self, one: &Allocation, counters: Option<&Counters>) -> Option<String> {
        let last = match self.kernel.space().machine() {
            Machine::X86 => 0xffff_ffff,
            Machine::X64 | Machine::Arm64 => u64::MAX,
        };
        if one.size > last - one.address.0.min(last) {
            return Some("would end past the address space".into());
        }
        let held = match one.source {
            // The counters of a driver need not count the blocks of the tree.
            Source::PoolInfo { .. } => None,
            Source::Contiguous => counters.and_then(|all| all.get("ContiguousMemoryBytes")),
            Source::Tracker | Source::Carved => {
                // One damaged sum must not make every block impossible.
                counters.and_then(larger_pool).map(|bytes| bytes.max(self.pool_bytes))
            }
        };
        let held = held.filter(|&bytes| one.size > bytes)?;
        Some(format!("is larger than all that is counted, {held:#x}"))
    }

    /// True if an image, loaded or not, holds the address.
    fn is_code(&mut self, address: Va) -> bool {
        let (modules, images) = (self.kernel.modules(), &self.images);
        *self.callers.entry(address).or_insert_with(|| {
            modules.find(address).is_some()
                || modules.find_unloaded(address).is_some()
                || images.iter().any(|&(base, size)| address.is_in(base, size))
        })
    }

    /// The marks of all allocations that contradict another one, and the problems.
    pub(crate) fn finish(mut self) -> (Marks, Vec<Problem>) {
        let mut marks = Marks::new();
        let mut blocks = std::mem::take(&mut self.blocks);
        blocks.sort_unstable_by_key(|block| (block.start, block.end, block.entry));
        let mut blocks = blocks.into_iter();
        let Some(mut before) = blocks.next() else { return (marks, self.problems()) };
        for block in blocks {
            if block.start.0 < before.end {
                let is_twice = block.start == before.start;
                let why = if is_twice { Impossible::Twice } else { Impossible::Overlap };
                marks.entry(before.entry).or_insert(why);
                marks.entry(block.entry).or_insert(why);
                let other = before;
                self.found.entry((block.whose, why)).or_default().add(block.entry, || {
                    let (start, entry) = (other.start, other.entry);
                    match is_twice {
                        true => format!("its block {start} is that of the entry at {entry}, too"),
                        false => format!(
                            "its block {} overlaps the block {start} of the entry at {entry}",
                            block.start
                        ),
                    }
                });
            }
            // The next block may overlap the one that reaches further.
            if block.end >= before.end {
                before = block;
            }
        }
        (marks, self.problems())
    }

    fn problems(self) -> Vec<Problem> {
        let owners = self.owners;
        let found = self.found.into_iter();
        let problem = |(((owner, word), _), tally): ((Whose, Impossible), Tally)| {
            tally.problem(&format!("{word} of {}", owners.get(owner)?))
        };
        found.filter_map(problem).collect()
    }
}

/// Marks the allocations that contradict another one.
pub(crate) fn mark<'b>(marks: &Marks, allocations: impl Iterator<Item = &'b mut Allocation>) {
    if marks.is_empty() {
        return;
    }
    for one in allocations {
        one.impossible = one.impossible.or_else(|| marks.get(&one.entry).copied());
    }
}
