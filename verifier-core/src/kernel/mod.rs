//! Windows, not yet Verifier: the kernel's modules, lists, trees, strings and its debugger data.
//!
//! A [`Kernel`] is the session that every view reads through: an [`AddressSpace`], the loaded and
//! unloaded modules, the debugger data block, and the symbols that the caller supplied. It opens
//! without symbols, because what they are called stands in the dump: ask
//! [`Kernel::wanted_symbols`], bring the files' bytes, [`Kernel::supply_pdb`] them.
//!
//! All walks (lists, SLISTs, AVL trees) are bounded by [`Limits`] and end on cycles; what was
//! reached is returned beside the reason why the walk ended.

mod avl;
mod debugger_data;
mod list;
mod modules;
mod session;
mod slist;
mod space;
mod string;
mod wanted;

pub(crate) use avl::walk_avl_to;
pub use avl::{AvlLayout, walk_avl};
pub use debugger_data::{DataBlockKeys, DebuggerData};
pub use list::walk_list;
pub use modules::{Module, Modules, UnloadedModule};
pub use session::{Hints, Kernel, SymbolName, SymbolSource};
pub use slist::{SlistForm, first_entry, walk_slist};
pub use space::AddressSpace;
pub use string::read_unicode_string;
pub use wanted::WantedSymbols;

use crate::addr::Va;
use crate::error::Error;

/// How far walks go and how much a view may gather, whatever the dump says.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// Entries of a `LIST_ENTRY` or SLIST.
    pub list_entries: usize,
    /// Nodes of a tree.
    pub tree_nodes: usize,
    /// Nodes of each of the two pool info trees.
    pub pool_info_nodes: usize,
    /// Pages of pool tracking entries, over all drivers.
    pub tracker_pages: usize,
    /// Records of a ring.
    pub ring_records: u32,
    /// Records of deadlock detection, and steps of the lists that lead to them.
    pub deadlock_records: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            list_entries: 1 << 16,
            tree_nodes: 1 << 20,
            // As many live blocks.
            pool_info_nodes: 1 << 22,
            // 1 GiB of entries: 33 million allocations.
            tracker_pages: 1 << 18,
            // Twice the longest pool log that a kernel makes (0x800000 records).
            ring_records: 1 << 24,
            // A lock has at most 65520 nodes, and kernels trim what is old.
            deadlock_records: 1 << 20,
        }
    }
}

/// What a walk reached, and why it ended if not at its end.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Walk {
    /// The addresses of the elements, in order.
    pub entries: Vec<Va>,
    /// Why the walk is not whole.
    pub broken: Option<Error>,
}
