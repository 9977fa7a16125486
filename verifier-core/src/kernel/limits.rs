//! The limits of walks and searches.

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

impl Limits {
    /// Cuts a list to `limit` entries and adds a problem if entries were cut.
    pub(crate) fn cut<T>(
        list: &mut Vec<T>,
        limit: usize,
        name: &'static str,
        what: &'static str,
        problems: &mut Vec<Problem>,
    ) {
        if list.len() > limit {
            list.truncate(limit);
            let error = Error::Limit { what: what.into(), limit: limit as u64, name };
            problems.push(Problem::from_error(what, &error));
        }
    }
}
