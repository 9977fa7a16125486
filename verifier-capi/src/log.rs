//! What records of all logs have.

use verifier_core::Va;
use verifier_core::verifier::log::{ImpossibleRecord, Operation};

/// What a record of the pool log is about.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VerifierOperation {
    /// A block was allocated.
    Allocate = 0,
    /// A block was freed.
    Free = 1,
    /// An allocation failed: the address is 0.
    Failed = 2,
    /// The stack does not say.
    Unknown = 3,
}

impl VerifierOperation {
    pub(crate) fn of(operation: Operation) -> Self {
        match operation {
            Operation::Allocate => Self::Allocate,
            Operation::Free => Self::Free,
            Operation::Failed => Self::Failed,
            _ => Self::Unknown,
        }
    }
}

/// A value of a log's record that no kernel writes.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VerifierImpossibleValue {
    /// None.
    Nothing = 0,
    /// The block's address.
    Address = 1,
    /// The block's size.
    Size = 2,
    /// The thread.
    Thread = 3,
    /// A frame of the stack.
    Frame = 4,
    /// The IRP.
    Irp = 5,
    /// An IRQL.
    Irql = 6,
    /// The processor's number.
    Processor = 7,
    /// A value that this interface does not name yet.
    SomethingElse = 8,
}

impl VerifierImpossibleValue {
    pub(crate) fn of(value: Option<ImpossibleRecord>) -> Self {
        match value {
            None => Self::Nothing,
            Some(ImpossibleRecord::Address) => Self::Address,
            Some(ImpossibleRecord::Size) => Self::Size,
            Some(ImpossibleRecord::Thread) => Self::Thread,
            Some(ImpossibleRecord::Frame) => Self::Frame,
            Some(ImpossibleRecord::Irp) => Self::Irp,
            Some(ImpossibleRecord::Irql) => Self::Irql,
            Some(ImpossibleRecord::Processor) => Self::Processor,
            Some(_) => Self::SomethingElse,
        }
    }
}

/// The records that a caller asks for: how many of the newest, and about which address.
pub(crate) fn wanted(last: usize, address: u64) -> (Option<usize>, Option<Va>) {
    ((last != usize::MAX).then_some(last), (address != 0).then_some(Va(address)))
}
