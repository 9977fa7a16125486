//! What leads from a parameter to a driver.

use crate::addr::Va;
use crate::describe::names;

/// An address of code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct CodeSite {
    /// The address.
    pub address: Va,
    /// True if a call returns to it, so its line of source code is that of the call.
    pub is_return: bool,
}

impl CodeSite {
    /// A place in code.
    #[must_use]
    pub fn new(address: Va, is_return: bool) -> Self {
        Self { address, is_return }
    }
}

/// How a parameter leads to its driver.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum LeadsBy {
    /// It is an address in the driver's code.
    Code,
    /// It is another address in the driver's image.
    Image,
    /// It is an address at which the driver was before it was unloaded.
    UnloadedImage,
    /// It is the driver's name.
    Name,
    /// It is the driver's object, or one of its device objects.
    Object,
    /// It is an IRP that is at one of the driver's device objects.
    Irp,
    /// It leads to a stack that locked pages.
    LockedPages,
    /// It is in, or past the end of, a block that the driver allocated.
    Block,
    /// It is in a block that the driver freed.
    FreedBlock,
}

names! {
    /// The word in JSON.
    LeadsBy {
        Code => "code",
        Image => "image",
        UnloadedImage => "unloaded image",
        Name => "name",
        Object => "object",
        Irp => "irp",
        LockedPages => "locked pages",
        Block => "block",
        FreedBlock => "freed block",
    }
}

/// What an object says.
#[derive(Debug, Default)]
pub(super) struct Lead {
    pub(super) text: Option<String>,
    /// The file name of its driver, and how it leads to it.
    pub(super) driver: Option<(String, LeadsBy)>,
    pub(super) code: Option<CodeSite>,
}

/// The last part of a path.
pub(super) fn file_name(path: &str) -> &str {
    path.rsplit(['\\', '/']).next().unwrap_or(path)
}
