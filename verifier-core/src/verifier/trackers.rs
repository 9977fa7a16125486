//! What a driver remembers its allocations in: pages of entries, or XP's array.

use super::lost::Lost;
use super::old::PoolHash;
use super::pool::{Layout, Tracker};
use crate::addr::Va;
use crate::error::{Error, Problem};
use crate::kernel::{Kernel, Limits};

/// The build's kind of trackers, resolved once.
pub(super) enum Trackers {
    Pages(Layout),
    Hash(PoolHash),
}

impl Trackers {
    pub(super) fn resolve(kernel: &Kernel) -> Result<Self, Error> {
        let types = kernel.types()?;
        Ok(match PoolHash::resolve(types)? {
            Some(hash) => Trackers::Hash(hash),
            None => Trackers::Pages(Layout::resolve(types, kernel.space().machine())?),
        })
    }

    /// Where the head of the list of contiguous memory lies in a driver's data, where it has one.
    pub(super) fn contiguous(&self) -> Option<u64> {
        match self {
            Trackers::Pages(layout) => layout.contiguous,
            Trackers::Hash(_) => None,
        }
    }

    /// Every entry of the driver whose data lie at `data`; `owner` names it in problems. `lost` has its
    /// pages where their list is broken.
    pub(super) fn read(
        &self,
        kernel: &Kernel,
        owner: &str,
        data: Va,
        lost: Option<&Lost<'_>>,
        limits: &mut Limits,
        problems: &mut Vec<Problem>,
    ) -> Tracker {
        match self {
            Trackers::Pages(layout) => layout.read(kernel, owner, data, lost, limits, problems),
            Trackers::Hash(hash) => hash.read(kernel, owner, data, problems),
        }
    }
}
