//! What functions return, and why they fail.

use verifier_core::addr::Space;
use verifier_core::error::Error as Core;
use verifier_core::{Reason, Va};
use verifier_host::{Error as Host, Session};

/// What a call came to.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VerifierStatus {
    /// Done.
    Ok = 0,
    /// An argument is NULL that must not be, is not UTF-8, or names something that does not exist.
    BadArgument = 1,
    /// No record has that number (this is not kept as the last error), or no counter has that name.
    NotFound = 2,
    /// A file cannot be opened or read.
    File = 3,
    /// Bytes are absent from the dump, or the reader says that they are.
    Absent = 4,
    /// An address is not present in the page tables.
    NotPresent = 5,
    /// The symbols are missing, or do not have a type, field or global.
    Symbols = 6,
    /// The file or a structure in memory is malformed, or a limit on hostile input was reached.
    Malformed = 7,
    /// The input is of a kind that cannot give what was asked.
    Unsupported = 8,
    /// A fault of this library itself; you can go on using the session.
    Internal = 9,
    /// A handle that is not open: already freed, of the other kind, or never given.
    InvalidHandle = 10,
    /// A struct's size that no version of it has.
    BadSize = 11,
    /// The call was ended before it had an answer: the session was canceled, or the deadline of its
    /// VerifierOptions passed.
    Stopped = 12,
}

/// What the address of an error or a problem is.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VerifierPlace {
    /// Nothing.
    None = 0,
    /// A physical address.
    Physical = 1,
    /// An address in the kernel's virtual memory.
    Virtual = 2,
    /// An offset in the dump file.
    File = 3,
}

impl VerifierPlace {
    /// The place of a virtual address, if there is one.
    pub(crate) fn of(address: Option<Va>) -> (Self, u64) {
        address.map_or((Self::None, 0), |va| (Self::Virtual, va.0))
    }
}

/// Why a call failed.
pub(crate) struct Failure {
    status: VerifierStatus,
    /// `None` if the last error does not keep it: the end of a list is not an error.
    message: Option<String>,
    place: (VerifierPlace, u64),
}

impl Failure {
    fn new(status: VerifierStatus, message: String) -> Self {
        Self { status, message: Some(message), place: (VerifierPlace::None, 0) }
    }

    /// A list has no record of that number.
    pub(crate) fn at_the_end() -> Self {
        Self { message: None, ..Self::new(VerifierStatus::NotFound, String::new()) }
    }

    pub(crate) fn argument(message: impl Into<String>) -> Self {
        Self::new(VerifierStatus::BadArgument, message.into())
    }

    pub(crate) fn not_found(message: impl Into<String>) -> Self {
        Self::new(VerifierStatus::NotFound, message.into())
    }

    pub(crate) fn unsupported(message: impl Into<String>) -> Self {
        Self::new(VerifierStatus::Unsupported, message.into())
    }

    pub(crate) fn stopped(message: impl Into<String>) -> Self {
        Self::new(VerifierStatus::Stopped, message.into())
    }

    pub(crate) fn size(message: String) -> Self {
        Self::new(VerifierStatus::BadSize, message)
    }

    pub(crate) fn handle(message: String) -> Self {
        Self::new(VerifierStatus::InvalidHandle, message)
    }

    pub(crate) fn internal(message: String) -> Self {
        Self::new(VerifierStatus::Internal, message)
    }

    pub(crate) fn status(&self) -> VerifierStatus {
        self.status
    }

    /// What the last error becomes: message and place. `None` if it is not an error that is kept.
    pub(crate) fn kept(self) -> Option<(String, (VerifierPlace, u64))> {
        Some((self.message?, self.place))
    }
}

impl Failure {
    /// The same failure, after the call was ended: the end of the call may be its only cause.
    pub(crate) fn because_stopped(self, why: &str) -> Self {
        let message = match self.message {
            Some(message) => format!("{why}: {message}"),
            None => why.to_owned(),
        };
        Self { status: VerifierStatus::Stopped, message: Some(message), ..self }
    }

    /// The same; if the kernel's symbols are missing, it also says where they were searched for.
    pub(crate) fn explained(mut self, session: &Session) -> Self {
        if self.status == VerifierStatus::Symbols
            && let Some(message) = &mut self.message
            && let Some(missing) = session.missing_kernel_symbols()
        {
            *message = format!("{message}; {missing}");
        }
        self
    }
}

/// True if the caller's own reader failed, at the bytes themselves or at a page table that leads to them.
fn is_readers(reason: &Reason) -> bool {
    match reason {
        Reason::Reader(_) => true,
        Reason::Table { cause, .. } => is_readers(cause),
        _ => false,
    }
}

impl From<Core> for Failure {
    fn from(error: Core) -> Self {
        let status = match &error {
            Core::Read { fault, .. } if fault.reason.is_absent() => VerifierStatus::Absent,
            Core::NotInSmallDump { .. } => VerifierStatus::Absent,
            Core::Read { fault, .. } if is_readers(&fault.reason) => VerifierStatus::Absent,
            Core::Read { .. } => VerifierStatus::NotPresent,
            Core::Format { .. } | Core::Malformed { .. } | Core::Limit { .. } => {
                VerifierStatus::Malformed
            }
            Core::MissingType { .. }
            | Core::MissingField { .. }
            | Core::MissingSymbol { .. }
            | Core::NoKernelSymbols { .. }
            | Core::UnknownGlobal { .. }
            | Core::Symbols { .. } => VerifierStatus::Symbols,
            Core::Stopped { .. } => VerifierStatus::Stopped,
            _ => VerifierStatus::Unsupported,
        };
        let place = match &error {
            Core::Read { fault, .. } if fault.space == Space::Physical => {
                (VerifierPlace::Physical, fault.address)
            }
            Core::Format { offset, .. } => (VerifierPlace::File, *offset),
            other => VerifierPlace::of(other.address()),
        };
        Self { status, message: Some(error.to_string()), place }
    }
}

impl From<Host> for Failure {
    fn from(error: Host) -> Self {
        match error {
            Host::Core(core) => core.into(),
            Host::SymbolPath(_) | Host::Usage(_) => Self::argument(error.to_string()),
            other => Self::new(VerifierStatus::File, other.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A callback that fails gives the same status for bytes and for a page table that leads to them.
    #[test]
    fn a_reader_that_fails_is_absence() {
        let status = |reason| {
            let fault = verifier_core::Fault { space: Space::Virtual, address: 0, done: 0, reason };
            Failure::from(Core::read("bytes", fault)).status
        };
        let failed = || Reason::Reader("no such page".into());
        let at = verifier_core::Pa(0x1000);
        let table = |cause| Reason::Table { level: 3, at, cause: Box::new(cause) };
        assert_eq!(status(failed()), VerifierStatus::Absent);
        assert_eq!(status(table(failed())), VerifierStatus::Absent);
        assert_eq!(status(table(Reason::NotHeld)), VerifierStatus::Absent);
        let not_present = Reason::NotPresent { level: 1, entry: 0, at };
        assert_eq!(status(not_present), VerifierStatus::NotPresent);
        assert_eq!(status(table(Reason::OutOfRange)), VerifierStatus::NotPresent);
    }
}
