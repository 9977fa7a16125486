//! Gathers the values of an [`Info`].

use std::path::{Path, PathBuf};

use super::{
    BugCheckInfo, DebuggerDataInfo, FileInfo, GlobalInfo, HeaderInfo, Info, KernelInfo,
    LeakedBlock, ModuleInfo, PageTablesInfo, PdbInfo, SmallDumpInfo, UnloadLeakInfo, UnloadedInfo,
    VerifierInfo,
};
use crate::addr::{PAGE_SIZE, Pa};
use crate::analysis::BugCheckReport;
use crate::dump::{BugCheck, Dump, Header, MemoryFile};
use crate::error::{Error, Problem, TRIAGE_HOLDS};
use crate::kernel::{Kernel, Module};
use crate::machine::Machine;
use crate::render::text::filetime_text;
use crate::verifier::log::PoolLog;
use crate::verifier::{Drivers, Settings, UnloadLeak};

/// Verifier's globals that views begin with.
const GLOBALS: [&str; 13] = [
    "MmVerifierData",
    "VfSuspectDriversList",
    "ViTargetDriversAvl",
    "VfPoolTraces",
    "ViPoolInfoAvl",
    "ViPoolStackInfoAvl",
    "ViTrackIrqlQueue",
    "ViFaultTraces",
    "VfKeCriticalRegionTraces",
    "IovIrpTraces",
    "VfForcedPendingLog",
    "VfWdIrpListHead",
    "ViDeadlockGlobals",
];

/// What an [`Info`] is gathered from.
pub struct InfoSources<'a> {
    /// The file and its path.
    pub file: Option<(&'a Path, &'a MemoryFile)>,
    /// The kernel, or why there is none.
    pub kernel: Result<&'a Kernel, &'a Error>,
    /// The bug check.
    pub bug_check: Option<BugCheck>,
    /// The directory table base in use, and how it was found.
    pub page_tables: Option<(Pa, String)>,
    /// The symbols of each loaded module, by its index.
    pub symbols: &'a dyn Fn(usize) -> ModuleSymbols,
    /// What the caller found to be wrong beside what is gathered here.
    pub problems: Vec<Problem>,
}

/// What is known about the symbols of a module.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ModuleSymbols {
    /// Their source.
    pub found: Option<String>,
    /// Which file would help and which places were searched, if they are missing.
    pub missing: Option<String>,
}

impl Info {
    /// Gathers what can be read. It does not search for symbols.
    #[must_use]
    pub fn gather(sources: InfoSources<'_>) -> Self {
        let InfoSources { file, kernel, bug_check, page_tables, symbols, problems: more } = sources;
        let dump = file.and_then(|(_, file)| file.dump());
        let header = dump.map(Dump::header);
        // What is wrong with the file comes first: the rest may follow from it.
        let mut problems = match (kernel, file) {
            (Ok(kernel), _) => kernel.problems().to_vec(),
            (Err(_), Some((_, file))) => file.problems(),
            (Err(_), None) => Vec::new(),
        };
        problems.extend(kernel.err().map(|error| Problem::from_error("kernel", error)));
        let opened = kernel;
        let kernel = kernel.ok();
        let verifier = kernel.map(|kernel| VerifierInfo::gather(kernel, &mut problems));
        let unload_leak = kernel.and_then(|kernel| UnloadLeakInfo::gather(kernel, &mut problems));
        Problem::extend(&mut problems, more);
        problems.extend(kernel.zip(header).and_then(|(kernel, header)| misplaced(kernel, header)));
        let machine_of_header = header.and_then(Header::machine);
        let bug_check =
            bug_check.map(|one| read_bug_check(one, opened, machine_of_header, &mut problems));
        let space = kernel.map(|kernel| kernel.space());
        Self {
            file: file.map(|(path, file)| FileInfo::gather(path, file)),
            bug_check,
            machine: machine(kernel, header),
            build: kernel
                .map(|kernel| kernel.build())
                .or(header.map(|header| header.build))
                .filter(|&build| build != 0),
            header_build: header.map(|header| header.build),
            paging: space.and_then(|space| space.paging()).map(|mode| mode.to_string()),
            page_tables: page_tables.map(|(base, from)| PageTablesInfo { base, from }),
            small_dump: dump.and_then(SmallDumpInfo::gather),
            kernel: kernel.map(|kernel| KernelInfo::gather(kernel, header, symbols)),
            verifier,
            unload_leak,
            problems,
        }
    }
}

fn machine(kernel: Option<&Kernel>, header: Option<&Header>) -> String {
    match (kernel, header) {
        (Some(kernel), _) => kernel.space().machine().to_string(),
        (None, Some(header)) => match header.machine() {
            Some(machine) => machine.to_string(),
            None => format!("{:#x}", header.machine_image_type),
        },
        (None, None) => "unknown".into(),
    }
}

/// The problem of a header whose address of the debugger data block is wrong.
fn misplaced(kernel: &Kernel, header: &Header) -> Option<Problem> {
    let stated = header.kd_debugger_data_block?;
    let at = kernel.debugger_data().ok()?.address;
    let why = format!("the header says that it is here, but it is at {at}");
    (at != stated).then(|| Problem::at("KdDebuggerDataBlock", stated, why).remark())
}

impl FileInfo {
    fn gather(path: &Path, file: &MemoryFile) -> Self {
        let pages = match file {
            MemoryFile::Dump(dump) => {
                dump.physical().ok().map(|physical| physical.map().page_count())
            }
            MemoryFile::Elf(core) => Some(core.memory.bytes() / PAGE_SIZE),
            MemoryFile::Raw(memory) => Some(memory.bytes() / PAGE_SIZE),
        };
        Self {
            path: PathBuf::from(path),
            file_size: file.file_len(),
            kind_name: file.kind_name(),
            pages,
            missing_at_end: file.truncation().map(|truncation| truncation.missing_bytes()),
            header: file.dump().map(|dump| HeaderInfo::gather(dump.header())),
        }
    }
}

impl SmallDumpInfo {
    /// `None` for any other kind of dump.
    fn gather(dump: &Dump) -> Option<Self> {
        let triage = dump.triage().ok()?;
        Some(Self {
            blocks: triage.memory.stretches().count(),
            bytes: triage.memory.bytes(),
            is_complete: triage.is_complete,
            call_stack: triage.call_stack.map(|stack| stack.address),
            call_stack_bytes: triage.call_stack.map(|stack| stack.size),
            remark: TRIAGE_HOLDS,
        })
    }
}

impl HeaderInfo {
    fn gather(header: &Header) -> Self {
        Self {
            kind: header.kind.raw(),
            free_build: header.major_version == 15,
            processors: header.processors,
            directory_table_base: header.directory_table_base,
            ps_loaded_module_list: header.ps_loaded_module_list,
            kd_debugger_data_block: header.kd_debugger_data_block,
            system_time: header.system_time.and_then(filetime_text),
            up_time_seconds: header.system_up_time.map(|time| time / 10_000_000),
            comment: header.comment.clone(),
        }
    }
}

/// What is known of a bug check; `machine` is the header's.
fn read_bug_check(
    bug_check: BugCheck,
    kernel: Result<&Kernel, &Error>,
    machine: Option<Machine>,
    problems: &mut Vec<Problem>,
) -> BugCheckInfo {
    let report = BugCheckReport::of(bug_check, kernel, machine);
    Problem::extend(problems, report.problems.clone());
    BugCheckInfo::of(&report, kernel.ok())
}

impl VerifierInfo {
    fn gather(kernel: &Kernel, problems: &mut Vec<Problem>) -> Self {
        let mut part = |what: &str, error: Error| problems.push(Problem::from_error(what, &error));
        let settings = Settings::read(kernel).map_err(|error| part("settings", error)).ok();
        // Without the kernel's symbols each view would say the same, and so over a small dump.
        let has_types = kernel.types().is_ok() && !kernel.space().is_blocks();
        let drivers = has_types
            .then(|| Drivers::read(kernel).map_err(|error| part("drivers", error)).ok())
            .flatten();
        let log = has_types
            .then(|| PoolLog::read(kernel, Some(0)).map_err(|error| part("pool log", error)).ok())
            .flatten();
        let parts = [
            settings.as_ref().map(|settings| &settings.problems),
            drivers.as_ref().map(|drivers| &drivers.problems),
            log.as_ref().map(|log| &log.problems),
        ];
        for found in parts.into_iter().flatten() {
            Problem::extend(problems, found.clone());
        }
        Self {
            level: settings.map(|settings| settings.level.0),
            drivers: drivers.as_ref().map(|drivers| drivers.drivers.len()),
            verified_images: drivers
                .as_ref()
                .map(|drivers| drivers.drivers.iter().map(|driver| driver.images.len()).sum()),
            pool_log_capacity: log.as_ref().map(|log| log.ring.length),
            pool_log_written: log.as_ref().and_then(|log| log.ring.index),
            pool_log_empty_because: log.and_then(|log| log.empty_because),
            globals: GLOBALS.into_iter().map(|name| GlobalInfo::gather(kernel, name)).collect(),
        }
    }
}

impl GlobalInfo {
    fn gather(kernel: &Kernel, name: &'static str) -> Self {
        let (address, from) = match (kernel.global(name), kernel.debugger_data()) {
            (Ok(at), _) => (Some(at), kernel.origin_of_global(name)),
            (Err(_), Ok(data)) if name == "MmVerifierData" && !data.mm_verifier_data.is_null() => {
                (Some(data.mm_verifier_data), "debugger data".into())
            }
            (Err(Error::NotInSmallDump { .. }), _) => (None, "not held by a small dump".into()),
            (Err(Error::NoKernelSymbols { .. }), _) => (None, "no symbols for the kernel".into()),
            (Err(_), _) => (None, kernel.origin_of_global(name)),
        };
        Self { name, address, from }
    }
}

impl UnloadLeakInfo {
    fn gather(kernel: &Kernel, problems: &mut Vec<Problem>) -> Option<Self> {
        if kernel.types().is_err() {
            return None;
        }
        let leak = match UnloadLeak::read(kernel) {
            Ok(leak) => leak?,
            Err(error) => {
                problems.push(Problem::from_error("blocks of the driver", &error));
                return None;
            }
        };
        let allocations = leak.allocations.iter().map(|block| LeakedBlock {
            address: block.address,
            size: block.size,
            tag: block.tag.to_string(),
            caller: block.caller,
            caller_symbol: kernel.symbolize(block.caller).map(|name| name.to_string()),
        });
        let allocations = allocations.collect();
        Problem::extend(problems, leak.problems);
        Some(Self {
            driver: leak.driver,
            verified_data: leak.verified_data,
            counted: leak.counted,
            allocations,
        })
    }
}

impl KernelInfo {
    fn gather(
        kernel: &Kernel,
        header: Option<&Header>,
        symbols: &dyn Fn(usize) -> ModuleSymbols,
    ) -> Self {
        let module = |(index, module)| ModuleInfo::gather(kernel, index, module, symbols(index));
        let unloaded = kernel.modules().unloaded().iter().map(|module| UnloadedInfo {
            name: module.name.clone(),
            start: module.start,
            end: module.end,
        });
        Self {
            base: kernel.base(),
            build_lab: kernel.build_lab(),
            debugger_data: DebuggerDataInfo::gather(kernel, header),
            types: kernel.types().ok().map(|types| types.describe()),
            modules_from: kernel.modules_from().to_string(),
            modules: kernel.modules().loaded().iter().enumerate().map(module).collect(),
            unloaded_modules: unloaded.collect(),
        }
    }
}

impl ModuleInfo {
    fn gather(kernel: &Kernel, index: usize, module: &Module, symbols: ModuleSymbols) -> Self {
        let source = kernel.symbol_source(index);
        let wanted = kernel.wanted(index);
        Self {
            name: module.name.clone(),
            base: module.base,
            size: module.size,
            time_date_stamp: wanted.as_ref().and_then(|wanted| wanted.time_date_stamp),
            check_sum: module.check_sum,
            pdb: wanted.and_then(|wanted| wanted.pdb.ok()).map(|id| PdbInfo {
                guid: id.guid_hex(),
                age: id.age,
                name: id.name,
            }),
            symbols: symbols.found.or_else(|| source.map(|(source, _)| source.to_string())),
            symbol_count: source.map_or(0, |(_, count)| count),
            missing: symbols.missing,
        }
    }
}

impl DebuggerDataInfo {
    fn gather(kernel: &Kernel, header: Option<&Header>) -> Self {
        let data = match kernel.debugger_data() {
            Ok(data) => data,
            Err(error) => {
                return Self { address: None, remark: Some(format!("not read: {error}")) };
            }
        };
        let is_elsewhere =
            |header: &Header| header.kd_debugger_data_block.is_some_and(|at| at != data.address);
        let remark = match header {
            _ if data.was_encoded => Some("was encoded"),
            Some(header) if is_elsewhere(header) => Some("the header says another place"),
            Some(header) if header.kd_debugger_data_block.is_none() => {
                Some("the header does not say where it is")
            }
            _ => None,
        };
        Self { address: Some(data.address), remark: remark.map(String::from) }
    }
}
