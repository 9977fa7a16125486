//! The names by which groups of two dumps are matched: addresses are valid only within a boot.
//!
//! Between two builds of a driver, the offset of a call in its function changes, and so does every frame's
//! name. If the dumps have different builds of a module (another PDB, or another time stamp if an image does
//! not name its PDB), only the functions are matched.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use super::diff_side::Side;
use super::group::{GroupBy, NO_FRAME, NO_TAG, no_frame};
use super::grouping::own_frames;
use super::leaks::{Block, NoStack};
use crate::addr::Va;
use crate::kernel::{Kernel, WantedSymbols};
use crate::verifier::PoolTag;

/// What the blocks of a [`DiffGroup`](super::DiffGroup) have in common, in names.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
#[non_exhaustive]
pub struct DiffKey {
    /// The driver.
    pub driver: Option<Arc<str>>,
    /// The tag, if the blocks are grouped by it.
    pub tag: Option<PoolTag>,
    /// True for contiguous memory, which is never in one group with pool.
    pub is_contiguous: bool,
    /// The stack, innermost first, in names or addresses without one.
    pub stack: Option<Vec<Arc<str>>>,
    /// The frame, function or caller that the blocks are grouped by, or the caller of blocks without
    /// stack.
    pub place: Option<Arc<str>>,
    /// Why there is no stack, if the blocks are grouped by stack and have none.
    pub why_no_stack: Option<NoStack>,
    /// The size.
    pub size: Option<u64>,
}

/// Blocks of one call, by their tracking entries; no log is needed.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Call {
    driver: Option<Arc<str>>,
    tag: Option<PoolTag>,
    is_contiguous: bool,
    pub(super) caller: Arc<str>,
}

/// A block as the groups see it.
pub(super) struct Named {
    pub(super) key: DiffKey,
    /// One line for it.
    pub(super) label: Arc<str>,
    /// `None` if the key does not depend on the log.
    pub(super) call: Option<Call>,
}

/// The names of one dump's addresses.
pub(super) struct DiffNames<'a> {
    side: Side<'a>,
    by: GroupBy,
    rebuilt: &'a HashSet<Arc<str>>,
    known: HashMap<Va, Arc<str>>,
    /// Modules of other builds that had an address to name.
    pub(super) met: BTreeSet<Arc<str>>,
}

impl<'a> DiffNames<'a> {
    pub(super) fn new(side: Side<'a>, by: GroupBy, rebuilt: &'a HashSet<Arc<str>>) -> Self {
        Self { side, by, rebuilt, known: HashMap::new(), met: BTreeSet::new() }
    }

    fn get(&mut self, va: Va) -> Arc<str> {
        if let Some(name) = self.known.get(&va) {
            return name.clone();
        }
        let name: Arc<str> = match self.side.kernel.symbolize(va) {
            Some(name) => match (self.rebuilt.get(&*name.module), &name.name) {
                (Some(module), Some(function)) => {
                    self.met.insert(module.clone());
                    format!("{module}!{function}").into()
                }
                _ => name.to_string().into(),
            },
            None => va.to_string().into(),
        };
        self.known.insert(va, name.clone());
        name
    }

    /// The name of an address, without its distance from the function's start.
    fn function(&mut self, va: Va) -> Arc<str> {
        match self.side.kernel.symbolize(va) {
            Some(name) if name.name.is_some() => {
                let start = Va(va.0.saturating_sub(name.displacement));
                self.get(start)
            }
            _ => self.get(va),
        }
    }

    pub(super) fn name(&mut self, block: &Block) -> Named {
        let side = self.side;
        let driver: Arc<str> = side.leaks.driver(block).into();
        let allocation = &block.allocation;
        let is_contiguous = block.is_contiguous();
        let mut key = DiffKey { is_contiguous, ..DiffKey::default() };
        let mut call = None;
        let label = match self.by {
            GroupBy::Stack | GroupBy::StackAndTag | GroupBy::Path => {
                let caller = self.get(allocation.caller);
                key.tag = allocation.pool_tag().filter(|_| self.by == GroupBy::StackAndTag);
                call = Some(Call {
                    driver: Some(driver.clone()),
                    tag: key.tag,
                    is_contiguous,
                    caller: caller.clone(),
                });
                key.driver = Some(driver);
                key.stack = side.grouping.frames(block).map(|frames| self.stack(frames));
                if key.stack.is_none() {
                    key.place = Some(caller);
                    let is_shown = self.by != GroupBy::Path;
                    key.why_no_stack = block.stack.err().filter(|_| is_shown);
                }
                self.get(side.grouping.site(block).unwrap_or(allocation.caller))
            }
            GroupBy::Frame | GroupBy::Function | GroupBy::Line | GroupBy::Caller => {
                let caller = self.get(allocation.caller);
                call = Some(Call { driver: None, tag: None, is_contiguous, caller });
                let place = self.place(block);
                key.place = Some(place.clone());
                place
            }
            GroupBy::Tag => {
                key.tag = allocation.pool_tag();
                key.tag.map_or_else(|| NO_TAG.into(), |tag| tag.to_string().into())
            }
            GroupBy::Driver => {
                key.driver = Some(driver.clone());
                driver
            }
            GroupBy::Size => {
                key.size = Some(allocation.size);
                format!("{} bytes", allocation.size).into()
            }
        };
        Named { key, label, call }
    }

    /// The names of a stack; by path, those of the frames outside the kernel and Verifier.
    fn stack(&mut self, frames: &[Va]) -> Vec<Arc<str>> {
        if self.by == GroupBy::Path {
            return own_frames(self.side.kernel, frames).map(|va| self.get(va)).collect();
        }
        frames.iter().map(|&va| self.get(va)).collect()
    }

    /// The line of source code of a call, or the name of its address.
    fn line(&mut self, va: Va) -> Arc<str> {
        match self.side.kernel.source_of_call(va) {
            Some(site) => site.to_string().into(),
            None => self.get(va),
        }
    }

    fn place(&mut self, block: &Block) -> Arc<str> {
        let grouping = self.side.grouping;
        if self.by == GroupBy::Caller {
            return self.get(grouping.caller(block));
        }
        match (grouping.site(block), block.stack) {
            (Some(va), _) if self.by == GroupBy::Frame => self.get(va),
            (Some(va), _) if self.by == GroupBy::Line => self.line(va),
            (Some(va), _) => self.function(va),
            (None, Ok(_)) => NO_FRAME.into(),
            (None, Err(_)) => {
                let caller = block.allocation.caller;
                no_frame(self.side.kernel, caller, &self.get(caller)).into()
            }
        }
    }
}

/// The short names of modules that both kernels have, but in different builds.
pub(super) fn rebuilt(old: &Kernel, new: &Kernel) -> HashSet<Arc<str>> {
    let by_name = |kernel: &Kernel| -> HashMap<String, WantedSymbols> {
        let all = kernel.modules().loaded().iter().enumerate();
        let all = all
            .filter_map(|(index, module)| Some((module.short_name.clone(), kernel.wanted(index)?)));
        all.collect()
    };
    let new = by_name(new);
    let other = |(name, old): (String, WantedSymbols)| {
        let new = new.get(&name)?;
        let is_other = match (&old.pdb, &new.pdb, old.time_date_stamp, new.time_date_stamp) {
            (Ok(old), Ok(new), ..) => (old.guid, old.age) != (new.guid, new.age),
            (_, _, Some(old), Some(new)) => old != new,
            // An unknown PDB does not count as a difference.
            _ => false,
        };
        is_other.then(|| name.into())
    };
    by_name(old).into_iter().filter_map(other).collect()
}
