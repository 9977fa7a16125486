//! The kernel's virtual memory together with the machine it belongs to: how wide a pointer is, and
//! which addresses are the kernel's.

use std::fmt;
use std::sync::Arc;

use super::{DebuggerData, Hints};
use crate::addr::{Pa, Va};
use crate::dump::{Dump, DumpKind, Header};
use crate::error::{Error, Fault};
use crate::machine::Machine;
use crate::memory::{MappedPages, Memory, PageTables, PagingMode, Residence};

/// Addresses of which it is known what should stand there, by which the paging mode is told. Any may
/// be unknown.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Landmarks {
    /// Address of `PsLoadedModuleList`, or of any other `LIST_ENTRY`: it and its neighbor should point
    /// at each other.
    pub ps_loaded_module_list: Option<Va>,
    /// Address of the debugger data block: it should have its mark, unless it is encoded.
    pub kd_debugger_data_block: Option<Va>,
    /// Address of the page frame database: it should be mapped.
    pub pfn_data_base: Option<Va>,
}

impl From<&Header> for Landmarks {
    fn from(header: &Header) -> Self {
        Self {
            ps_loaded_module_list: header.ps_loaded_module_list,
            kd_debugger_data_block: header.kd_debugger_data_block,
            pfn_data_base: header.pfn_data_base,
        }
    }
}

impl From<&Hints> for Landmarks {
    fn from(hints: &Hints) -> Self {
        Self {
            ps_loaded_module_list: hints.ps_loaded_module_list,
            kd_debugger_data_block: hints.kd_debugger_data_block,
            pfn_data_base: None,
        }
    }
}

/// What speaks for a paging mode, the weakest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Evidence {
    /// So many landmarks are mapped. One page of a list may be absent, and the block encoded.
    Mapped(usize),
    /// The debugger data block has its mark.
    DebuggerData,
    /// The head of the list and its neighbor point at each other.
    List,
}

impl Landmarks {
    /// True if the list or the debugger data block is in `space` where it is said to be.
    #[must_use]
    pub fn hold_in(&self, space: &AddressSpace) -> bool {
        self.evidence(space) >= Evidence::DebuggerData
    }

    fn evidence(&self, space: &AddressSpace) -> Evidence {
        if self.ps_loaded_module_list.is_some_and(|head| space.is_list_head(head)) {
            return Evidence::List;
        }
        if self.kd_debugger_data_block.is_some_and(|at| DebuggerData::is_marked(space, at)) {
            return Evidence::DebuggerData;
        }
        let all = [self.ps_loaded_module_list, self.kd_debugger_data_block, self.pfn_data_base];
        Evidence::Mapped(
            all.into_iter().flatten().filter(|&at| space.translate(at).is_some()).count(),
        )
    }
}

/// Virtual memory of a kernel.
#[derive(Clone)]
pub struct AddressSpace {
    memory: Arc<dyn Memory<Va>>,
    machine: Machine,
    tables: Option<PageTables>,
    is_blocks: bool,
}

impl AddressSpace {
    /// A space over memory that already translates.
    pub fn new(memory: Arc<dyn Memory<Va>>, machine: Machine) -> Self {
        Self { memory, machine, tables: None, is_blocks: false }
    }

    /// A space over the blocks of virtual memory that a small dump holds.
    pub fn of_blocks(memory: Arc<dyn Memory<Va>>, machine: Machine) -> Self {
        Self { is_blocks: true, ..Self::new(memory, machine) }
    }

    /// A space over page tables.
    pub fn paged(tables: PageTables, machine: Machine) -> Self {
        let memory = Arc::new(tables.clone());
        Self { tables: Some(tables), ..Self::new(memory, machine) }
    }

    /// The kernel's space in a dump: page tables over its pages, or a small dump's blocks.
    ///
    /// The header does not say how many levels the page tables have (x64) or may have lost whether
    /// PAE is on (x86): the mode in which its addresses lead to what they should is taken (see
    /// [`Landmarks`]). Where none does, the more common one is.
    ///
    /// # Errors
    /// As [`Dump::physical`] and [`Dump::triage`]; [`Error::Unsupported`] for a machine that is not known.
    pub fn of_dump(dump: &Dump) -> Result<Self, Error> {
        let header = dump.header();
        let machine = header.machine().ok_or_else(|| Error::Unsupported {
            what: format!(
                "the machine {:#x} in the dump header is neither x86 (0x14c), x64 (0x8664) nor \
                 arm64 (0xaa64)",
                header.machine_image_type
            ),
        })?;
        if header.kind == DumpKind::Triage {
            return Ok(Self::of_blocks(Arc::new(dump.triage()?.memory), machine));
        }
        let physical: Arc<dyn Memory<Pa>> = Arc::new(dump.physical()?);
        // A dump does not change.
        Ok(Self::find(machine, header.pae_enabled, &Landmarks::from(header), &|mode| {
            PageTables::new(Arc::clone(&physical), header.directory_table_base, mode).cached()
        }))
    }

    /// The kernel's space over any physical memory, told by a dump's header.
    pub fn of_physical(physical: Arc<dyn Memory<Pa>>, header: &Header, machine: Machine) -> Self {
        Self::of_tables(
            physical,
            header.directory_table_base,
            machine,
            header.pae_enabled,
            &Landmarks::from(header),
        )
    }

    /// The kernel's space over any physical memory, told by its directory table base.
    ///
    /// `pae` is whether an x86 kernel has PAE on, where that is known; by the landmarks the paging mode
    /// is told where the machine leaves it open (see [`of_dump`](Self::of_dump)).
    pub fn of_tables(
        physical: Arc<dyn Memory<Pa>>,
        directory_table_base: Pa,
        machine: Machine,
        pae: Option<bool>,
        landmarks: &Landmarks,
    ) -> Self {
        Self::find(machine, pae, landmarks, &|mode| {
            PageTables::new(Arc::clone(&physical), directory_table_base, mode)
        })
    }

    /// The space of the mode that fits, out of those that the machine has.
    fn find(
        machine: Machine,
        pae: Option<bool>,
        landmarks: &Landmarks,
        tables: &dyn Fn(PagingMode) -> PageTables,
    ) -> Self {
        let modes: &[PagingMode] = match machine {
            Machine::X64 => &[PagingMode::X64, PagingMode::X64La57],
            Machine::Arm64 => &[PagingMode::Arm64],
            Machine::X86 => match pae {
                Some(true) => &[PagingMode::X86Pae],
                Some(false) => &[PagingMode::X86],
                None => &[PagingMode::X86Pae, PagingMode::X86],
            },
        };
        let spaces = modes.iter().map(|&mode| Self::paged(tables(mode), machine));
        // Of equals the first: the more common mode.
        let best = spaces.rev().max_by_key(|space| landmarks.evidence(space));
        // Every machine has a mode.
        best.unwrap_or_else(|| Self::paged(tables(PagingMode::X64), machine))
    }

    /// True where `head` and the entry behind it point at each other.
    fn is_list_head(&self, head: Va) -> bool {
        let size = self.pointer_size() as u64;
        self.read_pointer(head)
            .and_then(|first| self.read_pointer(first.add(size)))
            .is_ok_and(|back| back == head)
    }

    /// The same with a memory for where pages were found: for physical memory that does not change, such
    /// as a dump's (see [`PageTables::cached`]).
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

    /// How addresses are translated, where this space does it.
    #[must_use]
    pub fn paging(&self) -> Option<PagingMode> {
        self.tables.as_ref().map(PageTables::mode)
    }

    /// Where `va` lies in physical memory; `None` where it is not mapped, or where this space does not
    /// translate.
    #[must_use]
    pub fn translate(&self, va: Va) -> Option<Pa> {
        self.tables.as_ref()?.translate(va).ok().map(|found| found.pa)
    }

    /// The pages that the page tables map in the kernel's half, in at most `steps` look-ups; `None` where
    /// this space does not translate.
    pub(crate) fn mapped_pages(&self, steps: u64) -> Option<MappedPages<'_>> {
        let (first, last) = match self.machine {
            Machine::X86 => (0x8000_0000, 0xffff_ffff),
            Machine::X64 if self.paging() == Some(PagingMode::X64La57) => (0xff00 << 48, u64::MAX),
            Machine::X64 | Machine::Arm64 => (0xffff_8000_0000_0000, u64::MAX),
        };
        Some(self.tables.as_ref()?.mapped_pages(Va(first), Va(last), steps))
    }

    /// True for a small dump's memory: what is not there was never in it.
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

    /// An address out of a 64-bit field of a structure that 32-bit kernels share: sign-extended
    /// there, cut to 32 bits here.
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
