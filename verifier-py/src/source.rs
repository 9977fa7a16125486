//! The memory that a session is over, and the kernel that is searched for in it.

use std::sync::Arc;

use verifier_core::dump::Unlabeled;
use verifier_core::kernel::{AddressSpace, FoundKernel, Landmarks, Limits, find_kernel_until};
use verifier_core::machine::Machine;
use verifier_core::memory::{Memory, Pages, Residence};
use verifier_core::{Fault, Pa, Va};

use crate::errors::Failure;
use crate::work;

/// A machine by its name.
pub(crate) fn machine(name: &str) -> Result<Machine, Failure> {
    let all = [Machine::X86, Machine::X64, Machine::Arm64];
    let found = all.into_iter().find(|machine| machine.to_string().eq_ignore_ascii_case(name));
    found.ok_or_else(|| {
        Failure::usage(format!("machine {name:?} is none of \"x86\", \"x64\", \"arm64\""))
    })
}

/// The memory that a session is over.
pub(crate) enum Source {
    Physical(Arc<dyn Memory<Pa>>, Pa),
    Virtual(Arc<dyn Memory<Va>>),
}

impl Source {
    /// Searches for the kernel, if no argument leads to its modules.
    pub(crate) fn search(&self, machine: Machine) -> Result<FoundKernel, Failure> {
        const GIVE: &str = "the address of the list of loaded modules is unknown: give \
            ps_loaded_module_list=, kd_debugger_data_block= or kernel_base=";
        let Source::Physical(memory, base) = self else { return Err(Failure::usage(GIVE)) };
        let memory = Unlabeled {
            memory: Arc::new(Unlisted(Arc::clone(memory))),
            machine: Some(machine),
            processors: Vec::new(),
        };
        find_kernel_until(&memory, Some(*base), &Limits::default(), &work::is_interrupted)
            .map_err(|error| Failure::usage(format!("{GIVE} ({error})")))
    }

    pub(crate) fn space(
        self,
        machine: Machine,
        pae: Option<bool>,
        landmarks: &Landmarks,
    ) -> AddressSpace {
        match self {
            Source::Physical(memory, base) => {
                AddressSpace::of_tables(memory, base, machine, pae, landmarks)
            }
            Source::Virtual(memory) => AddressSpace::new(memory, machine),
        }
    }
}

/// A reader that does not list its pages. A search that begins at page tables does not need the list.
struct Unlisted(Arc<dyn Memory<Pa>>);

impl Memory<Pa> for Unlisted {
    fn read_in_page(&self, at: Pa, buf: &mut [u8]) -> Result<Residence, Fault> {
        self.0.read_in_page(at, buf)
    }
}

impl Pages for Unlisted {
    fn next_page(&self, _: Pa) -> Option<Pa> {
        None
    }
}
