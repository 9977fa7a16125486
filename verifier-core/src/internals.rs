//! Machinery for this project's tests, fuzz targets and other crates. It may change in every release; do not depend
//! on it.

pub use crate::kernel::avl::{AvlLayout, walk_avl};
pub use crate::kernel::list::walk_list;
pub use crate::kernel::slist::{SlistForm, first_entry, walk_slist};
pub use crate::kernel::string::read_unicode_string;
pub use crate::kernel::walk::Walk;
pub use crate::symbols::guard::guard;
pub use crate::verifier::log::ring::RingRecords;
