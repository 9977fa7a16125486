//! What is known of a kernel before its memory is read.

use super::{Module, UnloadedModule};
use crate::addr::Va;
use crate::dump::{BugCheck, Dump, DumpKind, Header};
use crate::error::Problem;

/// What is known of a kernel before its memory is read; a dump's header has most of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Hints {
    /// The build number.
    pub build: Option<u32>,
    /// Address of `PsLoadedModuleList`.
    pub ps_loaded_module_list: Option<Va>,
    /// Address of the debugger data block.
    pub kd_debugger_data_block: Option<Va>,
    /// The bug check.
    pub bug_check: Option<BugCheck>,
    /// Where the kernel's image lies, for memory in which it was searched for. It serves where nothing
    /// leads to the list of loaded modules; the list is then looked for by the kernel's exports.
    pub kernel_base: Option<Va>,
    /// True if nothing but their shape speaks for the page tables that lead to that image. Until a list of
    /// loaded modules that has the image reads through them, whatever is read is unknown.
    pub is_uncertain: bool,
    /// Loaded images that something else than the kernel's list tells, the kernel first: a small dump's
    /// driver list. They serve where the kernel's list is not there, or has fewer.
    pub modules: Vec<Module>,
    /// Unloaded images, in the same way.
    pub unloaded: Vec<UnloadedModule>,
    /// What could not be read on the way to these hints.
    pub problems: Vec<Problem>,
}

impl From<&Header> for Hints {
    fn from(header: &Header) -> Self {
        Self {
            build: Some(header.build),
            ps_loaded_module_list: header.ps_loaded_module_list,
            kd_debugger_data_block: header.kd_debugger_data_block,
            bug_check: Some(header.bug_check).filter(|bug_check| bug_check.code != 0),
            ..Self::default()
        }
    }
}

impl Hints {
    /// What a dump's header tells and, for a small dump, its lists of drivers.
    #[must_use]
    pub fn of_dump(dump: &Dump) -> Self {
        let mut hints = Self::from(dump.header());
        if dump.header().kind != DumpKind::Triage {
            return hints;
        }
        match dump.triage() {
            Ok(triage) => {
                hints.modules = triage.drivers.iter().map(Module::from).collect();
                hints.unloaded = triage.unloaded.iter().map(UnloadedModule::from).collect();
                hints.problems = triage.problems;
            }
            Err(error) => hints.problems.push(Problem::from_error("small dump", &error)),
        }
        hints
    }
}
