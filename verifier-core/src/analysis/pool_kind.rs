//! Paged or nonpaged pool, as far as that is known.

use std::ops::RangeInclusive;

use crate::addr::Va;
use crate::kernel::Kernel;
use crate::verifier::{Counters, PoolStack};

/// Where in `KDDEBUGGER_DATA64` the addresses of the bounds are.
const NONPAGED: [u64; 2] = [0x110, 0x118];
const PAGED: [u64; 2] = [0x120, 0x128];

/// Which pool a block is from.
///
/// A tracking entry does not say which pool its block is from. Two things do: the counters of a driver that has
/// blocks in one pool only (`CurrentPagedPoolAllocations`, `CurrentNonPagedPoolAllocations`), and up to
/// Windows 8.1 the bounds of the pools, whose addresses are in `KDDEBUGGER_DATA64` (`MmNonPagedPoolStart` at
/// 0x110 to `MmPagedPoolEnd` at 0x128). Later kernels randomize their address space and may leave the bounds
/// at zero; then blocks of drivers with both pools are [`PoolKind::Unknown`]. In the pool info tree, a block's
/// stack gives its pool.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PoolKind {
    /// Nonpaged pool.
    NonPaged,
    /// Paged pool.
    Paged,
    /// The pool is unknown.
    Unknown,
}

impl PoolKind {
    /// Every name.
    pub const NAMES: [&'static str; 2] = ["nonpaged", "paged"];

    /// Which pool the blocks of a stack of the pool info tree are from.
    #[must_use]
    pub fn of_stack(stack: &PoolStack) -> Self {
        match stack.is_nonpaged() {
            Some(true) => PoolKind::NonPaged,
            Some(false) => PoolKind::Paged,
            None => PoolKind::Unknown,
        }
    }

    /// The word in JSON and text; `None` if the pool is unknown.
    #[must_use]
    pub fn name(self) -> Option<&'static str> {
        match self {
            PoolKind::NonPaged => Some("nonpaged"),
            PoolKind::Paged => Some("paged"),
            PoolKind::Unknown => None,
        }
    }
}

/// The bounds of the pools.
#[derive(Debug, Clone, Default)]
pub(super) struct PoolBounds {
    nonpaged: Option<RangeInclusive<Va>>,
    paged: Option<RangeInclusive<Va>>,
}

impl PoolBounds {
    /// Reads the bounds; bounds that cannot be read or are impossible are left out.
    pub(super) fn read(kernel: &Kernel) -> Self {
        let Ok(data) = kernel.debugger_data() else { return Self::default() };
        // If the block is encoded, only `data` is decoded.
        if data.was_encoded {
            return Self::default();
        }
        let space = kernel.space();
        let bound = |offset: u64| {
            let variable = space.read_pointer(data.address.add(offset)).ok()?;
            let value = space.read_pointer(variable).ok()?;
            space.is_kernel(value).then_some(value)
        };
        let range = |[start, end]: [u64; 2]| {
            let (start, end) = (bound(start)?, bound(end)?);
            (start < end).then_some(start..=end)
        };
        let (nonpaged, paged) = (range(NONPAGED), range(PAGED));
        if let (Some(nonpaged), Some(paged)) = (&nonpaged, &paged)
            && nonpaged.contains(paged.start()) | paged.contains(nonpaged.start())
        {
            return Self::default();
        }
        Self { nonpaged, paged }
    }

    /// Which pool a block of the driver with these counters is from.
    pub(super) fn kind(&self, driver: &Counters, block: Va) -> PoolKind {
        let count = |name| driver.get(name);
        match (count("CurrentPagedPoolAllocations"), count("CurrentNonPagedPoolAllocations")) {
            (Some(0), Some(1..)) => return PoolKind::NonPaged,
            (Some(1..), Some(0)) => return PoolKind::Paged,
            _ => {}
        }
        self.of_address(block)
    }

    /// Which pool has the address by the bounds alone.
    pub(super) fn of_address(&self, block: Va) -> PoolKind {
        let within = |range: &Option<RangeInclusive<Va>>| {
            range.as_ref().is_some_and(|range| range.contains(&block))
        };
        match (within(&self.nonpaged), within(&self.paged)) {
            (true, false) => PoolKind::NonPaged,
            (false, true) => PoolKind::Paged,
            _ => PoolKind::Unknown,
        }
    }
}
