//! The description of groups that changed.

use super::DiffView;
use crate::analysis::{DiffGroup, Total};
use crate::describe::{Object, Table, Value, columns};

impl Object for Total {
    fn for_each(&self, each: &mut dyn FnMut(&str, Value<'_>)) {
        each("count", self.count.into());
        each("bytes", self.bytes.into());
    }
}

/// By how much a group grew.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Growth {
    /// Blocks; negative if there are fewer.
    pub count: i64,
    /// Bytes.
    pub bytes: i64,
}

impl Object for Growth {
    fn for_each(&self, each: &mut dyn FnMut(&str, Value<'_>)) {
        each("count", self.count.into());
        each("bytes", self.bytes.into());
    }
}

/// A group that changed.
#[derive(Clone, Copy)]
pub struct DiffRow<'a> {
    /// The view.
    pub view: &'a DiffView<'a>,
    /// The group.
    pub group: &'a DiffGroup,
    /// Its growth.
    pub growth: Growth,
}

impl<'a> DiffRow<'a> {
    /// The description.
    pub const TABLE: Table<'a, Self> = Table::new(
        "DiffGroup",
        "Blocks of both dumps that have a stack, tag, driver or size in common.",
        columns!(|row: Self| {
            /// How many blocks more the later dump has.
            count_growth: I64, only_in_csv => row.growth.count,
            /// How many bytes more the later dump has.
            bytes_growth: I64, only_in_csv => row.growth.bytes,
            /// Blocks of the earlier dump.
            old_count: U64, only_in_csv => row.group.old.count,
            /// Their size in bytes.
            old_bytes: U64, only_in_csv => row.group.old.bytes,
            /// Blocks of the later dump.
            new_count: U64, only_in_csv => row.group.new.count,
            /// Their size in bytes.
            new_bytes: U64, only_in_csv => row.group.new.bytes,
            /// The pool tag; null if the blocks do not share one.
            tag: Tag, optional => row.group.tag(),
            /// The file name of the driver; null if the blocks do not share one.
            driver: Word, optional => row.group.key.driver.as_deref(),
            /// The first frame outside the kernel and Verifier, a tag, a driver or a size.
            label: Text => &*row.group.label,
            /// Why the group has no stack; null if it has one.
            why_no_stack: Word, optional => row.view.why(row.group),
            /// The names of the call stack, innermost frame first; null if the blocks do not share one.
            stack: Trail, optional => row.group.key.stack.as_deref().map(Value::Trail),
            /// True for contiguous memory, which has no tag.
            contiguous: Bool => row.group.key.is_contiguous,
            /// Of how many groups of one caller it is the sum, if one dump lacks stacks of the other; else 0.
            merged: U64, not_in_csv => row.group.merged,
            /// The blocks of the earlier dump.
            old: Object, not_in_csv => Value::Object(&row.group.old),
            /// The blocks of the later dump.
            new: Object, not_in_csv => Value::Object(&row.group.new),
            /// How much more the later dump has.
            growth: Object, not_in_csv => Value::Object(&row.growth),
            /// Blocks that only the later dump has.
            appeared: Addresses, not_in_csv => Value::Addresses(&row.group.appeared),
            /// Blocks that only the earlier dump has.
            gone: Addresses, not_in_csv => Value::Addresses(&row.group.gone),
        }),
    );
}

impl<'a> DiffView<'a> {
    /// The groups that are shown.
    pub fn rows(&'a self) -> impl ExactSizeIterator<Item = DiffRow<'a>> + Clone {
        self.shown().0.iter().map(move |group| {
            let (count, bytes) = group.clamped_growth();
            DiffRow { view: self, group, growth: Growth { count, bytes } }
        })
    }
}
