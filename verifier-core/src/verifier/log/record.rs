//! Records of the pool log, as the ring has them and as they are carved, and the description of both.

use super::check::ImpossibleRecord;
use super::operation::Operation;
use super::stacks::Stack;
use super::trace::Header;
use crate::addr::Va;
use crate::describe::{Table, Value, columns};
use crate::verifier::scan::CarvedPage;

/// A record of the pool log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PoolRecord {
    /// Its slot in the ring.
    pub slot: u32,
    /// `Address`: the block, an MDL, a mapping.
    pub address: Va,
    /// `Size`.
    pub size: u64,
    /// `Thread`: the `_ETHREAD`.
    pub thread: Va,
    /// What happened.
    pub operation: Operation,
    /// Which of its values no kernel writes: then the record was damaged, and none of it can be relied on.
    pub impossible: Option<ImpossibleRecord>,
    pub(super) stack: Stack,
}

impl PoolRecord {
    pub(super) fn new(
        slot: u32,
        &Header { block: address, size, thread, .. }: &Header,
        (operation, stack): (Operation, Stack),
        impossible: Option<ImpossibleRecord>,
    ) -> Self {
        Self { slot, address, size, thread, operation, impossible, stack }
    }
}

/// A record of the pool log with its stack.
#[derive(Debug, Clone, Copy)]
pub struct PoolRow<'a> {
    /// The record.
    pub record: &'a PoolRecord,
    /// Its stack.
    pub frames: &'a [Va],
}

impl<'a> PoolRow<'a> {
    /// The description.
    pub const TABLE: Table<'a, Self> = Table::new(
        "PoolEvent",
        "A record of the pool log.",
        columns!(|row: Self| {
            /// The record's slot in the ring.
            slot: U32 => row.record.slot,
            /// The block, the MDL or the mapping; null if the allocation failed.
            address as "Address": Address => row.record.address,
            /// The size in bytes that was asked for, or the size of the block that was freed.
            size as "Size": U64 => row.record.size,
            /// The thread's `_ETHREAD`.
            thread as "Thread": Address => row.record.thread,
            /// What happened to the block, by the names of the frames.
            operation: OneOf(&Operation::NAMES) => row.record.operation.name(),
            /// The value that no kernel writes: the record was damaged; null if nothing contradicts it.
            impossible: OneOf(&ImpossibleRecord::NAMES), optional, last_in_csv
                => row.record.impossible.map(ImpossibleRecord::name),
            /// The call stack, innermost frame first.
            frames as "StackTrace": Frames => Value::Frames(row.frames),
            /// The source file of the first frame outside the kernel and Verifier; null if no PDB has the line.
            file: SourceFile, optional => Value::SourceFile(row.frames),
            /// The line in that file.
            line: SourceLine, optional => Value::SourceLine(row.frames),
        }),
    );
}

/// A record of the pool log that was found by its content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CarvedRecord {
    /// The page on which it starts.
    pub page: CarvedPage,
    /// Where on the page it starts.
    pub offset: u32,
    /// `Address`: the block, an MDL, a mapping.
    pub address: Va,
    /// `Size`.
    pub size: u64,
    /// `Thread`: the `_ETHREAD`.
    pub thread: Va,
    /// What happened.
    pub operation: Operation,
    /// True if it ends on another page that was not found, so that frames may be missing.
    pub is_cut: bool,
    pub(super) stack: Stack,
}

impl CarvedRecord {
    pub(super) fn new(
        page: CarvedPage,
        offset: u32,
        &Header { block: address, size, thread, .. }: &Header,
        (operation, stack): (Operation, Stack),
        is_cut: bool,
    ) -> Self {
        Self { page, offset, address, size, thread, operation, is_cut, stack }
    }
}

/// A record that was carved, with its stack.
#[derive(Debug, Clone, Copy)]
pub struct CarvedRow<'a> {
    /// The record.
    pub record: &'a CarvedRecord,
    /// Its stack.
    pub frames: &'a [Va],
}

impl<'a> CarvedRow<'a> {
    /// The description.
    pub const TABLE: Table<'a, Self> = Table::new(
        "CarvedPoolEvent",
        "A record of the pool log that was found by its content.",
        columns!(|row: Self| {
            /// The physical page on which the record starts; null if only its virtual address is known.
            physical_page: Physical, optional => row.record.page.pa,
            /// The virtual address of that page; null if it is unknown.
            page: Address, optional => row.record.page.va,
            /// Where on the page the record starts, in bytes.
            offset: U32 => row.record.offset,
            /// The block, the MDL or the mapping; null if the allocation failed.
            address as "Address": Address => row.record.address,
            /// The size in bytes that was asked for, or the size of the block that was freed.
            size as "Size": U64 => row.record.size,
            /// The thread's `_ETHREAD`.
            thread as "Thread": Address => row.record.thread,
            /// What happened to the block, by the names of the frames.
            operation: OneOf(&Operation::NAMES) => row.record.operation.name(),
            /// True if the record ends on another page that was not found, so that frames may be missing.
            is_cut: Bool => row.record.is_cut,
            /// The call stack, innermost frame first.
            frames as "StackTrace": Frames => Value::Frames(row.frames),
            /// The source file of the first frame outside the kernel and Verifier; null if no PDB has the line.
            file: SourceFile, optional => Value::SourceFile(row.frames),
            /// The line in that file.
            line: SourceLine, optional => Value::SourceLine(row.frames),
        }),
    );
}
