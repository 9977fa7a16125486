//! Finds the paging mode of a kernel's space: the mode in which the addresses of a header lead to the
//! expected data.

use std::sync::Arc;

use super::{AddressSpace, DebuggerData};
use crate::addr::{Pa, Va};
use crate::dump::{Dump, DumpKind, Header};
use crate::error::Error;
use crate::machine::Machine;
use crate::memory::{Memory, PageTables, PagingMode};

/// Addresses with known contents, by which the paging mode is found. Any of them may be unknown.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Landmarks {
    /// Address of `PsLoadedModuleList`, or of any other `LIST_ENTRY`: it and its neighbor should point at
    /// each other.
    pub ps_loaded_module_list: Option<Va>,
    /// Address of the debugger data block: it should have its signature, unless it is encoded.
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

/// The evidence for a paging mode, the weakest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum ModeEvidence {
    /// This number of landmarks is mapped. A page of the list may be absent, and the block may be encoded.
    Mapped(usize),
    /// The debugger data block has its signature.
    DebuggerData,
    /// The head of the list and its neighbor point at each other.
    List,
}

impl Landmarks {
    /// True if the list or the debugger data block is at its address in `space`.
    #[must_use]
    pub fn hold_in(&self, space: &AddressSpace) -> bool {
        self.evidence(space) >= ModeEvidence::DebuggerData
    }

    fn evidence(&self, space: &AddressSpace) -> ModeEvidence {
        if self.ps_loaded_module_list.is_some_and(|head| space.is_list_head(head)) {
            return ModeEvidence::List;
        }
        if self.kd_debugger_data_block.is_some_and(|at| DebuggerData::is_marked(space, at)) {
            return ModeEvidence::DebuggerData;
        }
        let all = [self.ps_loaded_module_list, self.kd_debugger_data_block, self.pfn_data_base];
        ModeEvidence::Mapped(
            all.into_iter().flatten().filter(|&at| space.translate(at).is_some()).count(),
        )
    }
}

impl AddressSpace {
    /// The kernel's space in a dump: page tables over its pages, or a small dump's blocks.
    ///
    /// The header does not say how many levels the page tables have (x64), and may not say whether PAE is
    /// on (x86). So the mode is used in which the header's addresses lead to the expected data (see
    /// [`Landmarks`]). If none does, the more common mode is used.
    ///
    /// # Errors
    /// As [`Dump::physical`] and [`Dump::triage`]; [`Error::Unsupported`] for an unknown machine.
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

    /// The kernel's space over any physical memory, by the data of a dump's header.
    pub fn of_physical(physical: Arc<dyn Memory<Pa>>, header: &Header, machine: Machine) -> Self {
        Self::of_tables(
            physical,
            header.directory_table_base,
            machine,
            header.pae_enabled,
            &Landmarks::from(header),
        )
    }

    /// The kernel's space over any physical memory, by its directory table base.
    ///
    /// `pae` says whether an x86 kernel has PAE on, if that is known. If the machine has several paging
    /// modes, the landmarks decide (see [`of_dump`](Self::of_dump)).
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

    /// The space in the mode that fits best, of the machine's modes.
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
        // If several are equal, the first: it is the more common mode.
        let best = spaces.rev().max_by_key(|space| landmarks.evidence(space));
        // Every machine has a mode.
        best.unwrap_or_else(|| Self::paged(tables(PagingMode::X64), machine))
    }

    /// True if `head` and the next entry point at each other.
    fn is_list_head(&self, head: Va) -> bool {
        let size = self.pointer_size() as u64;
        self.read_pointer(head)
            .and_then(|first| self.read_pointer(first.add(size)))
            .is_ok_and(|back| back == head)
    }
}
