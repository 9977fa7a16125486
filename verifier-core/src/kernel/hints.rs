//! Facts about a kernel that are known before its memory is read.

use super::{DebuggerData, Landmarks, Module, UnloadedModule};
use crate::addr::Va;
use crate::dump::{BugCheck, Dump, DumpKind, Header};
use crate::error::Problem;

/// Facts about a kernel that are known before its memory is read. A dump's header has most of them.
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
    /// The stack pointer at the crash.
    pub stack_pointer: Option<Va>,
    /// Base of the kernel's image, if it was searched for. It is used if no address leads to the list of
    /// loaded modules; the list is then found by the kernel's exports.
    pub kernel_base: Option<Va>,
    /// True if the page tables that lead to that image are known only by their shape. Every answer is unknown
    /// until a list of loaded modules that contains the image is read through them.
    pub is_uncertain: bool,
    /// Loaded images from another source than the kernel's list, the kernel first: a small dump's driver
    /// list. They are used if the kernel's list is absent or has fewer images.
    pub modules: Vec<Module>,
    /// Unloaded images from such a source.
    pub unloaded: Vec<UnloadedModule>,
    /// What could not be read while these hints were collected.
    pub problems: Vec<Problem>,
}

impl From<&Header> for Hints {
    fn from(header: &Header) -> Self {
        Self {
            build: header.known_build(),
            ps_loaded_module_list: header.ps_loaded_module_list,
            kd_debugger_data_block: header.kd_debugger_data_block,
            bug_check: Some(header.bug_check).filter(BugCheck::is_crash),
            stack_pointer: header.stack_pointer,
            ..Self::default()
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

impl Hints {
    /// Contradictions between the kernel's memory and these hints, and which of the two is used.
    pub(super) fn contradicted(
        &self,
        build: Option<u32>,
        data: Option<&DebuggerData>,
    ) -> Vec<Problem> {
        let mut problems = Vec::new();
        if let (Some(told), Some(build)) = (self.build, build)
            && told != build
        {
            let why = format!(
                "the header or the caller says {told}, but NtBuildLab begins with {build}, which is used"
            );
            problems.push(Problem::new("build number", why).remark());
        }
        if let (Some(head), Some(data)) = (self.ps_loaded_module_list, data)
            && !data.ps_loaded_module_list.is_null()
            && data.ps_loaded_module_list != head
        {
            let why = format!(
                "the header or the caller says that it is here, but the debugger data block at {} says {}; \
                 the first one that leads to modules is used",
                data.address, data.ps_loaded_module_list
            );
            problems.push(Problem::at("PsLoadedModuleList", head, why).remark());
        }
        problems
    }

    /// Hints from a dump's header and, for a small dump, its lists of drivers, with the problems of the file.
    #[must_use]
    pub fn of_dump(dump: &Dump) -> Self {
        let mut hints = Self { problems: dump.problems(), ..Self::from(dump.header()) };
        if dump.header().kind != DumpKind::Triage {
            return hints;
        }
        match dump.triage() {
            Ok(triage) => {
                hints.stack_pointer = triage.call_stack.map(|stack| stack.address);
                hints.modules = triage.drivers.iter().map(Module::from).collect();
                hints.unloaded = triage.unloaded.iter().map(UnloadedModule::from).collect();
            }
            Err(error) => hints.problems.push(Problem::from_error("small dump", &error)),
        }
        hints
    }
}
