//! The block of pool that a parameter is in, or past the end of.

use super::lead::{CodeSite, LeadsBy};
use crate::addr::{PAGE_SIZE, Va};
use crate::analysis::history::{Event, History, TrackerMatch};
use crate::describe::names;
use crate::kernel::Kernel;
use crate::verifier::{NO_DRIVER, PoolTag, code_site};

/// Whether a block of pool is in use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum BlockState {
    /// A driver holds it.
    Outstanding,
    /// Its newest record in the pool log is a free.
    Freed,
}

names! {
    /// The word in JSON and text.
    BlockState {
        Outstanding => "outstanding",
        Freed => "freed",
    }
}

/// A block of pool that a parameter of a bug check leads to.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct BlockFact {
    /// Where it begins.
    pub address: Va,
    /// Its size in bytes.
    pub size: u64,
    /// Its pool tag; `None` if only the log knows the block.
    pub tag: Option<PoolTag>,
    /// Whether it is in use.
    pub state: BlockState,
    /// The driver that holds it, or that allocated it last.
    pub driver: Option<String>,
    /// How far the parameter is past the end of the block, in bytes; `None` if it is in the block.
    pub past_end: Option<u64>,
    /// The call that allocated it.
    pub allocated_by: Option<Va>,
    /// The call that freed it.
    pub freed_by: Option<Va>,
}

impl BlockFact {
    /// The block at `at`, else the block that ends at most a page before it.
    ///
    /// # Errors
    /// Why no block is known there.
    pub(super) fn read(kernel: &Kernel, at: Va) -> Result<Self, String> {
        let history = History::read(kernel, at).map_err(|error| error.to_string())?;
        if let Some(found) = Self::of_history(kernel, &history) {
            return Ok(found);
        }
        let end = |start: Va, size: u64| start.0.saturating_add(size);
        let before = history.neighbors.iter().find(|neighbor| {
            let end = end(neighbor.address, neighbor.size);
            neighbor.address < at && end <= at.0 && at.0 - end < PAGE_SIZE
        });
        if let Some(neighbor) = before
            && let Ok(history) = History::read(kernel, neighbor.address)
            && let Some(found) = Self::of_history(kernel, &history)
        {
            let past_end = at.0.checked_sub(end(found.address, found.size));
            return Ok(Self { past_end, ..found });
        }
        let reason = history.unrecorded.words(history.reach);
        Err(format!("no outstanding block holds this address; {reason}"))
    }

    fn of_history(kernel: &Kernel, history: &History) -> Option<Self> {
        if let Some(held) = history.trackers.first() {
            return Some(Self::of_entry(kernel, held, history));
        }
        let freed = history.freed_by()?;
        let allocated = history.lifetimes.first().and_then(|life| life.allocated);
        let allocated = allocated.and_then(|index| history.events.get(index));
        let allocated_by = allocated.and_then(|event| code_site(kernel, &event.frames));
        // Only a freed entry still has the tag. Several may fit.
        let tag = match &history.freed_entries[..] {
            [one] => Some(one.entry.allocation.tag),
            _ => None,
        };
        let driver = allocated_by.and_then(|va| Some(kernel.modules().find(va)?.1.name.clone()));
        Some(Self {
            address: freed.record.address,
            size: freed.record.size,
            tag,
            state: BlockState::Freed,
            driver,
            past_end: None,
            allocated_by,
            freed_by: code_site(kernel, &freed.frames),
        })
    }

    fn of_entry(kernel: &Kernel, held: &TrackerMatch, history: &History) -> Self {
        let block = &held.entry.allocation;
        // The stack in the log names the driver's function even if the entry's caller is in a library.
        let life =
            history.lifetimes.iter().find(|life| life.is_held && life.block == block.address);
        let event = life.and_then(|life| history.events.get(life.allocated?));
        let frames = event.map_or(&held.frames, |event: &Event| &event.frames);
        Self {
            address: block.address,
            size: block.size,
            tag: Some(block.tag),
            state: BlockState::Outstanding,
            driver: Some(held.driver.clone()).filter(|driver| driver != NO_DRIVER),
            past_end: None,
            allocated_by: code_site(kernel, frames)
                .or(Some(block.caller).filter(|va| !va.is_null())),
            freed_by: None,
        }
    }

    /// The driver to blame for what happened to the block: the one that freed it, else the one that holds it.
    pub(super) fn culprit(&self, kernel: &Kernel) -> Option<(String, LeadsBy, Option<CodeSite>)> {
        let (by, at) = match self.state {
            BlockState::Freed => (LeadsBy::FreedBlock, self.freed_by),
            BlockState::Outstanding => (LeadsBy::Block, self.allocated_by),
        };
        let of_code = || Some(kernel.modules().find(at?)?.1.name.clone());
        let driver = match self.state {
            BlockState::Freed => of_code().or_else(|| self.driver.clone()),
            BlockState::Outstanding => self.driver.clone().or_else(of_code),
        };
        Some((driver?, by, at.map(|va| CodeSite::new(va, true))))
    }
}
