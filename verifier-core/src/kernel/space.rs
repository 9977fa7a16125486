//! The kernel's virtual memory together with its machine: the size of a pointer, and the range of kernel
//! addresses.

use std::fmt;
use std::sync::Arc;

use crate::addr::{Pa, Va};
use crate::error::Fault;
use crate::machine::Machine;
use crate::memory::{MappedPages, Memory, PageTables, PagingMode, Residence};

/// Virtual memory of a kernel.
#[derive(Clone)]
pub struct AddressSpace {
    memory: Arc<dyn Memory<Va>>,
    machine: Machine,
    tables: Option<PageTables>,
    is_blocks: bool,
}

impl AddressSpace {
    /// A space over memory that is read by virtual address.
    pub fn new(memory: Arc<dyn Memory<Va>>, machine: Machine) -> Self {
        Self { memory, machine, tables: None, is_blocks: false }
    }

    /// A space over the blocks of virtual memory in a small dump.
    pub fn of_blocks(memory: Arc<dyn Memory<Va>>, machine: Machine) -> Self {
        Self { is_blocks: true, ..Self::new(memory, machine) }
    }

    /// A space over page tables.
    pub fn paged(tables: PageTables, machine: Machine) -> Self {
        let memory = Arc::new(tables.clone());
        Self { tables: Some(tables), ..Self::new(memory, machine) }
    }

    /// The same space with a cache of translations, for physical memory that does not change, such as a
    /// dump's (see [`PageTables::cached`]).
    #[must_use]
    pub fn cached(self) -> Self {
        match self.tables {
            Some(tables) => Self::paged(tables.cached(), self.machine),
            None => self,
        }
    }

    /// The memory.
    #[must_use]
    pub fn memory(&self) -> &dyn Memory<Va> {
        &*self.memory
    }

    /// The machine.
    #[must_use]
    pub fn machine(&self) -> Machine {
        self.machine
    }

    /// The page tables, if this space translates addresses.
    #[must_use]
    pub fn paging(&self) -> Option<PagingMode> {
        self.tables.as_ref().map(PageTables::mode)
    }

    /// The physical address of `va`; `None` if it is not mapped, or if this space does not translate.
    #[must_use]
    pub fn translate(&self, va: Va) -> Option<Pa> {
        self.tables.as_ref()?.translate(va).ok().map(|found| found.pa)
    }

    /// The pages that the page tables map in the kernel's half, in at most `steps` look-ups; `None` if this
    /// space does not translate.
    pub(crate) fn mapped_pages(&self, steps: u64) -> Option<MappedPages<'_>> {
        let (first, last) = match self.machine {
            Machine::X86 => (0x8000_0000, 0xffff_ffff),
            Machine::X64 if self.paging() == Some(PagingMode::X64La57) => (0xff00 << 48, u64::MAX),
            Machine::X64 | Machine::Arm64 => (0xffff_8000_0000_0000, u64::MAX),
        };
        Some(self.tables.as_ref()?.mapped_pages(Va(first), Va(last), steps))
    }

    /// True for a small dump's memory: bytes that are absent were never in it.
    #[must_use]
    pub fn is_blocks(&self) -> bool {
        self.is_blocks
    }

    /// Bytes in a pointer.
    #[must_use]
    pub fn pointer_size(&self) -> usize {
        self.machine.pointer_size()
    }

    /// True for an address in the kernel's half.
    #[must_use]
    pub fn is_kernel(&self, va: Va) -> bool {
        let (first, last) = self.machine.kernel_half();
        (first..=last).contains(&va.0)
    }

    /// Fills `buf` from `at` on.
    ///
    /// # Errors
    /// As [`Memory::read`].
    pub fn read(&self, at: Va, buf: &mut [u8]) -> Result<Residence, Fault> {
        self.memory.read(at, buf)
    }

    /// The pointer at `at`.
    ///
    /// # Errors
    /// As [`Memory::read`].
    pub fn read_pointer(&self, at: Va) -> Result<Va, Fault> {
        match self.pointer_size() {
            4 => self.memory.read_u32(at).map(|raw| Va(raw.into())),
            _ => self.memory.read_u64(at).map(Va),
        }
    }

    /// An address from a 64-bit field of a structure that 32-bit kernels have too. Such kernels sign-extend
    /// it; this cuts it to 32 bits.
    #[must_use]
    pub(crate) fn narrow(&self, raw: u64) -> Va {
        match self.machine {
            Machine::X86 => Va(raw & 0xffff_ffff),
            Machine::X64 | Machine::Arm64 => Va(raw),
        }
    }
}

impl fmt::Debug for AddressSpace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AddressSpace({}", self.machine)?;
        if let Some(paging) = self.paging() {
            write!(f, ", {paging}")?;
        }
        f.write_str(")")
    }
}
