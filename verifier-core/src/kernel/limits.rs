//! The limits of walks and searches.

use std::borrow::Cow;

use crate::error::{Error, Problem};

/// How far walks go and how much a view may collect, whatever the dump says.
///
/// When a limit is hit, a problem or [`Error::Limit`] names it. The defaults are far above the numbers of
/// real kernels. Together with the amount of memory that the source has
/// ([`Memory::held`](crate::memory::Memory::held)), they bound the memory that a call takes.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// Entries of a `LIST_ENTRY` list or an SLIST; entries of contiguous memory over all drivers.
    pub list_entries: usize,
    /// Loaded images.
    pub modules: usize,
    /// Configured drivers; excluded drivers; verified images.
    pub drivers: usize,
    /// Bytes of a name or path in UTF-16, and of the text of a violated condition.
    pub name_bytes: usize,
    /// Exported names, over all images without symbols. Other exports have no names.
    pub exports: u32,
    /// Nodes of a tree, or of the trees that make one table.
    pub tree_nodes: usize,
    /// Nodes of each of the two pool info trees.
    pub pool_info_nodes: usize,
    /// Pages of pool tracking entries, or of XP's arrays of them, over all drivers.
    pub tracker_pages: usize,
    /// Records of a ring.
    pub ring_records: u32,
    /// Records of deadlock detection, and steps of the lists that lead to them.
    pub deadlock_records: usize,
    /// Pages that are searched when data are carved.
    pub carved_pages: u64,
    /// Page frames that are searched for page tables.
    pub search_frames: u64,
    /// Look-ups of mapped pages in the search for the kernel's image, and in searches for data in all mapped
    /// memory.
    pub search_pages: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            list_entries: 1 << 16,
            modules: 1 << 12,
            drivers: 1 << 12,
            // 1,024 characters; a path in the driver store has some 120.
            name_bytes: 1 << 11,
            exports: 1 << 18,
            tree_nodes: 1 << 20,
            // One node for each live block.
            pool_info_nodes: 1 << 22,
            // 1 GiB of entries: 33 million allocations.
            tracker_pages: 1 << 18,
            // Twice the longest pool log that a kernel makes (0x800000 records).
            ring_records: 1 << 24,
            // A lock has at most 65520 nodes, and kernels trim old ones.
            deadlock_records: 1 << 20,
            // 4 TiB.
            carved_pages: 1 << 30,
            // 1 TiB.
            search_frames: 1 << 28,
            search_pages: 1 << 24,
        }
    }
}

/// One of the [`Limits`], with the name that errors and problems show.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limit {
    pub(crate) most: u64,
    pub(crate) name: &'static str,
}

impl Limit {
    /// True if `count` of them leave room for none.
    pub(crate) fn is_reached(self, count: usize) -> bool {
        count as u64 >= self.most
    }

    /// The error of a walk or a read that reached the limit.
    pub(crate) fn error(self, what: impl Into<Cow<'static, str>>) -> Error {
        Error::Limit { what: what.into(), limit: self.most, name: self.name }
    }

    /// Cuts a list to the limit and adds a problem if entries were cut.
    pub(crate) fn cut<T>(self, list: &mut Vec<T>, what: &'static str, problems: &mut Vec<Problem>) {
        if list.len() as u64 > self.most {
            list.truncate(usize::try_from(self.most).unwrap_or(usize::MAX));
            problems.push(Problem::from_error(what, &self.error(what)));
        }
    }
}

/// The [`Limit`] of one field of [`Limits`]: `limit!(limits, drivers)`.
macro_rules! limit {
    ($limits:expr, $field:ident) => {
        $crate::kernel::Limit {
            most: $limits.$field as u64,
            name: concat!("Limits::", stringify!($field)),
        }
    };
}
pub(crate) use limit;
