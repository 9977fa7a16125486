//! The Windows kernel without Verifier: modules, lists, trees, strings and the debugger data block.
//!
//! A [`Kernel`] is the session through which every view reads: an [`AddressSpace`], the loaded and unloaded
//! modules, the debugger data block, and the symbols that the caller supplied. You can open it without
//! symbols, because the dump names the symbol files: [`Kernel::wanted_symbols`] lists them, and you pass
//! the files' contents to [`Kernel::supply_pdb`].
//!
//! All walks (lists, SLISTs, AVL trees) are bounded by [`Limits`] and end on cycles. A walk returns the
//! elements that it reached and the reason why it ended.

pub(crate) mod avl;
mod debugger_data;
mod hints;
mod image_check;
mod images;
mod kept;
mod landmarks;
mod limits;
pub(crate) mod list;
mod modules;
mod search;
mod session;
pub(crate) mod slist;
mod space;
pub(crate) mod string;
pub(crate) mod walk;
mod wanted;

pub(crate) use avl::walk_avl_to;
pub(crate) use avl::{AvlLayout, walk_avl};
pub(crate) use debugger_data::MAX_IMAGE;
pub use debugger_data::{DataBlockKeys, DebuggerData};
pub use hints::Hints;
pub use images::ModuleSource;
pub use landmarks::Landmarks;
pub use limits::Limits;
pub(crate) use limits::{Limit, limit};
pub(crate) use list::walk_list;
pub use modules::{Module, Modules, UnloadedModule};
pub use search::{FoundKernel, KERNEL_PDBS, TableSource, find_kernel, find_kernel_until};
pub use session::{Kernel, SymbolName, SymbolSource};
pub(crate) use slist::{SlistForm, first_entry};
pub use space::AddressSpace;
pub(crate) use string::read_unicode_string;
pub(crate) use string::{is_file_name, read_ansi_z, read_utf16_z};
pub(crate) use walk::Walk;
pub use wanted::WantedSymbols;
