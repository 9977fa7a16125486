//! What the parameters of a bug check are.

/// What a parameter of a bug check is: it decides how the parameter is shown and what can be looked up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ParameterKind {
    /// Reserved, zero, or without a documented meaning.
    Reserved,
    /// Unknown, because the subcode is unknown.
    Unknown,
    /// The subcode that says what happened.
    Subcode,
    /// The number of a rule.
    Rule,
    /// An address of code: a routine, or an instruction.
    Code,
    /// An address of code that a call returns to.
    Caller,
    /// The base of an image.
    Image,
    /// An address in a block of pool.
    Pool,
    /// The address of a pool header; the block is after it.
    PoolHeader,
    /// Any other address.
    Address,
    /// A physical address.
    PhysicalAddress,
    /// A page frame number.
    PageFrame,
    /// An `_IRP`.
    Irp,
    /// An `_MDL`.
    Mdl,
    /// A `_DRIVER_OBJECT`.
    DriverObject,
    /// A `_DEVICE_OBJECT`.
    DeviceObject,
    /// A `_FILE_OBJECT`.
    FileObject,
    /// An `_ETHREAD`.
    Thread,
    /// An `_EPROCESS`.
    Process,
    /// A lock: spin lock, mutex, ERESOURCE, pushlock, remove lock. The label says which.
    Lock,
    /// An object that no other kind names. The label says which.
    Object,
    /// Data of Verifier's own.
    Internal,
    /// A `_LOCK_TRACKER`; up to Server 2003, the code that locked the pages.
    LockedPages,
    /// An `NTSTATUS`.
    Status,
    /// An IRQL.
    Irql,
    /// A pool tag.
    PoolTag,
    /// A `POOL_TYPE`.
    PoolType,
    /// `MdlFlags` of an `_MDL`.
    MdlFlags,
    /// A page protection (`PAGE_EXECUTE` …).
    Protection,
    /// Other flags.
    Flags,
    /// A number of bytes.
    Size,
    /// A number of things.
    Count,
    /// A 32-bit number with a sign.
    Signed,
    /// Any other number.
    Number,
    /// The address of 8-bit text.
    Text,
    /// The address of UTF-16 text, or of a `_UNICODE_STRING` that describes it.
    WideText,
    /// A duration; the label says the unit.
    Time,
    /// A handle.
    Handle,
    /// A processor mode: 0 is kernel mode, 1 is user mode.
    Mode,
    /// An access to memory: read, write, execute.
    Access,
    /// The major function of an IRP.
    MajorFunction,
    /// An I/O control code.
    IoControl,
}

use ParameterKind as K;

/// Every kind with its name in tables and documents.
const NAMES: [(ParameterKind, &str); 42] = [
    (K::Reserved, "reserved"),
    (K::Unknown, "unknown"),
    (K::Subcode, "subcode"),
    (K::Rule, "rule"),
    (K::Code, "code"),
    (K::Caller, "caller"),
    (K::Image, "image"),
    (K::Pool, "pool"),
    (K::PoolHeader, "pool_header"),
    (K::Address, "address"),
    (K::PhysicalAddress, "physical_address"),
    (K::PageFrame, "page_frame"),
    (K::Irp, "irp"),
    (K::Mdl, "mdl"),
    (K::DriverObject, "driver_object"),
    (K::DeviceObject, "device_object"),
    (K::FileObject, "file_object"),
    (K::Thread, "thread"),
    (K::Process, "process"),
    (K::Lock, "lock"),
    (K::Object, "object"),
    (K::Internal, "internal"),
    (K::LockedPages, "locked_pages"),
    (K::Status, "status"),
    (K::Irql, "irql"),
    (K::PoolTag, "pool_tag"),
    (K::PoolType, "pool_type"),
    (K::MdlFlags, "mdl_flags"),
    (K::Protection, "protection"),
    (K::Flags, "flags"),
    (K::Size, "size"),
    (K::Count, "count"),
    (K::Signed, "signed"),
    (K::Number, "number"),
    (K::Text, "text"),
    (K::WideText, "wide_text"),
    (K::Time, "time"),
    (K::Handle, "handle"),
    (K::Mode, "mode"),
    (K::Access, "access"),
    (K::MajorFunction, "major_function"),
    (K::IoControl, "io_control"),
];

impl ParameterKind {
    /// Its name in documents: "code", "pool_type", "device_object".
    #[must_use]
    pub fn name(self) -> &'static str {
        NAMES.iter().find(|(kind, _)| *kind == self).map_or("unknown", |(_, name)| name)
    }

    pub(super) fn by_name(name: &str) -> Option<Self> {
        NAMES.iter().find(|(_, known)| *known == name).map(|(kind, _)| *kind)
    }

    /// True if the value is the address of kernel memory.
    #[must_use]
    pub fn is_address(self) -> bool {
        matches!(
            self,
            K::Code
                | K::Caller
                | K::Image
                | K::Pool
                | K::PoolHeader
                | K::Address
                | K::Irp
                | K::Mdl
                | K::DriverObject
                | K::DeviceObject
                | K::FileObject
                | K::Thread
                | K::Process
                | K::Lock
                | K::Object
                | K::Internal
                | K::LockedPages
                | K::Text
                | K::WideText
        )
    }
}

/// What one parameter of a bug check is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Parameter {
    /// Its kind.
    pub kind: ParameterKind,
    /// Its name: "current IRQL", "block address", "reserved".
    pub label: &'static str,
}

impl Parameter {
    pub(super) const RESERVED: Self = Self { kind: ParameterKind::Reserved, label: "reserved" };
    /// A parameter whose meaning is unknown.
    pub const UNKNOWN: Self = Self { kind: ParameterKind::Unknown, label: "unknown" };
    pub(super) const SUBCODE: Self = Self { kind: ParameterKind::Subcode, label: "subcode" };
}
