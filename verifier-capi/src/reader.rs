//! A C callback as the memory of a kernel.

use std::ffi::c_void;

use verifier_core::Va;
use verifier_core::addr::Pa;
use verifier_core::kernel::{AddressSpace, Hints, Landmarks};
use verifier_core::machine::Machine;
use verifier_core::memory::FromFn;

use crate::pointer::Record;
use crate::status::Failure;

/// What the addresses of a VerifierReader are.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VerifierSpace {
    /// Physical addresses; this library walks the page tables.
    Physical = 1,
    /// The kernel's virtual addresses; the reader translates.
    Virtual = 2,
}

/// A processor architecture: the machine number of a PE file.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VerifierMachine {
    /// 32-bit x86, with or without PAE.
    X86 = 0x14c,
    /// x64, with four or five levels of page tables.
    X64 = 0x8664,
    /// 64-bit ARM.
    Arm64 = 0xaa64,
}

/// A flag of a VerifierReader: its memory does not change until the session is freed, like a file's and
/// unlike a running machine's. Addresses are then looked up in the page tables once, not at every read;
/// ignored if the addresses are virtual.
pub const VERIFIER_READER_STABLE: u32 = 1;

/// The caller's memory, and what is known of the kernel in it. Fields that are not set must be zero:
/// `VerifierReader reader = {.size = sizeof reader, ...}`.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct VerifierReader {
    /// Bytes of this struct: `sizeof`.
    pub size: u32,
    /// VERIFIER_READER_STABLE or 0.
    pub flags: u32,
    /// A VerifierSpace.
    pub space: u32,
    /// A VerifierMachine.
    pub machine: u32,
    /// Fills `buffer` with the `size` bytes at `address`, whole: 0 for done, anything else if the
    /// bytes are absent (the number is shown in messages). The bytes never cross a 4 KiB page. May be
    /// called by several threads at once.
    pub read: Option<
        unsafe extern "C" fn(
            context: *mut c_void,
            address: u64,
            buffer: *mut c_void,
            size: usize,
        ) -> i32,
    >,
    /// Passed to `read` unchanged. It must live until the session is freed.
    pub context: *mut c_void,
    /// CR3 (TTBR1_EL1) of the kernel; ignored if the addresses are virtual.
    pub directory_table_base: u64,
    /// Address of the global PsLoadedModuleList, 0 if it is unknown.
    pub ps_loaded_module_list: u64,
    /// Address of the debugger data block, 0 if it is unknown; one of the two must be known.
    pub kd_debugger_data_block: u64,
    /// The build number, such as 7601, 0 if it is unknown.
    pub build: u32,
    /// 0. It fills the gap at the end: a caller would leave a gap unset, and a later version may read it.
    pub reserved: u32,
}

// Any bytes are one: integers, a pointer that is not followed here, a function's address or none.
impl Record for VerifierReader {}

const _: () = assert!(size_of::<VerifierReader>() == 48 + 2 * size_of::<usize>());

/// The callback and its context.
struct Callback {
    read: unsafe extern "C" fn(*mut c_void, u64, *mut c_void, usize) -> i32,
    context: *mut c_void,
}

// SAFETY: the context is only passed back to the callback, and the interface says that it is
// called by any thread.
unsafe impl Send for Callback {}
// SAFETY: as above: the interface says that it is called by several threads at once.
unsafe impl Sync for Callback {}

impl Callback {
    fn read(&self, address: u64, buf: &mut [u8]) -> Result<(), String> {
        // SAFETY: the buffer may be written for its whole length and outlives the call; the caller that made
        // the session vouches for the callback and its context.
        let code = unsafe {
            (self.read)(self.context, address, buf.as_mut_ptr().cast::<c_void>(), buf.len())
        };
        if code == 0 { Ok(()) } else { Err(format!("read callback returned {code}")) }
    }
}

impl VerifierReader {
    pub(crate) fn space(&self) -> Result<AddressSpace, Failure> {
        let Some(read) = self.read else {
            return Err(Failure::argument("reader->read is NULL"));
        };
        let machine = Machine::from_image_type(self.machine).ok_or_else(|| {
            Failure::argument(format!(
                "reader->machine is {:#x}, which is not a VerifierMachine",
                self.machine
            ))
        })?;
        if self.flags & !VERIFIER_READER_STABLE != 0 || self.reserved != 0 {
            let text = format!("reader->flags is {:#x}, reserved {:#x}", self.flags, self.reserved);
            return Err(Failure::unsupported(text));
        }
        let callback = Callback { read, context: self.context };
        if self.space == VerifierSpace::Virtual as u32 {
            let memory = FromFn::new(move |at: Va, buf: &mut [u8]| callback.read(at.0, buf));
            return Ok(AddressSpace::new(std::sync::Arc::new(memory), machine));
        }
        if self.space != VerifierSpace::Physical as u32 {
            let text = format!("reader->space is {}, which is not a VerifierSpace", self.space);
            return Err(Failure::argument(text));
        }
        let memory = FromFn::new(move |at: Pa, buf: &mut [u8]| callback.read(at.0, buf));
        let landmarks = Landmarks::from(&self.hints());
        let base = Pa(self.directory_table_base);
        let memory = std::sync::Arc::new(memory);
        let space = AddressSpace::of_tables(memory, base, machine, None, &landmarks);
        let is_stable = self.flags & VERIFIER_READER_STABLE != 0;
        Ok(if is_stable { space.cached() } else { space })
    }

    pub(crate) fn hints(&self) -> Hints {
        let known = |address: u64| (address != 0).then_some(Va(address));
        Hints {
            build: (self.build != 0).then_some(self.build),
            ps_loaded_module_list: known(self.ps_loaded_module_list),
            kd_debugger_data_block: known(self.kd_debugger_data_block),
            ..Hints::default()
        }
    }
}
